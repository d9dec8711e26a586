//! `host.present`

use corpus_core::decode::OneOrMany;
use corpus_core::{Map, Plan, PlanCx, State, StateError, Value};
use corpus_exec::hosts::Hosts;
use serde::Deserialize;

/// Keeps a name in `/etc/hosts` under its addresses.
///
/// ```sls
/// db1.example.org:
///   host.present:
///     - ip: 10.0.0.7
/// ```
#[derive(Deserialize)]
pub struct Present {
    /// The host's name.
    pub name: String,
    /// One address or several.
    pub ip: OneOrMany<String>,
    /// Text beside the address.
    #[serde(default)]
    pub comment: String,
    /// Take the name off all other addresses.
    #[serde(default)]
    pub clean: bool,
}

impl State for Present {
    const NAME: &'static str = "host.present";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let name = &self.name;
        let mut hosts = Hosts::read(cx.host)?;
        let before = hosts.clone();
        let (mut would, mut did, mut same) = (vec![], vec![], vec![]);
        let (mut added, mut removed, mut commented) = (Map::new(), Map::new(), Map::new());
        let mut plan = Plan::default();
        for ip in &self.ip.0 {
            if ip.parse::<std::net::IpAddr>().is_err() {
                return Err(StateError::failed(format!("Invalid IP Address for {name} ({ip})")));
            }
            let new = !before.has(ip, name);
            let comment =
                Some(self.comment.as_str()).filter(|text| !text.is_empty() && before.comment_of(ip) != Some(*text));
            if new {
                would.push(format!("Host {name} ({ip}) would be added"));
                did.push(format!("Added host {name} ({ip})"));
                added.insert(ip.as_str(), vec![name.as_str()]);
            }
            if let Some(text) = comment {
                would.push(format!("Comment for {ip} ({text}) would be added"));
                did.push(format!("Set comment for host {ip} ({text})"));
                commented.insert(ip.as_str(), vec![text]);
            }
            if !new && comment.is_none() {
                same.push(format!("Host {name} ({ip}) already present"));
            }
            hosts.add(ip, name, comment);
        }
        for ip in before.addresses_of(name).into_iter().filter(|ip| !self.ip.0.contains(ip)) {
            if self.clean {
                would.push(format!("Host {name} ({ip}) would be removed"));
                did.push(format!("Removed host {name} ({ip})"));
                removed.insert(ip.as_str(), vec![name.as_str()]);
                hosts.remove(&ip, name);
            } else {
                plan.warnings.push(format!(
                    "Host {name} present for IP address {ip}. To get rid of this warning, either run this state with \
                     'clean' set to True to remove {name} from {ip}, or add {ip} to the 'ip' argument."
                ));
            }
        }
        for (key, map) in [("added", added), ("comment_added", commented), ("removed", removed)] {
            if !map.is_empty() {
                plan.changes.insert(key, Value::map(map));
            }
        }
        plan.unchanged = same.join("\n");
        if hosts != before {
            plan.push(hosts.effect(), vec![]);
        }
        same.extend(would);
        Ok(plan.says(same.join("\n"), did.join("\n")))
    }
}
