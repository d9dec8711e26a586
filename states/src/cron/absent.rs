//! `cron.absent`

use super::shared;
use corpus_core::{Plan, PlanCx, State, StateError, Value, python};
use corpus_exec::cron::When;
use serde::Deserialize;

/// Removes a job from a user's crontab.
///
/// ```sls
/// /usr/local/bin/backup:
///   cron.absent:
///     - identifier: backup
/// ```
#[derive(Deserialize)]
pub struct Absent {
    /// The command.
    pub name: String,
    /// Whose crontab.
    #[serde(default = "root")]
    pub user: String,
    /// The job's identifier, if not its command.
    pub identifier: Option<Value>,
    /// Remove only a job of this `@daily` and its kin.
    pub special: Option<String>,
    /// Accepted for Salt's sake; the command or identifier decides.
    pub minute: Option<Value>,
    /// Accepted for Salt's sake.
    pub hour: Option<Value>,
    /// Accepted for Salt's sake.
    pub daymonth: Option<Value>,
    /// Accepted for Salt's sake.
    pub month: Option<Value>,
    /// Accepted for Salt's sake.
    pub dayweek: Option<Value>,
    /// Accepted for Salt's sake.
    pub comment: Option<Value>,
}

fn root() -> String {
    "root".into()
}

impl State for Absent {
    const NAME: &'static str = "cron.absent";
    const OPEN: bool = true;

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let name = self.name.trim();
        let identifier = match &self.identifier {
            None | Some(Value::Bool(false)) => Some(name.to_owned()),
            Some(Value::Null) => None,
            Some(value) => Some(python::str(value)),
        };
        let mut tab = shared::read(cx, &self.user)?;
        let outcome = tab.remove(name, identifier.as_deref(), &|when| match (when, &self.special) {
            (When::Times(_), None) => true,
            (When::Special(have), Some(want)) => have == want,
            _ => false,
        });
        Ok(shared::plan("Cron", name, &self.user, &tab, outcome, cx.test))
    }
}
