//! What was opened and never closed, where a parser gave up far behind it: a tag, a comment, a quote, a bracket.

/// The place of what is open, and a word on it.
pub(crate) type Open = (u32, String);

/// Finds what was left open before the parser gave up at `until`.
pub(crate) fn find(source: &str, until: u32) -> Option<Open> {
    let bytes = source.as_bytes();
    let mut at = 0;
    while let Some(open) = source.get(at..)?.find('{').map(|i| at + i).filter(|open| *open <= until as usize) {
        at = match bytes.get(open + 1) {
            Some(b'#') => match source[open + 2..].find("#}") {
                Some(end) => open + 2 + end + 2,
                None => return told(open, "this comment is never closed: `#}` is missing"),
            },
            Some(b'{') => match tag(source, open, "}}", "%}") {
                Ok(end) => end,
                Err(found) => return Some(found),
            },
            Some(b'%') => match tag(source, open, "%}", "}}") {
                Ok(end) if word(source, open) == "raw" => after_raw(source, end)?,
                Ok(end) => end,
                Err(found) => return Some(found),
            },
            _ => open + 1,
        };
    }
    None
}

fn told(at: usize, words: impl Into<String>) -> Option<Open> {
    Some((u32::try_from(at).ok()?, words.into()))
}

/// Returns a tag's first word.
fn word(source: &str, open: usize) -> &str {
    let body = source[open + 2..].trim_start_matches(['-', '+']).trim_start();
    &body[..body.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(body.len())]
}

fn after_raw(source: &str, from: usize) -> Option<usize> {
    let mut at = from;
    loop {
        let open = at + source.get(at..)?.find("{%")?;
        at = open + 2;
        if word(source, open) == "endraw" {
            return Some(at);
        }
    }
}

/// Walks through a tag; returns the offset behind it, or what is open in it.
fn tag(source: &str, open: usize, close: &str, other: &str) -> Result<usize, Open> {
    let bytes = source.as_bytes();
    let err = |at: usize, words: String| Err((u32::try_from(at).unwrap_or(u32::MAX), words));
    let mut brackets: Vec<usize> = vec![];
    let mut i = open + 2;
    while let Some(byte) = bytes.get(i) {
        let rest = &bytes[i..];
        let dict = brackets.last().is_some_and(|at| bytes[*at] == b'{');
        if rest.starts_with(close.as_bytes()) && (!dict || close == "%}") {
            return match brackets.last() {
                Some(at) => err(*at, format!("this `{}` is never closed", bytes[*at] as char)),
                None => Ok(i + 2),
            };
        }
        if rest.starts_with(other.as_bytes()) && brackets.is_empty() {
            return err(i, format!("what opens with `{}` closes with `{close}`", &source[open..open + 2]));
        }
        if rest.starts_with(b"{%") || rest.starts_with(b"{{") && !dict && brackets.is_empty() {
            return err(open, format!("this is never closed: `{close}` is missing"));
        }
        match byte {
            b'"' | b'\'' => match quoted(source, i) {
                Ok(end) => i = end,
                Err(()) => return err(i, "this quote is never closed".into()),
            },
            b'(' | b'[' | b'{' => {
                brackets.push(i);
                i += 1;
            }
            b')' | b']' | b'}' => {
                let pair = match byte {
                    b')' => b'(',
                    b']' => b'[',
                    _ => b'{',
                };
                match brackets.pop() {
                    Some(at) if bytes[at] != pair => {
                        return err(at, format!("this `{}` is never closed", bytes[at] as char));
                    }
                    _ => i += 1,
                }
            }
            _ => i += 1,
        }
    }
    err(open, format!("this is never closed: `{close}` is missing"))
}

/// Returns the offset behind a text in quotes. One that has the end of a tag on its first line and goes on is not closed.
fn quoted(source: &str, open: usize) -> Result<usize, ()> {
    let bytes = source.as_bytes();
    let mut i = open + 1;
    let (mut tag_ended, mut line_ended) = (false, false);
    while let Some(byte) = bytes.get(i) {
        match byte {
            b'\\' => i += 1,
            b'\n' => line_ended = true,
            byte if *byte == bytes[open] => return if tag_ended && line_ended { Err(()) } else { Ok(i + 1) },
            b'%' | b'}' if bytes.get(i + 1) == Some(&b'}') && !line_ended => tag_ended = true,
            _ => {}
        }
        i += 1;
    }
    Err(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_is_open() {
        for (source, expected) in [
            ("a {# b", Some(2)),
            ("{% set a = 'x %}\n{% set b = 'y' %}", Some(11)),
            ("{% set a = 'x %}\n", Some(11)),
            ("{% set a = f('x' %}", Some(12)),
            ("{{ a %}", Some(5)),
            ("{{ a\n{{ b }}", Some(0)),
            ("{{ a", Some(0)),
            ("{{ f(a }}", Some(4)),
            ("{% set a = [1, {'b': 2} %}", Some(11)),
            ("{{ {'a': {'b': 1}} }}{% raw %}{{ {% endraw %}{# {{ #}{% set a = 'a\nb' %}", None),
        ] {
            assert_eq!(find(source, source.len() as u32).map(|(at, _)| at), expected, "{source}");
        }
    }
}
