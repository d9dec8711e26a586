//! `selinux.fcontext_policy_present`

use super::shared;
use corpus_core::{Map, Plan, PlanCx, Prediction, State, StateError, Value, python};
use corpus_exec::fns::selinux;
use serde::Deserialize;

/// Keeps the context that SELinux's policy has for files. [`fcontext_policy_applied`](selinux.fcontext_policy_applied.md)
/// gives it to those that are there.
///
/// ```sls
/// '/srv/www(/.*)?':
///   selinux.fcontext_policy_present:
///     - sel_type: httpd_sys_content_t
/// ```
#[derive(Deserialize)]
pub struct FcontextPolicyPresent {
    /// The file specification, a regular expression.
    pub name: String,
    /// The type.
    pub sel_type: String,
    /// The kind of file: `a` for all, `f d c b s l p`.
    #[serde(default = "all")]
    pub filetype: String,
    /// The user.
    pub sel_user: Option<String>,
    /// The level.
    pub sel_level: Option<String>,
}

fn all() -> String {
    "a".into()
}

impl State for FcontextPolicyPresent {
    const NAME: &'static str = "selinux.fcontext_policy_present";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        shared::tools(cx)?;
        let (name, code) = (&self.name, &self.filetype);
        let wanted = [Some(self.sel_type.as_str()), self.sel_user.as_deref(), self.sel_level.as_deref()];
        let (found, any) = shared::find(cx, name, code, &wanted)?;
        let filetype = selinux::filetype(code).map_err(StateError::failed)?;
        let fact = shared::fact(name, code);
        let there = match cx.host.predicted(&fact) {
            Some(kind) => python::str(&kind) == self.sel_type,
            None => found.is_some(),
        };
        if there {
            return Ok(Plan::unchanged(format!(
                "SELinux policy for \"{name}\" already present with specified filetype \"{filetype}\" and sel_type \"{}\".",
                self.sel_type
            )));
        }
        let new = Map::from_iter([("filetype", filetype), ("sel_type", &self.sel_type)]);
        let new = Map::from_iter([(name.as_str(), new)]);
        let mut plan = Plan::default().change("old", Value::from(Map::new())).change("new", new);
        let action = if any { "modify" } else { "add" };
        let predicts = vec![Prediction::Fact(fact, self.sel_type.as_str().into())];
        plan.exec(selinux::change_context(action, name, code, &wanted), predicts);
        Ok(plan)
    }
}
