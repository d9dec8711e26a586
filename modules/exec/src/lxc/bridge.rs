//! A bridge of the node for its guests: an address, forwarding, and a firewall table of its own by which guests reach
//! the world. No DHCP: guests are given addresses.

use crate::ask;
use corpus_core::{Act, Command, ExecError, Look, Map, Value};
use std::net::Ipv4Addr;

/// What a bridge is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bridge {
    pub there: bool,
    pub up: bool,
    pub addresses: Vec<String>,
    pub nat: bool,
    pub ports: Vec<String>,
}

fn check(name: &str) -> Result<(), ExecError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if name.is_empty() || name.len() > 15 || name.starts_with(['-', '.']) || !name.chars().all(plain) {
        return Err(ExecError::failed(format!(
            "`{name}` cannot be the name of a bridge: letters, digits, `.`, `_` and `-` can, 15 of them at most"
        )));
    }
    Ok(())
}

/// Names the firewall's table of a bridge.
fn table(name: &str) -> String {
    format!("corpus_{}", name.replace(|c: char| !c.is_ascii_alphanumeric(), "_"))
}

fn json(look: &dyn Look, words: &[&str]) -> Result<Vec<Value>, ExecError> {
    let output = look.query(&Command::new(words.iter().copied()))?;
    if !output.ok() {
        return Ok(vec![]);
    }
    let value: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    Ok(value.as_list().unwrap_or_default().to_vec())
}

/// Looks at a bridge.
pub fn look_at(look: &dyn Look, name: &str) -> Result<Bridge, ExecError> {
    check(name)?;
    if look.which("ip").is_none() {
        return Err(ExecError::failed("iproute2 is not installed on this machine; install it first (`pkg.installed`)"));
    }
    let found = json(look, &["ip", "-j", "-d", "addr", "show", "dev", name])?;
    let Some(link) = found.iter().find(|link| link.get("ifname").and_then(Value::as_str) == Some(name)) else {
        return Ok(Bridge::default());
    };
    if link.get("linkinfo").and_then(|info| info.get("info_kind")).and_then(Value::as_str) != Some("bridge") {
        return Err(ExecError::failed(format!("{name} is an interface of this machine, but no bridge")));
    }
    let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let list = |key: &str| link.get(key).and_then(Value::as_list).unwrap_or_default();
    let addresses = list("addr_info")
        .iter()
        .filter(|row| text(row, "family") == "inet")
        .map(|row| format!("{}/{}", text(row, "local"), row.get("prefixlen").and_then(Value::as_int).unwrap_or(32)));
    let ports = json(look, &["ip", "-j", "link", "show", "master", name])?;
    Ok(Bridge {
        there: true,
        up: list("flags").iter().any(|flag| flag.as_str() == Some("UP")),
        addresses: addresses.collect(),
        nat: nat_text(look, name)?.is_some(),
        ports: ports.iter().map(|port| text(port, "ifname")).collect(),
    })
}

fn nat_text(look: &dyn Look, name: &str) -> Result<Option<String>, ExecError> {
    if look.which("nft").is_none() {
        return Ok(None);
    }
    let output = look.query(&Command::new(["nft", "list", "table", "ip", &table(name)]))?;
    Ok(output.ok().then(|| output.stdout_text()))
}

/// Returns the network of an address, `10.5.0.0/16`.
fn network(address: &str) -> Result<String, ExecError> {
    let address = super::spec::address(address).map_err(ExecError::Failed)?;
    let (ip, length) = address.split_once('/').unwrap_or((&address, "32"));
    let (ip, length): (Ipv4Addr, u32) = (ip.parse().unwrap_or(Ipv4Addr::UNSPECIFIED), length.parse().unwrap_or(32));
    let mask = if length == 0 { 0 } else { u32::MAX << (32 - length) };
    Ok(format!("{}/{length}", Ipv4Addr::from(u32::from(ip) & mask)))
}

fn rules(name: &str, address: &str) -> Result<String, ExecError> {
    let network = network(address)?;
    Ok(format!(
        "table ip {} {{\n\tchain postrouting {{\n\t\ttype nat hook postrouting priority srcnat; policy accept;\n\
         \t\tip saddr {network} oifname != \"{name}\" masquerade\n\t}}\n}}\n",
        table(name)
    ))
}

/// The rules that let a bridge's traffic through where forwarding is forbidden to everybody: what a Docker daemon does
/// to the machine that it runs on.
fn passes(name: &str) -> [[String; 4]; 2] {
    ["-i", "-o"].map(|way| [way.into(), name.into(), "-j".into(), "ACCEPT".into()])
}

fn iptables(words: &[&str], rule: &[String]) -> Command {
    let mut command = Command::new(["iptables", "-w"]);
    command.argv.extend(words.iter().map(|word| (*word).to_owned()));
    command.argv.extend(rule.iter().cloned());
    command
}

/// Returns the chain that the rules go into, if forwarding is forbidden: Docker's own for such rules, if it is there.
fn forbidding(look: &dyn Look) -> Result<Option<&'static str>, ExecError> {
    if look.which("iptables").is_none() {
        return Ok(None);
    }
    let forward = look.query(&iptables(&["-S", "FORWARD"], &[]))?.stdout_text();
    if !forward.lines().any(|line| line.trim() == "-P FORWARD DROP") {
        return Ok(None);
    }
    let docker = look.query(&iptables(&["-S", "DOCKER-USER"], &[]))?.ok();
    Ok(Some(if docker { "DOCKER-USER" } else { "FORWARD" }))
}

