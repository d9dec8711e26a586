//! `rabbitmq_policy.absent`

use crate::rabbitmq_user::shared;
use corpus_core::plan::{Observed, Settled};
use corpus_core::{Plan, PlanCx, Prediction, State, StateError};
use corpus_exec::fns::rabbitmq;
use serde::Deserialize;

/// Keeps a policy of RabbitMQ away.
///
/// ```sls
/// HA:
///   rabbitmq_policy.absent
/// ```
#[derive(Deserialize)]
pub struct Absent {
    /// The policy.
    pub name: String,
    /// The virtual host that it is for.
    #[serde(default = "shared::root")]
    pub vhost: String,
    /// The system's user who runs `rabbitmqctl`.
    pub runas: Option<String>,
}

impl State for Absent {
    const NAME: &'static str = "rabbitmq_policy.absent";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        shared::known(cx)?;
        let name = &self.name;
        let fact = format!("rabbitmq:policy:{}:{name}", self.vhost);
        let there = match cx.host.predicted(&fact) {
            Some(there) => there.truthy(),
            None => {
                rabbitmq::policies(cx.host, &self.vhost, self.runas.as_deref()).map_err(shared::refused)?.contains(name)
            }
        };
        let mut plan = Plan::unchanged(format!("Policy '{} {name}' is not present.", self.vhost));
        if !there {
            return Ok(plan);
        }
        let predicts = vec![Prediction::Fact(fact, false.into())];
        shared::step(
            &mut plan,
            rabbitmq::ctl(&["clear_policy", "-p", &self.vhost, name]),
            self.runas.as_ref(),
            predicts,
        );
        Ok(plan
            .change("new", "")
            .change("old", name.as_str())
            .says(format!("Policy '{} {name}' will be removed.", self.vhost), "Deleted"))
    }

    fn settle(&self, plan: &Plan, seen: &[Observed], _: &PlanCx<'_>) -> Result<Settled, StateError> {
        Ok(shared::settle(plan, seen))
    }
}
