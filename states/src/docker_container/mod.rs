//! What the `docker_*` states share: questions to the daemon, calls that change what it has, and what earlier steps
//! of a dry run make of it.

use corpus_core::keywords::is_engine_word;
use corpus_core::plan::Observed;
use corpus_core::{Call, Effect, ExecError, Map, PlanCx, Prediction, StateError, Value};

/// Asks the daemon something; `None` if it has no such thing.
pub fn ask(cx: &PlanCx<'_>, fun: &str, args: Vec<Value>, kwargs: Map) -> Result<Option<Value>, StateError> {
    match cx.caller.call(&Call { fun: fun.into(), args, kwargs }) {
        Ok(Value::Null) => Ok(None),
        Ok(found) => Ok(Some(found)),
        Err(error) if error.to_string().starts_with("Error 404") => Ok(None),
        Err(ExecError::Failed(why)) if why.contains("no daemon answers") => Err(StateError::Missing(why)),
        Err(error) => Err(error.into()),
    }
}

/// Asks for one thing by its name.
pub fn find(cx: &PlanCx<'_>, fun: &str, name: &str) -> Result<Option<Value>, StateError> {
    ask(cx, fun, vec![name.into()], Map::new())
}

/// Names a fact: `docker:image:busybox:latest`.
pub fn fact(kind: &str, name: &str) -> String {
    if kind == "image" && corpus_exec::docker::image::parts(name).1.is_none() {
        return format!("docker:image:{name}:latest");
    }
    format!("docker:{kind}:{name}")
}

/// Tells what will be there; null is nothing.
pub fn becomes(kind: &str, name: &str, value: impl Into<Value>) -> Vec<Prediction> {
    vec![Prediction::Fact(fact(kind, name), value.into())]
}

/// Calls a function of `docker`.
pub fn call(fun: &str, args: Vec<Value>, kwargs: &Map) -> Effect {
    let kwargs = kwargs.iter().filter_map(|(key, value)| Some((key.as_str()?.to_owned(), value.clone()))).collect();
    Effect::Call { fun: format!("docker.{fun}"), args, kwargs }
}

/// Returns what a declaration gives beyond the state's own arguments: the daemon's.
pub fn rest(cx: &PlanCx<'_>, own: &[&str]) -> Map {
    let all = corpus_core::state::arguments(cx.low);
    all.into_iter()
        .filter(|(key, value)| {
            !value.is_null() && key.as_str().is_some_and(|key| !own.contains(&key) && !is_engine_word(key))
        })
        .collect()
}

/// Returns the answers of the calls.
pub fn answers(seen: &[Observed]) -> Vec<&Value> {
    seen.iter().filter_map(|seen| if let Observed::Returned(value) = seen { Some(value) } else { None }).collect()
}

/// Returns what was and what is.
pub fn change(old: impl Into<Value>, new: impl Into<Value>) -> Map {
    [("old", old.into()), ("new", new.into())].into_iter().collect()
}

/// Joins comments as Salt does: sentences, if there are several.
pub fn sentences(comments: &[String]) -> String {
    let end = if comments.len() > 1 { "." } else { "" };
    comments.join(". ") + end
}

/// The state of a container, in Salt's words.
pub fn state(container: &Value) -> &'static str {
    corpus_exec::docker::container::state(container)
}
