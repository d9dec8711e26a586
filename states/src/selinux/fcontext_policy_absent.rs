//! `selinux.fcontext_policy_absent`

use super::shared;
use corpus_core::{Map, Plan, PlanCx, Prediction, State, StateError, Value};
use corpus_exec::fns::selinux;
use serde::Deserialize;

/// Takes a context for files out of SELinux's policy.
///
/// ```sls
/// '/srv/www(/.*)?':
///   selinux.fcontext_policy_absent
/// ```
#[derive(Deserialize)]
pub struct FcontextPolicyAbsent {
    /// The file specification, a regular expression.
    pub name: String,
    /// The kind of file: `a` for all, `f d c b s l p`.
    #[serde(default = "all")]
    pub filetype: String,
    /// The type.
    pub sel_type: Option<String>,
    /// The user.
    pub sel_user: Option<String>,
    /// The level.
    pub sel_level: Option<String>,
}

fn all() -> String {
    "a".into()
}

impl State for FcontextPolicyAbsent {
    const NAME: &'static str = "selinux.fcontext_policy_absent";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        shared::tools(cx)?;
        let (name, code) = (&self.name, &self.filetype);
        let wanted = [self.sel_type.as_deref(), self.sel_user.as_deref(), self.sel_level.as_deref()];
        let (found, _) = shared::find(cx, name, code, &wanted)?;
        let fact = shared::fact(name, code);
        let gone = cx.host.predicted(&fact).is_some_and(|kind| kind.is_null());
        let Some(found) = found.filter(|_| !gone) else {
            let kind = self.sel_type.as_deref().unwrap_or("None");
            return Ok(Plan::unchanged(format!(
                "SELinux policy for \"{name}\" already absent with specified filetype \"{code}\" and sel_type \"{kind}\"."
            )));
        };
        let old = Map::from_iter([(name.as_str(), found.shown())]);
        let mut plan = Plan::default().change("old", old).change("new", Value::from(Map::new()));
        let wanted = [Some(wanted[0].unwrap_or(&found.parts[2])), wanted[1], wanted[2]];
        let predicts = vec![Prediction::Fact(fact, Value::Null)];
        plan.exec(selinux::change_context("delete", name, code, &wanted), predicts);
        Ok(plan)
    }
}
