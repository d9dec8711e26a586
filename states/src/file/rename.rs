//! `file.rename`

use super::shared;
use corpus_core::plan::Attrs;
use corpus_core::{Effect, Plan, PlanCx, State, StateError};
use corpus_exec::file;
use serde::Deserialize;
use std::path::Path;

/// Moves a file or a directory, if it is still where it was.
///
/// ```sls
/// /etc/app/new.conf:
///   file.rename:
///     - source: /etc/app/old.conf
/// ```
#[derive(Deserialize)]
pub struct Rename {
    name: String,
    /// What to move.
    source: String,
    /// Replaces what is there.
    #[serde(default)]
    force: bool,
    /// Makes the directories that are missing.
    #[serde(default)]
    makedirs: bool,
}

impl State for Rename {
    const NAME: &'static str = "file.rename";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let path = shared::path(cx, &self.name)?;
        let source = file::expand_user(cx.host, &self.source);
        let shown = path.display().to_string();
        let from = Path::new(&source).to_owned();
        if cx.host.lstat(&from)?.is_none() {
            return Ok(Plan::unchanged(format!("Source file \"{source}\" has already been moved out of place")));
        }
        let mut plan = Plan::default().says(
            format!("File \"{source}\" is set to be moved to \"{shown}\""),
            format!("Moved \"{source}\" to \"{shown}\""),
        );
        if cx.host.lstat(&path)?.is_some() {
            if !self.force {
                return Ok(Plan::unchanged(format!("The target file \"{shown}\" exists and will not be overwritten")));
            }
            plan.push(Effect::Remove { path: path.clone() }, vec![]);
        }
        let parent = file::parent(&path);
        if !shared::is_dir(cx, parent)? {
            if !self.makedirs {
                return Err(StateError::missing(format!("The target directory {} is not present", parent.display())));
            }
            shared::make_parents(cx, &mut plan, &path, &Attrs::default())?;
        }
        plan.push(Effect::Rename { from, to: path }, vec![]);
        Ok(plan.change(shown, source))
    }
}
