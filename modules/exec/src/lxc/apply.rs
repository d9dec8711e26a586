//! One key of a declaration, written into a configuration, or set on a guest that runs.

use super::config::Config;
use super::guest::own_mac;
use super::spec::{self, Spec};
use super::{Guest, cgroup};
use crate::ask;
use corpus_core::{Act, Data, Effect, ExecError, Map, Value, python};
use std::net::Ipv4Addr;

/// Where ids of guests start on a machine that says nothing about it.
const USUAL_MAP: &str = "700000:65536";

/// Gives a new container its network card, if it is to have one.
pub fn network(config: &mut Config, guest: &Guest, spec: &Spec, data: &Data) -> Result<(), ExecError> {
    if let Some(profile) = &spec.network_profile {
        let nics = match profile {
            Value::Map(nics) => (**nics).clone(),
            name => spec::named_profile("lxc.network_profile", &python::str(name), data).map_err(ExecError::Failed)?,
        };
        config.remove_prefix("lxc.net.");
        for (number, (name, options)) in nics.iter().enumerate() {
            nic(config, number, &python::str(name), options.as_map().cloned().unwrap_or_default());
        }
    }
    if spec.bridge.is_some() || spec.address.is_some() {
        let mut set = |key: &str, value: &str| {
            let key = format!("lxc.net.0.{key}");
            if config.get(&key).is_none() {
                config.set(&key, value);
            }
        };
        set("type", "veth");
        set("link", spec.bridge.as_deref().unwrap_or("lxcbr0"));
        set("name", "eth0");
        set("flags", "up");
        set("hwaddr", &own_mac(guest));
        if spec.address.is_some() && spec.gateway.is_none() {
            set("ipv4.gateway", "auto");
        }
    }
    // `empty` is what LXC gives to a container that nobody gave a network.
    if config.get("lxc.net.0.type").is_none() {
        config.set("lxc.net.0.type", "empty");
    }
    Ok(())
}

fn nic(config: &mut Config, number: usize, name: &str, options: Map) {
    let key = |word: &str| format!("lxc.net.{number}.{word}");
    config.set(&key("type"), options.str("type").unwrap_or("veth"));
    config.set(&key("name"), name);
    config.set(&key("flags"), options.str("flags").unwrap_or("up"));
    for (option, value) in options.iter().filter(|(option, _)| !matches!(option.as_str(), Some("type" | "flags"))) {
        let word = match python::str(option).as_str() {
            "mac" => "hwaddr".to_owned(),
            "ipv4" => "ipv4.address".to_owned(),
            "ipv6" => "ipv6.address".to_owned(),
            other => other.to_owned(),
        };
        config.set(&key(&word), &python::str(value));
    }
}

/// Writes one key into a configuration. Null lifts what it says.
pub fn setting(config: &mut Config, act: &dyn Act, key: &str, value: &Value) -> Result<(), ExecError> {
    let text = if value.is_null() { None } else { Some(python::str(value)) };
    let one = |config: &mut Config, key: &str| config.set_all(key, text.as_slice());
    match key {
        "hostname" => one(config, "lxc.uts.name"),
        "bridge" => one(config, "lxc.net.0.link"),
        "gateway" => one(config, "lxc.net.0.ipv4.gateway"),
        "mac" => one(config, "lxc.net.0.hwaddr"),
        "address" => {
            config.set_all("lxc.net.0.ipv4.address", &text.map(with_broadcast).into_iter().collect::<Vec<_>>())
        }
        "memory" | "cpus" => {
            let limits = cgroup::of(act.as_look());
            for (name, value) in limit(key, value, limits) {
                let name = format!("{}{name}", limits.prefix());
                // No limit needs no line.
                let values = if text.is_some() { vec![value] } else { vec![] };
                config.set_all(&name, &values);
            }
        }
        "idmap" => idmap(config, act, value)?,
        "autostart" => config.set("lxc.start.auto", if value.truthy() { "1" } else { "0" }),
        "mounts" => {
            let lines: Vec<String> = value.as_list().unwrap_or_default().iter().map(python::str).collect();
            config.set_all("lxc.mount.entry", &lines);
        }
        "lxc_conf" => {
            for (key, values) in value.as_map().into_iter().flatten() {
                let values: Vec<String> = values.as_list().unwrap_or_default().iter().map(python::str).collect();
                config.set_all(&python::str(key), &values);
            }
        }
        "owner" => config.set_note("owner", text.as_deref().unwrap_or_default()),
        _ => {}
    }
    Ok(())
}

