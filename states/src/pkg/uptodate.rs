//! `pkg.uptodate`

use super::shared;
use corpus_core::{Observed, Plan, PlanCx, Prediction, Settled, State, StateError};
use corpus_exec::pkg::{self, Options};
use serde::Deserialize;

/// Keeps all packages of the machine at the newest versions.
///
/// ```sls
/// everything:
///   pkg.uptodate:
///     - refresh: True
/// ```
#[derive(Deserialize)]
pub struct Uptodate {
    /// Only the declaration's name.
    pub name: String,
    /// Fetch the lists first.
    pub refresh: Option<bool>,
    /// Install and remove packages where an upgrade needs it.
    #[serde(default = "yes")]
    pub dist_upgrade: bool,
}

fn yes() -> bool {
    true
}

impl State for Uptodate {
    const NAME: &'static str = "pkg.uptodate";
    const WATCHES: bool = true;
    const OPEN: bool = true;

    fn watch(&self, _: &PlanCx<'_>) -> Result<Plan, StateError> {
        Err(StateError::failed("pkg.uptodate does not work with the watch requisite"))
    }

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let packages = shared::provider(cx)?;
        let have = packages.installed(cx.host)?;
        let offered = packages.upgrades(cx.host)?;
        if offered.is_empty() {
            return Ok(Plan::unchanged("System is already up-to-date"));
        }
        let mut plan = Plan::default().says("System update will be performed", "Upgrade ran successfully");
        for (name, new) in &offered {
            plan.changes.insert(name.as_str(), shared::change(&have.version(name).unwrap_or_default(), new));
        }
        if shared::needs_refresh(cx, packages, self.refresh) {
            plan.steps.push(shared::refresh_step(packages));
        }
        for command in packages.upgrade(&Options::default(), self.dist_upgrade) {
            plan.steps.push(pkg::judged(command, vec![Prediction::Opaque]));
        }
        plan.memo = have.to_value();
        Ok(plan)
    }

    fn settle(&self, plan: &Plan, seen: &[Observed], cx: &PlanCx<'_>) -> Result<Settled, StateError> {
        if plan.steps.is_empty() {
            return Ok(Settled::as_planned(plan));
        }
        let (changes, _, failure) = shared::outcome(cx, plan, seen)?;
        Ok(match failure {
            Some(said) => Settled { result: false, changes, comment: format!("Failed to upgrade packages: {said}") },
            None => Settled { result: true, changes, comment: plan.did.clone() },
        })
    }
}
