//! The way from a node's ports to its guests: one nftables table, loaded whole and at once, whose digest tells whether it is
//! the one that is meant. No port is wired to a guest in any other way.

use crate::book::Allocation;
use crate::hands::Chunk;
use corpus_core::{Map, Value, digest};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Where the rules are on a node.
pub const FILE: &str = "/etc/corpus-cloud.nft";
/// The table.
pub const TABLE: &str = "corpus_cloud";

/// By this a node tells that it carries guests: projects go onto those, never onto the node itself.
pub const MARK: &str = "/etc/corpus-compute-node";

/// Plans the mark, or its end.
pub fn marked(carries: bool) -> Chunk {
    let mut args: Map = [("name", MARK)].into_iter().collect();
    if !carries {
        return Chunk::new("no compute node", "file.absent", args);
    }
    args.insert("contents", "Written by corpus: this machine carries guests.");
    args.insert("mode", "0644");
    Chunk::new("compute node", "file.managed", args)
}

/// Writes the rules; `None` where there are none.
pub fn rules(guests: &BTreeMap<String, Allocation>) -> Option<String> {
    let mut dnat = String::new();
    for (id, given) in guests {
        let Some(ip) = given.ip else { continue };
        for (name, port) in &given.ports {
            for protocol in &port.protocols {
                let protocol = protocol.word();
                for step in 0..port.count {
                    let (host, inside) = (port.host + step, port.port + step);
                    let _ = writeln!(
                        dnat,
                        "    fib daddr type local {protocol} dport {host} dnat to {ip}:{inside} comment \"{id}/{name}\""
                    );
                }
            }
        }
    }
    if dnat.is_empty() {
        return None;
    }
    let body = |mark: &str| {
        // Its own start is a table that is there in any case, so that deleting it cannot fail.
        format!(
            "# Written by corpus.\ntable ip {TABLE}\ndelete table ip {TABLE}\ntable ip {TABLE} {{\n  set {mark} {{ type \
             ipv4_addr; }}\n  chain prerouting {{\n    type nat hook prerouting priority -100; policy accept;\n{dnat}  \
             }}\n  chain output {{\n    type nat hook output priority -100; policy accept;\n{dnat}  }}\n}}\n"
        )
    };
    let mark = mark(&body(""));
    Some(body(&mark))
}

fn mark(text: &str) -> String {
    format!("m{}", &digest::hex(&digest::sha256(text.as_bytes()))[..16])
}

/// The name of the set that says which rules are loaded.
fn mark_of(rules: &str) -> Option<&str> {
    rules.lines().find_map(|line| line.trim().strip_prefix("set ")?.split(' ').next())
}

/// Plans the rules of a node.
pub fn chunks(guests: &BTreeMap<String, Allocation>) -> Vec<Chunk> {
    let args = |items: &[(&str, Value)]| -> Map { items.iter().cloned().collect() };
    match rules(guests) {
        Some(text) => {
            let mark = mark_of(&text).unwrap_or_default().to_owned();
            let file = Chunk::new(
                "ports: rules",
                "file.managed",
                args(&[("name", FILE.into()), ("contents", text.trim_end().into()), ("mode", "0644".into())]),
            );
            let load = Chunk::new(
                "ports: load",
                "cmd.run",
                args(&[
                    ("name", format!("nft -f {FILE}").into()),
                    ("unless", format!("nft list set ip {TABLE} {mark}").into()),
                ]),
            );
            vec![file.clone(), load.after(&file)]
        }
        None => vec![
            Chunk::new("ports: rules", "file.absent", args(&[("name", FILE.into())])),
            Chunk::new(
                "ports: unload",
                "cmd.run",
                args(&[
                    ("name", format!("nft delete table ip {TABLE}").into()),
                    ("onlyif", format!("command -v nft && nft list table ip {TABLE}").into()),
                ]),
            ),
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::book::Given;
    use crate::spec::Protocol;

    #[test]
    fn the_mark_follows_the_rules() {
        let mut given = Allocation { ip: Some("10.5.0.2".parse().expect("an address")), ..Allocation::default() };
        let ssh = Given { host: 40_000, port: 22, count: 1, protocols: vec![Protocol::Tcp], said: false };
        given.ports.insert("ssh".into(), ssh);
        let mut guests: BTreeMap<String, Allocation> = [("a".to_owned(), given)].into();
        let one = rules(&guests).expect("rules");
        assert!(one.contains("fib daddr type local tcp dport 40000 dnat to 10.5.0.2:22 comment \"a/ssh\""), "{one}");
        assert_eq!(rules(&guests), Some(one.clone()));
        guests.get_mut("a").expect("it").ports.get_mut("ssh").expect("it").host = 40_001;
        let two = rules(&guests).expect("rules");
        assert_ne!(mark_of(&one), mark_of(&two));
        assert_eq!(rules(&BTreeMap::new()), None);
        assert_eq!(chunks(&BTreeMap::new())[0].fun, "file.absent");
    }

    /// The real nft takes the rules, twice, and knows the mark; in a network of its own.
    #[test]
    fn nft_takes_them() {
        let mut given = Allocation { ip: Some("10.5.0.2".parse().expect("an address")), ..Allocation::default() };
        let protocols = vec![Protocol::Tcp, Protocol::Udp];
        given.ports.insert("dns".into(), Given { host: 40_000, port: 53, count: 2, protocols, said: false });
        let text = rules(&[("a".to_owned(), given)].into()).expect("rules");
        let mark = mark_of(&text).expect("a mark").to_owned();
        let place = tempfile::tempdir().expect("a folder");
        let file = place.path().join("rules");
        std::fs::write(&file, &text).expect("written");
        let line = format!("nft -f {0} && nft -f {0} && nft list set ip {TABLE} {mark}", file.display());
        let done = std::process::Command::new("unshare").args(["-n", "sh", "-c", &line]).output();
        match done {
            Ok(done) if done.status.success() => {}
            Ok(done) => {
                let said = String::from_utf8_lossy(&done.stderr).into_owned();
                let missing = ["not found", "not permitted"].iter().any(|word| said.contains(word));
                assert!(missing && std::env::var_os("CI").is_none(), "{said}\n{text}");
                eprintln!("skipped: {said}");
            }
            Err(error) => eprintln!("skipped: {error}"),
        }
    }
}
