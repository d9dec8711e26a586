//! `git.config_unset`

use corpus_core::host::Command;
use corpus_core::{Effect, Plan, PlanCx, Prediction, State, StateError, Value, python};
use corpus_exec::fns::git;
use serde::Deserialize;

/// Keeps a setting of git unset, in a repository or for a user.
///
/// ```sls
/// http.proxy:
///   git.config_unset:
///     - repo: /srv/app
/// ```
#[derive(Deserialize)]
pub struct ConfigUnset {
    /// The setting, or an expression that its whole name matches.
    pub name: String,
    /// Only values that this expression matches.
    pub value_regex: Option<String>,
    /// The repository.
    pub repo: Option<String>,
    /// User who runs git, and whose settings `global` means.
    pub user: Option<String>,
    /// Accepted for Salt's sake (Windows).
    pub password: Option<Value>,
    /// Accepted for Salt's sake.
    pub output_encoding: Option<Value>,
    /// Unset it for the user instead of a repository.
    #[serde(default)]
    pub global: bool,
    /// Unset all values where there are several.
    #[serde(default)]
    pub all: bool,
}

impl State for ConfigUnset {
    const NAME: &'static str = "git.config_unset";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        if !self.global && self.repo.is_none() {
            return Err(StateError::failed("Non-global config options require the 'repo' argument to be set"));
        }
        if cx.host.which("git").is_none() {
            return Err(StateError::missing(
                "git is not installed on this machine; install it first (`pkg.installed`)",
            ));
        }
        let nothing = Plan::unchanged("No matching keys are set");
        let place = self.repo.as_deref().unwrap_or("global");
        let fact = |name: &str| format!("git-config-unset:{place}:{name}");
        if cx.host.predicted(&fact(&self.name)).is_some() {
            return Ok(nothing);
        }
        let base: Command = git::configuring(self.repo.as_deref(), self.global, self.user.as_deref());
        let key = format!("^{}$", self.name.trim_start_matches('^').trim_end_matches('$'));
        let matches = git::matching(cx.host, &base, &key, self.value_regex.as_deref())?;
        if matches.is_empty() {
            return Ok(nothing);
        }
        let several: Vec<String> = matches
            .iter()
            .filter_map(|(name, values)| Some((name, values.as_list().filter(|values| values.len() > 1)?)))
            .map(|(name, values)| {
                let values: Vec<String> = values.iter().map(python::str).collect();
                format!("{} ({})", python::str(name), values.join(", "))
            })
            .collect();
        if !self.all && !several.is_empty() {
            let what = if self.value_regex.is_some() {
                "Multiple values are matched by value_regex for the following keys"
            } else {
                "Multivar(s) matched by the key expression"
            };
            return Err(StateError::failed(format!(
                "{what} (set 'all' to True to force removal): {}",
                several.join("; ")
            )));
        }
        let mut plan = Plan::default()
            .says(format!("{} key(s) would have value(s) unset", matches.len()), "Value(s) successfully unset");
        for name in matches.keys().map(python::str) {
            let mut command = base.clone();
            command.argv.extend([if self.all { "--unset-all" } else { "--unset" }.into(), name]);
            command.argv.extend(self.value_regex.clone());
            plan.push(Effect::Exec(command), vec![]);
        }
        if let Some(last) = plan.steps.last_mut() {
            last.predicts.push(Prediction::Fact(fact(&self.name), true.into()));
        }
        plan.changes = matches;
        Ok(plan)
    }
}
