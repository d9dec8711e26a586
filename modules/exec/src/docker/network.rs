//! Networks: what is asked for, how one differs from it, and one in the place of another.

use super::client::{Docker, escaped};
use super::{body, container};
use corpus_core::{ExecError, Map, Value, python};

/// The arguments of a network that need nothing but their name in the API.
const PLAIN: &[(&str, &str)] = &[
    ("driver", "Driver"),
    ("internal", "Internal"),
    ("attachable", "Attachable"),
    ("ingress", "Ingress"),
    ("scope", "Scope"),
    ("enable_ipv6", "EnableIPv6"),
    ("check_duplicate", "CheckDuplicate"),
];

const POOL: &[(&str, &str)] =
    &[("subnet", "Subnet"), ("gateway", "Gateway"), ("iprange", "IPRange"), ("ip_range", "IPRange")];

/// What of the arguments is no property of the network.
const OWN: &[&str] = &[
    "name",
    "network_id",
    "url",
    "client_timeout",
    "containers",
    "reconnect",
    "skip_translate",
    "ignore_collisions",
    "validate_ip_addrs",
];

fn invalid(name: &str, why: impl std::fmt::Display) -> ExecError {
    ExecError::failed(format!("docker: argument `{name}`: {why}"))
}

/// Returns the API's request for Salt's arguments of a network.
pub fn body(name: &str, args: &Map) -> Result<Map, ExecError> {
    let mut out: Map = [("Name", name)].into_iter().collect();
    let (mut pool, mut ipam) = (Map::new(), Map::new());
    for (key, value) in args.iter().filter(|(_, value)| !value.is_null()) {
        let key = python::str(key);
        if OWN.contains(&key.as_str()) {
            continue;
        }
        if let Some((_, api)) = PLAIN.iter().find(|(known, _)| *known == key) {
            out.insert(*api, value.clone());
        } else if let Some((_, api)) = POOL.iter().find(|(known, _)| *known == key) {
            pool.insert(*api, python::str(value));
        } else {
            match key.as_str() {
                "driver_opts" | "options" => _ = out.insert("Options", body::pairs(&key, value)?),
                "labels" => _ = out.insert("Labels", body::pairs(&key, value)?),
                "aux_addresses" => _ = pool.insert("AuxiliaryAddresses", body::pairs(&key, value)?),
                "ipam_driver" => _ = ipam.insert("Driver", python::str(value)),
                "ipam_opts" => _ = ipam.insert("Options", body::pairs(&key, value)?),
                "ipam_pools" => _ = ipam.insert("Config", pools(value)?),
                "ipam" => ipam = value.as_map().cloned().ok_or_else(|| invalid("ipam", "must be a mapping"))?,
                _ => return Err(ExecError::failed(format!("docker: unknown argument `{key}` of a network"))),
            }
        }
    }
    if !pool.is_empty() {
        if ipam.contains("Config") {
            return Err(invalid(
                "ipam_pools",
                "cannot be used together with `subnet`, `gateway`, `iprange` and `aux_addresses`",
            ));
        }
        ipam.insert("Config", vec![Value::from(pool)]);
    }
    if !ipam.is_empty() {
        out.insert("IPAM", ipam);
    }
    Ok(out)
}

fn pools(value: &Value) -> Result<Vec<Value>, ExecError> {
    let mut out = vec![];
    for item in value.as_list().unwrap_or_default() {
        let mut row = Map::new();
        // A pool is a mapping, or a list of mappings of one entry.
        let maps: Vec<&Map> = match item {
            Value::List(items) => items.iter().filter_map(Value::as_map).collect(),
            one => one.as_map().into_iter().collect(),
        };
        for (key, value) in maps.into_iter().flatten() {
            let key = python::str(key);
            match POOL.iter().find(|(known, api)| *known == key || *api == key) {
                Some((_, api)) => row.insert(*api, python::str(value)),
                None if key == "aux_addresses" => row.insert("AuxiliaryAddresses", body::pairs(&key, value)?),
                None => {
                    return Err(invalid(
                        "ipam_pools",
                        format!("`{key}` is none of subnet, gateway, iprange, aux_addresses"),
                    ));
                }
            };
        }
        out.push(row.into());
    }
    Ok(out)
}

