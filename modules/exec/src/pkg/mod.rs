//! Packages, behind one trait: apt, dnf and yum, zypper, apk, pacman. What is installed is read from
//! the package manager's own files where that is possible, and remembered until they change.

mod apk;
mod apt;
mod pacman;
mod rpm;
mod targets;
pub mod version;

pub use apt::parse_status;
pub use targets::{Wanted, parse_pkgs, satisfies};

use corpus_core::host::{Command, HostError, HostResult, Look};
use corpus_core::plan::{Prediction, Step};
use corpus_core::{Effect, Value};
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What is installed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Installed {
    /// Name to versions; several of one name exist for kernels.
    pub versions: BTreeMap<String, Vec<String>>,
    /// Removed, but with configuration left behind.
    pub residual: BTreeMap<String, String>,
    /// Virtual name to the packages that provide it.
    pub provides: BTreeMap<String, Vec<String>>,
    /// Packages that upgrades leave alone.
    pub held: Vec<String>,
}

impl Installed {
    /// Returns a package's versions as Salt shows them, joined by commas.
    pub fn version(&self, name: &str) -> Option<String> {
        self.versions.get(name).map(|versions| versions.join(","))
    }

    /// Returns all packages as Salt's `pkg.list_pkgs` does.
    pub fn to_value(&self) -> Value {
        Value::map(self.versions.iter().map(|(name, versions)| (name.as_str(), versions.join(","))).collect())
    }
}

/// How an installation is to go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    pub fromrepo: Option<String>,
    pub skip_verify: bool,
    pub recommends: Option<bool>,
    pub only_upgrade: bool,
    pub reinstall: bool,
    pub download_only: bool,
    /// Take new configuration files instead of keeping the old ones.
    pub force_conf_new: bool,
    pub enablerepo: Option<String>,
    pub disablerepo: Option<String>,
    pub setopt: Vec<String>,
    /// Change packages that are held, too.
    pub update_holds: bool,
}

/// A package manager.
pub trait Packages: Sync {
    /// Names it: `apt`, `dnf`…
    fn name(&self) -> &'static str;
    /// Returns what is installed.
    fn installed(&self, look: &dyn Look) -> HostResult<Arc<Installed>>;
    /// Returns the version that an installation would bring, for each name that is known.
    fn candidates(&self, look: &dyn Look, names: &[String], options: &Options) -> HostResult<BTreeMap<String, String>>;
    /// Compares two versions.
    fn compare(&self, look: &dyn Look, a: &str, b: &str) -> Ordering;
    /// Returns what installs packages, each with a version or not.
    fn install(&self, packages: &[(String, Option<String>)], options: &Options) -> Vec<Command>;
    /// Returns what installs package files.
    fn install_files(&self, paths: &[String], options: &Options) -> Vec<Command>;
    /// Returns what removes packages.
    fn remove(&self, names: &[String], purge: bool) -> Vec<Command>;
    /// Returns what fetches the lists of packages.
    fn refresh(&self) -> Command;
    /// Returns the file whose age is the age of the lists.
    fn lists(&self) -> &'static str;
    /// Tells whether there are lists at all: an image may have been made without them a minute ago.
    fn has_lists(&self, _: &dyn Look) -> bool {
        true
    }
    /// Returns what upgrades everything.
    fn upgrade(&self, options: &Options, dist: bool) -> Vec<Command>;
    /// Returns what an upgrade of everything would bring.
    fn upgrades(&self, look: &dyn Look) -> HostResult<BTreeMap<String, String>>;
    /// Returns what holds packages back, or lets them go.
    fn hold(&self, names: &[String], held: bool) -> HostResult<Vec<Command>>;
    /// Returns the versions of packages whose files lie in the package manager's cache.
    fn downloaded(&self, _: &dyn Look) -> HostResult<BTreeMap<String, Vec<String>>> {
        Err(HostError::other("list what was downloaded", format!("not built for {}", self.name())))
    }
    /// Returns what tells which package owns a file.
    fn owner(&self, path: &str) -> Command;
}

/// Returns the machine's package manager.
pub fn provider(look: &dyn Look) -> HostResult<&'static dyn Packages> {
    let there = |program: &str| look.which(program).is_some();
    if there("apt-get") || crate::ask::exists(look, "/var/lib/dpkg/status") {
        Ok(&apt::Apt)
    } else if there("dnf") || there("dnf5") {
        Ok(&rpm::DNF)
    } else if there("zypper") {
        Ok(&rpm::ZYPPER)
    } else if there("yum") {
        Ok(&rpm::YUM)
    } else if there("apk") {
        Ok(&apk::Apk)
    } else if there("pacman") {
        Ok(&pacman::Pacman)
    } else {
        Err(HostError::io(
            "find a package manager (apt-get, dnf, yum, zypper, apk, pacman)",
            &std::io::ErrorKind::NotFound.into(),
        ))
    }
}

/// The fact under which a step foretells a package's version; null when it is removed, false when purged.
pub fn fact(name: &str) -> String {
    format!("pkg:{name}")
}

/// The fact under which a step foretells the version of a package that lies in the cache.
pub fn downloaded_fact(name: &str) -> String {
    format!("pkg:{name}:downloaded")
}

/// The fact under which a step foretells whether a package is held.
pub fn hold_fact(name: &str) -> String {
    format!("pkg:{name}:hold")
}

/// Returns what is installed, with what earlier steps of a dry run foretell about these packages.
pub fn installed_with_predictions(look: &dyn Look, names: &[String]) -> HostResult<Arc<Installed>> {
    let mut installed = provider(look)?.installed(look)?;
    for name in names {
        if let Some(held) = look.predicted(&hold_fact(name)) {
            let changed = Arc::make_mut(&mut installed);
            changed.held.retain(|other| other != name);
            if held.truthy() {
                changed.held.push(name.clone());
            }
        }
        if let Some(value) = look.predicted(&fact(name)) {
            let changed = Arc::make_mut(&mut installed);
            match value.as_str() {
                Some(version) => _ = changed.versions.insert(name.clone(), vec![version.into()]),
                None => {
                    // False: purged, not even its configuration stays.
                    if value.as_bool() == Some(false) {
                        changed.residual.remove(name);
                        changed.versions.remove(name);
                    } else if let Some(versions) = changed.versions.remove(name) {
                        changed.residual.insert(name.clone(), versions.join(","));
                    }
                }
            }
        }
    }
    Ok(installed)
}

/// Makes a step of a command whose failure the state explains by itself.
pub fn judged(command: Command, predicts: Vec<Prediction>) -> Step {
    Step { effect: Effect::Exec(command), predicts, must_succeed: false }
}

/// Returns Salt's changes between two looks: name to old and new version.
pub fn difference(before: &Value, after: &Installed) -> corpus_core::Map {
    let mut changes = corpus_core::Map::new();
    let empty = corpus_core::Map::new();
    let before = before.as_map().unwrap_or(&empty);
    let entry = |old: &str, new: &str| -> Value { Value::map([("old", old), ("new", new)].into_iter().collect()) };
    for (name, versions) in &after.versions {
        let new = versions.join(",");
        let old = before.str(name).unwrap_or_default();
        if old != new {
            changes.insert(name.as_str(), entry(old, &new));
        }
    }
    for (name, old) in before {
        if let (Some(name), Some(old)) = (name.as_str(), old.as_str())
            && !after.versions.contains_key(name)
        {
            changes.insert(name, entry(old, ""));
        }
    }
    changes
}
