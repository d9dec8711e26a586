//! What `alias.*` share: the plan that writes the table.

use corpus_core::{Effect, Plan, PlanCx, StateError};
use corpus_exec::fns::aliases::Aliases;

/// Plans setting a target, or taking the alias out.
pub fn plan(cx: &PlanCx<'_>, mut file: Aliases, name: &str, target: Option<&str>) -> Result<Plan, StateError> {
    file.set(name, target)?;
    let mut plan = Plan::default().change("alias", name);
    for effect in file.effects(cx.host) {
        match effect {
            // Salt does not ask how `newaliases` went.
            Effect::Exec(command) => plan.attempt(command, vec![]),
            write => plan.push(write, vec![]),
        }
    }
    Ok(plan)
}