/// Returns what differs between a network and what is asked for, as `{key: {old, new}}`. What is not asked for is as
/// the daemon made it.
pub fn differences(network: &Value, wanted: &Map) -> Map {
    let mut out = Map::new();
    let mut put = |key: &str, old: Value, new: Value| {
        out.insert(key, [("old", old), ("new", new)].into_iter().collect::<Map>());
    };
    for (key, new) in wanted {
        let key = python::str(key);
        let old = network.get(&key).cloned().unwrap_or_default();
        match key.as_str() {
            "Name" | "CheckDuplicate" => {}
            "IPAM" => {
                for (part, new) in new.as_map().into_iter().flatten() {
                    let part = python::str(part);
                    let old = old.get(&part).cloned().unwrap_or_default();
                    if !holds(&old, new) {
                        put(&format!("IPAM.{part}"), old, new.clone());
                    }
                }
            }
            _ if !holds(&old, new) => put(&key, old, new.clone()),
            _ => {}
        }
    }
    out
}

/// Tells whether a value has all that is asked for: of mappings the keys that are named, of lists each entry.
fn holds(have: &Value, want: &Value) -> bool {
    match (have, want) {
        (Value::Map(have), Value::Map(want)) => {
            want.iter().all(|(key, want)| have.get_value(key).is_some_and(|have| holds(have, want)))
        }
        (Value::List(have), Value::List(want)) => {
            have.len() == want.len() && want.iter().all(|want| have.iter().any(|have| holds(have, want)))
        }
        (have, want) => have == want || !have.truthy() && !want.truthy() || python::str(have) == python::str(want),
    }
}

/// Finds a network by its whole name.
pub fn find(docker: &Docker, name: &str) -> Result<Option<Value>, ExecError> {
    let all = docker.get("/networks")?;
    let id = all.as_list().unwrap_or_default().iter().find(|one| one.get("Name").and_then(Value::as_str) == Some(name));
    match id.and_then(|one| one.get("Id")).map(python::str) {
        Some(id) => docker.find(&format!("/networks/{id}")),
        None => Ok(None),
    }
}

/// Lists the names of the containers that are plugged into a network.
pub fn containers(network: &Value) -> Vec<String> {
    let all = network.get("Containers").and_then(Value::as_map);
    let mut names: Vec<String> =
        all.into_iter().flatten().filter_map(|(_, row)| row.get("Name").map(python::str)).collect();
    names.sort();
    names
}

/// Makes a network in the place of one of its name, and plugs its containers into it as they were.
pub fn replace(docker: &Docker, name: &str, args: &Map) -> Result<Map, ExecError> {
    let wanted = body(name, args)?;
    let old = find(docker, name)?;
    let mut plugged = vec![];
    if let Some(old) = &old {
        for container in containers(old) {
            let found = container::inspect(docker, &container)?;
            let now = found
                .get("NetworkSettings")
                .and_then(|all| all.get("Networks")?.get(name))
                .cloned()
                .unwrap_or_default();
            let mut options = Map::new();
            for (api, key) in [("IPv4Address", "ipv4_address"), ("IPv6Address", "ipv6_address")] {
                if let Some(address) =
                    now.get("IPAMConfig").and_then(|ipam| ipam.get(api)).filter(|value| value.truthy())
                {
                    options.insert(key, address.clone());
                }
            }
            let id = found.get("Id").map(python::str).unwrap_or_default();
            let aliases: Vec<String> = crate::fns::lvm::listed(now.get("Aliases"))
                .into_iter()
                .filter(|alias| !id.starts_with(alias))
                .collect();
            options.insert("aliases", aliases);
            container::unplug(docker, &container, name)?;
            plugged.push((container, options));
        }
        let id = old.get("Id").map(python::str).unwrap_or_default();
        docker.delete(&format!("/networks/{}", escaped(&id)))?;
    }
    let made = docker.post("/networks/create", Some(wanted.into()))?;
    let mut names = vec![];
    for (container, mut options) in plugged {
        // An address of before may not lie in the network of now: any other will do, then.
        if container::connect(docker, &container, name, &options.clone().into()).is_err() {
            options.remove("ipv4_address");
            options.remove("ipv6_address");
            container::connect(docker, &container, name, &options.into())?;
        }
        names.push(container);
    }
    Ok([("Id", made.get("Id").cloned().unwrap_or_default()), ("reconnected", names.into())].into_iter().collect())
}
