//! `alias.present`

use super::shared;
use corpus_core::{Plan, PlanCx, State, StateError, Value, python};
use corpus_exec::fns::aliases::{self, Aliases};
use serde::Deserialize;

/// Keeps mail for a local name going where it should (`/etc/aliases`).
///
/// ```sls
/// root:
///   alias.present:
///     - target: admin@example.org
/// ```
#[derive(Deserialize)]
pub struct Present {
    /// The local name.
    pub name: String,
    /// Where its mail goes: one address or a list.
    pub target: Value,
}

impl State for Present {
    const NAME: &'static str = "alias.present";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let (name, target) = (&self.name, aliases::target(&self.target));
        let file = Aliases::read(cx.host, cx.data)?;
        if file.target(name) == Some(&target) {
            return Ok(Plan::unchanged(format!("Alias {name} already present")));
        }
        let shown = python::str(&self.target);
        Ok(shared::plan(cx, file, name, Some(&target))?
            .says(format!("Alias {name} -> {shown} is set to be added"), format!("Set email alias {name} -> {shown}")))
    }
}
