//! `rabbitmq_vhost.absent`

use crate::rabbitmq_user::shared;
use corpus_core::plan::{Observed, Settled};
use corpus_core::{Plan, PlanCx, Prediction, State, StateError};
use corpus_exec::fns::rabbitmq;
use serde::Deserialize;

/// Keeps a virtual host of RabbitMQ away.
///
/// ```sls
/// shop:
///   rabbitmq_vhost.absent
/// ```
#[derive(Deserialize)]
pub struct Absent {
    /// The virtual host.
    pub name: String,
}

impl State for Absent {
    const NAME: &'static str = "rabbitmq_vhost.absent";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        shared::known(cx)?;
        let name = &self.name;
        let fact = format!("rabbitmq:vhost:{name}");
        let there = match cx.host.predicted(&fact) {
            Some(there) => there.truthy(),
            None => rabbitmq::vhosts(cx.host, None).map_err(shared::refused)?.contains(name),
        };
        let mut plan = Plan::unchanged(format!("Virtual Host '{name}' is not present."));
        if !there {
            return Ok(plan);
        }
        let predicts = vec![Prediction::Fact(fact, false.into())];
        shared::step(&mut plan, rabbitmq::ctl(&["delete_vhost", name]), None, predicts);
        Ok(plan
            .change("new", "")
            .change("old", name.as_str())
            .says(format!("Virtual Host '{name}' will be removed."), ""))
    }

    fn settle(&self, plan: &Plan, seen: &[Observed], _: &PlanCx<'_>) -> Result<Settled, StateError> {
        Ok(shared::settle(plan, seen))
    }
}
