//! Directories, links, copies and removals.

use super::{Real, attrs, failed, write};
use corpus_core::host::{HostError, HostResult};
use corpus_core::plan::Attrs;
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Component, Path};

/// Makes one directory, or gives the one that is there the attributes.
pub fn mkdir(host: &Real, path: &Path, attrs: &Attrs) -> HostResult<()> {
    let attrs = Attrs { mode: attrs.mode.or(Some(0o755)), ..attrs.clone() };
    // Before the directory is made: an unknown owner must leave nothing behind.
    attrs::resolve(host, &attrs)?;
    match fs::DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => {}
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {}
        Err(e) => return Err(failed("make directory", path, &e)),
    }
    attrs::set(host, path, &attrs, true)
}

/// Makes a symbolic link, in place of whatever file or link has its name.
pub fn symlink(host: &Real, path: &Path, target: &Path, attrs: &Attrs) -> HostResult<()> {
    attrs::resolve(host, attrs)?;
    write::make_and_rename(path, |temp| std::os::unix::fs::symlink(target, temp))
        .map_err(|e| failed("link", path, &e))?;
    let owner = Attrs { mode: None, ..attrs.clone() };
    if owner.is_empty() { Ok(()) } else { attrs::set(host, path, &owner, false) }
}

/// Makes a hard link, in place of whatever file has its name.
pub fn hardlink(path: &Path, target: &Path) -> HostResult<()> {
    let fail = |e: io::Error| failed("link", path, &e);
    let to = fs::metadata(target).map_err(fail)?;
    if let Ok(there) = fs::symlink_metadata(path)
        && (there.dev(), there.ino()) == (to.dev(), to.ino())
    {
        // Renaming a link over its twin does nothing and would leave the temporary one.
        return Ok(());
    }
    write::make_and_rename(path, |temp| fs::hard_link(target, temp)).map_err(fail)
}

/// Renames; across file systems the tree is copied and the old one removed.
pub fn rename(from: &Path, to: &Path) -> HostResult<()> {
    match fs::rename(from, to) {
        Ok(()) => {
            write::sync_parent(from);
            write::sync_parent(to);
            Ok(())
        }
        Err(e) if e.kind() == io::ErrorKind::CrossesDevices => {
            copy(from, to, true)?;
            remove(from)
        }
        Err(e) => Err(HostError::io(format!("rename {} to {}", from.display(), to.display()), &e)),
    }
}

/// Copies a file, a link or a tree. Modes are always kept; `preserve` keeps owners and times too.
pub fn copy(from: &Path, to: &Path, preserve: bool) -> HostResult<()> {
    let really = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    // Links on the way may lead back into it.
    let place = to.parent().map_or_else(|| to.to_owned(), really);
    if place.starts_with(really(from)) && fs::symlink_metadata(from).is_ok_and(|m| m.is_dir()) {
        return Err(HostError::other(
            format!("copy {} to {}", from.display(), to.display()),
            "a directory cannot be copied into itself",
        ));
    }
    copy_any(from, to, preserve).map_err(|e| HostError::io(format!("copy {} to {}", from.display(), to.display()), &e))
}

fn copy_any(from: &Path, to: &Path, preserve: bool) -> io::Result<()> {
    let source = fs::symlink_metadata(from)?;
    let kind = source.file_type();
    if kind.is_dir() {
        match fs::DirBuilder::new().mode(0o700).create(to) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists && to.is_dir() => {}
            other => other?,
        }
        for entry in fs::read_dir(from)? {
            let entry = entry?;
            copy_any(&entry.path(), &to.join(entry.file_name()), preserve)?;
        }
        attrs::preserve(&source, to, preserve)
    } else if kind.is_symlink() {
        let target = fs::read_link(from)?;
        write::make_and_rename(to, |temp| std::os::unix::fs::symlink(&target, temp))?;
        attrs::preserve(&source, to, preserve)
    } else if kind.is_file() {
        write::copy_file(from, to, &source, preserve)
    } else {
        Err(io::Error::new(io::ErrorKind::Unsupported, "sockets, pipes and devices are not copied"))
    }
}

/// Removes a file, a link or a whole tree. Links are removed, never followed.
pub fn remove(path: &Path) -> HostResult<()> {
    let refuse = |why: &str| Err(HostError::other(format!("remove {}", path.display()), why));
    if path.as_os_str().is_empty() || !path.is_absolute() {
        return refuse("the path is not absolute");
    }
    let depth = path.components().try_fold(0i32, |depth, part| match part {
        Component::Normal(_) => Some(depth + 1),
        Component::ParentDir => Some((depth - 1).max(0)),
        _ => Some(depth),
    });
    if depth.unwrap_or(0) == 0 {
        return refuse("this is the whole machine");
    }
    // A slash at the end would make the system follow a link.
    let path: &Path = &path.components().collect::<std::path::PathBuf>();
    let removed = match fs::symlink_metadata(path) {
        Ok(m) if m.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(e) => Err(e),
    };
    match removed {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(failed("remove", path, &e)),
        Ok(()) => {
            write::sync_parent(path);
            Ok(())
        }
    }
}
