//! `file.line`

use super::shared::{self, failed};
use corpus_core::decode::Mode;
use corpus_core::plan::{Attrs, Content};
use corpus_core::{Effect, Plan, PlanCx, State, StateError, Value, python};
use corpus_exec::file::{Text, line, perms::Want};
use serde::Deserialize;

/// Keeps one line of a file: puts it in its place, replaces it or takes it out.
///
/// ```sls
/// /etc/hosts:
///   file.line:
///     - mode: ensure
///     - content: 10.0.0.1 db
///     - after: localhost
/// ```
#[derive(Deserialize)]
pub struct Line {
    name: String,
    /// The line; not needed for `delete`.
    content: Option<Value>,
    /// What finds the line to replace or to delete: a regular expression or a part of it.
    #[serde(rename = "match")]
    matching: Option<Value>,
    /// `ensure`, `replace`, `delete` or `insert`.
    mode: Option<String>,
    /// Where `insert` puts the line: `start` or `end`.
    location: Option<String>,
    /// The line before which it goes.
    before: Option<String>,
    /// The line after which it goes.
    after: Option<String>,
    /// Shows the difference.
    #[serde(default = "shared::yes")]
    show_changes: bool,
    /// Keeps what the file was, with the suffix `.bak`.
    #[serde(default)]
    backup: Value,
    /// Does not complain about a missing file; the state does, as Salt's.
    #[serde(default, rename = "quiet")]
    _quiet: Value,
    /// Indents the line as its neighbour.
    #[serde(default = "shared::yes")]
    indent: bool,
    /// Makes an empty file first if it is missing.
    #[serde(default)]
    create: bool,
    /// Who owns a file that is made.
    user: Option<Value>,
    /// The group that a file that is made belongs to.
    group: Option<Value>,
    /// The permissions of a file that is made.
    file_mode: Option<Mode>,
}

impl State for Line {
    const NAME: &'static str = "file.line";
    // Salt: `insert` with a location adds the line in each run.
    const CONVERGES: bool = false;

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let path = shared::path(cx, &self.name)?;
        let want = Want { user: self.user.clone(), group: self.group.clone(), mode: shared::bits(self.file_mode) };
        let have = cx.host.stat(&path)?;
        let (old, attrs) = if self.create && have.is_none() {
            shared::check_owner(cx, &want)?;
            (Text::read(b"").unwrap_or_default(), want.attrs())
        } else {
            (shared::read_text(cx, &path)?, want.drift_at(cx.host, &path, true)?.0)
        };
        let Some(mode) = self.mode.as_ref().map(|mode| mode.to_lowercase()) else {
            return Err(failed("Mode was not defined. How to process the file?"));
        };
        if mode != "delete" && self.content.is_none() {
            return Err(failed("Content can only be empty if mode is ['delete']"));
        }
        let what = line::Line {
            content: self.content.as_ref().map(python::str),
            matching: self.matching.as_ref().map(python::str),
            mode,
            location: self.location.clone(),
            before: self.before.clone(),
            after: self.after.clone(),
            indent: self.indent,
        };
        let new = what.apply(&old.text).map_err(failed)?;
        let backup = if self.backup.truthy() { shared::beside(&path, &shared::bak()) } else { None };
        let mut plan = shared::edit(cx, &path, &old, &new, backup.filter(|_| have.is_some()), self.show_changes)?;
        match plan.steps.first_mut().map(|step| &mut step.effect) {
            Some(Effect::WriteFile { attrs: slot, .. }) => *slot = attrs,
            _ if have.is_none() => {
                let content = Content::Bytes(vec![]);
                plan.push(Effect::WriteFile { path: path.clone(), content, attrs, backup: None }, vec![]);
            }
            _ if attrs != Attrs::default() => {
                plan.push(Effect::Attrs { path: path.clone(), attrs, follow: true }, vec![])
            }
            _ => {}
        }
        plan.unchanged = "No changes needed to be made".into();
        Ok(plan.says("Changes would be made", "Changes were made"))
    }
}
