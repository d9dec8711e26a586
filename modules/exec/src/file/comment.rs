//! `file.comment` and `file.uncomment`.

use super::pattern;

/// What a look at the file showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// The lines that match get their comment character, or lose it.
    Edit(String),
    Already,
    Nowhere,
}

/// Takes anchors off a pattern, as `file.comment` does: `^foo$` looks for `foo`.
pub fn unanchored(regex: &str) -> String {
    let flags = ["(?i)", "(?L)", "(?m)", "(?s)", "(?u)", "(?x)"];
    let rest = flags.iter().find_map(|flag| regex.strip_prefix(flag)).unwrap_or(regex);
    let rest = rest.strip_prefix('^').unwrap_or(rest);
    rest.strip_suffix('$').unwrap_or(rest).to_owned()
}

/// Decides what commenting out the lines that match does to a text.
pub fn comment(text: &str, regex: &str, char: &str) -> Result<Found, String> {
    let bare = unanchored(regex);
    if !search(text, &format!("^(?!\\s*{char})\\s*{bare}"))? {
        return Ok(if search(text, &format!("{char}{bare}"))? { Found::Already } else { Found::Nowhere });
    }
    edit(text, regex, char, true)
}

/// Decides what removing the comment character does to a text.
pub fn uncomment(text: &str, regex: &str, char: &str) -> Result<Found, String> {
    let bare = regex.trim_start_matches('^');
    if !search(text, &format!("{char}[ \t]*{bare}"))? {
        return Ok(if search(text, &format!("^[ \t]*{bare}"))? { Found::Already } else { Found::Nowhere });
    }
    edit(text, regex, char, false)
}

fn search(text: &str, regex: &str) -> Result<bool, String> {
    Ok(pattern::found(&*pattern::compile(regex, pattern::MULTILINE)?, text))
}

/// Comments or uncomments each line that the pattern matches from its start; Salt's `file.comment_line`.
pub fn edit(text: &str, regex: &str, char: &str, on: bool) -> Result<Found, String> {
    let end = if regex.ends_with('$') { "$" } else { "" };
    let bare = regex.trim_start_matches('^').trim_end_matches('$');
    let anchored = if regex.starts_with('^') { "^" } else { "" };
    let line = if on { format!("{anchored}({bare}){end}") } else { format!("^{char}\\s*({bare}){end}") };
    let line = pattern::compile_match(&line, 0)?;
    let out: String = super::lines(text)
        .into_iter()
        .map(|at| match pattern::found(&line, at) {
            true if on => format!("{char}{at}"),
            true => at.trim_start_matches(|c| char.contains(c)).to_owned(),
            false => at.to_owned(),
        })
        .collect();
    Ok(Found::Edit(out))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_uncomments() {
        let text = "foo\n  bar\n#baz\n# qux\n";
        for (found, expected) in [
            (comment(text, "^foo", "#"), Found::Edit("#foo\n  bar\n#baz\n# qux\n".into())),
            (comment(text, "^baz", "#"), Found::Already),
            (comment(text, "^zzz", "#"), Found::Nowhere),
            (uncomment(text, "^baz", "#"), Found::Edit("foo\n  bar\nbaz\n# qux\n".into())),
            (uncomment(text, "qux$", "#"), Found::Edit("foo\n  bar\n#baz\n qux\n".into())),
            (uncomment(text, "foo", "#"), Found::Already),
        ] {
            assert_eq!(found, Ok(expected));
        }
        assert_eq!(unanchored("(?i)^a.*$"), "a.*");
    }
}
