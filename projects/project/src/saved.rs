//! The configuration that outlives a process: what was set by hand, and how the project was last deployed.

use crate::{Layout, ProjectError, R, disk};
use corpus_core::{Map, Value, python};

/// Keys that say nothing about the installation, or belong to one deployment.
const PASSING: &[&str] = &[
    "name",
    "data",
    "salt_root",
    "rollback",
    "chrono",
    "current_archive_dir",
    "only",
    "only_steps",
    "deploy_summary",
    "deploy_ret",
    "sls_default_pillar",
    "force_reload",
    "cfg_is_loaded",
    "cfg_is_prepared",
    "nodata",
];

/// What is saved of a project.
#[derive(Clone, Debug, Default)]
pub struct Saved {
    /// Set by `set_configuration`, and by arguments of `init_project`: a layer above the pillar.
    pub set: Map,
    /// The whole configuration of the last good initialisation or deployment.
    pub last: Map,
    pub api_version: Option<String>,
}

/// Reads what is saved.
pub fn read(layout: &Layout) -> R<Saved> {
    let path = layout.saved();
    if !path.exists() {
        return Ok(Saved::default());
    }
    let map = corpus_master::read_map(&path).map_err(|errors| ProjectError::diagnostics(&errors))?;
    let part = |key: &str| map.get(key).and_then(Value::as_map).cloned().unwrap_or_default();
    let api_version = map.get("api_version").filter(|value| !value.is_null()).map(python::str);
    Ok(Saved { set: part("set"), last: part("configuration"), api_version })
}

/// Saves keys that were set by hand. A key set to null is no longer set.
pub fn set(layout: &Layout, keys: &Map) -> R<()> {
    let mut saved = read(layout)?;
    corpus_core::merge::update(&mut saved.set, keys, false);
    saved.set.0.retain(|_, value| !value.is_null());
    write(layout, &saved)
}

/// Saves the whole configuration.
pub fn remember(layout: &Layout, cfg: &Map) -> R<()> {
    let mut saved = read(layout)?;
    let lasting = |key: &Value| key.as_str().is_some_and(|key| !PASSING.contains(&key) && !key.starts_with("skip_"));
    let last: Map = cfg
        .iter()
        .filter(|(key, value)| lasting(key) && !matches!(value, Value::Map(_)))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    let api_version = cfg.get("api_version").map(python::str);
    if saved.last == last && saved.api_version == api_version {
        return Ok(());
    }
    (saved.last, saved.api_version) = (last, api_version);
    write(layout, &saved)
}

fn write(layout: &Layout, saved: &Saved) -> R<()> {
    let mut map = Map::new();
    map.insert("api_version", saved.api_version.clone().map_or(Value::Null, Value::from));
    map.insert("set", saved.set.clone());
    map.insert("configuration", saved.last.clone());
    let head = "# Written by corpus. `corpus mc_project.set_configuration NAME key=value` changes `set`.\n";
    let text = format!("{head}{}", corpus_core::yaml::emit(&map.into(), true));
    disk::private_dir(&layout.corpus)?;
    disk::write(&layout.saved(), text.as_bytes(), 0o600)
}
