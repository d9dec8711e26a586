//! `supervisord.dead`

use super::shared::{self, Found};
use corpus_core::plan::{Observed, Settled};
use corpus_core::{Plan, PlanCx, State, StateError};
use corpus_exec::fns::supervisord::Ctl;
use serde::Deserialize;

/// Keeps a program of supervisord stopped.
///
/// ```sls
/// worker:
///   supervisord.dead
/// ```
#[derive(Deserialize)]
pub struct Dead {
    /// The program, or a group with a colon behind it.
    pub name: String,
    /// User who runs `supervisorctl`.
    pub user: Option<String>,
    /// The configuration of `supervisorctl`.
    pub conf_file: Option<String>,
    /// The program `supervisorctl`, or the virtual environment that has it.
    pub bin_env: Option<String>,
}

impl State for Dead {
    const NAME: &'static str = "supervisord.dead";
    const OPEN: bool = true;

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let name = self.name.strip_suffix('*').filter(|name| name.ends_with(':')).unwrap_or(&self.name);
        let ctl = Ctl { user: self.user.clone(), conf_file: self.conf_file.clone(), bin_env: self.bin_env.clone() };
        let programs = match shared::find(cx, &ctl, name)? {
            Found::Nothing => return Ok(Plan::unchanged(format!("Service {name} doesn't exist"))),
            Found::Programs(_, programs) => programs,
        };
        if programs.iter().all(|program| program.1) {
            return Ok(Plan::unchanged(format!("Service {name} is not running")));
        }
        let comment = format!("Stopping service: {name}");
        let mut plan = Plan::default().says(format!("Service {name} is set to be stopped"), comment.clone());
        shared::step(&mut plan, &ctl, &["stop", name], &comment, Some(false));
        Ok(plan.change(name, comment))
    }

    fn settle(&self, plan: &Plan, seen: &[Observed], _: &PlanCx<'_>) -> Result<Settled, StateError> {
        Ok(shared::settle(plan, seen))
    }
}
