//! The engine's word `umask`: what a state makes under it. A minion walks states side by side, so the mask is worked
//! into the plan's effects instead of being set for the process.

use corpus_core::{Effect, Look, LowChunk, Plan};
use std::path::Path;

/// Gives the modes and masks that the chunk's `umask` asks for to what the plan makes new and to what it runs.
pub(crate) fn apply(plan: &mut Plan, low: &LowChunk, host: &dyn Look) {
    let Some(umask) = low.umask() else { return };
    let new = |path: &Path| matches!(host.lstat(path), Ok(None));
    for step in &mut plan.steps {
        match &mut step.effect {
            Effect::WriteFile { path, attrs, .. } if attrs.mode.is_none() && new(path) => {
                attrs.mode = Some(low.new_file_mode());
            }
            Effect::Mkdir { attrs, .. } if attrs.mode.is_none() => attrs.mode = Some(0o777 & !umask),
            Effect::Exec(command) if command.umask.is_none() => command.umask = Some(umask),
            _ => {}
        }
    }
}
