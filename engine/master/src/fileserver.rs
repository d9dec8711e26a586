//! Files by their digest: of the state tree, fetched from elsewhere, or rendered for one minion.

use corpus_core::digest::hex;
use corpus_core::{FileRef, SourceError, secret};
use corpus_minion::private_dir;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::fs::{File, Metadata};
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A file's identity; as long as it is the same, so is the digest.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    ino: u64,
    size: u64,
    mtime: (i64, i64),
}

impl Stamp {
    fn of(meta: &Metadata) -> Self {
        Self { ino: meta.ino(), size: meta.size(), mtime: (meta.mtime(), meta.mtime_nsec()) }
    }
}

/// A digest, and the file that it is of.
type Digest256 = (Stamp, [u8; 32]);

/// What all sessions of a process know of files.
pub struct FileServer {
    cache: PathBuf,
    /// Each file under a lock of its own: of many sessions that ask at once, one computes.
    digests: Mutex<HashMap<PathBuf, Arc<Mutex<Option<Digest256>>>>>,
    texts: Mutex<HashMap<PathBuf, (Stamp, Arc<str>)>>,
    /// One download at a time per URL, and once per process.
    downloads: Mutex<HashMap<String, PathBuf>>,
}

impl FileServer {
    /// Makes a file server that keeps what it downloads and renders under `cache`.
    pub fn new(cache: PathBuf) -> Self {
        Self { cache, digests: Mutex::default(), texts: Mutex::default(), downloads: Mutex::default() }
    }

    /// Describes a file of this machine.
    pub fn describe(&self, path: &Path, url: &str) -> Result<FileRef, SourceError> {
        let fail = |error: std::io::Error| SourceError::Failed(format!("read {}: {error}", path.display()));
        let slot = lock(&self.digests).entry(path.to_owned()).or_default().clone();
        let mut slot = lock(&slot);
        let mut meta = std::fs::metadata(path).map_err(fail)?;
        let known = slot.filter(|(stamp, _)| *stamp == Stamp::of(&meta)).map(|(_, digest)| digest);
        let sha256 = match known {
            Some(digest) => digest,
            None => {
                let mut file = File::open(path).map_err(fail)?;
                meta = file.metadata().map_err(fail)?;
                let digest = sha256_of(&mut file).map_err(fail)?;
                *slot = Some((Stamp::of(&meta), digest));
                digest
            }
        };
        Ok(FileRef { url: url.to_owned(), sha256, size: meta.size(), mode: meta.permissions().mode() & 0o7777 })
    }

    /// Reads a template with its mode; the text is kept while the file stays as it is.
    pub fn text(&self, path: &Path, url: &str) -> Result<(Arc<str>, u32), SourceError> {
        let fail = |error: std::io::Error| SourceError::Failed(format!("read {}: {error}", path.display()));
        let mut meta = std::fs::metadata(path).map_err(fail)?;
        let mode = |meta: &Metadata| meta.permissions().mode() & 0o7777;
        if let Some((_, text)) = lock(&self.texts).get(path).filter(|(stamp, _)| *stamp == Stamp::of(&meta)) {
            return Ok((text.clone(), mode(&meta)));
        }
        let mut file = File::open(path).map_err(fail)?;
        meta = file.metadata().map_err(fail)?;
        let mut bytes = vec![];
        file.read_to_end(&mut bytes).map_err(fail)?;
        let text = String::from_utf8(bytes);
        let text: Arc<str> =
            text.map_err(|_| SourceError::Failed(format!("{url}: a template must be UTF-8 text")))?.into();
        lock(&self.texts).insert(path.to_owned(), (Stamp::of(&meta), text.clone()));
        Ok((text, mode(&meta)))
    }

    /// Keeps bytes under their digest, so that they can be read from a path.
    pub fn keep(&self, digest: &[u8; 32], bytes: &[u8]) -> Result<PathBuf, SourceError> {
        let folder = self.cache.join("files");
        let path = folder.join(hex(digest));
        let keep = || -> std::io::Result<()> {
            if path.exists() {
                return Ok(());
            }
            private_dir(&folder)?;
            let mut temp = tempfile::NamedTempFile::new_in(&folder)?;
            std::io::Write::write_all(&mut temp, bytes)?;
            temp.persist(&path)?;
            Ok(())
        };
        keep().map_err(|error| SourceError::Failed(format!("write {}: {error}", path.display())))?;
        Ok(path)
    }

    /// Fetches a URL with the system's own client, once per process.
    pub fn download(&self, url: &str) -> Result<PathBuf, SourceError> {
        let mut downloads = lock(&self.downloads);
        if let Some(path) = downloads.get(url) {
            return Ok(path.clone());
        }
        let fail = |why: String| SourceError::Failed(format!("Failed to cache {url}: {why}"));
        let folder = self.cache.join("downloads");
        private_dir(&folder).map_err(|error| fail(error.to_string()))?;
        let temp = tempfile::NamedTempFile::new_in(&folder).map_err(|error| fail(error.to_string()))?;
        // The address may hold a password: it is neither an argument nor shown.
        let credentials = url.split_once("://").and_then(|(_, rest)| rest.split(['/', '?']).next()?.rsplit_once('@'));
        secret::keep(
            credentials.and_then(|(credentials, _)| credentials.split_once(':')).map(|(_, password)| password),
        );
        let mut child = Command::new("curl")
            .args(["--fail", "--silent", "--show-error", "--location", "--proto", "=http,https,ftp", "--output"])
            .arg(temp.path())
            .args(["--config", "-"])
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| fail(format!("cannot run curl: {error}")))?;
        let quoted = url.replace('\\', "\\\\").replace('"', "\\\"").replace(['\n', '\r'], " ");
        if let Some(mut stdin) = child.stdin.take() {
            // One that ends early is told of by its own words.
            let _ = stdin.write_all(format!("url = \"{quoted}\"\n").as_bytes());
        }
        let output = child.wait_with_output().map_err(|error| fail(format!("cannot run curl: {error}")))?;
        if !output.status.success() {
            return Err(fail(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
        }
        let path = folder.join(hex(&corpus_core::digest::sha256(url.as_bytes())));
        temp.persist(&path).map_err(|error| fail(error.to_string()))?;
        downloads.insert(url.to_owned(), path.clone());
        Ok(path)
    }
}

/// Locks even after a panic elsewhere: the maps are only caches.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn sha256_of(file: &mut File) -> std::io::Result<[u8; 32]> {
    let mut hasher = Sha256::new();
    let mut buffer = [0; 16 * 1024];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hasher.finalize().into()),
            n => hasher.update(&buffer[..n]),
        }
    }
}
