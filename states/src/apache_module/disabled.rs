//! `apache_module.disabled`

use super::shared::{self, What};
use corpus_core::plan::{Observed, Settled};
use corpus_core::{Plan, PlanCx, State, StateError};
use serde::Deserialize;

/// Keeps a module of Apache disabled, as Debian does it.
///
/// ```sls
/// rewrite:
///   apache_module.disabled
/// ```
#[derive(Deserialize)]
pub struct Disabled {
    /// The module.
    pub name: String,
}

impl State for Disabled {
    const NAME: &'static str = "apache_module.disabled";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        What::Module.plan(cx, &self.name, false)
    }

    fn settle(&self, plan: &Plan, seen: &[Observed], _: &PlanCx<'_>) -> Result<Settled, StateError> {
        Ok(shared::settle(plan, seen))
    }
}
