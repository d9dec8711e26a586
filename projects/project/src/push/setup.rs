//! What a machine needs before anybody can push to it: hooks, keys, a unit, a few lines for sshd.

use super::{Conf, Place, conf};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The login shell for projects' users: it is corpus itself.
pub const SHELL: &str = "/usr/local/lib/corpus/git-shell";
/// The group of all projects' users, for sshd.
pub const GROUP: &str = "corpus-push";

/// Installs what all projects share; tells what changed.
pub fn machine(conf: &Conf, exe: &Path) -> Result<Vec<String>, String> {
    let mut changed = vec![];
    // Others must be able to read most of it, whatever the caller's own habits are.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    folder(&conf.state, 0o700)?;
    sync_hooks(conf, exe, &mut changed)?;
    link(Path::new(SHELL), exe, &mut changed)?;
    if !Path::new(conf::FILE).exists() {
        let text = serde_json::to_string_pretty(conf).map_err(|error| error.to_string())?;
        file(Path::new(conf::FILE), &(text + "\n"), 0o644, None, &mut changed)?;
    }
    let units = Path::new("/etc/systemd/system");
    if units.is_dir() {
        file(&units.join("corpus-push.service"), &unit(exe), 0o644, None, &mut changed)?;
    }
    let sshd = Path::new("/etc/ssh/sshd_config.d");
    if sshd.is_dir() {
        file(&sshd.join("corpus-push.conf"), &sshd_lines(conf, exe), 0o644, None, &mut changed)?;
    }
    Ok(changed)
}

/// Puts the hooks right; they are links to corpus in a directory of root's.
pub fn sync_hooks(conf: &Conf, exe: &Path, changed: &mut Vec<String>) -> Result<(), String> {
    folder(&conf.hooks, 0o755)?;
    // What else lies there would be run by git as well.
    let strangers = std::fs::read_dir(&conf.hooks).into_iter().flatten().flatten();
    for stranger in strangers.filter(|entry| !HOOKS.iter().any(|hook| entry.file_name() == *hook)) {
        let path = stranger.path();
        std::fs::remove_file(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        changed.push(format!("removed {}", path.display()));
    }
    HOOKS.iter().try_for_each(|hook| link(&conf.hooks.join(hook), exe, changed))
}

const HOOKS: &[&str] = &["pre-receive", "proc-receive"];

/// Lets somebody's key push to a project, or, without a key, nobody of that name any more. The key gets its forced
/// command, and the file is root's, so that nothing that runs as the project's user adds a key.
pub fn authorize(place: &Place, home: &Path, exe: &Path, who: &str, key: Option<&str>) -> Result<bool, String> {
    if !person(who) {
        return Err("a person's name here is letters, digits and @._-, like alice@laptop".into());
    }
    let path = home.join(".ssh/authorized_keys");
    let now = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(format!("{}: {error}", path.display())),
    };
    // Only lines of this form are kept: a key without the forced command would be more than a key to push.
    let forced = forced(place, exe);
    let of =
        |line: &str| line.strip_prefix(&forced).and_then(|rest| rest.split_once('"')).map(|(who, _)| who.to_owned());
    let mut lines: Vec<String> =
        now.lines().filter(|line| of(line).is_some_and(|other| other != who)).map(str::to_owned).collect();
    if let Some(key) = key {
        let key = line(place, exe, who, key);
        lines.push(key.ok_or("this is no public key of ssh: it looks like `ssh-ed25519 AAAA…`")?);
    }
    lines.insert(0, "# Written by corpus; what it did not write is removed.".into());
    let mut changed = vec![];
    folder(&home.join(".ssh"), 0o755)?;
    file(&path, &(lines.join("\n") + "\n"), 0o644, Some((0, 0)), &mut changed)?;
    Ok(!changed.is_empty())
}

fn person(who: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || "@._-".contains(c);
    !who.is_empty() && who.len() <= 80 && who.chars().all(good)
}

fn forced(place: &Place, exe: &Path) -> String {
    format!("restrict,command=\"{} git-shell project={} who=", exe.display(), place.name)
}

/// Makes the line by which sshd lets a key push, and do nothing else; `None` if it is no key, or the name no name.
pub fn line(place: &Place, exe: &Path, who: &str, key: &str) -> Option<String> {
    let key = public_key(key).filter(|_| person(who))?;
    Some(format!("{}{who}\" {key} {who}", forced(place, exe)))
}

/// Returns name and home of a user of this machine.
pub fn user(uid: u32) -> Result<(String, PathBuf), String> {
    let found = line_of("/etc/passwd", |fields| fields.get(2).is_some_and(|id| *id == uid.to_string()))?;
    match found.as_deref() {
        Some([name, _, _, _, _, home, ..]) => Ok((name.clone(), home.into())),
        _ => Err(format!("the user {uid} is not in /etc/passwd")),
    }
}

