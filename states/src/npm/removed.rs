//! `npm.removed`

use super::shared;
use corpus_core::{Effect, Plan, PlanCx, Prediction, State, StateError};
use serde::Deserialize;

/// Keeps a package of Node.js away.
///
/// ```sls
/// coffee-script:
///   npm.removed
/// ```
#[derive(Deserialize)]
pub struct Removed {
    /// The package.
    pub name: String,
    /// Directory it is installed in; the whole machine without.
    pub dir: Option<String>,
    /// User who runs npm.
    pub user: Option<String>,
}

impl State for Removed {
    const NAME: &'static str = "npm.removed";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let (dir, user, name) = (self.dir.as_deref(), self.user.as_deref(), self.name.as_str());
        let have = shared::installed(cx, shared::command(cx, dir, user, [])?)?;
        if shared::version(cx, &have, dir, name).is_none() {
            return Ok(Plan::unchanged(format!("Package '{name}' is not installed")));
        }
        let mut plan = Plan::default()
            .says(
                format!("Package '{name}' is set to be removed"),
                format!("Package '{name}' was successfully removed"),
            )
            .change(name, "Removed");
        let mut command = shared::command(cx, dir, user, ["uninstall"])?;
        command.argv.push(name.to_owned());
        plan.push(Effect::Exec(command), vec![Prediction::Fact(shared::fact(dir, name), false.into())]);
        Ok(plan)
    }
}
