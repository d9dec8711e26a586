//! Copies of trees, as cheap as the file system allows: shared blocks where it can, else copies within the kernel.
//! Content, modes, owners, times, ACLs and extended attributes are those of the original; nothing is hard-linked.

use crate::{ProjectError, R, stop};
use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Gid, Mode, OFlags, SeekFrom, Stat, Timespec, Timestamps, Uid, XattrFlags,
};
use std::collections::VecDeque;
use std::ffi::{CStr, CString, OsStr};
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read, Seek};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};

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
    tree_until(from, to, None)
}

/// Copies a tree to where nothing is, unless it is told to stop: then it is an error, and what there is of the copy
/// is of no use.
pub fn tree_until(from: &Path, to: &Path, stop: Option<&AtomicBool>) -> R<Copied> {
    let meta = std::fs::symlink_metadata(from).map_err(|error| ProjectError::io("read", from, error))?;
    if !meta.is_dir() {
        return Err(ProjectError::new(format!("{} is no directory", from.display())));
    }
    let work = Work { stop, ..Work::default() };
    make_dir(to).map_err(|error| ProjectError::io("make", to, error))?;
    work.push((from.to_owned(), to.to_owned()));
    let threads = std::thread::available_parallelism().map_or(2, |n| n.get()).clamp(4, 16);
    // More than there are processors: most of them wait for the disk.
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

/// Copies one file, or what else is no directory, to where nothing is.
pub fn file(from: &Path, to: &Path) -> R<()> {
    let fail = |error| ProjectError::io("copy", from, error);
    let meta = std::fs::symlink_metadata(from).map_err(fail)?;
    if !meta.is_file() {
        return odd(from, to, &meta).map_err(fail);
    }
    let (mut source, mut target) = (
        File::open(from).map_err(fail)?,
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(to).map_err(fail)?,
    );
    if rustix::fs::ioctl_ficlone(&target, &source).is_err() {
        io::copy(&mut source, &mut target).map_err(fail)?;
    }
    attributes(from, to, &meta).map_err(fail)
}

type Pair = (PathBuf, PathBuf);

#[derive(Default)]
struct Work<'a> {
    stop: Option<&'a AtomicBool>,
    queue: Mutex<(VecDeque<Pair>, usize)>,
    more: Condvar,
    dirs: Mutex<Vec<Pair>>,
    failed: Mutex<Option<ProjectError>>,
    no_reflink: AtomicBool,
    umask: OnceLock<Mode>,
    files: AtomicU64,
    bytes: AtomicU64,
    shared: AtomicU64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Work<'_> {
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
        let fail = |error: io::Error| ProjectError::io("copy", from, error);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let open = |path: &Path| rustix::fs::openat(CWD, path, flags, Mode::empty());
        let (source, target) = (open(from).map_err(|e| fail(e.into()))?, open(to).map_err(|e| fail(e.into()))?);
        // By inode, which is how they lie on the disk; a directory's own order is that of a hash.
        let mut names: Vec<(u64, CString)> = vec![];
        for entry in Dir::read_from(&source).map_err(|e| fail(e.into()))? {
            let entry = entry.map_err(|e| fail(e.into()))?;
            if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
                names.push((entry.ino(), entry.file_name().to_owned()));
            }
        }
        names.sort_unstable();
        let mut buffer = vec![];
        for (_, name) in names {
            stop::check(self.stop)?;
            let path = || from.join(OsStr::from_bytes(name.to_bytes()));
            let fail = |error: io::Error| ProjectError::io("copy", &path(), error);
            let stat = rustix::fs::statat(&source, &name, AtFlags::SYMLINK_NOFOLLOW).map_err(|e| fail(e.into()))?;
            match FileType::from_raw_mode(stat.st_mode) {
                FileType::Directory => {
                    rustix::fs::mkdirat(&target, &name, Mode::RWXU).map_err(|e| fail(e.into()))?;
                    let to = to.join(OsStr::from_bytes(name.to_bytes()));
                    lock(&self.dirs).push((path(), to.clone()));
                    self.push((path(), to));
                }
                FileType::RegularFile => {
                    self.file((&source, &target), &name, &stat, &mut buffer).map_err(fail)?;
                }
                _ => {
                    let to = to.join(OsStr::from_bytes(name.to_bytes()));
                    std::fs::symlink_metadata(path()).and_then(|meta| odd(&path(), &to, &meta)).map_err(fail)?;
                }
            }
        }
        Ok(())
    }

    fn file(&self, (from, to): (&OwnedFd, &OwnedFd), name: &CStr, stat: &Stat, buffer: &mut Vec<u8>) -> io::Result<()> {
        let source =
            rustix::fs::openat(from, name, OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(stat.st_mode & 0o7777);
        // Nobody else comes as far as here: the directories get their modes at the end.
        let created = mode & Mode::from_raw_mode(0o777) & !self.umask();
        let target = rustix::fs::openat(to, name, flags, created)?;
        self.files.fetch_add(1, Ordering::Relaxed);
        let length = u64::try_from(stat.st_size).unwrap_or(0);
        self.bytes.fetch_add(length, Ordering::Relaxed);
        if length > 0 && !self.share(&source, &target) {
            let sparse = u64::try_from(stat.st_blocks).unwrap_or(0).saturating_mul(512) < length;
            content(&source, &target, length, sparse, buffer)?;
        }
        let now = rustix::fs::fstat(&target)?;
        let mut given = false;
        if (now.st_uid, now.st_gid) != (stat.st_uid, stat.st_gid) {
            let (uid, gid) = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
            rustix::fs::fchown(&target, Some(uid), Some(gid))?;
            // A change of owner takes bits from the mode.
            given = true;
        }
        if given || created != mode {
            rustix::fs::fchmod(&target, mode)?;
        }
        xattrs(&Handle::Open(&source), &Handle::Open(&target))?;
        Ok(rustix::fs::futimens(&target, &times(stat.st_atime, stat.st_atime_nsec, stat.st_mtime, stat.st_mtime_nsec))?)
    }

    /// Shares the blocks, where the file system can.
    fn share(&self, source: &OwnedFd, target: &OwnedFd) -> bool {
        if self.no_reflink.load(Ordering::Relaxed) {
            return false;
        }
        let done = rustix::fs::ioctl_ficlone(target, source).is_ok();
        if done {
            self.shared.fetch_add(1, Ordering::Relaxed);
        } else {
            // Once it cannot, it cannot for the next file either; asking costs a system call each.
            self.no_reflink.store(true, Ordering::Relaxed);
        }
        done
    }

    /// Returns which bits the process takes from the modes of what it makes. It can only be read by setting it, but here.
    fn umask(&self) -> Mode {
        *self.umask.get_or_init(|| {
            let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
            let bits = status.lines().find_map(|line| u32::from_str_radix(line.strip_prefix("Umask:")?.trim(), 8).ok());
            // Not known: all bits are taken, so that the mode is set.
            Mode::from_raw_mode(bits.unwrap_or(0o777))
        })
    }
}

