//! `rabbitmq_vhost.present`

use crate::rabbitmq_user::shared;
use corpus_core::plan::{Observed, Settled};
use corpus_core::{Plan, PlanCx, Prediction, State, StateError};
use corpus_exec::fns::rabbitmq;
use serde::Deserialize;

/// Keeps a virtual host of RabbitMQ.
///
/// ```sls
/// shop:
///   rabbitmq_vhost.present
/// ```
#[derive(Deserialize)]
pub struct Present {
    /// The virtual host.
    pub name: String,
}

impl State for Present {
    const NAME: &'static str = "rabbitmq_vhost.present";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        shared::known(cx)?;
        let name = &self.name;
        let fact = format!("rabbitmq:vhost:{name}");
        let there = match cx.host.predicted(&fact) {
            Some(there) => there.truthy(),
            None => rabbitmq::vhosts(cx.host, None).map_err(shared::refused)?.contains(name),
        };
        let mut plan = Plan::unchanged(format!("Virtual Host '{name}' already exists."));
        if there {
            return Ok(plan);
        }
        let predicts = vec![Prediction::Fact(fact, true.into())];
        shared::step(&mut plan, rabbitmq::ctl(&["add_vhost", name]), None, predicts);
        Ok(plan
            .change("old", "")
            .change("new", name.as_str())
            .says(format!("Virtual Host '{name}' will be created."), ""))
    }

    fn settle(&self, plan: &Plan, seen: &[Observed], _: &PlanCx<'_>) -> Result<Settled, StateError> {
        Ok(shared::settle(plan, seen))
    }
}
