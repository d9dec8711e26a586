//! Rules of `nft`: written from a declaration's words as Salt writes them, and looked for in what the kernel has.

use crate::ask;
use crate::iptables::split;
use corpus_core::host::{Command, HostResult, Look};
use corpus_core::{Map, Value, keywords, python};
use serde_json::Value as Json;

/// One table of one family.
#[derive(Clone, Debug)]
pub struct Table {
    /// As it is declared, `ipv4`.
    pub family: String,
    pub table: String,
}

const FAMILIES: [(&str, &str); 10] = [
    ("ipv4", "ip"),
    ("ip4", "ip"),
    ("ip", "ip"),
    ("ipv6", "ip6"),
    ("ip6", "ip6"),
    ("inet", "inet"),
    ("arp", "arp"),
    ("bridge", "bridge"),
    ("netdev", "netdev"),
    ("", "ip"),
];

impl Table {
    /// Makes it of what was declared.
    pub fn of(table: &str, family: &str) -> Result<Self, String> {
        if FAMILIES.iter().all(|(name, _)| *name != family) {
            return Err(format!("`{family}` is no family of nftables: ipv4, ipv6, inet, arp, bridge, netdev"));
        }
        Ok(Self { family: family.to_owned(), table: table.to_owned() })
    }

    /// Returns the family's name for `nft`.
    pub fn nft_family(&self) -> &'static str {
        FAMILIES.iter().find(|(name, _)| *name == self.family).map_or("ip", |(_, word)| word)
    }

    /// Makes a command: `add chain`, and what comes after the table.
    pub fn command(&self, verb: &str, more: &[&str]) -> Command {
        let mut command = Command::new(["nft"]);
        command.argv.extend(verb.split(' ').map(str::to_owned));
        command.argv.extend([self.nft_family().to_owned(), self.table.clone()]);
        command.argv.extend(more.iter().map(|word| (*word).to_owned()));
        command
    }

    /// Tells whether the table is there.
    pub fn there(&self, look: &dyn Look) -> HostResult<bool> {
        let text = ask::output(look, &Command::new(["nft", "list", "tables", self.nft_family()]))?;
        let wanted = format!("table {} {}", self.nft_family(), self.table);
        Ok(text.lines().any(|line| line.trim() == wanted))
    }

    /// Returns what the kernel has of a chain; none if there is no such chain.
    pub fn chain(&self, look: &dyn Look, chain: &str) -> HostResult<Option<Chain>> {
        if !self.there(look)? {
            return Ok(None);
        }
        let mut command = self.command("--json --handle list table", &[]);
        command.argv.retain(|word| !word.is_empty());
        let json: Json = serde_json::from_str(&ask::output(look, &command)?).unwrap_or_default();
        let all = json["nftables"].as_array().cloned().unwrap_or_default();
        let Some(found) = all.iter().map(|item| &item["chain"]).find(|item| item["name"] == chain) else {
            return Ok(None);
        };
        let text = |key: &str| found[key].as_str().map(str::to_owned);
        let (kind, hook, policy) = (text("type"), text("hook"), text("policy"));
        let priority = found["prio"].as_i64();
        let rules = self.rules(look, chain)?;
        Ok(Some(Chain { kind, hook, priority, policy, rules }))
    }

    /// Lists the rules of a chain, with the handle of each.
    fn rules(&self, look: &dyn Look, chain: &str) -> HostResult<Vec<(String, u64)>> {
        let text = ask::output(look, &self.command("--handle list chain", &[chain]))?;
        let read = |line: &str| {
            let (rule, handle) = line.trim().rsplit_once(" # handle ")?;
            Some((rule.to_owned(), handle.trim().parse().ok()?))
        };
        let of_chain = text.lines().skip_while(|line| !line.trim_start().starts_with("chain ")).skip(1);
        Ok(of_chain.filter_map(read).collect())
    }
}

/// A chain of the kernel.
pub struct Chain {
    pub kind: Option<String>,
    pub hook: Option<String>,
    pub priority: Option<i64>,
    pub policy: Option<String>,
    pub rules: Vec<(String, u64)>,
}

impl Chain {
    /// Returns the handle of a rule.
    pub fn find(&self, rule: &str) -> Option<u64> {
        let wanted = plain(rule);
        self.rules.iter().find(|(have, _)| plain(have) == wanted).map(|(_, handle)| *handle)
    }
}

