//! `selinux.module`

use super::shared;
use corpus_core::host::Command;
use corpus_core::{Map, Plan, PlanCx, Prediction, State, StateError, Value, python};
use corpus_exec::fns::selinux;
use serde::Deserialize;

/// Keeps a module of SELinux's policy enabled or disabled; installs or removes it.
///
/// ```sls
/// nginx:
///   selinux.module:
///     - module_state: Disabled
/// ```
#[derive(Deserialize)]
pub struct Module {
    /// The module.
    pub name: String,
    /// `Enabled` or `Disabled`.
    #[serde(default = "enabled")]
    pub module_state: Value,
    /// The version that it must have; the tools of today tell none.
    #[serde(default = "any")]
    pub version: String,
    /// Install it from `source`.
    #[serde(default)]
    pub install: bool,
    /// The file of a module to install; the name, if there is none.
    pub source: Option<String>,
    /// Remove it.
    #[serde(default)]
    pub remove: bool,
}

fn enabled() -> Value {
    "Enabled".into()
}

fn any() -> String {
    "any".into()
}

impl State for Module {
    const NAME: &'static str = "selinux.module";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let name = &self.name;
        if self.install && self.remove {
            return Err(StateError::failed("Cannot install and remove at the same time"));
        }
        shared::tools(cx)?;
        let fact = format!("selinux:module:{name}");
        let have = match cx.host.predicted(&fact) {
            Some(Value::Null) => None,
            Some(state) => Some(state.truthy()),
            None => selinux::modules(cx.host)?.into_iter().find(|(known, _)| known == name).map(|(_, enabled)| enabled),
        };
        let word = |enabled: bool| if enabled { "enabled" } else { "disabled" };
        let step = |verb: &str, what: &str| Command::new(["semodule", verb, what]);
        if self.remove {
            let Some(was) = have else { return Ok(Plan::unchanged(format!("Module {name} is not available"))) };
            let mut plan = Plan::default()
                .change(name.as_str(), Map::from_iter([("old", Value::from(word(was))), ("new", Value::Null)]))
                .says(format!("Module {name} is set to be removed"), format!("Module {name} has been removed"));
            plan.exec(step("--remove", name), vec![Prediction::Fact(fact, Value::Null)]);
            return Ok(plan);
        }
        let want = match python::str(&self.module_state).to_lowercase().as_str() {
            "1" | "on" | "yes" | "true" | "enabled" => true,
            "0" | "off" | "no" | "false" | "disabled" => false,
            _ => {
                let state = python::str(&self.module_state);
                return Err(StateError::failed(format!("{state} is not a valid state for the {name} module.")));
            }
        };
        if have.is_none() && !self.install {
            return Err(StateError::missing(format!("Module {name} is not available")));
        }
        if self.version != "any" {
            return Err(StateError::failed(format!(
                "Module version is None and does not match the desired version of {} or you are using semodule >= 2.4",
                self.version
            )));
        }
        let state = python::str(&self.module_state);
        let mut plan = Plan::unchanged(format!("Module {name} is in the desired state")).says(
            format!("Module {name} is set to be toggled to {state}"),
            format!("Module {name} has been set to {state}"),
        );
        if have.is_none() {
            plan.exec(
                step("--install", self.source.as_deref().unwrap_or(name)),
                vec![Prediction::Fact(fact.clone(), true.into())],
            );
        }
        if have.unwrap_or(true) != want {
            let verb = if want { "--enable" } else { "--disable" };
            plan.exec(step(verb, name), vec![Prediction::Fact(fact, want.into())]);
        }
        if !plan.steps.is_empty() {
            let old = have.map(word).map(Value::from).unwrap_or_default();
            plan = plan.change(name.as_str(), Map::from_iter([("old", old), ("new", word(want).into())]));
        }
        Ok(plan)
    }
}
