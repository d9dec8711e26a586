//! What a container is, in the words of a declaration, and how that differs from one.

use super::config::Config;
use super::spec::{self, Spec};
use super::{Guest, cgroup, disk};
use crate::ask;
use corpus_core::{ExecError, Look, Map, Value};

/// Returns what a guest is, under the keys of [`spec::KEYS`].
pub fn current(guest: &Guest, look: &dyn Look, spec: Option<&Spec>) -> Result<Map, ExecError> {
    let config = guest.config(look)?;
    let state = guest.state(look)?.unwrap_or_default();
    let files = guest.files(look)?;
    let mut out = settings(&config);
    let live = |key: &str| guest.parameter(look, key);
    let kept = |key: &str| {
        let found = ["lxc.cgroup.", "lxc.cgroup2."].iter().find_map(|prefix| config.get(&format!("{prefix}{key}")));
        found.map(str::to_owned)
    };
    let limits = cgroup::of(look);
    let get: &dyn Fn(&str) -> Option<String> = if state == "stopped" { &kept } else { &live };
    out.insert("memory", limits.read_memory(get));
    out.insert("cpus", limits.read_cpus(get));
    out.insert("disk", disk::limit(guest, look, &config)?);
    let text = |path: &str| files.text(look, path);
    out.insert("this_host", text("/this_host")?.map(|text| text.trim().to_owned()));
    out.insert("this_port", text("/this_port")?.map(|text| text.trim().to_owned()));
    out.insert("nameservers", servers(&text("/etc/resolv.conf")?.unwrap_or_default()));
    out.insert("authorized_keys", keys(&text(KEYS_FILE)?.unwrap_or_default()));
    // Of the many settings of a configuration, those are of interest that a declaration names.
    let named = spec.and_then(|spec| spec.lxc_conf.as_ref()).map(|conf| spec::settings(conf));
    if let Some(Value::Map(named)) = named {
        let have = named.keys().filter_map(Value::as_str).map(|key| (key, Value::from(config.all(key))));
        out.insert("lxc_conf", have.collect::<Map>());
    }
    Ok(out)
}

/// Where root's keys lie in a guest.
pub const KEYS_FILE: &str = "/root/.ssh/authorized_keys";

/// Reads what the configuration alone says.
fn settings(config: &Config) -> Map {
    let get = |key: &str| config.get(key).filter(|value| !value.is_empty());
    let mut out = Map::new();
    out.insert("hostname", get("lxc.uts.name"));
    out.insert("bridge", get("lxc.net.0.link"));
    out.insert("address", get("lxc.net.0.ipv4.address").and_then(|value| value.split_whitespace().next()));
    out.insert("gateway", get("lxc.net.0.ipv4.gateway"));
    out.insert("mac", get("lxc.net.0.hwaddr").map(str::to_lowercase));
    let map = config.all("lxc.idmap").into_iter().find_map(|line| {
        let mut words = line.strip_prefix("u 0 ")?.split_whitespace();
        Some(format!("{}:{}", words.next()?, words.next()?))
    });
    out.insert("idmap", map);
    out.insert("autostart", get("lxc.start.auto") == Some("1"));
    out.insert("mounts", config.all("lxc.mount.entry"));
    out.insert("owner", config.note("owner"));
    out
}

fn servers(text: &str) -> Vec<String> {
    text.lines().filter_map(|line| line.strip_prefix("nameserver ")).map(|server| server.trim().to_owned()).collect()
}

fn keys(text: &str) -> Vec<String> {
    text.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty() && !line.starts_with('#')).collect()
}

/// Returns what a declaration would change, as `{key: {old, new}}`.
pub fn differences(guest: &Guest, look: &dyn Look, spec: &Spec) -> Result<Map, ExecError> {
    let wanted = spec.wanted().map_err(ExecError::Failed)?;
    let have = current(guest, look, Some(spec))?;
    let mut out = Map::new();
    for key in spec::KEYS {
        let (Some(new), old) = (wanted.get(key), have.get(key).cloned().unwrap_or_default()) else { continue };
        if same(key, &old, new) {
            continue;
        }
        let change: Map = [("old", old), ("new", new.clone())].into_iter().collect();
        out.insert(*key, change);
    }
    Ok(out)
}

/// Tells whether a guest has what is wanted.
fn same(key: &str, old: &Value, new: &Value) -> bool {
    match key {
        // Keys that somebody added stay; `true` is whatever map there is.
        "authorized_keys" => {
            let have = old.as_list().unwrap_or_default();
            new.as_list().unwrap_or_default().iter().all(|key| have.contains(key))
        }
        "idmap" if new.as_bool() == Some(true) => !old.is_null(),
        "memory" => match (old.as_int(), new.as_int()) {
            // The kernel counts in pages.
            (Some(old), Some(new)) => old == new - new % 4096,
            (old, new) => old == new,
        },
        "owner" => old.as_str().unwrap_or_default() == new.as_str().unwrap_or_default(),
        _ => old == new,
    }
}

