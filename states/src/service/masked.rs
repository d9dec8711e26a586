//! `service.masked`

use super::shared;
use corpus_core::{Map, Observed, Plan, PlanCx, Settled, State, StateError, Value};
use corpus_exec::service::{self, Action, Options};
use serde::Deserialize;

/// Keeps a service masked: nothing can start it.
///
/// ```sls
/// firewalld:
///   service.masked
/// ```
#[derive(Deserialize)]
pub struct Masked {
    /// The service's name.
    pub name: String,
    /// The mask lasts until the next boot.
    #[serde(default)]
    pub runtime: bool,
}

impl State for Masked {
    const NAME: &'static str = "service.masked";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        if service::provider(cx.host)?.name() != "systemd" {
            return Err(StateError::failed("Service masking not available on this minion"));
        }
        let (name, runtime) = (self.name.as_str(), self.runtime);
        let kind = if runtime { "runtime masked" } else { "masked" };
        let word = kind;
        // What is not there can be masked all the same.
        let status = service::status(cx.host, name, None)?;
        let masked = if runtime { status.masked_runtime } else { status.masked };
        if masked {
            return Ok(Plan::unchanged(format!("Service {name} is already {word}")));
        }
        let change: Map = [("old", false), ("new", true)].into_iter().collect();
        let mut plan = Plan::default()
            .says(format!("Service {name} would be {word}"), format!("Service {name} was {word}"))
            .change(kind, Value::map(change));
        plan.steps = service::steps(cx.host, Action::Mask { runtime }, name, Options::default())?;
        Ok(plan)
    }

    fn settle(&self, plan: &Plan, seen: &[Observed], _: &PlanCx<'_>) -> Result<Settled, StateError> {
        shared::settle_mask(plan, seen, "mask", &self.name)
    }
}
