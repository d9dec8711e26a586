//! Python's regular expressions and `fnmatch` patterns, on fancy-regex.

use corpus_core::{Value, python};
use fancy_regex::{Captures, Regex};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt::Write;
use std::rc::Rc;

/// Python's `re.MULTILINE`, the flags of `file.replace` unless it says otherwise.
pub const MULTILINE: u32 = 8;

/// Reads flags as Salt does: a number, a name, or a list of names.
pub fn flags(value: &Value) -> Result<u32, String> {
    let named = |name: &str| {
        Ok(match name.trim().to_ascii_uppercase().as_str() {
            "I" | "IGNORECASE" => 2,
            "L" | "LOCALE" => 4,
            "M" | "MULTILINE" => 8,
            "S" | "DOTALL" => 16,
            "U" | "UNICODE" => 32,
            "X" | "VERBOSE" => 64,
            "A" | "ASCII" => 256,
            other => return Err(format!("Invalid re flag given: {other}")),
        })
    };
    match value {
        Value::Int(number) => u32::try_from(*number).map_err(|_| format!("Invalid re flag given: {number}")),
        Value::List(names) => names.iter().map(|name| named(&python::str(name))).try_fold(0, |all, one| Ok(all | one?)),
        Value::Str(text) => text.parse().or_else(|_| named(text)),
        Value::Null => Ok(MULTILINE),
        other => Err(format!("Invalid re flags given: {}", python::repr(other))),
    }
}

/// How many patterns are kept.
const KEPT: usize = 8;

thread_local! {
    /// The patterns compiled last: a state compiles its own at least twice, before and after its change.
    static LAST: RefCell<VecDeque<(String, u32, Rc<Regex>)>> = const { RefCell::new(VecDeque::new()) };
}

/// Compiles a pattern as Python's `re.compile(pattern, flags)` does.
pub fn compile(pattern: &str, flags: u32) -> Result<Rc<Regex>, String> {
    LAST.with_borrow_mut(|last| {
        let found = last.iter().find(|(text, with, _)| *with == flags && text == pattern);
        if let Some((.., regex)) = found {
            return Ok(regex.clone());
        }
        let regex = Rc::new(compiled(pattern, flags)?);
        last.truncate(KEPT - 1);
        last.push_front((pattern.to_owned(), flags, regex.clone()));
        Ok(regex)
    })
}

fn compiled(pattern: &str, flags: u32) -> Result<Regex, String> {
    let body = translate(pattern, flags & 8 != 0);
    let mut words = String::new();
    for (bit, letter) in [(2, 'i'), (8, 'm'), (16, 's'), (64, 'x')] {
        if flags & bit != 0 {
            words.push(letter);
        }
    }
    let text = if words.is_empty() { body } else { format!("(?{words}){body}") };
    Regex::new(&text).map_err(|error| {
        // The pattern as it was written tells the better position.
        let error = Regex::new(pattern).err().unwrap_or(error);
        format!("`{pattern}` is no regular expression: {error}")
    })
}

/// Compiles a pattern that must match at the start, as Python's `re.match` looks for it.
pub fn compile_match(pattern: &str, flags: u32) -> Result<Rc<Regex>, String> {
    compile(&format!("\\A(?:{pattern})"), flags)
}

/// Tells whether the pattern occurs; a pattern that runs away does not.
pub fn found(regex: &Regex, text: &str) -> bool {
    regex.is_match(text).unwrap_or(false)
}

/// Writes Python's syntax in the words of fancy-regex, where the two differ.
fn translate(pattern: &str, multiline: bool) -> String {
    let chars: Vec<char> = pattern.chars().collect();
    let (mut out, mut at, mut class) = (String::new(), 0, false);
    while at < chars.len() {
        let (c, next) = (chars[at], chars.get(at + 1).copied());
        at += 1;
        match (c, next) {
            ('\\', Some('Z')) if !class => {
                out.push_str("\\z");
                at += 1;
            }
            (
                '\\',
                Some(n @ ('<' | '>' | '"' | '\'' | ' ' | '_' | '/' | '@' | '=' | ':' | ',' | ';' | '%' | '!' | '`')),
            ) => {
                if n == ' ' {
                    out.push_str("\\x20")
                } else {
                    out.push(n)
                }
                at += 1;
            }
            ('\\', Some(n)) => {
                out.push('\\');
                out.push(n);
                at += 1;
            }
            ('[', _) if class => out.push_str("\\["),
            ('[', _) => {
                class = true;
                out.push('[');
                if chars.get(at) == Some(&'^') {
                    out.push('^');
                    at += 1;
                }
                // A bracket that comes first is itself.
                if chars.get(at) == Some(&']') {
                    out.push_str("\\]");
                    at += 1;
                }
            }
            (']', _) if class => {
                class = false;
                out.push(']');
            }
            ('&' | '~', Some(n)) if class && n == c => {
                out.push('\\');
                out.push(c);
            }
            ('{', _) if !class && !is_repetition(&chars[at..]) => out.push_str("\\{"),
            // Python's `$` also matches before the line feed that ends the text.
            ('$', _) if !class && !multiline => out.push_str("(?=\\n?\\z)"),
            _ => out.push(c),
        }
    }
    out
}

