//! Python's `fnmatch`: `*`, `?`, `[set]`; dots and slashes are ordinary characters.

/// Tells whether a target is a pattern, by Salt's rule for requisites.
pub fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '[', ']'])
}

/// Tells whether a text matches a shell-style pattern, case-sensitively.
pub fn fnmatch(text: &str, pattern: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    let pattern: Vec<char> = pattern.chars().collect();
    let (mut t, mut p) = (0, 0);
    // Where to take up again after the last `*`: pattern place, text place.
    let mut retry: Option<(usize, usize)> = None;
    loop {
        let step = match pattern.get(p) {
            Some('*') => {
                retry = Some((p + 1, t));
                p += 1;
                continue;
            }
            None if t == text.len() => return true,
            Some(c) if t < text.len() => one(*c, &pattern, p, text[t]),
            _ => None,
        };
        match (step, retry) {
            (Some(next), _) => {
                p = next;
                t += 1;
            }
            (None, Some((again, from))) if from < text.len() => {
                retry = Some((again, from + 1));
                p = again;
                t = from + 1;
            }
            _ => return false,
        }
    }
}

/// Matches one character; returns the place in the pattern after what matched it.
fn one(c: char, pattern: &[char], p: usize, given: char) -> Option<usize> {
    match c {
        '?' => Some(p + 1),
        '[' => match set(pattern, p + 1) {
            // Without a closing bracket, the bracket is an ordinary character.
            None => (given == '[').then_some(p + 1),
            Some((negate, from, end)) => (within(&pattern[from..end], given) != negate).then_some(end + 1),
        },
        c => (c == given).then_some(p + 1),
    }
}

/// Finds a set's negation, its first character and its closing bracket.
fn set(pattern: &[char], start: usize) -> Option<(bool, usize, usize)> {
    let negate = pattern.get(start) == Some(&'!');
    let from = start + usize::from(negate);
    // A closing bracket in first place belongs to the set.
    let end = (from + 1..pattern.len()).find(|i| pattern[*i] == ']')?;
    Some((negate, from, end))
}

fn within(set: &[char], given: char) -> bool {
    let mut i = 0;
    while i < set.len() {
        if i + 2 < set.len() && set[i + 1] == '-' {
            if (set[i]..=set[i + 2]).contains(&given) {
                return true;
            }
            i += 3;
        } else if set[i] == given {
            return true;
        } else {
            i += 1;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_as_python_does() {
        for (text, pattern, expected) in [
            ("web.nginx", "web.*", true),
            ("web/nginx", "web*x", true),
            ("a", "?", true),
            ("", "?", false),
            ("", "*", true),
            ("abcabc", "*abc", true),
            ("abcab", "*abc", false),
            ("file1", "file[0-9]", true),
            ("filex", "file[!0-9]", true),
            ("file1", "file[!0-9]", false),
            ("a]", "a[]]", true),
            ("a[", "a[", true),
            ("a-", "a[x-]", true),
            ("A", "a", false),
            ("aXbXc", "a*b*c", true),
        ] {
            assert_eq!(fnmatch(text, pattern), expected, "{text} {pattern}");
        }
    }
}
