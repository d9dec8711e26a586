//! Owner, group, mode and times of files that are there.

use super::{Real, failed};
use corpus_core::host::{HostError, HostResult, Look};
use corpus_core::plan::{Attrs, Owner};
use rustix::fs::{AtFlags, Gid, Mode, OFlags, Timespec, Timestamps, UTIME_NOW, Uid};
use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

/// Owner, group and mode as numbers.
#[derive(Clone, Copy, Default)]
pub struct Numbers {
    pub uid: Option<u32>,
    pub gid: Option<u32>,
    pub mode: Option<u32>,
}

/// Looks names up, as late as possible: an earlier step may have made the user.
pub fn resolve(host: &Real, attrs: &Attrs) -> HostResult<Numbers> {
    let uid = match &attrs.user {
        None => None,
        Some(Owner::Id(uid)) => Some(*uid),
        Some(Owner::Name(name)) => Some(host.user(name)?.ok_or_else(|| unknown("user", name))?.uid),
    };
    let gid = match &attrs.group {
        None => None,
        Some(Owner::Id(gid)) => Some(*gid),
        Some(Owner::Name(name)) => Some(host.group(name)?.ok_or_else(|| unknown("group", name))?.gid),
    };
    Ok(Numbers { uid, gid, mode: attrs.mode })
}

fn unknown(what: &str, name: &str) -> HostError {
    let why = format!("this machine has no {what} of that name");
    HostError { what: format!("find {what} {name}"), why, kind: corpus_core::host::HostErrorKind::Missing }
}

/// Sets owner, group and mode of a path.
pub fn set(host: &Real, path: &Path, attrs: &Attrs, follow: bool) -> HostResult<()> {
    let numbers = resolve(host, attrs)?;
    let fail = |e: std::io::Error| failed("change attributes of", path, &e);
    // The file is pinned first, so that nobody can put a link in its place between the calls.
    let nofollow = if follow { OFlags::empty() } else { OFlags::NOFOLLOW };
    let file =
        rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC | nofollow, Mode::empty()).map_err(|e| fail(e.into()))?;
    set_pinned(&file, numbers, path).map_err(fail)
}

/// Sets owner, group and mode of what an `O_PATH` descriptor leads to.
fn set_pinned(file: &impl AsFd, want: Numbers, path: &Path) -> std::io::Result<()> {
    let stat = rustix::fs::fstat(file)?;
    let is_link = rustix::fs::FileType::from_raw_mode(stat.st_mode).is_symlink();
    let now = stat.st_mode & 0o7777;
    let owner = want.uid.filter(|uid| *uid != stat.st_uid).map(Uid::from_raw);
    let group = want.gid.filter(|gid| *gid != stat.st_gid).map(Gid::from_raw);
    let chmod = |mode: u32| {
        let pinned = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&file.as_fd()));
        let permissions = || fs::Permissions::from_mode(mode);
        // Without /proc the path itself has to do; it was no link a moment ago.
        fs::set_permissions(&pinned, permissions()).or_else(|_| fs::set_permissions(path, permissions()))
    };
    let mode = want.mode.filter(|_| !is_link);
    if owner.is_some() || group.is_some() {
        // What the old owner may no longer do, the new one must not for a moment.
        if let Some(mode) = mode
            && now & mode != now
        {
            chmod(now & mode)?;
        }
        rustix::fs::chownat(file, "", owner, group, AtFlags::EMPTY_PATH)?;
    }
    // A change of owner clears the set-id bits, so the mode comes last.
    match mode {
        Some(mode) if mode != rustix::fs::fstat(file)?.st_mode & 0o7777 => chmod(mode),
        None if now & 0o6000 != 0 && !is_link && (owner.is_some() || group.is_some()) => chmod(now),
        _ => Ok(()),
    }
}

/// Sets times; a file that is not there is made, as `touch` does.
pub fn times(path: &Path, atime: Option<i64>, mtime: Option<i64>) -> HostResult<()> {
    let fail = |e: std::io::Error| failed("touch", path, &e);
    let made = fs::OpenOptions::new().write(true).create_new(true).open(path);
    match made {
        Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => return Err(fail(e)),
        _ => {}
    }
    let time = |seconds: Option<i64>| match seconds {
        Some(tv_sec) => Timespec { tv_sec, tv_nsec: 0 },
        None => Timespec { tv_sec: 0, tv_nsec: UTIME_NOW },
    };
    let times = Timestamps { last_access: time(atime), last_modification: time(mtime) };
    rustix::fs::utimensat(rustix::fs::CWD, path, &times, AtFlags::empty()).map_err(|e| fail(e.into()))
}

/// Gives a new file the attributes of another one, best effort for what needs rights.
pub fn preserve(from: &fs::Metadata, to: &Path, with_owner: bool) -> std::io::Result<()> {
    if with_owner {
        let owner = (Some(Uid::from_raw(from.uid())), Some(Gid::from_raw(from.gid())));
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        match rustix::fs::chownat(rustix::fs::CWD, to, owner.0, owner.1, flags) {
            Err(rustix::io::Errno::PERM) if !rustix::process::geteuid().is_root() => {}
            other => other?,
        }
    }
    if !from.file_type().is_symlink() {
        fs::set_permissions(to, fs::Permissions::from_mode(from.mode() & 0o7777))?;
    }
    if with_owner {
        let time = |tv_sec, tv_nsec| Timespec { tv_sec, tv_nsec };
        let times = Timestamps {
            last_access: time(from.atime(), from.atime_nsec()),
            last_modification: time(from.mtime(), from.mtime_nsec()),
        };
        rustix::fs::utimensat(rustix::fs::CWD, to, &times, AtFlags::SYMLINK_NOFOLLOW)?;
    }
    Ok(())
}
