//! Names and addresses: what a name server serves, computed of the whole inventory.

use super::database::{Database, Machine};
use corpus_core::{Diagnostic, Map, Value, python};
use std::collections::BTreeMap;

/// Sections whose entries go into a zone as they are, with the zone's key for them.
const AS_THEY_ARE: &[(&str, &str)] = &[
    ("dnames", "DNAME"),
    ("mx_map", "MX"),
    ("rrs_srv", "SRV"),
    ("rrs_txt", "TXT"),
    ("rrs_raw", "RAW"),
    ("rrs_ttls", "TTL"),
];

type Addresses = BTreeMap<String, Vec<String>>;

/// Puts `dns` into a machine's pillar: its own addresses, and the zones that it serves.
pub fn pillar(database: &Database, machine: &Machine, own: &mut Map, problems: &mut Vec<Diagnostic>) {
    let mut dns = Map::new();
    let v4 = addresses(database, "ips", problems);
    let v6 = addresses(database, "ip6s", problems);
    for (key, table) in [("ips", &v4), ("ip6s", &v6)] {
        dns.insert(key, table.get(&machine.id).cloned().unwrap_or_default());
    }
    for (key, section) in [("resolvers", "dns_resolvers"), ("search", "dns_search")] {
        if let Some(value) = database.of(section, &machine.id) {
            dns.insert(key, value);
        }
    }
    let mut zones = Map::new();
    for zone in database.names("managed_dns_zones") {
        let servers = database.of("dns_servers", &zone).unwrap_or_default();
        let master = servers.get("master").map(python::str);
        let slaves: Vec<String> = servers
            .get("slaves")
            .map(|s| s.as_list().map_or_else(|| keys(s), |l| l.iter().map(python::str).collect()))
            .unwrap_or_default();
        if master.as_deref() != Some(&*machine.id) && !slaves.contains(&machine.id) {
            continue;
        }
        let mut told = Map::new();
        told.insert("master", master.as_deref());
        told.insert("slaves", slaves);
        told.insert("serial", database.section("dns_serials").get(&zone).cloned());
        told.insert("records", records(database, &zone, &v4, &v6, problems));
        zones.insert(zone, told);
    }
    if !zones.is_empty() {
        dns.insert("zones", zones);
    }
    own.insert("dns", dns);
}

fn keys(value: &Value) -> Vec<String> {
    value.as_map().into_iter().flat_map(Map::keys).map(python::str).collect()
}

fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::List(items) => items.iter().map(python::str).collect(),
        Value::Null => vec![],
        one => vec![python::str(one)],
    }
}

/// Works out the addresses of all names, of one family: `ips` or `ip6s`.
fn addresses(database: &Database, family: &str, problems: &mut Vec<Diagnostic>) -> Addresses {
    let mut table: Addresses = BTreeMap::new();
    let mut add = |name: &str, more: Vec<String>| {
        let known = table.entry(name.to_owned()).or_default();
        for address in more {
            if !known.contains(&address) {
                known.push(address);
            }
        }
    };
    let failover = database.section(&format!("{family}fo"));
    for (name, value) in &database.section(family) {
        add(&python::str(name), texts(value));
    }
    for (name, value) in &failover {
        add(&python::str(name), texts(value));
    }
    for (host, names) in &database.section(&format!("{family}fo_map")) {
        let host = python::str(host);
        for name in texts(names) {
            let Some(found) = failover.get(&name).map(texts) else {
                problems.push(Diagnostic::error(format!("{family}fo_map: {host}: {name} is not in {family}fo")));
                continue;
            };
            let short = host.split('.').next().unwrap_or_default();
            add(&host, found.clone());
            add(&format!("failover.{host}"), found.clone());
            add(&format!("{short}.{name}"), found);
        }
    }
    let maps = database.section(&format!("{family}_map"));
    for name in maps.keys().map(python::str) {
        match resolve(&name, &maps, &table, &mut vec![]) {
            Ok(found) => {
                let known = table.entry(name).or_default();
                known.extend(found.into_iter().filter(|address| !known.contains(address)).collect::<Vec<_>>());
            }
            Err(why) => problems.push(Diagnostic::error(format!("{family}_map: {why}"))),
        }
    }
    // A guest without an address of its own is reached at its node's.
    if family == "ips" {
        for (guest, (_, node)) in &database.guests {
            if table.get(guest).is_none_or(Vec::is_empty)
                && let Some(found) = table.get(node).cloned()
            {
                table.insert(guest.clone(), found);
            }
        }
    }
    table
}

fn resolve(name: &str, maps: &Map, table: &Addresses, way: &mut Vec<String>) -> Result<Vec<String>, String> {
    if way.iter().any(|known| known == name) {
        way.push(name.to_owned());
        return Err(format!("a loop: {}", way.join(" -> ")));
    }
    let mut found = table.get(name).cloned().unwrap_or_default();
    let Some(targets) = maps.get(name).map(texts) else {
        return if found.is_empty() { Err(format!("{name} has no address")) } else { Ok(found) };
    };
    way.push(name.to_owned());
    for target in targets {
        for address in resolve(&target, maps, table, way)? {
            if !found.contains(&address) {
                found.push(address);
            }
        }
    }
    way.pop();
    Ok(found)
}

fn within(name: &str, zone: &str) -> bool {
    name.strip_suffix(zone).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// The records of a zone, by type and owner. The name of the zone itself is written `@`.
fn records(database: &Database, zone: &str, v4: &Addresses, v6: &Addresses, problems: &mut Vec<Diagnostic>) -> Map {
    let mut records = Map::new();
    let owner = |name: &str| match name.strip_suffix(zone) {
        Some("") => "@".to_owned(),
        Some(rest) => rest.trim_end_matches('.').to_owned(),
        None => name.to_owned(),
    };
    let put = |records: &mut Map, kind: &str, name: &str, value: Value| {
        let mut of: Map = records.get(kind).and_then(Value::as_map).cloned().unwrap_or_default();
        of.insert(owner(name), value);
        records.insert(kind, of);
    };
    for (kind, table) in [("A", v4), ("AAAA", v6)] {
        for (name, found) in table.iter().filter(|(name, found)| within(name, zone) && !found.is_empty()) {
            put(&mut records, kind, name, found.clone().into());
        }
    }
    let zones = database.names("managed_dns_zones");
    let cnames = database.section("cnames");
    let known = |name: &str| v4.contains_key(name) || v6.contains_key(name) || cnames.contains(name);
    for (name, target) in &cnames {
        let (name, target) = (python::str(name), python::str(target));
        // A name with an address is no alias.
        if !within(&name, zone) || v4.contains_key(&name) || v6.contains_key(&name) {
            continue;
        }
        let full = target.trim_end_matches('.');
        if zones.iter().any(|zone| within(full, zone)) && !known(full) {
            problems.push(Diagnostic::error(format!("cnames: {name}: {full} is in a managed zone and has no address")));
        }
        put(&mut records, "CNAME", &name, target.into());
    }
    for (section, kind) in AS_THEY_ARE {
        for (name, value) in &database.section(section) {
            let name = python::str(name);
            if within(&name, zone) {
                put(&mut records, kind, &name, value.clone());
            }
        }
    }
    records
}
