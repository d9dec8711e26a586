//! `file.uncomment`

use super::shared::{self, failed};
use corpus_core::{Plan, PlanCx, State, StateError, Value};
use corpus_exec::file::comment::{self, Found};
use serde::Deserialize;

/// Takes the comment character off the lines that a regular expression matches.
///
/// ```sls
/// /etc/adduser.conf:
///   file.uncomment:
///     - regex: EXTRA_GROUPS
/// ```
#[derive(Deserialize)]
pub struct Uncomment {
    name: String,
    /// What the lines hold after the comment character; a leading `^` is ignored.
    regex: String,
    /// What makes a line a comment.
    #[serde(default = "super::comment::hash")]
    char: String,
    /// What the name of the back-up ends with; `False` for none.
    #[serde(default = "shared::bak")]
    backup: Value,
}

impl State for Uncomment {
    const NAME: &'static str = "file.uncomment";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let path = shared::path(cx, &self.name)?;
        let old = shared::read_text(cx, &path)?;
        match comment::uncomment(&old.text, &self.regex, &self.char).map_err(failed)? {
            Found::Already => Ok(Plan::unchanged("Pattern already uncommented")),
            Found::Nowhere => Err(failed(format!("{}: Pattern not found", self.regex))),
            Found::Edit(new) if new == old.text => Err(failed("Expected uncommented lines not found")),
            Found::Edit(new) => {
                let plan = shared::edit(cx, &path, &old, &new, shared::beside(&path, &self.backup), true)?;
                let would = format!("File {} is set to be updated", path.display());
                Ok(plan.says(would, "Uncommented lines successfully"))
            }
        }
    }
}
