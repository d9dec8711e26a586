//! Owners and modes of a project's files: what is wrong, and setting it right. The bundle `fixperms` uses both.

use crate::functions::{cx, named, told};
use crate::{Layout, ProjectError, config, users};
use corpus_core::{Act, Call, Data, ExecDef, ExecError, ExecFn, Map, Value};
use corpus_master::{MasterDef, Session};
use rustix::fs::{AtFlags, CWD, Gid, Mode, OFlags, ResolveFlags, Uid};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What templates ask.
pub const FNS: &[MasterDef] = &[MasterDef {
    name: "mc_project.wrong_permissions",
    args: "(name)",
    doc: "Returns what of a project's files has a wrong owner or mode, and what is right.",
    run: wrong_permissions,
}];

/// What states call.
pub const EXEC: &[ExecDef] = &[ExecDef {
    name: "mc_project.set_permissions",
    args: "(wanted)",
    doc: "Sets owners and modes: a list of path, uid, gid and mode.",
    run: ExecFn::Write(set_permissions),
}];

/// One file that is not as it should be.
struct Wrong {
    path: PathBuf,
    uid: u32,
    gid: u32,
    mode: u32,
}

fn wrong_permissions(call: &Call, session: &Arc<Session>, _: &Arc<Data>) -> Result<Value, ExecError> {
    let name = named(call, "name")?;
    let cx = cx(session);
    let cfg = match session.shared.as_ref().and_then(|shared| shared.get().as_map().cloned()) {
        Some(cfg) if cfg.str("name") == Some(name.as_str()) => cfg,
        _ => config::configuration(&cx, &name, &Map::new()).map_err(told)?,
    };
    let Some(owner) = users::owner(&cx, &cfg).map_err(told)? else { return Ok(Value::list(vec![])) };
    // Without links on the way, as `set_permissions` follows none.
    let dir = std::fs::canonicalize(cx.layout(&name).dir).map_err(|error| ExecError::failed(error.to_string()))?;
    let layout = Layout::new(dir.parent().unwrap_or(&dir), &name);
    let mut wrong = vec![];
    // Project and data are the user's; the group may do what he may; what is new in a directory is the group's.
    // The pillar holds secrets: nobody else looks into it.
    let trees = [
        (&layout.project, owner.uid, 0o2770, 0o7777),
        (&layout.data, owner.uid, 0o2770, 0o7777),
        (&layout.pillar, 0, 0o770, 0o7770),
    ];
    for (tree, uid, dirs, mask) in trees {
        look(tree, (uid, owner.gid), dirs, mask, &mut wrong).map_err(told)?;
    }
    let listed = wrong.iter().map(|one| {
        let mut map = Map::new();
        map.insert("path", one.path.display().to_string());
        map.insert("uid", i64::from(one.uid));
        map.insert("gid", i64::from(one.gid));
        map.insert("mode", format!("{:04o}", one.mode));
        Value::from(map)
    });
    Ok(Value::list(listed.collect()))
}

fn look(tree: &Path, (uid, gid): (u32, u32), dirs: u32, mask: u32, wrong: &mut Vec<Wrong>) -> Result<(), ProjectError> {
    let mut todo = vec![tree.to_owned()];
    while let Some(path) = todo.pop() {
        let meta = match std::fs::symlink_metadata(&path) {
            Ok(meta) if !meta.is_symlink() => meta,
            // A link has no mode; what is not there needs none.
            Ok(_) => continue,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(ProjectError::io("look at", &path, error)),
        };
        let now = meta.mode() & 0o7777;
        let mode = match meta.is_dir() {
            true => now & 0o007 | dirs,
            // The group reads and writes what the owner does.
            false => now | 0o600 | (now & 0o700 | 0o600) >> 3,
        } & mask;
        // The repository in the tree is git's own affair, but its owner must be right.
        let git = path.file_name().is_some_and(|name| name == ".git");
        if (meta.uid(), meta.gid()) != (uid, gid) || now != mode {
            wrong.push(Wrong { path: path.clone(), uid, gid, mode });
        }
        if meta.is_dir() && !git {
            let entries = std::fs::read_dir(&path).map_err(|error| ProjectError::io("list", &path, error))?;
            todo.extend(entries.flatten().map(|entry| entry.path()));
        }
    }
    Ok(())
}

fn set_permissions(call: &Call, _: &dyn Act, _: &Data) -> Result<Value, ExecError> {
    let wanted = call.arg(0, "wanted").and_then(Value::as_list).ok_or_else(|| call.missing("wanted"))?;
    for one in wanted {
        let number = |key: &str| one.get(key).and_then(Value::as_int).and_then(|n| u32::try_from(n).ok());
        let mode = one.get("mode").and_then(Value::as_str).and_then(|mode| u32::from_str_radix(mode, 8).ok());
        let path = one.get("path").and_then(Value::as_str);
        let (Some(path), Some(uid), Some(gid), Some(mode)) = (path, number("uid"), number("gid"), mode) else {
            return Err(call.invalid("wanted", "each needs path, uid, gid and mode"));
        };
        let fail = |error: std::io::Error| ExecError::failed(format!("{path}: {error}"));
        set(path, uid, gid, mode).map_err(fail)?;
    }
    Ok((wanted.len() as i64).into())
}

/// Sets owner and mode of what is at a path, whatever its user makes of the path meanwhile: no link is followed.
fn set(path: &str, uid: u32, gid: u32, mode: u32) -> std::io::Result<()> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS)?;
    rustix::fs::chownat(&file, "", Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)), AtFlags::EMPTY_PATH)?;
    if rustix::fs::fstat(&file)?.st_mode & 0o170_000 == 0o120_000 {
        return Ok(());
    }
    let open = format!("/proc/self/fd/{}", file.as_raw_fd());
    std::fs::set_permissions(open, std::fs::Permissions::from_mode(mode))
}
