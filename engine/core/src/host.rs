//! A machine, seen and touched. [`Look`] and [`Act`] are the only two doors to an operating system.

use crate::plan::{Effect, Observed};
use crate::value::Value;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What kind of file a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FileKind {
    File,
    Dir,
    Symlink,
    /// Socket, pipe or device.
    Other,
}

/// What `lstat` tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meta {
    pub kind: FileKind,
    /// Permission bits, `0o7777` at most.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub size: u64,
    /// Nanoseconds since 1970.
    pub mtime: i128,
    pub ino: u64,
    pub dev: u64,
}

impl Meta {
    /// Tells whether it is a directory.
    pub fn is_dir(&self) -> bool {
        self.kind == FileKind::Dir
    }
    /// Tells whether it is a regular file.
    pub fn is_file(&self) -> bool {
        self.kind == FileKind::File
    }
    /// Tells whether it is a symbolic link.
    pub fn is_symlink(&self) -> bool {
        self.kind == FileKind::Symlink
    }
}

/// A line of `/etc/passwd`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    pub name: String,
    pub uid: u32,
    pub gid: u32,
    pub gecos: String,
    pub home: String,
    pub shell: String,
}

/// A line of `/etc/group`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    pub name: String,
    pub gid: u32,
    pub members: Vec<String>,
}

/// Returns what stands for the descriptor of the n-th handed file, until the program is started.
pub fn handed(n: usize) -> String {
    format!("{{handed:{n}}}")
}

/// A program to run. No shell, unless `argv` starts one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    pub argv: Vec<String>,
    pub cwd: Option<PathBuf>,
    /// Added to the environment, or the whole of it with `clean_env`.
    pub env: Vec<(String, String)>,
    pub clean_env: bool,
    pub stdin: Option<Vec<u8>>,
    /// What it reads from files without names: see [`Command::hand_over`].
    pub handed: Vec<Vec<u8>>,
    /// User to become, with its groups.
    pub runas: Option<String>,
    pub group: Option<String>,
    pub umask: Option<u32>,
    pub timeout_s: Option<u64>,
    /// Write standard error into standard output, as Salt's `cmd.run` shows it.
    pub merge_stderr: bool,
    /// Not waited for.
    pub background: bool,
    /// Never logged or shown: it carries a secret.
    pub secret: bool,
}

impl Command {
    /// Makes a command of a program and its arguments.
    pub fn new(argv: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { argv: argv.into_iter().map(Into::into).collect(), ..Self::default() }
    }

    /// Makes a command that a shell reads, as Salt's `cmd.run` does.
    pub fn shell(shell: &str, line: &str) -> Self {
        Self::new([shell, "-c", line])
    }

    /// Adds a variable.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Hands a text over in a file without a name that only the program can read, and returns the path by which its
    /// arguments and environment name it: those can be read by others.
    pub fn hand_over(&mut self, text: impl Into<Vec<u8>>) -> String {
        self.handed.push(text.into());
        format!("/proc/self/fd/{}", handed(self.handed.len() - 1))
    }

    /// Sets the standard input.
    pub fn stdin(mut self, input: impl Into<Vec<u8>>) -> Self {
        self.stdin = Some(input.into());
        self
    }
}

/// What a program left behind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    pub pid: u32,
    /// Exit status; 128 + signal number when a signal ended it.
    pub code: i32,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    pub timed_out: bool,
}

impl Output {
    /// Tells whether it ended with 0.
    pub fn ok(&self) -> bool {
        self.code == 0
    }
    /// Returns standard output as text, broken bytes replaced.
    pub fn stdout_text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }
    /// Returns standard error as text, broken bytes replaced.
    pub fn stderr_text(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }
}

/// Why the machine refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("{what}: {why}")]
pub struct HostError {
    /// The operation and its object, `write /etc/motd`.
    pub what: String,
    /// The system's own words.
    pub why: String,
    pub kind: HostErrorKind,
}

/// The refusals that callers tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum HostErrorKind {
    Missing,
    Denied,
    NoSpace,
    Other,
}

impl HostError {
    /// Makes one of an I/O error.
    pub fn io(what: impl Into<String>, error: &std::io::Error) -> Self {
        use std::io::ErrorKind as K;
        let kind = match error.kind() {
            K::NotFound => HostErrorKind::Missing,
            K::PermissionDenied | K::ReadOnlyFilesystem => HostErrorKind::Denied,
            K::StorageFull | K::QuotaExceeded => HostErrorKind::NoSpace,
            _ => HostErrorKind::Other,
        };
        Self { what: what.into(), why: error.to_string(), kind }
    }

    /// Makes one of plain words.
    pub fn other(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self { what: what.into(), why: why.into(), kind: HostErrorKind::Other }
    }

    /// Tells whether the object does not exist.
    pub fn is_missing(&self) -> bool {
        self.kind == HostErrorKind::Missing
    }
}

/// A result of asking the machine.
pub type HostResult<T> = Result<T, HostError>;

