//! `rabbitmq_policy.present`

use crate::rabbitmq_user::shared;
use corpus_core::plan::{Observed, Settled};
use corpus_core::{Map, Plan, PlanCx, Prediction, State, StateError, Value, python};
use corpus_exec::fns::rabbitmq;
use serde::Deserialize;

/// Keeps a policy of RabbitMQ.
///
/// ```sls
/// HA:
///   rabbitmq_policy.present:
///     - pattern: '.*'
///     - definition: '{"ha-mode": "all"}'
/// ```
#[derive(Deserialize)]
pub struct Present {
    /// The policy.
    pub name: String,
    /// What it is for: a regular expression on names.
    pub pattern: String,
    /// What it says, as JSON.
    pub definition: String,
    /// Which of several counts: the highest.
    #[serde(default)]
    pub priority: i64,
    /// The virtual host that it is for.
    #[serde(default = "shared::root")]
    pub vhost: String,
    /// `queues`, `exchanges` or `all`.
    pub apply_to: Option<String>,
    /// The system's user who runs `rabbitmqctl`.
    pub runas: Option<String>,
}

impl State for Present {
    const NAME: &'static str = "rabbitmq_policy.present";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        shared::known(cx)?;
        let (name, vhost) = (&self.name, &self.vhost);
        let fact = format!("rabbitmq:policy:{vhost}:{name}");
        let have = match cx.host.predicted(&fact) {
            Some(known) if known.truthy() => {
                return Ok(Plan::unchanged(format!("Policy {vhost} {name} is already present")));
            }
            Some(_) => None,
            None => {
                let all = rabbitmq::policies(cx.host, vhost, self.runas.as_deref()).map_err(shared::refused)?;
                all.get(name).and_then(Value::as_map).cloned()
            }
        };
        let json = |text: &str| serde_json::from_str::<Value>(text).ok();
        let wanted = json(&self.definition)
            .ok_or_else(|| StateError::failed("argument `definition`: this is no JSON; write '{\"key\": value}'"))?;
        let mut updates = vec![];
        if let Some(have) = &have {
            let text = |key: &str| have.get(key).map(python::str).unwrap_or_default();
            let kept = match have.get("definition") {
                Some(Value::Str(text)) => json(text).unwrap_or_default(),
                other => other.cloned().unwrap_or_default(),
            };
            let differs = [
                ("Pattern", text("pattern") != self.pattern),
                ("Definition", kept != wanted),
                ("Applyto", self.apply_to.as_ref().is_some_and(|to| text("apply-to") != *to)),
                ("Priority", text("priority") != self.priority.to_string()),
            ];
            updates.extend(differs.iter().filter(|(_, differs)| *differs).map(|(key, _)| *key));
        }
        let mut plan = Plan::unchanged(format!("Policy {vhost} {name} is already present"));
        let (how, old, new): (_, Map, Value) = match have {
            Some(_) if updates.is_empty() => return Ok(plan),
            Some(have) => ("updated", have, updates.into()),
            None => ("created", Map::new(), name.as_str().into()),
        };
        let priority = self.priority.to_string();
        let mut words = vec!["set_policy", "-p", vhost];
        if self.priority != 0 {
            words.extend(["--priority", &priority]);
        }
        if let Some(to) = &self.apply_to {
            words.extend(["--apply-to", to]);
        }
        words.extend([name.as_str(), &self.pattern, &self.definition]);
        let predicts = vec![Prediction::Fact(fact, true.into())];
        shared::step(&mut plan, rabbitmq::ctl(&words), self.runas.as_ref(), predicts);
        Ok(plan.change("old", old).change("new", new).says(format!("Policy {vhost} {name} is set to be {how}"), ""))
    }

    fn settle(&self, plan: &Plan, seen: &[Observed], _: &PlanCx<'_>) -> Result<Settled, StateError> {
        Ok(shared::settle(plan, seen))
    }
}
