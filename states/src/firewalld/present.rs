//! `firewalld.present`

use super::shared;
use corpus_core::decode::OneOrMany;
use corpus_core::plan::{Observed, Settled};
use corpus_core::{Map, Plan, PlanCx, Prediction, State, StateError, Value, python};
use corpus_exec::ask;
use corpus_exec::fns::firewalld;
use serde::Deserialize;

/// Keeps a zone of firewalld: what is not named stays, unless its `prune_…` is set.
///
/// ```sls
/// public:
///   firewalld.present:
///     - services: [ssh, http]
///     - ports: [8080/tcp]
///     - prune_services: True
/// ```
#[derive(Deserialize)]
pub struct Present {
    /// The zone.
    pub name: String,
    /// Kinds of ICMP messages to block.
    #[serde(default)]
    pub block_icmp: OneOrMany<String>,
    /// Block no others.
    #[serde(default)]
    pub prune_block_icmp: bool,
    /// Make it the default zone.
    #[serde(default)]
    pub default: bool,
    /// Masquerade, or do not; left alone if not given.
    pub masquerade: Option<bool>,
    /// Ports, `8080/tcp`.
    #[serde(default)]
    pub ports: OneOrMany<String>,
    /// Open no others.
    #[serde(default)]
    pub prune_ports: bool,
    /// Forwarded ports, `from:to:protocol[:address]`.
    #[serde(default)]
    pub port_fwd: OneOrMany<String>,
    /// Forward no others.
    #[serde(default)]
    pub prune_port_fwd: bool,
    /// Services.
    #[serde(default)]
    pub services: OneOrMany<String>,
    /// Open no others.
    #[serde(default)]
    pub prune_services: bool,
    /// Interfaces.
    #[serde(default)]
    pub interfaces: OneOrMany<String>,
    /// Take all others out.
    #[serde(default)]
    pub prune_interfaces: bool,
    /// Addresses and networks.
    #[serde(default)]
    pub sources: OneOrMany<String>,
    /// Take all others out.
    #[serde(default)]
    pub prune_sources: bool,
    /// Rich rules.
    #[serde(default)]
    pub rich_rules: OneOrMany<String>,
    /// Keep no others.
    #[serde(default)]
    pub prune_rich_rules: bool,
}

/// A list of the zone: Salt's word in `changes`, that of `--list-all`, and that of the options.
struct Part<'a> {
    shown: &'static str,
    key: &'static str,
    option: &'static str,
    want: Vec<String>,
    prune: bool,
    name: &'a str,
}

impl Present {
    fn parts(&self) -> Result<[Part<'_>; 7], StateError> {
        let part = |shown, key, option, want: &[String], prune| Part {
            shown,
            key,
            option,
            want: want.to_vec(),
            prune,
            name: &self.name,
        };
        let forward = |text: &String| {
            firewalld::forward(text).ok_or_else(|| {
                StateError::failed(format!("port_fwd `{text}` is not of the form from:to:protocol[:address]"))
            })
        };
        let forwards = self.port_fwd.0.iter().map(forward).collect::<Result<Vec<_>, _>>()?;
        let rules: Vec<String> = self.rich_rules.0.iter().map(|rule| firewalld::rich_rule(rule)).collect();
        Ok([
            part("icmp_types", "icmp_blocks", "icmp-block", &self.block_icmp.0, self.prune_block_icmp),
            part("ports", "ports", "port", &self.ports.0, self.prune_ports),
            part("port_fwd", "forward_ports", "forward-port", &forwards, self.prune_port_fwd),
            part("services", "services", "service", &self.services.0, self.prune_services),
            part("interfaces", "interfaces", "interface", &self.interfaces.0, self.prune_interfaces),
            part("sources", "sources", "source", &self.sources.0, self.prune_sources),
            part("rich_rules", "rich_rules", "rich-rule", &rules, self.prune_rich_rules),
        ])
    }
}

