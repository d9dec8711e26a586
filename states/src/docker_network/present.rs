//! `docker_network.present`

use crate::docker_container::shared::{answers, becomes, call, fact, find, rest};
use corpus_core::plan::{Observed, Settled};
use corpus_core::{Map, Plan, PlanCx, State, StateError, Value};
use corpus_exec::docker::network;
use serde::Deserialize;

/// Keeps a network of containers. One that differs is replaced, and its containers are plugged in again.
///
/// Beside the arguments below it takes `driver`, `driver_opts`, `subnet`, `gateway`, `iprange`, `aux_addresses`,
/// `ipam_pools`, `ipam`, `internal`, `attachable`, `labels` and `enable_ipv6`.
///
/// ```sls
/// app:
///   docker_network.present:
///     - subnet: 172.31.9.0/24
///     - containers: [web]
/// ```
#[derive(Deserialize)]
pub struct Present {
    /// The network.
    pub name: String,
    /// Accepted for Salt's sake.
    pub skip_translate: Option<Value>,
    /// Accepted for Salt's sake.
    pub ignore_collisions: Option<Value>,
    /// Accepted for Salt's sake.
    pub validate_ip_addrs: Option<Value>,
    /// Accepted for Salt's sake.
    pub client_timeout: Option<Value>,
    /// Containers to plug in.
    pub containers: Option<Vec<String>>,
    /// Accepted for Salt's sake: containers of a network that is replaced are plugged in again.
    pub reconnect: Option<Value>,
}

const OWN: &[&str] =
    &["name", "skip_translate", "ignore_collisions", "validate_ip_addrs", "client_timeout", "containers", "reconnect"];

impl State for Present {
    const NAME: &'static str = "docker_network.present";
    const OPEN: bool = true;

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let name = &self.name;
        let args = rest(cx, OWN);
        let wanted = network::body(name, &args)?;
        let known = cx.host.predicted(&fact("network", name));
        let have = match &known {
            Some(known) => Some(known.clone()).filter(|known| !known.is_null()),
            None => find(cx, "docker.inspect_network", name)?,
        };
        let mut plan = Plan::unchanged(format!("Network '{name}' already exists, and is configured as specified"));
        let mut after: Map = wanted.clone();
        let plugged = have.as_ref().map(network::containers).unwrap_or_default();
        let mut missing = vec![];
        let mut absent = vec![];
        for container in self.containers.iter().flatten() {
            let there = match cx.host.predicted(&fact("container", container)) {
                Some(known) => !known.is_null(),
                None => find(cx, "docker.inspect_container", container)?.is_some(),
            };
            match there {
                true if plugged.contains(container) => {}
                true => missing.push(container.clone()),
                false => absent.push(container.clone()),
            }
        }
        if !absent.is_empty() {
            plan.warnings.push(format!("The following containers do not exist: {}.", absent.join(", ")));
        }
        let all: Map = plugged
            .iter()
            .chain(&missing)
            .map(|name| (name.as_str(), Value::from([("Name", name.as_str())].into_iter().collect::<Map>())))
            .collect();
        after.insert("Containers", all);
        let (mut would, mut did) = (String::new(), plan.unchanged.clone());
        match &have {
            None => {
                plan.push(
                    call("create_network", vec![name.as_str().into()], &args),
                    becomes("network", name, after.clone()),
                );
                plan.changes.insert("created", true);
                (would, did) = ("Network will be created".into(), format!("Network '{name}' created"));
            }
            Some(have) => {
                let changes = network::differences(have, &wanted);
                if !changes.is_empty() {
                    plan.push(
                        call("replace_network", vec![name.as_str().into()], &args),
                        becomes("network", name, after.clone()),
                    );
                    plan.changes.insert(name.as_str(), changes);
                    plan.changes.insert("recreated", true);
                    would = "Network would be recreated with new config".into();
                    did = format!("Network '{name}' was replaced with updated config");
                }
            }
        }
        if !missing.is_empty() {
            for container in &missing {
                let effect = call(
                    "connect_container_to_network",
                    vec![container.as_str().into(), name.as_str().into()],
                    &Map::new(),
                );
                plan.push(effect, becomes("network", name, after.clone()));
            }
            let names = missing.join(", ");
            plan.changes.insert("connected", missing);
            if would.is_empty() {
                would = format!("Containers would be connected to network '{name}': {names}");
            }
        }
        Ok(plan.says(would, did))
    }

    fn settle(&self, plan: &Plan, seen: &[Observed], _: &PlanCx<'_>) -> Result<Settled, StateError> {
        let mut settled = Settled::as_planned(plan);
        for answer in answers(seen) {
            if let Some(names) = answer.get("reconnected").filter(|names| names.truthy()) {
                settled.changes.insert("reconnected", names.clone());
            }
        }
        Ok(settled)
    }
}
