//! What `gem.*` share: the program, and what is installed.

use corpus_core::host::Command;
use corpus_core::{PlanCx, StateError};
use corpus_exec::ask;
use corpus_exec::fns::gem;

/// Makes a command; an error names the program if it is not there.
pub fn command<const N: usize>(
    cx: &PlanCx<'_>,
    bin: Option<&str>,
    user: Option<&str>,
    words: [&str; N],
) -> Result<Command, StateError> {
    let program = bin.unwrap_or("gem");
    let there = if program.contains('/') { ask::exists(cx.host, program) } else { cx.host.which(program).is_some() };
    if !there {
        return Err(StateError::missing(format!(
            "{program} is not installed on this machine; install it first (`pkg.installed`)"
        )));
    }
    let mut command = Command::new([program]);
    command.argv.extend(words.map(str::to_owned));
    command.runas = user.map(str::to_owned);
    Ok(command)
}

/// The fact under which a step foretells whether a gem is there.
pub fn fact(bin: Option<&str>, user: Option<&str>, name: &str) -> String {
    format!("gem:{}:{}:{name}", bin.unwrap_or_default(), user.unwrap_or_default())
}

/// Returns the installed versions of a gem.
pub fn versions(
    cx: &PlanCx<'_>,
    bin: Option<&str>,
    user: Option<&str>,
    name: &str,
) -> Result<Option<Vec<String>>, StateError> {
    let all = gem::list(cx.host, &command(cx, bin, user, ["list"])?)?;
    Ok(all.into_iter().find(|(have, _)| have == name).map(|(_, versions)| versions))
}
