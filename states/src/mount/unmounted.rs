//! `mount.unmounted`

use super::shared;
use corpus_core::host::Command;
use corpus_core::{Effect, Plan, PlanCx, State, StateError, Value};
use serde::Deserialize;

/// Keeps a file system from being mounted.
///
/// ```sls
/// /mnt/old:
///   mount.unmounted:
///     - persist: True
/// ```
#[derive(Deserialize)]
pub struct Unmounted {
    /// The mount point.
    pub name: String,
    /// Only this device.
    pub device: Option<String>,
    /// The table of file systems.
    #[serde(default = "fstab")]
    pub config: String,
    /// Take it out of the table.
    #[serde(default)]
    pub persist: bool,
    /// Accepted for Salt's sake.
    pub user: Option<Value>,
}

fn fstab() -> String {
    "/etc/fstab".into()
}

impl State for Unmounted {
    const NAME: &'static str = "mount.unmounted";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let name = if self.name == "/" { "/" } else { self.name.trim_end_matches('/') };
        let mut plan = Plan::unchanged("Target was already unmounted");
        let (mut would, mut did) =
            ("Target was already unmounted".to_owned(), "Target was already unmounted".to_owned());
        let device = self.device.as_ref().map(|device| shared::resolve(cx, device));
        let mounted = shared::mounted_at(cx, name)?
            .is_some_and(|entry| device.as_ref().is_none_or(|device| entry.device == *device));
        if mounted {
            plan.push(Effect::Exec(Command::new(["umount", name])), vec![shared::fact(name, None)]);
            plan.changes.insert("umount", true);
            would = format!("Mount point {name} is mounted but should not be");
            did = "Target was successfully unmounted".into();
        }
        if self.persist
            && let Some(text) = shared::without(&shared::fstab(cx, &self.config)?, name, self.device.as_deref())
        {
            plan.push(shared::write(&self.config, text), vec![]);
            plan.changes.insert("persist", "purged");
            would +=
                &format!(". Mount point {name} is set to be unmounted but needs to be purged from {}", self.config);
            did += ". Removed target from fstab";
        }
        Ok(plan.says(would, did))
    }
}
