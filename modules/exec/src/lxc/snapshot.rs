//! Snapshots of a container, by `lxc-snapshot`.

use super::config::Config;
use super::guest::make_dirs;
use super::{Guest, Verb, disk};
use crate::ask;
use corpus_core::{Act, Attrs, Command, Effect, ExecError, Look, Map, Value};
use std::path::{Path, PathBuf};

fn folder(guest: &Guest) -> PathBuf {
    guest.dir().join("snaps")
}

/// Lists a container's snapshots, oldest first.
pub fn names(guest: &Guest, look: &dyn Look) -> Result<Vec<String>, ExecError> {
    let all = match look.list(&folder(guest)) {
        Err(error) if error.is_missing() => vec![],
        other => other?,
    };
    let mut out = vec![];
    for name in all {
        if look.stat(&folder(guest).join(&name).join("config"))?.is_some() {
            out.push(name);
        }
    }
    // `snap10` comes after `snap9`.
    out.sort_by_key(|name| (name.strip_prefix("snap").and_then(|n| n.parse::<u64>().ok()), name.clone()));
    Ok(out)
}

/// Describes a container's snapshots.
pub fn list(guest: &Guest, look: &dyn Look) -> Result<Vec<Value>, ExecError> {
    if !guest.exists(look)? {
        return Err(guest.missing());
    }
    let mut out = vec![];
    for name in names(guest, look)? {
        let at = folder(guest).join(&name);
        let text = |file: &str| ask::text(look, at.join(file)).map(|text| text.map(|text| text.trim().to_owned()));
        let row: Map = [
            ("name", Value::from(name)),
            ("created", text("ts")?.into()),
            ("comment", text("comment")?.unwrap_or_default().into()),
        ]
        .into_iter()
        .collect();
        out.push(row.into());
    }
    Ok(out)
}

/// Tells whether a container's files are a subvolume: a snapshot of it is btrfs's own, then.
fn on_subvolume(guest: &Guest, look: &dyn Look) -> Result<bool, ExecError> {
    Ok(disk::backing(look, &guest.config(look)?)? == "btrfs")
}

fn need(act: &dyn Act, subvolume: bool) -> Result<(), ExecError> {
    super::need(act.as_look())?;
    if subvolume {
        return Ok(());
    }
    if act.as_look().which("rsync").is_none() {
        // LXC ends with an error and says nothing.
        return Err(ExecError::failed("lxc-snapshot needs rsync on this machine; install it first (`pkg.installed`)"));
    }
    Ok(())
}

/// Takes a snapshot. A container that runs is frozen for that moment, so that its files are of one instant.
pub fn take(guest: &Guest, act: &dyn Act, comment: &str) -> Result<Map, ExecError> {
    let look = act.as_look();
    let state = guest.state(look)?.ok_or_else(|| guest.missing())?;
    let subvolume = on_subvolume(guest, look)?;
    need(act, subvolume)?;
    let used = names(guest, look)?;
    let number =
        used.iter().filter_map(|name| name.strip_prefix("snap")?.parse::<u64>().ok()).max().map_or(0, |n| n + 1);
    let name = format!("snap{number}");
    let home = folder(guest).display().to_string();
    make_dirs(act, &folder(guest))?;
    // What lxc-snapshot does, which refuses a container that runs.
    let mut words = vec!["-p", &home, "-N", &name, "-K", "-M", "-a", "-l", "ERROR"];
    // LXC would lay a file system over a plain directory, and that goes on changing below.
    if disk::backing(look, &guest.config(look)?)? != "dir" {
        words.push("-s");
    }
    frozen(guest, act, &state, || {
        let taken = match subvolume {
            true => copy(guest, act, &name),
            false => ask::must(act, guest.command_of("lxc-copy", words)).map(|_| ()),
        };
        if taken.is_err() {
            disk::remove_tree(act, &folder(guest).join(&name))?;
        }
        taken
    })?;
    let at = folder(guest).join(&name);
    let time = look.query(&Command::new(["date", "+%Y:%m:%d %H:%M:%S"]))?.stdout_text();
    act.perform(&Effect::text(at.join("ts"), time.trim()))?;
    if !comment.is_empty() {
        act.perform(&Effect::text(at.join("comment"), format!("{comment}\n")))?;
    }
    Ok([("name", name)].into_iter().collect())
}

/// Names the place of a container's files in its configuration, as the kind that it is.
fn moved(config: &mut Config, to: &Path) {
    let kind = config.get("lxc.rootfs.path").and_then(|path| path.split_once(':')).map_or("btrfs", |(kind, _)| kind);
    let path = format!("{kind}:{}", to.display());
    config.set("lxc.rootfs.path", &path);
}

