//! The names of machines: `/etc/hosts` by states on minions, bind by signed updates, PowerDNS by its API, behind one trait.
//! Only what corpus wrote is changed; what is there and is somebody else's is told, and left.

use crate::hands::{Chunk, Hands, HandsError, Place};
use corpus_core::{Call, Map, Value, python};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::process::{Command, Stdio};

/// Addresses by name.
pub type Addresses = BTreeMap<String, BTreeSet<String>>;

/// A place where names are kept.
pub trait Names: Send + Sync {
    /// Says which one, for the record and for messages.
    fn title(&self) -> String;

    /// The minion from which its names are seen, if only that one sees them.
    fn view(&self) -> Option<&str> {
        None
    }

    /// Tells whether a name belongs there.
    fn serves(&self, name: &str) -> bool;

    /// Looks names up.
    fn look(&self, names: &BTreeSet<&str>, hands: &dyn Hands) -> Result<Addresses, String>;

    /// Puts the addresses of a name; none takes it away.
    fn put(&self, name: &str, addresses: &BTreeSet<String>, hands: &dyn Hands) -> Result<(), String>;
}

/// What corpus wrote, by title.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Written(pub BTreeMap<String, Addresses>);

/// What became of names at one place.
#[derive(Debug, Default)]
pub struct Settled {
    pub changes: Map,
    pub wrong: Vec<String>,
}

/// Makes a place have what is wanted, and not what corpus wrote before and is no longer wanted.
/// `keep` keeps the record of what is ours: before a name is written, and after.
pub fn settle(
    place: &dyn Names,
    wanted: &Addresses,
    written: &mut Written,
    hands: &dyn Hands,
    test: bool,
    keep: &mut dyn FnMut(&Written) -> Result<(), String>,
) -> Settled {
    let mut settled = Settled::default();
    let title = place.title();
    let ours = written.0.get(&title).cloned().unwrap_or_default();
    let wanted: BTreeMap<&str, &BTreeSet<String>> =
        wanted.iter().filter(|(name, _)| place.serves(name)).map(|(name, ips)| (name.as_str(), ips)).collect();
    let mine: Vec<String> = ours.keys().cloned().collect();
    let names: BTreeSet<&str> = wanted.keys().copied().chain(mine.iter().map(String::as_str)).collect();
    if names.is_empty() {
        return settled;
    }
    let found = match place.look(&names, hands) {
        Ok(found) => found,
        Err(why) => {
            settled.wrong.push(format!("{title}: {why}"));
            return settled;
        }
    };
    let none = BTreeSet::new();
    for name in names {
        let want = wanted.get(name).copied().unwrap_or(&none);
        let have = found.get(name).unwrap_or(&none);
        if want != have {
            if !have.is_empty() && ours.get(name) != Some(have) && ours.get(name) != Some(want) {
                let list = have.iter().cloned().collect::<Vec<_>>().join(", ");
                settled.wrong.push(format!("{title}: {name} is there already and leads to {list}, which corpus did not write; remove it, or take the name from the guest's `domains`"));
                continue;
            }
            let text = |set: &BTreeSet<String>| Value::from(set.iter().cloned().collect::<Vec<_>>());
            let change: Map = [("old", text(have)), ("new", text(want))].into_iter().collect();
            if !test {
                // The record first: what is written and then lost is known to be ours.
                written.0.entry(title.clone()).or_default().insert(name.to_owned(), want.clone());
                if let Err(why) = keep(written).and_then(|()| place.put(name, want, hands)) {
                    settled.wrong.push(format!("{title}: {name}: {why}"));
                    continue;
                }
            }
            settled.changes.insert(name, change);
        }
        let kept = written.0.entry(title.clone()).or_default();
        match want.is_empty() {
            true => _ = kept.remove(name),
            false => _ = kept.insert(name.to_owned(), want.clone()),
        }
    }
    written.0.retain(|_, names| !names.is_empty());
    if !test && let Err(why) = keep(written) {
        settled.wrong.push(why);
    }
    settled
}

/// `/etc/hosts` of a minion.
pub struct Hosts {
    pub at: Place,
}

impl Names for Hosts {
    fn title(&self) -> String {
        format!("/etc/hosts of {}", self.at)
    }

