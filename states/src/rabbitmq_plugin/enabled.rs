//! `rabbitmq_plugin.enabled`

use crate::rabbitmq_user::shared;
use corpus_core::plan::{Observed, Settled};
use corpus_core::{Command, Plan, PlanCx, Prediction, State, StateError};
use corpus_exec::fns::rabbitmq;
use serde::Deserialize;

/// Keeps a plugin of RabbitMQ enabled.
///
/// ```sls
/// rabbitmq_management:
///   rabbitmq_plugin.enabled
/// ```
#[derive(Deserialize)]
pub struct Enabled {
    /// The plugin.
    pub name: String,
    /// The system's user who runs `rabbitmqctl`.
    pub runas: Option<String>,
}

impl State for Enabled {
    const NAME: &'static str = "rabbitmq_plugin.enabled";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        shared::known(cx)?;
        let name = &self.name;
        let fact = format!("rabbitmq:plugin:{name}");
        let there = match cx.host.predicted(&fact) {
            Some(there) => there.truthy(),
            None => rabbitmq::plugins(cx.host, self.runas.as_deref()).map_err(shared::refused)?.contains(name),
        };
        let mut plan = Plan::unchanged(format!("Plugin '{name}' is already enabled."));
        if there {
            return Ok(plan);
        }
        let predicts = vec![Prediction::Fact(fact, true.into())];
        shared::step(&mut plan, Command::new(["rabbitmq-plugins", "enable", name]), self.runas.as_ref(), predicts);
        Ok(plan
            .change("old", "")
            .change("new", name.as_str())
            .says(format!("Plugin '{name}' is set to be enabled."), format!("Plugin '{name}' was enabled.")))
    }

    fn settle(&self, plan: &Plan, seen: &[Observed], _: &PlanCx<'_>) -> Result<Settled, StateError> {
        Ok(shared::settle(plan, seen))
    }
}
