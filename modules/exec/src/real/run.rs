//! Programs: found on a search path that is never empty, run with their own process group, English
//! messages, bounded time and bounded output, as whoever is asked for.

use super::Real;
use corpus_core::host::{Command, HostError, HostErrorKind, HostResult, Look, Output, User, handed};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process_group};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What is searched beside `PATH`: a login over SSH often has no `sbin`.
const SANE_PATH: [&str; 6] = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// So much of a stream is kept; the rest is read and dropped.
const OUTPUT_CAP: usize = 64 << 20;

/// How long a program may take to end once it was asked to, before it is killed.
const GRACE: Duration = Duration::from_secs(2);

/// A daemon may hold its parent's output open for ever. Once the program itself has ended, this long
/// a silence ends the waiting.
const SILENCE: Duration = Duration::from_secs(5);

/// Programs are to speak English: Salt sets all of these for `cmd.run` too.
const LOCALE: [&str; 15] = [
    "LC_ALL",
    "LC_CTYPE",
    "LC_NUMERIC",
    "LC_TIME",
    "LC_COLLATE",
    "LC_MONETARY",
    "LC_MESSAGES",
    "LC_PAPER",
    "LC_NAME",
    "LC_ADDRESS",
    "LC_TELEPHONE",
    "LC_MEASUREMENT",
    "LC_IDENTIFICATION",
    "LANG",
    "LANGUAGE",
];

/// Returns the search path: the environment's, then the usual directories that it lacks.
pub fn search_path() -> OsString {
    extended(crate::fns::environ::variable("PATH").unwrap_or_default().as_ref())
}

fn extended(path: &std::ffi::OsStr) -> OsString {
    let mut parts: Vec<PathBuf> = std::env::split_paths(path).filter(|p| p.is_absolute()).collect();
    for sane in SANE_PATH {
        if !parts.iter().any(|p| p == Path::new(sane)) {
            parts.push(sane.into());
        }
    }
    std::env::join_paths(parts).unwrap_or_else(|_| SANE_PATH.join(":").into())
}

/// Finds an executable file. A name with a slash is looked at where it says.
pub fn find(program: &str, path: &std::ffi::OsStr) -> Option<PathBuf> {
    let executable = |p: &Path| fs::metadata(p).is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0);
    if program.is_empty() {
        None
    } else if program.contains('/') {
        Some(PathBuf::from(program)).filter(|p| executable(p))
    } else {
        std::env::split_paths(path).map(|folder| folder.join(program)).find(|p| executable(p))
    }
}

/// Runs a program and waits for it, unless it is to stay in the background.
pub fn run(host: &Real, command: &Command) -> HostResult<Output> {
    let name = if command.secret { command.argv.first().cloned().unwrap_or_default() } else { command.argv.join(" ") };
    let what = format!("run {name}");
    let fail = |e: io::Error| HostError::io(&what, &e);
    let [program, args @ ..] = &command.argv[..] else {
        return Err(HostError::other("run", "there is no program to run"));
    };
    let stopped = || HostError::other(&what, "it was stopped");
    if host.stopped() {
        return Err(stopped());
    }
    let handed = Handed::of(command).map_err(fail)?;
    let mut process = prepare(host, command, program, &handed)?;
    process.args(args.iter().map(|word| handed.named(word)));
    let timeout = command.timeout_s.filter(|s| *s > 0).map(Duration::from_secs);
    if command.background {
        process.stdin(null().map_err(fail)?).stdout(null().map_err(fail)?).stderr(null().map_err(fail)?);
        let mut child = process.spawn().map_err(fail)?;
        let output = Output { pid: child.id(), ..Output::default() };
        // Somebody has to collect it, or it stays a zombie as long as this process lives.
        std::thread::spawn(move || child.wait());
        return Ok(output);
    }
    process.stdin(if command.stdin.is_some() { Stdio::piped() } else { null().map_err(fail)? });
    let (out, err) = pipes(&mut process, command.merge_stderr).map_err(fail)?;
    let mut child = process.spawn().map_err(fail)?;
    // It holds the pipes' other ends; reading would never end while they are open.
    drop(process);
    let deadline = timeout.map(|t| Instant::now() + t);
    let limits = Limits { deadline, host };
    let seen = watch(&mut child, out, err, command.stdin.as_deref().unwrap_or_default(), &limits);
    let output = seen.map_err(fail)?;
    if output.timed_out && host.stopped() { Err(stopped()) } else { Ok(output) }
}