/// Makes a user one who pushes: corpus is its login shell, so that whichever way it comes in, there is no other; it is in
/// the group that sshd knows; and it has no password instead of being locked, because without PAM sshd does not let a
/// locked user in with a key either.
pub fn pusher(name: &str) -> Result<(), String> {
    let field = |file: &str, at: usize| {
        let line = line_of(file, |fields| fields.first().is_some_and(|own| own == name))?;
        Ok::<_, String>(line.and_then(|fields| fields.get(at).cloned()).unwrap_or_default())
    };
    let mut words: Vec<&str> = vec![];
    if field("/etc/passwd", 6)? != SHELL {
        words.extend(["--shell", SHELL]);
    }
    if field("/etc/shadow", 1)? == "!" {
        words.extend(["--password", "*"]);
    }
    let group = line_of("/etc/group", |fields| fields.first().is_some_and(|own| own == GROUP))?;
    if group.is_none() {
        run("groupadd", &["--system", GROUP])?;
    }
    let members = group.and_then(|fields| fields.get(3).cloned()).unwrap_or_default();
    if !members.split(',').any(|member| member == name) {
        words.extend(["--append", "--groups", GROUP]);
    }
    if words.is_empty() {
        return Ok(());
    }
    words.extend(["--", name]);
    run("usermod", &words)
}

/// Returns the first line of one of the system's tables that is asked for, by its fields.
fn line_of(file: &str, wanted: impl Fn(&[String]) -> bool) -> Result<Option<Vec<String>>, String> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("{file}: {error}"))?;
    Ok(text.lines().map(|line| line.split(':').map(str::to_owned).collect::<Vec<_>>()).find(|fields| wanted(fields)))
}

fn run(program: &str, words: &[&str]) -> Result<(), String> {
    let done = Command::new(program).args(words).stdin(Stdio::null()).output();
    match done {
        Ok(done) if done.status.success() => Ok(()),
        Ok(done) => Err(format!("{program}: {}", String::from_utf8_lossy(&done.stderr).trim())),
        Err(error) => Err(format!("{program}: {error}")),
    }
}

/// Returns type and body of a key, without options and comment.
fn public_key(text: &str) -> Option<String> {
    let mut words = text.split_ascii_whitespace();
    let (kind, body) = (words.next()?, words.next()?);
    let known = ["ssh-ed25519", "ssh-rsa", "sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com"];
    let known = known.contains(&kind) || kind.starts_with("ecdsa-sha2-nistp");
    let good = body.len() >= 32 && body.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/=".contains(&b));
    let plain = kind.bytes().all(|b| b.is_ascii_alphanumeric() || b"@.-".contains(&b));
    (known && plain && good).then(|| format!("{kind} {body}"))
}

/// Returns the unit of the privileged side.
pub fn unit(exe: &Path) -> String {
    format!(
        "[Unit]\n\
         Description=corpus: deploys what is pushed to this machine's projects\n\
         After=network.target\n\n\
         [Service]\n\
         Type=exec\n\
         ExecStart={} projects.serve\n\
         Restart=on-failure\n\
         # A deployment that is under way is finished first; only the service itself is told to stop.\n\
         KillMode=mixed\n\
         TimeoutStopSec=1h\n\
         RuntimeDirectory=corpus\n\
         RuntimeDirectoryMode=0755\n\
         RuntimeDirectoryPreserve=yes\n\
         StateDirectory=corpus/push\n\
         StateDirectoryMode=0700\n\
         UMask=0022\n\n\
         [Install]\n\
         WantedBy=multi-user.target\n",
        exe.display()
    )
}

/// Returns the lines for sshd that hold also for keys which did not come from us.
pub fn sshd_lines(conf: &Conf, exe: &Path) -> String {
    let keys = match &conf.directory {
        None => String::new(),
        Some(_) => format!(
            "\x20   AuthorizedKeysCommand {} projects.keys %u %t %k\n\x20   AuthorizedKeysCommandUser root\n",
            exe.display()
        ),
    };
    format!(
        "# Written by corpus. Users of projects push; they have no terminal and no forwarding, whatever their key says.\n\
         Match Group {GROUP}\n\
         \x20   DisableForwarding yes\n\
         \x20   PermitTTY no\n\
         \x20   PermitUserRC no\n\
         \x20   PasswordAuthentication no\n\
         \x20   KbdInteractiveAuthentication no\n\
         {keys}\
         Match all\n"
    )
}

fn folder(path: &Path, mode: u32) -> Result<(), String> {
    let made = std::fs::DirBuilder::new().recursive(true).mode(mode).create(path);
    made.map_err(|error| format!("{}: {error}", path.display()))
}

