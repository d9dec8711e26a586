//! `service.enabled`

use super::shared::{self, Want};
use corpus_core::{Observed, Plan, PlanCx, Settled, State, StateError};
use corpus_exec::service::Options;
use serde::Deserialize;

/// Keeps a service so that it starts at boot, whether it runs now or not.
///
/// ```sls
/// nginx:
///   service.enabled
/// ```
#[derive(Deserialize)]
pub struct Enabled {
    /// The service's name.
    pub name: String,
}

impl Enabled {
    fn want(&self) -> Want<'_> {
        Want {
            name: &self.name,
            running: None,
            enable: Some(true),
            sig: None,
            init_delay: None,
            unmask: false,
            unmask_runtime: false,
            options: Options::default(),
        }
    }
}

impl State for Enabled {
    const NAME: &'static str = "service.enabled";
    const OPEN: bool = true;

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        shared::plan(cx, &self.want())
    }

    fn settle(&self, plan: &Plan, seen: &[Observed], cx: &PlanCx<'_>) -> Result<Settled, StateError> {
        shared::settle(cx, plan, seen, &self.want())
    }
}
