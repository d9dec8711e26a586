//! The archive: a copy of what runs, made before a deployment touches it, and the rotation of old ones.

use crate::fs::Fs;
use crate::journal::Journal;
use crate::owned;
use crate::repo::Identity;
use crate::run::Run;
use crate::{Layout, ProjectError, R, switch, users};
use corpus_core::Value;
use std::path::Path;

/// What a copy may leave free at least: the deployment itself needs some room.
const MARGIN: i64 = 64 * 1024 * 1024;

/// Archives `project/`, if there is one: hooks before, the copy, `archive.sls`, hooks after.
pub fn step(run: &mut Run<'_>, journal: &mut Journal) -> bool {
    run.begin("archive");
    if !run.layout.project.exists() {
        run.report.steps.pop();
        return true;
    }
    let done = archive(run, journal);
    run.end(done)
}

fn archive(run: &mut Run<'_>, journal: &Journal) -> R<String> {
    let aborted = || ProjectError::new("the deployment is aborted: nothing was moved");
    room(run)?;
    let has = |run: &Run<'_>, recipe: &str| run.layout.salt(&run.report.env).join(format!("{recipe}.sls")).is_file();
    directory(run, &journal.id)?;
    if has(run, "pre_archive") && !run.sls("pre_archive", false) {
        return Err(aborted());
    }
    let next = switch::spare(&run.layout, &journal.id);
    let began = std::time::Instant::now();
    run.cx.fs.copy_tree(&run.layout.project, &next, run.stopping().as_deref())?;
    let seconds = began.elapsed().as_secs_f64();
    for recipe in ["archive", "post_archive"] {
        if has(run, recipe) && !run.sls(recipe, false) {
            return Err(aborted());
        }
    }
    Ok(format!("{} ({seconds:.2} s)", run.layout.archive(&journal.id).display()))
}

/// Makes the directory of this deployment's archive.
pub fn directory(run: &Run<'_>, id: &str) -> R<()> {
    let owner = users::owner(run.cx, &run.cfg()).ok().flatten().map(|owner| Identity { uid: 0, ..owner });
    if !run.layout.archives.exists() {
        owned::dir(&run.layout.archives, owner, 0o750)?;
    }
    let archive = run.layout.archive(id);
    run.cx.fs.make_dir(&archive, 0o750)?;
    owned::dir(&archive, owner, 0o750)
}

/// Refuses what the disk would not take, before anything is written.
fn room(run: &mut Run<'_>) -> R<()> {
    let fail = |error: rustix::io::Errno| ProjectError::io("look at", &run.layout.dir, error);
    let stat = rustix::fs::statvfs(&run.layout.dir).map_err(fail)?;
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    // Where blocks are shared a copy costs little; the names cost all the same.
    let (bytes, files) = size(&run.layout.project);
    let bytes = if shares(&run.layout.dir) { 0 } else { bytes };
    let mega = |bytes: u64| bytes / (1024 * 1024);
    let margin = run.cfg().get("archive_margin").and_then(Value::as_int).unwrap_or(MARGIN);
    let needed = bytes.saturating_add(u64::try_from(margin).unwrap_or(0));
    if free < needed {
        return Err(ProjectError::new(format!(
            "there is no room to archive {}: it takes {} MB, {} MB are free",
            run.layout.project.display(),
            mega(needed),
            mega(free)
        ))
        .hint("remove old archives (`keep_archives`), or enlarge the guest; nothing was touched"));
    }
    if stat.f_files > 0 && stat.f_favail < files {
        return Err(ProjectError::new(format!(
            "there is no room to archive {}: it takes {files} inodes, {} are free",
            run.layout.project.display(),
            stat.f_favail
        ))
        .hint("remove old archives (`keep_archives`); nothing was touched"));
    }
    Ok(())
}

fn size(tree: &Path) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt;
    let (mut bytes, mut files) = (0, 0);
    let mut todo = vec![tree.to_owned()];
    while let Some(dir) = todo.pop() {
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            files += 1;
            let Ok(meta) = entry.metadata() else { continue };
            bytes += meta.blocks() * 512;
            if meta.is_dir() {
                todo.push(entry.path());
            }
        }
    }
    (bytes, files)
}

/// Tells whether the file system shares blocks between files.
fn shares(dir: &Path) -> bool {
    let try_it = || -> std::io::Result<bool> {
        let (mut one, other) = (tempfile::tempfile_in(dir)?, tempfile::tempfile_in(dir)?);
        std::io::Write::write_all(&mut one, &[0; 4096])?;
        Ok(rustix::fs::ioctl_ficlone(&other, &one).is_ok())
    };
    try_it().unwrap_or(false)
}

/// Removes all but the newest archives; 0 keeps all. What is needed to go back is never removed.
pub fn rotate(fs: &dyn Fs, layout: &Layout, keep: i64, current: &str) -> R<Vec<String>> {
    let Some(keep) = usize::try_from(keep).ok().filter(|keep| *keep > 0) else { return Ok(vec![]) };
    let mut names = list(layout)?;
    let old = names.len().saturating_sub(keep);
    names.truncate(old);
    names.retain(|name| name != current);
    for name in &names {
        fs.remove(&layout.archive(name))?;
    }
    Ok(names)
}

/// Lists the archives, the oldest first.
pub fn list(layout: &Layout) -> R<Vec<String>> {
    let entries = match std::fs::read_dir(&layout.archives) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(vec![]),
        Err(error) => return Err(ProjectError::io("list", &layout.archives, error)),
    };
    let mut names: Vec<String> = entries
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| !name.starts_with('.'))
        .collect();
    names.sort();
    Ok(names)
}
