//! Known host keys: OpenSSH's file format with plain, hashed and wildcard names, `[host]:port`, negation and
//! `@revoked`. Keys of certificate authorities are skipped: host certificates are not asked for.

use crate::config::glob;
use corpus_core::digest::unbase64;
use russh::keys::{Algorithm, HashAlg, PublicKey};
use sha1::{Digest, Sha1};
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

/// What the files say of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Known,
    /// No key of this host is known.
    Unknown,
    /// Another key of this host is known.
    Changed {
        file: PathBuf,
        line: usize,
    },
    Revoked {
        file: PathBuf,
        line: usize,
    },
}

/// An entry that names the host asked for.
#[derive(Clone, Debug)]
pub struct Entry {
    pub file: PathBuf,
    pub line: usize,
    pub revoked: bool,
    pub key: PublicKey,
}

/// Returns the name under which a host's keys are kept.
pub fn name(host: &str, port: u16) -> String {
    if port == 22 { host.to_lowercase() } else { format!("[{}]:{port}", host.to_lowercase()) }
}

/// Finds all entries of a host.
pub fn entries(files: &[PathBuf], name: &str) -> Vec<Entry> {
    let mut out = Vec::new();
    for file in files {
        // Salt and OpenSSH alike: a file that is not there says nothing. One that cannot be read knows nobody,
        // which stops the connection rather than weakening the check.
        let text = std::fs::read(file).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
        for (number, line) in text.lines().enumerate() {
            out.extend(entry(line, name).map(|(revoked, key)| Entry {
                file: file.clone(),
                line: number + 1,
                revoked,
                key,
            }));
        }
    }
    out
}

/// Judges a key by the entries of its host.
pub fn judge(entries: &[Entry], key: &PublicKey) -> Verdict {
    let same = |entry: &&Entry| entry.key.key_data() == key.key_data();
    if let Some(entry) = entries.iter().filter(same).find(|entry| entry.revoked) {
        return Verdict::Revoked { file: entry.file.clone(), line: entry.line };
    }
    let valid = || entries.iter().filter(|entry| !entry.revoked);
    if valid().any(|entry| same(&entry)) {
        return Verdict::Known;
    }
    // The connection asks for the algorithms that are known, so an unknown one means that they are gone.
    match valid().find(|entry| entry.key.algorithm() == key.algorithm()).or_else(|| valid().next()) {
        Some(entry) => Verdict::Changed { file: entry.file.clone(), line: entry.line },
        None => Verdict::Unknown,
    }
}

/// Puts the algorithms of known keys first, so that the server shows a key which can be checked.
pub fn prefer(algorithms: &[Algorithm], entries: &[Entry]) -> Vec<Algorithm> {
    let same = |a: &Algorithm, b: &Algorithm| match (a, b) {
        (Algorithm::Rsa { .. }, Algorithm::Rsa { .. }) => true,
        _ => a == b,
    };
    let known = |a: &Algorithm| entries.iter().any(|entry| !entry.revoked && same(a, &entry.key.algorithm()));
    let (first, rest): (Vec<_>, Vec<_>) = algorithms.iter().cloned().partition(known);
    first.into_iter().chain(rest).collect()
}

/// Appends a key.
pub fn learn(file: &Path, name: &str, key: &PublicKey) -> Result<(), String> {
    let say = |error: std::io::Error| error.to_string();
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder).map_err(say)?;
    }
    let text = key.to_openssh().map_err(|error| error.to_string())?;
    let mut words = text.split_whitespace();
    let (kind, base64) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    // A last line without an end would swallow ours.
    let open_end = std::fs::read(file).is_ok_and(|have| have.last().is_some_and(|last| *last != b'\n'));
    let line = format!("{}{name} {kind} {base64}\n", if open_end { "\n" } else { "" });
    let mut out = OpenOptions::new().create(true).append(true).open(file).map_err(say)?;
    out.write_all(line.as_bytes()).map_err(say)
}

/// Returns the fingerprint as OpenSSH prints it, `SHA256:…`.
pub fn fingerprint(key: &PublicKey) -> String {
    key.fingerprint(HashAlg::Sha256).to_string()
}

/// Reads a line, if it names the host.
fn entry(line: &str, name: &str) -> Option<(bool, PublicKey)> {
    let mut words = line.split_whitespace();
    let mut names = words.next().filter(|word| !word.starts_with('#'))?;
    let mut revoked = false;
    if names.starts_with('@') {
        revoked = names == "@revoked";
        if !revoked {
            return None;
        }
        names = words.next()?;
    }
    if !named(names, name) {
        return None;
    }
    let (kind, base64) = (words.next()?, words.next()?);
    Some((revoked, PublicKey::from_openssh(&format!("{kind} {base64}")).ok()?))
}

fn named(names: &str, name: &str) -> bool {
    let mut any = false;
    for pattern in names.split(',') {
        if let Some(hashed) = pattern.strip_prefix("|1|") {
            any |= is_hash_of(hashed, name);
        } else if let Some(negated) = pattern.strip_prefix('!') {
            if glob(negated, name) {
                return false;
            }
        } else {
            any |= glob(pattern, name);
        }
    }
    any
}

/// Checks `salt|hash`: HMAC-SHA1 of the name under the salt.
fn is_hash_of(hashed: &str, name: &str) -> bool {
    let parts = hashed.split_once('|').and_then(|(salt, hash)| Some((unbase64(salt)?, unbase64(hash)?)));
    parts.is_some_and(|(salt, hash)| salt.len() <= 64 && hmac_sha1(&salt, name.as_bytes()) == hash)
}

fn hmac_sha1(key: &[u8], message: &[u8]) -> Vec<u8> {
    let pad = |with: u8| {
        let mut block = [with; 64];
        block.iter_mut().zip(key).for_each(|(b, k)| *b ^= k);
        block
    };
    let inner = Sha1::new().chain_update(pad(0x36)).chain_update(message).finalize();
    Sha1::new().chain_update(pad(0x5c)).chain_update(inner).finalize().to_vec()
}
