//! `docker_container.stopped`

use super::shared::{self, answers, becomes, call, change, fact, find};
use corpus_core::plan::{Observed, Settled};
use corpus_core::{Map, Plan, PlanCx, State, StateError, Value, python};
use serde::Deserialize;

/// Keeps a container, or several, stopped.
///
/// ```sls
/// web:
///   docker_container.stopped
/// ```
#[derive(Deserialize)]
pub struct Stopped {
    /// The container.
    pub name: String,
    /// Several containers, instead.
    pub containers: Option<Vec<String>>,
    /// How many seconds they have to end before they are killed.
    pub shutdown_timeout: Option<i64>,
    /// Let those that are frozen go on, so that they can end; without, they are an error.
    #[serde(default)]
    pub unpause: bool,
    /// Containers that are not there are an error.
    #[serde(default = "yes")]
    pub error_on_absent: bool,
}

fn yes() -> bool {
    true
}

impl State for Stopped {
    const NAME: &'static str = "docker_container.stopped";
    const WATCHES: bool = true;

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let targets = self.containers.clone().unwrap_or_else(|| vec![self.name.clone()]);
        let (mut absent, mut paused, mut running) = (vec![], vec![], vec![]);
        for target in &targets {
            let state = match cx.host.predicted(&fact("container", target)) {
                Some(known) => known.get("state").map(python::str),
                None => find(cx, "docker.inspect_container", target)?.map(|found| shared::state(&found).to_owned()),
            };
            match state.as_deref() {
                None => absent.push(target.clone()),
                Some("paused") => paused.push(target.clone()),
                Some("running") => running.push(target.clone()),
                Some(_) => {}
            }
        }
        let mut errors = vec![];
        if self.error_on_absent && !absent.is_empty() {
            errors.push(format!("The following container(s) are absent: {}", absent.join(", ")));
        }
        if !self.unpause && !paused.is_empty() {
            errors.push(format!("The following container(s) are paused: {}", paused.join(", ")));
        }
        if !errors.is_empty() {
            return Err(StateError::missing(errors.join(". ")));
        }
        let who = match targets.as_slice() {
            [one] => format!("Container '{one}' is "),
            _ => "All specified containers are ".into(),
        };
        let absent = if absent.is_empty() { "" } else { "absent or " };
        let mut plan = Plan::unchanged(format!("{who}{absent}not running"));
        let states = running.iter().map(|name| (name, "running")).chain(paused.iter().map(|name| (name, "paused")));
        let mut kwargs: Map = [("unpause", self.unpause)].into_iter().collect();
        if let Some(timeout) = self.shutdown_timeout.filter(|seconds| *seconds != 0) {
            kwargs.insert("timeout", timeout);
        }
        let mut names = vec![];
        for (name, state) in states {
            let after: Map = [("state", "stopped")].into_iter().collect();
            plan.push(call("stop", vec![name.as_str().into()], &kwargs), becomes("container", name, after));
            let told: Map =
                [("result", Value::Bool(true)), ("state", change(state, "stopped").into())].into_iter().collect();
            plan.changes.insert(name.as_str(), told);
            names.push(name.as_str());
        }
        let names = names.join(", ");
        Ok(plan.says(
            format!("The following container(s) will be stopped: {names}"),
            format!("The following container(s) were stopped: {names}"),
        ))
    }

    fn settle(&self, plan: &Plan, seen: &[Observed], _: &PlanCx<'_>) -> Result<Settled, StateError> {
        let mut settled = Settled::as_planned(plan);
        let mut errors = vec![];
        let names: Vec<String> = plan.changes.keys().map(python::str).collect();
        for (name, answer) in names.iter().zip(answers(seen)) {
            if answer.get("result").is_some_and(Value::truthy) {
                settled.changes.insert(name.as_str(), answer.clone());
            } else {
                settled.changes.remove(name);
                let said = answer.get("comment").map(python::str);
                errors.push(said.unwrap_or_else(|| format!("Failed to stop container '{name}'")));
            }
        }
        if !errors.is_empty() {
            settled.result = false;
            settled.comment = errors.join("; ");
        }
        Ok(settled)
    }
}
