//! `webutil.user_absent`

use super::shared;
use corpus_core::plan::{Observed, Settled};
use corpus_core::{Command, Plan, PlanCx, Prediction, State, StateError};
use corpus_exec::fns::webutil;
use serde::Deserialize;

/// Keeps a user out of a file of `htpasswd`.
///
/// ```sls
/// joe:
///   webutil.user_absent:
///     - htpasswd_file: /etc/nginx/htpasswd
/// ```
#[derive(Deserialize)]
pub struct UserAbsent {
    /// The user.
    pub name: String,
    /// The file.
    pub htpasswd_file: String,
    /// User who runs `htpasswd`.
    pub runas: Option<String>,
}

impl State for UserAbsent {
    const NAME: &'static str = "webutil.user_absent";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let (file, name) = (&self.htpasswd_file, &self.name);
        let fact = format!("htpasswd:{file}:{name}");
        let there = match cx.host.predicted(&fact) {
            Some(there) => there.truthy(),
            None => webutil::listed(cx.host, file, name)?,
        };
        if !there {
            return Ok(Plan::unchanged("User already not in file"));
        }
        cx.program("htpasswd", "apache2-utils")?;
        let mut command = Command::new(["htpasswd", "-D", file, name]);
        command.runas.clone_from(&self.runas);
        let mut plan = Plan::default()
            .change(name.as_str(), true)
            .says(format!("User '{name}' is set to be removed from htpasswd file"), "");
        plan.exec(command, vec![Prediction::Fact(fact, false.into())]);
        Ok(plan)
    }

    fn settle(&self, plan: &Plan, seen: &[Observed], _: &PlanCx<'_>) -> Result<Settled, StateError> {
        Ok(shared::settle(plan, seen))
    }
}
