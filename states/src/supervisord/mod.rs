//! What `supervisord.*` share: what runs, and judging what `supervisorctl` said.

use corpus_core::host::Output;
use corpus_core::plan::{Observed, Settled};
use corpus_core::{Plan, PlanCx, Prediction, StateError, Value};
use corpus_exec::fns::supervisord::{self, Ctl};

/// What the declared name stands for.
pub enum Found {
    Nothing,
    /// ` service` or ` group`, and its programs with whether each stands still and whether each runs.
    Programs(&'static str, Vec<(String, bool, bool)>),
}

fn fact(ctl: &Ctl, name: &str) -> String {
    format!("supervisord:{}:{name}", ctl.conf_file.as_deref().unwrap_or_default())
}

/// Finds a program, or the programs of a group (`name:`).
pub fn find(cx: &PlanCx<'_>, ctl: &Ctl, name: &str) -> Result<Found, StateError> {
    if ctl.bin_env.is_none() {
        cx.program("supervisorctl", "supervisor")?;
    }
    let kind = if name.ends_with(':') { " group" } else { " service" };
    if let Some(runs) = cx.host.predicted(&fact(ctl, name)) {
        return Ok(Found::Programs(kind, vec![(name.to_owned(), !runs.truthy(), runs.truthy())]));
    }
    let all = supervisord::status(cx.host, ctl)
        .map_err(|error| if error.is_missing() { StateError::missing(error.to_string()) } else { error.into() })?;
    let meant = |process: &str| process == name || (name.ends_with(':') && process.starts_with(name));
    let still = |state: &str| ["STOPPED", "STOPPING", "EXITED", "FATAL", "BACKOFF"].contains(&state);
    let found: Vec<_> = all
        .into_iter()
        .filter(|(process, ..)| meant(process))
        .map(|(process, state, _)| (process, still(&state), state == "RUNNING"))
        .collect();
    Ok(if found.is_empty() { Found::Nothing } else { Found::Programs(kind, found) })
}

/// Adds a step; `comment` is what is said if it went well, empty if nobody asks.
pub fn step(plan: &mut Plan, ctl: &Ctl, words: &[&str], comment: &str, becomes: Option<bool>) {
    let predicts = becomes.map(|runs| {
        let name = words.last().copied().unwrap_or_default();
        Prediction::Fact(fact(ctl, name), runs.into())
    });
    plan.attempt(ctl.command(words), predicts.into_iter().collect());
    let mut said = plan.memo.as_list().unwrap_or_default().to_vec();
    said.push(comment.into());
    plan.memo = said.into();
}

/// Tells whether `supervisorctl` refused, but for what was so already.
fn refusal(output: &Output) -> Option<String> {
    let text = supervisord::answer(output);
    let fine = ["already started", "not running", "process group already active"];
    (text.contains("ERROR") && !fine.iter().any(|words| text.contains(words))).then_some(text)
}

/// Judges the steps in order, in Salt's words: the last one that was asked about counts.
pub fn settle(plan: &Plan, seen: &[Observed]) -> Settled {
    let mut settled = Settled::as_planned(plan);
    let said = plan.memo.as_list().unwrap_or_default();
    for (output, comment) in seen.iter().filter_map(Observed::output).zip(said.iter().filter_map(Value::as_str)) {
        if comment.is_empty() {
            continue;
        }
        match refusal(output) {
            Some(text) => {
                settled.result = false;
                settled.comment = text;
            }
            None => settled.comment = comment.to_owned(),
        }
    }
    if !settled.result {
        settled.changes = corpus_core::Map::new();
    }
    settled
}
