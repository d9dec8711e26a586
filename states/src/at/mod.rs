//! What `at.present` and `at.watch` share.

use corpus_core::plan::{Observed, Settled};
use corpus_core::{Map, Plan, PlanCx, Prediction, StateError, Value};
use corpus_exec::ask;
use corpus_exec::fns::at;

/// A job to add.
pub struct Wanted<'a> {
    pub job: &'a str,
    pub timespec: &'a str,
    pub tag: Option<&'a str>,
    pub user: Option<&'a str>,
    pub unique_tag: bool,
}

/// Plans to add a job.
pub fn plan(cx: &PlanCx<'_>, wanted: &Wanted<'_>) -> Result<Plan, StateError> {
    cx.program("at", "at")?;
    let fact = format!("at:{}", wanted.tag.unwrap_or_default());
    if wanted.unique_tag {
        let Some(tag) = wanted.tag else {
            return Err(StateError::failed("no tag provided and unique_tag is set to True"));
        };
        if cx.host.predicted(&fact).is_some() || at::jobs(cx.host)?.iter().any(|job| job.tag == tag) {
            return Ok(Plan::unchanged(format!("atleast one job with tag {tag} exists.")));
        }
    }
    if let Some(user) = wanted.user
        && cx.host.user(user)?.is_none()
    {
        return Err(StateError::missing(format!("user {user} does not exists")));
    }
    let (job, time) = (wanted.job, wanted.timespec);
    let by = wanted.user.map(|user| format!(" as {user}")).unwrap_or_default();
    let mut plan = Plan::default()
        .says(format!("job {job} added and will run on {time}"), format!("job {job} added and will run{by} on {time}"));
    plan.attempt(at::add(time, job, wanted.tag, wanted.user), vec![Prediction::Fact(fact, true.into())]);
    // Each run adds one more, unless its tag says which it is.
    plan.repeats = !wanted.unique_tag;
    Ok(plan)
}

/// Tells which job was added.
pub fn settle(wanted: &Wanted<'_>, plan: &Plan, seen: &[Observed]) -> Settled {
    let Some(output) = seen.iter().find_map(Observed::output) else { return Settled::as_planned(plan) };
    let failed = |comment: String| Settled { result: false, changes: Map::new(), comment };
    let said = output.stdout_text();
    if said.trim().ends_with("Garbled time") {
        return failed("invalid timespec".into());
    }
    let Some(mut job) = at::added(&said).filter(|_| output.ok()) else { return failed(ask::said(output)) };
    job.user = wanted.user.unwrap_or("root").to_owned();
    job.tag = wanted.tag.unwrap_or_default().to_owned();
    let changes = job.shown();
    let changes = changes.as_map().cloned().unwrap_or_default();
    Settled { result: true, changes, comment: plan.did.clone() }
}

/// Reads a text argument that may be a number.
pub fn text(value: &Value) -> Option<String> {
    Some(value).filter(|value| value.truthy()).map(corpus_core::python::str)
}
