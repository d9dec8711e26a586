//! Writes data as YAML that any YAML 1.1 reader, Salt's included, takes for the same data: texts that
//! would read as something else are quoted.

use corpus_core::python;
use corpus_core::value::Value;

/// Writes block style, as `yaml.dump(default_flow_style=False)` does (long lines are not folded).
pub fn block(value: &Value, sorted: bool) -> String {
    let mut out = String::new();
    write_block(&mut out, value, 0, sorted, false);
    if !out.ends_with('\n') {
        out.push('\n');
    }
    out
}

/// Writes flow style on one line: `{a: 1, b: [x, y]}`.
pub fn flow(value: &Value, sorted: bool) -> String {
    match value {
        Value::List(items) => {
            format!("[{}]", items.iter().map(|i| flow(i, sorted)).collect::<Vec<_>>().join(", "))
        }
        Value::Map(_) => {
            let entry = |(k, v): (&Value, &Value)| format!("{}: {}", scalar(k, true), flow(v, sorted));
            format!("{{{}}}", entries(value, sorted).into_iter().map(entry).collect::<Vec<_>>().join(", "))
        }
        other => scalar(other, true),
    }
}

fn entries(value: &Value, sorted: bool) -> Vec<(&Value, &Value)> {
    let mut entries: Vec<_> = value.as_map().into_iter().flatten().collect();
    if sorted {
        entries.sort_by_key(|(key, _)| python::str(key));
    }
    entries
}

fn write_block(out: &mut String, value: &Value, depth: usize, sorted: bool, inline: bool) {
    let indent = |out: &mut String, first: bool| {
        if !(first && inline) {
            out.extend(std::iter::repeat_n("  ", depth));
        }
    };
    match value {
        Value::Map(map) if !map.is_empty() => {
            for (i, (key, item)) in entries(value, sorted).into_iter().enumerate() {
                indent(out, i == 0);
                out.push_str(&scalar(key, false));
                out.push(':');
                match item {
                    Value::Map(m) if !m.is_empty() => {
                        out.push('\n');
                        write_block(out, item, depth + 1, sorted, false);
                    }
                    // PyYAML puts a list's dashes under its key.
                    Value::List(l) if !l.is_empty() => {
                        out.push('\n');
                        write_block(out, item, depth, sorted, false);
                    }
                    other => {
                        out.push(' ');
                        write_block(out, other, depth, sorted, true);
                    }
                }
            }
        }
        Value::List(items) if !items.is_empty() => {
            for (i, item) in items.iter().enumerate() {
                indent(out, i == 0);
                out.push_str("- ");
                write_block(out, item, depth + 1, sorted, true);
            }
        }
        Value::Map(_) => out.push_str("{}\n"),
        Value::List(_) => out.push_str("[]\n"),
        other => {
            out.push_str(&scalar(other, false));
            out.push('\n');
        }
    }
}

fn scalar(value: &Value, in_flow: bool) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Bool(b) => if *b { "true" } else { "false" }.into(),
        Value::Float(x) if x.is_nan() => ".nan".into(),
        Value::Float(x) if x.is_infinite() => if *x > 0.0 { ".inf" } else { "-.inf" }.into(),
        Value::Float(x) => {
            let text = python::float(*x);
            // A YAML 1.1 float has a dot.
            if text.contains('.') { text } else { text.replace('e', ".0e") }
        }
        Value::Str(text) => quoted(text, in_flow),
        other => python::repr(other),
    }
}

fn quoted(text: &str, in_flow: bool) -> String {
    if text.chars().any(|c| (c.is_control()) || c == '\u{feff}' || ('\u{2028}'..='\u{2029}').contains(&c)) {
        let mut out = String::from("\"");
        for c in text.chars() {
            match c {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\t' => out.push_str("\\t"),
                '\r' => out.push_str("\\r"),
                c if c.is_control() && (c as u32) < 0x100 => out.push_str(&format!("\\x{:02X}", c as u32)),
                c if c.is_control() || ['\u{feff}', '\u{2028}', '\u{2029}'].contains(&c) => {
                    out.push_str(&format!("\\u{:04X}", c as u32));
                }
                c => out.push(c),
            }
        }
        out.push('"');
        return out;
    }
    if is_plain(text, in_flow) { text.to_owned() } else { format!("'{}'", text.replace('\'', "''")) }
}

/// Tells whether a bare word would be read back as this very text.
fn is_plain(text: &str, in_flow: bool) -> bool {
    let Some(first) = text.chars().next() else { return false };
    let lower = text.to_ascii_lowercase();
    let words = ["null", "~", "true", "false", "yes", "no", "on", "off", "<<", "=", "---", "..."];
    let indicator = "#,[]{}&*!|>'\"%@`".contains(first)
        || ("-?:".contains(first) && text[1..].chars().next().is_none_or(char::is_whitespace));
    // Numbers in all bases, dates, times and sexagesimals start with these.
    let number_like = first.is_ascii_digit()
        || ("+-.".contains(first) && text[1..].starts_with(|c: char| c.is_ascii_digit() || c == '.' || c == 'i'))
        || [".nan", ".inf"].contains(&&*lower);
    let number_like = number_like && text.chars().all(|c| c.is_ascii_hexdigit() || "+-._:xobTtZz infa".contains(c));
    let flow = in_flow && text.contains([',', '[', ']', '{', '}']);
    !(words.contains(&&*lower)
        || indicator
        || number_like
        || flow
        || text.contains(": ")
        || text.contains(" #")
        || text.ends_with(':')
        || (in_flow && text.contains(':'))
        || text.starts_with(char::is_whitespace)
        || text.ends_with(char::is_whitespace)
        || text.starts_with("--- ")
        || text.starts_with("... "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use corpus_core::value::Map;

    /// Read back by Salt's own loader, each of these is the text that it was.
    #[test]
    fn quotes_what_would_be_read_as_something_else() {
        for (text, expected) in [
            ("abc", "abc"),
            ("yes", "'yes'"),
            ("On", "'On'"),
            ("1_000", "'1_000'"),
            ("22:22", "'22:22'"),
            ("0644", "'0644'"),
            ("1e3", "'1e3'"),
            ("2001-12-14", "'2001-12-14'"),
            ("", "''"),
            ("it's", "it's"),
            ("- a", "'- a'"),
            ("-a", "-a"),
            ("a: b", "'a: b'"),
            ("a:b", "a:b"),
            ("a #b", "'a #b'"),
            ("x\ny", "\"x\\ny\""),
            ("*", "'*'"),
            ("=", "'='"),
            ("12 monkeys", "12 monkeys"),
            ("1.2.3.4", "'1.2.3.4'"),
        ] {
            assert_eq!(quoted(text, false), expected, "{text:?}");
        }
    }

    #[test]
    fn writes_blocks_as_pyyaml_does() {
        let inner: Map =
            [("k", Value::from(vec![Value::from(1), Value::Null])), ("e", Map::new().into())].into_iter().collect();
        let item: Map = [("x", Value::from(1)), ("y", Value::from(true))].into_iter().collect();
        let map: Map = [("b", Value::from(inner)), ("a", vec![Value::from(item), vec!["p", "q"].into()].into())]
            .into_iter()
            .collect();
        assert_eq!(
            block(&map.into(), true),
            "a:\n- x: 1\n  y: true\n- - p\n  - q\nb:\n  e: {}\n  k:\n  - 1\n  - null\n"
        );
    }
}
