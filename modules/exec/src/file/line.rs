//! `file.line`: one line, put in its place.

use super::pattern;

/// What to do with which line.
#[derive(Clone, Debug, Default)]
pub struct Line {
    pub content: Option<String>,
    pub matching: Option<String>,
    pub mode: String,
    pub location: Option<String>,
    pub before: Option<String>,
    pub after: Option<String>,
    pub indent: bool,
}

const UNORDERED: &str = "Wrong conditions? Unable to ensure line without knowing where to put it before and/or after.";

impl Line {
    /// Returns the edited text.
    pub fn apply(&self, text: &str) -> Result<String, String> {
        if !["insert", "ensure", "delete", "replace"].contains(&&*self.mode) {
            return Err(format!("Unknown mode: \"{}\"", self.mode));
        }
        let mut body: Vec<String> = super::lines(text).into_iter().map(str::to_owned).collect();
        if body.last().is_some_and(|last| last.ends_with('\n')) {
            body.push(String::new());
        }
        let mut body = self.edit(body)?;
        for at in 0..body.len() {
            if eol(&body[at]).is_none() && at + 1 < body.len() {
                let previous = if at > 1 { at - 1 } else { 1 };
                let end = body.get(previous).and_then(|line| eol(line)).unwrap_or("\n");
                body[at] = format!("{}{end}", body[at].trim_end());
            }
        }
        if body.last().is_some_and(String::is_empty) {
            body.pop();
        }
        Ok(body.concat())
    }

    fn edit(&self, mut lines: Vec<String>) -> Result<Vec<String>, String> {
        let text = |value: &Option<String>| value.clone().filter(|text| !text.is_empty());
        let content = self.content.clone().unwrap_or_default();
        let wanted = match (text(&self.matching), &self.before, &self.after) {
            (None, None, None) => Some(content.clone()),
            (found, ..) => found,
        };
        let after = occurrences(&lines, self.after.as_deref())?;
        let before = occurrences(&lines, self.before.as_deref())?;
        let matching = occurrences(&lines, wanted.as_deref())?.unwrap_or_default();
        let indented = |like: &str| if self.indent { indent(like, &content) } else { content.clone() };
        let same = |line: Option<&String>| {
            line.is_some_and(|l| l.trim_end_matches(['\r', '\n']) == content.trim_end_matches(['\r', '\n']))
        };
        match (&*self.mode, before, after) {
            ("delete", ..) => {
                if let Some(first) = matching.first() {
                    let line = lines[*first].clone();
                    lines.retain(|other| *other != line);
                }
            }
            ("replace", ..) => {
                if let Some(first) = matching.first() {
                    lines[*first] = indented(&lines[*first]);
                }
            }
            ("insert", None, None) if self.location.is_none() => {
                return Err("On insert either \"location\" or \"before/after\" conditions are required.".into());
            }
            ("insert", ..) if self.location.as_deref() == Some("end") => {
                let line = lines.last().map_or_else(|| content.clone(), |last| indented(last));
                lines.push(line);
            }
            ("insert", ..) if self.location.as_deref() == Some("start") => {
                let end = lines.first().and_then(|line| eol(line)).unwrap_or("\n");
                lines.insert(0, format!("{}{end}", content.trim_end()));
            }
            ("insert", Some(before), Some(after)) => {
                one(&before, "before")?;
                one(&after, "after")?;
                let line = indented(&lines[before[0]]);
                lines.insert(before[0], line);
            }
            ("insert", None, Some(after)) => {
                let at = one(&after, "after")?;
                if !same(lines.get(at + 1)) {
                    let line = indented(&lines[at]);
                    lines.insert(at + 1, line);
                }
            }
            ("insert", Some(before), None) => {
                let at = one(&before, "before")?;
                // Salt: the line before the first is the last.
                let previous = at.checked_sub(1).unwrap_or(lines.len() - 1);
                if !same(lines.get(previous)) {
                    let line = indented(&lines[at]);
                    lines.insert(at, line);
                }
            }
            ("insert", ..) => return Err("Neither before or after was found in file".into()),
            (_, Some(before), Some(after)) => {
                let (a, b) = (one(&after, "after")?, one(&before, "before")?);
                let there = lines.iter().any(|line| {
                    line.trim_start().trim_end_matches(['\r', '\n']) == content.trim_end_matches(['\r', '\n'])
                });
                if !there {
                    let line = indented(&lines[a]);
                    match b.checked_sub(a) {
                        Some(1) => lines.insert(a + 1, line),
                        Some(2) => lines[a + 1] = line,
                        _ => return Err("Found more than one line between boundaries \"before\" and \"after\".".into()),
                    }
                }
            }
            (_, Some(before), None) => {
                let at = one(&before, "before")?;
                if at == 0 || !same(lines.get(at - 1)) {
                    let line = indented(&lines[at.checked_sub(1).unwrap_or(lines.len() - 1)]);
                    lines.insert(at, line);
                }
            }
            (_, None, Some(after)) => {
                let at = one(&after, "after")?;
                if !same(lines.get(at + 1)) {
                    let line = indented(&lines[at]);
                    lines.insert(at + 1, line);
                }
            }
            _ => return Err(UNORDERED.into()),
        }
        Ok(lines)
    }
}

