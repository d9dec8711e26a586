//! One writing run per machine. The lock is an `flock`, so that it ends with its owner, however that ends;
//! the file names the owner for those who find it taken.

use crate::disk;
use corpus_core::RunOptions;
use corpus_wire::{Busy, WireError};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often a run that waits for another looks again.
const PAUSE: Duration = Duration::from_millis(100);

/// The right to change this machine, until dropped.
pub struct RunLock {
    _file: File,
}

/// Returns where the machine's lock is: one place for all of root's programs, else beside the cache.
pub fn place(cache: &Path) -> PathBuf {
    if rustix::process::geteuid().is_root() { PathBuf::from("/run/corpus/run.lock") } else { cache.join("run.lock") }
}

impl RunLock {
    /// Takes the lock, or tells who has it. With `queue`, waits until `cancelled`.
    pub fn take(
        path: &Path,
        options: &RunOptions,
        who: &str,
        queue: bool,
        cancelled: &dyn Fn() -> bool,
    ) -> Result<Self, WireError> {
        let failed = |error: std::io::Error| WireError::Failed(format!("lock {}: {error}", path.display()));
        let mut file = open(path).map_err(failed)?;
        loop {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => break,
                Err(Errno::WOULDBLOCK) if queue && !cancelled() => std::thread::sleep(PAUSE),
                Err(Errno::WOULDBLOCK) => return Err(WireError::Busy(owner(&mut file))),
                Err(Errno::INTR) => {}
                Err(error) => return Err(failed(error.into())),
            }
        }
        let (pid, since) = (std::process::id(), disk::now());
        let line = serde_json::json!({ "pid": pid, "jid": options.jid, "who": who, "since": since });
        // Only for people's eyes: a lock whose owner cannot be written down is a lock all the same.
        let _ = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{line}"));
        Ok(Self { _file: file })
    }

    /// Returns who has the lock, if anybody has.
    pub fn holder(path: &Path) -> Option<Busy> {
        let mut file = OpenOptions::new().read(true).open(path).ok()?;
        let free = flock(&file, FlockOperation::NonBlockingLockShared).is_ok();
        (!free).then(|| owner(&mut file))
    }
}

fn open(path: &Path) -> std::io::Result<File> {
    if let Some(folder) = path.parent() {
        disk::private_dir(folder)?;
    }
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

fn owner(file: &mut File) -> Busy {
    let mut found = serde_json::Value::Null;
    // Whoever has just taken it is about to write its name.
    for _ in 0..10 {
        let mut text = String::new();
        let _ = file.rewind();
        let _ = file.read_to_string(&mut text);
        match serde_json::from_str(&text) {
            Ok(read) => {
                found = read;
                break;
            }
            Err(_) => std::thread::sleep(PAUSE / 10),
        }
    }
    let word = |key: &str| found[key].as_str().unwrap_or("unknown").to_owned();
    let pid = found["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok()).unwrap_or(0);
    Busy { jid: word("jid"), who: word("who"), since: word("since"), pid }
}
