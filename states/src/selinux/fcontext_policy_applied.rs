//! `selinux.fcontext_policy_applied`

use corpus_core::host::HostError;
use corpus_core::{Plan, PlanCx, Prediction, State, StateError};
use corpus_exec::ask;
use corpus_exec::fns::selinux;
use serde::Deserialize;

/// Gives files the contexts that SELinux's policy has for them.
///
/// ```sls
/// /srv/www:
///   selinux.fcontext_policy_applied:
///     - recursive: True
/// ```
#[derive(Deserialize)]
pub struct FcontextPolicyApplied {
    /// The file or folder.
    pub name: String,
    /// What is in the folder, too.
    #[serde(default)]
    pub recursive: bool,
}

impl State for FcontextPolicyApplied {
    const NAME: &'static str = "selinux.fcontext_policy_applied";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        cx.program("restorecon", "policycoreutils")?;
        let name = &self.name;
        let fact = format!("selinux:applied:{name}");
        let output = cx.host.query(&selinux::restore(name, self.recursive, true))?;
        if !output.ok() {
            return Err(HostError::other(format!("restorecon {name}"), ask::said(&output)).into());
        }
        let text = output.stdout_text();
        if text.trim().is_empty() || cx.host.predicted(&fact).is_some() {
            return Ok(Plan::unchanged(format!("SElinux policies are already applied for filespec \"{name}\"")));
        }
        let mut plan = Plan { changes: selinux::relabelled(&text), ..Plan::default() };
        if plan.changes.is_empty() {
            return Err(StateError::failed("Unrecognized response from restorecon command."));
        }
        plan.exec(selinux::restore(name, self.recursive, false), vec![Prediction::Fact(fact, true.into())]);
        Ok(plan)
    }
}
