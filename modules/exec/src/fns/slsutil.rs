//! `slsutil.*`: merging and writing data. What needs the master's files is answered there.

use corpus_core::merge::Strategy;
use corpus_core::value::{Map, Value};
use corpus_core::yaml::{self, EmitOptions, Flow};
use corpus_core::{Call, Data, ExecDef, ExecError, ExecFn};

/// The functions of this module.
pub const FNS: &[ExecDef] = &[
    ExecDef {
        name: "slsutil.update",
        args: "(dest, upd, recursive_update=True, merge_lists=False)",
        doc: "Merges `upd` into `dest`, recursively.",
        run: ExecFn::Data(update_),
    },
    ExecDef {
        name: "slsutil.merge",
        args: "(obj_a, obj_b, strategy='smart', renderer='yaml', merge_lists=False)",
        doc: "Merges two mappings with a strategy: smart, recurse, aggregate, overwrite, list, none.",
        run: ExecFn::Data(merge_),
    },
    ExecDef {
        name: "slsutil.merge_all",
        args: "(lst, strategy='smart', renderer='yaml', merge_lists=False)",
        doc: "Merges all mappings of a list, later ones over earlier ones.",
        run: ExecFn::Data(merge_all),
    },
    ExecDef {
        name: "slsutil.serialize",
        args: "(serializer, obj, **mod_kwargs)",
        doc: "Writes data as `json`, `yaml` or `python` text.",
        run: ExecFn::Data(serialize),
    },
    ExecDef {
        name: "slsutil.banner",
        args: "(width=72, commentchar='#', borderchar='#', blockstart=None, blockend=None, title=None, text=None, newline=False)",
        doc: "Returns a comment that says who manages a file.",
        run: ExecFn::Data(banner),
    },
    ExecDef {
        name: "slsutil.boolstr",
        args: "(value, true='true', false='false')",
        doc: "Returns one of two values.",
        run: ExecFn::Data(boolstr),
    },
];

/// Merges as Salt's `dictupdate.update` does: mappings recursively, anything else replaced, lists
/// joined without repetition if asked for.
pub(crate) fn update(dest: &mut Value, upd: &Value, recursive: bool, merge_lists: bool) -> Result<(), ExecError> {
    let (Some(into), Some(upd)) = (dest.as_map_mut(), upd.as_map()) else { return Err(no_mappings()) };
    if recursive {
        corpus_core::merge::update(into, upd, merge_lists);
    } else {
        into.0.extend(upd.iter().map(|(k, v)| (k.clone(), v.clone())));
    }
    Ok(())
}

fn no_mappings() -> ExecError {
    ExecError::failed("Cannot update using non-dict types in dictupdate.update()")
}

/// Appends what is not in the list yet.
pub(crate) fn extend(list: &mut Vec<Value>, more: &[Value]) {
    // Python tests against the list as it was before, so repetitions within `more` stay.
    let new: Vec<Value> = more.iter().filter(|item| !list.contains(item)).cloned().collect();
    list.extend(new);
}

/// Merges with one of Salt's strategies; for an unknown one Salt takes "recurse".
pub(crate) fn merge(a: &Value, b: &Value, strategy: &str, merge_lists: bool) -> Result<Value, ExecError> {
    let (Some(base), Some(over)) = (a.as_map(), b.as_map()) else { return Err(no_mappings()) };
    let (how, merge_lists) = match Strategy::of(strategy) {
        Some(how) => (how, merge_lists),
        None => {
            tracing::warn!("Unknown merging strategy '{strategy}', fallback to recurse");
            // Salt: lists are replaced then, whatever the caller says.
            (Strategy::Recurse, false)
        }
    };
    Ok(corpus_core::merge::merge(base.clone(), over, how, merge_lists).into())
}

fn needed(call: &Call, place: usize, name: &str) -> Result<Value, ExecError> {
    call.arg(place, name).cloned().ok_or_else(|| call.missing(name))
}

fn update_(call: &Call, _: &Data) -> Result<Value, ExecError> {
    let mut dest = needed(call, 0, "dest")?;
    let recursive = call.flag(2, "recursive_update", true);
    update(&mut dest, &needed(call, 1, "upd")?, recursive, call.flag(3, "merge_lists", false))?;
    Ok(dest)
}

fn strategy(call: &Call, place: usize) -> (String, bool) {
    (call.text(place, "strategy").unwrap_or_else(|| "smart".into()), call.flag(place + 2, "merge_lists", false))
}

fn merge_(call: &Call, _: &Data) -> Result<Value, ExecError> {
    let (how, lists) = strategy(call, 2);
    merge(&needed(call, 0, "obj_a")?, &needed(call, 1, "obj_b")?, &how, lists)
}

