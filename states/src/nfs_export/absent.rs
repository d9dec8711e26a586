//! `nfs_export.absent`

use super::shared;
use corpus_core::plan::{Observed, Settled};
use corpus_core::{Plan, PlanCx, State, StateError};
use serde::Deserialize;

/// Keeps a directory from being shared over NFS.
///
/// ```sls
/// /srv/media:
///   nfs_export.absent
/// ```
#[derive(Deserialize)]
pub struct Absent {
    /// The directory.
    pub name: String,
    /// The table.
    #[serde(default = "shared::table")]
    pub exports: String,
}

impl State for Absent {
    const NAME: &'static str = "nfs_export.absent";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let (mut file, path) = (shared::read(cx, &self.exports)?, &self.name);
        let Some(old) = file.all().get(path).cloned() else {
            return Ok(Plan::unchanged(format!("Export {path} already absent")));
        };
        let mut plan = Plan::default().change(path.as_str(), old);
        file.set(path, None);
        shared::write(&mut plan, &file);
        Ok(plan.says(format!("Export {path} would be removed"), format!("Export {path} removed")))
    }

    fn settle(&self, plan: &Plan, seen: &[Observed], _: &PlanCx<'_>) -> Result<Settled, StateError> {
        Ok(shared::settle(plan, seen))
    }
}
