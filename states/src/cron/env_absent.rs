//! `cron.env_absent`

use super::shared;
use corpus_core::{Plan, PlanCx, State, StateError};
use serde::Deserialize;

/// Removes a variable from a user's crontab.
///
/// ```sls
/// MAILTO:
///   cron.env_absent
/// ```
#[derive(Deserialize)]
pub struct EnvAbsent {
    /// The variable.
    pub name: String,
    /// Whose crontab.
    #[serde(default = "root")]
    pub user: String,
}

fn root() -> String {
    "root".into()
}

impl State for EnvAbsent {
    const NAME: &'static str = "cron.env_absent";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let name = self.name.trim();
        let mut tab = shared::read(cx, &self.user)?;
        let outcome = tab.remove_env(name);
        Ok(shared::plan("Cron env", name, &self.user, &tab, outcome, cx.test))
    }
}
