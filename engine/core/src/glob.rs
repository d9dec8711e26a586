//! Globs as Python's `fnmatch` reads them: `*` crosses everything, separators and dots too. Salt matches minion
//! ids, grains and file patterns with them.

/// Tells whether a text matches a glob.
pub fn matches(pattern: &str, text: &str) -> bool {
    if pattern == "*" {
        return true;
    }
    if !pattern.contains(['*', '?', '[']) {
        return pattern == text;
    }
    let steps = parse(pattern);
    let text: Vec<char> = text.chars().collect();
    run(&steps, &text)
}

/// Tells whether a text holds characters that mean something in a glob.
pub fn is_glob(text: &str) -> bool {
    text.contains(['*', '?', '['])
}

#[derive(Debug)]
enum Step {
    Char(char),
    Any,
    Star,
    /// Turned around or not, and the ranges.
    Set(bool, Vec<(char, char)>),
}

fn parse(pattern: &str) -> Vec<Step> {
    let chars: Vec<char> = pattern.chars().collect();
    let mut steps = Vec::with_capacity(chars.len());
    let mut i = 0;
    while i < chars.len() {
        let c = chars[i];
        i += 1;
        match c {
            '*' => {
                if !matches!(steps.last(), Some(Step::Star)) {
                    steps.push(Step::Star);
                }
            }
            '?' => steps.push(Step::Any),
            '[' => {
                // A `]` right after the opening stands for itself; without a closing one, `[` does.
                let negated = chars.get(i) == Some(&'!');
                let body = i + usize::from(negated);
                let from = body + usize::from(chars.get(body) == Some(&']'));
                match chars.get(from..).and_then(|rest| rest.iter().position(|c| *c == ']')) {
                    Some(offset) => {
                        let end = from + offset;
                        steps.push(Step::Set(negated, ranges(&chars[body..end])));
                        i = end + 1;
                    }
                    None => steps.push(Step::Char('[')),
                }
            }
            c => steps.push(Step::Char(c)),
        }
    }
    steps
}

fn ranges(body: &[char]) -> Vec<(char, char)> {
    let mut out = Vec::new();
    let mut i = 0;
    while i < body.len() {
        if i + 2 < body.len() && body[i + 1] == '-' {
            // Python drops a range that runs backwards.
            if body[i] <= body[i + 2] {
                out.push((body[i], body[i + 2]));
            }
            i += 3;
        } else {
            out.push((body[i], body[i]));
            i += 1;
        }
    }
    out
}

/// Matches with one place to come back to: the last star. Linear in practice, never exponential.
fn run(steps: &[Step], text: &[char]) -> bool {
    let (mut s, mut t) = (0, 0);
    let mut back: Option<(usize, usize)> = None;
    while t < text.len() {
        let fits = match steps.get(s) {
            Some(Step::Star) => {
                back = Some((s, t));
                s += 1;
                continue;
            }
            Some(Step::Any) => true,
            Some(Step::Char(c)) => *c == text[t],
            Some(Step::Set(negated, ranges)) => {
                ranges.iter().any(|(low, high)| (*low..=*high).contains(&text[t])) != *negated
            }
            None => false,
        };
        if fits {
            (s, t) = (s + 1, t + 1);
        } else if let Some((star, from)) = back {
            back = Some((star, from + 1));
            (s, t) = (star + 1, from + 1);
        } else {
            return false;
        }
    }
    steps[s..].iter().all(|step| matches!(step, Step::Star))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The answers of Python's `fnmatch.fnmatchcase`.
    #[test]
    fn matches_what_fnmatch_matches() {
        for (pattern, text, answer) in [
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("a*c", "a/b.c", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("[a-c]x", "bx", true),
            ("[!a-c]x", "bx", false),
            ("[!a-c]x", "dx", true),
            ("[]]x", "]x", true),
            ("[!]]x", "ax", true),
            ("[a", "[a", true),
            ("[a-]", "-", true),
            ("[c-a]", "b", false),
            ("[a^]", "^", true),
            ("*a*b*c", "xaxbxc", true),
            ("*a*b*c", "xaxbx", false),
            ("a**b", "axb", true),
            ("ü?", "üé", true),
            ("A", "a", false),
            ("a\\*", "a\\b", true),
            ("x\n*", "x\ny", true),
        ] {
            assert_eq!(matches(pattern, text), answer, "{pattern} {text}");
        }
        let long = "a".repeat(5_000);
        assert!(!matches(&"*a".repeat(50).replace("*a*a", "*a*ab"), &long));
    }
}