/// Takes a snapshot of a subvolume, in the form that LXC gives it.
fn copy(guest: &Guest, act: &dyn Act, name: &str) -> Result<(), ExecError> {
    let at = folder(guest).join(name);
    act.perform(&Effect::Mkdir { path: at.clone(), attrs: Attrs { mode: Some(0o711), ..Attrs::default() } })?;
    disk::clone_subvolume(act, &guest.files(act.as_look())?.upper, &at.join("rootfs"))?;
    let mut config = guest.config(act.as_look())?;
    moved(&mut config, &at.join("rootfs"));
    act.perform(&Effect::text(at.join("config"), config.text()))?;
    Ok(())
}

/// Brings a subvolume back to a snapshot.
fn bring_back(guest: &Guest, act: &dyn Act, name: &str) -> Result<(), ExecError> {
    let look = act.as_look();
    let rootfs = guest.files(look)?.upper;
    let (new, old) = (rootfs.with_extension("new"), rootfs.with_extension("old"));
    disk::remove_tree(act, &new)?;
    disk::remove_tree(act, &old)?;
    let at = folder(guest).join(name);
    disk::clone_subvolume(act, &at.join("rootfs"), &new)?;
    let mut config = Config::parse(&ask::text(look, at.join("config"))?.unwrap_or_default());
    moved(&mut config, &rootfs);
    if look.lstat(&rootfs)?.is_some() {
        act.perform(&Effect::Rename { from: rootfs.clone(), to: old.clone() })?;
    }
    act.perform(&Effect::Rename { from: new, to: rootfs })?;
    act.perform(&Effect::text(guest.config_file(), config.text()))?;
    disk::remove_tree(act, &old)
}

/// Does something while a container does not move.
fn frozen(
    guest: &Guest,
    act: &dyn Act,
    state: &str,
    work: impl FnOnce() -> Result<(), ExecError>,
) -> Result<(), ExecError> {
    if state != "running" {
        return work();
    }
    guest.change(act, &Verb::Freeze { start: false })?;
    let worked = work();
    let moving = guest.change(act, &Verb::Unfreeze);
    worked?;
    moving.map(|_| ())
}

/// Does something while a container is stopped.
fn at_rest(
    guest: &Guest,
    act: &dyn Act,
    state: &str,
    work: impl FnOnce() -> Result<(), ExecError>,
) -> Result<(), ExecError> {
    if state == "stopped" {
        return work();
    }
    guest.change(act, &Verb::Stop { kill: false })?;
    let worked = work();
    let started = guest.change(act, &Verb::Start);
    worked?;
    started?;
    if state == "frozen" {
        guest.change(act, &Verb::Freeze { start: false })?;
    }
    Ok(())
}

/// Brings a container back to a snapshot; what its disk may hold stays as it is now.
pub fn restore(guest: &Guest, act: &dyn Act, snapshot: &str) -> Result<Map, ExecError> {
    let look = act.as_look();
    let old = guest.state(look)?.ok_or_else(|| guest.missing())?;
    let subvolume = on_subvolume(guest, look)?;
    need(act, subvolume)?;
    let have = names(guest, look)?;
    if !have.iter().any(|name| name == snapshot) {
        let known = if have.is_empty() { "it has none".into() } else { format!("it has {}", have.join(", ")) };
        return Err(ExecError::failed(format!("Container '{}' has no snapshot `{snapshot}`; {known}", guest.name)));
    }
    let before = guest.config(look)?;
    let limit = disk::limit(guest, look, &before)?;
    let mac = before.get("lxc.net.0.hwaddr").map(str::to_owned);
    at_rest(guest, act, &old, || {
        if subvolume {
            bring_back(guest, act, snapshot)?;
        } else {
            ask::must(act, guest.command_of("lxc-snapshot", ["-l", "ERROR", "-r", snapshot]))?;
        }
        // It is the same guest, so its neighbours know it by the same address. LXC gives it a new one.
        if let Some(mac) = &mac {
            let mut config = guest.config(look)?;
            config.set("lxc.net.0.hwaddr", mac);
            act.perform(&Effect::text(guest.config_file(), config.text()))?;
        }
        // The restored subvolume is a new one, which nothing limits.
        if limit.is_some() {
            disk::resize(guest, act, limit)?;
        }
        Ok(())
    })?;
    let state: Map = [("old", Value::from(old)), ("new", guest.state(look)?.into())].into_iter().collect();
    Ok([("result", Value::Bool(true)), ("state", state.into())].into_iter().collect())
}

/// Removes a snapshot.
pub fn remove(guest: &Guest, act: &dyn Act, snapshot: &str) -> Result<bool, ExecError> {
    let subvolume = on_subvolume(guest, act.as_look())?;
    need(act, subvolume)?;
    if !names(guest, act.as_look())?.iter().any(|name| name == snapshot) {
        return Err(ExecError::failed(format!("Container '{}' has no snapshot `{snapshot}`", guest.name)));
    }
    if subvolume {
        disk::remove_tree(act, &folder(guest).join(snapshot))?;
    } else {
        ask::must(act, guest.command_of("lxc-snapshot", ["-l", "ERROR", "-d", snapshot]))?;
    }
    Ok(true)
}
