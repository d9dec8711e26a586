//! `file.comment`

use super::shared::{self, failed};
use corpus_core::{Plan, PlanCx, State, StateError, Value};
use corpus_exec::file::comment::{self, Found};
use serde::Deserialize;

/// Comments out the lines that a regular expression matches.
///
/// ```sls
/// /etc/fstab:
///   file.comment:
///     - regex: ^bind 127.0.0.1
/// ```
#[derive(Deserialize)]
pub struct Comment {
    name: String,
    /// What the lines begin with; a leading `^` may be left out.
    regex: String,
    /// What makes a line a comment.
    #[serde(default = "hash")]
    char: String,
    /// What the name of the back-up ends with; `False` for none.
    #[serde(default = "shared::bak")]
    backup: Value,
    /// Succeeds if no line matches.
    #[serde(default)]
    ignore_missing: bool,
}

/// The comment character unless told otherwise.
pub fn hash() -> String {
    "#".into()
}

impl State for Comment {
    const NAME: &'static str = "file.comment";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let path = shared::path(cx, &self.name)?;
        let old = shared::read_text(cx, &path)?;
        match comment::comment(&old.text, &self.regex, &self.char).map_err(failed)? {
            Found::Already => Ok(Plan::unchanged("Pattern already commented")),
            Found::Nowhere if self.ignore_missing => {
                Ok(Plan::unchanged("Pattern not found and ignore_missing set to True"))
            }
            Found::Nowhere => Err(failed(format!("{}: Pattern not found", comment::unanchored(&self.regex)))),
            Found::Edit(new) if new == old.text => Err(failed("Expected commented lines not found")),
            Found::Edit(new) => {
                let plan = shared::edit(cx, &path, &old, &new, shared::beside(&path, &self.backup), true)?;
                let would = format!("File {} is set to be updated", path.display());
                Ok(plan.says(would, "Commented lines successfully"))
            }
        }
    }
}
