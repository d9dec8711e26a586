//! The user's client configuration, `~/.ssh/config`: for each option, the first block that matches the host
//! and sets it wins, as in OpenSSH. Which block applies is in [`super::condition`].

use crate::condition::{Asked, Condition};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What the configuration says of one host.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    pub host_name: Option<String>,
    pub user: Option<String>,
    pub port: Option<u16>,
    pub identity_files: Vec<PathBuf>,
    pub identities_only: bool,
    /// A socket; `none` switches the agent off.
    pub identity_agent: Option<String>,
    pub proxy_jump: Option<String>,
    pub proxy_command: Option<String>,
    pub user_known_hosts: Vec<PathBuf>,
    pub connect_timeout: Option<Duration>,
    pub host_key_alias: Option<String>,
    /// `StrictHostKeyChecking accept-new` or `no`. A changed key is refused all the same.
    pub accept_new: Option<bool>,
}

/// Options that have an effect, in lower case.
const KNOWN: &[&str] = &[
    "hostname",
    "user",
    "port",
    "identityfile",
    "identitiesonly",
    "identityagent",
    "proxyjump",
    "proxycommand",
    "userknownhostsfile",
    "connecttimeout",
    "hostkeyalias",
    "stricthostkeychecking",
];
/// `Include` may nest this deep, as in OpenSSH.
const DEPTH: u32 = 16;

/// Tells whether an option has an effect.
pub fn is_known(name: &str) -> bool {
    KNOWN.contains(&name.to_lowercase().as_str())
}

/// A configuration, read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClientConfig {
    /// The `Host` and `Match` lines, in order.
    conditions: Vec<Condition>,
    /// Option and value with the conditions that they stand under, those of the including files first.
    lines: Vec<(Vec<usize>, String, String)>,
}

impl ClientConfig {
    /// Reads a file; one that does not exist says nothing.
    pub fn read(path: &Path) -> Result<Self, String> {
        let mut config = Self::default();
        match std::fs::read_to_string(path) {
            Ok(text) => config.add(&text, path, &[], 0)?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(format!("{}: {error}", path.display())),
        }
        Ok(config)
    }

    /// Reads a text, as if it stood in a file of this name.
    pub fn parse(text: &str, path: &Path) -> Result<Self, String> {
        let mut config = Self::default();
        config.add(text, path, &[], 0)?;
        Ok(config)
    }

    /// Adds options which come before all others: the roster's `ssh_options`.
    pub fn with_first(&self, options: &[(String, String)]) -> Self {
        let first = options.iter().map(|(name, value)| (vec![], name.to_lowercase(), value.clone()));
        Self { conditions: self.conditions.clone(), lines: first.chain(self.lines.iter().cloned()).collect() }
    }

    fn add(&mut self, text: &str, path: &Path, outer: &[usize], depth: u32) -> Result<(), String> {
        let mut under = outer.to_vec();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let at = || format!("{}:{}", path.display(), number + 1);
            let split = line.find(|c: char| c.is_whitespace() || c == '=').unwrap_or(line.len());
            let (name, rest) = line.split_at(split);
            let value = rest.trim_start_matches(|c: char| c.is_whitespace() || c == '=').trim();
            let words = words(value).map_err(|why| format!("{}: {why}", at()))?;
            match name.to_lowercase().as_str() {
                "host" | "match" => {
                    let host = name.eq_ignore_ascii_case("host");
                    let condition = if host { Condition::Host(words) } else { Condition::of_match(&words, &at())? };
                    under = [outer, &[self.conditions.len()]].concat();
                    self.conditions.push(condition);
                }
                "include" => {
                    if depth >= DEPTH {
                        return Err(format!("{}: files include each other", at()));
                    }
                    for pattern in words {
                        self.include(&pattern, path, &under, depth)?;
                    }
                }
                "identityfile" | "hostname" | "user" => {
                    self.lines.push((under.clone(), name.to_lowercase(), words.join(" ")));
                }
                key => self.lines.push((under.clone(), key.to_owned(), value.to_owned())),
            }
        }
        Ok(())
    }

    fn include(&mut self, pattern: &str, from: &Path, under: &[usize], depth: u32) -> Result<(), String> {
        // OpenSSH: relative to ~/.ssh, which is where the configuration itself is.
        let mut path = home(pattern);
        if path.is_relative() {
            path = from.parent().unwrap_or(Path::new(".")).join(path);
        }
        let (Some(folder), Some(name)) = (path.parent(), path.file_name().map(|n| n.to_string_lossy().into_owned()))
        else {
            return Ok(());
        };
        let mut found: Vec<PathBuf> = if name.contains(['*', '?']) {
            let names = std::fs::read_dir(folder).into_iter().flatten().flatten();
            names.filter(|e| glob(&name, &e.file_name().to_string_lossy())).map(|e| e.path()).collect()
        } else {
            vec![path.clone()]
        };
        found.sort();
        for file in found {
            if let Ok(text) = std::fs::read_to_string(&file) {
                self.add(&text, &file, under, depth + 1)?;
            }
        }
        Ok(())
    }

    /// Returns what holds for a host, named as it was asked for, and for the user that was asked for.
    pub fn settings(&self, host: &str, user: Option<&str>) -> Result<Settings, String> {
        let asked = Asked { host, user };
        let mut out = Settings::default();
        // A block is judged where it begins: what it sets itself does not change whether it applies.
        let mut judged = vec![None; self.conditions.len()];
        'lines: for (under, key, value) in &self.lines {
            for &i in under {
                let holds = match judged[i] {
                    Some(holds) => holds,
                    None => self.conditions[i].holds(asked, &out)?,
                };
                judged[i] = Some(holds);
                if !holds {
                    continue 'lines;
                }
            }
            out.take(key, value, host)?;
        }
        Ok(out)
    }
}

