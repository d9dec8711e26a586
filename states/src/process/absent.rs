//! `process.absent`

use corpus_core::{Call, Effect, ExecError, Map, Plan, PlanCx, State, StateError, Value, python};
use serde::Deserialize;

/// Ends the processes whose command line holds a text. The processes that this run is part of are left alone.
///
/// ```sls
/// /usr/bin/old-daemon:
///   process.absent:
///     - user: app
/// ```
#[derive(Deserialize)]
pub struct Absent {
    /// The text.
    pub name: String,
    /// Only this user's.
    pub user: Option<String>,
    /// The signal to send, 15 unless set.
    #[serde(default)]
    pub signal: Value,
}

impl State for Absent {
    const NAME: &'static str = "process.absent";
    // A process may take its time to end.
    const CONVERGES: bool = false;

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        if self.name.trim().is_empty() {
            return Err(StateError::failed("process.absent: `name` is empty, which would end every process"));
        }
        let kwargs: Map = [("user", Value::from(self.user.clone())), ("full", true.into()), ("strangers", true.into())]
            .into_iter()
            .collect();
        let found = cx.caller.call(&Call { fun: "ps.pgrep".into(), args: vec![self.name.as_str().into()], kwargs });
        let found = match found {
            Err(ExecError::Argument { message, .. }) => return Err(StateError::missing(message)),
            other => other?,
        };
        let pids = found.as_list().unwrap_or_default().to_vec();
        if pids.is_empty() {
            return Ok(Plan::unchanged("No matching processes running"));
        }
        let mut plan = Plan::default()
            .says(format!("{} processes will be killed", pids.len()), format!("Killed {} processes", pids.len()));
        for pid in &pids {
            let mut args = vec![pid.clone()];
            if self.signal.truthy() {
                args.push(python::str(&self.signal).into());
            }
            plan.push(Effect::Call { fun: "ps.kill_pid".into(), args, kwargs: vec![] }, vec![]);
        }
        Ok(plan.change("killed", pids))
    }
}
