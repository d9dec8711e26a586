//! `file.append`

use super::blockreplace::{jinja, source_urls};
use super::shared::{self, HIDDEN, failed, sources};
use corpus_core::plan::{Attrs, Content};
use corpus_core::{Effect, Plan, PlanCx, State, StateError, Value};
use corpus_exec::file::{self, Text, diff, pattern};
use serde::Deserialize;
use std::path::Path;

/// Adds text at the end of a file, unless it is there already.
///
/// ```sls
/// /etc/modules:
///   file.append:
///     - text: [loop, tun]
/// ```
#[derive(Deserialize)]
pub struct Append {
    name: String,
    /// A text, or a list of them, each looked for by itself.
    #[serde(default)]
    text: Value,
    /// Makes the directories that are missing.
    #[serde(default)]
    makedirs: bool,
    /// A file that the text is taken from.
    source: Option<String>,
    /// Kept for Salt's sake: files of the file server are known by their digest.
    #[serde(default, rename = "source_hash")]
    _source_hash: Value,
    /// Several such files.
    #[serde(default)]
    sources: Value,
    /// Kept for Salt's sake, as `source_hash`.
    #[serde(default, rename = "source_hashes")]
    _source_hashes: Value,
    /// Renders the source with this engine.
    #[serde(default = "jinja")]
    template: Option<String>,
    /// Variables for the template.
    context: Option<Value>,
    /// Variables for the template, unless `context` has them.
    defaults: Option<Value>,
    /// Takes lines whose white space differs for the same.
    #[serde(default = "shared::yes")]
    ignore_whitespace: bool,
    /// Shows the difference.
    #[serde(default = "shared::yes")]
    show_changes: bool,
}

/// What an addition starts from: the file's text, or nothing, with the parents that are to be made.
pub fn begin(cx: &PlanCx<'_>, path: &Path, makedirs: bool) -> Result<(Plan, Text), StateError> {
    let mut plan = Plan::default();
    if cx.host.stat(path)?.is_some() {
        return Ok((plan, shared::read_text(cx, path)?));
    }
    if !shared::is_dir(cx, file::parent(path))? {
        if !makedirs {
            return Err(StateError::missing(format!("{}: file not found", path.display())));
        }
        shared::make_parents(cx, &mut plan, path, &Attrs::default())?;
    }
    Ok((plan, Text::default()))
}

/// Plans writing the new text with its difference as it is to be shown.
pub fn finish(
    mut plan: Plan,
    cx: &PlanCx<'_>,
    path: &Path,
    old: &Text,
    new: &str,
    shown: String,
) -> Result<Plan, StateError> {
    let fresh = cx.host.stat(path)?.is_none();
    if fresh || old.text != new {
        if !shown.is_empty() {
            plan.changes.insert("diff", shown);
        }
        if fresh {
            plan.would = format!("File {} is set to be created", path.display());
        }
        let path = file::real_path(cx.host, path)?;
        let content = Content::Bytes(old.bytes(new));
        plan.push(Effect::WriteFile { path, content, attrs: Attrs::default(), backup: None }, vec![]);
    }
    Ok(plan)
}

impl State for Append {
    const NAME: &'static str = "file.append";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let path = shared::path(cx, &self.name)?;
        let urls = source_urls(&self.source, &self.sources)?;
        let texts = if urls.is_empty() {
            shared::texts(&self.text)
        } else {
            sources::rendered(cx, &urls, self.template.as_deref(), &self.context, &self.defaults)?
        };
        if texts.is_empty() {
            return Err(failed("No text found to append. Nothing appended"));
        }
        let (plan, old) = begin(cx, &path, self.makedirs)?;
        let mut add = vec![];
        for text in &texts {
            let regex = if self.ignore_whitespace { pattern::loose(text) } else { text.clone() };
            if !pattern::found(&*pattern::compile(&regex, pattern::MULTILINE).map_err(failed)?, &old.text) {
                add.extend(file::split_lines(text));
            }
        }
        let mut new = old.text.clone();
        if !add.is_empty() && !new.is_empty() && !new.ends_with('\n') {
            new.push('\n');
        }
        for line in &add {
            new += line;
            new.push('\n');
        }
        let shown = if add.is_empty() {
            String::new()
        } else if self.show_changes {
            diff::spaced(&file::split_lines(&old.text), &file::split_lines(&new))
        } else {
            HIDDEN.into()
        };
        let name = path.display();
        let mut plan = plan.says(format!("File {name} is set to be updated"), format!("Appended {} lines", add.len()));
        plan.unchanged = format!("File {name} is in correct state");
        finish(plan, cx, &path, &old, &new, shown)
    }
}
