//! `selinux.mode`

use super::shared;
use corpus_core::host::Command;
use corpus_core::plan::{Observed, Settled};
use corpus_core::{Effect, Map, Plan, PlanCx, Prediction, State, StateError};
use corpus_exec::fns::selinux;
use serde::Deserialize;

/// Keeps the mode of SELinux, now and after a reboot. To or from `disabled` a reboot is needed, which is the user's.
///
/// ```sls
/// enforcing:
///   selinux.mode
/// ```
#[derive(Deserialize)]
pub struct Mode {
    /// `enforcing`, `permissive` or `disabled`.
    pub name: String,
}

impl State for Mode {
    const NAME: &'static str = "selinux.mode";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let word = self.name.to_lowercase();
        let target = match word.as_str() {
            "1" | "on" => "Enforcing",
            "0" | "off" => "Permissive",
            word if word.starts_with('e') => "Enforcing",
            word if word.starts_with('p') => "Permissive",
            word if word.starts_with('d') => "Disabled",
            _ => return Err(StateError::failed(format!("{} is not an accepted mode", self.name))),
        };
        shared::tools(cx)?;
        let running = match cx.host.predicted("selinux:mode") {
            Some(mode) => corpus_core::python::str(&mode),
            None => selinux::running(cx.host)?,
        };
        let configured = selinux::configured(cx.host)?;
        let right = configured.as_deref() == Some(target);
        // A kernel that runs with SELinux goes on with it until its end.
        let done = running == target || (target == "Disabled" && running == "Permissive");
        if done && (right || (configured.is_none() && running == target)) {
            return Ok(Plan::unchanged(format!("SELinux is already in {target} mode")));
        }
        if right && running == "Disabled" {
            return Ok(Plan::failed(failure(target)));
        }
        let before = if running == target { configured.unwrap_or_else(|| running.clone()) } else { running.clone() };
        let mut plan = Plan::default().change("old", before).change("new", target);
        let now = if target == "Enforcing" { "Enforcing" } else { "Permissive" };
        if running != "Disabled" && running != now {
            let switch = if now == "Enforcing" { "1" } else { "0" };
            plan.exec(Command::new(["setenforce", switch]), vec![Prediction::Fact("selinux:mode".into(), now.into())]);
        }
        match selinux::with_mode(cx.host, target)? {
            Some((path, text)) if !right => plan.push(Effect::text(path, text), vec![]),
            Some(_) => {}
            None => {
                return Err(StateError::missing("Could not read SELinux config file: there is no /etc/selinux/config"));
            }
        }
        // It cannot be switched on while the kernel runs without it.
        plan.memo = (running == "Disabled" && target != "Disabled").into();
        Ok(plan.says(
            format!("SELinux mode is set to be changed to {target}"),
            format!("SELinux has been set to {target} mode"),
        ))
    }

    fn settle(&self, plan: &Plan, _: &[Observed], _: &PlanCx<'_>) -> Result<Settled, StateError> {
        if !plan.memo.truthy() {
            return Ok(Settled::as_planned(plan));
        }
        let target = plan.changes.str("new").unwrap_or_default();
        Ok(Settled { result: false, changes: Map::new(), comment: failure(target) })
    }
}

fn failure(target: &str) -> String {
    format!("Failed to set SELinux to {target} mode: it is configured, and a reboot switches it on")
}