impl Part<'_> {
    fn plan(&self, plan: &mut Plan, zone: &mut Map) {
        let have = firewalld::texts(zone, self.key);
        let (new, old) = shared::difference(&have, &self.want);
        let old = if self.prune { old } else { vec![] };
        for (verb, items) in [("add", &new), ("remove", &old)] {
            if !items.is_empty() {
                let mut command = firewalld::command(&["--permanent", &format!("--zone={}", self.name)]);
                command.argv.extend(items.iter().map(|item| format!("--{verb}-{}={item}", self.option)));
                plan.attempt(command, vec![]);
            }
        }
        if new.is_empty() && old.is_empty() {
            return;
        }
        let after = if self.prune { self.want.clone() } else { [have.clone(), new].concat() };
        let shown = |items: &[String]| -> Value {
            match self.shown {
                "port_fwd" => items.iter().map(|item| firewalld::forward_shown(item)).collect::<Vec<_>>().into(),
                _ => items.to_vec().into(),
            }
        };
        plan.changes.insert(self.shown, Map::from_iter([("old", shown(&have)), ("new", shown(&after))]));
        zone.insert(self.key, after);
    }
}

impl State for Present {
    const NAME: &'static str = "firewalld.present";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        cx.program("firewall-cmd", "firewalld")?;
        let name = &self.name;
        let fact = format!("firewalld:zone:{name}");
        let mut plan = Plan::unchanged(format!("'{name}' is already in the desired state."));
        let mut zone = match cx.host.predicted(&fact).and_then(|zone| zone.as_map().cloned()) {
            Some(zone) => zone,
            None => {
                let zones = firewalld::words(cx.host, &["--permanent", "--get-zones"])?;
                if zones.contains(name) {
                    firewalld::zone(cx.host, name)?
                } else {
                    plan.attempt(firewalld::command(&["--permanent", &format!("--new-zone={name}")]), vec![]);
                    let change = Map::from_iter([("old", Value::from(zones)), ("new", name.as_str().into())]);
                    plan.changes.insert(name.as_str(), change);
                    Map::new()
                }
            }
        };
        let [icmp, rest @ ..] = self.parts()?;
        icmp.plan(&mut plan, &mut zone);
        // A new zone can be the default one once firewalld has taken it over.
        let mut default = None;
        if self.default {
            let fact = "firewalld:default".to_owned();
            let have = match cx.host.predicted(&fact) {
                Some(zone) => python::str(&zone),
                None => ask::output(cx.host, &firewalld::command(&["--get-default-zone"]))?.trim().to_owned(),
            };
            if have != *name {
                let change = Map::from_iter([("old", have.as_str()), ("new", name)]);
                plan.changes.insert("default", change);
                default = Some(fact);
            }
        }
        let masquerades = firewalld::texts(&zone, "masquerade").iter().any(|word| word == "yes");
        if let Some(want) = self.masquerade.filter(|want| *want != masquerades) {
            let (verb, said) = if want { ("add", "set") } else { ("remove", "disabled") };
            let words = ["--permanent", &format!("--zone={name}"), &format!("--{verb}-masquerade")];
            plan.attempt(firewalld::command(&words), vec![]);
            let said = format!("Masquerading successfully {said}.");
            let change = Map::from_iter([("old", Value::from(masquerades)), ("new", said.into())]);
            plan.changes.insert("masquerade", change);
            zone.insert("masquerade", vec![if want { "yes" } else { "no" }]);
        }
        for part in rest {
            part.plan(&mut plan, &mut zone);
        }
        if plan.changes.is_empty() {
            return Ok(plan);
        }
        plan.attempt(firewalld::command(&["--reload"]), vec![Prediction::Fact(fact, zone.into())]);
        if let Some(fact) = default {
            let predicts = vec![Prediction::Fact(fact, name.as_str().into())];
            plan.attempt(firewalld::command(&[&format!("--set-default-zone={name}")]), predicts);
        }
        Ok(plan.says(format!("Configuration for '{name}' will change:"), format!("'{name}' was configured.")))
    }

    fn settle(&self, plan: &Plan, seen: &[Observed], _: &PlanCx<'_>) -> Result<Settled, StateError> {
        Ok(shared::settle(plan, seen))
    }
}
