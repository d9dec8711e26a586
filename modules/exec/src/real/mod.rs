//! The machine this process runs on. [`Real`] is the only implementation of [`Look`] and [`Act`] that
//! reaches an operating system; it needs Linux and nothing else: no libc plug-ins, no Python, no shell.

mod accounts;
mod attrs;
mod run;
mod tree;
mod write;

use corpus_core::host::{
    Act, Command, FileKind, Group, HostError, HostErrorKind, HostResult, Look, Memo, Meta, Output, User,
};
use corpus_core::plan::{Effect, Observed};
use sha2::{Digest, Sha256};
use std::cell::RefCell;
use std::collections::HashMap;
use std::fs;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How files are named while they are written; whatever lists directories may skip them.
pub const TEMP_PREFIX: &str = ".corpus-";
/// How such names end.
pub const TEMP_SUFFIX: &str = ".tmp";

/// Returns the search path of programs: the environment's, and the usual directories that it lacks.
pub fn search_path() -> String {
    run::search_path().to_string_lossy().into_owned()
}

/// This machine.
#[derive(Default)]
pub struct Real {
    accounts: accounts::Accounts,
    memos: Mutex<HashMap<String, (String, Memo)>>,
    /// Contents that were moved to where they are wanted, instead of copied.
    moved: Mutex<HashMap<PathBuf, PathBuf>>,
    /// The digests of those, as long as nobody touches them.
    known: Mutex<HashMap<Stamp, [u8; 32]>>,
    /// Once it is set, no program is started, and those that run are ended.
    stop: Option<Arc<AtomicBool>>,
}

/// Which file it is, and its last change: device, inode, size, and the times of its content and of itself.
type Stamp = (u64, u64, u64, (i64, i64), (i64, i64));

fn stamp(m: &fs::Metadata) -> Stamp {
    (m.dev(), m.ino(), m.size(), (m.mtime(), m.mtime_nsec()), (m.ctime(), m.ctime_nsec()))
}

impl Real {
    /// Makes a view of this machine.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes a view of this machine on which programs end once a flag is set.
    pub fn stopping(stop: Arc<AtomicBool>) -> Self {
        Self { stop: Some(stop), ..Self::default() }
    }

    /// Tells whether all is to stop.
    fn stopped(&self) -> bool {
        self.stop.as_ref().is_some_and(|stop| stop.load(Ordering::Relaxed))
    }

    fn moved(&self) -> MutexGuard<'_, HashMap<PathBuf, PathBuf>> {
        self.moved.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Stamp, [u8; 32]>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of the digest of a file as it is now.
    fn learn(&self, path: &Path, sha256: [u8; 32]) {
        if let Ok(meta) = fs::symlink_metadata(path) {
            self.known().insert(stamp(&meta), sha256);
        }
    }
}

thread_local! {
    /// What files are read through to be hashed. Most are small: clearing a buffer for each costs more than its digest.
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; 64 * 1024]);
}

/// Makes the error of an operation on a path.
fn failed(what: &str, path: &Path, error: &std::io::Error) -> HostError {
    HostError::io(format!("{what} {}", path.display()), error)
}

fn meta(m: &fs::Metadata) -> Meta {
    let kind = match m.file_type() {
        t if t.is_file() => FileKind::File,
        t if t.is_dir() => FileKind::Dir,
        t if t.is_symlink() => FileKind::Symlink,
        _ => FileKind::Other,
    };
    Meta {
        kind,
        mode: m.permissions().mode() & 0o7777,
        uid: m.uid(),
        gid: m.gid(),
        size: m.size(),
        mtime: i128::from(m.mtime()) * 1_000_000_000 + i128::from(m.mtime_nsec()),
        ino: m.ino(),
        dev: m.dev(),
    }
}

/// Nothing there is an answer, not an error; a path through something that is no directory leads nowhere.
fn optional(what: &str, path: &Path, found: std::io::Result<fs::Metadata>) -> HostResult<Option<Meta>> {
    use std::io::ErrorKind as K;
    match found {
        Ok(m) => Ok(Some(meta(&m))),
        Err(e) if matches!(e.kind(), K::NotFound | K::NotADirectory) => Ok(None),
        Err(e) => Err(failed(what, path, &e)),
    }
}

impl Look for Real {
    fn lstat(&self, path: &Path) -> HostResult<Option<Meta>> {
        optional("stat", path, fs::symlink_metadata(path))
    }