fn limit(key: &str, value: &Value, limits: &dyn cgroup::Limits) -> Vec<(&'static str, String)> {
    match key {
        "memory" => limits.memory(value.as_int().and_then(|bytes| u64::try_from(bytes).ok())),
        _ => limits.cpus(match value {
            Value::Float(cpus) => Some(*cpus),
            other => other.as_int().map(|cpus| cpus as f64),
        }),
    }
}

/// Adds the broadcast address, which LXC computes wrongly by itself.
fn with_broadcast(address: String) -> String {
    let parts =
        address.split_once('/').and_then(|(ip, length)| Some((ip.parse::<Ipv4Addr>().ok()?, length.parse().ok()?)));
    match parts {
        Some((ip, length @ 0..=30u32)) => {
            let host = u32::MAX.checked_shr(length).unwrap_or(0);
            format!("{address} {}", Ipv4Addr::from(u32::from(ip) | host))
        }
        _ => address,
    }
}

/// Sets a limit on a guest that runs.
pub fn live(guest: &Guest, act: &dyn Act, key: &str, value: &Value) -> Result<(), ExecError> {
    if !matches!(key, "memory" | "cpus") {
        return Ok(());
    }
    for (name, value) in limit(key, value, cgroup::of(act.as_look())) {
        ask::must(act, guest.command_of("lxc-cgroup", ["--", name, value.as_str()]))?;
    }
    Ok(())
}

/// Gives a container ids of its own: root in it is nobody on the node. Its files keep theirs, by a mapped mount.
fn idmap(config: &mut Config, act: &dyn Act, value: &Value) -> Result<(), ExecError> {
    const USERNS: &str = "/usr/share/lxc/config/userns.conf";
    let mut includes: Vec<String> = config.all("lxc.include").into_iter().map(str::to_owned).collect();
    includes.retain(|file| file != USERNS);
    let mut options: Vec<String> =
        config.get("lxc.rootfs.options").unwrap_or_default().split(',').map(str::to_owned).collect();
    options.retain(|option| !option.is_empty() && !option.starts_with("idmap="));
    let mut maps = vec![];
    if value.truthy() {
        let path = config.get("lxc.rootfs.path").unwrap_or_default().to_owned();
        if path.starts_with("overlay") {
            return Err(ExecError::failed(
                "a guest with ids of its own (`idmap`) cannot stand on overlayfs; `backing: btrfs` and `backing: dir` can carry it",
            ));
        }
        // LXC maps ids of plain directories only; a subvolume is one, too.
        if let Some(path) = path.strip_prefix("btrfs:") {
            let path = format!("dir:{path}");
            config.set("lxc.rootfs.path", &path);
        }
        let range = match value.as_str() {
            Some(range) => range.to_owned(),
            None => usual_map(act)?,
        };
        allow_map(act, &range)?;
        let range = range.replace(':', " ");
        maps = vec![format!("u 0 {range}"), format!("g 0 {range}")];
        includes.push(USERNS.into());
        options.push("idmap=container".into());
    }
    config.set_all("lxc.include", &includes);
    config.set_all("lxc.idmap", &maps);
    let options: Vec<String> = if options.is_empty() { vec![] } else { vec![options.join(",")] };
    config.set_all("lxc.rootfs.options", &options);
    Ok(())
}

/// Returns the range that the machine has for root's guests, else the usual one.
fn usual_map(act: &dyn Act) -> Result<String, ExecError> {
    let text = ask::text(act.as_look(), "/etc/subuid")?.unwrap_or_default();
    let mut ranges = text.lines().filter_map(|line| line.strip_prefix("root:"));
    let wide = |range: &&str| range.split_once(':').is_some_and(|(_, n)| n.parse().is_ok_and(|n: u64| n >= 65536));
    Ok(ranges.find(wide).unwrap_or(USUAL_MAP).to_owned())
}

/// Lets root use a range: with `newuidmap` installed, LXC asks these files.
fn allow_map(act: &dyn Act, range: &str) -> Result<(), ExecError> {
    if act.as_look().which("newuidmap").is_none() {
        return Ok(());
    }
    for file in ["/etc/subuid", "/etc/subgid"] {
        let text = ask::text(act.as_look(), file)?.unwrap_or_default();
        let line = format!("root:{range}");
        if !text.lines().any(|have| have.trim() == line) {
            let newline = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
            act.perform(&Effect::text(file, format!("{text}{newline}{line}\n")))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::with_broadcast;

    #[test]
    fn adds_the_broadcast_address() {
        assert_eq!(with_broadcast("10.5.0.3/16".into()), "10.5.0.3/16 10.5.255.255");
        assert_eq!(with_broadcast("10.5.0.3/32".into()), "10.5.0.3/32");
    }
}
