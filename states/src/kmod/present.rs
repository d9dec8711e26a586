//! `kmod.present`

use super::shared;
use corpus_core::decode::OneOrMany;
use corpus_core::host::Command;
use corpus_core::{Effect, Plan, PlanCx, State, StateError};
use corpus_exec::fns::kmod;
use serde::Deserialize;

/// Keeps kernel modules loaded.
///
/// ```sls
/// br_netfilter:
///   kmod.present:
///     - persist: True
/// ```
#[derive(Deserialize)]
pub struct Present {
    /// The module, unless `mods` lists several.
    pub name: String,
    /// Load it at boot, too.
    #[serde(default)]
    pub persist: bool,
    /// Modules.
    #[serde(default)]
    pub mods: OneOrMany<String>,
}

impl State for Present {
    const NAME: &'static str = "kmod.present";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let (mut already, mut missing, mut unavailable) = (vec![], vec![], vec![]);
        let mut plan = Plan::default();
        let mut persist = vec![];
        for module in shared::wanted(&self.name, &self.mods) {
            let (loaded, at_boot) = shared::status(cx, &module)?;
            if loaded && (at_boot || !self.persist) {
                already.push(module);
                continue;
            }
            if !loaded {
                if !kmod::available(cx.host, &module)? {
                    unavailable.push(module);
                    continue;
                }
                plan.push(Effect::Exec(Command::new(["modprobe", &module])), vec![shared::fact(&module, true)]);
            }
            if self.persist && !at_boot {
                persist.push(module.clone());
            }
            plan.changes.insert(module.as_str(), "loaded");
            missing.push(module);
        }
        let present =
            shared::say(&already, "Kernel module {} is already present", "Kernel modules {} are already present");
        if !unavailable.is_empty() {
            let text =
                shared::say(&unavailable, "Kernel module {} is unavailable", "Kernel modules {} are unavailable");
            return Err(StateError::missing(shared::lines(&[present, text])));
        }
        if !persist.is_empty() {
            plan.push(kmod::booting(cx.host, &persist, &[])?, vec![]);
        }
        let would =
            shared::say(&missing, "Kernel module {} is set to be loaded", "Kernel modules {} are set to be loaded");
        let did = shared::say(&missing, "Loaded kernel module {}", "Loaded kernel modules {}");
        plan.unchanged.clone_from(&present);
        Ok(plan.says(shared::lines(&[present.clone(), would]), shared::lines(&[present, did])))
    }
}