fn pipes(process: &mut std::process::Command, merged: bool) -> io::Result<(OwnedFd, Option<OwnedFd>)> {
    let (out, writer) = io::pipe()?;
    if merged {
        process.stdout(writer.try_clone()?).stderr(writer);
        return Ok((out.into(), None));
    }
    process.stdout(writer);
    let (err, writer) = io::pipe()?;
    process.stderr(writer);
    Ok((out.into(), Some(err.into())))
}

/// Opens `/dev/null`, or on a machine without one, a nameless file.
fn null() -> io::Result<Stdio> {
    match fs::OpenOptions::new().read(true).write(true).open("/dev/null") {
        Ok(file) => Ok(file.into()),
        Err(_) => Ok(File::from(rustix::fs::memfd_create("null", rustix::fs::MemfdFlags::CLOEXEC)?).into()),
    }
}

/// Sets up everything but the streams.
fn prepare(host: &Real, command: &Command, program: &str, handed: &Handed) -> HostResult<std::process::Command> {
    let user = match &command.runas {
        None => None,
        Some(name) => Some(host.user(name)?.ok_or_else(|| no_such("user", name))?),
    };
    let group = match &command.group {
        None => None,
        Some(name) => Some(host.group(name)?.ok_or_else(|| no_such("group", name))?.gid),
    };
    let given = |name: &str| command.env.iter().rev().find(|(n, _)| n == name).map(|(_, value)| OsString::from(value));
    let path = given("PATH").unwrap_or_else(search_path);
    let found = find(program, &path).ok_or_else(|| HostError {
        what: format!("run {program}"),
        why: "command not found".into(),
        kind: HostErrorKind::Missing,
    })?;
    let mut process = std::process::Command::new(found);
    process.arg0(program);
    for (name, value) in crate::fns::environ::overlaid() {
        match value {
            Some(value) => process.env(name, value),
            None => process.env_remove(name),
        };
    }
    if command.clean_env {
        process.env_clear();
    } else {
        for name in LOCALE {
            process.env(name, "C");
        }
        process.env("PATH", &path);
        if let Some(user) = &user {
            process.env("HOME", &user.home).env("USER", &user.name).env("LOGNAME", &user.name);
            process.env("SHELL", if user.shell.is_empty() { "/bin/sh" } else { &user.shell });
            for inherited in ["MAIL", "XDG_RUNTIME_DIR", "SUDO_USER", "SUDO_UID", "SUDO_GID", "SUDO_COMMAND"] {
                process.env_remove(inherited);
            }
        }
    }
    process.envs(command.env.iter().map(|(name, value)| (name, handed.named(value))));
    if let Some(cwd) = &command.cwd {
        if !cwd.is_dir() {
            return Err(HostError {
                what: format!("change to directory {}", cwd.display()),
                why: "it does not exist or is not a directory".into(),
                kind: HostErrorKind::Missing,
            });
        }
        process.current_dir(cwd);
    }
    let identity = identity(host, user.as_ref(), group)?;
    handed.give(identity.as_ref()).map_err(|error| HostError::io(format!("run {program}"), &error))?;
    isolate(&mut process, identity, command.umask, handed.0.clone());
    Ok(process)
}

/// The files without names that a program is handed.
struct Handed(Vec<Arc<File>>);

impl Handed {
    /// Above what programs take for their own.
    const FIRST: i32 = 64;

    fn of(command: &Command) -> io::Result<Self> {
        let file = |text: &Vec<u8>| -> io::Result<Arc<File>> {
            let fd = rustix::fs::memfd_create("handed", rustix::fs::MemfdFlags::CLOEXEC)?;
            let mut file = File::from(rustix::io::fcntl_dupfd_cloexec(fd, Self::FIRST)?);
            file.write_all(text)?;
            file.set_permissions(fs::Permissions::from_mode(0o600))?;
            Ok(Arc::new(file))
        };
        command.handed.iter().map(file).collect::<io::Result<_>>().map(Self)
    }

    /// Makes them those of the program's user, who opens them anew.
    fn give(&self, to: Option<&Identity>) -> io::Result<()> {
        let Some(to) = to else { return Ok(()) };
        self.0.iter().try_for_each(|file| Ok(rustix::fs::fchown(file, to.uid, Some(to.gid))?))
    }

    /// Puts the numbers of descriptors into a text.
    fn named(&self, text: &str) -> String {
        let files = self.0.iter().enumerate();
        files.fold(text.to_owned(), |text, (i, file)| text.replace(&handed(i), &file.as_raw_fd().to_string()))
    }
}

