//! `file.blockreplace`

use super::shared::{self, failed, sources};
use corpus_core::{Plan, PlanCx, State, StateError, Value, python};
use corpus_exec::file::block::Block;
use serde::Deserialize;

/// Keeps the text between two marker lines of a file.
///
/// ```sls
/// /etc/hosts:
///   file.blockreplace:
///     - marker_start: '# BEGIN cluster'
///     - marker_end: '# END cluster'
///     - content: 10.0.0.1 db
///     - append_if_not_found: true
/// ```
#[derive(Deserialize)]
pub struct Blockreplace {
    name: String,
    /// The line that begins the block.
    #[serde(default = "start")]
    marker_start: String,
    /// The line that ends the block.
    #[serde(default = "end")]
    marker_end: String,
    /// The text between the markers.
    #[serde(default)]
    content: Value,
    /// A file that the text is taken from, added to `content`.
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
    /// Adds the block at the end if it is not there.
    #[serde(default)]
    append_if_not_found: bool,
    /// Adds the block at the beginning if it is not there.
    #[serde(default)]
    prepend_if_not_found: bool,
    /// Adds the block before the first line that matches.
    insert_before_match: Option<String>,
    /// Adds the block after the first line that matches.
    insert_after_match: Option<String>,
    /// Puts the end marker on a line of its own; as needed unless set.
    append_newline: Option<bool>,
    /// What the name of the back-up ends with; `False` for none.
    #[serde(default = "shared::bak")]
    backup: Value,
    /// Shows the difference.
    #[serde(default = "shared::yes")]
    show_changes: bool,
}

fn start() -> String {
    "#-- start managed zone --".into()
}

fn end() -> String {
    "#-- end managed zone --".into()
}

/// The engine of sources unless told otherwise.
pub fn jinja() -> Option<String> {
    Some("jinja".into())
}

impl State for Blockreplace {
    const NAME: &'static str = "file.blockreplace";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let path = shared::path(cx, &self.name)?;
        shared::existing(cx, &path)?;
        let mut content = if self.content.is_null() { String::new() } else { python::str(&self.content) };
        for text in shared::accumulated(cx, &path).values().flat_map(|list| list.as_list().unwrap_or_default().to_vec())
        {
            if !content.is_empty() {
                content.push('\n');
            }
            content += &python::str(&text);
        }
        let urls = source_urls(&self.source, &self.sources)?;
        for text in sources::rendered(cx, &urls, self.template.as_deref(), &self.context, &self.defaults)? {
            content += &text;
        }
        let old = shared::read_text(cx, &path)?;
        let block = Block {
            marker_start: self.marker_start.clone(),
            marker_end: self.marker_end.clone(),
            content,
            append_if_not_found: self.append_if_not_found,
            prepend_if_not_found: self.prepend_if_not_found,
            insert_before_match: self.insert_before_match.clone(),
            insert_after_match: self.insert_after_match.clone(),
            append_newline: self.append_newline,
        };
        let trouble = |why| failed(format!("Encountered error managing block: {why}. See the log for details."));
        let new = block.apply(&old.text).map_err(trouble)?;
        let mut plan = shared::edit(cx, &path, &old, &new, shared::beside(&path, &self.backup), self.show_changes)?;
        plan.unchanged = "No changes needed to be made".into();
        Ok(plan.says("Changes would be made", "Changes were made"))
    }
}

/// Reads `source` and `sources`, of which only one may be given.
pub fn source_urls(source: &Option<String>, sources: &Value) -> Result<Vec<String>, StateError> {
    match (source, shared::texts(sources)) {
        (Some(_), many) if !many.is_empty() => Err(failed("source and sources are mutually exclusive")),
        (Some(one), _) => Ok(vec![one.clone()]),
        (None, many) => Ok(many),
    }
}
