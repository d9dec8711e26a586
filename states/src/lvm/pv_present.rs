//! `lvm.pv_present`

use super::shared;
use corpus_core::plan::{Observed, Settled};
use corpus_core::{Plan, PlanCx, State, StateError};
use corpus_exec::fns::lvm::{self, Kind};
use serde::Deserialize;

const OPTIONS: &[&str] = &[
    "metadatasize",
    "dataalignment",
    "dataalignmentoffset",
    "pvmetadatacopies",
    "metadatacopies",
    "metadataignore",
    "restorefile",
    "norestorefile",
    "labelsector",
    "setphysicalvolumesize",
];

/// Keeps a device a physical volume of LVM. Options of `pvcreate` may be given, such as `dataalignment`.
///
/// ```sls
/// /dev/sdb:
///   lvm.pv_present
/// ```
#[derive(Deserialize)]
pub struct PvPresent {
    /// The device.
    pub name: String,
}

impl State for PvPresent {
    const NAME: &'static str = "lvm.pv_present";
    const OPEN: bool = true;

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let name = &self.name;
        if shared::find(cx, Kind::Pv, name)?.is_some() {
            return Ok(Plan::unchanged(format!("Physical Volume {name} already present")));
        }
        if cx.host.stat(name.as_ref())?.is_none() {
            return Err(StateError::missing(format!("Failed to create Physical Volume {name}. {name} does not exist")));
        }
        let mut plan = Plan::default();
        let command = lvm::command(&["pvcreate", "--yes", name], &shared::options(cx, OPTIONS));
        plan.exec(command, shared::becomes(Kind::Pv, name, true));
        plan.memo = format!("Failed to create Physical Volume {name}").into();
        Ok(plan
            .change("created", true)
            .says(format!("Physical Volume {name} is set to be created"), format!("Created Physical Volume {name}")))
    }

    fn settle(&self, plan: &Plan, seen: &[Observed], _: &PlanCx<'_>) -> Result<Settled, StateError> {
        Ok(shared::settle(plan, seen))
    }
}
