//! Why a machine could not be reached over SSH, each reason with its way on.

use std::path::PathBuf;
use std::time::Duration;

/// Why a machine could not be reached over SSH.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SshError {
    #[error("cannot find an address for `{host}`: {why}")]
    Dns { host: String, why: String },
    #[error("{host}:{port} refused the connection: is sshd running there?")]
    Refused { host: String, port: u16 },
    #[error("cannot connect to {host}:{port}: {why}")]
    Unreachable { host: String, port: u16, why: String },
    #[error("{host}:{port} gave no answer within {} seconds while {doing}", .after.as_secs_f32())]
    Timeout { host: String, port: u16, after: Duration, doing: &'static str },
    #[error(
        "{host}:{port} closed the connection before a login, {tries} times: its sshd is busy (MaxStartups), or bars this address"
    )]
    Busy { host: String, port: u16, tries: u32 },
    #[error("the ProxyCommand to {host}:{port} failed: {why}")]
    Proxy { host: String, port: u16, why: String },
    #[error("the SSH handshake with {host}:{port} failed: {why}")]
    Handshake { host: String, port: u16, why: String },
    #[error(
        "the host key of {host}:{port} is not known: {algorithm} {fingerprint}\n\
         hint: if that fingerprint is right, accept the key with: {command}"
    )]
    UnknownKey { host: String, port: u16, algorithm: String, fingerprint: String, command: String },
    #[error(
        "the host key of {host}:{port} has changed: it is now {key}, not the one in {}:{line}; \
         either the machine was set up anew, or somebody listens in\n\
         hint: if that fingerprint is right, replace the key with: {command}", .file.display()
    )]
    ChangedKey {
        host: String,
        port: u16,
        /// Algorithm and fingerprint.
        key: String,
        file: PathBuf,
        line: usize,
        command: String,
    },
    #[error("the host key of {host}:{port} is marked as revoked in {}:{line}", .file.display())]
    RevokedKey { host: String, port: u16, file: PathBuf, line: usize },
    #[error("cannot write the new host key to {}: {why}", .file.display())]
    KnownHosts { file: PathBuf, why: String },
    #[error(
        "{user}@{host}:{port} did not let us in; tried: {}; the server takes: {}",
        list(.tried, "nothing, as there is no key, agent or password"), list(.offered, "it did not say")
    )]
    Auth { user: String, host: String, port: u16, tried: Vec<String>, offered: Vec<String> },
    #[error("{0}")]
    Config(String),
    #[error("there is no minion for {system} on {arch} (target {arch}-unknown-linux-gnu); at hand: {}", list(.have, "none"))]
    NoBinary { system: String, arch: String, have: Vec<String> },
    #[error("the minion program {} cannot be used: {why}", .path.display())]
    Binary { path: PathBuf, why: String },
    #[error(
        "no space left for the minion in {dir}: {why}\nhint: free some space there, or set `thin_dir` in the roster"
    )]
    NoSpace { dir: String, why: String },
    #[error(
        "programs in {dir} cannot be run: {why}\nhint: it may be mounted noexec; set `thin_dir` in the roster to another place"
    )]
    NoExec { dir: String, why: String },
    #[error("{dir} cannot be written: {why}\nhint: set `thin_dir` in the roster to another place")]
    Unwritable { dir: String, why: String },
    #[error("{dir} is not to be trusted: {why}\nhint: remove it, or set `thin_dir` in the roster to another place")]
    ThinDir { dir: String, why: String },
    #[error("the minion was damaged on its way to {dir}: {why}\nhint: run again")]
    Damaged { dir: String, why: String },
    #[error(
        "sudo on the machine refuses: {why}\n\
         hint: sudo is given the `passwd` of the roster; set it right, allow the user NOPASSWD in sudoers, or log in as root"
    )]
    Sudo { why: String },
    #[error("the minion could not be started (status {}): {said}", .code.map_or("unknown".to_owned(), |c| c.to_string()))]
    Start { code: Option<i32>, said: String },
    #[error("interrupted before the machine was reached: nothing was done")]
    Interrupted,
    #[error("lost the connection: {0}")]
    Lost(String),
}

impl SshError {
    /// Tells whether trying again at once may help.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Busy { .. } | Self::Damaged { .. } | Self::Lost(_))
    }
}

fn list(items: &[String], none: &str) -> String {
    if items.is_empty() { none.to_owned() } else { items.join(", ") }
}
