//! A guest goes from a node to another: what writes its files here, and what reads them there. Both are programs whose
//! ends somebody else joins; a new guest is made of what came only when all of it did.

use super::config::Config;
use super::{Files, Guest, disk, guest};
use crate::ask;
use corpus_core::{Act, Attrs, Effect, ExecError, Look};
use std::path::Path;

/// Everything that a file is.
const WHOLE: [&str; 4] = ["--numeric-owner", "--acls", "--xattrs", "--xattrs-include=*"];

/// Shows the layers as one, to nobody else, and goes away with the program.
const LAYERS: &str =
    r#"mount -t overlay -o "ro,lowerdir=$1:$2" overlay "$3" && at=$3 && shift 3 && exec "$@" -C "$at" ."#;

/// Returns the program that writes the files of a guest that stands still.
pub fn send(guest: &Guest, look: &dyn Look) -> Result<Vec<String>, ExecError> {
    match guest.state(look)?.as_deref() {
        None => return Err(guest.missing()),
        Some("stopped") => {}
        Some(_) => return Err(ExecError::failed(format!("Container '{}' must be stopped to be sent", guest.name))),
    }
    let config = guest.config(look)?;
    if disk::backing(look, &config)? == "other" {
        let on = config.get("lxc.rootfs.path").unwrap_or_default();
        return Err(ExecError::failed(format!(
            "Container '{}' stands on `{on}`, whose files are not seen from outside; overlayfs, btrfs and dir can be sent",
            guest.name
        )));
    }
    let files = Files::at_rest(config.get("lxc.rootfs.path").unwrap_or_default());
    let upper = files.upper.display().to_string();
    let tar = ["tar"].into_iter().chain(WHOLE).chain(["--sparse", "--warning=no-file-ignored", "-cf", "-"]);
    let mut argv: Vec<String> = vec![];
    if let Some(lower) = &files.lower {
        let at = guest.dir().join("rootfs");
        let words = ["unshare", "-m", "/bin/sh", "-c", LAYERS, "sh"].map(str::to_owned);
        argv.extend(words.into_iter().chain([upper, lower.display().to_string(), at.display().to_string()]));
        argv.extend(tar.map(str::to_owned));
    } else {
        argv.extend(tar.chain(["-C", &upper, "."]).map(str::to_owned));
    }
    Ok(argv)
}

/// Makes room for the files of a guest that is to come, and returns the program that reads them. What a move that was cut
/// off left there goes.
pub fn receive(guest: &Guest, act: &dyn Act) -> Result<Vec<String>, ExecError> {
    let look = act.as_look();
    super::need(look)?;
    if guest.exists(look)? {
        return Err(ExecError::failed(format!("Container '{}' already exists", guest.name)));
    }
    guest::make_dirs(act, &guest.root)?;
    guest::clear(guest, act)?;
    guest::open(guest, act)?;
    let rootfs = guest.dir().join("rootfs");
    if disk::on_btrfs(look, &guest.dir())? {
        disk::make_subvolume(act, &rootfs)?;
    } else {
        let attrs = Attrs { mode: Some(0o755), ..Attrs::default() };
        act.perform(&Effect::Mkdir { path: rootfs.clone(), attrs })?;
    }
    let at = rootfs.display().to_string();
    Ok(["tar"].into_iter().chain(WHOLE).chain(["-xpf", "-", "-C", &at]).map(str::to_owned).collect())
}

/// Takes the files that came for a new guest.
pub fn received(guest: &Guest, act: &dyn Act) -> Result<Config, ExecError> {
    let look = act.as_look();
    let rootfs = guest.dir().join("rootfs");
    if !guest::is_begun(guest, look)? || !ask::is_dir(look, rootfs.join("etc")) {
        return Err(ExecError::failed(format!("no files came for container '{}'", guest.name)));
    }
    let kind = if disk::is_subvolume(look, Path::new(&rootfs))? { "btrfs" } else { "dir" };
    Ok(guest::fresh(guest, look, &format!("{kind}:{}", rootfs.display())))
}
