//! `gem.removed`

use super::shared;
use corpus_core::{Effect, Plan, PlanCx, Prediction, State, StateError, Value};
use serde::Deserialize;

/// Keeps a Ruby gem away, in all its versions.
///
/// ```sls
/// sass:
///   gem.removed
/// ```
#[derive(Deserialize)]
pub struct Removed {
    /// The gem.
    pub name: String,
    /// The program `gem`.
    pub gem_bin: Option<String>,
    /// User who runs it.
    pub user: Option<String>,
}

impl State for Removed {
    const NAME: &'static str = "gem.removed";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let (bin, user, name) = (self.gem_bin.as_deref(), self.user.as_deref(), self.name.as_str());
        let fact = shared::fact(bin, user, name);
        let there = match cx.host.predicted(&fact) {
            Some(known) => known != Value::Bool(false),
            None => shared::versions(cx, bin, user, name)?.is_some(),
        };
        if !there {
            return Ok(Plan::unchanged("Gem is not installed."));
        }
        let mut plan = Plan::default()
            .says(format!("The gem {name} would have been removed"), "Gem was successfully removed.")
            .change(name, "Removed");
        let command = shared::command(cx, bin, user, ["uninstall", name, "-a", "-x"])?;
        plan.push(Effect::Exec(command), vec![Prediction::Fact(fact, false.into())]);
        Ok(plan)
    }
}
