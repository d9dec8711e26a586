//! `reset-perms`, the program that recipes of the original start: owners and modes of whole trees, with its options.
//! Links are neither followed nor changed.

use crate::acl::{self, Who};
use corpus_core::Look;
use corpus_master::Machine;
use rustix::fs::{AtFlags, CWD, Gid, Mode, Uid};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The name under which the program is started.
pub const NAME: &str = "reset-perms";

#[derive(Default)]
struct Wanted {
    user: Option<u32>,
    group: Option<u32>,
    files: Option<u32>,
    dirs: Option<u32>,
    paths: Vec<PathBuf>,
    except: Vec<PathBuf>,
    /// Who has rights of his own; `None`: those of the owner.
    named: Vec<(Who, Option<u16>)>,
    reset: bool,
    only_acls: bool,
    no_acls: bool,
    flat: bool,
    quiet: bool,
}

/// Does what the arguments ask; returns how many files were changed.
pub fn run(arguments: &[String]) -> Result<u64, String> {
    let wanted = parse(arguments)?;
    let mut changed = 0;
    for path in &wanted.paths {
        changed += reset(path, &wanted)?;
    }
    if !wanted.quiet {
        eprintln!("{changed} changed");
    }
    Ok(changed)
}

fn parse(arguments: &[String]) -> Result<Wanted, String> {
    let mut wanted = Wanted::default();
    let mut rest = arguments.iter();
    while let Some(word) = rest.next() {
        let (option, inline) = match word.split_once('=') {
            Some((option, value)) if option.starts_with("--") => (option, Some(value.to_owned())),
            _ => (word.as_str(), None),
        };
        let mut value = || inline.clone().or_else(|| rest.next().cloned()).ok_or(format!("{option} needs a value"));
        match option {
            "-q" | "--quiet" => wanted.quiet = true,
            "-R" | "--no-recursive" => wanted.flat = true,
            "-v" | "--verbose" | "--debug" => {}
            "-n" | "--no-acls" => wanted.no_acls = true,
            "-o" | "--only-acls" => wanted.only_acls = true,
            "-k" | "--reset-acls" | "--reset" => wanted.reset = true,
            "--users" => wanted.named.extend(named(&value()?, |name| user(name).map(Who::User))?),
            "--groups" => wanted.named.extend(named(&value()?, |name| group(name).map(Who::Group))?),
            "-u" | "--user" => wanted.user = Some(user(&value()?)?),
            "-g" | "--group" => wanted.group = Some(group(&value()?)?),
            "--fmode" => wanted.files = Some(mode(&value()?)?),
            "--dmode" => wanted.dirs = Some(mode(&value()?)?),
            "-p" | "--paths" | "--path" => wanted.paths.push(value()?.into()),
            "-e" | "--excludes" | "--exclude" => wanted.except.push(value()?.into()),
            _ => return Err(format!("{NAME}: unknown option {option}")),
        }
    }
    if wanted.paths.is_empty() {
        return Err(format!("{NAME}: no --paths are given"));
    }
    Ok(wanted)
}

/// Reads `NAME` or `NAME:r-x`. Who is not there gets nothing, and that is said.
fn named(text: &str, find: impl Fn(&str) -> Result<Who, String>) -> Result<Option<(Who, Option<u16>)>, String> {
    let (name, rights) = match text.split_once(':') {
        Some((name, rights)) => {
            (name, Some(acl::rights(rights).ok_or(format!("`{rights}` are no rights: write rwx"))?))
        }
        None => (text, None),
    };
    match find(name) {
        Ok(who) => Ok(Some((who, rights))),
        Err(error) => {
            eprintln!("{NAME}: {error}");
            Ok(None)
        }
    }
}

fn mode(text: &str) -> Result<u32, String> {
    u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o7777).ok_or(format!("`{text}` is no mode"))
}

