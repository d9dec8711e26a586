//! Differences as Salt shows them: unified, without file names, three lines of context.

use similar::{ChangeTag, TextDiff};
use std::fmt::Write;

/// Files larger than this are compared by digest, not line by line.
pub const LIMIT: u64 = 4 << 20;

/// Tells whether bytes are no text.
pub fn is_binary(bytes: &[u8]) -> bool {
    if bytes.contains(&0) {
        return true;
    }
    if std::str::from_utf8(bytes).is_ok() {
        return false;
    }
    // Salt: more than 30 % of bytes that no text has.
    let odd = |byte: &&u8| !matches!(byte, 32..=126 | b'\n' | b'\r' | b'\t' | 8 | 12);
    bytes.iter().filter(odd).count() * 10 > bytes.len() * 3
}

/// Returns Python's `''.join(difflib.unified_diff(old, new))` of lines that keep their ends.
pub fn unified(old: &str, new: &str) -> String {
    render(&super::lines(old), &super::lines(new), "", 3)
}

/// Returns Python's `'\n'.join(difflib.unified_diff(old, new))` of lines without ends, as `file.append` shows it.
pub fn spaced(old: &[&str], new: &[&str]) -> String {
    render(old, new, "\n", 3).trim_end_matches('\n').to_owned()
}

/// Returns the difference of two contents, or the words that stand for it.
pub fn of_bytes(old: &[u8], new: &[u8]) -> String {
    match (is_binary(old), is_binary(new)) {
        _ if old == new => String::new(),
        (true, true) => "Replace binary file".into(),
        (true, false) => "Replace binary file with text file".into(),
        (false, true) => "Replace text file with binary file".into(),
        (false, false) => unified(&String::from_utf8_lossy(old), &String::from_utf8_lossy(new)),
    }
}

/// Returns the difference without lines of context, as `augeas.change` shows it.
pub fn bare(old: &str, new: &str) -> String {
    render(&super::lines(old), &super::lines(new), "", 0)
}

fn render(old: &[&str], new: &[&str], joint: &str, context: usize) -> String {
    if old == new {
        return String::new();
    }
    let diff = TextDiff::from_slices(old, new);
    let mut out = format!("--- \n{joint}+++ \n{joint}");
    for group in diff.grouped_ops(context) {
        let (Some(first), Some(last)) = (group.first(), group.last()) else { continue };
        let a = range(first.old_range().start, last.old_range().end);
        let b = range(first.new_range().start, last.new_range().end);
        let _ = write!(out, "@@ -{a} +{b} @@\n{joint}");
        for op in &group {
            for change in diff.iter_changes(op) {
                let sign = match change.tag() {
                    ChangeTag::Equal => ' ',
                    ChangeTag::Delete => '-',
                    ChangeTag::Insert => '+',
                };
                let _ = write!(out, "{sign}{}{joint}", change.value());
            }
        }
    }
    out
}

fn range(start: usize, end: usize) -> String {
    match end - start {
        1 => format!("{}", start + 1),
        0 => format!("{start},0"),
        length => format!("{},{length}", start + 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_what_salt_shows() {
        assert_eq!(unified("old\n", "hello\n"), "--- \n+++ \n@@ -1 +1 @@\n-old\n+hello\n");
        assert_eq!(unified("a\nb\nc\n", "a\nb\nc\nzz=1\n"), "--- \n+++ \n@@ -1,3 +1,4 @@\n a\n b\n c\n+zz=1\n");
        assert_eq!(
            spaced(&["first", "no newline"], &["first", "no newline", "second"]),
            "--- \n\n+++ \n\n@@ -1,2 +1,3 @@\n\n first\n no newline\n+second"
        );
        assert_eq!(spaced(&[], &["hi"]), "--- \n\n+++ \n\n@@ -0,0 +1 @@\n\n+hi");
        assert_eq!(of_bytes(b"a\0", b"b\0"), "Replace binary file");
        assert_eq!(of_bytes(b"same", b"same"), "");
    }
}
