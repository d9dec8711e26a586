//! `salt.parallel_runners`

use super::shared;
use corpus_core::{Call, Map, Observed, Plan, PlanCx, Settled, State, StateError, Value, python};
use serde::Deserialize;

/// Calls several runners of the master at the same time, as one step of an orchestration.
///
/// ```sls
/// both parts:
///   salt.parallel_runners:
///     - runners:
///         first:
///           - name: state.orchestrate
///           - kwarg: {mods: orchestrate.first}
///         second:
///           - name: state.orchestrate
///           - kwarg: {mods: orchestrate.second}
/// ```
#[derive(Deserialize)]
pub struct ParallelRunners {
    /// Only a name.
    pub name: String,
    /// Runners by an ID each, with `name` (else the ID is it) and `kwarg`; or the name of one.
    pub runners: Value,
}

impl ParallelRunners {
    /// Returns the runners by ID: `name` and `kwarg` of each.
    fn wanted(&self) -> Result<Map, StateError> {
        let one = |id: &Value, given: &Value| {
            let mut entry = Map::new();
            match given {
                Value::Map(map) => entry = (**map).clone(),
                Value::List(items) => {
                    for (key, value) in items.iter().filter_map(Value::as_map).flat_map(Map::iter) {
                        entry.0.insert(key.clone(), value.clone());
                    }
                }
                _ => {}
            }
            if !entry.contains("name") {
                entry.insert("name", python::str(id));
            }
            (id.clone(), Value::from(entry))
        };
        match &self.runners {
            Value::Str(_) => Ok([one(&self.runners, &Value::Null)].into_iter().collect()),
            Value::Map(map) => Ok(map.iter().map(|(id, given)| one(id, given)).collect()),
            _ => Err(StateError::failed("The runners parameter must be a string or dict.")),
        }
    }
}

/// Returns the changes of states that a runner walked; `None` if it walked none.
fn changes(returned: &Value) -> Option<Map> {
    let states = returned.as_map().filter(|map| !map.is_empty())?;
    let mut out = Map::new();
    for (id, chunk) in states {
        let changes = chunk.as_map()?.get("changes")?;
        if changes.truthy() {
            out.insert(id.clone(), changes.clone());
        }
    }
    Some(out)
}

impl State for ParallelRunners {
    const NAME: &'static str = "salt.parallel_runners";
    const CONVERGES: bool = false;

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        shared::of_orchestration(cx, Self::NAME)?;
        let wanted = self.wanted()?;
        let names: Vec<String> = wanted.keys().map(python::str).collect();
        let kwargs: Map = [("runners", wanted)].into_iter().collect();
        let call = Call { fun: Self::NAME.into(), args: vec![], kwargs };
        let (effect, predicts) = shared::step(call);
        let mut plan = Plan::default();
        plan.push(effect, predicts);
        Ok(plan.says(format!("Runner functions would be executed: {}.", names.join(", ")), ""))
    }

    fn settle(&self, _: &Plan, seen: &[Observed], _: &PlanCx<'_>) -> Result<Settled, StateError> {
        let answer = seen.iter().find_map(|seen| if let Observed::Returned(value) = seen { Some(value) } else { None });
        let answers = answer.and_then(Value::as_map).cloned().unwrap_or_default();
        let good = |answer: &Value| answer.get("success").is_some_and(Value::truthy);
        let failed: Vec<String> =
            answers.iter().filter(|(_, answer)| !good(answer)).map(|(id, _)| python::str(id)).collect();
        let comment = match failed.as_slice() {
            [] => "All runner functions executed successfully.".to_owned(),
            [one] => format!("Runner {one} failed."),
            more => format!("Runners {} failed.", more.join(", ")),
        };
        let returned = |answer: &Value| answer.get("return").cloned().unwrap_or_default();
        let walked: Option<Map> = answers
            .iter()
            .map(|(id, answer)| changes(&returned(answer)).map(|changes| (id.clone(), Value::from(changes))))
            .collect();
        let changes = match walked {
            Some(walked) => walked.into_iter().filter(|(_, changes)| changes.truthy()).collect(),
            None => {
                let all: Map = answers.iter().map(|(id, answer)| (id.clone(), returned(answer))).collect();
                [("ret", all)].into_iter().collect()
            }
        };
        Ok(Settled { result: failed.is_empty(), changes, comment })
    }
}
