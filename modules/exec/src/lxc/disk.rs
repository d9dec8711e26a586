//! The disk of a guest: what it stands on, how much it may hold, how much it holds. Only btrfs counts and limits a
//! subvolume; on anything else a limit is refused, with the reason.

use super::config::Config;
use super::{Files, Guest};
use crate::ask;
use corpus_core::{Act, Command, ExecError, HostError, Look, Map, Value};
use std::path::{Path, PathBuf};

/// Tells whether a path lies on btrfs.
pub fn on_btrfs(look: &dyn Look, path: &Path) -> Result<bool, HostError> {
    // A directory that is not there yet will lie where its first parent is.
    let mut at = path;
    while look.stat(at)?.is_none() {
        at = at.parent().unwrap_or(Path::new("/"));
    }
    let output = look.query(&Command::new(["stat", "-f", "-c", "%T", &at.display().to_string()]))?;
    Ok(output.ok() && output.stdout_text().trim() == "btrfs")
}

/// Tells whether a path is the root of a btrfs subvolume.
pub fn is_subvolume(look: &dyn Look, path: &Path) -> Result<bool, HostError> {
    Ok(look.stat(path)?.is_some_and(|meta| meta.is_dir() && meta.ino == 256) && on_btrfs(look, path)?)
}

/// Names what a guest stands on.
pub fn backing(look: &dyn Look, config: &Config) -> Result<&'static str, ExecError> {
    let path = config.get("lxc.rootfs.path").unwrap_or_default();
    let kind = path.split_once(':').map_or("", |(kind, _)| kind);
    Ok(match kind {
        "overlay" | "overlayfs" => "overlayfs",
        "lvm" | "zfs" | "loop" | "rbd" | "nbd" => "other",
        _ if path.starts_with("/dev/") => "other",
        _ if is_subvolume(look, &Files::at_rest(path).upper)? => "btrfs",
        _ if path.is_empty() => "other",
        _ => "dir",
    })
}

/// Returns the subvolume of a guest, or why it has none.
fn subvolume(guest: &Guest, look: &dyn Look, config: &Config) -> Result<Result<PathBuf, String>, ExecError> {
    match backing(look, config)? {
        "btrfs" => Ok(Ok(Files::at_rest(config.get("lxc.rootfs.path").unwrap_or_default()).upper)),
        other => Ok(Err(format!(
            "container '{}' stands on {other}, which cannot limit its disk; `backing: btrfs` on a btrfs file system can",
            guest.name
        ))),
    }
}

fn btrfs<'a>(words: impl IntoIterator<Item = &'a str>, path: &Path) -> Command {
    let mut command = Command::new(["btrfs"]);
    command.argv.extend(words.into_iter().map(str::to_owned));
    command.argv.push(path.display().to_string());
    command
}

/// What btrfs counts of a subvolume.
struct Counted {
    id: String,
    used: u64,
    limit: Option<u64>,
}

/// Reads the count of a subvolume; `None` while the file system does not count.
fn counted(look: &dyn Look, path: &Path) -> Result<Option<Counted>, ExecError> {
    let output = look.query(&btrfs(["qgroup", "show", "-re", "--raw", "-f"], path))?;
    if !output.ok() {
        return Ok(None);
    }
    // qgroupid rfer excl max_rfer max_excl [path]: the guest's own data is what it uses.
    let text = output.stdout_text();
    let row = text
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .find(|row| row.first().is_some_and(|id| id.starts_with("0/")) && row.len() >= 5);
    Ok(row.map(|row| Counted { id: row[0].to_owned(), used: row[2].parse().unwrap_or(0), limit: row[4].parse().ok() }))
}

/// Returns how much a guest may hold.
pub fn limit(guest: &Guest, look: &dyn Look, config: &Config) -> Result<Option<u64>, ExecError> {
    match subvolume(guest, look, config)? {
        Ok(path) => Ok(counted(look, &path)?.and_then(|counted| counted.limit)),
        Err(_) => Ok(None),
    }
}

/// Describes the disk of a guest.
pub fn describe(guest: &Guest, look: &dyn Look) -> Result<Map, ExecError> {
    let config = guest.config(look)?;
    let mut out = Map::new();
    out.insert("backing", backing(look, &config)?);
    let (counted, why) = match subvolume(guest, look, &config)? {
        Ok(path) => (counted(look, &path)?, None),
        Err(why) => (None, Some(why)),
    };
    out.insert("limit", counted.as_ref().and_then(|counted| counted.limit));
    out.insert("used", counted.map(|counted| counted.used));
    out.insert("why", why);
    Ok(out)
}

