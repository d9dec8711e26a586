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

/// Reads the calls of a declaration: `m.f: [arguments]`, or a name with its arguments beside it.
fn calls(cx: &PlanCx<'_>) -> Vec<Planned> {
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
    if found.is_empty() {
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
    found
}

/// Plans the calls.
pub fn plan(cx: &PlanCx<'_>) -> Result<Plan, StateError> {
    let calls = calls(cx);
    let missing: Vec<&str> = calls.iter().map(|call| call.fun.as_str()).filter(|fun| !cx.caller.has(fun)).collect();
    if let Some(first) = missing.first() {
        if !first.contains('.') {
            return Err(StateError::failed("No function provided."));
        }
        return Err(StateError::failed(if calls.len() == 1 {
            format!("Module function {first} is not available")
        } else {
            format!("Unavailable functions: {}.", missing.join(", "))
        }));
    }
    let mut plan = Plan::default();
    let names: Vec<String> = calls.iter().map(|call| call.fun.clone()).collect();
    let (would, did) = if names.len() == 1 {
        (format!("Module function {} is set to execute", names[0]), format!("Module function {} executed", names[0]))
    } else {
        (format!("Functions {} to be executed.", names.join(", ")), String::new())
    };
    for Planned { fun, args, kwargs } in calls {
        plan.changes.insert(fun.as_str(), Value::Null);
        plan.push(Effect::Call { fun, args, kwargs }, vec![Prediction::Opaque]);
    }
    plan.memo = names.into();
    Ok(plan.says(would, did))
}

/// Judges the answers.
pub fn settle(plan: &Plan, seen: &[Observed]) -> Settled {
    let names = plan.memo.as_list().unwrap_or_default();
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
        if good {
            success.push(format!("{name}: {}", python::str(value)));
            changes.insert(name, value.clone());
        } else {
            failures.push(format!("'{name}': {}", python::str(value)));
        }
    }
    let result = failures.is_empty();
    if names.len() == 1 {
        // Salt: one function's answer stands under `ret`.
        let value = changes.values().next().cloned();
        let changes = value.map(|value| [("ret", value)].into_iter().collect()).unwrap_or_default();
        let comment = if result { plan.did.clone() } else { failures.join(", ") };
        return Settled { result, changes, comment };
    }
    failures.extend(success);
    Settled { result, changes, comment: failures.join(", ") }
}
