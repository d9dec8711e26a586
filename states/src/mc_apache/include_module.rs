//! `mc_apache.include_module`

use super::shared;
use corpus_core::decode::OneOrMany;
use corpus_core::{Plan, PlanCx, State, StateError};
use serde::Deserialize;

/// Keeps modules of Apache enabled. From the makina-states tree, kept for it.
///
/// ```sls
/// svn-modules:
///   mc_apache.include_module:
///     - modules:
///       - dav_svn
///       - ldap
/// ```
#[derive(Deserialize)]
pub struct IncludeModule {
    /// Any name.
    pub name: String,
    /// The modules.
    #[serde(default)]
    pub modules: OneOrMany<String>,
}

impl State for IncludeModule {
    const NAME: &'static str = "mc_apache.include_module";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        shared::plan(cx, &self.modules.0, true)
    }
}
