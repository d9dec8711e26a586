//! `file.touch`

use super::shared::{self, failed};
use corpus_core::plan::{Attrs, Content};
use corpus_core::{Effect, Plan, PlanCx, State, StateError};
use corpus_exec::file;
use serde::Deserialize;

/// Makes an empty file, or sets the times of one that is there.
///
/// ```sls
/// /var/log/app.log: file.touch
/// ```
#[derive(Deserialize)]
pub struct Touch {
    name: String,
    /// The time of the last access, in seconds since 1970; now unless set.
    atime: Option<i64>,
    /// The time of the last change, in seconds since 1970; now unless set.
    mtime: Option<i64>,
    /// Makes the directories that are missing.
    #[serde(default)]
    makedirs: bool,
}

impl State for Touch {
    const NAME: &'static str = "file.touch";
    const CONVERGES: bool = false;

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let path = shared::path(cx, &self.name)?;
        let shown = path.display().to_string();
        let times = Effect::Times { path: path.clone(), atime: self.atime, mtime: self.mtime };
        if let Some(meta) = cx.host.stat(&path)? {
            let what = if meta.is_dir() { "directory" } else { "file" };
            return Ok(Plan::default()
                .says(format!("Times set to be updated on {what} {shown}"), format!("Updated times on {what} {shown}"))
                .change("touched", shown)
                .step(times));
        }
        let mut plan = Plan::default()
            .says(format!("File {shown} is set to be created"), format!("Created empty file {shown}"))
            .change("new", shown.as_str());
        if !shared::is_dir(cx, file::parent(&path))? {
            if !self.makedirs {
                return Err(match cx.host.stat(file::parent(&path))? {
                    Some(_) => failed(format!("Directory not present to touch file {shown}")),
                    None => StateError::missing(format!("Directory not present to touch file {shown}")),
                });
            }
            shared::make_parents(cx, &mut plan, &path, &Attrs::default())?;
        }
        let content = Content::Bytes(vec![]);
        plan.push(Effect::WriteFile { path, content, attrs: Attrs::default(), backup: None }, vec![]);
        if self.atime.is_some() || self.mtime.is_some() {
            plan.push(times, vec![]);
        }
        Ok(plan)
    }
}
