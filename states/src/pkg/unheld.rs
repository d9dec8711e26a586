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
    /// Let go all that are held.
    #[serde(default)]
    pub all: bool,
}

impl State for Unheld {
    const NAME: &'static str = "pkg.unheld";
    const WATCHES: bool = true;

    fn watch(&self, _: &PlanCx<'_>) -> Result<Plan, StateError> {
        Err(StateError::failed("pkg.unheld does not work with the watch requisite"))
    }

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let mut names = match self.all {
            true => vec![],
            false => shared::names(&self.name, self.pkgs.as_ref())?,
        };
        if self.all {
            names.extend(shared::installed(cx, &[])?.held.iter().cloned());
            names.sort();
        }
        shared::plan_holds(cx, &names, false)
    }
}
