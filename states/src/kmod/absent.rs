//! `kmod.absent`

use super::shared;
use corpus_core::decode::OneOrMany;
use corpus_core::host::Command;
use corpus_core::{Effect, Plan, PlanCx, State, StateError, Value};
use corpus_exec::fns::kmod;
use serde::Deserialize;

/// Keeps kernel modules unloaded.
///
/// ```sls
/// pcspkr:
///   kmod.absent:
///     - persist: True
/// ```
#[derive(Deserialize)]
pub struct Absent {
    /// The module, unless `mods` lists several.
    pub name: String,
    /// Do not load it at boot, either.
    #[serde(default)]
    pub persist: bool,
    /// Accepted for Salt's sake: a line that loads it at boot is taken out.
    pub comment: Option<Value>,
    /// Modules.
    #[serde(default)]
    pub mods: OneOrMany<String>,
}

impl State for Absent {
    const NAME: &'static str = "kmod.absent";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let mods = shared::wanted(&self.name, &self.mods);
        let (mut plan, mut gone, mut boot) = (Plan::default(), vec![], vec![]);
        for module in &mods {
            let (loaded, at_boot) = shared::status(cx, module)?;
            if loaded {
                plan.push(Effect::Exec(Command::new(["rmmod", module])), vec![shared::fact(module, false)]);
            }
            if self.persist && at_boot {
                boot.push(module.clone());
            }
            if loaded || (self.persist && at_boot) {
                plan.changes.insert(module.as_str(), "removed");
                gone.push(module.clone());
            }
        }
        if !boot.is_empty() {
            plan.push(kmod::booting(cx.host, &[], &boot)?, vec![]);
        }
        plan.unchanged =
            shared::say(&mods, "Kernel module {} is already removed", "Kernel modules {} are already removed");
        let would =
            shared::say(&gone, "Kernel module {} is set to be removed", "Kernel modules {} are set to be removed");
        Ok(plan.says(would, shared::say(&gone, "Removed kernel module {}", "Removed kernel modules {}")))
    }
}
