//! `cmd.watch`

use super::shared;
use corpus_core::decode::OneOrMany;
use corpus_core::host::Command;
use corpus_core::{Observed, Plan, PlanCx, Settled, State, StateError, Value};
use serde::Deserialize;

/// Runs a command line when a watched state changed: another name of `cmd.wait`.
///
/// ```sls
/// newaliases:
///   cmd.watch:
///     - watch:
///       - file: /etc/aliases
/// ```
#[derive(Deserialize)]
pub struct Watch {
    /// The command line.
    pub name: String,
    /// Directory to start in; the user's home if not given.
    pub cwd: Option<String>,
    /// User to become.
    pub runas: Option<String>,
    /// Has no effect, as in Salt; warned about, as `runas` is meant.
    pub user: Option<Value>,
    /// What the command reads from its standard input.
    pub stdin: Option<Value>,
    /// Group to become.
    pub group: Option<String>,
    /// Mask of new files' modes, as `022`.
    pub umask: Option<Value>,
    /// Program that reads the command line; the grain `shell` if not given.
    pub shell: Option<String>,
    /// Variables: a mapping, or a list of mappings or of `NAME=value`.
    pub env: Option<Value>,
    /// Directories to put in front of `PATH`.
    pub prepend_path: Option<String>,
    /// Start with an empty environment.
    #[serde(default)]
    pub clean_env: bool,
    /// The command's own words decide whether something changed: JSON, or a last line `changed=yes comment='…'`.
    pub stateful: Option<Value>,
    /// Seconds after which it is ended.
    pub timeout: Option<u64>,
    /// Count a time-out as success.
    #[serde(default)]
    pub ignore_timeout: bool,
    /// Leave the output out of the record.
    #[serde(default)]
    pub hide_output: bool,
    /// Level at which the output is logged; accepted, the record keeps the output.
    pub output_loglevel: Option<Value>,
    /// Accepted for Salt's sake: there is always a way to see the output.
    pub use_vt: Option<Value>,
    /// Accepted for Salt's sake: the command line is always read by a shell.
    pub python_shell: Option<Value>,
    /// Do not wait for the end.
    #[serde(default)]
    pub bg: bool,
    /// Further exit statuses that are no failure.
    #[serde(default)]
    pub success_retcodes: OneOrMany<i32>,
    /// Standard outputs that make any status a success.
    #[serde(default)]
    pub success_stdout: OneOrMany<String>,
    /// Standard errors that make any status a success.
    #[serde(default)]
    pub success_stderr: OneOrMany<String>,
}

impl Watch {
    fn how(&self) -> shared::How<'_> {
        shared::How {
            cwd: self.cwd.as_deref(),
            runas: self.runas.as_deref(),
            group: self.group.as_deref(),
            umask: self.umask.as_ref(),
            env: self.env.as_ref(),
            prepend_path: self.prepend_path.as_deref(),
            timeout: self.timeout,
            bg: self.bg,
            clean_env: self.clean_env,
        }
    }

    fn judge(&self) -> shared::Judge<'_> {
        shared::Judge {
            stateful: shared::is_stateful(self.stateful.as_ref()),
            hide_output: self.hide_output,
            ignore_timeout: self.ignore_timeout,
            retcodes: &self.success_retcodes.0,
            stdout: &self.success_stdout.0,
            stderr: &self.success_stderr.0,
        }
    }
}

impl State for Watch {
    const NAME: &'static str = "cmd.watch";
    const CONVERGES: bool = false;
    const WATCHES: bool = true;
    const OPEN: bool = true;

    fn plan(&self, _: &PlanCx<'_>) -> Result<Plan, StateError> {
        Ok(Plan::unchanged(""))
    }

    fn watch(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let command = Command::shell(&shared::shell(cx, self.shell.as_deref()), &self.name);
        let command = shared::prepare(command, &self.how(), cx)?;
        let would = format!("Command \"{}\" would have been executed", self.name);
        let did = format!("Command \"{}\" run", self.name);
        Ok(shared::plan_of(cx, command, &self.name, would, did))
    }

    fn settle(&self, plan: &Plan, seen: &[Observed], _: &PlanCx<'_>) -> Result<Settled, StateError> {
        if plan.steps.is_empty() {
            return Ok(Settled::as_planned(plan));
        }
        Ok(shared::settle(seen, &self.name, plan.did.clone(), &self.judge(), self.timeout))
    }
}
