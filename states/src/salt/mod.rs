//! What the states of an orchestration share: calling minions through the master, and reading their answers.

use corpus_core::plan::Effect;
use corpus_core::{Call, Map, Plan, PlanCx, Prediction, StateError, Value, python};

/// Which minions, and how many of them may fail.
pub struct Whom {
    pub tgt: Value,
    pub tgt_type: Option<String>,
    pub fail_minions: Option<Value>,
    pub expect_minions: Option<bool>,
    pub batch: Option<Value>,
    pub subset: Option<Value>,
}

/// Makes the call of a function on minions; the master answers it.
pub fn command(whom: &Whom, fun: &str, arg: Vec<Value>, kwarg: Map) -> Call {
    let mut kwargs: Map = [("tgt", whom.tgt.clone()), ("fun", fun.into())].into_iter().collect();
    kwargs.insert("arg", Value::list(arg));
    kwargs.insert("kwarg", Value::map(kwarg));
    kwargs.insert("tgt_type", whom.tgt_type.as_deref().unwrap_or("glob"));
    for (key, value) in [("batch", &whom.batch), ("subset", &whom.subset)] {
        if let Some(value) = value.as_ref().filter(|value| !value.is_null()) {
            kwargs.insert(key, value.clone());
        }
    }
    Call { fun: "salt.cmd".into(), args: vec![], kwargs }
}

/// Makes the step that performs a call.
pub fn step(call: Call) -> (Effect, Vec<Prediction>) {
    let kwargs = call.kwargs.0.into_iter().map(|(key, value)| (python::str(&key), value)).collect();
    (Effect::Call { fun: call.fun, args: call.args, kwargs }, vec![Prediction::Opaque])
}

/// Refuses to plan where no master stands behind the run.
pub fn of_orchestration(cx: &PlanCx<'_>, name: &str) -> Result<(), StateError> {
    if cx.caller.has("salt.cmd") {
        return Ok(());
    }
    Err(StateError::failed(format!(
        "{name} speaks to other minions: run it on the master by `corpus state.orchestrate`"
    )))
}

/// Reads `fail_minions`: the minions whose failure counts for nothing.
pub fn excused(whom: &Whom, plan: &mut Plan) -> Vec<String> {
    match &whom.fail_minions {
        None | Some(Value::Null) => vec![],
        Some(Value::Str(text)) => text.split(',').map(|id| id.trim().to_owned()).collect(),
        Some(Value::List(ids)) => ids.iter().map(python::str).collect(),
        Some(_) => {
            plan.warnings.push("'fail_minions' needs to be a list or a comma separated string. Ignored.".into());
            vec![]
        }
    }
}