fn merge_all(call: &Call, _: &Data) -> Result<Value, ExecError> {
    let (how, lists) = strategy(call, 1);
    let list = needed(call, 0, "lst")?;
    let items = list.as_list().ok_or_else(|| call.invalid("lst", "must be a list of mappings"))?;
    items.iter().try_fold(Map::new().into(), |merged, item| merge(&merged, item, &how, lists))
}

fn serialize(call: &Call, _: &Data) -> Result<Value, ExecError> {
    let object = needed(call, 1, "obj")?;
    let option = |name: &str| call.kwargs.get(name);
    match &*call.need(0, "serializer")? {
        "json" => json(&object, option("indent"), option("sort_keys").is_some_and(Value::truthy)).map(Value::from),
        "yaml" => {
            let flag = |name: &str| option(name).is_some_and(Value::truthy);
            let number = |name: &str, or: usize| {
                option(name).and_then(Value::as_int).and_then(|n| usize::try_from(n).ok()).unwrap_or(or)
            };
            let flow = match option("default_flow_style") {
                Some(Value::Null) => Flow::Leaves,
                Some(given) if given.truthy() => Flow::Flow,
                _ => Flow::Block,
            };
            let options = EmitOptions {
                flow,
                sort_keys: option("sort_keys").is_none_or(Value::truthy),
                indent: number("indent", 2),
                width: number("width", 80),
                explicit_start: flag("explicit_start"),
                explicit_end: flag("explicit_end"),
            };
            Ok(yaml::emit_with(&object, &options).trim_end_matches('\n').into())
        }
        "python" => Ok(corpus_core::python::repr(&object).into()),
        other => Err(call.invalid("serializer", format!("`{other}` is not built; there are json, yaml and python"))),
    }
}

/// Writes JSON as Python's `json.dumps` does, its separators included.
pub(crate) fn json(value: &Value, indent: Option<&Value>, sorted: bool) -> Result<String, ExecError> {
    let mut out = String::new();
    let indent = indent.and_then(Value::as_int).and_then(|n| usize::try_from(n).ok());
    write_json(&mut out, value, indent, 0, sorted);
    Ok(out)
}

fn write_json(out: &mut String, value: &Value, indent: Option<usize>, depth: usize, sorted: bool) {
    let line = |out: &mut String, depth: usize| {
        if let Some(width) = indent {
            out.push('\n');
            out.extend(std::iter::repeat_n(' ', width * depth));
        }
    };
    let comma = if indent.is_some() { "," } else { ", " };
    match value {
        Value::List(items) if !items.is_empty() => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                out.push_str(if i > 0 { comma } else { "" });
                line(out, depth + 1);
                write_json(out, item, indent, depth + 1, sorted);
            }
            line(out, depth);
            out.push(']');
        }
        Value::Map(map) if !map.is_empty() => {
            let mut entries: Vec<_> = map.iter().map(|(k, v)| (corpus_core::python::json_key(k), v)).collect();
            if sorted {
                entries.sort_by(|a, b| a.0.cmp(&b.0));
            }
            out.push('{');
            for (i, (key, item)) in entries.into_iter().enumerate() {
                out.push_str(if i > 0 { comma } else { "" });
                line(out, depth + 1);
                json_text(out, &key);
                out.push_str(": ");
                write_json(out, item, indent, depth + 1, sorted);
            }
            line(out, depth);
            out.push('}');
        }
        Value::List(_) => out.push_str("[]"),
        Value::Map(_) => out.push_str("{}"),
        Value::Str(text) => json_text(out, text),
        Value::Float(x) if x.is_nan() => out.push_str("NaN"),
        Value::Float(x) if x.is_infinite() => out.push_str(if *x > 0.0 { "Infinity" } else { "-Infinity" }),
        scalar => out.push_str(&corpus_core::python::json_key(scalar)),
    }
}

fn json_text(out: &mut String, text: &str) {
    use std::fmt::Write;
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            ' '..='~' => out.push(c),
            other => {
                for unit in other.encode_utf16(&mut [0; 2]) {
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
        }
    }
    out.push('"');
}

fn boolstr(call: &Call, _: &Data) -> Result<Value, ExecError> {
    let value = needed(call, 0, "value")?;
    let (place, name, default) = if value.truthy() { (1, "true", "true") } else { (2, "false", "false") };
    Ok(call.arg(place, name).cloned().unwrap_or_else(|| default.into()))
}

