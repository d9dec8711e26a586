//! Copies of trees, as cheap as the file system allows: shared blocks where it can, else copies within the kernel.
//! Content, modes, owners, times, ACLs and extended attributes are those of the original; nothing is hard-linked.

use crate::{ProjectError, R};
use rustix::fs::{AtFlags, CWD, FileType, Gid, Mode, Timespec, Timestamps, Uid, XattrFlags};
use std::collections::VecDeque;
use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// What was copied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    pub files: u64,
    pub bytes: u64,
    /// Files whose blocks are shared with the original.
    pub shared: u64,
}

/// Copies a tree to where nothing is.
pub fn tree(from: &Path, to: &Path) -> R<Copied> {
    let meta = std::fs::symlink_metadata(from).map_err(|error| ProjectError::io("read", from, error))?;
    if !meta.is_dir() {
        return Err(ProjectError::new(format!("{} is no directory", from.display())));
    }
    let work = Work::default();
    make_dir(to).map_err(|error| ProjectError::io("make", to, error))?;
    work.push((from.to_owned(), to.to_owned()));
    let threads = std::thread::available_parallelism().map_or(2, |n| n.get()).clamp(2, 8);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| work.run());
        }
    });
    if let Some(error) = lock(&work.failed).take() {
        return Err(error);
    }
    // Directories last, deepest first: what is put into one changes its time.
    let mut dirs = std::mem::take(&mut *lock(&work.dirs));
    dirs.sort_by_key(|(_, to)| std::cmp::Reverse(to.as_os_str().len()));
    for (from, to) in dirs.iter().chain([&(from.to_owned(), to.to_owned())]) {
        let meta = std::fs::symlink_metadata(from).map_err(|error| ProjectError::io("read", from, error))?;
        attributes(from, to, &meta).map_err(|error| ProjectError::io("copy", from, error))?;
    }
    let count = |number: &AtomicU64| number.load(Ordering::Relaxed);
    Ok(Copied { files: count(&work.files), bytes: count(&work.bytes), shared: count(&work.shared) })
}

/// Copies one file to where nothing is.
pub fn file(from: &Path, to: &Path) -> R<()> {
    let fail = |error| ProjectError::io("copy", from, error);
    let meta = std::fs::symlink_metadata(from).map_err(fail)?;
    Work::default().one(from, to, &meta).map_err(fail)
}

type Pair = (PathBuf, PathBuf);

