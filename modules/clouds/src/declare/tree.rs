//! The original's tree: `vms: {KIND: {NODE: [GUEST]}}`, with what `cloud_settings`, `cloud_cn_attrs` and `cloud_vm_attrs`
//! say of kinds, nodes and guests.

use super::build::{At, guest};
use super::source::{Layers, Source};
use super::{Declared, Read};
use crate::drivers::Drivers;
use crate::spec::Node;
use corpus_core::{Node as Yaml, Value, python};

/// Keys of the original's records that say nothing to a driver here.
const IDLE: &[&str] = &[
    "name",
    "vt",
    "main_bridge",
    "additional_ips",
    "users",
    "pools",
    "volumes",
    "sudo",
    "dnsservers",
    "expose",
    "expose_limited",
    "exposed",
    "exposed_limited_in",
    "ssh_reverse_proxy_port",
    "snmp_reverse_proxy_port",
    "vgname",
    "snapshot",
    "lxc_conf_unset",
    "fstab",
    "password",
    "profile",
];

/// Reads the tree.
pub fn read(source: &Source, drivers: &Drivers) -> Read<Declared> {
    let mut declared = Declared::default();
    let mut wrong = vec![];
    let root = &source.node;
    let section = |name: &str, id: &str| root.get(name).and_then(|section| section.get(id));
    let kinds = root.get("vms").and_then(Yaml::as_map).unwrap_or_default();
    for (kind, nodes) in kinds {
        let driver = python::str(&kind.to_value());
        if let Err(error) = drivers.get(&driver) {
            wrong.push(source.wrong(kind.pos, error.to_string()));
            continue;
        }
        for (node, guests) in nodes.as_map().unwrap_or_default() {
            let node_id = python::str(&node.to_value());
            let mut about = Layers::default();
            for body in [
                section("cloud_settings", "compute_node"),
                section("cloud_cn_attrs", "default"),
                section("cloud_cn_attrs", &node_id),
            ] {
                about.lay(source, body.unwrap_or(&Yaml::default()));
            }
            let number = |key: &str, or: u16| {
                about.get(key).and_then(|item| python::str(&item.value).parse().ok()).unwrap_or(or)
            };
            let excluded = about.get("excluded_ports").and_then(|item| item.value.as_list().map(<[Value]>::to_vec));
            declared.nodes.entry(node_id.clone()).or_insert_with(|| Node {
                excluded_ports: excluded.iter().flatten().filter_map(|port| python::str(port).parse().ok()).collect(),
                port_range: (
                    number("port_range_start", crate::spec::PORTS.0),
                    number("port_range_end", crate::spec::PORTS.1),
                ),
                ..Node::new(node_id.clone(), String::new())
            });
            for item in guests.as_seq().unwrap_or_default() {
                let id = python::str(&item.to_value());
                let mut layers = Layers::default();
                for body in [
                    section("cloud_settings", &driver),
                    section("cloud_vm_attrs", "default"),
                    section("cloud_vm_attrs", &id),
                ] {
                    layers.lay(source, body.unwrap_or(&Yaml::default()));
                }
                // A profile is a mapping here: what the guest is copied from.
                if let Some(profile) = layers.get("profile").filter(|item| item.value.as_map().is_some()).cloned() {
                    layers.say(profile.value.as_map().unwrap_or(&corpus_core::Map::new()), source);
                }
                for key in IDLE {
                    layers.take(key);
                }
                let said = [("driver", Value::str(&driver)), ("node", Value::str(&node_id))];
                layers.say(&said.into_iter().collect(), source);
                match guest(&id, layers, drivers, &At { source, pos: item.pos }) {
                    Ok(spec) => match declared.guests.get(&id) {
                        Some(other) => wrong
                            .push(source.wrong(item.pos, format!("{id} is declared twice; first at {}", other.place))),
                        None => _ = declared.guests.insert(id, spec),
                    },
                    Err(errors) => wrong.extend(errors),
                }
            }
        }
    }
    if wrong.is_empty() { Ok(declared) } else { Err(wrong) }
}
