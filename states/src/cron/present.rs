//! `cron.present`

use super::shared;
use corpus_core::{Plan, PlanCx, State, StateError, Value, python};
use corpus_exec::cron::{Job, When};
use serde::Deserialize;

/// Keeps a job in a user's crontab.
///
/// The job is known by its `identifier`, or by its command if none is given.
///
/// ```sls
/// /usr/local/bin/backup:
///   cron.present:
///     - identifier: backup
///     - minute: 0
///     - hour: 2
/// ```
#[derive(Deserialize)]
pub struct Present {
    /// The command.
    pub name: String,
    /// Whose crontab.
    #[serde(default = "root")]
    pub user: String,
    /// Minute; `random` draws one and keeps it.
    #[serde(default = "star")]
    pub minute: Value,
    /// Hour.
    #[serde(default = "star")]
    pub hour: Value,
    /// Day of the month.
    #[serde(default = "star")]
    pub daymonth: Value,
    /// Month.
    #[serde(default = "star")]
    pub month: Value,
    /// Day of the week.
    #[serde(default = "star")]
    pub dayweek: Value,
    /// Text above the job.
    pub comment: Option<String>,
    /// Keep the job, switched off.
    #[serde(default)]
    pub commented: bool,
    /// A name that stays the same when the command changes; `False` is the command itself.
    pub identifier: Option<Value>,
    /// `@daily` and its kin, instead of the times.
    pub special: Option<String>,
}

fn root() -> String {
    "root".into()
}

fn star() -> Value {
    "*".into()
}

impl State for Present {
    const NAME: &'static str = "cron.present";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let name = self.name.trim();
        let identifier = match &self.identifier {
            None | Some(Value::Bool(false)) => Some(name.to_owned()),
            Some(Value::Null) => None,
            Some(value) => Some(python::str(value)),
        };
        let when = match &self.special {
            Some(special) => When::Special(special.clone()),
            None => When::Times(
                [&self.minute, &self.hour, &self.daymonth, &self.month, &self.dayweek]
                    .map(|value| if value.is_null() { "*".into() } else { python::str(value).to_lowercase() }),
            ),
        };
        let seed = format!("{}\0{}\0{}", cx.data.id, self.user, identifier.as_deref().unwrap_or(name));
        let job = Job { when, cmd: name.into(), identifier, comment: self.comment.clone(), commented: self.commented };
        let mut tab = shared::read(cx, &self.user)?;
        let outcome = tab.set(job, &seed);
        Ok(shared::plan("Cron", name, &self.user, &tab, outcome, cx.test))
    }
}