/// Computes a memo's value; `Arc<dyn Any>` lets each probe keep its own type.
pub type Memo = Arc<dyn std::any::Any + Send + Sync>;

/// A machine, seen. Promises to change nothing.
pub trait Look: Send + Sync {
    /// Describes the path itself; `None` if there is nothing.
    fn lstat(&self, path: &Path) -> HostResult<Option<Meta>>;
    /// Describes what the path leads to, links followed; `None` if there is nothing.
    fn stat(&self, path: &Path) -> HostResult<Option<Meta>>;
    /// Reads a whole file.
    fn read(&self, path: &Path) -> HostResult<Vec<u8>>;
    /// Computes the SHA-256 of a file without holding it in memory.
    fn sha256(&self, path: &Path) -> HostResult<[u8; 32]>;
    /// Reads where a link points.
    fn read_link(&self, path: &Path) -> HostResult<PathBuf>;
    /// Lists a directory's names, sorted.
    fn list(&self, path: &Path) -> HostResult<Vec<String>>;
    /// Runs a program that only asks. That it changes nothing is the caller's promise.
    fn query(&self, command: &Command) -> HostResult<Output>;
    /// Finds a user by name.
    fn user(&self, name: &str) -> HostResult<Option<User>>;
    /// Finds a user by number.
    fn user_by_id(&self, uid: u32) -> HostResult<Option<User>>;
    /// Finds a group by name.
    fn group(&self, name: &str) -> HostResult<Option<Group>>;
    /// Finds a group by number.
    fn group_by_id(&self, gid: u32) -> HostResult<Option<Group>>;
    /// Lists the groups that are in the local file.
    fn groups(&self) -> HostResult<Vec<Group>>;
    /// Finds a program on the search path.
    fn which(&self, program: &str) -> Option<PathBuf>;
    /// Returns what an earlier step of this dry run is going to make of a fact (`pkg:vim`, `service:ssh`).
    fn predicted(&self, _fact: &str) -> Option<Value> {
        None
    }
    /// Returns a value kept from an earlier question with the same key and stamp, or computes it.
    /// The stamp is what makes the value stale: a file's identity, a counter.
    fn memo(&self, _key: &str, _stamp: &str, make: &mut dyn FnMut() -> HostResult<Memo>) -> HostResult<Memo> {
        make()
    }
}

/// A machine, touched.
pub trait Act: Look {
    /// Performs one effect: whole, or not at all.
    fn perform(&self, effect: &Effect) -> HostResult<Observed>;
    /// This machine as something that can only be looked at.
    fn as_look(&self) -> &dyn Look;
}

/// Somebody who is told of each effect before a machine performs it.
pub trait Before: Send + Sync {
    /// The machine.
    fn host(&self) -> &dyn Act;
    /// Hears of an effect; with an error it is not performed.
    fn before(&self, effect: &Effect) -> HostResult<()>;
}

/// A machine that tells somebody of its effects first.
pub struct Watched<T>(pub T);

impl<T: Before> Act for Watched<T> {
    fn perform(&self, effect: &Effect) -> HostResult<Observed> {
        self.0.before(effect)?;
        self.0.host().perform(effect)
    }
    fn as_look(&self) -> &dyn Look {
        self.0.host().as_look()
    }
}

impl<T: Before> Look for Watched<T> {
    fn lstat(&self, path: &Path) -> HostResult<Option<Meta>> {
        self.0.host().lstat(path)
    }
    fn stat(&self, path: &Path) -> HostResult<Option<Meta>> {
        self.0.host().stat(path)
    }
    fn read(&self, path: &Path) -> HostResult<Vec<u8>> {
        self.0.host().read(path)
    }
    fn sha256(&self, path: &Path) -> HostResult<[u8; 32]> {
        self.0.host().sha256(path)
    }
    fn read_link(&self, path: &Path) -> HostResult<PathBuf> {
        self.0.host().read_link(path)
    }
    fn list(&self, path: &Path) -> HostResult<Vec<String>> {
        self.0.host().list(path)
    }
    fn query(&self, command: &Command) -> HostResult<Output> {
        self.0.host().query(command)
    }
    fn user(&self, name: &str) -> HostResult<Option<User>> {
        self.0.host().user(name)
    }
    fn user_by_id(&self, uid: u32) -> HostResult<Option<User>> {
        self.0.host().user_by_id(uid)
    }
    fn group(&self, name: &str) -> HostResult<Option<Group>> {
        self.0.host().group(name)
    }
    fn group_by_id(&self, gid: u32) -> HostResult<Option<Group>> {
        self.0.host().group_by_id(gid)
    }
    fn groups(&self) -> HostResult<Vec<Group>> {
        self.0.host().groups()
    }
    fn which(&self, program: &str) -> Option<PathBuf> {
        self.0.host().which(program)
    }
    fn predicted(&self, fact: &str) -> Option<Value> {
        self.0.host().predicted(fact)
    }
    fn memo(&self, key: &str, stamp: &str, make: &mut dyn FnMut() -> HostResult<Memo>) -> HostResult<Memo> {
        self.0.host().memo(key, stamp, make)
    }
}
