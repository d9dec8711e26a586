//! `host.only`

use corpus_core::decode::OneOrMany;
use corpus_core::{Map, Plan, PlanCx, State, StateError, Value};
use corpus_exec::hosts::Hosts;
use serde::Deserialize;

/// Keeps exactly these names under an address in `/etc/hosts`.
///
/// ```sls
/// 127.0.1.1:
///   host.only:
///     - hostnames: [web1.example.org, web1]
/// ```
#[derive(Deserialize)]
pub struct Only {
    /// The address.
    pub name: String,
    /// All its names.
    pub hostnames: OneOrMany<String>,
}

impl State for Only {
    const NAME: &'static str = "host.only";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let mut hosts = Hosts::read(cx.host)?;
        let name = &self.name;
        let old: Vec<String> =
            hosts.entries().filter(|(ip, _)| ip == name).flat_map(|(_, names)| names.iter().cloned()).collect();
        let (old, new) = (old.join(" "), self.hostnames.0.join(" "));
        if old == new {
            return Ok(Plan::unchanged(format!("IP address {name} already set to \"{new}\"")));
        }
        hosts.set(name, &self.hostnames.0);
        let change: Map = [("old", old.as_str()), ("new", new.as_str())].into_iter().collect();
        Ok(Plan::default()
            .step(hosts.effect())
            .says(
                format!("Would change {name} from \"{old}\" to \"{new}\""),
                format!("successfully changed {name} from \"{old}\" to \"{new}\""),
            )
            .change(name.as_str(), Value::map(change)))
    }
}
