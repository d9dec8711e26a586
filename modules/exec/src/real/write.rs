//! Files are old or new, never partial: content goes into a hidden file beside the real one, which then
//! takes its name. Where a file cannot be renamed over (it is mounted, or its directory is closed), it
//! is written in place, with its former content saved beside until the new one is on disk.

use super::attrs::{self, Numbers};
use super::{Real, TEMP_PREFIX, TEMP_SUFFIX, failed};
use corpus_core::host::{HostError, HostResult, Look};
use corpus_core::plan::{Attrs, Content};
use rustix::fs::{Gid, Mode, Uid, XattrFlags};
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The mode of a new file that says nothing about it.
const NEW_MODE: u32 = 0o644;

/// Writes a file: whole, or not at all.
pub fn write_file(host: &Real, path: &Path, content: &Content, attrs: &Attrs, backup: Option<&Path>) -> HostResult<()> {
    let fail = |e: io::Error| failed("write", path, &e);
    let want = attrs::resolve(host, attrs)?;
    let at = follow(path)?;
    let old = match fs::symlink_metadata(&at) {
        Ok(old) => Some(old),
        Err(e) if e.kind() == io::ErrorKind::NotFound => None,
        Err(e) => return Err(fail(e)),
    };
    if let Some(old) = &old
        && old.is_dir()
    {
        return Err(fail(io::ErrorKind::IsADirectory.into()));
    }
    if let Some(backup) = backup
        && old.is_some()
    {
        // A back-up lies below the minion's cache under the file's own path, which need not be there yet.
        if let Some(dir) = backup.parent() {
            fs::create_dir_all(dir).map_err(|e| failed("make", dir, &e))?;
        }
        super::tree::copy(&at, backup, true)?;
    }
    match &old {
        // A device or a pipe is written to, not replaced.
        Some(old) if !old.is_file() => {
            let mut file = fs::OpenOptions::new().write(true).open(&at).map_err(fail)?;
            fill(host, &mut file, content).map_err(fail)
        }
        _ => match replace(host, &at, content, want, old.as_ref()) {
            Err(e) if old.is_some() && in_place_may_help(&e) => {
                reader(host, content).and_then(|mut content| in_place(&at, &mut content)).map_err(fail)?;
                attrs::set(host, &at, attrs, true)
            }
            other => other.map_err(fail),
        },
    }
}

/// Follows links to where the content is going to be, which need not exist.
fn follow(path: &Path) -> HostResult<PathBuf> {
    let mut at = path.to_owned();
    for _ in 0..40 {
        match fs::read_link(&at) {
            Ok(target) => at = at.parent().unwrap_or(Path::new("/")).join(target),
            Err(_) => return Ok(at),
        }
    }
    Err(HostError::other(format!("write {}", path.display()), "too many symbolic links"))
}

/// A file that cannot be renamed over, or whose directory takes no other file, can still be written to.
fn in_place_may_help(error: &io::Error) -> bool {
    use io::ErrorKind as K;
    matches!(error.kind(), K::ResourceBusy | K::CrossesDevices | K::PermissionDenied | K::ReadOnlyFilesystem)
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn temp_in(folder: &Path) -> io::Result<tempfile::NamedTempFile> {
    // Born with 0600: nobody else may read it before it has its owner and mode.
    tempfile::Builder::new().prefix(TEMP_PREFIX).suffix(TEMP_SUFFIX).tempfile_in(folder).map_err(plain)
}

/// Takes off the path that `tempfile` adds: messages name the file that was meant.
fn plain(error: io::Error) -> io::Error {
    error.raw_os_error().or_else(|| cause(&error)).map_or(error, io::Error::from_raw_os_error)
}

fn cause(error: &io::Error) -> Option<i32> {
    let source = std::error::Error::source(error.get_ref()?)?;
    source.downcast_ref::<io::Error>()?.raw_os_error()
}

fn fill(host: &Real, file: &mut File, content: &Content) -> io::Result<()> {
    match content {
        Content::Bytes(bytes) => file.write_all(bytes),
        Content::File { path, sha256, .. } => {
            let mut from = open(host, path, sha256)?;
            io::copy(&mut from, file).map(|_| ())
        }
    }
}

fn reader<'a>(host: &Real, content: &'a Content) -> io::Result<Box<dyn Read + 'a>> {
    Ok(match content {
        Content::Bytes(bytes) => Box::new(&bytes[..]),
        Content::File { path, sha256, .. } => Box::new(open(host, path, sha256)?),
    })
}

