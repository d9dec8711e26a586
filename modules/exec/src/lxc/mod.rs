//! Linux containers by LXC's own tools: what is there, and what is done to it. Every function takes the directory that
//! the containers lie in (`-P`), so that more than one set of them can live on a machine.

mod apply;
pub mod base;
pub mod bridge;
pub mod cgroup;
pub mod config;
pub mod describe;
pub mod disk;
pub mod edit;
pub mod guest;
mod inside;
pub mod moving;
pub mod snapshot;
pub mod spec;

use crate::ask;
use config::Config;
use corpus_core::host::HostErrorKind;
use corpus_core::{Act, Command, Data, Effect, ExecError, HostError, Look, Map, Value, python};
use std::path::{Path, PathBuf};

/// Where LXC itself keeps containers.
const DEFAULT_ROOT: &str = "/var/lib/lxc";

/// A container, which may not be there.
#[derive(Clone, Debug)]
pub struct Guest {
    pub root: PathBuf,
    pub name: String,
}

/// Returns the directory of the containers: what is given, else the configuration's `lxc.root_path`, else LXC's own.
pub fn root(path: Option<&str>, data: &Data) -> PathBuf {
    let configured = || {
        let places = [&data.opts, &data.pillar];
        places.into_iter().find_map(|place| place.get("lxc.root_path").filter(|v| v.truthy()).map(python::str))
    };
    let path = path.map(str::to_owned).or_else(configured).unwrap_or_else(|| DEFAULT_ROOT.into());
    PathBuf::from(path.trim_end_matches('/'))
}

/// Refuses to go on on a machine without LXC.
pub fn need(look: &dyn Look) -> Result<(), ExecError> {
    if look.which("lxc-start").is_some() {
        return Ok(());
    }
    Err(ExecError::failed("LXC is not installed on this machine; install it first (`pkg.installed`: lxc)"))
}

/// Lists the containers: directories with a configuration.
pub fn names(look: &dyn Look, root: &Path) -> Result<Vec<String>, HostError> {
    let all = match look.list(root) {
        Err(error) if error.is_missing() => return Ok(vec![]),
        other => other?,
    };
    let mut out = vec![];
    for name in all {
        if look.stat(&root.join(&name).join("config"))?.is_some_and(|meta| meta.is_file()) {
            out.push(name);
        }
    }
    Ok(out)
}