/// Tells whether what follows a brace makes it a repetition: `3}`, `1,}`, `,2}`.
fn is_repetition(rest: &[char]) -> bool {
    let Some(end) = rest.iter().position(|c| *c == '}') else { return false };
    let inner: String = rest[..end].iter().collect();
    let (low, high) = inner.split_once(',').unwrap_or((&inner, ""));
    (!low.is_empty() || inner.contains(',')) && [low, high].iter().all(|part| part.chars().all(|c| c.is_ascii_digit()))
}

/// Replaces as Python's `re.subn(pattern, template, text, count)` does; tells how often.
pub fn substitute(regex: &Regex, template: &Template, text: &str, count: usize) -> Result<(String, usize), String> {
    let (mut out, mut last, mut times) = (String::with_capacity(text.len()), 0, 0);
    for captures in regex.captures_iter(text) {
        if count > 0 && times == count {
            break;
        }
        let captures = captures.map_err(|error| error.to_string())?;
        let Some(whole) = captures.get(0) else { continue };
        out.push_str(&text[last..whole.start()]);
        template.expand(&captures, &mut out);
        last = whole.end();
        times += 1;
    }
    out.push_str(&text[last..]);
    Ok((out, times))
}

/// A replacement as Python writes it, `\1 \g<name>`.
pub struct Template(Vec<Part>);

enum Part {
    Text(String),
    Number(usize),
    Name(String),
}

impl Template {
    /// Makes a replacement without any escapes.
    pub fn literal(text: &str) -> Self {
        Self(vec![Part::Text(text.into())])
    }

    /// Reads a replacement; refuses escapes that Python refuses, and groups that the pattern lacks.
    pub fn parse(text: &str, regex: &Regex) -> Result<Self, String> {
        let (mut parts, mut plain, mut chars) = (vec![], String::new(), text.chars().peekable());
        while let Some(c) = chars.next() {
            if c != '\\' {
                plain.push(c);
                continue;
            }
            let part = match chars.next() {
                None => return Err("bad escape (end of pattern)".into()),
                Some('g') => {
                    if chars.next() != Some('<') {
                        return Err("missing <".into());
                    }
                    let name: String = chars.by_ref().take_while(|c| *c != '>').collect();
                    name.parse().map_or(Part::Name(name), Part::Number)
                }
                Some(digit @ '1'..='9') => {
                    let mut number = digit as usize - '0' as usize;
                    if let Some(more) = chars.peek().and_then(|c| c.to_digit(10)) {
                        number = number * 10 + more as usize;
                        chars.next();
                    }
                    Part::Number(number)
                }
                Some(letter) => {
                    match letter {
                        'n' => plain.push('\n'),
                        't' => plain.push('\t'),
                        'r' => plain.push('\r'),
                        'a' => plain.push('\x07'),
                        'f' => plain.push('\x0c'),
                        'v' => plain.push('\x0b'),
                        'b' => plain.push('\x08'),
                        '0' => plain.push('\0'),
                        '\\' => plain.push('\\'),
                        c if c.is_ascii_alphabetic() => return Err(format!("bad escape \\{c}")),
                        c => _ = write!(plain, "\\{c}"),
                    }
                    continue;
                }
            };
            let known = match &part {
                Part::Number(number) => *number < regex.captures_len(),
                Part::Name(name) => regex.capture_names().flatten().any(|known| known == name),
                Part::Text(_) => true,
            };
            if !known {
                return Err(match part {
                    Part::Number(number) => format!("invalid group reference {number}"),
                    Part::Name(name) => format!("unknown group name {}", python::quoted(&name)),
                    Part::Text(text) => text,
                });
            }
            parts.push(Part::Text(std::mem::take(&mut plain)));
            parts.push(part);
        }
        parts.push(Part::Text(plain));
        Ok(Self(parts))
    }

    fn expand(&self, captures: &Captures<'_, str>, out: &mut String) {
        for part in &self.0 {
            out.push_str(match part {
                Part::Text(text) => text,
                Part::Number(number) => captures.get(*number).map_or("", |group| group.as_str()),
                Part::Name(name) => captures.name(name).map_or("", |group| group.as_str()),
            });
        }
    }
}

