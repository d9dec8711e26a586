//! `alias.absent`

use super::shared;
use corpus_core::{Plan, PlanCx, State, StateError};
use corpus_exec::fns::aliases::Aliases;
use serde::Deserialize;

/// Keeps a local name out of `/etc/aliases`.
///
/// ```sls
/// joe:
///   alias.absent
/// ```
#[derive(Deserialize)]
pub struct Absent {
    /// The local name.
    pub name: String,
}

impl State for Absent {
    const NAME: &'static str = "alias.absent";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let name = &self.name;
        let file = Aliases::read(cx.host, cx.data)?;
        if file.target(name).is_none_or(str::is_empty) {
            return Ok(Plan::unchanged(format!("Alias {name} already absent")));
        }
        Ok(shared::plan(cx, file, name, None)?
            .says(format!("Alias {name} is set to be removed"), format!("Removed alias {name}")))
    }
}
