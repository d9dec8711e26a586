//! `mount.swap`

use super::shared;
use corpus_core::host::Command;
use corpus_core::{Effect, Plan, PlanCx, Prediction, State, StateError};
use corpus_exec::ask;
use serde::Deserialize;

/// Keeps a swap device in use, and in `/etc/fstab`.
///
/// ```sls
/// /swapfile:
///   mount.swap
/// ```
#[derive(Deserialize)]
pub struct Swap {
    /// The device or file.
    pub name: String,
    /// Write it into the table of file systems.
    #[serde(default = "yes")]
    pub persist: bool,
    /// The table of file systems.
    #[serde(default = "fstab")]
    pub config: String,
}

fn yes() -> bool {
    true
}

fn fstab() -> String {
    "/etc/fstab".into()
}

impl State for Swap {
    const NAME: &'static str = "mount.swap";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let (name, fact) = (&self.name, format!("swap:{}", self.name));
        let device = match cx.host.read_link(name.as_ref()) {
            Ok(target) if target.is_absolute() => target.to_string_lossy().into_owned(),
            Ok(target) => format!("/dev/{}", target.file_name().unwrap_or_default().to_string_lossy()),
            Err(_) => name.clone(),
        };
        let on = match cx.host.predicted(&fact) {
            Some(known) => known.truthy(),
            None => {
                let text = ask::text(cx.host, "/proc/swaps")?.unwrap_or_default();
                text.lines().skip(1).filter_map(|line| line.split_whitespace().next()).any(|have| have == device)
            }
        };
        let mut plan = Plan::default();
        let (mut would, mut did) = (format!("Swap {name} already active"), format!("Swap {name} already active"));
        if !on {
            plan.push(Effect::Exec(Command::new(["swapon", &device])), vec![Prediction::Fact(fact, true.into())]);
            plan.changes.insert("device", device.as_str());
            (would, did) = (format!("Swap {name} is set to be activated"), format!("Swap {name} activated"));
        }
        if self.persist {
            let text = shared::fstab(cx, &self.config)?;
            // Salt keeps one entry without a mount point; there may be several devices to swap to.
            if !text.lines().filter_map(shared::parse).any(|entry| entry.device == *name && entry.fstype == "swap") {
                let newline = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
                let text = format!("{text}{newline}{name}\t\tnone\tswap\tdefaults\t0 0\n");
                plan.push(shared::write(&self.config, text), vec![]);
                plan.changes.insert("persist", "new");
                if on {
                    would = format!("Swap {name} is set to be added to the fstab and to be activated");
                }
                did += ". Added new entry to the fstab.";
            }
        }
        plan.unchanged.clone_from(&did);
        Ok(plan.says(would, did))
    }
}