fn link(path: &Path, to: &Path, changed: &mut Vec<String>) -> Result<(), String> {
    if std::fs::read_link(path).is_ok_and(|now| now == to) {
        return Ok(());
    }
    let at = |error: io::Error| format!("{}: {error}", path.display());
    let parent = path.parent().unwrap_or(Path::new("/"));
    folder(parent, 0o755)?;
    let new = temporary(path);
    let _ = std::fs::remove_file(&new);
    symlink(to, &new).and_then(|()| std::fs::rename(&new, path)).map_err(at)?;
    changed.push(format!("{} -> {}", path.display(), to.display()));
    Ok(())
}

fn file(
    path: &Path,
    text: &str,
    mode: u32,
    owner: Option<(u32, u32)>,
    changed: &mut Vec<String>,
) -> Result<(), String> {
    if std::fs::read_to_string(path).is_ok_and(|now| now == text) {
        return Ok(());
    }
    let at = |error: io::Error| format!("{}: {error}", path.display());
    let parent = path.parent().unwrap_or(Path::new("/"));
    folder(parent, 0o755)?;
    let new = tempfile::Builder::new().prefix(".corpus-").tempfile_in(parent).map_err(at)?;
    io::Write::write_all(&mut new.as_file(), text.as_bytes()).and_then(|()| new.as_file().sync_all()).map_err(at)?;
    new.as_file().set_permissions(std::fs::Permissions::from_mode(mode)).map_err(at)?;
    if let Some((uid, gid)) = owner {
        chown(new.path(), Some(uid), Some(gid)).map_err(at)?;
    }
    new.persist(path).map_err(|error| at(error.error))?;
    changed.push(path.display().to_string());
    Ok(())
}

fn temporary(path: &Path) -> PathBuf {
    let own = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    path.with_file_name(format!(".corpus-{own}-{}", std::process::id()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_a_key_and_nothing_else() {
        let body = "A".repeat(68);
        assert_eq!(public_key(&format!("ssh-ed25519 {body} me@here")), Some(format!("ssh-ed25519 {body}")));
        for bad in [
            format!("command=\"sh\" ssh-ed25519 {body}"),
            format!("ssh-dss {body}"),
            format!("ssh-ed25519 {body}\\\"x"),
            "ssh-ed25519".into(),
            String::new(),
        ] {
            assert_eq!(public_key(&bad), None, "{bad}");
        }
    }

    #[test]
    fn hooks_that_were_changed_by_hand_are_put_right() {
        let dir = tempfile::tempdir().expect("a directory");
        let conf = Conf { hooks: dir.path().join("hooks"), ..Conf::default() };
        let sync = || {
            let mut changed = vec![];
            sync_hooks(&conf, Path::new("/bin/true"), &mut changed).expect("they are written");
            changed.len()
        };
        assert_eq!((sync(), sync()), (2, 0));
        std::fs::remove_file(conf.hooks.join("pre-receive")).expect("it is there");
        std::fs::write(conf.hooks.join("pre-receive"), "#!/bin/sh\nexit 0\n").expect("written");
        std::fs::write(conf.hooks.join("post-receive"), "#!/bin/sh\nexit 0\n").expect("written");
        assert_eq!((sync(), sync()), (2, 0));
    }

    #[test]
    fn keys_force_the_command_and_strangers_lines_go() {
        let dir = tempfile::tempdir().expect("a directory");
        let place = Conf::default().place("foo").expect("a name");
        let key = |letter: &str| format!("ssh-ed25519 {} x", letter.repeat(68));
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let put = |who: &str, key: Option<&str>| authorize(&place, dir.path(), Path::new("/bin/corpus"), who, key);
        assert_eq!(put("alice@x", Some(&key("A"))), Ok(true));
        assert_eq!(put("alice@x", Some(&key("A"))), Ok(false));
        assert_eq!(put("bob", Some(&key("B"))), Ok(true));
        assert_eq!(put("alice@x", Some(&key("C"))), Ok(true));
        let path = dir.path().join(".ssh/authorized_keys");
        let read = || std::fs::read_to_string(&path).expect("a file");
        let line = |who: &str, letter: &str| {
            let body = letter.repeat(68);
            format!("restrict,command=\"/bin/corpus git-shell project=foo who={who}\" ssh-ed25519 {body} {who}\n")
        };
        assert!(read().ends_with(&(line("bob", "B") + &line("alice@x", "C"))), "{}", read());
        std::fs::write(&path, read() + &key("E") + "\n").expect("written");
        assert_eq!(put("bob", None), Ok(true));
        assert!(read().ends_with(&format!("removed.\n{}", line("alice@x", "C"))), "{}", read());
        for (who, key) in [("a b", key("A")), ("a\"", key("A")), ("", key("A")), ("a", "ssh-dss x".into())] {
            assert!(put(who, Some(&key)).is_err(), "{who}");
        }
    }
}
