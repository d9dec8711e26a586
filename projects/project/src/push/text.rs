//! Text from a project on its way to somebody's terminal.

/// How long one line may be.
const LINE: usize = 2000;

/// Takes out of a line what a terminal would obey, colours apart, and what is too long.
pub fn line(text: &str) -> String {
    clean(text, LINE)
}

/// The same, for a length of one's own.
pub fn clean(text: &str, most: usize) -> String {
    let mut out = String::with_capacity(text.len().min(most));
    let mut rest = text.trim_end_matches('\r');
    while let Some(c) = rest.chars().next() {
        if out.len() > most {
            out.push('…');
            break;
        }
        let colour = colour(rest);
        if colour > 0 {
            out.push_str(&rest[..colour]);
            rest = &rest[colour..];
            continue;
        }
        // C0, C1, and what turns the reading direction around.
        match c {
            '\t' => out.push(c),
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {}
            c if c.is_control() => out.push(char::REPLACEMENT_CHARACTER),
            c => out.push(c),
        }
        rest = &rest[c.len_utf8()..];
    }
    out
}

/// Returns the length of a colour sequence at the beginning of a text.
fn colour(text: &str) -> usize {
    let Some(rest) = text.strip_prefix("\x1b[") else { return 0 };
    let digits = rest.bytes().take(16).take_while(|b| b.is_ascii_digit() || *b == b';').count();
    if rest.as_bytes().get(digits) == Some(&b'm') { 2 + digits + 1 } else { 0 }
}

/// Makes one short line of anything.
pub fn short(text: &str, most: usize) -> String {
    let flat: String = line(text.lines().next().unwrap_or_default()).chars().filter(|c| !c.is_control()).collect();
    if flat.chars().count() > most { flat.chars().take(most).chain(['…']).collect() } else { flat }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminals_are_not_commanded() {
        assert_eq!(line("a\x1b[31mred\x1b[0m\tb"), "a\x1b[31mred\x1b[0m\tb");
        assert_eq!(
            line("\x1b]0;title\x07\x1b[2J\r\u{9b}1A\u{202e}x"),
            "\u{fffd}]0;title\u{fffd}\u{fffd}[2J\u{fffd}\u{fffd}1Ax"
        );
        assert!(line(&"é".repeat(5000)).len() < 2100);
        assert_eq!(short("one\ntwo", 10), "one");
        assert_eq!(short("a\x1b[31m", 99), "a[31m");
    }
}
