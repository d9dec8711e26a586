//! What the states of clouds share: the master is asked, and the master acts.

use corpus_core::plan::Effect;
use corpus_core::{Call, Map, Observed, Plan, PlanCx, Prediction, StateError, Value, python};

/// Refuses to plan where no master with clouds stands behind the run.
pub fn of_clouds(cx: &PlanCx<'_>, name: &str) -> Result<(), StateError> {
    if cx.caller.has("cloud.has_instance") {
        return Ok(());
    }
    Err(StateError::failed(format!(
        "{name} speaks to the nodes of clouds: run it on the master, by `corpus state.orchestrate` or with `--local`"
    )))
}

/// Tells whether a machine is there.
pub fn there(cx: &PlanCx<'_>, name: &str) -> Result<bool, StateError> {
    Ok(cx.caller.call(&Call::new("cloud.has_instance", vec![name.into()]))?.truthy())
}

/// Adds the call of a function of the master.
pub fn act(plan: &mut Plan, fun: &str, args: Vec<Value>, kwargs: &Map) {
    let kwargs = kwargs.iter().map(|(key, value)| (python::str(key), value.clone())).collect();
    plan.push(Effect::Call { fun: fun.to_owned(), args, kwargs }, vec![Prediction::Opaque]);
}

/// Reads the answer: what became of each machine; Salt: `Error` where it failed.
pub fn answer(seen: &[Observed]) -> Result<Map, String> {
    let answer = seen.iter().find_map(|seen| if let Observed::Returned(value) = seen { value.as_map() } else { None });
    let Some(answer) = answer else { return Err("please check your configuration".into()) };
    match answer.get("Error") {
        Some(error) => Err(python::str(error)),
        None => Ok(answer.clone()),
    }
}