    fn view(&self) -> Option<&str> {
        match &self.at {
            Place::Minion(id) => Some(id),
            Place::Here => Some(crate::fleet::LOCAL),
        }
    }

    fn serves(&self, _: &str) -> bool {
        true
    }

    fn look(&self, names: &BTreeSet<&str>, hands: &dyn Hands) -> Result<Addresses, String> {
        let listed = hands.call(&self.at, &Call::new("hosts.list_hosts", vec![])).map_err(text)?;
        let mut found = Addresses::new();
        for (ip, entry) in listed.as_map().into_iter().flatten() {
            let aliases = entry.get("aliases").unwrap_or(entry);
            for name in aliases.as_list().unwrap_or_default().iter().map(python::str) {
                if names.contains(name.as_str()) {
                    found.entry(name).or_default().insert(python::str(ip));
                }
            }
        }
        Ok(found)
    }

    fn put(&self, name: &str, addresses: &BTreeSet<String>, hands: &dyn Hands) -> Result<(), String> {
        let mut args: Map = [("name", name)].into_iter().collect();
        let fun = match addresses.is_empty() {
            true => "host.absent",
            false => "host.present",
        };
        if addresses.is_empty() {
            let there = self.look(&BTreeSet::from([name]), hands)?;
            args.insert("ip", there.get(name).into_iter().flatten().cloned().collect::<Vec<_>>());
        } else {
            args.insert("ip", addresses.iter().cloned().collect::<Vec<_>>());
            args.insert("clean", true);
        }
        let report = hands.run(&self.at, &[Chunk::new(format!("name {name}"), fun, args)], false).map_err(text)?;
        crate::walk::failure(&report).map_or(Ok(()), Err)
    }
}

/// bind, by updates signed with a key (RFC 2136, TSIG).
pub struct Bind {
    pub server: String,
    pub port: u16,
    pub zone: String,
    pub key: String,
    pub algorithm: String,
    pub secret: String,
    pub ttl: u32,
}

impl Bind {
    fn run(&self, program: &str, args: &[&str], input: &str) -> Result<String, String> {
        let mut command = Command::new(program);
        command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => format!("`{program}` is not there; install bind9-dnsutils"),
            _ => format!("{program}: {error}"),
        })?;
        if let Some(mut pipe) = child.stdin.take() {
            // A program that ends early says why itself.
            let _ = pipe.write_all(input.as_bytes());
        }
        let done = child.wait_with_output().map_err(|error| format!("{program}: {error}"))?;
        let said = String::from_utf8_lossy(&done.stderr).trim().to_owned();
        if done.status.success() { Ok(String::from_utf8_lossy(&done.stdout).into_owned()) } else { Err(said) }
    }
}

fn below(name: &str, zone: &str) -> bool {
    let zone = zone.trim_end_matches('.');
    name == zone || name.strip_suffix(zone).is_some_and(|rest| rest.ends_with('.'))
}

/// Whether a name can stand in a zone, and in a line of an update.
fn plain(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-._*".contains(c))
}

impl Names for Bind {
    fn title(&self) -> String {
        format!("the zone {} of bind at {}", self.zone, self.server)
    }

    fn serves(&self, name: &str) -> bool {
        below(name, &self.zone) && plain(name)
    }

    fn look(&self, names: &BTreeSet<&str>, _: &dyn Hands) -> Result<Addresses, String> {
        let mut found = Addresses::new();
        let (server, port) = (format!("@{}", self.server), self.port.to_string());
        for name in names {
            let mut all = BTreeSet::new();
            for kind in ["A", "AAAA"] {
                let args =
                    [&server, "-p", &port, "+tries=2", "+time=2", "+norecurse", "+noall", "+answer", *name, kind];
                let said = self.run("dig", &args, "")?;
                if let Some(line) = said.lines().find(|line| line.starts_with(";;")) {
                    return Err(line.trim_start_matches([';', ' ']).to_owned());
                }
                let record = |line: &str| {
                    let words: Vec<&str> = line.split_whitespace().collect();
                    (words.len() == 5 && words[3] == kind).then(|| words[4].to_owned())
                };
                all.extend(said.lines().filter_map(record));
            }
            if !all.is_empty() {
                found.insert((*name).to_owned(), all);
            }
        }
        Ok(found)
    }

