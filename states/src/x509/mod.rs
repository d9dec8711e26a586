//! What `x509.*` share: the file that a key or certificate is written to.

use crate::file::shared::{self as files, manage::Managed, sources::Wanted};
use corpus_core::decode::Mode;
use corpus_core::{Map, Plan, PlanCx, StateError, Value};
use corpus_exec::file::perms::Want;
use std::path::Path;

/// Arguments about the file.
pub struct Place<'a> {
    pub path: &'a Path,
    pub user: &'a Option<Value>,
    pub group: &'a Option<Value>,
    pub mode: Option<Mode>,
    pub makedirs: bool,
    pub dir_mode: Option<Mode>,
    pub backup: &'a Value,
}

impl Place<'_> {
    /// Plans the file, with new text or as it is; `changes` are those of `more`, if there are any.
    pub fn plan(&self, cx: &PlanCx<'_>, text: Option<String>, more: Map) -> Result<Plan, StateError> {
        let managed = Managed {
            path: self.path,
            replace: text.is_some(),
            wanted: text.map(|text| Wanted::Bytes(text.into_bytes())),
            from_source: false,
            want: Want { user: self.user.clone(), group: self.group.clone(), mode: files::bits(self.mode) },
            makedirs: self.makedirs,
            dir_mode: files::bits(self.dir_mode),
            backup: self.backup,
            // What is in the file is not for everybody to see.
            show_changes: false,
            new_file_diff: false,
            follow_symlinks: true,
            check_cmd: None,
            tmp_ext: "",
            tmp_dir: None,
        };
        let mut plan = managed.plan(cx)?;
        // Salt shows the file's own changes apart: here they stand alone where only they are to be made.
        if !more.is_empty() {
            plan.changes = more;
        }
        Ok(plan)
    }
    /// Plans the file of something signed, with Salt's comments; `changes` say why it is to be made anew.
    pub fn settle(&self, cx: &PlanCx<'_>, what: &str, changes: Map, text: String) -> Result<Plan, StateError> {
        let same = format!("The {what} is in the correct state");
        if changes.is_empty() {
            let mut plan = self.plan(cx, None, changes)?;
            plan.unchanged.clone_from(&same);
            return Ok(plan.says(same.clone(), same));
        }
        let verb = if changes.contains("created") || changes.contains("replaced") { "create" } else { "recreate" };
        let plan = self.plan(cx, Some(text), changes)?;
        Ok(plan.says(format!("The {what} would have been {verb}d"), format!("The {what} has been {verb}d")))
    }
}

/// Reads the name of a digest, which becomes an option of `openssl`.
pub fn digest(name: &str) -> Result<String, StateError> {
    if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
        return Err(StateError::failed(format!("argument `digest`: there is no `{name}`")));
    }
    Ok(name.to_owned())
}
