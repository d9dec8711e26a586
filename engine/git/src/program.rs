//! The git program, started so that only what is said here has a say: no configuration of the system or of a user,
//! no variable of the caller, no hook but ours.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where programs are looked for, also by git itself.
pub const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Returns the git program of this machine.
pub fn place() -> PathBuf {
    ["/usr/bin/git", "/usr/local/bin/git", "/bin/git"]
        .iter()
        .map(PathBuf::from)
        .find(|path| path.exists())
        .unwrap_or_else(|| "/usr/bin/git".into())
}

/// Prepares git on a bare repository, with settings that win over the repository's own.
pub fn git(bare: &Path, settings: &[(&str, &str)]) -> Command {
    let mut command = Command::new(place());
    command.env_clear().env("PATH", PATH).env("HOME", "/nonexistent").env("LC_ALL", "C.UTF-8");
    for (name, value) in [
        ("GIT_CONFIG_NOSYSTEM", "1"),
        ("GIT_CONFIG_GLOBAL", "/dev/null"),
        ("GIT_ATTR_NOSYSTEM", "1"),
        ("GIT_NO_REPLACE_OBJECTS", "1"),
        ("GIT_TERMINAL_PROMPT", "0"),
        // No transport of git's own is needed; `none` is the name of none.
        ("GIT_ALLOW_PROTOCOL", "none"),
    ] {
        command.env(name, value);
    }
    let mut all: Vec<(&str, &OsStr)> =
        vec![("safe.directory", bare.as_os_str()), ("core.hooksPath", "/dev/null".as_ref())];
    // Programs that a repository's own configuration could name.
    all.extend([("core.alternateRefsCommand", "true".as_ref()), ("core.fsmonitor", "false".as_ref())]);
    // The later of two wins.
    all.extend(settings.iter().map(|(name, value)| (*name, OsStr::new(*value))));
    command.env("GIT_CONFIG_COUNT", all.len().to_string());
    for (at, (name, value)) in all.iter().enumerate() {
        command.env(format!("GIT_CONFIG_KEY_{at}"), name).env(format!("GIT_CONFIG_VALUE_{at}"), value);
    }
    command.current_dir(bare);
    command
}