fn banner(call: &Call, _: &Data) -> Result<Value, ExecError> {
    let text = |place, name: &str, default: &str| call.text(place, name).unwrap_or_else(|| default.to_owned());
    let width = text(0, "width", "72").parse::<usize>().map_err(|_| call.invalid("width", "must be a whole number"))?;
    let (mark, border) = (text(1, "commentchar", "#"), text(2, "borderchar", "#"));
    let title = text(5, "title", "THIS FILE IS MANAGED BY SALT - DO NOT EDIT");
    let body = text(
        6,
        "text",
        "The contents of this file are managed by Salt. Any changes to this file may be overwritten automatically and \
         without warning.",
    );
    let len = |text: &str| text.chars().count();
    let (left, right) = (mark.trim_end(), mark.trim());
    let inner = width.checked_sub(len(left) + len(right) + 2).filter(|inner| *inner > 0);
    let inner = inner.ok_or_else(|| ExecError::failed("Width is too small to render banner"))?;
    let fill = border.chars().next().map(String::from).unwrap_or_default();
    let edge = format!("{mark}{}{right}", fill.repeat(width - len(left) - len(right)));
    let space = format!("{mark}{}{mark}", " ".repeat(width.saturating_sub(len(&mark) * 2)));
    let mut lines: Vec<String> = call.text(3, "blockstart").into_iter().collect();
    lines.extend([edge.clone(), space.clone()]);
    for line in wrapped(&title, inner) {
        let free = inner - len(&line);
        // Python's `str.center` puts the odd space on the left where the width is odd, too.
        let before = free / 2 + (free & inner & 1);
        lines.push(format!("{left} {}{line}{} {right}", " ".repeat(before), " ".repeat(free - before)));
    }
    lines.push(space);
    lines.extend(wrapped(&body, inner).iter().map(|line| format!("{left} {line:<inner$} {right}")));
    lines.push(edge);
    lines.extend(call.text(4, "blockend"));
    let end = if call.flag(7, "newline", false) { "\n" } else { "" };
    Ok((lines.join("\n") + end).into())
}

/// Fills lines as Python's `textwrap.wrap` does: words may be parted behind a hyphen, and anywhere if they are too long.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![];
    let mut line: Vec<char> = vec![];
    for chunk in chunks(text) {
        let mut chunk: &[char] = &chunk;
        if chunk[0] == ' ' && line.is_empty() && !lines.is_empty() {
            continue;
        }
        while line.len() + chunk.len() > width {
            let room = if chunk.len() > width { width - line.len().min(width) } else { 0 };
            line.extend(&chunk[..room]);
            chunk = &chunk[room..];
            lines.push(line.iter().collect::<String>().trim_end().to_owned());
            line.clear();
            if chunk.first() == Some(&' ') {
                chunk = &[];
            }
        }
        line.extend(chunk);
    }
    lines.push(line.iter().collect::<String>().trim_end().to_owned());
    lines.retain(|line| !line.is_empty());
    lines
}

/// Parts a text into words, parts of hyphenated words, and spaces.
fn chunks(text: &str) -> Vec<Vec<char>> {
    let letters: Vec<char> = text.chars().map(|c| if c.is_ascii_whitespace() { ' ' } else { c }).collect();
    let mut chunks: Vec<Vec<char>> = vec![];
    for (i, letter) in letters.iter().enumerate() {
        let behind_hyphen = i >= 2 && letters[i - 1] == '-' && letters[i - 2].is_alphabetic() && letter.is_alphabetic();
        match chunks.last_mut() {
            Some(chunk) if (chunk[0] == ' ') == (*letter == ' ') && !behind_hyphen => chunk.push(*letter),
            _ => chunks.push(vec![*letter]),
        }
    }
    chunks
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By Salt 3008.3.
    #[test]
    fn draws_salts_banner() {
        let mut call = Call::new("slsutil.banner", vec![]);
        for (key, value) in [
            ("commentchar", "// "),
            ("borderchar", "*"),
            ("blockstart", "/*"),
            ("blockend", "*/"),
            ("title", "Hello World"),
            ("text", "some words that are longer than the line\n and  more-and-more hyphen-words"),
        ] {
            call.kwargs.insert(key, value);
        }
        call.kwargs.insert("width", 40);
        let wanted = "/*\n\
            // ************************************//\n\
            //                                   // \n\
            //            Hello World             //\n\
            //                                   // \n\
            // some words that are longer than    //\n\
            // the line  and  more-and-more       //\n\
            // hyphen-words                       //\n\
            // ************************************//\n\
            */";
        assert_eq!(banner(&call, &Data::default()).unwrap().as_str(), Some(wanted));
    }
}