/// A rule as it can be compared: sets of one without braces, elements in order, counts left out.
fn plain(rule: &str) -> String {
    let spaced = rule.replace('{', " { ").replace('}', " } ").replace(',', " , ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let (mut out, mut i) = (Vec::new(), 0);
    while i < words.len() {
        match words[i] {
            "{" => {
                let end = words[i..].iter().position(|word| *word == "}").map_or(words.len(), |at| i + at);
                let inner = words[i + 1..end].join(" ");
                let mut items: Vec<String> = inner.split(',').map(|item| item.trim().to_lowercase()).collect();
                items.sort();
                out.push(items.join(","));
                i = end;
            }
            // The kernel shows what was counted.
            "counter" => {
                out.push("counter".into());
                while matches!(words.get(i + 1), Some(&("packets" | "bytes"))) {
                    i += 2;
                }
            }
            // A list without braces, as the kernel shows states.
            "," => {
                if let (Some(last), Some(next)) = (out.pop(), words.get(i + 1)) {
                    let mut items: Vec<String> = last.split(',').map(str::to_owned).collect();
                    items.push(next.to_lowercase());
                    items.sort();
                    out.push(items.join(","));
                    i += 1;
                }
            }
            word => out.push(word.trim_matches('"').to_lowercase()),
        }
        i += 1;
    }
    let text = out.join(" ");
    text.replace("meta iifname", "iifname").replace("meta oifname", "oifname").replace("meta pkttype", "pkttype")
}

/// Splits a rule into the words of `nft`, which puts them together itself.
pub fn words(rule: &str) -> Vec<String> {
    split(rule)
}

/// Writes a rule as Salt does.
pub fn rule(given: &Map, family: &Table) -> String {
    let mut given: Map = given
        .iter()
        .filter(|(key, _)| key.as_str().is_none_or(|key| !keywords::is_engine_word(key)))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    if let Some(target) = given.remove("target") {
        given.insert("jump", target);
    }
    let mut take = |key: &str| given.remove(key).filter(|value| !value.is_null()).map(|value| listed(&value));
    let proto = take("proto").unwrap_or_default();
    let mut rule: Vec<String> = Vec::new();
    let address = family.nft_family();
    for (key, before, after) in [
        ("if", "meta iifname ", ""),
        ("of", "meta oifname ", ""),
        ("connstate", "ct state { ", " }"),
        ("icmp-type", "icmp type { ", " }"),
        ("icmpv6-type", "icmpv6 type { ", " }"),
        ("pkttype", "meta pkttype { ", " }"),
    ] {
        rule.extend(take(key).map(|value| format!("{before}{value}{after}")));
    }
    rule.extend(take("counter").map(|_| "counter".to_owned()));
    for (keys, word) in [(["saddr", "source"], "saddr"), (["daddr", "destination"], "daddr")] {
        let found = keys.map(&mut take).into_iter().flatten().next();
        rule.extend(found.map(|value| format!("{address} {word} {value}")));
    }
    for (key, word) in [("dport", "dport"), ("sport", "sport")] {
        rule.extend(take(key).map(|value| format!("{proto} {word} {{ {} }}", value.replace(':', "-"))));
    }
    for (key, word) in [("dports", "dport"), ("sports", "sport")] {
        rule.extend(take(key).map(|value| {
            let mut ports: Vec<&str> = value.split(',').map(str::trim).collect();
            // Salt: as the kernel showed them once.
            ports.sort_by_key(|port| std::cmp::Reverse(port.parse::<u32>().unwrap_or(0)));
            format!("{proto} {word} {{ {} }}", ports.join(", "))
        }));
    }
    for (keys, before) in [
        (["jump", "j"], ""),
        (["redirect-to", "to-port"], "redirect to "),
        (["to-ports", "to-ports"], "--to-ports "),
        (["to-source", "to-source"], ""),
        (["to-destination", "to-destination"], ""),
        (["reject-with", "reject-with"], "reject with "),
    ] {
        let found = keys.map(&mut take).into_iter().flatten().next();
        rule.extend(found.map(|value| format!("{before}{value}")));
    }
    rule.join(" ")
}

fn listed(value: &Value) -> String {
    match value {
        Value::List(items) => items.iter().map(python::str).collect::<Vec<_>>().join(","),
        one => python::str(one),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_written_and_found() {
        let table = Table::of("filter", "ipv4").unwrap();
        let given = |json: serde_json::Value| -> Map {
            serde_json::from_value::<Value>(json).unwrap().as_map().cloned().unwrap()
        };
        for (words, written, shown) in [
            (
                serde_json::json!({"connstate": "new", "dport": 80, "proto": "tcp", "source": "10.0.0.0/8", "jump": "accept", "save": true}),
                "ct state { new } ip saddr 10.0.0.0/8 tcp dport { 80 } accept",
                "ct state new ip saddr 10.0.0.0/8 tcp dport 80 accept",
            ),
            (
                serde_json::json!({"connstate": "related,established", "if": "eth0", "counter": true, "jump": "accept"}),
                "meta iifname eth0 ct state { related,established } counter accept",
                "iifname \"eth0\" ct state established,related counter packets 7 bytes 99 accept",
            ),
            (
                serde_json::json!({"proto": "tcp", "dports": "22,443,80", "jump": "drop"}),
                "tcp dport { 443, 80, 22 } drop",
                "tcp dport { 22, 80, 443 } drop",
            ),
        ] {
            let rule = rule(&given(words), &table);
            assert_eq!(rule, written);
            let chain = Chain { kind: None, hook: None, priority: None, policy: None, rules: vec![(shown.into(), 4)] };
            assert_eq!(chain.find(&rule), Some(4), "{} | {}", plain(&rule), plain(shown));
            assert_eq!(chain.find("tcp dport 1 drop"), None);
        }
        assert!(Table::of("filter", "ipx").is_err());
    }
}