/// Returns the places of the lines that a pattern or a plain text occurs in; `None` where none is asked for.
fn occurrences(lines: &[String], regex: Option<&str>) -> Result<Option<Vec<usize>>, String> {
    let Some(regex) = regex.filter(|regex| !regex.is_empty() && !lines.is_empty()) else { return Ok(None) };
    let compiled = pattern::compile(regex, 16)?;
    let here = |line: &String| pattern::found(&compiled, line) || line.contains(regex);
    Ok(Some(lines.iter().enumerate().filter(|(_, line)| here(line)).map(|(at, _)| at).collect()))
}

fn one(found: &[usize], word: &str) -> Result<usize, String> {
    match found {
        [at] => Ok(*at),
        [] => Err(format!("Found less than expected occurrences in \"{word}\" expression")),
        _ => Err(format!("Found more than expected occurrences in \"{word}\" expression")),
    }
}

fn eol(line: &str) -> Option<&str> {
    let end = line.trim_end_matches(['\r', '\n']).len();
    Some(&line[end..]).filter(|end| !end.is_empty())
}

fn indent(like: &str, line: &str) -> String {
    let width = like.len() - like.trim_start_matches(['\t', ' ']).len();
    format!("{}{}", &like[..width], line.trim_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_as_salt_does() {
        let line = |mode: &str, content: &str| Line {
            mode: mode.into(),
            content: Some(content.into()),
            indent: true,
            ..Line::default()
        };
        let some = |text: &str| Some(text.to_owned());
        for (what, text, expected) in [
            (Line { after: some("^a"), ..line("ensure", "in") }, "a\nb\n", Ok("a\nin\nb\n")),
            (Line { after: some("^a"), ..line("ensure", "in") }, "a\nin\nb\n", Ok("a\nin\nb\n")),
            (Line { before: some("^b"), ..line("ensure", "in") }, "a\nb\n", Ok("a\nin\nb\n")),
            (
                Line { after: some("^b"), ..line("insert", "in") },
                "a\n  b\n",
                Err("Found less than expected occurrences in \"after\" expression"),
            ),
            (Line { after: some("b"), ..line("insert", "in") }, "a\n  b\n", Ok("a\n  b\n  in\n")),
            (Line { matching: some("^b"), ..line("delete", "") }, "a\nb\nc\n", Ok("a\nc\n")),
            (Line { matching: some("^b"), ..line("replace", "B") }, "a\nb\nc\n", Ok("a\nB\nc\n")),
            (Line { location: some("start"), ..line("insert", "z") }, "a\n", Ok("z\na\n")),
            (Line { location: some("end"), ..line("insert", "z") }, "a\n", Ok("a\n\nz")),
            (line("ensure", "z"), "a\n", Err(UNORDERED)),
            (line("bad", "z"), "a\n", Err("Unknown mode: \"bad\"")),
        ] {
            assert_eq!(what.apply(text), expected.map(str::to_owned).map_err(str::to_owned), "{what:?}");
        }
    }
}
