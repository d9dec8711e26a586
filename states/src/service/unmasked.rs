//! `service.unmasked`

use super::shared;
use corpus_core::{Map, Observed, Plan, PlanCx, Settled, State, StateError, Value};
use corpus_exec::service::{self, Action, Options};
use serde::Deserialize;

/// Keeps a service free of masks.
///
/// ```sls
/// firewalld:
///   service.unmasked
/// ```
#[derive(Deserialize)]
pub struct Unmasked {
    /// The service's name.
    pub name: String,
    /// The mask lasts until the next boot.
    #[serde(default)]
    pub runtime: bool,
}

impl State for Unmasked {
    const NAME: &'static str = "service.unmasked";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        if service::provider(cx.host)?.name() != "systemd" {
            return Err(StateError::failed("Service masking not available on this minion"));
        }
        let (name, runtime) = (self.name.as_str(), self.runtime);
        let kind = if runtime { "runtime masked" } else { "masked" };
        let word = if runtime { "runtime unmasked" } else { "unmasked" };
        let status = service::status(cx.host, name, None)?;
        let masked = if runtime { status.masked_runtime } else { status.masked };
        if !masked {
            return Ok(Plan::unchanged(format!("Service {name} was already {word}")));
        }
        let change: Map = [("old", true), ("new", false)].into_iter().collect();
        let mut plan = Plan::default()
            .says(format!("Service {name} would be {word}"), format!("Service {name} was {word}"))
            .change(kind, Value::map(change));
        plan.steps = service::steps(cx.host, Action::Unmask { runtime }, name, Options::default())?;
        Ok(plan)
    }

    fn settle(&self, plan: &Plan, seen: &[Observed], _: &PlanCx<'_>) -> Result<Settled, StateError> {
        shared::settle_mask(plan, seen, "unmask", &self.name)
    }
}
