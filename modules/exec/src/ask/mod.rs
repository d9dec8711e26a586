//! Small questions and orders that every provider needs: a file's text, a remembered answer, a program
//! that must succeed.

use corpus_core::host::{Act, HostError, HostResult, Look, Memo};
use corpus_core::{Command, Effect, ExecError, FileKind, Observed, Output};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Returns a file's text, broken bytes replaced; `None` if there is no file.
pub fn text(look: &dyn Look, path: impl AsRef<Path>) -> HostResult<Option<String>> {
    match look.read(path.as_ref()) {
        Ok(bytes) => Ok(Some(match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
        })),
        Err(error) if error.is_missing() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Returns what tells one state of a file from another: identity, size and time.
pub fn stamp(look: &dyn Look, path: impl AsRef<Path>) -> HostResult<String> {
    Ok(look
        .stat(path.as_ref())?
        .map_or_else(|| "none".to_owned(), |meta| format!("{}:{}:{}:{}", meta.dev, meta.ino, meta.size, meta.mtime)))
}

/// Returns a value remembered under the key for as long as the stamp is the same.
pub fn remembered<T: Send + Sync + 'static>(
    look: &dyn Look,
    key: &str,
    stamp: &str,
    make: impl Fn() -> HostResult<T>,
) -> HostResult<Arc<T>> {
    let memo = look.memo(key, stamp, &mut || Ok(Arc::new(make()?) as Memo))?;
    match memo.downcast::<T>() {
        Ok(value) => Ok(value),
        Err(_) => make().map(Arc::new),
    }
}

/// Tells whether the path leads to a directory.
pub fn is_dir(look: &dyn Look, path: impl AsRef<Path>) -> bool {
    matches!(look.stat(path.as_ref()), Ok(Some(meta)) if meta.kind == FileKind::Dir)
}

/// Tells whether the path leads to anything at all.
pub fn exists(look: &dyn Look, path: impl AsRef<Path>) -> bool {
    matches!(look.stat(path.as_ref()), Ok(Some(_)))
}

/// Runs a program that only asks, and returns what it printed; an error when it failed.
pub fn output(look: &dyn Look, command: &Command) -> HostResult<String> {
    let output = look.query(command)?;
    if output.ok() {
        Ok(output.stdout_text())
    } else {
        Err(HostError::other(format!("run {}", command.argv.join(" ")), said(&output)))
    }
}

/// Performs a command and returns what it left, whatever its status.
pub fn run(act: &dyn Act, command: Command) -> Result<Output, ExecError> {
    match act.perform(&Effect::Exec(command))? {
        Observed::Ran(output) => Ok(output),
        _ => Ok(Output::default()),
    }
}

/// Performs a command that must succeed.
pub fn must(act: &dyn Act, command: Command) -> Result<Output, ExecError> {
    let name = command.argv.first().cloned().unwrap_or_default();
    let output = run(act, command)?;
    if output.ok() { Ok(output) } else { Err(ExecError::Failed(format!("{name}: {}", said(&output)))) }
}

/// Returns what a program said about its failure: standard error, else standard output, else its status.
pub fn said(output: &Output) -> String {
    let stderr = output.stderr_text();
    let stdout = output.stdout_text();
    match (stderr.trim(), stdout.trim()) {
        ("", "") => format!("ended with status {}", output.code),
        ("", out) => out.to_owned(),
        (err, _) => err.to_owned(),
    }
}

/// Returns the first of the programs that this machine has.
pub fn first_program(look: &dyn Look, names: &[&str]) -> Option<(String, PathBuf)> {
    names.iter().find_map(|name| Some(((*name).to_owned(), look.which(name)?)))
}
