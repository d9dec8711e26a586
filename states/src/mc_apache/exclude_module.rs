//! `mc_apache.exclude_module`

use super::shared;
use corpus_core::decode::OneOrMany;
use corpus_core::{Plan, PlanCx, State, StateError};
use serde::Deserialize;

/// Keeps modules of Apache disabled. From the makina-states tree, kept for it.
///
/// ```sls
/// svn-modules:
///   mc_apache.exclude_module:
///     - modules:
///       - dav_svn
///       - ldap
/// ```
#[derive(Deserialize)]
pub struct ExcludeModule {
    /// Any name.
    pub name: String,
    /// The modules.
    #[serde(default)]
    pub modules: OneOrMany<String>,
}

impl State for ExcludeModule {
    const NAME: &'static str = "mc_apache.exclude_module";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        shared::plan(cx, &self.modules.0, false)
    }
}
