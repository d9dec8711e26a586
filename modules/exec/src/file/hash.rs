//! Digests of files under all names that Salt takes, and `source_hash`.

use corpus_core::digest::hex;
use corpus_core::host::{HostResult, Look};
use md5::Md5;
use sha1::{Digest, Sha1};
use sha2::{Sha224, Sha256, Sha384, Sha512};
use std::path::Path;

/// The digests that Salt knows, with the length of each in hexadecimal digits.
pub const KINDS: [(&str, usize); 6] =
    [("md5", 32), ("sha1", 40), ("sha224", 56), ("sha256", 64), ("sha384", 96), ("sha512", 128)];

/// Computes a digest of some bytes; `None` for a kind that there is not.
pub fn digest(kind: &str, bytes: &[u8]) -> Option<String> {
    Some(match kind {
        "md5" => hex(&Md5::digest(bytes)),
        "sha1" => hex(&Sha1::digest(bytes)),
        "sha224" => hex(&Sha224::digest(bytes)),
        "sha256" => hex(&Sha256::digest(bytes)),
        "sha384" => hex(&Sha384::digest(bytes)),
        "sha512" => hex(&Sha512::digest(bytes)),
        _ => return None,
    })
}

/// Computes a digest of a file; SHA-256 without holding the file in memory.
pub fn of_file(host: &dyn Look, kind: &str, path: &Path) -> HostResult<Option<String>> {
    if kind == "sha256" {
        return host.sha256(path).map(|digest| Some(hex(&digest)));
    }
    Ok(digest(kind, &host.read(path)?))
}

/// A digest that a source must have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sum {
    pub kind: &'static str,
    pub hex: String,
}

fn invalid(text: &str) -> String {
    let kinds: Vec<String> = KINDS.iter().map(|(kind, length)| format!("{kind} ({length})")).collect();
    format!(
        "Source hash {text} format is invalid. The supported formats are: 1) a hash, 2) an expression in the format \
         <hash_type>=<hash>, or 3) either a path to a local file containing hashes, or a URI of a remote hash file. \
         Supported protocols for remote hash files are: salt, http, https, ftp, file. The hash may also not be of a \
         valid length, the following are supported hash types and lengths: {}.",
        kinds.join(", ")
    )
}

/// Reads `sha256=…` or a bare digest.
pub fn parse(text: &str) -> Result<Sum, String> {
    let (named, digits) = text.split_once('=').map_or((None, text), |(kind, digits)| (Some(kind.trim()), digits));
    let digits = digits.trim().to_ascii_lowercase();
    let by_length = KINDS.iter().find(|(_, length)| *length == digits.len()).map(|(kind, _)| *kind);
    if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(invalid(text));
    }
    match (named, by_length) {
        (_, None) => Err(invalid(text)),
        (None, Some(kind)) => Ok(Sum { kind, hex: digits }),
        (Some(named), Some(kind)) if named.eq_ignore_ascii_case(kind) => Ok(Sum { kind, hex: digits }),
        (Some(named), Some(kind)) if KINDS.iter().any(|(known, _)| known.eq_ignore_ascii_case(named)) => Err(format!(
            "Invalid length ({}) for hash type '{named}'. Either remove the hash type and simply use '{digits}' as \
             the source_hash, or change the hash type to '{kind}'",
            digits.len()
        )),
        (Some(named), Some(_)) => Err(format!(
            "Invalid hash type '{named}'. Supported hash types are: {}. Either remove the hash type and simply use \
             '{digits}' as the source_hash, or change the hash type to a supported type.",
            KINDS.map(|(kind, _)| kind).join(", ")
        )),
    }
}

/// Tells whether a `source_hash` names a file of digests rather than one.
pub fn is_file(text: &str) -> bool {
    text.starts_with('/')
        || text.split_once("://").is_some_and(|(scheme, _)| ["salt", "http", "https", "ftp", "file"].contains(&scheme))
}

/// Finds the digest of a file in the text of a file of digests, as Salt's `file.extract_hash` does.
pub fn extract(text: &str, name: Option<&str>, file: &str, source: &str) -> Option<Sum> {
    let base = |path: &str| path.rsplit('/').next().unwrap_or(path).to_owned();
    let mut first = None;
    let mut by_rank: [Option<Sum>; 3] = [None, None, None];
    for line in text.lines().map(str::trim) {
        let word = line.split(|c: char| !c.is_ascii_alphanumeric()).find_map(|word| {
            let kind = KINDS.iter().find(|(_, length)| *length == word.len())?;
            word.bytes().all(|b| b.is_ascii_hexdigit()).then(|| Sum { kind: kind.0, hex: word.to_ascii_lowercase() })
        });
        let Some(sum) = word else { continue };
        let names = |wanted: &str, whole: &str| {
            let before = line.strip_suffix(wanted).map(|rest| rest.chars().last());
            matches!(before, Some(Some(c)) if c.is_whitespace() || "\\/*".contains(c))
                || line.strip_prefix(whole).is_some_and(|rest| rest.starts_with(char::is_whitespace))
        };
        let ranks =
            [name.is_some_and(|name| names(name, name)), names(&base(file), file), names(&base(source), source)];
        for (slot, hit) in by_rank.iter_mut().zip(ranks) {
            if hit && slot.is_none() {
                *slot = Some(sum.clone());
            }
        }
        first.get_or_insert(sum);
    }
    by_rank.into_iter().flatten().next().or(first)
}

/// Finds the digest in a file of digests, or says that there is none.
pub fn extract_or_invalid(
    source_hash: &str,
    text: &str,
    name: Option<&str>,
    file: &str,
    source: &str,
) -> Result<Sum, String> {
    extract(text, name, file, source).ok_or_else(|| invalid(source_hash))
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "d41d8cd98f00b204e9800998ecf8427e";
    const B: &str = "b1946ac92492d2347c6235b4d2611184";

    #[test]
    fn reads_digests() {
        assert_eq!(parse(&format!("md5={A}")).map(|sum| sum.kind), Ok("md5"));
        assert_eq!(parse(&A.to_uppercase()).map(|sum| sum.hex), Ok(A.into()));
        assert!(parse("sha1=abc").is_err_and(|e| e.contains("format is invalid")));
        assert!(parse(&format!("sha1={A}")).is_err_and(|e| e.starts_with("Invalid length (32) for hash type 'sha1'")));
        assert!(parse(&format!("crc={A}")).is_err_and(|e| e.starts_with("Invalid hash type 'crc'")));
        assert_eq!(digest("md5", b"hello\n").as_deref(), Some(B));
    }

    #[test]
    fn finds_the_digest_of_a_file() {
        let text = format!("{A}  other.tgz\n{B} *x.tgz\n");
        let find = |name, file, source| extract(&text, name, file, source).map(|sum| sum.hex);
        assert_eq!(find(None, "/opt/x.tgz", "http://h/y.tgz").as_deref(), Some(B));
        assert_eq!(find(None, "/opt/z", "http://h/x.tgz").as_deref(), Some(B));
        assert_eq!(find(None, "/opt/none", "http://h/none").as_deref(), Some(A));
    }
}
