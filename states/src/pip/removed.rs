//! `pip.removed`

use super::shared::{self, Pip};
use corpus_core::plan::{Observed, Settled};
use corpus_core::{Effect, Map, Plan, PlanCx, State, StateError, Step, Value};
use serde::Deserialize;

/// Keeps a Python package away.
///
/// ```sls
/// pycrypto:
///   pip.removed:
///     - bin_env: /opt/site/venv
/// ```
#[derive(Deserialize)]
pub struct Removed {
    /// The package.
    pub name: String,
    /// A virtual environment, or the program itself; the machine's own pip without.
    pub bin_env: Option<String>,
    /// User who runs pip.
    pub user: Option<String>,
    /// Directory that pip starts in.
    pub cwd: Option<String>,
    /// Log file of pip.
    pub log: Option<Value>,
    /// Address of a proxy.
    pub proxy: Option<String>,
    /// Seconds to wait for the network.
    pub timeout: Option<Value>,
    /// Accepted for Salt's sake.
    pub use_vt: Option<Value>,
}

impl State for Removed {
    const NAME: &'static str = "pip.removed";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let (bin_env, user, cwd) = (self.bin_env.as_deref(), self.user.as_deref(), self.cwd.as_deref());
        let pip = Pip { bin_env, user, cwd, ..Pip::default() };
        if !pip.has(cx, &pip.have(cx)?, &self.name) {
            return Ok(Plan::unchanged("Package is not installed."));
        }
        let mut command = pip.command(cx, ["uninstall", "-y"])?;
        shared::option(&mut command, "--log", self.log.as_ref());
        shared::option(&mut command, "--timeout", self.timeout.as_ref());
        shared::address(&mut command, "--proxy", self.proxy.as_deref());
        command.argv.push(self.name.clone());
        let mut plan = Plan::default()
            .says(format!("Package {} is set to be removed", self.name), "Package was successfully removed.")
            .change(self.name.as_str(), "Removed");
        let predicts = vec![pip.predict(&self.name, None)];
        plan.steps.push(Step { effect: Effect::Exec(command), predicts, must_succeed: false });
        Ok(plan)
    }

    fn settle(&self, plan: &Plan, seen: &[Observed], _: &PlanCx<'_>) -> Result<Settled, StateError> {
        Ok(match shared::failure(seen) {
            Some(error) => {
                let comment = format!("Could not remove package. {error}");
                Settled { result: false, changes: Map::new(), comment }
            }
            None => Settled::as_planned(plan),
        })
    }
}
