//! How Python writes values: `str()`, `repr()` and JSON's keys. Comments, file names and rendered
//! text depend on it.

use crate::value::Value;
use std::borrow::Cow;
use std::fmt::Write;

/// Returns Python's `str(value)`.
pub fn str(value: &Value) -> String {
    text(value).into_owned()
}

/// Returns Python's `str(value)`, borrowed if the value is a text.
pub fn text(value: &Value) -> Cow<'_, str> {
    match value {
        Value::Str(s) => Cow::Borrowed(s),
        other => Cow::Owned(repr(other)),
    }
}

/// Returns Python's `repr(value)`.
pub fn repr(value: &Value) -> String {
    let mut out = String::new();
    write_repr(&mut out, value);
    out
}

/// Returns the text that Python's `json` uses for a mapping's key.
pub fn json_key(key: &Value) -> Cow<'_, str> {
    match key {
        Value::Str(s) => (&**s).into(),
        Value::Null => "null".into(),
        Value::Bool(b) => if *b { "true" } else { "false" }.into(),
        other => repr(other).into(),
    }
}

fn write_repr(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push_str("None"),
        Value::Bool(true) => out.push_str("True"),
        Value::Bool(false) => out.push_str("False"),
        Value::Int(i) => _ = write!(out, "{i}"),
        Value::Float(x) => out.push_str(&float(*x)),
        Value::Str(s) => out.push_str(&quoted(s)),
        Value::List(l) => {
            out.push('[');
            for (i, item) in l.iter().enumerate() {
                out.push_str(if i > 0 { ", " } else { "" });
                write_repr(out, item);
            }
            out.push(']');
        }
        Value::Map(m) => {
            out.push('{');
            for (i, (key, item)) in m.iter().enumerate() {
                out.push_str(if i > 0 { ", " } else { "" });
                write_repr(out, key);
                out.push_str(": ");
                write_repr(out, item);
            }
            out.push('}');
        }
    }
}

/// Returns Python's `repr` of a text, with the quote that needs the fewest escapes.
pub fn quoted(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut out = String::with_capacity(text.len() + 2);
    out.push(quote);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == quote => {
                out.push('\\');
                out.push(c);
            }
            c if (c as u32) < 0x20 || c as u32 == 0x7f => _ = write!(out, "\\x{:02x}", c as u32),
            c if (0x80..0xa1).contains(&(c as u32)) || c as u32 == 0xad => _ = write!(out, "\\x{:02x}", c as u32),
            c => out.push(c),
        }
    }
    out.push(quote);
    out
}

/// Returns Python's `repr` of a float: shortest digits, exponent from 1e16 and below 1e-4.
pub fn float(x: f64) -> String {
    if x.is_nan() {
        return "nan".into();
    }
    if x.is_infinite() {
        return if x > 0.0 { "inf" } else { "-inf" }.into();
    }
    let size = x.abs();
    if size != 0.0 && !(1e-4..1e16).contains(&size) {
        let text = format!("{x:e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |e| ('-', e));
        return format!("{digits}e{sign}{exponent:0>2}");
    }
    let text = format!("{x}");
    if text.contains('.') { text } else { text + ".0" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Map;

    #[test]
    fn writes_what_python_writes() {
        let map: Map = [("a", Value::from(1)), ("b", Value::from(vec!["x", "it's"]))].into_iter().collect();
        for (value, expected) in [
            (Value::Bool(true), "True"),
            (Value::Null, "None"),
            (Value::Float(1e16), "1e+16"),
            (Value::Float(1.5e-5), "1.5e-05"),
            (Value::Float(3.0), "3.0"),
            (Value::map(map), "{'a': 1, 'b': ['x', \"it's\"]}"),
        ] {
            assert_eq!(repr(&value), expected);
        }
    }
}