fn no_such(what: &str, name: &str) -> HostError {
    HostError {
        what: format!("run as {what} {name}"),
        why: format!("this machine has no {what} of that name"),
        kind: HostErrorKind::Missing,
    }
}

/// Who a program is going to be.
struct Identity {
    uid: Option<rustix::process::Uid>,
    gid: rustix::process::Gid,
    groups: Vec<rustix::process::Gid>,
}

fn identity(host: &Real, user: Option<&User>, group: Option<u32>) -> HostResult<Option<Identity>> {
    use rustix::process::{Gid, Uid, getegid, geteuid};
    let gid = match (user, group) {
        (None, None) => return Ok(None),
        (_, Some(gid)) => Gid::from_raw(gid),
        (Some(user), None) => Gid::from_raw(user.gid),
    };
    let uid = user.map(|u| Uid::from_raw(u.uid));
    if !geteuid().is_root() {
        if uid.is_none_or(|uid| uid == geteuid()) && (group.is_none() || gid == getegid()) {
            return Ok(None);
        }
        let name = user.map_or("another group", |u| &u.name);
        return Err(HostError {
            what: format!("run as {name}"),
            why: "only root can become somebody else".into(),
            kind: HostErrorKind::Denied,
        });
    }
    let groups = match user {
        Some(user) => host.accounts.groups_of(host, user)?.into_iter().map(Gid::from_raw).collect(),
        None => vec![gid],
    };
    Ok(Some(Identity { uid, gid, groups }))
}

/// Sets what has to be set between fork and exec.
fn isolate(
    process: &mut std::process::Command,
    identity: Option<Identity>,
    umask: Option<u32>,
    handed: Vec<Arc<File>>,
) {
    // Without a terminal a process group of its own is enough to be killed as a whole, and costs no hook.
    // With one, a program that asks it for a password would be stopped for ever.
    let session = has_terminal();
    if !session {
        process.process_group(0);
        if identity.is_none() && umask.is_none() && handed.is_empty() {
            return;
        }
    }
    let hook = move || -> io::Result<()> {
        use rustix::thread::{set_thread_gid, set_thread_groups, set_thread_res_gid, set_thread_res_uid};
        if session {
            rustix::process::setsid()?;
        }
        for file in &handed {
            rustix::io::fcntl_setfd(file, rustix::io::FdFlags::empty())?;
        }
        if !handed.is_empty() {
            let none = rustix::process::Rlimit { current: Some(0), maximum: Some(0) };
            rustix::process::setrlimit(rustix::process::Resource::Core, none)?;
        }
        if let Some(mask) = umask {
            rustix::process::umask(rustix::fs::Mode::from_raw_mode(mask & 0o777));
        }
        if let Some(who) = &identity {
            set_thread_groups(&who.groups)?;
            set_thread_gid(who.gid)?;
            set_thread_res_gid(who.gid, who.gid, who.gid)?;
            if let Some(uid) = who.uid {
                set_thread_res_uid(uid, uid, uid)?;
            }
        }
        Ok(())
    };
    // SAFETY: the hook runs in the child between fork and exec. It only makes system calls on values
    // that were computed before: no allocation, no lock, nothing that another thread may have held.
    #[expect(unsafe_code, reason = "std has no safe way to set groups, umask and session of a child")]
    unsafe {
        process.pre_exec(hook);
    }
}

fn has_terminal() -> bool {
    static KNOWN: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
    *KNOWN.get_or_init(|| File::open("/dev/tty").is_ok())
}

/// One of the program's streams while it runs.
struct Stream {
    from: Option<File>,
    kept: Vec<u8>,
}

impl Stream {
    fn new(fd: Option<OwnedFd>) -> io::Result<Self> {
        if let Some(fd) = &fd {
            rustix::io::ioctl_fionbio(fd, true)?;
        }
        Ok(Self { from: fd.map(File::from), kept: Vec::new() })
    }

