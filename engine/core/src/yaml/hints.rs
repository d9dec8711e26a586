//! What to do about a text that is no YAML. The parser says where it stumbled; these look at the line, and at
//! the one before, for what people usually meant.

use super::YamlError;

/// Returns the next things to do about an error.
pub fn for_error(text: &str, error: &YamlError) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let line = |number: u32| text.lines().nth((number as usize).wrapping_sub(1)).unwrap_or("");
    let here = line(error.pos.line);
    let rest: String = here.chars().skip((error.pos.col as usize).saturating_sub(1)).collect();
    let message = error.message.as_str();

    if message.contains('\t') || message.contains("'\\t'") || message.contains("tab character") {
        out.push("YAML is indented with spaces only: replace the tab".into());
    } else if message.starts_with("found character") {
        let first = rest.chars().next().unwrap_or(' ');
        match first {
            '%' if here.contains("{%") => {
                out.push("this looks like a Jinja tag that was not rendered: is there a `#!jinja|yaml` line?".into());
            }
            '@' | '%' | '`' => out.push(format!("a plain value cannot start with `{first}`: put it in quotes")),
            _ => out.push("put the value in quotes".into()),
        }
    }
    if message.starts_with("mapping values are not allowed") {
        let before: String = here.chars().take((error.pos.col as usize).saturating_sub(1)).collect();
        if before.contains(": ") || before.ends_with(':') {
            out.push("a value that holds `: ` must be put in quotes".into());
        } else {
            out.push(
                "the line before is a value already: check its indentation, or for a missing `:` at its end".into(),
            );
        }
    }
    if message == "could not find expected ':'" {
        // The key that has no colon is what was being read.
        let start = error.related.first().map_or(error.pos, |(pos, _)| *pos);
        let words = line(start.line).trim();
        if let Some((key, _)) = words.split_once(':').filter(|(_, value)| !value.is_empty() && !value.starts_with(' '))
        {
            out.push(format!("a space is missing after `{key}:`"));
        } else {
            let shown: String = words.chars().take(40).collect();
            out.push(format!("line {} `{shown}` is no `key: value`; is a `:` missing?", start.line));
        }
    }
    if message == "did not find expected key" || message.starts_with("did not find expected '-'") {
        match rest.chars().next() {
            Some('}') if here.contains("}}") => {
                out.push("a Jinja expression opens with two braces, `{{ … }}`".into());
            }
            Some('-') => out.push("list items of one list must start in the same column".into()),
            _ if here.matches(['"', '\'']).count() >= 2 => {
                out.push("text after a closing quote: put the whole value in one pair of quotes".into());
            }
            _ => out.push("keys of one mapping must start in the same column: check the indentation".into()),
        }
    }
    if message.starts_with("found unacceptable key") {
        if here.contains("{{") || here.contains("{%") {
            out.push("an unquoted `{{` starts a mapping: this Jinja expression was not rendered; quote it or render the file with `#!jinja|yaml`".into());
        } else {
            out.push("only text, numbers and booleans can be keys; put the key in quotes".into());
        }
    }
    if message.starts_with("found conflicting ID") {
        out.push("keys of one mapping, and IDs of one SLS file, must be unique: rename or merge them".into());
    }
    if message.starts_with("found undefined alias") {
        out.push("a value that starts with `*` names an anchor: put it in quotes if it is text".into());
    }
    if message.starts_with("while scanning an alias") || message.contains("alphabetic or numeric character") {
        out.push("`*` and `&` at the start of a value are YAML's own: put the value in quotes".into());
    }
    if message.starts_with("could not determine a constructor") {
        out.push("`!` at the start of a value is YAML's own: put the value in quotes".into());
    }
    if message == "found unexpected end of stream" {
        let start = error.related.first().map_or(error.pos, |(pos, _)| *pos);
        out.push(format!("the quote that opens on line {} is never closed", start.line));
    }
    if message == "but found another document" {
        out.push("one file holds one document: remove the second `---`".into());
    }
    if message.starts_with("block sequence entries are not allowed") {
        out.push("a list starts on a line of its own, below its key".into());
    }
    out
}
