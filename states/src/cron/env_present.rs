//! `cron.env_present`

use super::shared;
use corpus_core::{Plan, PlanCx, State, StateError};
use serde::Deserialize;

/// Keeps a variable in a user's crontab.
///
/// ```sls
/// MAILTO:
///   cron.env_present:
///     - value: ops@example.org
/// ```
#[derive(Deserialize)]
pub struct EnvPresent {
    /// The variable.
    pub name: String,
    /// Its value; empty if not given.
    pub value: Option<String>,
    /// Whose crontab.
    #[serde(default = "root")]
    pub user: String,
}

fn root() -> String {
    "root".into()
}

impl State for EnvPresent {
    const NAME: &'static str = "cron.env_present";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let mut tab = shared::read(cx, &self.user)?;
        let outcome = tab.set_env(&self.name, self.value.as_deref().unwrap_or_default());
        Ok(shared::plan("Cron env", &self.name, &self.user, &tab, outcome, cx.test))
    }
}