/// Escapes a text so that it matches itself, as Python's `re.escape` does.
pub fn escape(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if c.is_ascii() && !c.is_ascii_alphanumeric() && !matches!(c, '_' | '\n' | '\t' | '\r') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// Matches a name against a shell pattern as Python's `fnmatch` does: `*` crosses slashes.
pub fn fnmatch(name: &str, pattern: &str) -> bool {
    let chars: Vec<char> = pattern.chars().collect();
    let (mut regex, mut at) = (String::from("(?s)\\A"), 0);
    while at < chars.len() {
        let c = chars[at];
        at += 1;
        match c {
            '*' => regex.push_str(".*"),
            '?' => regex.push('.'),
            '[' => match (at + 1..chars.len()).find(|i| chars[*i] == ']') {
                Some(end) => {
                    let inner: String = chars[at..end].iter().collect();
                    let (not, inner) = inner.strip_prefix('!').map_or(("", &*inner), |rest| ("^", rest));
                    let _ =
                        write!(regex, "[{not}{}]", inner.replace('\\', "\\\\").replace('[', "\\[").replace(']', "\\]"));
                    at = end + 1;
                }
                None => regex.push_str("\\["),
            },
            c => regex.push_str(&escape(&c.to_string())),
        }
    }
    regex.push_str("\\z");
    compile(&regex, 0).is_ok_and(|regex| found(&regex, name))
}

/// Salt's `include_pat` and `exclude_pat`: shell patterns, or regular expressions after `E@`.
pub fn included(path: &str, include: &[String], exclude: &[String]) -> bool {
    let matches = |pattern: &String| match pattern.strip_prefix("E@") {
        Some(regex) => compile(regex, 0).is_ok_and(|regex| found(&regex, path)),
        None => fnmatch(path, pattern),
    };
    (include.is_empty() || include.iter().any(matches)) && !exclude.iter().any(matches)
}

/// Salt's pattern for lines whose white space may differ (`file.append` looks whether they are there).
pub fn loose(text: &str) -> String {
    const SPACE: &str = "(?:[\\s]+)?";
    let line = |line: &str| {
        let words: Vec<String> = line.split_whitespace().map(escape).collect();
        format!("{SPACE}{}{SPACE}", words.join(SPACE))
    };
    format!("(?m)^{}$", super::split_lines(text).into_iter().map(line).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compiles_what_python_compiles() {
        for (pattern, flags, text, expected) in [
            ("b$", 0, "a\nb\n", true),
            ("a$", 0, "a\nb\n", false),
            ("a$", 8, "a\nb\n", true),
            ("x{y}", 0, "x{y}", true),
            ("${x}", 0, "a", false),
            ("\\${x}", 0, "${x}", true),
            ("x{2}", 0, "axx", true),
            ("[[]", 0, "[", true),
            ("[]a]", 0, "]", true),
            ("\\<b\\>", 0, "<b>", true),
            ("(?i)abc", 8, "xABC", true),
            ("(?P<n>a)(?P=n)", 0, "aa", true),
            ("a(?!b)", 0, "ab", false),
            ("^a.b$", 16, "a\nb", true),
        ] {
            let regex = compile(pattern, flags).expect(pattern);
            assert_eq!(found(&regex, text), expected, "{pattern} on {text:?}");
        }
    }

    #[test]
    fn replaces_as_python_does() {
        for (pattern, template, count, expected) in [
            ("b(.*)", "B\\1", 0, "a=1 B=2"),
            ("(?P<k>\\w)=(\\d)", "\\g<k>:\\g<2>", 1, "a:1 b=2"),
            ("a", "\\\\n\\n\\.", 0, "\\n\n\\.=1 b=2"),
        ] {
            let regex = compile(pattern, 8).expect(pattern);
            let template = Template::parse(template, &regex).expect(template);
            assert_eq!(substitute(&regex, &template, "a=1 b=2", count).expect("it runs").0, expected);
        }
        let regex = compile("a", 0).expect("a");
        assert_eq!(Template::parse("\\q", &regex).err().as_deref(), Some("bad escape \\q"));
        assert_eq!(Template::parse("\\1", &regex).err().as_deref(), Some("invalid group reference 1"));
    }

    #[test]
    fn matches_shell_patterns() {
        for (name, pattern, expected) in [
            ("a/b.conf", "*.conf", true),
            ("abc", "a?c", true),
            ("abc", "[!a]bc", false),
            ("a[b", "a[b", true),
            (".svn", "E@\\.(svn|git)$", false),
        ] {
            assert_eq!(fnmatch(name, pattern), expected, "{name} {pattern}");
        }
        assert!(!included(".git", &[], &["E@\\.(svn|git)$".into()]));
        assert!(found(&compile(&loose("a  b"), 8).expect("loose"), "x\n  a\tb \n"));
        assert!(!found(&compile(&loose("a b"), 8).expect("loose"), "a bc\n"));
    }
}
