//! Salt's flat roster: a mapping of minion ids to how each machine is reached. The file's text is rendered
//! and read elsewhere; here its data becomes [`Host`]s, and mistakes become diagnostics.

use corpus_core::suggest::did_you_mean;
use corpus_core::{Diagnostic, Map, Node, Pos, Span, Value};
use std::path::PathBuf;
use std::time::Duration;

/// One machine of the roster.
#[derive(Clone, Default, PartialEq)]
pub struct Host {
    /// The minion id: the key in the roster.
    pub id: String,
    /// Name or address to connect to; an alias of `~/.ssh/config` too.
    pub host: String,
    pub user: Option<String>,
    pub port: Option<u16>,
    pub passwd: Option<String>,
    /// A private key file, or `agent-forwarding` for the agent's keys.
    pub private_key: Option<PathBuf>,
    pub priv_passwd: Option<String>,
    pub sudo: bool,
    pub sudo_user: Option<String>,
    /// How long the connection may take.
    pub timeout: Option<Duration>,
    pub minion_opts: Map,
    pub grains: Map,
    pub thin_dir: Option<String>,
    /// `cmd_umask`.
    pub umask: Option<u32>,
    pub identities_only: bool,
    /// `ssh_options`: `("UserKnownHostsFile", "…")` and others of the client's configuration.
    pub ssh_options: Vec<(String, String)>,
    /// The machine of the roster that it is reached through, as a guest of it.
    pub through: Option<String>,
    /// The program there that takes a command inside: `docker exec -i web`.
    pub wrap: Vec<String>,
}

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { id, host, user, port, private_key, sudo, sudo_user, timeout, thin_dir, .. } = self;
        let mut out = f.debug_struct("Host");
        out.field("id", id).field("host", host).field("user", user).field("port", port);
        out.field("passwd", &self.passwd.as_ref().map(|_| "***"));
        out.field("private_key", private_key).field("priv_passwd", &self.priv_passwd.as_ref().map(|_| "***"));
        out.field("sudo", sudo).field("sudo_user", sudo_user).field("timeout", timeout);
        out.field("thin_dir", thin_dir).finish_non_exhaustive()
    }
}

/// The machines of a roster file, in its order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Roster {
    pub hosts: Vec<Host>,
}

/// Keys that mean something here.
const KNOWN: &[&str] = &[
    "host",
    "user",
    "port",
    "passwd",
    "priv",
    "priv_passwd",
    "sudo",
    "sudo_user",
    "timeout",
    "minion_opts",
    "grains",
    "thin_dir",
    "cmd_umask",
    "ssh_options",
    "identities_only",
    "ssh_identities_only",
    "through",
    "wrap",
];

/// Salt's keys that have nothing to act on here: no terminal is needed, no Python is sent.
const IGNORED: &[&str] =
    &["tty", "mods", "set_path", "ssh_pre_flight", "ssh_pre_flight_args", "remote_port_forwards", "winrm", "wipe"];

/// Keys that would change the machine before the minion is there; silence would be wrong.
const NOT_BUILT: &[&str] = &["ssh_pre_flight", "ssh_pre_flight_args", "remote_port_forwards", "winrm"];

impl Roster {
    /// Reads the roster's data; `file` is for messages. Mistakes are collected, and usable hosts returned
    /// beside them. `defaults` are Salt's `roster_defaults`.
    pub fn parse(data: &Node, file: &str, defaults: &Map) -> (Self, Vec<Diagnostic>) {
        let mut roster = Self::default();
        let mut notes = Vec::new();
        match data.as_map() {
            None if data.is_null() => {}
            Some(entries) => {
                for (id, entry) in entries {
                    let own = entry.as_map().unwrap_or_default();
                    let id_text = corpus_core::python::str(&id.to_value());
                    let mut reader = Reader { file, id: id_text, pos: id.pos, own, notes: &mut notes };
                    roster.hosts.extend(reader.host(&entry.to_value(), defaults));
                }
            }
            None => notes.push(
                Diagnostic::error(format!("a roster is a mapping of minion ids, this is a {}", data.type_name()))
                    .at(Span::new(file, data.pos), "")
                    .hint("write each machine as `id:` with an indented `host: address`"),
            ),
        }
        (roster, notes)
    }

