//! `supervisord.running`

use super::shared::{self, Found};
use corpus_core::plan::{Observed, Settled};
use corpus_core::{Plan, PlanCx, State, StateError};
use corpus_exec::fns::supervisord::{self, Ctl};
use serde::Deserialize;

/// Keeps a program of supervisord running.
///
/// ```sls
/// worker:
///   supervisord.running:
///     - update: True
/// ```
#[derive(Deserialize)]
pub struct Running {
    /// The program, or a group with a colon behind it.
    pub name: String,
    /// Restart it; a watched change does so anyway.
    #[serde(default)]
    pub restart: bool,
    /// Let supervisord read its configuration first.
    #[serde(default)]
    pub update: bool,
    /// User who runs `supervisorctl`.
    pub user: Option<String>,
    /// The configuration of `supervisorctl`.
    pub conf_file: Option<String>,
    /// The program `supervisorctl`, or the virtual environment that has it.
    pub bin_env: Option<String>,
}

impl State for Running {
    const NAME: &'static str = "supervisord.running";
    const WATCHES: bool = true;
    const OPEN: bool = true;

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        self.with(cx, self.restart)
    }

    fn watch(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        self.with(cx, true)
    }

    fn settle(&self, plan: &Plan, seen: &[Observed], _: &PlanCx<'_>) -> Result<Settled, StateError> {
        let mut settled = shared::settle(plan, seen);
        let name = self.name.strip_suffix('*').unwrap_or(&self.name);
        let updated = seen.first().and_then(Observed::output).map(supervisord::answer).filter(|_| self.update);
        if settled.result && updated.is_some_and(|text| text.contains(&format!("{name}: updated"))) {
            // Salt: what was just updated has been started anew.
            settled.comment = format!("Not starting updated service: {name}");
            settled.changes = corpus_core::Map::new();
        } else if settled.comment == "Updating supervisor" && settled.result {
            settled.comment.clone_from(&plan.did);
        }
        Ok(settled)
    }
}

impl Running {
    fn with(&self, cx: &PlanCx<'_>, restart: bool) -> Result<Plan, StateError> {
        let name = self.name.strip_suffix('*').filter(|name| name.ends_with(':')).unwrap_or(&self.name);
        let ctl = Ctl { user: self.user.clone(), conf_file: self.conf_file.clone(), bin_env: self.bin_env.clone() };
        let group = name.ends_with(':');
        let found = shared::find(cx, &ctl, name)?;
        let (kind, still, would) = match &found {
            Found::Nothing => {
                let what = if group { format!("Group '{name}'") } else { format!("Service {name}") };
                ("", None, format!("{what} will be added and started"))
            }
            Found::Programs(kind, programs) => {
                let start: Vec<&str> = programs.iter().filter(|p| !p.2).map(|p| p.0.as_str()).collect();
                let would = match (group, start.len()) {
                    (true, 0) => format!("All services in group '{name}' are already running"),
                    (false, 0) => format!("Service {name} is already running"),
                    (true, n) if n == programs.len() => format!("All services in group '{name}' will be started"),
                    (true, _) => format!("The following services will be started: {}", start.join(" ")),
                    (false, _) => format!("Service {name} will be started"),
                };
                (*kind, Some(programs.iter().any(|p| p.1)), would)
            }
        };
        let running = format!("Not starting already running{kind}: {name}");
        // Salt: a dry run says it in other words than a run.
        let mut plan = Plan::unchanged(if cx.test { would.clone() } else { running.clone() }).says(would, running);
        let mut changes = vec![];
        if self.update {
            shared::step(&mut plan, &ctl, &["update"], "Updating supervisor", None);
        } else if still.is_none() {
            changes.push(format!("Adding service: {name}"));
            shared::step(&mut plan, &ctl, &["reread"], "", None);
            shared::step(&mut plan, &ctl, &["add", supervisord::group(name)], &changes[0], None);
        }
        plan.repeats = self.update || restart;
        let (verb, word) = match still {
            Some(false) if restart => ("restart", "Restarting"),
            Some(false) => return Ok(plan),
            _ => ("start", "Starting"),
        };
        let comment = format!("{word}{kind}: {name}");
        shared::step(&mut plan, &ctl, &[verb, name], &comment, Some(true));
        changes.push(comment);
        Ok(plan.change(name, changes.join(" ")))
    }
}
