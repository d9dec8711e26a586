//! `apache_conf.disabled`

use crate::apache_module::shared::{self, What};
use corpus_core::plan::{Observed, Settled};
use corpus_core::{Plan, PlanCx, State, StateError};
use serde::Deserialize;

/// Keeps a piece of configuration of Apache disabled, as Debian does it.
///
/// ```sls
/// security:
///   apache_conf.disabled
/// ```
#[derive(Deserialize)]
pub struct Disabled {
    /// The piece of configuration.
    pub name: String,
}

impl State for Disabled {
    const NAME: &'static str = "apache_conf.disabled";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        What::Conf.plan(cx, &self.name, false)
    }

    fn settle(&self, plan: &Plan, seen: &[Observed], _: &PlanCx<'_>) -> Result<Settled, StateError> {
        Ok(shared::settle(plan, seen))
    }
}
