//! `lvm.lv_absent`

use super::shared;
use corpus_core::plan::{Observed, Settled};
use corpus_core::{Plan, PlanCx, State, StateError};
use corpus_exec::fns::lvm::{self, Kind};
use serde::Deserialize;

/// Keeps a logical volume away.
///
/// ```sls
/// media:
///   lvm.lv_absent:
///     - vgname: data
/// ```
#[derive(Deserialize)]
pub struct LvAbsent {
    /// The logical volume.
    pub name: String,
    /// Its volume group.
    pub vgname: String,
}

impl State for LvAbsent {
    const NAME: &'static str = "lvm.lv_absent";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let name = &self.name;
        let volume = format!("/dev/{}/{name}", self.vgname);
        if shared::find(cx, Kind::Lv, &volume)?.is_none() {
            return Ok(Plan::unchanged(format!("Logical Volume {name} already absent")));
        }
        let mut plan = Plan::default();
        plan.exec(
            lvm::command(&["lvremove", &format!("{}/{name}", self.vgname), "--yes"], &[]),
            shared::becomes(Kind::Lv, &volume, false),
        );
        plan.memo = format!("Failed to remove Logical Volume {name}").into();
        let removed = format!("Logical volume \"{name}\" successfully removed");
        Ok(plan
            .change("removed", removed)
            .says(format!("Logical Volume {name} is set to be removed"), format!("Removed Logical Volume {name}")))
    }

    fn settle(&self, plan: &Plan, seen: &[Observed], _: &PlanCx<'_>) -> Result<Settled, StateError> {
        Ok(shared::settle(plan, seen))
    }
}
