//! `file.hardlink`

use super::shared::{self, failed};
use corpus_core::decode::Mode;
use corpus_core::plan::Attrs;
use corpus_core::{Effect, Plan, PlanCx, State, StateError, Value};
use corpus_exec::file::{self, perms::Want};
use serde::Deserialize;

/// Makes a hard link to a file.
///
/// ```sls
/// /srv/www/index.html:
///   file.hardlink:
///     - target: /srv/build/index.html
/// ```
#[derive(Deserialize)]
pub struct Hardlink {
    name: String,
    /// The file that the link is to be another name of.
    target: String,
    /// Replaces a file that is in the way.
    #[serde(default)]
    force: bool,
    /// Makes the directories that are missing.
    #[serde(default)]
    makedirs: bool,
    /// Who owns directories that are made.
    #[serde(alias = "owner")]
    user: Option<Value>,
    /// The group that directories that are made belong to.
    group: Option<Value>,
    /// The permissions of directories that are made.
    dir_mode: Option<Mode>,
}

impl State for Hardlink {
    const NAME: &'static str = "file.hardlink";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let path = shared::path(cx, &self.name)?;
        let target = shared::path(cx, &self.target)
            .map_err(|_| failed(format!("Specified target {} is not an absolute path", self.target)))?;
        let (shown, aim) = (path.display().to_string(), target.display().to_string());
        let want = Want { user: self.user.clone(), group: self.group.clone(), mode: None };
        shared::check_owner(cx, &want)?;
        let Some(from) = cx.host.stat(&target)? else {
            return Err(StateError::missing(format!("Target {aim} for hard link does not exist")));
        };
        if from.is_dir() {
            return Err(failed(format!("Unable to hard link from directory {aim}")));
        }
        let mut plan = Plan::default()
            .says(
                format!("Hard link {shown} to {aim} is set for creation"),
                format!("Created new hard link {shown} -> {aim}"),
            )
            .change("new", shown.as_str());
        let parent = file::parent(&path);
        if !shared::is_dir(cx, parent)? {
            if !self.makedirs {
                return Err(StateError::missing(format!(
                    "Directory {} for hard link is not present",
                    parent.display()
                )));
            }
            let attrs = Attrs { mode: shared::bits(self.dir_mode), ..want.attrs() };
            shared::make_parents(cx, &mut plan, &path, &attrs)?;
        }
        if let Some(have) = cx.host.lstat(&path)? {
            if have.is_dir() {
                return Err(failed(format!("Unable to hard link to directory {shown}")));
            }
            if (have.ino, have.dev) == (from.ino, from.dev) {
                return Ok(Plan::unchanged(format!("Target of hard link {shown} is already pointing to {aim}")));
            }
            if !self.force {
                return Err(failed(format!("File exists where the hard link {shown} should be")));
            }
            plan.would = format!(
                "The file or directory {shown} is set for removal to make way for a new hard link targeting {aim}"
            );
            plan.changes.insert("forced", "File for hard link was forcibly replaced");
            plan.push(Effect::Remove { path: path.clone() }, vec![]);
        }
        plan.push(Effect::Hardlink { path, target }, vec![]);
        Ok(plan)
    }
}
