//! The engine's word `umask`: what a state makes under it. A minion walks states side by side, so the mask is worked
//! into the plan's effects instead of being set for the process.

use corpus_core::{Effect, Look, LowChunk, Plan, Value, python};
use std::path::Path;

/// Reads the word as Salt does: octal, with or without `0o`.
pub(crate) fn octal(umask: &Value) -> Option<u32> {
    u32::from_str_radix(python::str(umask).trim().trim_start_matches("0o"), 8).ok().filter(|bits| *bits <= 0o777)
}

/// Gives the modes and masks that the chunk's `umask` asks for to what the plan makes new and to what it runs.
pub(crate) fn apply(plan: &mut Plan, low: &LowChunk, host: &dyn Look) {
    let Some(umask) = low.args.get("umask").and_then(octal) else { return };
    let new = |path: &Path| matches!(host.lstat(path), Ok(None));
    for step in &mut plan.steps {
        match &mut step.effect {
            Effect::WriteFile { path, attrs, .. } if attrs.mode.is_none() && new(path) => {
                attrs.mode = Some(0o666 & !umask);
            }
            Effect::Mkdir { attrs, .. } if attrs.mode.is_none() => attrs.mode = Some(0o777 & !umask),
            Effect::Exec(command) if command.umask.is_none() => command.umask = Some(umask),
            _ => {}
        }
    }
}
