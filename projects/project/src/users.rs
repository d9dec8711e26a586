//! The unix user and group of a project, and its keys.

use crate::owned::{self, Owner};
use crate::repo::Identity;
use crate::{Cx, ProjectError, R, push};
use corpus_core::{Look, Map, Value};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

/// Returns who owns a project's files, `None` if it has no user of its own.
pub fn owner(cx: &Cx, cfg: &Map) -> R<Owner> {
    if no_user(cfg) {
        return Ok(None);
    }
    let user = cfg.str("user").unwrap_or_default();
    let group = cfg.str("group").unwrap_or_default();
    let find = |found: corpus_core::host::HostResult<Option<(u32, u32)>>| {
        found.map_err(|error| ProjectError::new(error.to_string()))
    };
    let found = find(cx.machine.user(user).map(|user| user.map(|user| (user.uid, user.gid))))?;
    let own = find(cx.machine.group(group).map(|group| group.map(|group| (group.gid, 0))))?;
    match (found, own) {
        (Some((uid, _)), Some((gid, _))) => Ok(Some(Identity { uid, gid }).filter(|_| cx.is_root())),
        _ => Err(ProjectError::new(format!("there is no user {user}, or no group {group}"))
            .hint(format!("`corpus mc_project.init_project {}` makes them", cfg.str("name").unwrap_or_default()))),
    }
}

fn no_user(cfg: &Map) -> bool {
    cfg.get("no_user").is_some_and(Value::truthy)
}

/// Makes the group and the user, if they are not there. Tells what it made.
pub fn ensure(cx: &Cx, cfg: &Map) -> R<Vec<String>> {
    let mut made = vec![];
    if no_user(cfg) {
        return Ok(made);
    }
    let user = cfg.str("user").unwrap_or_default();
    let groups: Vec<&str> =
        cfg.get("groups").and_then(Value::as_list).into_iter().flatten().filter_map(Value::as_str).collect();
    let group = cfg.str("group").unwrap_or_default();
    let there = |found: corpus_core::host::HostResult<bool>| found.map_err(|e| ProjectError::new(e.to_string()));
    for group in groups.iter().chain([&group]) {
        if !there(cx.machine.group(group).map(|group| group.is_some()))? {
            as_root(cx, &["groupadd", "--system", "--", group])?;
            made.push(format!("group {group}"));
        }
    }
    if !there(cx.machine.user(user).map(|user| user.is_some()))? {
        let home = cx.homes.join(user);
        let homes = cx.homes.clone();
        std::fs::create_dir_all(&homes).map_err(|error| ProjectError::io("make", &homes, error))?;
        let home = home.to_string_lossy();
        // Where pushes are taken, the user has no shell: git alone answers at its door.
        let pushes = Path::new(push::setup::SHELL).exists();
        let shell = if pushes { push::setup::SHELL } else { "/bin/bash" };
        let args = ["useradd", "--home-dir", &home, "--create-home", "--shell", shell, "--gid", group];
        let mut groups = groups;
        if there(cx.machine.group(push::setup::GROUP).map(|group| group.is_some()))? {
            groups.push(push::setup::GROUP);
        }
        let all = groups.join(",");
        let more: &[&str] = if groups.is_empty() { &[] } else { &["--groups", &all] };
        as_root(cx, &[&args, more, &["--", user]].concat())?;
        made.push(format!("user {user}"));
    }
    Ok(made)
}

fn as_root(cx: &Cx, argv: &[&str]) -> R<()> {
    if !cx.is_root() {
        return Err(ProjectError::new(format!("only root can run {}", argv[0]))
            .hint("run corpus as root, or set `no_user: true` in the project's configuration"));
    }
    let output = Command::new(argv[0])
        .args(&argv[1..])
        .stdin(Stdio::null())
        .output()
        .map_err(|error| ProjectError::new(format!("cannot run {}: {error}", argv[0])))?;
    if output.status.success() {
        return Ok(());
    }
    Err(ProjectError::new(format!("{}: {}", argv.join(" "), String::from_utf8_lossy(&output.stderr).trim())))
}

/// Gives the user the keys that the machine has for all projects: the ssh configuration and `id_*` of root, or of the
/// directory that `projects_ssh` of the configuration names. What the user has stays.
pub fn keys(cx: &Cx, cfg: &Map, owner: Owner) -> R<Vec<String>> {
    let mut made = vec![];
    let (Some(owner), Some(user)) = (owner, cfg.str("user")) else { return Ok(made) };
    let source = cx.corpus.config.text("projects_ssh").unwrap_or("/root/.ssh").to_owned();
    let home = match cx.machine.user(user) {
        Ok(Some(user)) => user.home,
        _ => return Ok(made),
    };
    let wanted = |name: &str| name == "config" || name.starts_with("id_");
    let mut names: Vec<String> = std::fs::read_dir(&source)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| wanted(name))
        .collect();
    names.sort();
    let ssh = Path::new(&home).join(".ssh");
    owned::dir(&ssh, Some(owner), 0o700)?;
    for name in names {
        let from = Path::new(&source).join(&name);
        let text = std::fs::read_to_string(&from).map_err(|error| ProjectError::io("read", &from, error))?;
        if owned::add(&ssh, &[&name], &text, Some(owner))? {
            let to = ssh.join(&name);
            let mode = std::fs::Permissions::from_mode(0o600);
            std::fs::set_permissions(&to, mode).map_err(|error| ProjectError::io("write", &to, error))?;
            made.push(format!("{home}/.ssh/{name}"));
        }
    }
    Ok(made)
}