/// Opens a content, also where this process has moved it to.
fn open(host: &Real, path: &Path, sha256: &[u8; 32]) -> io::Result<File> {
    let failed = match File::open(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => e,
        other => return other,
    };
    let moved = host.moved().get(path).cloned().filter(|to| host.sha256(to).is_ok_and(|have| have == *sha256));
    moved.map_or(Err(failed), File::open)
}

/// Writes beside and renames. The temporary file is gone on every way out.
fn replace(host: &Real, path: &Path, content: &Content, want: Numbers, old: Option<&fs::Metadata>) -> io::Result<()> {
    let mut temp = temp_in(parent(path))?;
    if let Content::File { path: from, sha256, spare: true, .. } = content
        && is_plain(parent(path))
    {
        // Held until the new place is known: another state may want the same content.
        let mut moved = host.moved();
        if fs::rename(from, temp.path()).is_ok() {
            let temp = temp.into_temp_path();
            let done = File::open(&temp).and_then(|file| finish(&file, path, want, old)).and_then(|()| {
                fs::rename(&temp, path)?;
                sync_dir(parent(path));
                Ok(())
            });
            if done.is_err() {
                let _ = fs::rename(&temp, from);
                return done;
            }
            // The name is the file's own now: nothing is left to be removed.
            let _ = temp.keep();
            host.learn(path, *sha256);
            moved.insert(from.clone(), path.to_owned());
            return Ok(());
        }
    }
    fill(host, temp.as_file_mut(), content)?;
    finish(temp.as_file(), path, want, old)?;
    temp.persist(path).map_err(|e| plain(e.error))?;
    sync_dir(parent(path));
    Ok(())
}

/// Tells whether a file that is moved into a directory is the same as one that is made there: nothing is inherited
/// (group, access lists, labels), and the file system does not copy by reference, which is as good as moving.
fn is_plain(folder: &Path) -> bool {
    /// Those of ext, XFS, tmpfs and overlays.
    const KNOWN: [i64; 4] = [0xef53, 0x5846_5342, 0x0102_1994, 0x794c_7630];
    let inherits_group = fs::metadata(folder).map_or(true, |meta| meta.mode() & 0o2000 != 0);
    let mut names = [0_u8; 1024];
    let bare = match rustix::fs::llistxattr(folder, &mut names[..]) {
        Ok(length) => length == 0,
        Err(error) => error == rustix::io::Errno::OPNOTSUPP,
    };
    let known = rustix::fs::statfs(folder).is_ok_and(|fs| KNOWN.contains(&fs.f_type));
    !inherits_group && bare && known
}

/// Gives a file that is about to take the place of another one its owner and mode, and sees it onto the disk.
fn finish(file: &File, path: &Path, want: Numbers, old: Option<&fs::Metadata>) -> io::Result<()> {
    let owned = file.metadata()?;
    let uid = want.uid.or(old.map(MetadataExt::uid)).filter(|uid| *uid != owned.uid());
    let gid = want.gid.or(old.map(MetadataExt::gid)).filter(|gid| *gid != owned.gid());
    if uid.is_some() || gid.is_some() {
        rustix::fs::fchown(file, uid.map(Uid::from_raw), gid.map(Gid::from_raw))?;
    }
    if old.is_some() {
        copy_xattrs(path, file);
    }
    let mode = want.mode.or(old.map(|m| m.mode() & 0o7777)).unwrap_or(NEW_MODE);
    rustix::fs::fchmod(file, Mode::from_raw_mode(mode))?;
    file.sync_all()
}

