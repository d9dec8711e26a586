//! Users and groups without libc: `/etc/passwd` and `/etc/group` are read here, and `getent` is asked
//! only where the machine has another source of accounts (LDAP, SSSD) and the files have no match.

use super::{Real, failed};
use corpus_core::host::{Command, Group, HostResult, Look, User};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

type Stamp = (u64, i64, i64, u64);

/// What a file held when it had a stamp.
type Lines<T> = (Stamp, Arc<Vec<T>>);

/// A file's lines, kept until the file changes.
struct Kept<T>(Mutex<Option<Lines<T>>>);

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T> Kept<T> {
    fn lines(&self, path: &str, parse: fn(&str) -> Option<T>) -> HostResult<Arc<Vec<T>>> {
        let path = Path::new(path);
        let stamp = match fs::metadata(path) {
            Ok(m) => (m.ino(), m.mtime(), m.mtime_nsec(), m.size()),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Arc::default()),
            Err(e) => return Err(failed("stat", path, &e)),
        };
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, lines)) = &*kept
            && *at == stamp
        {
            return Ok(lines.clone());
        }
        let bytes = fs::read(path).map_err(|e| failed("read", path, &e))?;
        let lines = Arc::new(String::from_utf8_lossy(&bytes).lines().filter_map(parse).collect());
        *kept = Some((stamp, Arc::clone(&lines)));
        Ok(lines)
    }
}

/// The accounts of this machine.
#[derive(Default)]
pub struct Accounts {
    users: Kept<User>,
    groups: Kept<Group>,
}

/// Reads a line of `/etc/passwd`.
pub fn parse_user(line: &str) -> Option<User> {
    let fields: Vec<&str> = line.split(':').collect();
    let [name, _, uid, gid, gecos, home, shell] = fields[..] else { return None };
    if name.is_empty() || name.starts_with(['#', '+', '-']) {
        return None;
    }
    Some(User {
        name: name.into(),
        uid: uid.trim().parse().ok()?,
        gid: gid.trim().parse().ok()?,
        gecos: gecos.into(),
        home: home.into(),
        shell: shell.trim_end().into(),
    })
}

/// Reads a line of `/etc/group`.
pub fn parse_group(line: &str) -> Option<Group> {
    let fields: Vec<&str> = line.split(':').collect();
    let [name, _, gid, members] = fields[..] else { return None };
    if name.is_empty() || name.starts_with(['#', '+', '-']) {
        return None;
    }
    let members = members.split(',').map(str::trim).filter(|m| !m.is_empty()).map(str::to_owned).collect();
    Some(Group { name: name.into(), gid: gid.trim().parse().ok()?, members })
}

impl Accounts {
    fn users(&self) -> HostResult<Arc<Vec<User>>> {
        self.users.lines("/etc/passwd", parse_user)
    }

    /// Returns the groups of the local file.
    pub fn groups(&self) -> HostResult<Arc<Vec<Group>>> {
        self.groups.lines("/etc/group", parse_group)
    }

    /// Finds a user by name.
    pub fn user(&self, host: &Real, name: &str) -> HostResult<Option<User>> {
        let found = self.users()?.iter().find(|u| u.name == name).cloned();
        Ok(found.or_else(|| getent(host, "passwd", name, parse_user).filter(|u| u.name == name)))
    }

    /// Finds a user by number.
    pub fn user_by_id(&self, host: &Real, uid: u32) -> HostResult<Option<User>> {
        let found = self.users()?.iter().find(|u| u.uid == uid).cloned();
        Ok(found.or_else(|| getent(host, "passwd", &uid.to_string(), parse_user)))
    }

    /// Finds a group by name.
    pub fn group(&self, host: &Real, name: &str) -> HostResult<Option<Group>> {
        let found = self.groups()?.iter().find(|g| g.name == name).cloned();
        Ok(found.or_else(|| getent(host, "group", name, parse_group).filter(|g| g.name == name)))
    }

