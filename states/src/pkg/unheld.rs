//! `pkg.unheld`

use super::shared;
use corpus_core::decode::OneOrMany;
use corpus_core::{Plan, PlanCx, State, StateError, Value};
use serde::Deserialize;

/// Lets packages be upgraded again.
///
/// ```sls
/// postgresql-15:
///   pkg.unheld
/// ```
#[derive(Deserialize)]
pub struct Unheld {
    /// The package, unless `pkgs` lists several.
    pub name: String,
    /// Packages.
    pub pkgs: Option<OneOrMany<Value>>,
}

impl State for Unheld {
    const NAME: &'static str = "pkg.unheld";
    const WATCHES: bool = true;

    fn watch(&self, _: &PlanCx<'_>) -> Result<Plan, StateError> {
        Err(StateError::failed("pkg.unheld does not work with the watch requisite"))
    }

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let packages = shared::provider(cx)?;
        let names = shared::names(&self.name, self.pkgs.as_ref())?;
        let have = shared::installed(cx, &names)?;
        let list = names.join(", ");
        let mut plan = Plan::unchanged(format!("Package {list} is already unheld"));
        shared::plan_hold(packages, &have, &names, false, &mut plan)?;
        Ok(plan.says(format!("Package {list} is set to be unheld."), format!("Package {list} is now being unheld.")))
    }
}