/// Describes a guest: Salt's keys, and those of a declaration.
pub fn info(guest: &Guest, look: &dyn Look) -> Result<Map, ExecError> {
    let config = guest.config(look)?;
    let state = guest.state(look)?.unwrap_or_default();
    let mut out = Map::new();
    out.insert("name", guest.name.as_str());
    out.insert("state", state.as_str());
    out.insert("path", guest.root.display().to_string());
    out.insert("config", guest.config_file().display().to_string());
    let rootfs = config.get("lxc.rootfs.path").unwrap_or_default().to_owned();
    out.insert("rootfs", rootfs.as_str());
    out.insert("backing", disk::backing(look, &config)?);
    out.insert("base", config.note("base"));
    out.insert("nics", nics(&config));
    out.0.extend(current(guest, look, None)?);
    let running = state != "stopped";
    out.insert("pid", if running { guest.pid(look)? } else { None });
    let ips = if running { guest.ips(look)? } else { vec![] };
    out.0.extend(addresses(&ips));
    out.insert("snapshots", super::snapshot::names(guest, look)?);
    out.insert("size", Value::Null);
    if running {
        let limits = cgroup::of(look);
        let limit = limits.read_memory(&|key| guest.parameter(look, key)).unwrap_or(0);
        let usage = ["memory.usage_in_bytes", "memory.current"].iter().find_map(|key| guest.parameter(look, key));
        let usage: u64 = usage.and_then(|text| text.parse().ok()).unwrap_or(0);
        out.insert("memory_limit", limit);
        out.insert("memory_free", limit as i64 - usage as i64);
    }
    // What is frozen answers nobody.
    if state == "running" {
        let df = look.query(&guest.command_of("lxc-attach", ["--clear-env", "--", "df", "-P", "/"]))?;
        let text = df.stdout_text();
        out.insert("size", text.lines().last().and_then(|line| line.split_whitespace().nth(1)));
    }
    Ok(out)
}

fn nics(config: &Config) -> Vec<Value> {
    let mut out: Vec<(String, Map)> = vec![];
    for (key, value) in config.pairs() {
        let Some((number, key)) = key.strip_prefix("lxc.net.").and_then(|rest| rest.split_once('.')) else { continue };
        let at = out.iter().position(|(have, _)| have == number).unwrap_or_else(|| {
            out.push((number.to_owned(), Map::new()));
            out.len() - 1
        });
        out[at].1.insert(key, value);
    }
    out.into_iter().map(|(_, nic)| nic.into()).collect()
}

/// Sorts addresses into Salt's lists.
fn addresses(ips: &[String]) -> Map {
    let v6 = |ip: &String| ip.contains(':');
    let private = |ip: &String| match ip.parse() {
        Ok(std::net::IpAddr::V4(ip)) => ip.is_private() || ip.is_loopback() || ip.is_link_local(),
        Ok(std::net::IpAddr::V6(ip)) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
        Err(_) => false,
    };
    let some = |keep: &dyn Fn(&String) -> bool| -> Vec<String> { ips.iter().filter(|ip| keep(ip)).cloned().collect() };
    let mut out = Map::new();
    out.insert("ips", ips.to_vec());
    out.insert("public_ips", some(&|ip| !private(ip)));
    out.insert("private_ips", some(&|ip| private(ip)));
    out.insert("public_ipv4_ips", some(&|ip| !private(ip) && !v6(ip)));
    out.insert("public_ipv6_ips", some(&|ip| !private(ip) && v6(ip)));
    out.insert("private_ipv4_ips", some(&|ip| private(ip) && !v6(ip)));
    out.insert("private_ipv6_ips", some(&|ip| private(ip) && v6(ip)));
    out.insert("ipv4_ips", some(&|ip| !v6(ip)));
    out.insert("ipv6_ips", some(&v6));
    out
}

/// Returns the address that a guest is reached at: the declared one, else the first live one.
pub fn address(guest: &Guest, look: &dyn Look) -> Result<Option<String>, ExecError> {
    let config = guest.config(look)?;
    let declared = config.get("lxc.net.0.ipv4.address").and_then(|text| text.split(['/', ' ']).next());
    if let Some(ip) = declared.filter(|ip| !ip.is_empty()) {
        return Ok(Some(ip.to_owned()));
    }
    Ok(guest.ips(look)?.into_iter().next())
}

/// Returns the machine's own name servers, for guests that are given none.
pub fn node_servers(look: &dyn Look) -> Vec<String> {
    servers(&ask::text(look, "/etc/resolv.conf").ok().flatten().unwrap_or_default())
}
