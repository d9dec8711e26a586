//! `webutil.user_exists`

use super::shared;
use corpus_core::plan::{Observed, Settled};
use corpus_core::{Plan, PlanCx, Prediction, State, StateError};
use corpus_exec::fns::webutil;
use serde::Deserialize;

/// Keeps a user in a file of `htpasswd`.
///
/// ```sls
/// joe:
///   webutil.user_exists:
///     - password: s3cret
///     - htpasswd_file: /etc/nginx/htpasswd
///     - update: true
/// ```
#[derive(Deserialize)]
pub struct UserExists {
    /// The user.
    pub name: String,
    /// The password, in clear text.
    pub password: String,
    /// The file; it is made if it is missing.
    pub htpasswd_file: String,
    /// Letters of options for `htpasswd`: `m` for MD5, `B` for bcrypt, `s` for SHA…
    #[serde(default)]
    pub options: String,
    /// Set the password each time.
    #[serde(default)]
    pub force: bool,
    /// User who runs `htpasswd`.
    pub runas: Option<String>,
    /// Set the password of a user who has another one.
    #[serde(default)]
    pub update: bool,
}

impl State for UserExists {
    const NAME: &'static str = "webutil.user_exists";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let (file, name) = (&self.htpasswd_file, &self.name);
        cx.program("htpasswd", "apache2-utils")?;
        let fact = format!("htpasswd:{file}:{name}");
        let there = match cx.host.predicted(&fact) {
            Some(there) => there.truthy(),
            None => {
                webutil::listed(cx.host, file, name)?
                    && (!self.update || webutil::verify(cx.host, file, name, &self.password, self.runas.as_deref())?)
            }
        };
        let mut plan = Plan::unchanged("User already known");
        if there && !self.force {
            return Ok(plan);
        }
        let mut command = webutil::set(cx.host, file, name, &self.password, &self.options);
        command.runas.clone_from(&self.runas);
        plan.repeats = self.force;
        plan.exec(command, vec![Prediction::Fact(fact, true.into())]);
        Ok(plan.change(name.as_str(), true).says(format!("User '{name}' is set to be added to htpasswd file"), ""))
    }

    fn settle(&self, plan: &Plan, seen: &[Observed], _: &PlanCx<'_>) -> Result<Settled, StateError> {
        Ok(shared::settle(plan, seen))
    }
}
