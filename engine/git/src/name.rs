//! Names that git, or a file system somewhere, takes for something else than they look like.

/// Code points that HFS+ ignores in names: `.g\u{200c}it` opens `.git` there.
const IGNORED: &[char] = &[
    '\u{200c}', '\u{200d}', '\u{200e}', '\u{200f}', '\u{202a}', '\u{202b}', '\u{202c}', '\u{202d}', '\u{202e}',
    '\u{206a}', '\u{206b}', '\u{206c}', '\u{206d}', '\u{206e}', '\u{206f}', '\u{feff}',
];

/// The longest name of a file, in bytes; what Linux file systems take.
pub const LONGEST: usize = 255;

/// Returns what is wrong with the name of a tree's entry, if anything is.
pub fn entry(name: &[u8]) -> Option<String> {
    if name.is_empty() {
        return Some("an empty name".into());
    }
    if name == b"." || name == b".." {
        return Some("a name that leads out of its directory".into());
    }
    if name.len() > LONGEST {
        return Some(format!("a name of {} bytes; {LONGEST} is the most", name.len()));
    }
    if name.contains(&b'/') {
        return Some("a slash in a name".into());
    }
    if String::from_utf8_lossy(name).chars().any(obeyed) {
        return Some("a control character in a name".into());
    }
    if name.split(|byte| *byte == b'\\').any(|part| alias(part, "git")) {
        return Some("a name that is git's own, here or on another system".into());
    }
    None
}

/// Tells whether a name is one of the files that git reads from a tree, and which must not be links.
pub fn is_special_file(name: &[u8]) -> bool {
    ["gitmodules", "gitattributes", "gitignore", "mailmap"].iter().any(|special| alias(name, special))
}

/// Tells whether a name is `.special`, or what HFS+ or NTFS take for it.
fn alias(name: &[u8], special: &str) -> bool {
    let text: String = String::from_utf8_lossy(name).chars().filter(|c| !IGNORED.contains(c)).collect();
    // NTFS: a stream (`.git::$INDEX_ALLOCATION`), and trailing dots and spaces that nobody sees.
    let text = text.split(':').next().unwrap_or_default().trim_end_matches(['.', ' ']).to_lowercase();
    if text.strip_prefix('.') == Some(special) {
        return true;
    }
    // NTFS's short names: the first six letters, a tilde and a number.
    let short: String = special.chars().take(6).collect();
    text.split_once('~').is_some_and(|(head, number)| {
        head == short && !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    })
}

/// Returns what is wrong with a ref that somebody pushes, if anything is.
pub fn pushed_ref(name: &str) -> Option<String> {
    if name.len() > 200 {
        return Some(format!("a name of {} bytes; 200 is the most", name.len()));
    }
    if !git2::Reference::is_valid_name(name) {
        return Some("no name that git allows".into());
    }
    let Some(rest) = ["refs/heads/", "refs/tags/"].iter().find_map(|kind| name.strip_prefix(kind)) else {
        return Some("only branches (refs/heads/) and tags (refs/tags/) are taken".into());
    };
    if name.chars().any(obeyed) {
        return Some("a control character in a name".into());
    }
    rest.split('/').any(|part| part.starts_with('-')).then(|| "a part that begins with a dash".into())
}

/// Tells whether a terminal obeys a character instead of showing it, or shows what follows in another order.
fn obeyed(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_some_system_takes_for_git_is_refused() {
        for name in [
            &b".git"[..],
            b".GIT",
            b".Git",
            b".git.",
            b".git ",
            b".git . .",
            b"git~1",
            b"GIT~1",
            b"git~12",
            b"git~1 ",
            b".git::$INDEX_ALLOCATION",
            b".git:x",
            b".git\\hooks",
            b"a\\.git",
            ".g\u{200c}it".as_bytes(),
            "\u{feff}.git".as_bytes(),
            ".gi\u{202e}t".as_bytes(),
            b"",
            b".",
            b"..",
            b"a/b",
            b"a\nb",
            b"a\x1b[0m",
            "a\u{9b}2J".as_bytes(),
            "exe.\u{2066}txt".as_bytes(),
        ] {
            assert!(entry(name).is_some(), "{:?}", String::from_utf8_lossy(name));
        }
        assert!(entry(&[b'a'; 256]).is_some());
        for name in [
            &b".gitignore"[..],
            b".github",
            b"git",
            b"git~x",
            b"a b",
            b"$(id)",
            b"-rf",
            b"\xff\xfe",
            b".gitx",
            b"legit",
        ] {
            assert!(entry(name).is_none(), "{:?}", String::from_utf8_lossy(name));
        }
        for name in [&b".gitmodules"[..], b".GITMODULES", b"gitmod~1", b".gitattributes ", b".mailmap"] {
            assert!(is_special_file(name), "{:?}", String::from_utf8_lossy(name));
        }
        assert!(!is_special_file(b"gitmodules"));
    }

    #[test]
    fn only_branches_and_tags_are_pushed() {
        for name in ["refs/heads/main", "refs/heads/a/b", "refs/tags/v1.0", "refs/heads/$(id)", "refs/heads/;id"] {
            assert_eq!(pushed_ref(name), None, "{name}");
        }
        for name in [
            "HEAD",
            "main",
            "refs/main",
            "refs/replace/0123456789012345678901234567890123456789",
            "refs/notes/commits",
            "refs/corpus/x",
            "refs/heads/../x",
            "refs/heads/a..b",
            "refs/heads/a b",
            "refs/heads/x.lock",
            "refs/heads/-x",
            "refs/heads/a/--upload-pack=id",
            "refs/heads/a\nb",
            "refs/heads/a\u{9b}2J",
            "refs/heads/\u{202e}niam",
        ] {
            assert!(pushed_ref(name).is_some(), "{name}");
        }
    }
}
