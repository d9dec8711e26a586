//! Roles, compute nodes and guests, with their ports.

use super::database::{Database, Machine};
use corpus_core::{Diagnostic, Map, Value, merge, python};
use std::collections::BTreeMap;

/// What a guest of a kind has unless it is said otherwise: network, gateway, bridge.
const NETWORKS: &[(&str, &str, &str, &str, &str)] = &[
    ("lxc", "10.5.0.0", "255.255.0.0", "10.5.0.1", "lxcbr1"),
    ("kvm", "10.6.0.0", "255.255.0.0", "10.6.0.1", "kvmbr1"),
    ("docker", "10.7.0.0", "255.255.0.0", "10.7.0.1", "docker1"),
];

/// Puts `cloud` into a machine's pillar.
pub fn pillar(database: &Database, machine: &Machine, own: &mut Map, problems: &mut Vec<Diagnostic>) {
    let mut cloud = Map::new();
    cloud.insert("is", roles(database, machine));
    if machine.managed && is_node(database, &machine.id) {
        cloud.insert("compute_node", node(database, machine));
        let mut vms = Map::new();
        for (id, kind) in &machine.guests {
            match guest(database, id, kind, &machine.id) {
                Ok(guest) => _ = vms.insert(id.as_str(), guest),
                Err(why) => problems.push(why),
            }
        }
        problems.extend(conflicts(&machine.id, &vms));
        cloud.insert("vms", vms);
    }
    if machine.managed
        && let Some((kind, node)) = &machine.guest
    {
        match guest(database, &machine.id, kind, node) {
            Ok(guest) => _ = cloud.insert("vm", guest),
            Err(why) => problems.push(why),
        }
    }
    own.insert("cloud", cloud);
}

fn is_node(database: &Database, id: &str) -> bool {
    database.section("vms").values().any(|nodes| nodes.get(id).is_some())
}

fn roles(database: &Database, machine: &Machine) -> Map {
    let mut roles = Map::new();
    let switch = |name: &str| database.switch(&machine.id, name).is_some_and(|value| value.truthy());
    roles.insert("controller", switch("cloud_master"));
    roles.insert("compute_node", is_node(database, &machine.id));
    roles.insert("vm", machine.guest.is_some());
    for (kind, nodes) in &database.section("vms") {
        if nodes.get(&machine.id).is_some() {
            roles.insert(format!("{}_compute_node", python::str(kind)), true);
        }
    }
    if let Some((kind, _)) = &machine.guest {
        roles.insert(format!("{kind}_vm"), true);
    }
    roles
}

/// The record of a compute node.
fn node(database: &Database, machine: &Machine) -> Map {
    let mut kinds: Vec<String> = machine.guests.iter().map(|(_, kind)| kind.clone()).collect();
    kinds.sort();
    kinds.dedup();
    let mut node: Map = [
        ("target", Value::str(&machine.id)),
        ("vts", kinds.into()),
        ("domains", database.domains(machine).into()),
        ("http_port", 80.into()),
        ("https_port", 443.into()),
        ("port_range_start", 40_000.into()),
        ("port_range_end", 60_000.into()),
        ("excluded_ports", Value::list(vec![])),
    ]
    .into_iter()
    .collect();
    for settings in
        [database.section("cloud_settings").get("compute_node").cloned(), database.of("cloud_cn_attrs", &machine.id)]
    {
        lay(&mut node, settings.as_ref(), &["domains"]);
    }
    node
}

fn lay(into: &mut Map, settings: Option<&Value>, but: &[&str]) {
    let mut settings = settings.and_then(Value::as_map).cloned().unwrap_or_default();
    for name in but {
        settings.remove(name);
    }
    merge::update(into, &settings, false);
}