/// So much is read and written at once; what is larger stays within the kernel.
const SMALL: u64 = 256 << 10;

/// Copies what a file holds; what it does not hold is a hole in the copy, too.
fn content(source: &OwnedFd, target: &OwnedFd, length: u64, sparse: bool, buffer: &mut Vec<u8>) -> io::Result<()> {
    if sparse {
        return holes(source, target, length);
    }
    if length > SMALL {
        return span(source, target, 0, length);
    }
    let size = usize::try_from(length).unwrap_or(0);
    buffer.resize(size, 0);
    let (mut read, mut written) = (0, 0);
    while read < size {
        match rustix::io::retry_on_intr(|| rustix::io::read(source, &mut buffer[read..size]))? {
            // It has become shorter: somebody writes it.
            0 => break,
            n => read += n,
        }
    }
    while written < read {
        written += rustix::io::retry_on_intr(|| rustix::io::write(target, &buffer[written..read]))?;
    }
    Ok(())
}

/// Copies a span within the kernel, or where that cannot be, through this process.
fn span(source: &OwnedFd, target: &OwnedFd, from: u64, to: u64) -> io::Result<()> {
    let (mut input, mut output) = (from, from);
    while input < to {
        let want = usize::try_from(to - input).unwrap_or(usize::MAX).min(1 << 30);
        match rustix::fs::copy_file_range(source, Some(&mut input), target, Some(&mut output), want) {
            Ok(0) => break,
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(
                rustix::io::Errno::XDEV
                | rustix::io::Errno::NOSYS
                | rustix::io::Errno::OPNOTSUPP
                | rustix::io::Errno::INVAL,
            ) => {
                let (mut source, mut target) = (File::from(source.try_clone()?), File::from(target.try_clone()?));
                source.seek(io::SeekFrom::Start(input))?;
                target.seek(io::SeekFrom::Start(output))?;
                return io::copy(&mut source.take(to - input), &mut target).map(drop);
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn holes(source: &OwnedFd, target: &OwnedFd, length: u64) -> io::Result<()> {
    rustix::fs::ftruncate(target, length)?;
    let mut at = 0;
    while at < length {
        let start = match rustix::fs::seek(source, SeekFrom::Data(at)) {
            Ok(start) => start,
            // Nothing but a hole is left.
            Err(rustix::io::Errno::NXIO) => break,
            Err(error) => return Err(error.into()),
        };
        let end = rustix::fs::seek(source, SeekFrom::Hole(start))?.min(length);
        span(source, target, start, end)?;
        at = end;
    }
    Ok(())
}

/// Copies what is neither a file nor a directory.
fn odd(from: &Path, to: &Path, meta: &Metadata) -> io::Result<()> {
    let kind = meta.file_type();
    if kind.is_symlink() {
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
    xattrs(&Handle::Path(from), &Handle::Path(to))?;
    let times = times(meta.atime(), meta.atime_nsec(), meta.mtime(), meta.mtime_nsec());
    Ok(rustix::fs::utimensat(CWD, to, &times, AtFlags::SYMLINK_NOFOLLOW)?)
}

fn times<N: TryInto<i64>>(atime: i64, atime_nsec: N, mtime: i64, mtime_nsec: N) -> Timestamps {
    let time = |seconds, nanos: N| Timespec { tv_sec: seconds, tv_nsec: nanos.try_into().unwrap_or(0) };
    Timestamps { last_access: time(atime, atime_nsec), last_modification: time(mtime, mtime_nsec) }
}

/// A file by its name, or open.
enum Handle<'a> {
    Path(&'a Path),
    Open(&'a OwnedFd),
}

impl Handle<'_> {
    fn list(&self, names: &mut Vec<u8>) -> rustix::io::Result<usize> {
        match self {
            Self::Path(path) => rustix::fs::llistxattr(*path, rustix::buffer::spare_capacity(names)),
            Self::Open(file) => rustix::fs::flistxattr(file, rustix::buffer::spare_capacity(names)),
        }
    }

    fn get(&self, name: &[u8], value: &mut Vec<u8>) -> rustix::io::Result<usize> {
        match self {
            Self::Path(path) => rustix::fs::lgetxattr(*path, name, rustix::buffer::spare_capacity(value)),
            Self::Open(file) => rustix::fs::fgetxattr(file, name, rustix::buffer::spare_capacity(value)),
        }
    }

    fn set(&self, name: &[u8], value: &[u8]) -> rustix::io::Result<()> {
        match self {
            Self::Path(path) => rustix::fs::lsetxattr(*path, name, value, XattrFlags::empty()),
            Self::Open(file) => rustix::fs::fsetxattr(file, name, value, XattrFlags::empty()),
        }
    }
}

/// Copies extended attributes, of which ACLs are some.
fn xattrs(from: &Handle<'_>, to: &Handle<'_>) -> io::Result<()> {
    let mut names = Vec::with_capacity(256);
    match from.list(&mut names) {
        Ok(_) => {}
        Err(rustix::io::Errno::NOTSUP) => return Ok(()),
        Err(rustix::io::Errno::RANGE) => {
            names.reserve(65_536);
            from.list(&mut names)?;
        }
        Err(error) => return Err(error.into()),
    }
    for name in names.split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        let mut value = Vec::with_capacity(65_536);
        match from.get(name, &mut value) {
            Ok(_) => to.set(name, &value)?,
            Err(rustix::io::Errno::NODATA) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
