//! A guest goes from a node to another: what writes its files here, and what reads them there. Both are programs whose
//! ends somebody else joins; a new guest is made of what came only when all of it did.

use super::config::Config;
use super::{Files, Guest, base, disk, guest};
use crate::ask;
use corpus_core::{Act, Attrs, Command, Effect, ExecError, Look, Map};
use std::path::Path;

/// Everything that a file is. Access lists come by `--acls`: as attributes they would come twice, in any order.
const WHOLE: [&str; 5] =
    ["--numeric-owner", "--acls", "--xattrs", "--xattrs-include=*", "--xattrs-exclude=system.posix_acl_*"];

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

/// Writes the same bytes of the same files, wherever they lie.
const STEADY: [&str; 3] =
    ["--sort=name", "--format=posix", "--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime"];

/// Ends as the program ends, not as what counts.
const SUM: &str = r#"exec 3>&1; exit "$({ { "$@"; echo $? >&4; } | sha256sum >&3; } 4>&1)""#;

fn files_of(rootfs: &Path) -> Vec<String> {
    let at = rootfs.display().to_string();
    let tar = ["tar"].into_iter().chain(WHOLE).chain(STEADY).chain(["-cf", "-", "-C", &at, "."]);
    tar.map(str::to_owned).collect()
}

fn sum(look: &dyn Look, rootfs: &Path) -> Result<String, ExecError> {
    let words = ["/bin/sh", "-c", SUM, "sh"].map(str::to_owned).into_iter().chain(files_of(rootfs));
    let text = ask::output(look, &Command::new(words))?;
    let digest = text.split_whitespace().next().unwrap_or_default().to_owned();
    if digest.len() == 64 { Ok(digest) } else { Err(ExecError::failed(format!("{}: no digest", rootfs.display()))) }
}

/// Returns what a base holds: the digest of its files, which nobody changes.
pub fn digest(act: &dyn Act, place: &Path, name: &str) -> Result<Option<String>, ExecError> {
    let look = act.as_look();
    let Some(base) = base::find(look, place, name)? else { return Ok(None) };
    let kept = base.rootfs.with_file_name("digest");
    if let Some(text) = ask::text(look, &kept)? {
        return Ok(Some(text.trim().to_owned()));
    }
    let digest = sum(look, &base.rootfs)?;
    act.perform(&Effect::text(kept, format!("{digest}\n")))?;
    Ok(Some(digest))
}

/// Returns the program that writes the files of a base.
pub fn send_base(look: &dyn Look, place: &Path, name: &str) -> Result<Vec<String>, ExecError> {
    let found = base::find(look, place, name)?;
    let base = found.ok_or_else(|| ExecError::failed(format!("no base `{name}` in {}", place.display())))?;
    Ok(files_of(&base.rootfs))
}

fn part(place: &Path, name: &str) -> std::path::PathBuf {
    place.join(format!(".part-{name}-coming"))
}

/// Makes room for a base, and returns the program that reads its files.
pub fn receive_base(act: &dyn Act, place: &Path, name: &str) -> Result<Vec<String>, ExecError> {
    Guest::new(place, name)?;
    guest::make_dirs(act, place)?;
    let part = part(place, name);
    disk::remove_tree(act, &part)?;
    let attrs = |mode| Attrs { mode: Some(mode), ..Attrs::default() };
    act.perform(&Effect::Mkdir { path: part.clone(), attrs: attrs(0o711) })?;
    let rootfs = part.join("rootfs");
    if disk::on_btrfs(act.as_look(), &part)? {
        disk::make_subvolume(act, &rootfs)?;
    } else {
        act.perform(&Effect::Mkdir { path: rootfs.clone(), attrs: attrs(0o755) })?;
    }
    let at = rootfs.display().to_string();
    Ok(["tar"].into_iter().chain(WHOLE).chain(["-xpf", "-", "-C", &at]).map(str::to_owned).collect())
}

/// Takes a base that came, if it is what was sent; the name leads to it from now on.
pub fn received_base(act: &dyn Act, place: &Path, name: &str, digest: &str) -> Result<Map, ExecError> {
    let look = act.as_look();
    let part = part(place, name);
    let came = sum(look, &part.join("rootfs"))?;
    if came != digest {
        disk::remove_tree(act, &part)?;
        return Err(ExecError::failed(format!("base `{name}`: {came} came, and {digest} was sent; it is not kept")));
    }
    act.perform(&Effect::text(part.join("digest"), format!("{digest}\n")))?;
    base::adopt(act, place, name, &digest[..16], &part)?;
    Ok([("name", name), ("digest", digest)].into_iter().collect())
}
