//! How values are written: Python's `str()` and `repr()`, and Salt's way of printing a dict in a template.

use crate::fail::{R, defined};
use crate::value::{Obj, Val, ViewKind};
use corpus_core::python;
use std::fmt::Write;
use std::sync::Arc;

const DEPTH: usize = 100;

/// Returns Python's `str(value)`.
pub fn text(value: &Val) -> R<Arc<str>> {
    defined(value)?;
    Ok(match value {
        Val::Str(s) => s.clone(),
        Val::Undef(_) => "".into(),
        Val::Obj(obj) => match &**obj {
            Obj::Module(module) => module.text.clone(),
            _ => repr(value).into(),
        },
        _ => repr(value).into(),
    })
}

/// Writes what `{{ value }}` gives.
pub fn emit(out: &mut String, value: &Val) -> R<()> {
    defined(value)?;
    match value {
        Val::Undef(_) => {}
        Val::Str(s) => out.push_str(s),
        Val::Int(i) => _ = write!(out, "{i}"),
        Val::Obj(obj) => match &**obj {
            Obj::Module(module) => out.push_str(&module.text),
            _ => write_repr(out, value, true, 0),
        },
        _ => write_repr(out, value, true, 0),
    }
    Ok(())
}

/// Returns Python's `repr(value)`.
pub fn repr(value: &Val) -> String {
    let mut out = String::new();
    write_repr(&mut out, value, false, 0);
    out
}

/// Writes the repr; with `salt`, texts in dicts that need escapes are written as YAML reads them.
fn write_repr(out: &mut String, value: &Val, salt: bool, depth: usize) {
    if depth > DEPTH {
        out.push_str("...");
        return;
    }
    let each = |out: &mut String, items: &[Val]| {
        for (i, item) in items.iter().enumerate() {
            out.push_str(if i > 0 { ", " } else { "" });
            write_repr(out, item, salt, depth + 1);
        }
    };
    match value {
        Val::Undef(_) => out.push_str("Undefined"),
        Val::None => out.push_str("None"),
        Val::Bool(b) => out.push_str(if *b { "True" } else { "False" }),
        Val::Int(i) => _ = write!(out, "{i}"),
        Val::Float(x) => out.push_str(&python::float(*x)),
        Val::Str(s) => out.push_str(&python::quoted(s)),
        Val::List(list) => {
            out.push('[');
            each(out, &list.items());
            out.push(']');
        }
        Val::Tuple(items) => {
            out.push('(');
            each(out, items);
            out.push_str(if items.len() == 1 { ",)" } else { ")" });
        }
        Val::Dict(dict) => {
            out.push('{');
            for (i, (key, item)) in dict.items().iter().enumerate() {
                out.push_str(if i > 0 { ", " } else { "" });
                write_repr(out, key, false, depth + 1);
                out.push_str(": ");
                match item {
                    Val::Str(s) if salt && s.contains(['\n', '\r', '\t']) => out.push_str(&yaml_quoted(s)),
                    item => write_repr(out, item, salt, depth + 1),
                }
            }
            out.push('}');
        }
        Val::Obj(obj) => match &**obj {
            Obj::Range(start, stop, 1) => _ = write!(out, "range({start}, {stop})"),
            Obj::Range(start, stop, step) => _ = write!(out, "range({start}, {stop}, {step})"),
            Obj::View(kind, dict) => {
                out.push_str(match kind {
                    ViewKind::Keys => "dict_keys([",
                    ViewKind::Values => "dict_values([",
                    ViewKind::Items => "dict_items([",
                });
                match kind {
                    ViewKind::Keys => each(out, &dict.keys()),
                    ViewKind::Values => each(out, &dict.values()),
                    ViewKind::Items => {
                        let items = dict.items().into_iter().map(|(k, v)| Val::tuple(vec![k, v])).collect::<Vec<_>>();
                        each(out, &items);
                    }
                }
                out.push_str("])");
            }
            Obj::Namespace(dict) => {
                out.push_str("<Namespace ");
                write_repr(out, &Val::Dict(dict.clone()), false, depth + 1);
                out.push('>');
            }
            Obj::Module(module) => _ = write!(out, "<TemplateModule {}>", python::quoted(&module.name)),
            Obj::Macro(m) => _ = write!(out, "<Macro {}>", python::quoted(&m.def.name)),
            Obj::Loop(l) => _ = write!(out, "<LoopContext {}/{}>", l.index.get() + 1, l.items.len()),
            Obj::Bytes(bytes) => {
                out.push_str("b'");
                for byte in bytes {
                    match byte {
                        b'\\' | b'\'' => _ = write!(out, "\\{}", *byte as char),
                        b'\n' => out.push_str("\\n"),
                        b'\r' => out.push_str("\\r"),
                        b'\t' => out.push_str("\\t"),
                        0x20..0x7f => out.push(*byte as char),
                        _ => _ = write!(out, "\\x{byte:02x}"),
                    }
                }
                out.push('\'');
            }
            Obj::Iter(..) => _ = write!(out, "<{} object>", value.type_name()),
            Obj::Method(receiver, name) => {
                _ = write!(out, "<built-in method {name} of {} object>", receiver.type_name());
            }
            Obj::Function(name) => _ = write!(out, "<function {name}>"),
            Obj::SaltFunction(name) => _ = write!(out, "<LoadedFunc name='{name}'>"),
            _ => _ = write!(out, "<{} object>", value.type_name()),
        },
    }
}

/// Returns a text as a YAML double-quoted scalar on one line.
pub fn yaml_quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\0' => out.push_str("\\0"),
            '\x07' => out.push_str("\\a"),
            '\x08' => out.push_str("\\b"),
            '\x0b' => out.push_str("\\v"),
            '\x0c' => out.push_str("\\f"),
            '\x1b' => out.push_str("\\e"),
            '\u{85}' => out.push_str("\\N"),
            '\u{a0}' => out.push_str("\\_"),
            '\u{2028}' => out.push_str("\\L"),
            '\u{2029}' => out.push_str("\\P"),
            c if (c as u32) < 0x20 || (0x7f..0xa0).contains(&(c as u32)) => _ = write!(out, "\\x{:02X}", c as u32),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
