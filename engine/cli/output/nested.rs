//! Salt's `nested` layout: for anything that is not a list of state results.

use super::paint::{Colour, Painter};
use corpus_core::{Value, python};

/// Writes a value, indented, one line per scalar.
pub fn write(value: &Value, indent: usize, paint: &Painter) -> String {
    let mut lines = vec![];
    lines_of(value, indent, "", paint, &mut lines);
    lines.join("\n")
}

fn lines_of(value: &Value, indent: usize, prefix: &str, paint: &Painter, out: &mut Vec<String>) {
    let pad = " ".repeat(indent);
    match value {
        Value::Str(text) => {
            for (i, line) in text.lines().enumerate() {
                let lead = if i == 0 { prefix.to_owned() } else { " ".repeat(prefix.len()) };
                out.push(format!("{pad}{}", paint.with(Colour::Green, &format!("{lead}{line}"))));
            }
        }
        Value::List(items) => {
            for item in items.iter() {
                if matches!(item, Value::List(_) | Value::Map(_)) {
                    out.push(format!("{pad}{}", paint.with(Colour::Green, "|_")));
                    let prefix = if matches!(item, Value::Map(_)) { "" } else { "- " };
                    lines_of(item, indent + 2, prefix, paint, out);
                } else {
                    lines_of(item, indent, "- ", paint, out);
                }
            }
        }
        Value::Map(map) => {
            if indent > 0 {
                out.push(format!("{pad}{}", paint.with(Colour::Cyan, "----------")));
            }
            let mut entries: Vec<_> = map.iter().map(|(k, v)| (python::str(k), v)).collect();
            entries.sort_by(|a, b| a.0.cmp(&b.0));
            for (key, item) in entries {
                out.push(format!("{pad}{}", paint.with(Colour::Cyan, &format!("{prefix}{key}:"))));
                lines_of(item, indent + 4, "", paint, out);
            }
        }
        scalar => {
            let text = format!("{prefix}{}", python::repr(scalar));
            out.push(format!("{pad}{}", paint.with(Colour::Yellow, &text)));
        }
    }
}