/// Sets how much a guest may hold; `None` lifts the limit. Less than it holds is refused.
pub fn resize(guest: &Guest, act: &dyn Act, size: Option<u64>) -> Result<Map, ExecError> {
    let look = act.as_look();
    let config = guest.config(look)?;
    let path = subvolume(guest, look, &config)?.map_err(ExecError::Failed)?;
    let before = match counted(look, &path)? {
        Some(counted) => counted,
        None => {
            ask::must(act, btrfs(["quota", "enable"], &path))?;
            // The first count is under way; a limit can be set meanwhile, but what is used must be known.
            ask::must(act, btrfs(["quota", "rescan", "-w"], &path))?;
            counted(look, &path)?
                .ok_or_else(|| ExecError::failed(format!("btrfs does not count {}", path.display())))?
        }
    };
    // What is written but not yet on the disk counts too.
    ask::must(act, Command::new(["sync", "-f", &path.display().to_string()]))?;
    let used = counted(look, &path)?.map_or(before.used, |counted| counted.used);
    if let Some(size) = size.filter(|size| *size < used) {
        return Err(ExecError::failed(format!(
            "container '{}' holds {used} bytes, more than the {size} that its disk is to have; delete files in it first",
            guest.name
        )));
    }
    let word = size.map_or_else(|| "none".to_owned(), |size| size.to_string());
    ask::must(act, btrfs(["qgroup", "limit", "-e", &word, &before.id], &path))?;
    Ok([("old", Value::from(before.limit)), ("new", size.into())].into_iter().collect())
}

/// Deletes a subvolume and what was counted for it.
pub fn delete_subvolume(act: &dyn Act, path: &Path) -> Result<(), ExecError> {
    let id = counted(act.as_look(), path)?.map(|counted| counted.id);
    ask::must(act, btrfs(["subvolume", "delete"], path))?;
    forget(act, id.as_slice(), path.parent().unwrap_or(path))
}

/// Makes a subvolume that starts as another.
pub fn clone_subvolume(act: &dyn Act, from: &Path, to: &Path) -> Result<(), ExecError> {
    ask::must(act, btrfs(["subvolume", "snapshot", &from.display().to_string()], to))?;
    Ok(())
}

/// Makes an empty subvolume.
pub fn make_subvolume(act: &dyn Act, path: &Path) -> Result<(), ExecError> {
    ask::must(act, btrfs(["subvolume", "create"], path))?;
    Ok(())
}

/// Removes a tree, its subvolumes included.
pub fn remove_tree(act: &dyn Act, path: &Path) -> Result<(), ExecError> {
    let look = act.as_look();
    if look.lstat(path)?.is_none() {
        return Ok(());
    }
    if on_btrfs(look, path)? {
        // Systemd makes some of its own in a guest, `/var/lib/machines`.
        let mut inside: Vec<PathBuf> = vec![];
        find_subvolumes(look, path, 5, &mut inside)?;
        for subvolume in inside.iter().rev() {
            delete_subvolume(act, subvolume)?;
        }
    }
    if look.lstat(path)?.is_some() {
        act.perform(&corpus_core::Effect::Remove { path: path.to_path_buf() })?;
    }
    Ok(())
}

/// Returns the counts of the subvolumes in a tree, for [`forget`].
pub fn counts(look: &dyn Look, path: &Path) -> Result<Vec<String>, ExecError> {
    let mut inside = vec![];
    if on_btrfs(look, path)? {
        find_subvolumes(look, path, 5, &mut inside)?;
    }
    let mut out = vec![];
    for subvolume in inside {
        out.extend(counted(look, &subvolume)?.map(|counted| counted.id));
    }
    Ok(out)
}

/// Removes the counts of subvolumes that are gone.
pub fn forget(act: &dyn Act, counts: &[String], beside: &Path) -> Result<(), ExecError> {
    for id in counts {
        // An older kernel keeps the empty count; a newer one has removed it already.
        ask::run(act, btrfs(["qgroup", "destroy", id], beside))?;
    }
    Ok(())
}

fn find_subvolumes(look: &dyn Look, path: &Path, depth: u32, out: &mut Vec<PathBuf>) -> Result<(), HostError> {
    if look.lstat(path)?.is_none_or(|meta| !meta.is_dir()) {
        return Ok(());
    }
    if is_subvolume(look, path)? {
        out.push(path.to_path_buf());
    }
    if depth > 0 {
        for name in look.list(path)? {
            find_subvolumes(look, &path.join(name), depth - 1, out)?;
        }
    }
    Ok(())
}
