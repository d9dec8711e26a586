//! What `http.*` share: what is asked, and how the answer is judged.

use corpus_core::plan::{Observed, Settled};
use corpus_core::{Effect, Map, Plan, PlanCx, StateError, Value, python, state};
use corpus_exec::fns::http::Wanted;

/// The arguments that say what an answer must be.
const OWN: &[&str] = &["name", "match", "match_type", "status", "status_type", "wait_for", "request_interval"];

/// Reads what the answer must be.
pub fn wanted(
    matching: &Value,
    match_type: &Option<String>,
    status: &Value,
    status_type: &Option<String>,
) -> Result<Wanted, StateError> {
    let some = |value: &Value| Some(value.clone()).filter(|value| !value.is_null());
    let word = |word: &Option<String>| word.clone().unwrap_or_else(|| "string".into());
    let wanted = Wanted {
        matching: some(matching).as_ref().map(python::str),
        match_type: word(match_type),
        status: some(status),
        status_type: word(status_type),
    };
    if wanted.matching.is_none() && wanted.status.is_none() {
        return Err(StateError::failed("Either match text (match) or a status code (status) is required."));
    }
    Ok(wanted)
}

/// Plans a question; `more` are further arguments of the function that asks.
pub fn plan(
    cx: &PlanCx<'_>,
    url: &str,
    fun: &str,
    wanted: &Wanted,
    more: &[(&str, Value)],
) -> Result<Plan, StateError> {
    cx.program("curl", "curl")?;
    let given = state::arguments(cx.low);
    let mut kwargs: Vec<(String, Value)> = given
        .iter()
        .map(|(key, value)| (python::str(key), value.clone()))
        .filter(|(key, _)| !OWN.contains(&key.as_str()) && !corpus_core::keywords::is_engine_word(key))
        .collect();
    let usual = [("status", Value::from(true)), ("text", true.into())];
    kwargs.extend(usual.iter().chain(more).map(|(key, value)| ((*key).to_owned(), value.clone())));
    // Salt asks nothing in a dry run.
    let (_, said) = wanted.judge(&Map::new()).map_err(StateError::failed)?;
    let mut plan = Plan::default().says(format!("{said} (TEST MODE)"), said);
    plan.push(Effect::Call { fun: fun.to_owned(), args: vec![url.into()], kwargs }, vec![]);
    Ok(plan)
}

/// Judges the answer.
pub fn settle(wanted: &Wanted, seen: &[Observed]) -> Result<Settled, StateError> {
    let answer = seen.iter().find_map(|seen| match seen {
        Observed::Returned(value) => value.as_map().cloned(),
        _ => None,
    });
    let answer = answer.unwrap_or_default();
    let (result, mut comment) = wanted.judge(&answer).map_err(StateError::failed)?;
    if let Some(error) = answer.get("error").filter(|_| !result) {
        comment += &format!(" ({})", python::str(error));
    }
    Ok(Settled { result, changes: Map::new(), comment })
}
