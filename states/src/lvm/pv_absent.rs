//! `lvm.pv_absent`

use super::shared;
use corpus_core::plan::{Observed, Settled};
use corpus_core::{Plan, PlanCx, State, StateError};
use corpus_exec::fns::lvm::{self, Kind};
use serde::Deserialize;

/// Keeps a physical volume away.
///
/// ```sls
/// /dev/sdb:
///   lvm.pv_absent
/// ```
#[derive(Deserialize)]
pub struct PvAbsent {
    /// The physical volume.
    pub name: String,
}

impl State for PvAbsent {
    const NAME: &'static str = "lvm.pv_absent";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let name = &self.name;
        let volume = name.clone();
        if shared::find(cx, Kind::Pv, &volume)?.is_none() {
            return Ok(Plan::unchanged(format!("Physical Volume {name} does not exist")));
        }
        let mut plan = Plan::default();
        plan.exec(lvm::command(&["pvremove", "--yes", name], &[]), shared::becomes(Kind::Pv, &volume, false));
        plan.memo = format!("Failed to remove Physical Volume {name}").into();
        let removed = true;
        Ok(plan
            .change("removed", removed)
            .says(format!("Physical Volume {name} is set to be removed"), format!("Removed Physical Volume {name}")))
    }

    fn settle(&self, plan: &Plan, seen: &[Observed], _: &PlanCx<'_>) -> Result<Settled, StateError> {
        Ok(shared::settle(plan, seen))
    }
}
