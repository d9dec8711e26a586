//! `file.*`: making, moving, owning and removing.

use crate::file::call::{Answer, mode_of, path_of, put, write};
use crate::file::{self, perms};
use corpus_core::decode::Mode;
use corpus_core::host::{Act, Look};
use corpus_core::plan::Attrs;
use corpus_core::{Call, Data, Effect, ExecDef, ExecError, Value};
use std::path::Path;

/// The functions of this module.
pub const FNS: &[ExecDef] = &[
    write("file.chgrp", "(path, group)", "Changes the group of a file.", |call, host, _| {
        let group = call.arg(1, "group").cloned();
        set(call, host, perms::Want { group, ..perms::Want::default() }, true).map(|_| Value::Null)
    }),
    write("file.chown", "(path, user, group)", "Changes owner and group of a file.", |call, host, _| {
        chown(call, host, true)
    }),
    write("file.copy", "(src, dst, recurse=False, remove_existing=False)", "Copies a file or a directory.", copy),
    write("file.lchown", "(path, user, group)", "Changes owner and group of a link itself.", |call, host, _| {
        chown(call, host, false)
    }),
    write("file.link", "(src, path)", "Makes a hard link.", |call, host, _| {
        let (target, path) = (path_of(call, host, 0, "src")?, path_of(call, host, 1, "path")?);
        host.perform(&Effect::Hardlink { path, target })?;
        Ok(true.into())
    }),
    write(
        "file.makedirs",
        "(path, user=None, group=None, mode=None)",
        "Makes the directory that a path is in.",
        makedirs,
    ),
    write("file.mkdir", "(dir_path, user=None, group=None, mode=None)", "Makes a directory, with its parents.", mkdir),
    write("file.move", "(src, dst)", "Moves a file.", rename),
    write("file.remove", "(path)", "Removes a file, a link or a whole directory.", remove),
    write("file.rename", "(src, dst)", "Renames a file.", rename),
    write("file.rmdir", "(path)", "Removes an empty directory.", |call, host, _| {
        let path = path_of(call, host, 0, "path")?;
        match host.list(&path) {
            Ok(names) if names.is_empty() => {
                host.perform(&Effect::Remove { path }).map(|_| true.into()).map_err(Into::into)
            }
            Ok(_) => Ok("Directory not empty".into()),
            Err(error) => Err(error.into()),
        }
    }),
    write("file.set_mode", "(path, mode)", "Changes the permissions of a file.", |call, host, _| {
        let mode = mode_of(call, 1, "mode")?;
        set(call, host, perms::Want { mode, ..perms::Want::default() }, true)?;
        Ok(mode.map(Mode::show).into())
    }),
    write("file.symlink", "(src, path, force=False)", "Makes a symbolic link.", symlink),
    write("file.touch", "(name, atime=None, mtime=None)", "Makes an empty file, or sets the times of one.", touch),
];

fn set(call: &Call, host: &dyn Act, want: perms::Want, follow: bool) -> Result<(), ExecError> {
    let path = path_of(call, host.as_look(), 0, "path")?;
    if let Some(text) = want.unavailable(host.as_look())? {
        return Err(ExecError::failed(text.trim_end()));
    }
    host.perform(&Effect::Attrs { path, attrs: want.attrs(), follow })?;
    Ok(())
}

fn chown(call: &Call, host: &dyn Act, follow: bool) -> Answer {
    let (user, group) = (call.arg(1, "user").cloned(), call.arg(2, "group").cloned());
    set(call, host, perms::Want { user, group, mode: None }, follow).map(|()| Value::Null)
}

fn attrs_of(call: &Call, host: &dyn Look) -> Result<Attrs, ExecError> {
    let (user, group) = (call.arg(1, "user").cloned(), call.arg(2, "group").cloned());
    let want = perms::Want { user, group, mode: mode_of(call, 3, "mode")? };
    match want.unavailable(host)? {
        Some(text) => Err(ExecError::failed(text.trim_end())),
        None => Ok(want.attrs()),
    }
}

