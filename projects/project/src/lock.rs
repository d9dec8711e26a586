//! One deployment per project. The lock is an `flock`: it ends with its owner, however that ends, and the file names
//! the owner for those who find it taken.

use crate::{Layout, ProjectError, R, chrono, disk};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::time::Duration;

/// Who deploys.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockOwner {
    pub who: String,
    pub pid: u32,
    pub since: String,
    /// The deployment.
    pub id: String,
    /// What is done: `deploy`, `rollback`, `init_project`…
    pub what: String,
}

impl std::fmt::Display for LockOwner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} by {} (pid {}) since {}", self.what, self.who, self.pid, self.since)
    }
}

/// The lock, held until dropped.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// Why a lock could not be had.
#[derive(Debug)]
pub enum Refused {
    Busy(LockOwner),
    Failed(ProjectError),
}

impl Lock {
    /// Takes the lock, or tells who has it.
    pub fn take(layout: &Layout, who: &str, what: &str, id: &str) -> Result<Self, Refused> {
        let path = layout.corpus.join("lock");
        let failed = |error: std::io::Error| Refused::Failed(ProjectError::io("lock", &path, error));
        disk::private_dir(&layout.corpus).map_err(Refused::Failed)?;
        let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
        let mut file = open.map_err(failed)?;
        let mut tries = 0;
        loop {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => break,
                Err(Errno::INTR) => {}
                // A program that another thread is starting has all files for the moment until it is itself.
                Err(Errno::WOULDBLOCK) if tries < 20 => {
                    tries += 1;
                    std::thread::sleep(Duration::from_millis(10));
                }
                Err(Errno::WOULDBLOCK) => return Err(Refused::Busy(read(&mut file))),
                Err(error) => return Err(failed(error.into())),
            }
        }
        let owner = LockOwner {
            who: who.to_owned(),
            pid: std::process::id(),
            since: chrono::now(),
            id: id.to_owned(),
            what: what.to_owned(),
        };
        let line = serde_json::to_string(&owner).unwrap_or_default();
        // Only for people's eyes: a lock whose owner cannot be written down is a lock all the same.
        let _ = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| file.write_all(line.as_bytes()));
        Ok(Self { _file: file })
    }
}

/// Returns who has a project's lock, if anybody has.
pub fn owner(layout: &Layout) -> Option<LockOwner> {
    let mut file = File::open(layout.corpus.join("lock")).ok()?;
    let free = flock(&file, FlockOperation::NonBlockingLockShared).is_ok();
    (!free).then(|| read(&mut file))
}

/// Makes the error of a lock that another has.
pub fn busy(name: &crate::ProjectName, owner: &LockOwner) -> ProjectError {
    ProjectError::new(format!("the project {name} is busy: {owner}"))
        .hint("wait for it to end; the lock frees itself when its owner is dead")
}

/// Takes the lock, or makes an error of who has it.
pub fn need(layout: &Layout, name: &crate::ProjectName, who: &str, what: &str, id: &str) -> R<Lock> {
    Lock::take(layout, who, what, id).map_err(|refused| match refused {
        Refused::Busy(owner) => busy(name, &owner),
        Refused::Failed(error) => error,
    })
}

fn read(file: &mut File) -> LockOwner {
    // Whoever has just taken it is about to write its name.
    for _ in 0..20 {
        let mut text = String::new();
        if file.rewind().and_then(|()| file.read_to_string(&mut text)).is_ok()
            && let Ok(owner) = serde_json::from_str(&text)
        {
            return owner;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    LockOwner { who: "somebody".into(), what: "a deployment".into(), ..LockOwner::default() }
}
