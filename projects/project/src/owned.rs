//! Files and directories made by root in places that belong to others: never through a link, and given away at once.

use crate::repo::Identity;
use crate::{ProjectError, R};
use rustix::fs::{AtFlags, CWD, Gid, Mode, OFlags, Uid};
use std::fs::File;
use std::io::Write;
use std::path::Path;

/// Who owns what is made; `None` leaves it with whoever runs corpus.
pub type Owner = Option<Identity>;

/// Makes a directory of a given owner and mode, or corrects one that is there.
pub fn dir(path: &Path, owner: Owner, mode: u32) -> R<()> {
    let fail = |error: rustix::io::Errno| ProjectError::io("make", path, error);
    match rustix::fs::mkdirat(CWD, path, Mode::from_raw_mode(mode)) {
        Err(rustix::io::Errno::EXIST) | Ok(()) => {}
        Err(error) => return Err(fail(error)),
    }
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let opened = rustix::fs::openat(CWD, path, flags, Mode::empty()).map_err(fail)?;
    if let Some(owner) = owner {
        rustix::fs::fchown(&opened, Some(Uid::from_raw(owner.uid)), Some(Gid::from_raw(owner.gid))).map_err(fail)?;
    }
    rustix::fs::fchmod(&opened, Mode::from_raw_mode(mode)).map_err(fail)
}

/// Writes a file that is not there yet, `names` deep below `tree`, making the folders between. Tells whether it did.
pub fn add(tree: &Path, names: &[&str], text: &str, owner: Owner) -> R<bool> {
    let shown = names.iter().fold(tree.to_owned(), |path, name| path.join(name));
    let fail = |error: rustix::io::Errno| {
        let hint = matches!(error, rustix::io::Errno::LOOP | rustix::io::Errno::NOTDIR);
        let failed = ProjectError::io("write", &shown, error);
        if hint { failed.hint("a link may not stand on the way to a project's recipes") } else { failed }
    };
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut at = rustix::fs::openat(CWD, tree, flags, Mode::empty()).map_err(fail)?;
    let Some((name, folders)) = names.split_last() else { return Ok(false) };
    // With the mode that `fixperms` would give it: a push must leave nothing to set right.
    let own = |file: &std::os::fd::OwnedFd, mode: u32| match owner {
        Some(owner) => rustix::fs::fchown(file, Some(Uid::from_raw(owner.uid)), Some(Gid::from_raw(owner.gid)))
            .and_then(|()| rustix::fs::fchmod(file, Mode::from_raw_mode(mode))),
        None => Ok(()),
    };
    for folder in folders {
        let made = rustix::fs::mkdirat(&at, *folder, Mode::from_raw_mode(0o755));
        at = match (made, rustix::fs::openat(&at, *folder, flags, Mode::empty())) {
            (Err(error), _) if error != rustix::io::Errno::EXIST => return Err(fail(error)),
            (_, Err(error)) => return Err(fail(error)),
            (made, Ok(opened)) => {
                if made.is_ok() {
                    own(&opened, 0o2775).map_err(fail)?;
                }
                opened
            }
        };
    }
    if rustix::fs::statat(&at, *name, AtFlags::SYMLINK_NOFOLLOW).is_ok() {
        return Ok(false);
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::openat(&at, *name, flags, Mode::from_raw_mode(0o644)).map_err(fail)?;
    own(&file, 0o664).map_err(fail)?;
    File::from(file).write_all(text.as_bytes()).map_err(|error| ProjectError::io("write", &shown, error))?;
    Ok(true)
}