#[derive(Default)]
struct Work {
    queue: Mutex<(VecDeque<Pair>, usize)>,
    more: Condvar,
    dirs: Mutex<Vec<Pair>>,
    failed: Mutex<Option<ProjectError>>,
    no_reflink: AtomicBool,
    files: AtomicU64,
    bytes: AtomicU64,
    shared: AtomicU64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Work {
    fn push(&self, pair: Pair) {
        lock(&self.queue).0.push_back(pair);
        self.more.notify_one();
    }

    fn run(&self) {
        while let Some((from, to)) = self.next() {
            if let Err(error) = self.directory(&from, &to) {
                lock(&self.failed).get_or_insert(error);
            }
            let mut queue = lock(&self.queue);
            queue.1 -= 1;
            if queue.1 == 0 && queue.0.is_empty() {
                self.more.notify_all();
            }
        }
    }

    fn next(&self) -> Option<Pair> {
        let mut queue = lock(&self.queue);
        loop {
            if lock(&self.failed).is_some() {
                queue.0.clear();
            }
            if let Some(pair) = queue.0.pop_front() {
                queue.1 += 1;
                return Some(pair);
            }
            if queue.1 == 0 {
                self.more.notify_all();
                return None;
            }
            queue = self.more.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn directory(&self, from: &Path, to: &Path) -> R<()> {
        let entries = std::fs::read_dir(from).map_err(|error| ProjectError::io("list", from, error))?;
        for entry in entries {
            let entry = entry.map_err(|error| ProjectError::io("list", from, error))?;
            let (source, target) = (entry.path(), to.join(entry.file_name()));
            let fail = |error| ProjectError::io("copy", &source, error);
            let meta = entry.metadata().map_err(fail)?;
            if meta.is_dir() {
                make_dir(&target).map_err(fail)?;
                lock(&self.dirs).push((source.clone(), target.clone()));
                self.push((source, target));
                continue;
            }
            self.one(&source, &target, &meta).map_err(fail)?;
        }
        Ok(())
    }

    fn one(&self, from: &Path, to: &Path, meta: &Metadata) -> io::Result<()> {
        let kind = meta.file_type();
        if kind.is_file() {
            self.file(from, to, meta)?;
        } else if kind.is_symlink() {
            std::os::unix::fs::symlink(std::fs::read_link(from)?, to)?;
        } else {
            let kind = match kind {
                kind if kind.is_fifo() => FileType::Fifo,
                kind if kind.is_socket() => FileType::Socket,
                kind if kind.is_block_device() => FileType::BlockDevice,
                _ => FileType::CharacterDevice,
            };
            rustix::fs::mknodat(CWD, to, kind, Mode::from_raw_mode(meta.mode() & 0o7777), meta.rdev())?;
        }
        attributes(from, to, meta)
    }

    fn file(&self, from: &Path, to: &Path, meta: &Metadata) -> io::Result<()> {
        let mut source = File::open(from)?;
        let mut target = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to)?;
        self.files.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(meta.len(), Ordering::Relaxed);
        if meta.len() == 0 {
            return Ok(());
        }
        if !self.no_reflink.load(Ordering::Relaxed) {
            match rustix::fs::ioctl_ficlone(&target, &source) {
                Ok(()) => {
                    self.shared.fetch_add(1, Ordering::Relaxed);
                    return Ok(());
                }
                // Once it cannot, it cannot for the next file either; asking costs a system call each.
                Err(_) => self.no_reflink.store(true, Ordering::Relaxed),
            }
        }
        // `copy_file_range`, which keeps the bytes in the kernel.
        io::copy(&mut source, &mut target).map(|_| ())
    }
}

fn make_dir(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().mode(0o700).create(path)
}

/// Gives a copy the owner, the mode, the extended attributes and the times of its original, in this order: a change of
/// owner takes bits from the mode, and the times are changed by all of them.
fn attributes(from: &Path, to: &Path, meta: &Metadata) -> io::Result<()> {
    let link = meta.file_type().is_symlink();
    let now = std::fs::symlink_metadata(to)?;
    if (now.uid(), now.gid()) != (meta.uid(), meta.gid()) {
        let (uid, gid) = (Uid::from_raw(meta.uid()), Gid::from_raw(meta.gid()));
        rustix::fs::chownat(CWD, to, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
    }
    if !link {
        rustix::fs::chmodat(CWD, to, Mode::from_raw_mode(meta.mode() & 0o7777), AtFlags::empty())?;
    }
    xattrs(from, to)?;
    let time = |seconds, nanos| Timespec { tv_sec: seconds, tv_nsec: nanos };
    let times = Timestamps {
        last_access: time(meta.atime(), meta.atime_nsec() as _),
        last_modification: time(meta.mtime(), meta.mtime_nsec() as _),
    };
    Ok(rustix::fs::utimensat(CWD, to, &times, AtFlags::SYMLINK_NOFOLLOW)?)
}

/// Copies extended attributes, of which ACLs are some.
fn xattrs(from: &Path, to: &Path) -> io::Result<()> {
    let mut names = Vec::with_capacity(256);
    let length = match rustix::fs::llistxattr(from, rustix::buffer::spare_capacity(&mut names)) {
        Ok(length) => length,
        Err(rustix::io::Errno::NOTSUP) => return Ok(()),
        Err(rustix::io::Errno::RANGE) => {
            names.reserve(65_536);
            rustix::fs::llistxattr(from, rustix::buffer::spare_capacity(&mut names))?
        }
        Err(error) => return Err(error.into()),
    };
    for name in names[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        let mut value = Vec::with_capacity(65_536);
        match rustix::fs::lgetxattr(from, name, rustix::buffer::spare_capacity(&mut value)) {
            Ok(_) => rustix::fs::lsetxattr(to, name, &value, XattrFlags::empty())?,
            Err(rustix::io::Errno::NODATA) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
