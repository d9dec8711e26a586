//! `raid.absent`

use super::shared::{self, becomes};
use corpus_core::host::Command;
use corpus_core::{Plan, PlanCx, State, StateError, Value, python};
use corpus_exec::fns::raid;
use serde::Deserialize;

/// Keeps an array of disks away: it is stopped, and its devices no longer know of it.
///
/// ```sls
/// /dev/md0:
///   raid.absent
/// ```
#[derive(Deserialize)]
pub struct Absent {
    /// The array's device.
    pub name: String,
}

impl State for Absent {
    const NAME: &'static str = "raid.absent";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let name = &self.name;
        if shared::find(cx, name)?.is_none() {
            return Ok(Plan::unchanged(format!("Raid {name} already absent")));
        }
        // Salt tells no changes; that an array is gone is one.
        let mut plan = Plan::default()
            .says(format!("Raid {name} is set to be destroyed"), format!("Raid {name} has been destroyed"))
            .change(name.as_str(), "Absent");
        plan.exec(Command::new(["mdadm", "--stop", name.as_str()]), becomes(name, Value::Null));
        if cx.host.predicted(&shared::fact(name)).is_none() {
            let detail = raid::detail(cx.host, name)?;
            let members = detail.get("members").and_then(Value::as_map).cloned().unwrap_or_default();
            let mut zero = Command::new(["mdadm", "--zero-superblock"]);
            zero.argv.extend(members.values().filter_map(|member| member.get("device")).map(python::str));
            if zero.argv.len() > 2 {
                plan.exec(zero, vec![]);
            }
        }
        shared::forget(cx, name, &mut plan)?;
        Ok(plan)
    }
}