fn user(name: &str) -> Result<u32, String> {
    if let Ok(id) = name.parse() {
        return Ok(id);
    }
    let found = Machine::new().user(name).map_err(|error| error.to_string())?;
    found.map(|user| user.uid).ok_or(format!("there is no user {name}"))
}

fn group(name: &str) -> Result<u32, String> {
    if let Ok(id) = name.parse() {
        return Ok(id);
    }
    let found = Machine::new().group(name).map_err(|error| error.to_string())?;
    found.map(|group| group.gid).ok_or(format!("there is no group {name}"))
}

fn reset(path: &Path, wanted: &Wanted) -> Result<u64, String> {
    let mut changed = 0;
    let mut todo = vec![path.to_owned()];
    while let Some(path) = todo.pop() {
        let told = |error: std::io::Error| format!("{}: {error}", path.display());
        let meta = match std::fs::symlink_metadata(&path) {
            Ok(meta) if !meta.is_symlink() && !wanted.except.contains(&path) => meta,
            _ => continue,
        };
        let (uid, gid) = (wanted.user.unwrap_or(meta.uid()), wanted.group.unwrap_or(meta.gid()));
        let mode = if meta.is_dir() { wanted.dirs } else { wanted.files }.unwrap_or(meta.mode() & 0o7777);
        // A set-group-id bit of a directory is the group's way to stay: it is not taken away.
        let mode = if meta.is_dir() { mode | meta.mode() & 0o2000 } else { mode };
        let own = (meta.uid(), meta.gid(), meta.mode() & 0o7777);
        let (uid, gid, mode) = if wanted.only_acls { own } else { (uid, gid, mode) };
        if (uid, gid) != (meta.uid(), meta.gid()) {
            let owner = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
            rustix::fs::chownat(CWD, &path, owner.0, owner.1, AtFlags::SYMLINK_NOFOLLOW).map_err(|e| told(e.into()))?;
        }
        if mode != meta.mode() & 0o7777 {
            rustix::fs::chmodat(CWD, &path, Mode::from_raw_mode(mode), AtFlags::empty()).map_err(|e| told(e.into()))?;
        }
        let mut other = (uid, gid, mode) != own;
        if !wanted.no_acls && !wanted.named.is_empty() {
            let owners = u16::try_from(mode >> 6 & 7).unwrap_or(0);
            let named: Vec<(Who, u16)> =
                wanted.named.iter().map(|(who, rights)| (*who, rights.unwrap_or(owners))).collect();
            other |= acl::grant(&path, mode, meta.is_dir(), &named, wanted.reset).map_err(told)?;
        }
        changed += u64::from(other);
        if meta.is_dir() && !wanted.flat {
            let entries = std::fs::read_dir(&path).map_err(told)?;
            todo.extend(entries.flatten().map(|entry| entry.path()));
        }
    }
    Ok(changed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn sets_modes_of_a_tree_and_leaves_links_and_what_is_excepted() {
        let dir = tempfile::tempdir().expect("a directory");
        let at = |name: &str| dir.path().join(name);
        std::fs::create_dir(at("d")).expect("made");
        for name in ["d/f", "x"] {
            std::fs::write(at(name), "").expect("written");
        }
        std::os::unix::fs::symlink(at("x"), at("d/link")).expect("linked");
        let mode = |name: &str| std::fs::metadata(at(name)).expect("there").permissions().mode() & 0o777;
        std::fs::set_permissions(at("x"), std::fs::Permissions::from_mode(0o600)).expect("set");
        let path = at("d").display().to_string();
        let args = ["-q", "--no-acls", "--fmode", "0640", "--dmode=0750", "--paths", &path];
        let args: Vec<String> = args.iter().map(|word| (*word).to_owned()).collect();
        assert_eq!(run(&args), Ok(2));
        assert_eq!((mode("d"), mode("d/f"), mode("x")), (0o750, 0o640, 0o600));
        assert_eq!(run(&args), Ok(0));
        assert!(run(&["--what".to_owned()]).is_err());
    }
}
