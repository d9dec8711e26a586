//! `file.replace`: Python's `re.sub` over a whole file, and what to do when nothing matched.

use super::pattern::{self, Template};

/// What to replace, and by what.
#[derive(Clone, Debug, Default)]
pub struct Replace {
    pub pattern: String,
    pub repl: String,
    pub count: usize,
    pub flags: u32,
    pub append_if_not_found: bool,
    pub prepend_if_not_found: bool,
    pub not_found_content: Option<String>,
    pub backslash_literal: bool,
}

impl Replace {
    /// Returns the text with its replacements.
    pub fn apply(&self, text: &str) -> Result<String, String> {
        if self.append_if_not_found && self.prepend_if_not_found {
            return Err("Only one of append and prepend_if_not_found is permitted".into());
        }
        let regex = pattern::compile(&self.pattern, self.flags)?;
        let template =
            if self.backslash_literal { Template::literal(&self.repl) } else { Template::parse(&self.repl, &regex)? };
        let (result, times) = pattern::substitute(&regex, &template, text, self.count)?;
        let content = self.not_found_content.as_deref().unwrap_or(&self.repl);
        let add = self.append_if_not_found || self.prepend_if_not_found;
        let found = times > 0
            || add
                && match self.flags {
                    pattern::MULTILINE if !content.is_empty() => has_line(text, content),
                    flags => {
                        let there = format!("^{}($|(?=\\r\\n))", pattern::escape(content));
                        pattern::found(&*pattern::compile(&there, flags)?, text)
                    }
                };
        if found || !add {
            // Salt: a pattern that is its own replacement changes nothing.
            return Ok(if self.pattern == self.repl { text.to_owned() } else { result });
        }
        if self.prepend_if_not_found {
            return Ok(format!("{content}\n{text}"));
        }
        let gap = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
        Ok(format!("{text}{gap}{content}\n"))
    }
}

/// Tells whether a text has these whole lines, whatever their ends.
fn has_line(text: &str, content: &str) -> bool {
    let mut from = 0;
    while let Some(at) = text[from..].find(content).map(|at| from + at) {
        let rest = &text[at + content.len()..];
        let ends = rest.is_empty() || rest.starts_with('\n') || rest.starts_with("\r\n");
        if ends && (at == 0 || text[..at].ends_with('\n')) {
            return true;
        }
        from = at + text[at..].chars().next().map_or(1, char::len_utf8);
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_found_as_the_pattern_would_find_it() {
        for content in ["a=1", "a", "x\nx", "é", "a=1\r", "\n"] {
            let there = pattern::compile(&format!("^{}($|(?=\\r\\n))", pattern::escape(content)), pattern::MULTILINE);
            let there = there.unwrap();
            for text in
                ["", "a=1", "a=1\n", "b\na=1\r\n", "ba=1\n", "a=12\na=1", "x\nxx\nx", "éé\né", "\n\n", "a\n\n\nb"]
            {
                assert_eq!(has_line(text, content), pattern::found(&there, text), "{content:?} in {text:?}");
            }
        }
    }

    #[test]
    fn replaces_and_adds() {
        let plain = |pattern: &str, repl: &str| Replace {
            pattern: pattern.into(),
            repl: repl.into(),
            flags: pattern::MULTILINE,
            ..Replace::default()
        };
        let append = Replace { append_if_not_found: true, ..plain("^zz", "zz=1") };
        for (what, text, expected) in [
            (plain("^b(.*)$", "B\\1"), "a\nb\n", "a\nB\n"),
            (plain("q", "r"), "a\n", "a\n"),
            (append.clone(), "a", "a\nzz=1\n"),
            (append.clone(), "zz=2\n", "zz=1=2\n"),
            (Replace { append_if_not_found: true, ..plain("^port .*", "# port") }, "# port\n", "# port\n"),
            (Replace { prepend_if_not_found: true, ..plain("^zz", "zz=1") }, "a\n", "zz=1\na\n"),
            (Replace { not_found_content: Some("new".into()), ..append }, "", "new\n"),
            (Replace { backslash_literal: true, ..plain("a", "\\1") }, "a", "\\1"),
        ] {
            assert_eq!(what.apply(text).as_deref(), Ok(expected), "{what:?}");
        }
    }
}