/// Takes over extended attributes (SELinux context, ACLs, `user.*`). Best effort: many file systems have none.
fn copy_xattrs(from: &Path, to: &File) {
    let Ok(from) = File::open(from) else { return };
    let mut names = vec![0u8; 16 * 1024];
    let Ok(length) = rustix::fs::flistxattr(&from, &mut names[..]) else { return };
    for name in names[..length].split(|b| *b == 0).filter(|n| !n.is_empty()) {
        // These vouch for the content, which is another one now.
        if [&b"security.capability"[..], b"security.ima", b"security.evm"].contains(&name) {
            continue;
        }
        let mut value = vec![0u8; 64 * 1024];
        if let Ok(length) = rustix::fs::fgetxattr(&from, name, &mut value[..]) {
            let _ = rustix::fs::fsetxattr(to, name, &value[..length], XattrFlags::empty());
        }
    }
}

/// Makes a rename survive a power cut. Not every file system can; none of them is worse off for the asking.
fn sync_dir(folder: &Path) {
    if let Ok(dir) = File::open(folder) {
        let _ = dir.sync_all();
    }
}

/// Writes into the file itself, with its content saved first.
fn in_place(path: &Path, content: &mut dyn Read) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().read(true).write(true).custom_flags(libc_nofollow()).open(path)?;
    let mut saved = temp_in(parent(path)).or_else(|_| temp_in(&std::env::temp_dir()))?;
    io::copy(&mut file, saved.as_file_mut())?;
    saved.as_file().sync_all()?;
    let written = rewrite(&mut file, &mut |file| io::copy(content, file).map(|_| ()));
    if let Err(error) = written {
        let mut undo = || {
            saved.as_file_mut().seek(SeekFrom::Start(0))?;
            let mut old = saved.as_file().try_clone()?;
            rewrite(&mut file, &mut |file| io::copy(&mut Read::by_ref(&mut old), file).map(|_| ()))
        };
        if let Err(second) = undo() {
            // The only good copy must not vanish with this function.
            let kept = saved.into_temp_path().keep().map(|p| p.display().to_string()).unwrap_or_default();
            return Err(io::Error::other(format!("{error}; and restoring it failed: {second}; it is saved as {kept}")));
        }
        return Err(error);
    }
    Ok(())
}

fn libc_nofollow() -> i32 {
    rustix::fs::OFlags::NOFOLLOW.bits().cast_signed()
}

fn rewrite(file: &mut File, fill: &mut dyn FnMut(&mut File) -> io::Result<()>) -> io::Result<()> {
    file.seek(SeekFrom::Start(0))?;
    fill(file)?;
    let end = file.stream_position()?;
    file.set_len(end)?;
    file.sync_all()
}

/// Copies one regular file, atomically at its destination.
pub fn copy_file(from: &Path, to: &Path, source: &fs::Metadata, preserve: bool) -> io::Result<()> {
    let mut temp = temp_in(parent(to))?;
    let mut input = File::open(from)?;
    io::copy(&mut input, temp.as_file_mut())?;
    attrs::preserve(source, temp.path(), preserve)?;
    temp.as_file().sync_all()?;
    match temp.persist(to) {
        Ok(_) => {}
        Err(e) if in_place_may_help(&e.error) && to.is_file() => {
            in_place(to, &mut File::open(from)?)?;
        }
        Err(e) => return Err(plain(e.error)),
    }
    sync_dir(parent(to));
    Ok(())
}

/// Makes something under a hidden name and moves it into place.
pub fn make_and_rename(path: &Path, make: impl Fn(&Path) -> io::Result<()>) -> io::Result<()> {
    let builder = |folder: &Path| {
        tempfile::Builder::new().prefix(TEMP_PREFIX).suffix(TEMP_SUFFIX).make_in(folder, |temp| make(temp))
    };
    let made = builder(parent(path)).map_err(plain)?;
    let temp = made.into_temp_path();
    temp.persist(path).map_err(|e| plain(e.error))?;
    sync_dir(parent(path));
    Ok(())
}

/// Makes a change of a directory's entries survive a power cut.
pub fn sync_parent(path: &Path) {
    sync_dir(parent(path));
}
