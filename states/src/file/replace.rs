//! `file.replace`

use super::shared::{self, failed};
use corpus_core::{Plan, PlanCx, State, StateError, Value, python};
use corpus_exec::file::{pattern, replace};
use serde::Deserialize;

/// Replaces what a regular expression (Python's) finds in a file.
///
/// ```sls
/// /etc/ssh/sshd_config:
///   file.replace:
///     - pattern: ^PermitRootLogin .*
///     - repl: PermitRootLogin no
///     - append_if_not_found: true
/// ```
#[derive(Deserialize)]
pub struct Replace {
    #[serde(alias = "path")]
    name: String,
    /// What to look for; `^` and `$` match at each line unless `flags` says otherwise.
    pattern: String,
    /// What takes its place; `\1` and `\g<name>` stand for groups.
    #[serde(default)]
    repl: Value,
    /// How often at most; 0 is always.
    #[serde(default)]
    count: usize,
    /// Python's flags: their sum, or a list of names such as `IGNORECASE`.
    #[serde(default)]
    flags: Value,
    /// Kept for Salt's sake: a file is always read whole.
    #[serde(default, rename = "bufsize")]
    _bufsize: Value,
    /// Adds the replacement at the end if nothing matched.
    #[serde(default)]
    append_if_not_found: bool,
    /// Adds the replacement at the beginning if nothing matched.
    #[serde(default)]
    prepend_if_not_found: bool,
    /// What to add instead of the replacement.
    not_found_content: Option<Value>,
    /// What the name of the back-up ends with; `False` for none.
    #[serde(default = "shared::bak")]
    backup: Value,
    /// Shows the difference.
    #[serde(default = "shared::yes")]
    show_changes: bool,
    /// Succeeds if there is no such file.
    #[serde(default)]
    ignore_if_missing: bool,
    /// Takes backslashes in `repl` as they are.
    #[serde(default)]
    backslash_literal: bool,
    /// Kept for Salt's sake: UTF-8 and Latin-1 are told apart by themselves.
    #[serde(default, rename = "encoding")]
    _encoding: Value,
}

impl State for Replace {
    const NAME: &'static str = "file.replace";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let path = shared::path(cx, &self.name)?;
        let none = "No changes needed to be made";
        if self.ignore_if_missing && cx.host.stat(&path)?.is_none() {
            return Ok(Plan::unchanged(none));
        }
        let old = shared::read_text(cx, &path)?;
        let what = replace::Replace {
            pattern: self.pattern.clone(),
            repl: if self.repl.is_null() { String::new() } else { python::str(&self.repl) },
            count: self.count,
            flags: pattern::flags(&self.flags).map_err(failed)?,
            append_if_not_found: self.append_if_not_found,
            prepend_if_not_found: self.prepend_if_not_found,
            not_found_content: self.not_found_content.as_ref().map(python::str),
            backslash_literal: self.backslash_literal,
        };
        let new = what.apply(&old.text).map_err(failed)?;
        let mut plan = shared::edit(cx, &path, &old, &new, shared::beside(&path, &self.backup), self.show_changes)?;
        plan.unchanged = none.into();
        Ok(plan.says("Changes would have been made", "Changes were made"))
    }
}
