//! `lvm.vg_absent`

use super::shared;
use corpus_core::plan::{Observed, Settled};
use corpus_core::{Plan, PlanCx, State, StateError};
use corpus_exec::fns::lvm::{self, Kind};
use serde::Deserialize;

/// Keeps a volume group away.
///
/// ```sls
/// data:
///   lvm.vg_absent
/// ```
#[derive(Deserialize)]
pub struct VgAbsent {
    /// The volume group.
    pub name: String,
}

impl State for VgAbsent {
    const NAME: &'static str = "lvm.vg_absent";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let name = &self.name;
        let volume = name.clone();
        if shared::find(cx, Kind::Vg, &volume)?.is_none() {
            return Ok(Plan::unchanged(format!("Volume Group {name} already absent")));
        }
        let mut plan = Plan::default();
        plan.exec(lvm::command(&["vgremove", name, "--yes"], &[]), shared::becomes(Kind::Vg, &volume, false));
        plan.memo = format!("Failed to remove Volume Group {name}").into();
        let removed = format!("Volume group \"{name}\" successfully removed");
        Ok(plan
            .change("removed", removed)
            .says(format!("Volume Group {name} is set to be removed"), format!("Removed Volume Group {name}")))
    }

    fn settle(&self, plan: &Plan, seen: &[Observed], _: &PlanCx<'_>) -> Result<Settled, StateError> {
        Ok(shared::settle(plan, seen))
    }
}
