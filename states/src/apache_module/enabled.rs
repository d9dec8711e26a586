//! `apache_module.enabled`

use super::shared::{self, What};
use corpus_core::plan::{Observed, Settled};
use corpus_core::{Plan, PlanCx, State, StateError};
use serde::Deserialize;

/// Keeps a module of Apache enabled, as Debian does it.
///
/// ```sls
/// rewrite:
///   apache_module.enabled
/// ```
#[derive(Deserialize)]
pub struct Enabled {
    /// The module.
    pub name: String,
}

impl State for Enabled {
    const NAME: &'static str = "apache_module.enabled";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        What::Module.plan(cx, &self.name, true)
    }

    fn settle(&self, plan: &Plan, seen: &[Observed], _: &PlanCx<'_>) -> Result<Settled, StateError> {
        Ok(shared::settle(plan, seen))
    }
}
