//! `ini.options_absent`

use super::shared::{self, File};
use corpus_core::{Map, Plan, PlanCx, State, StateError, Value, python};
use serde::Deserialize;

/// Keeps keys out of an ini file.
///
/// ```sls
/// /etc/php/fpm.ini:
///   ini.options_absent:
///     - sections:
///         PHP:
///           - memory_limit
/// ```
#[derive(Deserialize)]
pub struct OptionsAbsent {
    /// The file.
    pub name: String,
    /// Sections with a list of keys; a key without a section has any other value.
    #[serde(default)]
    pub sections: Map,
    /// What stands between key and value.
    #[serde(default = "shared::equals")]
    pub separator: String,
    /// Accepted for Salt's sake: text is UTF-8.
    pub encoding: Option<String>,
}

impl State for OptionsAbsent {
    const NAME: &'static str = "ini.options_absent";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let mut file = File::read(cx, &self.name, &self.separator, false)?;
        for (section, keys) in &self.sections {
            let section = python::str(section);
            let keys: Vec<String> = match keys {
                Value::List(keys) => keys.iter().map(python::str).collect(),
                Value::Map(keys) => keys.keys().map(python::str).collect(),
                _ => {
                    match file.ini.remove(None, &section) {
                        None => file.say(&format!("Key {section} does not exist.")),
                        Some(old) => {
                            file.say(&format!("Deleted key {section}."));
                            file.changes.insert(section, old);
                        }
                    }
                    continue;
                }
            };
            let place = if section.is_empty() { String::new() } else { format!(" in section {section}") };
            let mut gone = Map::new();
            for key in keys {
                match file.ini.remove(Some(&section), &key) {
                    None => file.say(&format!("Key {key}{place} does not exist.")),
                    Some(old) => {
                        file.say(&format!("Deleted key {key}{place}."));
                        gone.insert(key, old);
                    }
                }
            }
            if !gone.is_empty() {
                file.changes.insert(section, gone);
            }
        }
        Ok(file.plan(cx, "No changes detected."))
    }
}