impl Guest {
    /// Names a container; what could lead elsewhere is refused.
    pub fn new(root: impl Into<PathBuf>, name: &str) -> Result<Self, ExecError> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if name.is_empty() || name.starts_with(['.', '-']) || !name.chars().all(plain) || name.len() > 64 {
            return Err(ExecError::failed(format!(
                "`{name}` cannot be the name of a container: letters, digits, `.`, `_` and `-` can, 64 of them at most"
            )));
        }
        Ok(Self { root: root.into(), name: name.into() })
    }

    /// Its directory.
    pub fn dir(&self) -> PathBuf {
        self.root.join(&self.name)
    }

    /// Its configuration file.
    pub fn config_file(&self) -> PathBuf {
        self.dir().join("config")
    }

    /// Tells whether it is there.
    pub fn exists(&self, look: &dyn Look) -> Result<bool, HostError> {
        Ok(look.stat(&self.config_file())?.is_some_and(|meta| meta.is_file()))
    }

    /// Reads its configuration.
    pub fn config(&self, look: &dyn Look) -> Result<Config, ExecError> {
        match ask::text(look, self.config_file())? {
            Some(text) => Ok(Config::parse(&text)),
            None => Err(self.missing()),
        }
    }

    /// The error for a container that is not there.
    pub fn missing(&self) -> ExecError {
        ExecError::failed(format!("Container '{}' does not exist", self.name))
    }

    /// Prepares one of LXC's programs for it.
    pub fn command(&self, program: &str) -> Command {
        Command::new([program, "-P", &self.root.display().to_string(), "-n", &self.name])
    }

    /// Prepares one of LXC's programs with further words.
    pub fn command_of<'a>(&self, program: &str, words: impl IntoIterator<Item = &'a str>) -> Command {
        let mut command = self.command(program);
        command.argv.extend(words.into_iter().map(str::to_owned));
        command
    }

    /// Returns its state in small letters; `None` if it is not there.
    pub fn state(&self, look: &dyn Look) -> Result<Option<String>, ExecError> {
        if !self.exists(look)? {
            return Ok(None);
        }
        need(look)?;
        for _ in 0..200 {
            let output = look.query(&self.command_of("lxc-info", ["-s", "-H"]))?;
            if !output.ok() {
                let why = ask::said(&output);
                return Err(ExecError::failed(format!("Unable to get state of container '{}': {why}", self.name)));
            }
            let state = output.stdout_text().trim().to_lowercase();
            if ["running", "stopped", "frozen"].contains(&state.as_str()) {
                return Ok(Some(state));
            }
            // On its way from one to another, as a killed start leaves it: where to is known in a moment.
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        Err(ExecError::failed(format!("Container '{}' has been between two states for ten seconds", self.name)))
    }

    /// Returns the number of its first process, while it runs.
    pub fn pid(&self, look: &dyn Look) -> Result<Option<u32>, ExecError> {
        let output = look.query(&self.command_of("lxc-info", ["-p", "-H"]))?;
        Ok(output.stdout_text().trim().parse().ok().filter(|pid| *pid > 0))
    }

    /// Returns its live addresses.
    pub fn ips(&self, look: &dyn Look) -> Result<Vec<String>, ExecError> {
        let output = look.query(&self.command_of("lxc-info", ["-i", "-H"]))?;
        Ok(output.stdout_text().lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect())
    }

    /// Reads a parameter of its control group.
    pub fn parameter(&self, look: &dyn Look, key: &str) -> Option<String> {
        let output = look.query(&self.command_of("lxc-cgroup", [key])).ok()?;
        output.ok().then(|| output.stdout_text().trim().to_owned())
    }

    /// Returns where its files lie on the node.
    pub fn files(&self, look: &dyn Look) -> Result<Files, ExecError> {
        let config = self.config(look)?;
        let mut files = Files::at_rest(config.get("lxc.rootfs.path").unwrap_or_default());
        if !config.get("lxc.rootfs.options").is_some_and(|options| options.contains("idmap=")) {
            files.shifted = shift(&config);
        }
        if !ask::is_dir(look, &files.upper) {
            // What lies on a volume of its own is seen from inside only.
            files.inside =
                self.pid(look)?.is_some().then(|| self.command_of("lxc-attach", ["--clear-env", "--", "cat"]));
        }
        Ok(files)
    }

    /// Starts it, and tells why it could not.
    fn start(&self, act: &dyn Act) -> Result<(), ExecError> {
        let log = self.dir().join("start.log");
        if act.lstat(&log)?.is_some() {
            act.perform(&Effect::Remove { path: log.clone() })?;
        }
        let output =
            ask::run(act, self.command_of("lxc-start", ["-d", "-l", "ERROR", "-o", &log.display().to_string()]))?;
        if output.ok() {
            return Ok(());
        }
        let text = ask::text(act.as_look(), &log)?.unwrap_or_default();
        // The first error is the cause; the last ones only tell that there was one.
        let words = |line: &str| line.split(" - ").last().map(str::to_owned);
        let why = text.lines().find(|line| line.contains("ERROR")).and_then(words);
        Err(ExecError::failed(format!(
            "Error changing state for container '{}': lxc-start: {}",
            self.name,
            why.unwrap_or_else(|| ask::said(&output))
        )))
    }

    /// Brings it into a state, from any other; tells Salt's mapping.
    pub fn change(&self, act: &dyn Act, verb: &Verb) -> Result<Map, ExecError> {
        need(act.as_look())?;
        let old = self.state(act.as_look())?.ok_or_else(|| self.missing())?;
        let refuse = |text: String| Err(ExecError::Failed(text));
        let mut more = Map::new();
        match verb {
            Verb::Start if old == "frozen" => {
                return refuse(format!("Container '{}' is frozen, use lxc.unfreeze", self.name));
            }
            Verb::Start if old == "running" => {}
            Verb::Start => self.start(act)?,
            Verb::Stop { .. } if old == "stopped" => {}
            Verb::Stop { kill } => self.stop(act, &old, *kill)?,
            Verb::Restart { force } => {
                if old != "stopped" {
                    self.stop(act, &old, *force)?;
                    more.insert("restarted", true);
                }
                self.start(act)?;
            }
            Verb::Freeze { .. } if old == "frozen" => {}
            Verb::Freeze { start } => {
                if old == "stopped" && !start {
                    return refuse(format!("Container '{}' is stopped", self.name));
                }
                if old == "stopped" {
                    self.start(act)?;
                    more.insert("started", true);
                }
                ask::must(act, self.command("lxc-freeze"))?;
            }
            Verb::Unfreeze if old == "stopped" => {
                return refuse(format!("Container '{}' is stopped", self.name));
            }
            Verb::Unfreeze if old == "running" => {}
            Verb::Unfreeze => _ = ask::must(act, self.command("lxc-unfreeze"))?,
        }
        let wanted = verb.leads_to();
        let new = self.wait(act, wanted)?;
        let mut out: Map = [("result", Value::Bool(new == wanted))].into_iter().collect();
        let state: Map = [("old", old), ("new", new)].into_iter().collect();
        out.insert("state", state);
        out.0.extend(more);
        Ok(out)
    }

    fn stop(&self, act: &dyn Act, old: &str, kill: bool) -> Result<(), ExecError> {
        // What is frozen cannot shut down.
        if old == "frozen" && !kill {
            ask::must(act, self.command("lxc-unfreeze"))?;
        }
        let words: &[&str] = if kill { &["-k"] } else { &[] };
        let output = ask::run(act, self.command_of("lxc-stop", words.iter().copied()))?;
        // LXC ends with 2 when the container stopped by itself meanwhile.
        if output.ok() || self.state(act.as_look())?.as_deref() == Some("stopped") {
            return Ok(());
        }
        let why = ask::said(&output);
        Err(ExecError::failed(format!("Error changing state for container '{}': lxc-stop: {why}", self.name)))
    }

    fn wait(&self, act: &dyn Act, wanted: &str) -> Result<String, ExecError> {
        let now = self.state(act.as_look())?.unwrap_or_default();
        if now == wanted {
            return Ok(now);
        }
        let state = wanted.to_uppercase();
        ask::run(act, self.command_of("lxc-wait", ["-t", "30", "-s", &state]))?;
        Ok(self.state(act.as_look())?.unwrap_or_default())
    }
}

