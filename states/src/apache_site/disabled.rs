//! `apache_site.disabled`

use crate::apache_module::shared::{self, What};
use corpus_core::plan::{Observed, Settled};
use corpus_core::{Plan, PlanCx, State, StateError};
use serde::Deserialize;

/// Keeps a site of Apache disabled, as Debian does it.
///
/// ```sls
/// example.org:
///   apache_site.disabled
/// ```
#[derive(Deserialize)]
pub struct Disabled {
    /// The site.
    pub name: String,
}

impl State for Disabled {
    const NAME: &'static str = "apache_site.disabled";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        What::Site.plan(cx, &self.name, false)
    }

    fn settle(&self, plan: &Plan, seen: &[Observed], _: &PlanCx<'_>) -> Result<Settled, StateError> {
        Ok(shared::settle(plan, seen))
    }
}
