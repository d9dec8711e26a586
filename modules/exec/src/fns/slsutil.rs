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
    let how = Strategy::of(strategy).unwrap_or_else(|| {
        tracing::warn!("Unknown merging strategy '{strategy}', fallback to recurse");
        Strategy::Recurse
    });
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
