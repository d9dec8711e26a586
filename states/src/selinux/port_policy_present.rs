//! `selinux.port_policy_present`

use super::shared::{self, Spec};
use corpus_core::plan::{Observed, Settled};
use corpus_core::{Plan, PlanCx, Prediction, State, StateError, Value};
use corpus_exec::fns::selinux;
use serde::Deserialize;

/// Keeps the type that SELinux's policy has for a port.
///
/// ```sls
/// tcp/8080:
///   selinux.port_policy_present:
///     - sel_type: http_port_t
/// ```
#[derive(Deserialize)]
pub struct PortPolicyPresent {
    /// Protocol and port, `tcp/80`, unless they are given apart.
    pub name: String,
    /// The type.
    pub sel_type: String,
    /// `tcp` or `udp`.
    pub protocol: Option<String>,
    /// A port, or a range of ports.
    pub port: Option<Value>,
    /// The range of levels.
    pub sel_range: Option<String>,
}

impl State for PortPolicyPresent {
    const NAME: &'static str = "selinux.port_policy_present";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        shared::tools(cx)?;
        let spec = Spec::of(&self.name, &self.protocol, &self.port)?;
        let kind = self.sel_type.as_str();
        if spec.find(cx, Some(kind))?.is_some() {
            return Ok(Plan::unchanged(Spec::said(&self.name, "present", Some(kind), &self.protocol, &self.port)));
        }
        let old = spec.find(cx, None)?;
        let action = if old.is_some() { "modify" } else { "add" };
        let new = selinux::Port { sel_type: kind.into(), protocol: spec.protocol.clone(), port: spec.port.clone() };
        let mut plan =
            Plan::default().change("old", shared::shown(old.as_ref())).change("new", shared::shown(Some(&new)));
        let command = selinux::change_port(action, &spec.protocol, &spec.port, Some(kind), self.sel_range.as_deref());
        plan.exec(command, vec![Prediction::Fact(spec.fact(), kind.into())]);
        Ok(plan)
    }

    fn settle(&self, plan: &Plan, _: &[Observed], cx: &PlanCx<'_>) -> Result<Settled, StateError> {
        // The policy lists a type's ports together.
        let mut settled = Settled::as_planned(plan);
        let spec = Spec::of(&self.name, &self.protocol, &self.port)?;
        settled.changes.insert("new", shared::shown(spec.find(cx, Some(&self.sel_type))?.as_ref()));
        Ok(settled)
    }
}
