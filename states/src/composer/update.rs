//! `composer.update`

use super::shared;
use corpus_core::plan::{Observed, Settled};
use corpus_core::{Plan, PlanCx, State, StateError, Value};
use corpus_exec::ask;
use serde::Deserialize;

/// Keeps what a directory's `composer.json` asks for at the newest versions that it allows.
///
/// ```sls
/// /srv/app:
///   composer.update:
///     - user: app
/// ```
#[derive(Deserialize)]
pub struct Update {
    /// The directory, where `composer.json` is.
    pub name: String,
    /// Composer's program, if it is not on the search path.
    pub composer: Option<String>,
    /// PHP's program.
    pub php: Option<String>,
    /// User who runs composer.
    pub user: Option<String>,
    /// Take packages from their repositories.
    #[serde(default)]
    pub prefer_source: bool,
    /// Take packages as archives.
    #[serde(default)]
    pub prefer_dist: bool,
    /// Run no scripts.
    #[serde(default)]
    pub no_scripts: bool,
    /// Load no plugins.
    #[serde(default)]
    pub no_plugins: bool,
    /// Make the autoloader fast.
    #[serde(default)]
    pub optimize: bool,
    /// Leave out what only development needs.
    #[serde(default)]
    pub no_dev: bool,
    /// Tell nothing of what composer says.
    #[serde(default)]
    pub quiet: bool,
    /// Composer's own directory.
    #[serde(default = "shared::home")]
    pub composer_home: String,
    /// Variables of the environment.
    pub env: Option<Value>,
}

impl State for Update {
    const NAME: &'static str = "composer.update";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let name = &self.name;
        let not = if ask::exists(cx.host, format!("{name}/vendor")) { "" } else { "not yet " };
        let now = format!("composer install has {not}been run in {name}");
        shared::given!(self).plan(cx, "update", &now, &format!("composer install/update will be run in {name}"))
    }

    fn settle(&self, plan: &Plan, seen: &[Observed], _: &PlanCx<'_>) -> Result<Settled, StateError> {
        Ok(shared::given!(self).settle(plan, seen))
    }
}