    /// Adds the machines of another roster; those of this one come first. Then guests that are reached through a machine
    /// take its way.
    pub fn join(&mut self, other: Self) {
        for host in other.hosts {
            if self.get(&host.id).is_none() {
                self.hosts.push(host);
            }
        }
        let known = self.hosts.clone();
        for host in self.hosts.iter_mut() {
            let Some(node) = host.through.as_ref().and_then(|id| known.iter().find(|node| node.id == *id)) else {
                continue;
            };
            let (id, through, wrap) = (host.id.clone(), host.through.clone(), host.wrap.clone());
            let (minion_opts, grains) = (host.minion_opts.clone(), host.grains.clone());
            *host = Host { id, through, wrap, minion_opts, grains, thin_dir: None, ..node.clone() };
        }
    }

    /// Finds a machine by its id.
    pub fn get(&self, id: &str) -> Option<&Host> {
        self.hosts.iter().find(|host| host.id == id)
    }
}

struct Reader<'a> {
    file: &'a str,
    id: String,
    /// Where the entry begins, and what it says itself.
    pos: Pos,
    own: &'a [(Node, Node)],
    notes: &'a mut Vec<Diagnostic>,
}

impl Reader<'_> {
    /// Tells of a mistake at a key, or at the entry if the key came from the defaults.
    fn note(&mut self, key: &str, diagnostic: Diagnostic) {
        let own = self.own.iter().find(|(k, _)| corpus_core::python::str(&k.to_value()) == key);
        let span = Span::new(self.file, own.map_or(self.pos, |(key, _)| key.pos));
        let from_defaults = !key.is_empty() && own.is_none();
        let where_from = if from_defaults { " (from roster_defaults)" } else { "" };
        let len = own.map_or(self.id.as_str(), |_| key).chars().count();
        self.notes.push(diagnostic.at(span, format!("in the entry of `{}`{where_from}", self.id)).len(len));
    }

    fn host(&mut self, entry: &Value, defaults: &Map) -> Option<Host> {
        let mut all = defaults.clone();
        match entry {
            // Salt: `web1: 10.0.0.1` is a host without further words.
            Value::Str(address) => _ = all.insert("host", address.clone()),
            Value::Map(own) => all.0.extend(own.iter().map(|(k, v)| (k.clone(), v.clone()))),
            Value::Null => {}
            other => {
                let kind = other.type_name();
                let wrong = format!("roster entry `{}` must be a mapping, found a {kind}", self.id);
                self.note("", Diagnostic::error(wrong));
                return None;
            }
        }
        for key in all.keys() {
            self.check_key(&corpus_core::python::str(key));
        }
        // Salt: without `host` the id is the address.
        let host = self.text(&all, "host").unwrap_or_else(|| self.id.clone());
        Some(Host {
            id: self.id.clone(),
            host,
            user: self.text(&all, "user"),
            port: self.number(&all, "port", 1, u16::MAX.into()).and_then(|port| u16::try_from(port).ok()),
            passwd: self.text(&all, "passwd"),
            private_key: self.text(&all, "priv").map(|path| crate::config::home(&path)),
            priv_passwd: self.text(&all, "priv_passwd"),
            sudo: all.get("sudo").is_some_and(Value::truthy),
            sudo_user: self.text(&all, "sudo_user"),
            timeout: self.number(&all, "timeout", 1, 86_400).map(|seconds| Duration::from_secs(seconds.unsigned_abs())),
            minion_opts: self.map(&all, "minion_opts"),
            grains: self.map(&all, "grains"),
            thin_dir: self.text(&all, "thin_dir"),
            umask: self.umask(&all),
            identities_only: ["identities_only", "ssh_identities_only"]
                .iter()
                .any(|key| all.get(key).is_some_and(Value::truthy)),
            ssh_options: self.options(&all),
            through: self.text(&all, "through"),
            wrap: all
                .get("wrap")
                .and_then(Value::as_list)
                .unwrap_or_default()
                .iter()
                .map(corpus_core::python::str)
                .collect(),
        })
    }

    fn check_key(&mut self, key: &str) {
        if NOT_BUILT.contains(&key) {
            self.note(
                key,
                Diagnostic::error(format!("roster key `{key}` is not built yet"))
                    .hint("remove it, or use salt-ssh for this host"),
            );
        } else if !KNOWN.contains(&key) && !IGNORED.contains(&key) {
            let message = format!("unknown roster key `{key}`");
            // Salt lets people keep keys of their own here; what looks like a slip would send us to another machine.
            self.note(
                key,
                match did_you_mean(key, KNOWN.iter().copied()) {
                    Some(hint) => Diagnostic::error(message).hint(hint),
                    None => Diagnostic::warning(message),
                },
            );
        }
    }

    fn text(&mut self, all: &Map, key: &str) -> Option<String> {
        match all.get(key)? {
            Value::Null => None,
            Value::List(_) | Value::Map(_) => {
                self.note(key, Diagnostic::error(format!("roster key `{key}` must be text")));
                None
            }
            other => Some(corpus_core::python::str(other)),
        }
    }

    fn number(&mut self, all: &Map, key: &str, from: i64, to: i64) -> Option<i64> {
        let value = all.get(key).filter(|value| !value.is_null())?;
        let number = value.as_int().or_else(|| value.as_str()?.trim().parse().ok());
        if number.is_none_or(|n| n < from || n > to) {
            let shown = corpus_core::python::str(value);
            let wrong = format!("roster key `{key}` must be a number from {from} to {to}, not `{shown}`");
            self.note(key, Diagnostic::error(wrong));
            return None;
        }
        number
    }

    fn umask(&mut self, all: &Map) -> Option<u32> {
        // Salt: written `0o77` or `'077'`; YAML may have read the octal number already.
        let value = all.get("cmd_umask").filter(|value| !value.is_null())?;
        let parsed = match value {
            Value::Int(bits) => u32::try_from(*bits).ok(),
            other => other.as_str().and_then(|text| u32::from_str_radix(text.trim_start_matches("0o"), 8).ok()),
        };
        let umask = parsed.filter(|bits| *bits <= 0o777);
        if umask.is_none() {
            self.note("cmd_umask", Diagnostic::error("roster key `cmd_umask` must be octal, for example '077'"));
        }
        umask
    }

    fn map(&mut self, all: &Map, key: &str) -> Map {
        match all.get(key) {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Map(map)) => (**map).clone(),
            Some(other) => {
                let kind = other.type_name();
                let wrong = format!("roster key `{key}` must be a mapping, found a {kind}");
                self.note(key, Diagnostic::error(wrong));
                Map::new()
            }
        }
    }

    fn options(&mut self, all: &Map) -> Vec<(String, String)> {
        let words = match all.get("ssh_options") {
            None | Some(Value::Null) => return vec![],
            Some(Value::List(items)) => items.iter().map(corpus_core::python::str).collect(),
            Some(Value::Str(one)) => vec![one.to_string()],
            Some(_) => {
                self.note("ssh_options", Diagnostic::error("roster key `ssh_options` must be a list of `Name=value`"));
                return vec![];
            }
        };
        let mut out = Vec::new();
        for word in words {
            match word.split_once('=') {
                Some((name, value)) => out.push((name.trim().to_owned(), value.trim().to_owned())),
                None => {
                    let wrong = format!("ssh option `{word}` must be written `Name=value`");
                    self.note("ssh_options", Diagnostic::error(wrong));
                }
            }
        }
        for (name, _) in &out {
            if !crate::config::is_known(name) {
                let idle = format!("ssh option `{name}` is not built and has no effect");
                self.note("ssh_options", Diagnostic::warning(idle));
            }
        }
        out
    }
}
