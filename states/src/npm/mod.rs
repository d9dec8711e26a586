//! What `npm.*` share: the program, and what is installed.

use corpus_core::host::Command;
use corpus_core::{Map, PlanCx, StateError, Value, python};
use corpus_exec::ask;
use corpus_exec::fns::npm;

/// Makes a command; an error names what is not there.
pub fn command<const N: usize>(
    cx: &PlanCx<'_>,
    dir: Option<&str>,
    user: Option<&str>,
    words: [&str; N],
) -> Result<Command, StateError> {
    if cx.host.which("npm").is_none() {
        return Err(StateError::missing("npm is not installed on this machine; install it first (`pkg.installed`)"));
    }
    if let Some(dir) = dir
        && !ask::exists(cx.host, dir)
    {
        return Err(StateError::missing(format!("Directory '{dir}' is not there")));
    }
    let mut command = npm::command(dir, user);
    command.argv.splice(1..1, words.map(str::to_owned));
    Ok(command)
}

/// Splits `@scope/name@1.2` into name and version.
pub fn split(pkg: &str) -> (&str, Option<&str>) {
    match pkg.rsplit_once('@') {
        Some((name, version)) if !name.is_empty() => (name.trim(), Some(version.trim())),
        _ => (pkg.trim(), None),
    }
}

/// The fact under which a step foretells a package.
pub fn fact(dir: Option<&str>, name: &str) -> String {
    format!("npm:{}:{name}", dir.unwrap_or_default())
}

/// Returns what is installed.
pub fn installed(cx: &PlanCx<'_>, mut command: Command) -> Result<Map, StateError> {
    command.argv.splice(1..1, ["list", "--json", "--depth=0"].map(str::to_owned));
    Ok(npm::list(cx.host, &command)?)
}

/// Returns the version of a package, as it will be; an empty one is not known.
pub fn version(cx: &PlanCx<'_>, have: &Map, dir: Option<&str>, name: &str) -> Option<String> {
    match cx.host.predicted(&fact(dir, name)) {
        Some(Value::Str(version)) => Some(version.to_string()),
        Some(_) => None,
        None => have.get(name).and_then(|entry| entry.get("version")).map(python::str),
    }
}
