//! How the functions of `file.*` are written down, and how they read their arguments.

use crate::file;
use corpus_core::decode::Mode;
use corpus_core::host::{Act, Look};
use corpus_core::plan::{Attrs, Content};
use corpus_core::{Call, Data, Effect, ExecDef, ExecError, ExecFn, Meta, Value};
use std::path::PathBuf;

/// What a function answers.
pub(crate) type Answer = Result<Value, ExecError>;
type Read = fn(&Call, &dyn Look, &Data) -> Answer;
type Write = fn(&Call, &dyn Act, &Data) -> Answer;

/// A function that only looks.
pub(crate) const fn read(name: &'static str, args: &'static str, doc: &'static str, run: Read) -> ExecDef {
    ExecDef { name, args, doc, run: ExecFn::Read(run) }
}

/// A function that changes something.
pub(crate) const fn write(name: &'static str, args: &'static str, doc: &'static str, run: Write) -> ExecDef {
    ExecDef { name, args, doc, run: ExecFn::Write(run) }
}

/// A function that needs no machine.
pub(crate) const fn data(
    name: &'static str,
    args: &'static str,
    doc: &'static str,
    run: fn(&Call, &Data) -> Answer,
) -> ExecDef {
    ExecDef { name, args, doc, run: ExecFn::Data(run) }
}

/// Returns a path argument, `~` resolved.
pub(crate) fn path_of(call: &Call, host: &dyn Look, place: usize, name: &str) -> Result<PathBuf, ExecError> {
    Ok(PathBuf::from(file::expand_user(host, &call.need(place, name)?)))
}

/// Describes what the path argument leads to.
pub(crate) fn stat(call: &Call, host: &dyn Look) -> Result<Option<Meta>, ExecError> {
    Ok(host.stat(&path_of(call, host, 0, "path")?)?)
}

/// Describes what must be there; `follow` is the place of `follow_symlinks`.
pub(crate) fn meta(call: &Call, host: &dyn Look, follow: usize) -> Result<Meta, ExecError> {
    let path = path_of(call, host, 0, "path")?;
    let found = if call.flag(follow, "follow_symlinks", true) { host.stat(&path)? } else { host.lstat(&path)? };
    found.ok_or_else(|| ExecError::failed(format!("Path not found: {}", path.display())))
}

/// Writes a file.
pub(crate) fn put(host: &dyn Act, path: PathBuf, bytes: Vec<u8>, backup: Option<PathBuf>) -> Result<(), ExecError> {
    let content = Content::Bytes(bytes);
    host.perform(&Effect::WriteFile { path, content, attrs: Attrs::default(), backup })?;
    Ok(())
}

/// Turns nanoseconds into what Python has for a time.
pub(crate) fn seconds(mtime: i128) -> f64 {
    mtime as f64 / 1e9
}

/// Returns an argument that is a mode.
pub(crate) fn mode_of(call: &Call, place: usize, name: &str) -> Result<Option<u32>, ExecError> {
    let Some(value) = call.arg(place, name).filter(|value| !value.is_null()) else { return Ok(None) };
    let mode: Mode = corpus_core::decode::from_value(value).map_err(|error| call.invalid(name, error))?;
    Ok(mode.bits())
}
