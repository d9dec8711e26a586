//! What is declared of a machine, and what is found of it: the typed halves that are compared.

use corpus_core::{Map, Value, python};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// A machine on which guests run, or whose API makes them. Its id is the minion's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    pub id: String,
    /// Where others reach it, and with it the ports of its guests.
    pub address: String,
    /// Host ports that are never given to a guest.
    pub excluded_ports: Vec<u16>,
    /// The first and the last port that may be given.
    pub port_range: (u16, u16),
}

/// The ports that guests get when nobody says otherwise.
pub const PORTS: (u16, u16) = (40_000, 60_000);

impl Node {
    /// Makes a node with the usual range of ports.
    pub fn new(id: impl Into<String>, address: impl Into<String>) -> Self {
        Self { id: id.into(), address: address.into(), excluded_ports: vec![], port_range: PORTS }
    }
}

/// What a guest is to be doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    #[default]
    Running,
    Stopped,
    Frozen,
    /// It is there and does not answer: only found, never declared.
    Unreachable,
}

impl Status {
    /// Returns its word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Stopped => "stopped",
            Self::Frozen => "frozen",
            Self::Unreachable => "unreachable",
        }
    }

    /// Reads the word of a driver; what is neither running nor frozen is taken for stopped.
    pub fn of(word: &str) -> Self {
        match word.to_ascii_lowercase().as_str() {
            "running" | "up" | "active" => Self::Running,
            "frozen" | "paused" => Self::Frozen,
            _ => Self::Stopped,
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// `tcp` or `udp`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    #[default]
    Tcp,
    Udp,
}

impl Protocol {
    /// Returns its word.
    pub fn word(self) -> &'static str {
        if self == Self::Tcp { "tcp" } else { "udp" }
    }
}

/// A port of a guest that others may reach, by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Port {
    pub name: String,
    /// The first port inside.
    pub port: u16,
    /// How many ports follow each other from there.
    pub count: u16,
    /// The first port on the node, if it was said; otherwise the book gives one.
    pub host: Option<u16>,
    pub protocols: Vec<Protocol>,
}

impl Port {
    /// Makes the port that every guest has.
    pub fn ssh() -> Self {
        Self { name: "ssh".into(), port: 22, count: 1, host: None, protocols: vec![Protocol::Tcp] }
    }
}

/// A machine as it is declared, all layers laid on each other.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GuestSpec {
    pub id: String,
    /// The driver: `lxc`, `docker`, `saltify`, `ec2`.
    pub driver: String,
    /// The compute node; for machines without one, the provider.
    pub node: String,
    pub status: Status,
    pub image: Option<String>,
    /// The guest that it is copied from.
    pub clone_from: Option<String>,
    /// Bytes.
    pub memory: Option<u64>,
    /// Thousandths of a processor.
    pub cpu: Option<u32>,
    /// Bytes.
    pub disk: Option<u64>,
    pub autostart: bool,
    pub ports: Vec<Port>,
    pub domains: Vec<String>,
    /// SLS files of the guest type's base system.
    pub base: Vec<String>,
    /// The image that it is made from, if it is declared as one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub built: Option<Image>,
    /// Root's password inside, for its console.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root_password: Option<Password>,
    /// What only the driver understands, checked against its schema.
    pub options: Map,
    /// What the roster says of its minion: `minion_opts`, `grains`.
    #[serde(default)]
    pub roster: Map,
    /// What its pillar is handed beside what is known of it.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub pillar: Map,
    /// The environment of its projects: `dev`, `staging`, `prod`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_env: Option<String>,
    /// Where it was declared, `file:line:column`, or by which command.
    #[serde(default)]
    pub place: String,
}

/// A base system that is built in one place and brought to the nodes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Image {
    pub name: String,
    /// The minion that builds it.
    pub node: String,
    /// Where that keeps it, if not in the usual place.
    pub bases: Option<String>,
    /// What it is made of.
    pub args: Map,
}

/// A password that is to be. In clear it is in no declaration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Password {
    /// One that corpus makes and keeps.
    Generated,
    Hash(String),
}