    /// Takes what is there; tells whether something was.
    fn drain(&mut self) -> io::Result<bool> {
        let mut any = false;
        let mut buffer = [0; 64 * 1024];
        while let Some(from) = &mut self.from {
            match from.read(&mut buffer) {
                Ok(0) => self.from = None,
                Ok(n) => {
                    any = true;
                    let room = OUTPUT_CAP.saturating_sub(self.kept.len());
                    self.kept.extend_from_slice(&buffer[..n.min(room)]);
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(any)
    }
}

/// What ends a program before its time.
struct Limits<'a> {
    deadline: Option<Instant>,
    host: &'a Real,
}

/// Feeds and reads a program until it has ended and its streams are closed.
fn watch(
    child: &mut Child,
    out: OwnedFd,
    err: Option<OwnedFd>,
    mut input: &[u8],
    limits: &Limits<'_>,
) -> io::Result<Output> {
    let mut output = Output { pid: child.id(), ..Output::default() };
    let group = Pid::from_raw(child.id().cast_signed());
    let signal = |signal| _ = group.map(|group| kill_process_group(group, signal));
    let mut stdin = child.stdin.take().map(OwnedFd::from).map(File::from);
    if let Some(stdin) = &stdin {
        rustix::io::ioctl_fionbio(stdin, true)?;
    }
    let mut streams = [Stream::new(Some(out))?, Stream::new(err)?];
    let ended = group.and_then(|pid| rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).ok());
    let mut status = None;
    let mut last_heard = Instant::now();
    let mut kill_at = None;
    loop {
        for stream in &mut streams {
            if stream.drain()? {
                last_heard = Instant::now();
            }
        }
        if status.is_none() {
            status = child.try_wait()?;
            last_heard = if status.is_some() { Instant::now() } else { last_heard };
        }
        let closed = streams.iter().all(|s| s.from.is_none());
        let now = Instant::now();
        if status.is_some() && (closed || output.timed_out || now.duration_since(last_heard) >= SILENCE) {
            break;
        }
        let deadline = limits.deadline;
        match (deadline, kill_at) {
            (_, None) if deadline.is_some_and(|deadline| now >= deadline) || limits.host.stopped() => {
                output.timed_out = true;
                signal(Signal::TERM);
                kill_at = Some(now + GRACE);
            }
            (_, Some(at)) if now >= at => signal(Signal::KILL),
            _ => {}
        }
        // Without a pidfd (Linux before 5.3) the end of a silent program is looked for now and then.
        let tick = if closed && ended.is_none() { Duration::from_millis(10) } else { Duration::from_millis(250) };
        let until = [kill_at.or(deadline), status.map(|_| last_heard + SILENCE)].into_iter().flatten().min();
        let wait = until.map_or(tick, |at| at.saturating_duration_since(now).max(Duration::from_millis(1)).min(tick));
        wait_for(&streams, stdin.as_ref(), ended.as_ref().filter(|_| status.is_none()), wait)?;
        feed(&mut stdin, &mut input);
    }
    if output.timed_out {
        signal(Signal::KILL);
    }
    let [out, err] = streams;
    (output.stdout, output.stderr) = (out.kept, err.kept);
    if let Some(status) = status {
        output.code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    }
    Ok(output)
}

/// Sleeps until a stream has something, the input takes something, the program ends, or time is up.
fn wait_for(streams: &[Stream; 2], stdin: Option<&File>, ended: Option<&OwnedFd>, wait: Duration) -> io::Result<()> {
    let mut fds: Vec<PollFd<'_>> = streams
        .iter()
        .filter_map(|s| s.from.as_ref())
        .map(|f| PollFd::from_borrowed_fd(f.as_fd(), PollFlags::IN))
        .collect();
    fds.extend(stdin.map(|f| PollFd::from_borrowed_fd(f.as_fd(), PollFlags::OUT)));
    fds.extend(ended.map(|f| PollFd::from_borrowed_fd(f.as_fd(), PollFlags::IN)));
    let wait = Timespec { tv_sec: wait.as_secs().cast_signed(), tv_nsec: wait.subsec_nanos().into() };
    match poll(&mut fds, Some(&wait)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(e) => Err(e.into()),
    }
}

/// Writes what the program takes now. One that reads no further is not an error.
fn feed(stdin: &mut Option<File>, input: &mut &[u8]) {
    while let Some(to) = stdin {
        if input.is_empty() {
            *stdin = None;
            return;
        }
        match to.write(input) {
            Ok(n) if n > 0 => *input = &input[n..],
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            _ => *stdin = None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_search_path_is_never_empty() {
        for (path, expected) in [
            ("", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
            ("/usr/bin:/opt/x", "/usr/bin:/opt/x:/usr/local/sbin:/usr/local/bin:/usr/sbin:/sbin:/bin"),
            (".:relative", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
        ] {
            assert_eq!(extended(path.as_ref()), expected, "{path}");
        }
    }

    #[test]
    fn finds_programs() {
        let path = search_path();
        assert!(find("sh", &path).is_some());
        for missing in ["", "no-such-program-here", "/etc/passwd", "/etc", "/no/such"] {
            assert_eq!(find(missing, &path), None, "{missing}");
        }
    }
}
