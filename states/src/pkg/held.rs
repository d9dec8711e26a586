//! `pkg.held`

use super::shared;
use corpus_core::decode::OneOrMany;
use corpus_core::{Plan, PlanCx, State, StateError, Value};
use serde::Deserialize;

/// Keeps packages from being upgraded.
///
/// ```sls
/// postgresql-15:
///   pkg.held
/// ```
#[derive(Deserialize)]
pub struct Held {
    /// The package, unless `pkgs` lists several.
    pub name: String,
    /// Packages.
    pub pkgs: Option<OneOrMany<Value>>,
}

impl State for Held {
    const NAME: &'static str = "pkg.held";
    const WATCHES: bool = true;

    fn watch(&self, _: &PlanCx<'_>) -> Result<Plan, StateError> {
        Err(StateError::failed("pkg.held does not work with the watch requisite"))
    }

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let names = shared::names(&self.name, self.pkgs.as_ref())?;
        shared::plan_holds(cx, &names, true)
    }
}
