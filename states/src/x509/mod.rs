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
}
