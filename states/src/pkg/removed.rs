//! `pkg.removed`

use super::shared;
use corpus_core::{Observed, Plan, PlanCx, Settled, State, StateError, Value};
use serde::Deserialize;

/// Keeps packages away; their configuration stays.
///
/// ```sls
/// telnetd:
///   pkg.removed
/// ```
#[derive(Deserialize)]
pub struct Removed {
    /// The package, unless `pkgs` lists several.
    pub name: String,
    /// Only this version.
    pub version: Option<String>,
    /// Packages, each with a version or not.
    pub pkgs: Option<Vec<Value>>,
    /// Accepted for Salt's sake: names are taken as written.
    pub normalize: Option<Value>,
    /// Accepted for Salt's sake.
    pub ignore_epoch: Option<Value>,
}

impl State for Removed {
    const NAME: &'static str = "pkg.removed";
    const WATCHES: bool = true;
    const OPEN: bool = true;

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let wanted = shared::wanted(&self.name, self.version.as_ref(), self.pkgs.as_ref())?;
        shared::plan_removal(cx, &wanted, false)
    }

    fn settle(&self, plan: &Plan, seen: &[Observed], cx: &PlanCx<'_>) -> Result<Settled, StateError> {
        let wanted = shared::wanted(&self.name, self.version.as_ref(), self.pkgs.as_ref())?;
        shared::settle_removal(cx, plan, seen, &wanted, false)
    }
}
