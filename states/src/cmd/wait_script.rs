//! `cmd.wait_script`

use super::shared;
use corpus_core::decode::OneOrMany;
use corpus_core::host::Command;
use corpus_core::source::{FileOrigin, FileRequest, SourceError, TemplateRequest};
use corpus_core::{
    Attrs, Content, Effect, Map, Observed, Owner, Plan, PlanCx, Settled, State, StateError, Value, digest, python,
};
use serde::Deserialize;
use std::path::PathBuf;

/// Brings and runs a script when a watched state changed.
///
/// ```sls
/// salt://tools/reload.sh:
///   cmd.wait_script:
///     - watch:
///       - file: /etc/tool.conf
/// ```
#[derive(Deserialize)]
pub struct WaitScript {
    /// The script and its arguments; shown as the command.
    pub name: String,
    /// Where the script comes from, if not from `name`: `salt://…`, a URL, or a path of this machine.
    pub source: Option<String>,
    /// Arguments of the script.
    pub args: Option<Value>,
    /// Engine that renders the script, `jinja`.
    pub template: Option<String>,
    /// Variables of the template.
    pub context: Option<Map>,
    /// Variables of the template that `context` overrides.
    pub defaults: Option<Map>,
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

impl WaitScript {
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

impl State for WaitScript {
    const NAME: &'static str = "cmd.wait_script";
    const CONVERGES: bool = false;
    const WATCHES: bool = true;
    const OPEN: bool = true;

    fn plan(&self, _: &PlanCx<'_>) -> Result<Plan, StateError> {
        Ok(Plan::unchanged(""))
    }

    fn watch(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let (script, args) = match self.name.split_once(' ') {
            Some((script, rest)) => (script, rest),
            None => (self.name.as_str(), ""),
        };
        let url = self.source.as_deref().unwrap_or(script);
        let args = self.args.as_ref().map_or_else(|| args.to_owned(), python::str);
        let mut context = self.defaults.clone().unwrap_or_default();
        for (key, value) in self.context.iter().flatten() {
            context.0.insert(key.clone(), value.clone());
        }
        let template = self.template.clone().map(|engine| TemplateRequest { engine, context });
        let local = url.starts_with('/').then(|| cx.host.read(url.as_ref())).transpose()?;
        let content = match local {
            Some(bytes) if template.is_none() => Content::Bytes(bytes),
            _ => {
                let origin = FileOrigin::Urls(vec![url.to_owned()]);
                let found =
                    cx.source.resolve(&FileRequest { origin, saltenv: cx.saltenv(), template }).map_err(|error| {
                        match error {
                            SourceError::NotFound(..) => StateError::missing(format!(
                                "Unable to cache script {url} from saltenv '{}'",
                                cx.saltenv()
                            )),
                            other => other.into(),
                        }
                    })?;
                Content::File { path: cx.source.fetch(&found)?, sha256: found.sha256, size: found.size, spare: false }
            }
        };
        let digest = match &content {
            Content::Bytes(bytes) => digest::sha256(bytes),
            Content::File { sha256, .. } => *sha256,
        };
        let name = digest::hex(&digest::sha256(format!("{} {}", cx.low.tag(), digest::hex(&digest)).as_bytes()));
        let path = PathBuf::from(format!("/tmp/__corpus_script_{}{}", &name[..16], shared::suffix(url)));
        let line = format!("{} {args}", shared::quote(&path.to_string_lossy()));
        let command = Command::shell(&shared::shell(cx, self.shell.as_deref()), line.trim_end());
        let command = shared::prepare(command, &self.how(), cx)?;
        let owner = self.runas.clone().unwrap_or_else(|| "root".into());
        let user = if self.runas.is_some() { Some(Owner::Name(owner)) } else { None };
        let attrs = Attrs { user, group: None, mode: Some(0o500) };
        let would = format!("Command '{}' would have been executed", self.name);
        let run = shared::plan_of(cx, command, &self.name, would, format!("Command '{}' run", self.name));
        let mut plan = Plan { steps: vec![], ..run };
        plan.push(Effect::WriteFile { path: path.clone(), content, attrs, backup: None }, vec![]);
        plan.steps.extend(run.steps);
        plan.push(Effect::Remove { path }, vec![]);
        Ok(plan)
    }

    fn settle(&self, plan: &Plan, seen: &[Observed], _: &PlanCx<'_>) -> Result<Settled, StateError> {
        if plan.steps.is_empty() {
            return Ok(Settled::as_planned(plan));
        }
        Ok(shared::settle(seen, &self.name, plan.did.clone(), &self.judge(), self.timeout))
    }
}
