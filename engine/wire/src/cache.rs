//! The minion's store of file contents, by digest: `<cache>/files/<2 digits>/<62 digits>`. A file is there
//! whole and verified, or not at all.

use corpus_core::digest::hex;
use corpus_core::{FileRef, SourceError};
use sha2::{Digest, Sha256};
use std::collections::HashSet;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Contents up to this size are hashed again before they are used, which costs next to nothing.
const CHEAP: u64 = 1 << 20;

/// A store of file contents.
pub struct Cache {
    root: PathBuf,
    counter: AtomicU32,
    /// What came in this process, which no power cut can have harmed since.
    fresh: Mutex<HashSet<[u8; 32]>>,
}

impl Cache {
    /// Opens the store below a directory, which is made when the first file comes.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), counter: AtomicU32::new(0), fresh: Mutex::default() }
    }

    /// Returns where a content is kept, or would be.
    pub fn place(&self, sha256: &[u8; 32]) -> PathBuf {
        let name = hex(sha256);
        let (folder, rest) = name.split_at(2);
        self.root.join("files").join(folder).join(rest)
    }

    /// Finds a content that is there and whole.
    pub fn find(&self, file: &FileRef) -> Option<PathBuf> {
        let place = self.place(&file.sha256);
        let meta = fs::symlink_metadata(&place).ok()?;
        let sure = file.size > CHEAP || self.fresh().contains(&file.sha256);
        let whole = meta.is_file() && meta.len() == file.size && (sure || sha256(&place)? == file.sha256);
        whole.then_some(place)
    }

    /// Takes in a content, piece by piece; `next` is told how much is still to come, and returns `None` if nothing is.
    pub fn receive(
        &self,
        file: &FileRef,
        next: &mut dyn FnMut(u64) -> Result<Option<Vec<u8>>, SourceError>,
    ) -> Result<PathBuf, SourceError> {
        let place = self.place(&file.sha256);
        let folder = place.parent().unwrap_or(&self.root).to_owned();
        let number = self.counter.fetch_add(1, Ordering::Relaxed);
        let temporary = folder.join(format!(".{}.{number}.part", std::process::id()));
        let failed = |error: io::Error| SourceError::Failed(format!("write {}: {error}", place.display()));
        DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(failed)?;
        let done =
            self.fill(file, &temporary, next, &failed).and_then(|()| fs::rename(&temporary, &place).map_err(failed));
        if done.is_err() {
            let _ = fs::remove_file(&temporary);
        }
        done?;
        self.fresh().insert(file.sha256);
        Ok(place)
    }

    /// Tells whether a content is large and came in this process: to copy it would be to write it twice.
    pub fn spare(&self, file: &FileRef) -> bool {
        file.size > CHEAP && self.fresh().contains(&file.sha256)
    }

    fn fresh(&self) -> MutexGuard<'_, HashSet<[u8; 32]>> {
        self.fresh.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fill(
        &self,
        file: &FileRef,
        temporary: &Path,
        next: &mut dyn FnMut(u64) -> Result<Option<Vec<u8>>, SourceError>,
        failed: &dyn Fn(io::Error) -> SourceError,
    ) -> Result<(), SourceError> {
        let mut out =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(temporary).map_err(failed)?;
        let mut digest = Sha256::new();
        let mut size = 0;
        while size < file.size {
            let Some(piece) = next(file.size - size)? else { break };
            size += piece.len() as u64;
            digest.update(&piece);
            out.write_all(&piece).map_err(failed)?;
        }
        let have: [u8; 32] = digest.finalize().into();
        if size != file.size || have != file.sha256 {
            let what = if file.url.is_empty() { "rendered text" } else { &file.url };
            return Err(SourceError::Failed(format!(
                "{what}: the content that came ({size} bytes, SHA-256 {}) is not the one that was promised ({} bytes, {}); \
                 the file changed while it was sent: run again",
                hex(&have),
                file.size,
                hex(&file.sha256)
            )));
        }
        // Small files are hashed before each use; a large one must not survive a power cut half-written.
        if file.size > CHEAP { out.sync_data().map_err(failed) } else { Ok(()) }
    }
}

/// Computes the SHA-256 of a file without holding it in memory.
pub fn sha256(path: &Path) -> Option<[u8; 32]> {
    let mut file = File::open(path).ok()?;
    let mut digest = Sha256::new();
    // On the stack: clearing a large buffer costs more than hashing a small file.
    let mut buffer = [0; 16 * 1024];
    loop {
        match file.read(&mut buffer).ok()? {
            0 => return Some(digest.finalize().into()),
            n => digest.update(&buffer[..n]),
        }
    }
}
