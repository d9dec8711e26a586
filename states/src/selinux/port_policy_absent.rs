//! `selinux.port_policy_absent`

use super::shared::{self, Spec};
use corpus_core::{Plan, PlanCx, Prediction, State, StateError, Value};
use corpus_exec::fns::selinux;
use serde::Deserialize;

/// Keeps a port out of what was added to SELinux's policy.
///
/// ```sls
/// tcp/8080:
///   selinux.port_policy_absent
/// ```
#[derive(Deserialize)]
pub struct PortPolicyAbsent {
    /// Protocol and port, `tcp/80`, unless they are given apart.
    pub name: String,
    /// Only if it is of this type.
    pub sel_type: Option<String>,
    /// `tcp` or `udp`.
    pub protocol: Option<String>,
    /// A port, or a range of ports.
    pub port: Option<Value>,
}

impl State for PortPolicyAbsent {
    const NAME: &'static str = "selinux.port_policy_absent";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        shared::tools(cx)?;
        let spec = Spec::of(&self.name, &self.protocol, &self.port)?;
        let kind = self.sel_type.as_deref();
        let Some(old) = spec.find(cx, kind)? else {
            return Ok(Plan::unchanged(Spec::said(&self.name, "absent", kind, &self.protocol, &self.port)));
        };
        let mut plan = Plan::default().change("old", shared::shown(Some(&old))).change("new", Value::Null);
        let command = selinux::change_port("delete", &spec.protocol, &spec.port, None, None);
        plan.exec(command, vec![Prediction::Fact(spec.fact(), Value::Null)]);
        Ok(plan)
    }
}