    fn stat(&self, path: &Path) -> HostResult<Option<Meta>> {
        optional("stat", path, fs::metadata(path))
    }

    fn read(&self, path: &Path) -> HostResult<Vec<u8>> {
        fs::read(path).map_err(|e| failed("read", path, &e))
    }

    fn sha256(&self, path: &Path) -> HostResult<[u8; 32]> {
        let mut file = fs::File::open(path).map_err(|e| failed("read", path, &e))?;
        let known = self.known();
        if !known.is_empty()
            && let Some(sha256) = file.metadata().ok().and_then(|meta| known.get(&stamp(&meta)).copied())
        {
            return Ok(sha256);
        }
        drop(known);
        let mut hasher = Sha256::new();
        BUFFER.with_borrow_mut(|buffer| {
            loop {
                match file.read(buffer) {
                    Ok(0) => return Ok(hasher.finalize().into()),
                    Ok(n) => hasher.update(&buffer[..n]),
                    Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                    Err(e) => return Err(failed("read", path, &e)),
                }
            }
        })
    }

    fn read_link(&self, path: &Path) -> HostResult<PathBuf> {
        fs::read_link(path).map_err(|e| failed("read link", path, &e))
    }

    fn list(&self, path: &Path) -> HostResult<Vec<String>> {
        let fail = |e: &std::io::Error| failed("list", path, e);
        let mut names = Vec::new();
        for entry in fs::read_dir(path).map_err(|e| fail(&e))? {
            names.push(entry.map_err(|e| fail(&e))?.file_name().to_string_lossy().into_owned());
        }
        names.sort_unstable();
        Ok(names)
    }

    fn query(&self, command: &Command) -> HostResult<Output> {
        run::run(self, command)
    }

    fn user(&self, name: &str) -> HostResult<Option<User>> {
        self.accounts.user(self, name)
    }

    fn user_by_id(&self, uid: u32) -> HostResult<Option<User>> {
        self.accounts.user_by_id(self, uid)
    }

    fn group(&self, name: &str) -> HostResult<Option<Group>> {
        self.accounts.group(self, name)
    }

    fn group_by_id(&self, gid: u32) -> HostResult<Option<Group>> {
        self.accounts.group_by_id(self, gid)
    }

    fn groups(&self) -> HostResult<Vec<Group>> {
        Ok(self.accounts.groups()?.to_vec())
    }

    fn which(&self, program: &str) -> Option<PathBuf> {
        run::find(program, &run::search_path())
    }

    fn memo(&self, key: &str, stamp: &str, make: &mut dyn FnMut() -> HostResult<Memo>) -> HostResult<Memo> {
        let memos = || self.memos.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((kept, memo)) = memos().get(key)
            && kept == stamp
        {
            return Ok(memo.clone());
        }
        // Made without the lock: what makes it may ask for other memos.
        let memo = make()?;
        memos().insert(key.to_owned(), (stamp.to_owned(), memo.clone()));
        Ok(memo)
    }
}

impl Act for Real {
    fn perform(&self, effect: &Effect) -> HostResult<Observed> {
        match effect {
            Effect::WriteFile { path, content, attrs, backup } => {
                write::write_file(self, path, content, attrs, backup.as_deref())?;
            }
            Effect::Mkdir { path, attrs } => tree::mkdir(self, path, attrs)?,
            Effect::Symlink { path, target, attrs } => tree::symlink(self, path, target, attrs)?,
            Effect::Hardlink { path, target } => tree::hardlink(path, target)?,
            Effect::Rename { from, to } => tree::rename(from, to)?,
            Effect::Copy { from, to, preserve } => tree::copy(from, to, *preserve)?,
            Effect::Remove { path } => tree::remove(path)?,
            Effect::Attrs { path, attrs, follow } => attrs::set(self, path, attrs, *follow)?,
            Effect::Times { path, atime, mtime } => attrs::times(path, *atime, *mtime)?,
            Effect::Exec(command) => return Ok(Observed::Ran(run::run(self, command)?)),
            Effect::Call { fun, .. } => {
                return Err(HostError {
                    what: format!("call {fun}"),
                    why: "execution functions are called by the run, not by the machine".into(),
                    kind: HostErrorKind::Other,
                });
            }
        }
        Ok(Observed::Done)
    }

    fn as_look(&self) -> &dyn Look {
        self
    }
}