/// What is done to a container that is there.
#[derive(Clone, Copy, Debug)]
pub enum Verb {
    Start,
    Stop { kill: bool },
    Restart { force: bool },
    Freeze { start: bool },
    Unfreeze,
}

impl Verb {
    fn leads_to(self) -> &'static str {
        match self {
            Self::Start | Self::Restart { .. } | Self::Unfreeze => "running",
            Self::Stop { .. } => "stopped",
            Self::Freeze { .. } => "frozen",
        }
    }
}

/// Where the files of a guest are read and written on its node.
#[derive(Clone, Debug)]
pub struct Files {
    /// What is written goes here.
    pub upper: PathBuf,
    /// What is not found above is read here.
    pub lower: Option<PathBuf>,
    /// Who owns the files of the guest's root.
    pub shifted: u32,
    /// Reads a file where none of these can be looked into.
    pub inside: Option<Command>,
}

fn shift(config: &Config) -> u32 {
    let line = config.all("lxc.idmap").into_iter().find(|line| line.starts_with("u 0 "));
    line.and_then(|line| line.split_whitespace().nth(2)?.parse().ok()).unwrap_or(0)
}

impl Files {
    /// Reads `lxc.rootfs.path` of a container that does not run.
    pub fn at_rest(rootfs: &str) -> Self {
        let overlay = ["overlay:", "overlayfs:"].iter().find_map(|kind| rootfs.strip_prefix(kind));
        if let Some((lower, upper)) = overlay.and_then(|rest| rest.rsplit_once(':')) {
            return Self { upper: upper.into(), lower: Some(lower.into()), shifted: 0, inside: None };
        }
        let path = match rootfs.split_once(':') {
            Some((kind, path)) if !kind.contains('/') => path,
            _ => rootfs,
        };
        Self { upper: path.into(), lower: None, shifted: 0, inside: None }
    }

    /// Returns where a file of the guest is read. Links on the way are not followed: they would lead about the node.
    pub fn find(&self, look: &dyn Look, path: &str) -> Result<Option<PathBuf>, HostError> {
        'places: for place in [Some(&self.upper), self.lower.as_ref()].into_iter().flatten() {
            let (mut at, parts) = (place.clone(), path.split('/').filter(|part| !part.is_empty()).collect::<Vec<_>>());
            for (number, part) in parts.iter().enumerate() {
                at.push(part);
                match look.lstat(&at) {
                    Ok(Some(meta)) if meta.is_dir() || number + 1 == parts.len() => {}
                    Ok(_) => continue 'places,
                    Err(error) if error.kind == HostErrorKind::Missing => continue 'places,
                    Err(error) => return Err(error),
                }
            }
            return Ok(Some(at));
        }
        Ok(None)
    }

    /// Reads a file of the guest.
    pub fn text(&self, look: &dyn Look, path: &str) -> Result<Option<String>, HostError> {
        if let Some(mut command) = self.inside.clone() {
            command.argv.push(path.into());
            let output = look.query(&command)?;
            return Ok(output.ok().then(|| output.stdout_text()));
        }
        match self.find(look, path)? {
            Some(at) if look.lstat(&at)?.is_some_and(|meta| meta.is_file()) => ask::text(look, at),
            _ => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Files, Guest};
    use std::path::Path;

    #[test]
    fn names_cannot_lead_elsewhere() {
        for bad in ["", "..", "-n", "a/b", "a b", "a\nb"] {
            assert!(Guest::new("/x", bad).is_err(), "{bad}");
        }
        assert_eq!(Guest::new("/x", "web-1.a").map(|guest| guest.dir()).ok().as_deref(), Some(Path::new("/x/web-1.a")));
    }

    #[test]
    fn knows_where_files_lie() {
        let overlay = Files::at_rest("overlay:/b/rootfs:/l/g/overlay/delta");
        assert_eq!(
            (overlay.upper.to_str(), overlay.lower.as_deref()),
            (Some("/l/g/overlay/delta"), Some(Path::new("/b/rootfs")))
        );
        for plain in ["dir:/l/g/rootfs", "/l/g/rootfs", "btrfs:/l/g/rootfs"] {
            assert_eq!(Files::at_rest(plain).upper, Path::new("/l/g/rootfs"));
        }
    }
}
