//! `mount.fstab_absent`

use super::shared;
use corpus_core::{Plan, PlanCx, State, StateError, Value};
use serde::Deserialize;

/// Keeps a mount point out of `/etc/fstab`.
///
/// ```sls
/// /dev/sdb1:
///   mount.fstab_absent:
///     - fs_file: /srv/data
/// ```
#[derive(Deserialize)]
pub struct FstabAbsent {
    /// The device.
    pub name: String,
    /// The mount point.
    pub fs_file: String,
    /// Accepted for Salt's sake: the entry is known by its mount point.
    pub mount_by: Option<Value>,
    /// The table of file systems.
    #[serde(default = "fstab")]
    pub config: String,
}

fn fstab() -> String {
    "/etc/fstab".into()
}

impl State for FstabAbsent {
    const NAME: &'static str = "mount.fstab_absent";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let file = if self.fs_file == "/" { "/" } else { self.fs_file.trim_end_matches('/') };
        let config = &self.config;
        let Some(text) = shared::without(&shared::fstab(cx, config)?, file, None) else {
            return Ok(Plan::unchanged(format!("{file} entry is already missing in {config}.")));
        };
        Ok(Plan::default()
            .says(
                format!("{file} entry will be removed from {config}."),
                format!("{file} entry removed from {config}."),
            )
            .change("persist", "removed")
            .step(shared::write(config, text)))
    }
}
