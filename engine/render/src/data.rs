//! Data that a template loads, `import_yaml` and `load_yaml` and their kin: where in the source the mistake of a text is.

use crate::fail::Fail;
use crate::tree::{Load, Template};
use corpus_core::Pos;
use corpus_core::yaml;
use std::sync::Arc;

/// Moves an error to the line of the source that the text's bad line came from, if that can be told. `from` is where the
/// text begins in the template.
pub(crate) fn blame(mut fail: Box<Fail>, load: Load, text: &str, template: &Arc<Template>, from: u32) -> Box<Fail> {
    let Some(pos) = mistake(load, text) else { return fail };
    let Some(at) = place(template, from, text, pos) else { return fail };
    fail.at = Some((template.clone(), at));
    fail.label = format!("in line {} of what was loaded", pos.line);
    if template.pos(from).line <= 1 && template.pos(at).line == pos.line {
        fail.label.clear();
    }
    fail
}

fn mistake(load: Load, text: &str) -> Option<Pos> {
    match load {
        Load::Yaml => yaml::parse(text).err().map(|error| error.place(text)),
        Load::Json => {
            let error = serde_json::from_str::<corpus_core::Value>(text).err()?;
            // The reader stands behind the character that it does not understand.
            let col = u32::try_from(error.column()).ok()?.max(1);
            Some(Pos::new(u32::try_from(error.line()).ok()?, col))
        }
        Load::Text => None,
    }
}

/// Finds a place of the text in the template: on the same line if nothing was rendered, else on the one that reads alike.
fn place(template: &Template, from: u32, text: &str, pos: Pos) -> Option<u32> {
    let bad = text.lines().nth(pos.line.checked_sub(1)? as usize)?;
    let source = template.source.get(from as usize..)?;
    let mut at = from as usize;
    let mut same = None;
    let mut alike = vec![];
    for (i, line) in source.split_inclusive('\n').enumerate() {
        let bare = line.trim_end_matches('\n');
        if bare == bad {
            if i + 1 == pos.line as usize {
                same = Some(at);
            }
            alike.push(at);
        }
        at += line.len();
    }
    let start = same.or(if let [only] = alike[..] { Some(only) } else { None })?;
    let within: usize = bad.chars().take(pos.col.saturating_sub(1) as usize).map(char::len_utf8).sum();
    u32::try_from(start + within).ok()
}
