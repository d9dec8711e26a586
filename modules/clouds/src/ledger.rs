//! The ledger: which machines corpus made or took in, how far it came with each, and how each is reached. A line stands
//! before the first effect, so a killed process leaves nothing that nobody knows of.

use crate::driver::Reach;
use crate::spec::{GuestSpec, Status};
use corpus_core::{Map, Value};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How far a machine is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Begun: there may be a part of it.
    Creating,
    Ready,
    /// Its end was begun: there may be a part of it left.
    Destroying,
}

/// One machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    pub phase: Phase,
    /// What it was last made to be: by this is told what was declared anew and what drifted.
    pub spec: GuestSpec,
    pub reach: Reach,
    /// Further fields of its roster entry: user, key, password.
    #[serde(default)]
    pub login: Map,
    /// Public host keys, as read on the node.
    #[serde(default)]
    pub host_keys: Vec<String>,
    /// The word of its creation, the same until it is ready: what an API made in a run that was cut off is found by it.
    #[serde(default)]
    pub request: String,
    /// Its base system was installed.
    #[serde(default)]
    pub based: bool,
    /// Somebody asked for another status than the declared one; reconciling leaves it there.
    #[serde(default)]
    pub held: Option<Status>,
    /// What it was on the node that it is brought from: it is there, too, until that is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Box<GuestSpec>>,
}

impl Entry {
    /// Returns all that there may be of it.
    pub fn specs(&self) -> impl Iterator<Item = &GuestSpec> {
        std::iter::once(&self.spec).chain(self.from.as_deref())
    }

    /// Tells whether it is, or may be, on a node by a driver.
    pub fn is_on(&self, node: &str, driver: &str) -> bool {
        self.specs().any(|spec| spec.node == node && spec.driver == driver)
    }
}

/// All machines.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Ledger {
    pub guests: BTreeMap<String, Entry>,
}

impl Ledger {
    /// Returns the ids of what is, or may be, on a node by a driver.
    pub fn on<'a>(&'a self, node: &'a str, driver: &'a str) -> impl Iterator<Item = &'a String> {
        self.guests.iter().filter(move |(_, entry)| entry.is_on(node, driver)).map(|(id, _)| id)
    }

    /// Writes the roster of all machines that can be reached.
    pub fn roster(&self, known_hosts: &str) -> Map {
        let mut roster = Map::new();
        for (id, entry) in self.guests.iter().filter(|(_, entry)| entry.phase != Phase::Destroying) {
            let mut host = Map::new();
            match &entry.reach {
                Reach::Direct { host: name, port } | Reach::Port { host: name, port } => {
                    host.insert("host", name.as_str());
                    host.insert("port", i64::from(*port));
                }
                Reach::Hop { node, argv } => {
                    host.insert("through", node.as_str());
                    host.insert("wrap", argv.clone());
                }
                Reach::None(_) => continue,
            }
            for (key, value) in &entry.login {
                host.0.insert(key.clone(), value.clone());
            }
            if !entry.host_keys.is_empty() {
                let mut options: Vec<Value> =
                    host.get("ssh_options").and_then(Value::as_list).map(<[Value]>::to_vec).unwrap_or_default();
                options.push(format!("UserKnownHostsFile={known_hosts}").into());
                host.insert("ssh_options", options);
            }
            roster.insert(id.as_str(), host);
        }
        roster
    }

    /// Writes the host keys as known hosts.
    pub fn known_hosts(&self) -> String {
        let mut out = String::new();
        for entry in self.guests.values() {
            let (Reach::Direct { host, port } | Reach::Port { host, port }) = &entry.reach else { continue };
            let name = if *port == 22 { host.clone() } else { format!("[{host}]:{port}") };
            for key in &entry.host_keys {
                let mut words = key.split_whitespace();
                if let (Some(kind), Some(text)) = (words.next(), words.next()) {
                    out += &format!("{name} {kind} {text}\n");
                }
            }
        }
        out
    }

    /// Writes a block of SSH client configuration for each machine.
    pub fn ssh_config(&self, known_hosts: &str) -> String {
        let mut out = String::from("# Written by corpus: one block for each machine. Include it from ~/.ssh/config.\n");
        for (id, entry) in &self.guests {
            let (Reach::Direct { host, port } | Reach::Port { host, port }) = &entry.reach else { continue };
            out += &format!("\nHost {id}\n  HostName {host}\n  Port {port}\n");
            for (word, key) in [("User", "user"), ("IdentityFile", "priv")] {
                if let Some(value) = entry.login.str(key) {
                    out += &format!("  {word} {value}\n");
                }
            }
            if !entry.host_keys.is_empty() {
                out += &format!("  UserKnownHostsFile {known_hosts}\n");
            }
            for option in entry.login.get("ssh_options").and_then(Value::as_list).unwrap_or_default() {
                if let Some((word, value)) = option.as_str().and_then(|option| option.split_once('=')) {
                    out += &format!("  {word} {value}\n");
                }
            }
        }
        out
    }
}
