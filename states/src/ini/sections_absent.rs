//! `ini.sections_absent`

use super::shared::{self, File};
use corpus_core::{Plan, PlanCx, State, StateError, Value};
use serde::Deserialize;

/// Keeps sections, with all their keys, out of an ini file.
///
/// ```sls
/// /etc/php/fpm.ini:
///   ini.sections_absent:
///     - sections:
///         - PHP
/// ```
#[derive(Deserialize)]
pub struct SectionsAbsent {
    /// The file.
    pub name: String,
    /// The names of the sections.
    pub sections: Option<Value>,
    /// What stands between key and value.
    #[serde(default = "shared::equals")]
    pub separator: String,
    /// Accepted for Salt's sake: text is UTF-8.
    pub encoding: Option<String>,
}

impl State for SectionsAbsent {
    const NAME: &'static str = "ini.sections_absent";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let mut file = File::read(cx, &self.name, &self.separator, false)?;
        for section in shared::names(&self.sections) {
            match file.ini.remove_section(&section) {
                None => file.say(&format!("Section {section} does not exist.")),
                Some(held) => {
                    file.say(&format!("Deleted section {section}."));
                    file.changes.insert(section, held);
                }
            }
        }
        Ok(file.plan(cx, "No changes detected."))
    }
}