/// A machine as it is found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Guest {
    pub id: String,
    pub driver: String,
    pub node: String,
    pub status: Status,
    pub image: Option<String>,
    pub memory: Option<u64>,
    pub cpu: Option<u32>,
    pub disk: Option<u64>,
    pub autostart: Option<bool>,
    pub addresses: Vec<String>,
    pub mac: Option<String>,
    pub snapshots: Vec<String>,
    /// What else the driver tells.
    pub details: Map,
}

/// The driver's kinds of isolation, as listings tell them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Isolation {
    /// Shares the node's kernel.
    Container,
    /// Has a kernel of its own.
    Machine,
    /// Is a computer.
    Metal,
}

/// Reads a size: a number of bytes, or with a unit, `512M`, `5G`, `1.5 GiB`. Units are powers of 1024.
pub fn size(value: &Value) -> Result<u64, String> {
    let text = python::str(value);
    let wrong = || format!("`{text}` is no size; write it as `512M` or `5G`");
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let number: f64 = text[..digits].parse().map_err(|_| wrong())?;
    let power = match text[digits..].trim().to_ascii_lowercase().trim_end_matches("ib").trim_end_matches('b') {
        "" => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        _ => return Err(wrong()),
    };
    let bytes = number * 1024_f64.powi(power);
    if (1.0..=1e18).contains(&bytes) { Ok(bytes as u64) } else { Err(wrong()) }
}

/// Writes a size as people do, exactly.
pub fn shown(bytes: u64) -> String {
    [(4, "T"), (3, "G"), (2, "M"), (1, "K")]
        .into_iter()
        .find(|(power, _)| bytes >= 1 << (10 * power) && bytes.is_multiple_of(1 << (10 * power)))
        .map_or_else(|| bytes.to_string(), |(power, unit)| format!("{}{unit}", bytes >> (10 * power)))
}

/// The original's names of sizes.
pub const SIZES: &[(&str, &str)] = &[
    ("xxxsmall", "500M"),
    ("xxsmall", "1G"),
    ("xsmall", "3G"),
    ("small", "5G"),
    ("medium", "10G"),
    ("large", "20G"),
    ("xxxlarge", "100G"),
    ("xtrem", "500G"),
    ("xxtrem", "1000G"),
    ("xxxtrem", "2000G"),
];

/// Reads a disk size, which may be one of the original's names.
pub fn disk(value: &Value) -> Result<u64, String> {
    match SIZES.iter().find(|(name, _)| value.as_str() == Some(name)) {
        Some((_, text)) => size(&Value::from(*text)),
        None => size(value),
    }
}

/// A name that may stand on a node as a container's, a file's and a host's: letters, digits, `-`, `.` and `_`.
pub fn check_id(id: &str) -> Result<(), String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    let first = id.chars().next().is_some_and(|c| c.is_ascii_alphanumeric());
    if first && id.len() <= 63 && id.chars().all(plain) && !id.contains("..") {
        return Ok(());
    }
    Err(format!(
        "`{id}` cannot name a machine: begin with a letter or digit, go on with those, `-`, `.` or `_`, 63 at most"
    ))
}

/// A mapping by id, in order.
pub type ById<T> = BTreeMap<String, T>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_shown() {
        for (text, bytes) in [("512M", 512 << 20), ("5G", 5 << 30), ("1.5 GiB", 3 << 29), ("4096", 4096), ("2kb", 2048)]
        {
            assert_eq!(size(&text.into()), Ok(bytes), "{text}");
        }
        assert_eq!(disk(&"small".into()), Ok(5 << 30));
        assert_eq!((shown(5 << 30), shown(512 << 20), shown(1001)), ("5G".into(), "512M".into(), "1001".into()));
        for wrong in ["", "x", "-1", "0", "5 apples", "1e99"] {
            assert!(size(&wrong.into()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn ids_cannot_leave_their_place() {
        for good in ["web1", "db.example.com", "a_b-c"] {
            assert_eq!(check_id(good), Ok(()), "{good}");
        }
        for bad in ["", "../x", "a/b", "-rf", "a b", "a..b", "$(x)", &"x".repeat(64)] {
            assert!(check_id(bad).is_err(), "{bad}");
        }
    }
}
