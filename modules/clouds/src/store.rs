//! What must outlive a process: the book, the ledger, keys, and what others read (roster, known hosts, SSH configuration).
//! Each is one file, written whole (temporary file, fsync, rename, fsync of the folder) under one lock. A database would
//! bring many writers at once, which the lock already serialises, and files that no person can read.

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Why something was not kept.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("cannot {what} {path}: {error}")]
    Io { what: &'static str, path: String, error: io::Error },
    #[error(
        "{path} is not what was written there: {why}; put a copy back, or remove it and `corpus cloud.query` tells what is there"
    )]
    Broken { path: String, why: String },
    #[error(
        "{path} is not a directory of ours alone; it holds keys: make it mode 700, owned by the user who runs corpus"
    )]
    Open { path: String },
    #[error("the clouds are busy: {0}; the lock frees itself when its owner is dead")]
    Busy(String),
}

/// The folder.
#[derive(Clone, Debug)]
pub struct Store {
    dir: PathBuf,
}

/// The right to write, until dropped.
pub struct Lock {
    _file: File,
}

impl Store {
    /// Names the folder; it is made when something is first written.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// Returns the path of a file in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Makes the folder, or one inside it, which only its owner may look into.
    pub fn make(&self, name: &str) -> Result<PathBuf, StoreError> {
        let path = if name.is_empty() { self.dir.clone() } else { self.dir.join(name) };
        let fail = |error| StoreError::Io { what: "make", path: path.display().to_string(), error };
        DirBuilder::new().recursive(true).mode(0o700).create(&path).map_err(fail)?;
        let meta = std::fs::symlink_metadata(&path).map_err(fail)?;
        if !meta.is_dir() || meta.uid() != rustix::process::geteuid().as_raw() || meta.mode() & 0o077 != 0 {
            return Err(StoreError::Open { path: path.display().to_string() });
        }
        Ok(path)
    }

    /// Takes the lock, or tells who has it. It ends with its owner, however that ends.
    pub fn lock(&self, what: &str) -> Result<Lock, StoreError> {
        self.make("")?;
        let path = self.path("lock");
        let fail = |error| StoreError::Io { what: "lock", path: path.display().to_string(), error };
        let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
        let mut file = open.map_err(fail)?;
        let mut tries = 0;
        loop {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => break,
                Err(Errno::INTR) => {}
                // A program that another thread is starting has all files for the moment until it is itself.
                Err(Errno::WOULDBLOCK) if tries < 20 => {
                    tries += 1;
                    std::thread::sleep(std::time::Duration::from_millis(10));
                }
                Err(Errno::WOULDBLOCK) => {
                    let mut owner = String::new();
                    let _ = file.rewind().and_then(|()| file.read_to_string(&mut owner));
                    return Err(StoreError::Busy(owner.trim().to_owned()));
                }
                Err(error) => return Err(fail(error.into())),
            }
        }
        // Only for people's eyes.
        let line = format!("`{what}` has them (pid {})\n", std::process::id());
        let _ = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| file.write_all(line.as_bytes()));
        Ok(Lock { _file: file })
    }

    /// Reads a record; one that was never written is empty.
    pub fn read<T: DeserializeOwned + Default>(&self, name: &str) -> Result<T, StoreError> {
        let path = self.path(name);
        let shown = path.display().to_string();
        match std::fs::read_to_string(&path) {
            Ok(text) => {
                serde_json::from_str(&text).map_err(|error| StoreError::Broken { path: shown, why: error.to_string() })
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(T::default()),
            Err(error) => Err(StoreError::Io { what: "read", path: shown, error }),
        }
    }

    /// Writes a record.
    pub fn write<T: Serialize>(&self, name: &str, value: &T) -> Result<(), StoreError> {
        let path = self.path(name);
        let mut text = serde_json::to_string_pretty(value).map_err(|error| StoreError::Io {
            what: "write",
            path: path.display().to_string(),
            error: error.into(),
        })?;
        text.push('\n');
        self.write_text(name, &text)
    }

    /// Writes a text: old or new, never partial. The same text again writes nothing.
    pub fn write_text(&self, name: &str, text: &str) -> Result<(), StoreError> {
        self.make("")?;
        let path = self.path(name);
        if std::fs::read_to_string(&path).is_ok_and(|now| now == text) {
            return Ok(());
        }
        replace(&path, text.as_bytes()).map_err(|error| StoreError::Io {
            what: "write",
            path: path.display().to_string(),
            error,
        })
    }
}

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = folder.join(format!(".corpus-{name}-{}", std::process::id()));
    let written = (|| {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&temporary, path)?;
        File::open(folder)?.sync_all()
    })();
    if written.is_err() {
        let _ = std::fs::remove_file(&temporary);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn records_come_back_and_locks_exclude() {
        let place = tempfile::tempdir().expect("a folder");
        let store = Store::new(place.path().join("cloud"));
        assert_eq!(store.read::<Vec<u8>>("x.json").expect("empty"), Vec::<u8>::new());
        store.write("x.json", &vec![1_u8, 2]).expect("written");
        assert_eq!(store.read::<Vec<u8>>("x.json").expect("read"), [1, 2]);
        let mode = std::fs::metadata(store.path("x.json")).expect("meta").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let held = store.lock("guest.create a").expect("the lock");
        let busy = store.lock("guest.create b").err().expect("busy").to_string();
        assert!(busy.contains("`guest.create a` has them (pid"), "{busy}");
        drop(held);
        store.lock("again").expect("the lock");
    }

    #[test]
    fn what_is_not_ours_is_refused() {
        let place = tempfile::tempdir().expect("a folder");
        let store = Store::new(place.path().join("cloud"));
        store.write("x.json", &1).expect("written");
        std::fs::write(store.path("x.json"), "{").expect("written");
        assert!(store.read::<u8>("x.json").expect_err("broken").to_string().contains("x.json is not what was written"));
        std::fs::set_permissions(place.path().join("cloud"), std::fs::Permissions::from_mode(0o755)).expect("a mode");
        assert!(matches!(store.write("x.json", &1), Err(StoreError::Open { .. })));
    }
}
