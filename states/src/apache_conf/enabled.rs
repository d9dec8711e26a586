//! `apache_conf.enabled`

use crate::apache_module::shared::{self, What};
use corpus_core::plan::{Observed, Settled};
use corpus_core::{Plan, PlanCx, State, StateError};
use serde::Deserialize;

/// Keeps a piece of configuration of Apache enabled, as Debian does it.
///
/// ```sls
/// security:
///   apache_conf.enabled
/// ```
#[derive(Deserialize)]
pub struct Enabled {
    /// The piece of configuration.
    pub name: String,
}

impl State for Enabled {
    const NAME: &'static str = "apache_conf.enabled";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        What::Conf.plan(cx, &self.name, true)
    }

    fn settle(&self, plan: &Plan, seen: &[Observed], _: &PlanCx<'_>) -> Result<Settled, StateError> {
        Ok(shared::settle(plan, seen))
    }
}
