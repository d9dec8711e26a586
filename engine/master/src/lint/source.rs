//! Rules on texts as they are written: secrets, and the comments that take findings back.

use super::Finding;
use corpus_core::{Pos, Span};
use corpus_render::FileRoots;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Keys whose value is a secret, by how they end.
const SECRET_KEYS: &[&str] =
    &["password", "passwd", "passphrase", "secret", "secret_key", "token", "api_key", "apikey", "private_key"];

/// Finds a file of the roots.
pub(super) fn path(roots: &FileRoots, env: &str, file: &str) -> Option<PathBuf> {
    let own = roots.find(file, env);
    own.or_else(|| roots.envs().map(str::to_owned).collect::<Vec<_>>().iter().find_map(|env| roots.find(file, env)))
}

/// Returns a path as people like to read it: from where they are, if it is below.
pub(super) fn shown(path: &Path) -> String {
    let here = std::env::current_dir().ok();
    let below = here.as_deref().and_then(|here| path.strip_prefix(here).ok());
    below.unwrap_or(path).display().to_string()
}

fn text(roots: &FileRoots, env: &str, file: &str) -> Option<String> {
    std::fs::read_to_string(path(roots, env, file)?).ok()
}

/// Returns a line of a file of the roots.
pub(super) fn line(roots: &FileRoots, env: &str, file: &str, number: u32) -> Option<Arc<str>> {
    text(roots, env, file)?.lines().nth(number.checked_sub(1)? as usize).map(Arc::from)
}

/// Returns how long the word or the quoted text is that stands at a column.
pub(super) fn word_len(line: &str, col: u32) -> u32 {
    let rest: Vec<char> = line.chars().skip(col.saturating_sub(1) as usize).collect();
    let len = match rest.first() {
        Some(quote @ ('"' | '\'')) => rest[1..].iter().position(|c| c == quote).map_or(1, |end| end + 2),
        _ => rest.iter().take_while(|c| !c.is_whitespace() && !",:[]{}()#|".contains(**c)).count(),
    };
    u32::try_from(len).unwrap_or(0)
}

/// Tells whether a comment takes findings of a rule back at a place.
pub(super) fn allowed(roots: &FileRoots, env: &str, span: &Span, rule: &str) -> bool {
    let Some(text) = text(roots, env, &span.file) else { return false };
    let names = |line: &str, word: &str| {
        let rest = line.split_once(&format!("corpus: {word}(")).and_then(|(_, rest)| rest.split_once(')'));
        rest.is_some_and(|(names, _)| names.split(',').any(|name| [rule, "all"].contains(&name.trim())))
    };
    if text.lines().any(|line| names(line, "allow-file")) {
        return true;
    }
    let number = span.line as usize;
    let near = [number.checked_sub(1), number.checked_sub(2)];
    near.into_iter().flatten().filter_map(|i| text.lines().nth(i)).any(|line| names(line, "allow"))
}

/// Finds secrets that stand in a text.
pub(super) fn secrets(roots: &FileRoots, env: &str, file: &str) -> Vec<Finding> {
    let Some(text) = text(roots, env, file) else { return vec![] };
    let mut found = vec![];
    for (number, line) in text.lines().enumerate() {
        let Some((start, what)) = secret(line) else { continue };
        let col = line[..start].chars().count() as u32 + 1;
        let span = Span::new(file, Pos::new(number as u32 + 1, col));
        found.push(Finding::new("plain-secret", format!("{what} stands here in plain text"), span));
    }
    // The line is the secret: it is not shown.
    for finding in &mut found {
        finding.diagnostic.labels.iter_mut().for_each(|label| label.excerpt = Some("…".into()));
    }
    found
}

/// Tells whether a line holds a secret: its place, and what it is.
fn secret(line: &str) -> Option<(usize, String)> {
    if line.contains("-----BEGIN") && line.contains("PRIVATE KEY-----") {
        return Some((line.find("-----BEGIN")?, "a private key".into()));
    }
    let bare = line.trim_start().trim_start_matches("- ").trim_start();
    let start = line.len() - bare.len();
    let (key, value) = bare.split_once(": ")?;
    let key = key.trim_matches(['"', '\'']).trim();
    let name = key.to_lowercase();
    if !key.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.')) {
        return None;
    }
    let ends = SECRET_KEYS
        .iter()
        .any(|end| name == *end || name.ends_with(&format!("_{end}")) || name.ends_with(&format!("-{end}")));
    let value = value.split(" #").next().unwrap_or_default().trim().trim_matches(['"', '\'']);
    (ends && is_plain(value)).then(|| (start, format!("the value of `{key}`")))
}

/// Tells whether a value may be a secret itself: not computed, encrypted, hashed, a path, a word of a language.
fn is_plain(value: &str) -> bool {
    let words = [
        "true", "false", "none", "null", "yes", "no", "required", "optional", "present", "absent", "changeme", "random",
    ];
    let marked = ["{{", "{%", "|", ">", "[", "{", "$", "!", "*", "&", "-----BEGIN", "/", "salt://", "<", "#"];
    value.chars().count() >= 4
        && !words.contains(&value.to_lowercase().as_str())
        && !marked.iter().any(|mark| value.starts_with(mark))
        && !value.contains("{{")
        && !value.contains("://")
        && !value.contains(' ')
        && !value.chars().all(|c| c == 'x' || c == '*' || c == '.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_secrets_from_what_only_speaks_of_them() {
        for (line, expected) in [
            ("    - password: hunter22", true),
            ("  mysql_root_password: 's3cret!'", true),
            ("    - password: {{ pillar.pw }}", false),
            ("    - password: $6$salt$hash", false),
            ("    - password: |", false),
            ("    - password_file: /etc/x", false),
            ("    - enforce_password: True", false),
            ("  token: {{ token }}", false),
            ("  auth: -----BEGIN RSA PRIVATE KEY-----", true),
            ("  note: the password: is long", false),
            ("  keys: -----BEGIN PGP MESSAGE-----", false),
        ] {
            assert_eq!(secret(line).is_some(), expected, "{line}");
        }
    }
}