fn passing(look: &dyn Look, chain: &str, name: &str) -> Result<bool, ExecError> {
    let mut all = true;
    for rule in passes(name) {
        all &= look.query(&iptables(&["-C", chain], &rule))?.ok();
    }
    Ok(all)
}

/// Returns what is to change for a bridge to be as declared.
pub fn differences(look: &dyn Look, name: &str, address: &str, nat: bool) -> Result<Map, ExecError> {
    let have = look_at(look, name)?;
    let address = super::spec::address(address).map_err(ExecError::Failed)?;
    let mut out = Map::new();
    let mut change = |key: &str, old: Value, new: Value| {
        if old != new {
            out.insert(key, [("old", old), ("new", new)].into_iter().collect::<Map>());
        }
    };
    change("bridge", if have.there { "present".into() } else { Value::Null }, "present".into());
    change("up", have.up.into(), true.into());
    change("address", have.addresses.first().cloned().into(), address.as_str().into());
    let forwards = ask::text(look, "/proc/sys/net/ipv4/ip_forward")?.is_some_and(|text| text.trim() == "1");
    change("forwarding", forwards.into(), true.into());
    let rule = format!("ip saddr {} oifname != \"{name}\" masquerade", network(&address)?);
    let kept = nat_text(look, name)?;
    let good = match &kept {
        Some(text) if nat => text.contains(&rule),
        there => there.is_some(),
    };
    change("nat", good.into(), nat.into());
    if let Some(chain) = forbidding(look)? {
        change("passes", passing(look, chain, name)?.into(), true.into());
    }
    Ok(out)
}

/// Keeps a bridge as declared; returns what changed.
pub fn keep(act: &dyn Act, name: &str, address: &str, nat: bool) -> Result<Map, ExecError> {
    let look = act.as_look();
    let changes = differences(look, name, address, nat)?;
    let have = look_at(look, name)?;
    let ip = |words: &[&str]| ask::must(act, Command::new(["ip"].iter().chain(words).copied()));
    if nat && look.which("nft").is_none() {
        return Err(ExecError::failed(
            "nft is not installed on this machine; install it first (`pkg.installed`: nftables)",
        ));
    }
    if !have.there {
        ip(&["link", "add", "name", name, "type", "bridge"])?;
    }
    if changes.contains("address") {
        for old in &have.addresses {
            ip(&["addr", "del", old, "dev", name])?;
        }
        let address = super::spec::address(address).map_err(ExecError::Failed)?;
        ip(&["addr", "add", &address, "dev", name])?;
    }
    if changes.contains("up") {
        ip(&["link", "set", "dev", name, "up"])?;
    }
    if changes.contains("forwarding") {
        ask::must(act, Command::new(["sysctl", "-q", "-w", "net.ipv4.ip_forward=1"]))?;
    }
    if let (true, Some(chain)) = (changes.contains("passes"), forbidding(look)?) {
        for rule in passes(name) {
            if !look.query(&iptables(&["-C", chain], &rule))?.ok() {
                ask::must(act, iptables(&["-I", chain], &rule))?;
            }
        }
    }
    if changes.contains("nat") {
        let mut text = format!("table ip {0}\ndelete table ip {0}\n", table(name));
        if nat {
            text += &rules(name, address)?;
        }
        ask::must(act, Command::new(["nft", "-f", "-"]).stdin(text))?;
    }
    Ok(changes)
}

/// Removes a bridge and its firewall table. One that guests are plugged into stays.
pub fn remove(act: &dyn Act, name: &str) -> Result<bool, ExecError> {
    let look = act.as_look();
    let have = look_at(look, name)?;
    if !have.ports.is_empty() {
        return Err(ExecError::failed(format!("bridge {name} is in use by {}", have.ports.join(", "))));
    }
    if look.which("iptables").is_some() {
        for chain in ["DOCKER-USER", "FORWARD"] {
            for rule in passes(name) {
                while look.query(&iptables(&["-C", chain], &rule))?.ok() {
                    ask::must(act, iptables(&["-D", chain], &rule))?;
                }
            }
        }
    }
    if nat_text(look, name)?.is_some() {
        ask::must(act, Command::new(["nft", "delete", "table", "ip", &table(name)]))?;
    }
    if have.there {
        ask::must(act, Command::new(["ip", "link", "del", "dev", name]))?;
    }
    Ok(have.there)
}

/// Describes all bridges of the machine.
pub fn list(look: &dyn Look) -> Result<Map, ExecError> {
    let mut out = Map::new();
    for link in json(look, &["ip", "-j", "link", "show", "type", "bridge"])? {
        let Some(name) = link.get("ifname").and_then(Value::as_str) else { continue };
        let Ok(bridge) = look_at(look, name) else { continue };
        let row: Map = [
            ("address", Value::from(bridge.addresses.first().cloned())),
            ("nat", bridge.nat.into()),
            ("ports", bridge.ports.into()),
        ]
        .into_iter()
        .collect();
        out.insert(name, row);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::{network, rules};

    #[test]
    fn nat_is_for_the_network_of_the_address() {
        assert_eq!(network("10.5.3.1/16").ok().as_deref(), Some("10.5.0.0/16"));
        let text = rules("lxcbr1", "10.5.0.1/16").expect("good");
        assert!(
            text.contains("table ip corpus_lxcbr1 {")
                && text.contains("ip saddr 10.5.0.0/16 oifname != \"lxcbr1\" masquerade")
        );
        assert!(network("10.5.0.1").is_err());
    }
}