    fn put(&self, name: &str, addresses: &BTreeSet<String>, _: &dyn Hands) -> Result<(), String> {
        // The key goes through the standard input: arguments can be seen by others.
        let mut update = format!(
            "server {} {}\nkey {}:{} {}\nzone {}\n",
            self.server, self.port, self.algorithm, self.key, self.secret, self.zone
        );
        for kind in ["A", "AAAA"] {
            update += &format!("update delete {name}. {kind}\n");
        }
        for address in addresses {
            let kind = if address.contains(':') { "AAAA" } else { "A" };
            update += &format!("update add {name}. {} {kind} {address}\n", self.ttl);
        }
        update += "send\nquit\n";
        self.run("nsupdate", &["-t", "10"], &update).map(|_| ())
    }
}

/// PowerDNS, by its HTTP API.
pub struct PowerDns {
    pub url: String,
    pub zone: String,
    pub key: String,
    pub ttl: u32,
}

impl PowerDns {
    fn ask(&self, method: &str, data: Option<String>, hands: &dyn Hands) -> Result<Value, String> {
        let zone = format!("{}.", self.zone.trim_end_matches('.'));
        let url = format!("{}/api/v1/servers/localhost/zones/{zone}", self.url.trim_end_matches('/'));
        let mut call = Call::new("http.query", vec![url.into()]);
        let headers: Map =
            [("X-API-Key", self.key.as_str()), ("Content-Type", "application/json")].into_iter().collect();
        call.kwargs.insert("method", method);
        call.kwargs.insert("header_dict", headers);
        call.kwargs.insert("status", true);
        call.kwargs.insert("timeout", 20);
        call.kwargs.insert("data", data);
        call.kwargs.0.retain(|_, value| !value.is_null());
        let answer = hands.call(&Place::Here, &call).map_err(text)?;
        let status = answer.get("status").and_then(Value::as_int).unwrap_or(0);
        let body = answer.get("body").or_else(|| answer.get("error")).map(python::str).unwrap_or_default();
        if !(200..300).contains(&status) {
            let why = match status {
                401 => "the API key is refused".to_owned(),
                404 => format!("there is no zone {}", self.zone),
                0 => body,
                _ => format!("it answers {status}: {body}"),
            };
            return Err(why);
        }
        if body.is_empty() {
            Ok(Value::Null)
        } else {
            serde_json::from_str(&body).map_err(|error| format!("its answer is no JSON: {error}"))
        }
    }
}

impl Names for PowerDns {
    fn title(&self) -> String {
        format!("the zone {} of PowerDNS at {}", self.zone, self.url)
    }

    fn serves(&self, name: &str) -> bool {
        below(name, &self.zone) && plain(name)
    }

    fn look(&self, names: &BTreeSet<&str>, hands: &dyn Hands) -> Result<Addresses, String> {
        let zone = self.ask("GET", None, hands)?;
        let mut found = Addresses::new();
        for set in zone.get("rrsets").and_then(Value::as_list).unwrap_or_default() {
            let kind = set.get("type").map(python::str).unwrap_or_default();
            let name = set.get("name").map(python::str).unwrap_or_default();
            let name = name.trim_end_matches('.');
            if !["A", "AAAA"].contains(&kind.as_str()) || !names.contains(name) {
                continue;
            }
            let records = set.get("records").and_then(Value::as_list).unwrap_or_default();
            let contents = records.iter().filter_map(|record| record.get("content").map(python::str));
            found.entry(name.to_owned()).or_default().extend(contents);
        }
        Ok(found)
    }

    fn put(&self, name: &str, addresses: &BTreeSet<String>, hands: &dyn Hands) -> Result<(), String> {
        let sets = ["A", "AAAA"].map(|kind| {
            let of_kind = |ip: &&String| ip.contains(':') == (kind == "AAAA");
            let records: Vec<_> = addresses
                .iter()
                .filter(of_kind)
                .map(|ip| serde_json::json!({"content": ip, "disabled": false}))
                .collect();
            let change = if records.is_empty() { "DELETE" } else { "REPLACE" };
            serde_json::json!({"name": format!("{name}."), "type": kind, "ttl": self.ttl, "changetype": change, "records": records})
        });
        let body = serde_json::json!({ "rrsets": sets }).to_string();
        self.ask("PATCH", Some(body), hands).map(|_| ())
    }
}

fn text(error: HandsError) -> String {
    error.to_string()
}
