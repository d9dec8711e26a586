//! What the file states share: paths, parents, edits, and the managing of one file's content.

#[path = "../file_manage.rs"]
pub mod manage;
#[path = "../file_sources.rs"]
pub mod sources;

use corpus_core::decode::{Mode, OneOrMany};
use corpus_core::plan::{Attrs, Content};
use corpus_core::{Effect, Map, Meta, Plan, PlanCx, StateError, Value, python};
use corpus_exec::file::{self, Text, diff, perms::Want};
use std::path::{Path, PathBuf};

/// Serde's default for flags that are on.
pub fn yes() -> bool {
    true
}

/// Serde's default for `backup` of the editing states.
pub fn bak() -> Value {
    ".bak".into()
}

/// Returns the path that a declaration names; Salt's words if it is not absolute.
pub fn path(cx: &PlanCx<'_>, name: &str) -> Result<PathBuf, StateError> {
    let name = file::expand_user(cx.host, name);
    if name.is_empty() {
        return Err(StateError::failed(format!("Must provide name to {}", cx.low.full_name())));
    }
    if !name.starts_with('/') {
        return Err(StateError::failed(format!("Specified file {name} is not an absolute path")));
    }
    let trimmed = name.trim_end_matches('/');
    Ok(PathBuf::from(if trimmed.is_empty() { "/" } else { trimmed }))
}

/// Reads a mode; `keep` has no bits.
pub fn bits(mode: Option<Mode>) -> Option<u32> {
    mode.and_then(Mode::bits)
}

/// Refuses owners that do not exist, in Salt's words.
pub fn check_owner(cx: &PlanCx<'_>, want: &Want) -> Result<(), StateError> {
    want.unavailable(cx.host)?.map_or(Ok(()), |text| Err(StateError::missing(text)))
}

/// Plans the directories that a path lacks.
pub fn make_parents(cx: &PlanCx<'_>, plan: &mut Plan, path: &Path, attrs: &Attrs) -> Result<(), StateError> {
    for dir in file::missing_parents(cx.host, path)? {
        // A directory that this plan makes already is not made twice.
        let there = plan.steps.iter().any(|step| matches!(&step.effect, Effect::Mkdir { path, .. } if *path == dir));
        if !there {
            plan.push(Effect::Mkdir { path: dir, attrs: attrs.clone() }, vec![]);
        }
    }
    Ok(())
}

/// Tells whether there is a directory at a path, links followed.
pub fn is_dir(cx: &PlanCx<'_>, path: &Path) -> Result<bool, StateError> {
    Ok(cx.host.stat(path)?.is_some_and(|meta| meta.is_dir()))
}

/// Finds a file that is to be edited; Salt's words if it is not there.
pub fn existing(cx: &PlanCx<'_>, path: &Path) -> Result<Meta, StateError> {
    cx.host.stat(path)?.ok_or_else(|| StateError::missing(format!("{}: file not found", path.display())))
}

/// Reads a file that is to be edited as text.
pub fn read_text(cx: &PlanCx<'_>, path: &Path) -> Result<Text, StateError> {
    existing(cx, path)?;
    Text::read(&cx.host.read(path)?).ok_or_else(|| {
        StateError::failed(format!("Cannot perform string replacements on a binary file: {}", path.display()))
    })
}

/// Returns where an editing state keeps what the file was: the path with `.bak`, nowhere for `False`.
pub fn beside(path: &Path, backup: &Value) -> Option<PathBuf> {
    let suffix = match backup {
        Value::Null | Value::Bool(false) => return None,
        Value::Bool(true) => ".bak".to_owned(),
        other => python::str(other),
    };
    (!suffix.is_empty()).then(|| PathBuf::from(format!("{}{suffix}", path.display())))
}

/// Plans the edit of a text file, with its difference; nothing if it stays as it is.
pub fn edit(
    cx: &PlanCx<'_>,
    path: &Path,
    old: &Text,
    new: &str,
    backup: Option<PathBuf>,
    show: bool,
) -> Result<Plan, StateError> {
    if old.text == new {
        return Ok(Plan::default());
    }
    let real = file::real_path(cx.host, path)?;
    // Salt: an edit that is not shown is `True`.
    let shown = if show { Value::from(diff::unified(&old.text, new)) } else { true.into() };
    let content = Content::Bytes(old.bytes(new));
    Ok(Plan::default().change("diff", shown).step(Effect::WriteFile {
        path: real,
        content,
        attrs: Attrs::default(),
        backup,
    }))
}

/// What stands for a difference that is not to be seen.
pub const HIDDEN: &str = "<show_changes=False>";

/// Makes an error in the state's own words.
pub fn failed(text: impl Into<String>) -> StateError {
    StateError::failed(text)
}

/// Reads one text or a list of texts, as `text`, `contents` and patterns take them.
pub fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Null => vec![],
        Value::List(items) => items.iter().map(python::str).collect(),
        one => vec![python::str(one)],
    }
}

/// Patterns of `include_pat` and `exclude_pat`.
pub fn patterns(value: &Option<OneOrMany<String>>) -> &[String] {
    value.as_ref().map_or(&[], |many| &many.0)
}

/// Collected texts for a file, by accumulator.
pub fn accumulated(cx: &PlanCx<'_>, path: &Path) -> Map {
    let mut out = Map::new();
    for (_, one) in cx.accumulated.iter().filter(|(_, one)| Path::new(&one.filename) == path) {
        let mut list = out.get(&one.name).and_then(Value::as_list).unwrap_or_default().to_vec();
        for text in &one.texts {
            if !list.contains(text) {
                list.push(text.clone());
            }
        }
        out.insert(one.name.as_str(), list);
    }
    out
}

/// Reads a mapping that may be written as a list of mappings.
pub fn mapping(value: &Option<Value>, error: &str) -> Result<Map, StateError> {
    match value {
        None | Some(Value::Null) => Ok(Map::new()),
        Some(Value::Map(map)) => Ok((**map).clone()),
        Some(Value::List(items)) if items.iter().all(|item| item.as_map().is_some()) => Ok(items
            .iter()
            .filter_map(Value::as_map)
            .flat_map(|map| map.iter().map(|(k, v)| (k.clone(), v.clone())))
            .collect()),
        Some(_) => Err(failed(error)),
    }
}
