//! `file.prepend`

use super::append::{begin, finish};
use super::blockreplace::{jinja, source_urls};
use super::shared::{self, HIDDEN, failed, sources};
use corpus_core::{Plan, PlanCx, State, StateError, Value};
use corpus_exec::file::{self, diff, pattern};
use serde::Deserialize;

/// Adds text at the beginning of a file, unless it is there already.
///
/// ```sls
/// /etc/motd:
///   file.prepend:
///     - text: Managed by corpus.
/// ```
#[derive(Deserialize)]
pub struct Prepend {
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
    /// The file must begin with the text; that it is there somewhere is not enough.
    #[serde(default)]
    header: bool,
    /// Shows the difference.
    #[serde(default = "shared::yes")]
    show_changes: bool,
}

impl State for Prepend {
    const NAME: &'static str = "file.prepend";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let path = shared::path(cx, &self.name)?;
        let urls = source_urls(&self.source, &self.sources)?;
        let texts = if urls.is_empty() {
            shared::texts(&self.text)
        } else {
            sources::rendered(cx, &urls, self.template.as_deref(), &self.context, &self.defaults)?
        };
        let (plan, old) = begin(cx, &path, self.makedirs)?;
        let mut add = vec![];
        for text in &texts {
            let regex = pattern::compile(&pattern::loose(text), pattern::MULTILINE).map_err(failed)?;
            if self.header || !pattern::found(&regex, &old.text) {
                add.extend(file::split_lines(text));
            }
        }
        let head = file::split_lines(&old.text);
        if self.header && head.starts_with(&add) {
            add.clear();
        }
        let mut new: String = add.iter().flat_map(|line| [*line, "\n"]).collect();
        new += &old.text;
        let shown = match self.show_changes {
            _ if add.is_empty() => String::new(),
            true => diff::unified(&old.text, &new),
            false => HIDDEN.into(),
        };
        let name = path.display();
        let mut plan = plan.says(format!("File {name} is set to be updated"), format!("Prepended {} lines", add.len()));
        plan.unchanged = format!("File {name} is in correct state");
        finish(plan, cx, &path, &old, &new, shown)
    }
}
