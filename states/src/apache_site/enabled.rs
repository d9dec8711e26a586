//! `apache_site.enabled`

use crate::apache_module::shared::{self, What};
use corpus_core::plan::{Observed, Settled};
use corpus_core::{Plan, PlanCx, State, StateError};
use serde::Deserialize;

/// Keeps a site of Apache enabled, as Debian does it.
///
/// ```sls
/// example.org:
///   apache_site.enabled
/// ```
#[derive(Deserialize)]
pub struct Enabled {
    /// The site.
    pub name: String,
}

impl State for Enabled {
    const NAME: &'static str = "apache_site.enabled";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        What::Site.plan(cx, &self.name, true)
    }

    fn settle(&self, plan: &Plan, seen: &[Observed], _: &PlanCx<'_>) -> Result<Settled, StateError> {
        Ok(shared::settle(plan, seen))
    }
}
