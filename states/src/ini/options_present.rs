//! `ini.options_present`

use super::shared::{self, File};
use corpus_core::{Map, Plan, PlanCx, State, StateError, Value, python};
use corpus_exec::ini::change;
use serde::Deserialize;

/// Keeps keys of an ini file as declared. Keys without a section are those above the first header.
///
/// ```sls
/// /etc/php/fpm.ini:
///   ini.options_present:
///     - sections:
///         PHP:
///           memory_limit: 256M
/// ```
#[derive(Deserialize)]
pub struct OptionsPresent {
    /// The file; it is made if it is missing.
    pub name: String,
    /// Sections with their keys, and keys without a section.
    #[serde(default)]
    pub sections: Map,
    /// What stands between key and value.
    #[serde(default = "shared::equals")]
    pub separator: String,
    /// Take out all that is not declared.
    #[serde(default)]
    pub strict: bool,
    /// Accepted for Salt's sake: text is UTF-8.
    pub encoding: Option<String>,
    /// Write no space around the separator.
    #[serde(default)]
    pub no_spaces: bool,
}

impl State for OptionsPresent {
    const NAME: &'static str = "ini.options_present";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let mut file = File::read(cx, &self.name, &self.separator, self.no_spaces)?;
        let before = file.ini.values();
        let part = |inner: bool| -> Map {
            let wanted = self.sections.iter().filter(|(_, value)| value.as_map().is_some() == inner);
            wanted.map(|(k, v)| (k.clone(), v.clone())).collect()
        };
        let (sections, top) = (part(true), part(false));
        let said = |file: &mut File, same: bool, key: &Value, place: &str| {
            file.say(&format!("{} key {}{place}.", if same { "Unchanged" } else { "Changed" }, python::str(key)));
        };
        for (key, value) in &top {
            let same = before.get(&python::str(key)).is_some_and(|old| python::str(old) == python::str(value));
            said(&mut file, same, key, "");
        }
        let changed = file.update(&top);
        file.changes.0.extend(changed.0);
        if self.strict {
            self.strip(&mut file, &before, &sections, &top);
        }
        for (name, body) in &sections {
            let name = python::str(name);
            let place = if name.is_empty() { String::new() } else { format!(" in section {name}") };
            let (body, old) = (body.as_map().cloned().unwrap_or_default(), before.get(&name).and_then(Value::as_map));
            let mut changes = Map::new();
            for (key, value) in old.into_iter().flatten().filter(|_| self.strict) {
                let key = python::str(key);
                if body.get(&key).is_none() {
                    file.say(&format!("Deleted key {key}{place}."));
                    file.ini.remove(Some(&name), &key);
                    changes.insert(key, change(value, Value::Null));
                }
            }
            for (key, value) in &body {
                let have = old.and_then(|old| old.get(&python::str(key)));
                said(&mut file, have.is_some_and(|have| python::str(have) == python::str(value)), key, &place);
            }
            let wanted = [(name.as_str(), Value::from(body))].into_iter().collect();
            if let Some(Value::Map(more)) = file.update(&wanted).remove(&name) {
                changes.0.extend(more.iter().map(|(k, v)| (k.clone(), v.clone())));
            }
            if !changes.is_empty() {
                file.changes.insert(name, changes);
            }
        }
        Ok(file.plan(cx, ""))
    }
}

impl OptionsPresent {
    /// Takes out keys and sections that are not declared.
    fn strip(&self, file: &mut File, before: &Map, sections: &Map, top: &Map) {
        for (key, value) in before {
            let name = python::str(key);
            match value {
                Value::Map(_) if sections.get(&name).is_none() => {
                    file.say(&format!("Removed section {name}."));
                    file.ini.remove_section(&name);
                }
                Value::Str(_) if top.get(&name).is_none() => {
                    file.say(&format!("Removed key {name}."));
                    file.ini.remove(None, &name);
                }
                _ => continue,
            }
            file.changes.insert(name, change(value, Value::Null));
        }
    }
}
