//! `ssh_known_hosts.absent`

use super::shared;
use corpus_core::{Map, Plan, PlanCx, State, StateError, Value};
use corpus_exec::fns::ssh;
use serde::Deserialize;

/// Keeps a host from being known.
///
/// ```sls
/// old.example.org:
///   ssh_known_hosts.absent:
///     - user: deploy
/// ```
#[derive(Deserialize)]
pub struct Absent {
    /// The host.
    pub name: String,
    /// Whose file it is; all users' if not given.
    pub user: Option<String>,
    /// The file, instead of `.ssh/known_hosts` or `/etc/ssh/ssh_known_hosts`.
    pub config: Option<String>,
}

impl State for Absent {
    const NAME: &'static str = "ssh_known_hosts.absent";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let known = shared::known(cx, self.user.as_deref(), self.config.as_deref())?;
        let have = ssh::find(&known.text, &self.name, None);
        if have.is_empty() {
            return Ok(Plan::unchanged("Host is already absent"));
        }
        let mut plan = Plan::default().says(
            format!("Key for {} is set to be removed from {}", self.name, known.shown),
            format!("Known hosts file {} updated", known.path),
        );
        let old = Value::list(have.iter().map(|key| key.to_value(None)).collect());
        plan.changes = [("old", old), ("new", Value::Null)].into_iter().collect::<Map>();
        let text = ssh::without(&known.text, &self.name, None);
        shared::write(cx, &known, self.user.as_deref(), text, &mut plan)?;
        Ok(plan)
    }
}
