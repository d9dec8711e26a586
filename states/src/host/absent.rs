//! `host.absent`

use corpus_core::decode::OneOrMany;
use corpus_core::{Plan, PlanCx, State, StateError};
use corpus_exec::hosts::Hosts;
use serde::Deserialize;

/// Takes a name off addresses in `/etc/hosts`.
///
/// ```sls
/// old.example.org:
///   host.absent:
///     - ip: 10.0.0.7
/// ```
#[derive(Deserialize)]
pub struct Absent {
    /// The host's name.
    pub name: String,
    /// One address or several.
    pub ip: OneOrMany<String>,
}

impl State for Absent {
    const NAME: &'static str = "host.absent";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let name = &self.name;
        let mut hosts = Hosts::read(cx.host)?;
        let (mut would, mut did, mut same) = (vec![], vec![], vec![]);
        for ip in &self.ip.0 {
            if hosts.has(ip, name) {
                hosts.remove(ip, name);
                would.push(format!("Host {name} ({ip}) needs to be removed"));
                did.push(format!("Removed host {name} ({ip})"));
            } else {
                same.push(format!("Host {name} ({ip}) already absent"));
            }
        }
        let plan = Plan::unchanged(same.join("\n"));
        if would.is_empty() {
            return Ok(plan);
        }
        Ok(plan.step(hosts.effect()).change("host", name.as_str()).says(would.join("\n"), did.join("\n")))
    }
}