    /// Finds a group by number.
    pub fn group_by_id(&self, host: &Real, gid: u32) -> HostResult<Option<Group>> {
        let found = self.groups()?.iter().find(|g| g.gid == gid).cloned();
        Ok(found.or_else(|| getent(host, "group", &gid.to_string(), parse_group)))
    }

    /// Returns the numbers of all groups that a user is in, its own first.
    pub fn groups_of(&self, host: &Real, user: &User) -> HostResult<Vec<u32>> {
        let mut gids = vec![user.gid];
        gids.extend(self.groups()?.iter().filter(|g| g.members.contains(&user.name)).map(|g| g.gid));
        if has_other_source("group") {
            let command = Command::new(["getent", "initgroups", &user.name]);
            if let Ok(output) = host.query(&command)
                && output.ok()
            {
                gids.extend(output.stdout_text().split_whitespace().skip(1).filter_map(|g| g.parse::<u32>().ok()));
            }
        }
        let mut seen = std::collections::BTreeSet::new();
        gids.retain(|gid| seen.insert(*gid));
        Ok(gids)
    }
}

/// Asks the machine's own resolver. Its absence or failure is the same as no match.
fn getent<T>(host: &Real, database: &str, key: &str, parse: fn(&str) -> Option<T>) -> Option<T> {
    if key.is_empty() || key.starts_with('-') || !has_other_source(database) {
        return None;
    }
    let mut command = Command::new(["getent", database, key]);
    command.timeout_s = Some(20);
    let output = host.query(&command).ok().filter(corpus_core::Output::ok)?;
    parse(output.stdout_text().lines().next()?)
}

/// Tells whether accounts come from elsewhere than the files. `systemd` (users of running units) does
/// not count: asking it would cost a process for every user that does not exist yet.
fn has_other_source(database: &str) -> bool {
    fs::read_to_string("/etc/nsswitch.conf").is_ok_and(|text| names_other_source(&text, database))
}

fn names_other_source(nsswitch: &str, database: &str) -> bool {
    let lines = nsswitch.lines().filter_map(|line| line.split('#').next()?.split_once(':'));
    lines
        .filter(|(name, _)| name.trim() == database)
        .flat_map(|(_, sources)| sources.split_whitespace())
        .any(|source| !source.starts_with('[') && !matches!(source, "files" | "compat" | "systemd" | "db"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_account_lines() {
        for (line, expected) in [
            ("root:x:0:0:root:/root:/bin/bash", Some(("root", 0))),
            ("a:x:1000:100:A B,,,:/home/a:", Some(("a", 1000))),
            ("# comment", None),
            ("+::::::", None),
            ("+@admins::::::", None),
            ("broken:x:abc:0::/:/bin/sh", None),
            ("short:x:1", None),
        ] {
            assert_eq!(parse_user(line).as_ref().map(|u| (&*u.name, u.uid)), expected, "{line}");
        }
        let group = parse_group("adm:x:4:syslog,ubuntu").unwrap();
        assert_eq!((group.gid, group.members), (4, vec!["syslog".to_owned(), "ubuntu".into()]));
        assert_eq!(parse_group("empty:x:5:").unwrap().members, Vec::<String>::new());
    }

    #[test]
    fn asks_getent_only_where_there_is_something_to_ask() {
        for (text, expected) in [
            ("passwd: files systemd\n", false),
            ("passwd:\tfiles sss\n", true),
            ("passwd: files [NOTFOUND=return] ldap", true),
            ("passwd: compat # ldap\n", false),
            ("group: files ldap\n", false),
            ("", false),
        ] {
            assert_eq!(names_other_source(text, "passwd"), expected, "{text}");
        }
    }

    #[test]
    fn finds_the_accounts_of_this_machine() {
        let host = Real::new();
        let root = host.user("root").unwrap().unwrap();
        assert_eq!(root.uid, 0);
        assert_eq!(host.user_by_id(0).unwrap().unwrap().name, "root");
        assert_eq!(host.group_by_id(0).unwrap().unwrap().name, "root");
        assert_eq!(host.user("no-such-user-here").unwrap(), None);
        assert!(host.accounts.groups_of(&host, &root).unwrap().contains(&0));
    }
}
