//! `ini.sections_present`

use super::shared::{self, File};
use corpus_core::{Map, Plan, PlanCx, State, StateError, Value};
use serde::Deserialize;

/// Keeps sections in an ini file; new ones are empty.
///
/// ```sls
/// /etc/php/fpm.ini:
///   ini.sections_present:
///     - sections:
///         - PHP
/// ```
#[derive(Deserialize)]
pub struct SectionsPresent {
    /// The file; it is made if it is missing.
    pub name: String,
    /// The names of the sections.
    pub sections: Option<Value>,
    /// What stands between key and value.
    #[serde(default = "shared::equals")]
    pub separator: String,
    /// Accepted for Salt's sake: text is UTF-8.
    pub encoding: Option<String>,
}

impl State for SectionsPresent {
    const NAME: &'static str = "ini.sections_present";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let mut file = File::read(cx, &self.name, &self.separator, false)?;
        for section in shared::names(&self.sections) {
            let wanted = [(section.as_str(), Map::new())].into_iter().collect();
            let changes = file.update(&wanted);
            let what = if changes.is_empty() { "Section unchanged" } else { "Created new section" };
            file.say(&format!("{what} {section}."));
            file.changes.0.extend(changes.0);
        }
        Ok(file.plan(cx, "No changes detected."))
    }
}