impl Settings {
    /// Takes an option, unless an earlier line has set it.
    fn take(&mut self, key: &str, value: &str, host: &str) -> Result<(), String> {
        let bad = || format!("ssh configuration: `{key} {value}` is not understood");
        fn first<T>(slot: &mut Option<T>, value: T) {
            slot.get_or_insert(value);
        }
        match key {
            "hostname" => first(&mut self.host_name, value.replace("%h", host).replace("%%", "%")),
            "user" => first(&mut self.user, value.to_owned()),
            "port" => first(&mut self.port, value.parse().map_err(|_| bad())?),
            "identityfile" if value.eq_ignore_ascii_case("none") => {}
            "identityfile" => self.identity_files.push(home(&value.replace("%d", "~").replace("%h", host))),
            "identitiesonly" => self.identities_only |= value.eq_ignore_ascii_case("yes"),
            "identityagent" => first(&mut self.identity_agent, value.trim_matches('"').to_owned()),
            "proxyjump" if self.proxy_command.is_none() => first(&mut self.proxy_jump, value.to_owned()),
            // OpenSSH: of the two, the first one that is set counts.
            "proxycommand" if self.proxy_jump.is_none() => first(&mut self.proxy_command, value.to_owned()),
            "userknownhostsfile" if self.user_known_hosts.is_empty() => {
                self.user_known_hosts = words(value)?.iter().map(|path| home(path)).collect();
            }
            "connecttimeout" => {
                first(&mut self.connect_timeout, Duration::from_secs(value.parse().map_err(|_| bad())?))
            }
            "hostkeyalias" => first(&mut self.host_key_alias, value.to_owned()),
            "stricthostkeychecking" => {
                let accepts = ["accept-new", "no", "off"].iter().any(|word| value.eq_ignore_ascii_case(word));
                first(&mut self.accept_new, accepts);
            }
            _ => {}
        }
        Ok(())
    }
}

/// Matches `*` and `?`, ignoring case, as OpenSSH does for host names.
pub(crate) fn glob(pattern: &str, text: &str) -> bool {
    let (p, t): (Vec<char>, Vec<char>) =
        (pattern.to_lowercase().chars().collect(), text.to_lowercase().chars().collect());
    let (mut i, mut j, mut star) = (0, 0, None);
    while j < t.len() {
        if i < p.len() && p[i] == '*' {
            star = Some((i, j));
            i += 1;
        } else if i < p.len() && (p[i] == '?' || p[i] == t[j]) {
            i += 1;
            j += 1;
        } else if let Some((at, from)) = star {
            star = Some((at, from + 1));
            i = at + 1;
            j = from + 1;
        } else {
            return false;
        }
    }
    p[i..].iter().all(|c| *c == '*')
}

/// Replaces a leading `~` by the home directory.
pub fn home(path: &str) -> PathBuf {
    match (path.strip_prefix("~/"), std::env::var_os("HOME")) {
        (Some(rest), Some(home)) => Path::new(&home).join(rest),
        _ => PathBuf::from(path),
    }
}

/// Splits words; double quotes hold one together.
fn words(line: &str) -> Result<Vec<String>, String> {
    let mut out: Vec<String> = Vec::new();
    let (mut word, mut quoted, mut open) = (String::new(), false, false);
    for c in line.chars() {
        match c {
            '"' => {
                quoted = !quoted;
                open = true;
            }
            c if c.is_whitespace() && !quoted => {
                if open {
                    out.push(std::mem::take(&mut word));
                }
                open = false;
            }
            c => {
                word.push(c);
                open = true;
            }
        }
    }
    if quoted {
        return Err("a quotation mark is not closed".into());
    }
    out.extend(open.then_some(word));
    Ok(out)
}