/// The record of a guest.
fn guest(database: &Database, id: &str, kind: &str, node: &str) -> Result<Map, Diagnostic> {
    let machine = super::Machine { id: id.to_owned(), guest: None, guests: vec![], managed: true };
    let mut guest: Map = [
        ("name", Value::str(id)),
        ("vt", kind.into()),
        ("target", node.into()),
        ("autostart", true.into()),
        ("main_bridge", "br0".into()),
        ("users", vec!["root", "sysadmin"].into()),
    ]
    .into_iter()
    .collect();
    if let Some((_, network, netmask, gateway, bridge)) = NETWORKS.iter().find(|(name, ..)| *name == kind) {
        for (key, value) in [("network", network), ("netmask", netmask), ("gateway", gateway), ("bridge", bridge)] {
            guest.insert(key, *value);
        }
    }
    lay(&mut guest, database.section("cloud_settings").get(kind), &["domains"]);
    lay(&mut guest, database.of("cloud_vm_attrs", id).as_ref(), &["domains"]);
    // The guest's own name always comes first.
    let machine = super::Machine { guest: Some((kind.to_owned(), node.to_owned())), ..machine };
    guest.insert("domains", database.domains(&machine));
    let ports = ports(guest.get("ports")).map_err(|why| Diagnostic::error(format!("{id}: ports: {why}")))?;
    guest.insert("ports", Value::list(ports.into_iter().map(Value::map).collect()));
    Ok(guest)
}

/// Reads the ports of a guest; `ssh` is always one of them. Where no `hostPort` is said the controller chooses one.
fn ports(said: Option<&Value>) -> Result<Vec<Map>, String> {
    let mut ports: Vec<Map> = Vec::new();
    for item in said.and_then(Value::as_list).unwrap_or_default() {
        let Some(item) = item.as_map() else { return Err(format!("{} is no mapping", python::repr(item))) };
        let name = item.get("name").map(python::str).ok_or("a port has no `name`")?;
        let number = |key: &str| match item.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => match python::str(value).parse::<u16>() {
                Ok(port) if port > 0 => Ok(Some(i64::from(port))),
                _ => Err(format!("{name}: `{key}` must be a port, found {}", python::repr(value))),
            },
        };
        let range = |key: &str| match item.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => {
                let text = python::str(value);
                let ends =
                    text.split_once(':').and_then(|(a, b)| Some((a.parse::<u16>().ok()?, b.parse::<u16>().ok()?)));
                match ends.filter(|(a, b)| *a > 0 && a <= b) {
                    Some(_) => Ok(Some(text)),
                    None => Err(format!("{name}: `{key}` must be `first:last`, found {}", python::repr(value))),
                }
            }
        };
        let protocols = match item.get("protocol") {
            None | Some(Value::Null) => vec!["tcp".to_owned(), "udp".to_owned()],
            Some(Value::List(list)) => list.iter().map(python::str).collect(),
            Some(one) => vec![python::str(one)],
        };
        let mut port = Map::new();
        port.insert("name", name.as_str());
        match (number("port")?, range("portRange")?) {
            (Some(number_), None) => {
                port.insert("port", number_);
                port.insert("hostPort", number("hostPort")?);
            }
            (None, Some(text)) => {
                port.insert("hostPortRange", range("hostPortRange")?.unwrap_or_else(|| text.clone()));
                port.insert("portRange", text);
            }
            _ => return Err(format!("{name}: either `port` or `portRange` must be there")),
        }
        port.insert("protocols", protocols);
        ports.push(port);
    }
    if !ports.iter().any(|port| port.str("name") == Some("ssh")) {
        let mut ssh: Map =
            [("name", Value::from("ssh")), ("port", 22.into()), ("hostPort", Value::Null)].into_iter().collect();
        ssh.insert("protocols", vec!["tcp", "udp"]);
        ports.insert(0, ssh);
    }
    Ok(ports)
}

/// Finds ports of a node that two guests claim.
fn conflicts(node: &str, vms: &Map) -> Vec<Diagnostic> {
    let mut taken: BTreeMap<(String, String), String> = BTreeMap::new();
    let mut found = Vec::new();
    for (id, guest) in vms {
        let ports = guest.get("ports").and_then(Value::as_list).unwrap_or_default();
        for port in ports {
            let host = port.get("hostPort").filter(|p| !p.is_null()).or_else(|| port.get("hostPortRange"));
            let Some(host) = host.map(python::str) else { continue };
            for protocol in port.get("protocols").and_then(Value::as_list).unwrap_or_default() {
                let whose = format!("{}/{}", python::str(id), port.get("name").map(python::str).unwrap_or_default());
                let key = (host.clone(), python::str(protocol));
                if let Some(other) = taken.insert(key, whose.clone()) {
                    found.push(Diagnostic::error(format!(
                        "the port {host}/{} of {node} is claimed by {other} and {whose}",
                        python::str(protocol)
                    )));
                }
            }
        }
    }
    found
}
