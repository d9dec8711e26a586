//! What `alternatives.*` share: the program that keeps the links, and where a name leads now.

use corpus_core::{Effect, PlanCx, Prediction, StateError, Value, python};
use corpus_exec::fns::alternatives as exec;

/// The fact under which a step foretells where a name leads.
pub fn fact(name: &str, path: &str) -> Prediction {
    Prediction::Fact(format!("alternatives:{name}"), path.into())
}

/// The fact under which a step foretells whether a path is registered.
pub fn registered(name: &str, path: &str, there: bool) -> Prediction {
    Prediction::Fact(format!("alternatives:{name}:{path}"), there.into())
}

/// Returns where a name leads.
pub fn current(cx: &PlanCx<'_>, name: &str) -> Result<Option<String>, StateError> {
    match cx.host.predicted(&format!("alternatives:{name}")) {
        Some(Value::Null) => Ok(None),
        Some(path) => Ok(Some(python::str(&path))),
        None => Ok(exec::current(cx.host, name)?),
    }
}

/// Tells whether a path is registered for a name.
pub fn exists(cx: &PlanCx<'_>, name: &str, path: &str) -> Result<bool, StateError> {
    match cx.host.predicted(&format!("alternatives:{name}:{path}")) {
        Some(known) => Ok(known.truthy()),
        None => {
            let text = exec::display(cx.host, name).map_err(|error| {
                if error.is_missing() { StateError::missing(error.to_string()) } else { error.into() }
            })?;
            Ok(text.lines().any(|line| line.starts_with(path)))
        }
    }
}

/// Returns the effect that runs the program.
pub fn run<const N: usize>(cx: &PlanCx<'_>, words: [&str; N]) -> Effect {
    Effect::Exec(exec::command(cx.host, &words))
}
