//! `service.running`

use super::shared::{self, Want};
use corpus_core::{Observed, Plan, PlanCx, Settled, State, StateError, Value};
use corpus_exec::service::{Action, Options};
use serde::Deserialize;

/// Keeps a service running.
///
/// A watched change restarts it, or reloads it with `reload: True`.
///
/// ```sls
/// nginx:
///   service.running:
///     - enable: True
///     - reload: True
///     - watch:
///       - file: /etc/nginx/nginx.conf
/// ```
#[derive(Deserialize)]
pub struct Running {
    /// The service's name.
    pub name: String,
    /// Start it at boot, or do not; not given leaves as is.
    pub enable: Option<bool>,
    /// Text in the command line of the process that shows that it runs.
    pub sig: Option<String>,
    /// Seconds to wait after a change.
    pub init_delay: Option<u64>,
    /// On `watch`, reload instead of restart.
    #[serde(default)]
    pub reload: bool,
    /// On `watch`, restart; that is what is done unless `reload` or `full_restart` is set.
    pub restart: Option<Value>,
    /// On `watch`, stop and start.
    #[serde(default)]
    pub full_restart: bool,
    /// With `reload`, reload or restart.
    #[serde(default)]
    pub force: bool,
    /// Take a mask off first.
    #[serde(default)]
    pub unmask: bool,
    /// Take a mask off that lasts until the next boot.
    #[serde(default)]
    pub unmask_runtime: bool,
    /// Do not wait for the service manager.
    #[serde(default)]
    pub no_block: bool,
    /// Not an argument of Salt's: use `enable`.
    pub enabled: Option<Value>,
}

impl Running {
    fn want(&self) -> Want<'_> {
        Want {
            name: &self.name,
            running: Some(true),
            enable: self.enable,
            sig: self.sig.as_deref(),
            init_delay: self.init_delay,
            unmask: self.unmask,
            unmask_runtime: self.unmask_runtime,
            options: Options { no_block: self.no_block },
        }
    }
}

impl State for Running {
    const NAME: &'static str = "service.running";
    const WATCHES: bool = true;
    const OPEN: bool = true;

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        if self.enabled.is_some() {
            return Err(StateError::failed(format!(
                "Service {} uses non-existent option \"enabled\".  Perhaps \"enable\" option was intended?",
                self.name
            )));
        }
        shared::plan(cx, &self.want())
    }

    fn watch(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let action = match (self.reload, self.force, self.full_restart) {
            (true, true, _) => Action::ForceReload,
            (true, false, _) => Action::Reload,
            (false, _, true) => Action::FullRestart,
            _ => Action::Restart,
        };
        shared::watch(cx, &self.want(), action)
    }

    fn settle(&self, plan: &Plan, seen: &[Observed], cx: &PlanCx<'_>) -> Result<Settled, StateError> {
        match shared::settle_watch(plan, seen) {
            Some(settled) => Ok(settled),
            None => shared::settle(cx, plan, seen, &self.want()),
        }
    }
}
