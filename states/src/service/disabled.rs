//! `service.disabled`

use super::shared::{self, Want};
use corpus_core::{Observed, Plan, PlanCx, Settled, State, StateError};
use corpus_exec::service::Options;
use serde::Deserialize;

/// Keeps a service from starting at boot, whether it runs now or not.
///
/// ```sls
/// nginx:
///   service.disabled
/// ```
#[derive(Deserialize)]
pub struct Disabled {
    /// The service's name.
    pub name: String,
}

impl Disabled {
    fn want(&self) -> Want<'_> {
        Want {
            name: &self.name,
            running: None,
            enable: Some(false),
            sig: None,
            init_delay: None,
            unmask: false,
            unmask_runtime: false,
            options: Options::default(),
        }
    }
}

impl State for Disabled {
    const NAME: &'static str = "service.disabled";
    const OPEN: bool = true;

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        shared::plan(cx, &self.want())
    }

    fn settle(&self, plan: &Plan, seen: &[Observed], cx: &PlanCx<'_>) -> Result<Settled, StateError> {
        shared::settle(cx, plan, seen, &self.want())
    }
}
