//! `rabbitmq_plugin.disabled`

use crate::rabbitmq_user::shared;
use corpus_core::plan::{Observed, Settled};
use corpus_core::{Command, Plan, PlanCx, Prediction, State, StateError};
use corpus_exec::fns::rabbitmq;
use serde::Deserialize;

/// Keeps a plugin of RabbitMQ disabled.
///
/// ```sls
/// rabbitmq_management:
///   rabbitmq_plugin.disabled
/// ```
#[derive(Deserialize)]
pub struct Disabled {
    /// The plugin.
    pub name: String,
    /// The system's user who runs `rabbitmqctl`.
    pub runas: Option<String>,
}

impl State for Disabled {
    const NAME: &'static str = "rabbitmq_plugin.disabled";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        shared::known(cx)?;
        let name = &self.name;
        let fact = format!("rabbitmq:plugin:{name}");
        let there = match cx.host.predicted(&fact) {
            Some(there) => there.truthy(),
            None => rabbitmq::plugins(cx.host, self.runas.as_deref()).map_err(shared::refused)?.contains(name),
        };
        let mut plan = Plan::unchanged(format!("Plugin '{name}' is already disabled."));
        if !there {
            return Ok(plan);
        }
        let predicts = vec![Prediction::Fact(fact, false.into())];
        shared::step(&mut plan, Command::new(["rabbitmq-plugins", "disable", name]), self.runas.as_ref(), predicts);
        Ok(plan
            .change("old", name.as_str())
            .change("new", "")
            .says(format!("Plugin '{name}' is set to be disabled."), format!("Plugin '{name}' was disabled.")))
    }

    fn settle(&self, plan: &Plan, seen: &[Observed], _: &PlanCx<'_>) -> Result<Settled, StateError> {
        Ok(shared::settle(plan, seen))
    }
}
