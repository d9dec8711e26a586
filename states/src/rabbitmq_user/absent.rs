//! `rabbitmq_user.absent`

use super::shared;
use corpus_core::plan::{Observed, Settled};
use corpus_core::{Map, Plan, PlanCx, Prediction, State, StateError};
use corpus_exec::fns::rabbitmq;
use serde::Deserialize;

/// Keeps an account of RabbitMQ away.
///
/// ```sls
/// guest:
///   rabbitmq_user.absent
/// ```
#[derive(Deserialize)]
pub struct Absent {
    /// The account's name.
    pub name: String,
    /// The system's user who runs `rabbitmqctl`.
    pub runas: Option<String>,
}

impl State for Absent {
    const NAME: &'static str = "rabbitmq_user.absent";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        shared::known(cx)?;
        let name = &self.name;
        let fact = format!("rabbitmq:user:{name}");
        let there = match cx.host.predicted(&fact) {
            Some(there) => there.truthy(),
            None => rabbitmq::users(cx.host, self.runas.as_deref())
                .map_err(shared::refused)?
                .iter()
                .any(|(user, _)| user == name),
        };
        let mut plan = Plan::unchanged(format!("The user '{name}' is not present."));
        if !there {
            return Ok(plan);
        }
        let predicts = vec![Prediction::Fact(fact, false.into())];
        shared::step(&mut plan, rabbitmq::ctl(&["delete_user", name]), self.runas.as_ref(), predicts);
        Ok(plan
            .change("name", [("old", name.as_str()), ("new", "")].into_iter().collect::<Map>())
            .says(format!("The user '{name}' will be removed."), format!("The user '{name}' was removed.")))
    }

    fn settle(&self, plan: &Plan, seen: &[Observed], _: &PlanCx<'_>) -> Result<Settled, StateError> {
        Ok(shared::settle(plan, seen))
    }
}