fn makedirs(call: &Call, host: &dyn Act, _: &Data) -> Answer {
    let path = path_of(call, host.as_look(), 0, "path")?;
    let attrs = attrs_of(call, host.as_look())?;
    let missing = file::missing_parents(host.as_look(), &path)?;
    if missing.is_empty() {
        return Ok(format!("Directory '{}' already exists", file::parent(&path).display()).into());
    }
    for dir in missing {
        host.perform(&Effect::Mkdir { path: dir, attrs: attrs.clone() })?;
    }
    Ok(Value::Null)
}

fn mkdir(call: &Call, host: &dyn Act, _: &Data) -> Answer {
    let path = path_of(call, host.as_look(), 0, "dir_path")?;
    let attrs = attrs_of(call, host.as_look())?;
    if host.stat(&path)?.is_some_and(|meta| meta.is_dir()) {
        return Ok(true.into());
    }
    for dir in file::missing_parents(host.as_look(), &path)?.into_iter().chain([path]) {
        host.perform(&Effect::Mkdir { path: dir, attrs: attrs.clone() })?;
    }
    Ok(true.into())
}

fn rename(call: &Call, host: &dyn Act, _: &Data) -> Answer {
    let (from, to) = (path_of(call, host.as_look(), 0, "src")?, path_of(call, host.as_look(), 1, "dst")?);
    host.perform(&Effect::Rename { from, to })?;
    Ok(true.into())
}

fn copy(call: &Call, host: &dyn Act, _: &Data) -> Answer {
    let (from, to) = (path_of(call, host.as_look(), 0, "src")?, path_of(call, host.as_look(), 1, "dst")?);
    let Some(meta) = host.stat(&from)? else {
        return Err(ExecError::failed(format!("No such file or directory '{}'", from.display())));
    };
    if meta.is_dir() && !call.flag(2, "recurse", false) {
        return Err(ExecError::failed("Cannot copy overwriting a directory without recurse flag set to true!"));
    }
    if call.flag(3, "remove_existing", false) && host.lstat(&to)?.is_some() {
        host.perform(&Effect::Remove { path: to.clone() })?;
    }
    host.perform(&Effect::Copy { from, to, preserve: true })?;
    Ok(true.into())
}

fn remove(call: &Call, host: &dyn Act, _: &Data) -> Answer {
    let path = path_of(call, host.as_look(), 0, "path")?;
    if !path.is_absolute() {
        return Err(ExecError::failed("File path must be absolute."));
    }
    if path == Path::new("/") {
        return Err(ExecError::failed("Refusing to remove \"/\""));
    }
    if host.lstat(&path)?.is_none() {
        return Ok(false.into());
    }
    host.perform(&Effect::Remove { path })?;
    Ok(true.into())
}

fn symlink(call: &Call, host: &dyn Act, _: &Data) -> Answer {
    let (target, path) = (path_of(call, host.as_look(), 0, "src")?, path_of(call, host.as_look(), 1, "path")?);
    if let Some(have) = host.lstat(&path)? {
        if have.is_symlink() && host.read_link(&path)? == target {
            return Ok(true.into());
        }
        if !call.flag(2, "force", false) {
            return Err(ExecError::failed(format!("Found existing symlink or file: {}", path.display())));
        }
        host.perform(&Effect::Remove { path: path.clone() })?;
    }
    host.perform(&Effect::Symlink { path, target, attrs: Attrs::default() })?;
    Ok(true.into())
}

fn touch(call: &Call, host: &dyn Act, _: &Data) -> Answer {
    let path = path_of(call, host.as_look(), 0, "name")?;
    let time = |place, name| call.arg(place, name).and_then(Value::as_int);
    let (atime, mtime) = (time(1, "atime"), time(2, "mtime"));
    if host.stat(&path)?.is_none() {
        put(host, path.clone(), vec![], None)?;
    }
    host.perform(&Effect::Times { path, atime, mtime })?;
    Ok(true.into())
}
