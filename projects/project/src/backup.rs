//! What of a machine and a project is worth keeping, and a copy of it in one file.

use crate::functions::{cx, named, ret, told};
use crate::{Layout, ProjectError, R, chrono, config, wiring};
use corpus_core::{Call, Data, ExecError, Map, Value};
use corpus_master::{MasterDef, Session};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

/// The functions.
pub const FNS: &[MasterDef] = &[
    MasterDef {
        name: "mc_project.persistent",
        args: "(name)",
        doc: "Returns which directories hold what must not be lost, and what in them is not worth keeping.",
        run: persistent,
    },
    MasterDef {
        name: "mc_project.backup",
        args: "(name, to)",
        doc: "Writes what must not be lost into a tar file, with owners, ACLs and extended attributes.",
        run: backup,
    },
];

/// Configuration and what programs keep.
const INCLUDE: &[&str] = &["/etc", "/var"];

/// What comes again by itself: caches of packages, indexes, temporary files, other file systems' mount points.
const EXCLUDE: &[&str] = &[
    "/var/cache",
    "/var/tmp",
    "/var/lib/apt/lists",
    "/var/lib/dnf",
    "/var/lib/docker/overlay2",
    "/var/run",
    "/var/lock",
];

/// What is kept, and what not: the machine's part, which `backup_include` and `backup_exclude` replace, and the project's
/// data, pillar and repositories. Archives are copies of what the repositories have.
fn definition(cfg: &Map, layout: &Layout) -> (Vec<String>, Vec<String>) {
    let list = |key: &str, default: &[&str]| match cfg.get(key).filter(|value| !value.is_null()) {
        Some(value) => wiring::list(Some(value)),
        None => default.iter().map(|path| (*path).to_owned()).collect(),
    };
    let own = [&layout.data, &layout.pillar, &layout.git].map(|path| path.display().to_string());
    let mut include = list("backup_include", INCLUDE);
    include.extend(own);
    (include, list("backup_exclude", EXCLUDE))
}

fn found(call: &Call, session: &Arc<Session>) -> Result<(Layout, Vec<String>, Vec<String>), ExecError> {
    let name = named(call, "name")?;
    let cx = cx(session);
    let cfg = config::configuration(&cx, &name, &Map::new()).map_err(told)?;
    let layout = cx.layout(&name);
    let (include, exclude) = definition(&cfg, &layout);
    Ok((layout, include, exclude))
}

fn persistent(call: &Call, session: &Arc<Session>, _: &Arc<Data>) -> Result<Value, ExecError> {
    let (_, include, exclude) = found(call, session)?;
    Ok([("include", Value::from(include)), ("exclude", Value::from(exclude))].into_iter().collect::<Map>().into())
}

fn backup(call: &Call, session: &Arc<Session>, _: &Arc<Data>) -> Result<Value, ExecError> {
    let (layout, include, exclude) = found(call, session)?;
    let to = PathBuf::from(call.need(1, "to")?);
    if !to.is_absolute() {
        return Err(call.invalid("to", "write the whole path of the file to make"));
    }
    let to = if to.is_dir() { to.join(format!("{}.tar", chrono::id().map_err(told)?)) } else { to };
    let bytes = write(&layout, &to, &include, &exclude).map_err(told)?;
    Ok(ret(&call.need(0, "name")?, true, &format!("{} ({} MB)", to.display(), bytes / (1 << 20))))
}

/// Writes the file beside its place, and puts it there when it is whole.
fn write(layout: &Layout, to: &Path, include: &[String], exclude: &[String]) -> R<u64> {
    let fail = |error| ProjectError::io("write", to, error);
    let folder = to.parent().unwrap_or(Path::new("/"));
    let file = tempfile::Builder::new().prefix(".corpus-").tempfile_in(folder).map_err(fail)?;
    file.as_file().set_permissions(std::fs::Permissions::from_mode(0o600)).map_err(fail)?;
    let mut tar = Command::new("tar");
    tar.args(["--create", "--one-file-system", "--acls", "--xattrs", "--numeric-owner", "--sparse", "--directory=/"]);
    // Nor itself, nor what corpus can make again.
    let own = [file.path().display().to_string(), layout.archives.display().to_string()];
    for path in exclude.iter().chain(&own) {
        tar.arg("--anchored").arg(format!("--exclude={}", path.trim_start_matches('/')));
    }
    tar.arg("--").args(include.iter().filter(|path| Path::new(path).exists()).map(|path| path.trim_start_matches('/')));
    let output =
        tar.stdin(Stdio::null()).stdout(file.as_file().try_clone().map_err(fail)?).stderr(Stdio::piped()).output();
    let output = output.map_err(|error| ProjectError::new(format!("cannot run tar: {error}")))?;
    // 1: a file changed while it was read, as files of a running machine do.
    if !matches!(output.status.code(), Some(0 | 1)) {
        return Err(ProjectError::new(format!("tar: {}", String::from_utf8_lossy(&output.stderr).trim())));
    }
    file.as_file().sync_all().map_err(fail)?;
    let bytes = file.as_file().metadata().map_err(fail)?.len();
    file.persist(to).map_err(|error| fail(error.error))?;
    Ok(bytes)
}
