//! `pip.uptodate`

use super::shared::{self, Pip};
use corpus_core::plan::{Observed, Settled, Step};
use corpus_core::{Effect, Map, Plan, PlanCx, Prediction, State, StateError, Value};
use corpus_exec::ask;
use serde::Deserialize;

/// Brings all Python packages up to date.
///
/// ```sls
/// all:
///   pip.uptodate:
///     - bin_env: /srv/app/venv
/// ```
#[derive(Deserialize)]
pub struct Uptodate {
    /// Any name.
    pub name: String,
    /// The virtual environment, or the path of pip.
    pub bin_env: Option<String>,
    /// User to become.
    pub user: Option<String>,
    /// Directory to start in.
    pub cwd: Option<String>,
    /// Accepted for Salt's sake.
    pub use_vt: Option<Value>,
}

impl State for Uptodate {
    const NAME: &'static str = "pip.uptodate";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let (bin_env, user, cwd) = (self.bin_env.as_deref(), self.user.as_deref(), self.cwd.as_deref());
        let pip = Pip { bin_env, user, cwd, ..Pip::default() };
        let listed = pip.command(cx, ["list", "--outdated", "--disable-pip-version-check", "--format=json"])?;
        let output = cx.host.query(&listed)?;
        if !output.ok() {
            return Err(StateError::failed(ask::said(&output)));
        }
        let text = output.stdout_text();
        let told: Value = serde_json::from_str(text.lines().last().unwrap_or_default())
            .map_err(|_| StateError::failed(format!("pip list: not understood: {}", text.trim())))?;
        let fact = format!("pip:uptodate:{}", pip.place());
        let done = cx.host.predicted(&fact).is_some();
        let mut plan = Plan::unchanged("System is already up-to-date.")
            .says("System update will be performed", "Upgrade successful.");
        for package in told.as_list().unwrap_or_default().iter().filter_map(Value::as_map) {
            let text = |key: &str| package.str(key).unwrap_or_default();
            let (name, old, new) = (text("name"), text("version"), text("latest_version"));
            if name.is_empty() || done {
                continue;
            }
            plan.changes.insert(name, Map::from_iter([("old", old), ("new", new)]));
            let mut command = pip.command(cx, ["install", "-U", "--disable-pip-version-check"])?;
            command.argv.push(name.to_owned());
            let predicts =
                vec![pip.predict(name, Some(format!("=={new}"))), Prediction::Fact(fact.clone(), true.into())];
            plan.steps.push(Step { effect: Effect::Exec(command), predicts, must_succeed: false });
        }
        // What another package holds back is found again.
        plan.repeats = !plan.steps.is_empty();
        Ok(plan)
    }

    fn settle(&self, plan: &Plan, seen: &[Observed], _: &PlanCx<'_>) -> Result<Settled, StateError> {
        Ok(match shared::failure(seen) {
            Some(error) => Settled { result: false, changes: Map::new(), comment: format!("Upgrade failed. {error}") },
            None => Settled::as_planned(plan),
        })
    }
}
