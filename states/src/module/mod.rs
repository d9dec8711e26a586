//! What `module.run` and `module.wait` share: both of Salt's ways to write a call.

use corpus_core::plan::{Effect, Observed, Plan, Settled};
use corpus_core::state::arguments;
use corpus_core::{Map, PlanCx, Prediction, StateError, Value, python};

/// Words of a declaration that are no arguments of the function.
const OWN: [&str; 8] = ["name", "returner", "m_name", "args", "kwargs", "order", "m_fun", "m_state"];

struct Planned {
    fun: String,
    args: Vec<Value>,
    kwargs: Vec<(String, Value)>,
}

fn pairs(value: &Value) -> Vec<(String, Value)> {
    value.as_map().into_iter().flatten().map(|(key, value)| (python::str(key), value.clone())).collect()
}

/// Reads the calls of a declaration: `m.f: [arguments]`, or (true: Salt's older way) a name with its arguments
/// beside it.
fn calls(cx: &PlanCx<'_>) -> (Vec<Planned>, bool) {
    let given = arguments(cx.low);
    let mut found = vec![];
    for (key, value) in &given {
        // Salt: `m.f:1` lets one function be called twice.
        let Some(fun) = key.as_str().filter(|key| key.contains('.')) else { continue };
        let fun = fun.split(':').next().unwrap_or(fun).to_owned();
        let (mut args, mut kwargs) = (vec![], vec![]);
        match value {
            Value::List(items) => {
                for item in items.iter() {
                    if item.as_map().is_some() { kwargs.extend(pairs(item)) } else { args.push(item.clone()) }
                }
            }
            Value::Map(_) => kwargs = pairs(value),
            Value::Null => {}
            one => args.push(one.clone()),
        }
        found.push(Planned { fun, args, kwargs });
    }
    let legacy = found.is_empty();
    if legacy {
        let fun = given.get("name").map(python::str).unwrap_or_default();
        let mut kwargs = vec![];
        // `m_name` is the function's own `name`; the declaration's is the function.
        if let Some(name) = given.get("m_name") {
            kwargs.push(("name".to_owned(), name.clone()));
        }
        for (key, value) in &given {
            let key = python::str(key);
            if let Some(own) = key.strip_prefix("m_").filter(|_| matches!(key.as_str(), "m_fun" | "m_state")) {
                kwargs.push((own.to_owned(), value.clone()));
            } else if !OWN.contains(&key.as_str()) {
                kwargs.push((key, value.clone()));
            }
        }
        match given.get("kwargs") {
            Some(Value::List(items)) => kwargs.extend(items.iter().flat_map(pairs)),
            Some(map) => kwargs.extend(pairs(map)),
            None => {}
        }
        let args = match given.get("args") {
            Some(Value::List(items)) => items.to_vec(),
            Some(Value::Null) | None => vec![],
            Some(one) => vec![one.clone()],
        };
        found.push(Planned { fun, args, kwargs });
    }
    (found, legacy)
}

/// Plans the calls.
pub fn plan(cx: &PlanCx<'_>) -> Result<Plan, StateError> {
    let (calls, legacy) = calls(cx);
    let missing: Vec<&str> = calls.iter().map(|call| call.fun.as_str()).filter(|fun| !cx.caller.has(fun)).collect();
    if let Some(first) = missing.first() {
        if !first.contains('.') {
            return Err(StateError::failed("No function provided."));
        }
        return Err(StateError::failed(if legacy {
            format!("Module function {first} is not available")
        } else if calls.len() == 1 {
            format!("Unavailable function: {first}.")
        } else {
            format!("Unavailable functions: {}.", missing.join(", "))
        }));
    }
    let mut plan = Plan::default();
    let names: Vec<String> = calls.iter().map(|call| call.fun.clone()).collect();
    let (would, did) = match names.as_slice() {
        [name] if legacy => {
            (format!("Module function {name} is set to execute"), format!("Module function {name} executed"))
        }
        [name] => (format!("Function {name} to be executed."), String::new()),
        _ => (format!("Functions {} to be executed.", names.join(", ")), String::new()),
    };
    for Planned { fun, args, kwargs } in calls {
        plan.changes.insert(if legacy { "ret" } else { &fun }, Value::Null);
        plan.push(Effect::Call { fun, args, kwargs }, vec![Prediction::Opaque]);
    }
    plan.memo = [("names", Value::from(names)), ("legacy", legacy.into())].into_iter().collect::<Map>().into();
    Ok(plan.says(would, did))
}

/// Judges the answers.
pub fn settle(plan: &Plan, seen: &[Observed]) -> Settled {
    let names = plan.memo.get("names").and_then(Value::as_list).unwrap_or_default();
    let (mut changes, mut failures, mut success) = (Map::new(), vec![], vec![]);
    for (name, seen) in names.iter().zip(seen) {
        let Observed::Returned(value) = seen else { continue };
        let name = python::str(name);
        let good = match value {
            Value::Bool(good) => *good,
            Value::Map(map) => match (map.get("result"), map.get("retcode")) {
                (Some(result), _) => *result != Value::Bool(false),
                (None, Some(code)) => code.as_int().is_none_or(|code| code == 0),
                (None, None) => true,
            },
            _ => true,
        };
        // Salt: of an answer with parts only that it came is told.
        let text = if value.as_map().is_some() { "Success".to_owned() } else { python::str(value) };
        if good {
            success.push(format!("{name}: {text}"));
            changes.insert(name, value.clone());
        } else {
            failures.push(format!("'{name}': {}", python::str(value)));
        }
    }
    let result = failures.is_empty();
    if plan.memo.get("legacy").is_some_and(Value::truthy) {
        // Salt: the answer of the function that `name` names stands under `ret`.
        let answer = seen.iter().find_map(|seen| if let Observed::Returned(value) = seen { Some(value) } else { None });
        let changes = answer.map(|value| [("ret", value.clone())].into_iter().collect()).unwrap_or_default();
        return Settled { result, changes, comment: plan.did.clone() };
    }
    failures.extend(success);
    Settled { result, changes, comment: failures.join(", ") }
}
