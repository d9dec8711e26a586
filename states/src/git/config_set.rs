//! `git.config_set`

use corpus_core::host::Command;
use corpus_core::{Effect, Map, Plan, PlanCx, Prediction, State, StateError, Value, python};
use corpus_exec::fns::git;
use serde::Deserialize;

/// Keeps a setting of git, in a repository or for a user.
///
/// ```sls
/// user.email:
///   git.config_set:
///     - value: deploy@example.org
///     - user: deploy
///     - global: True
/// ```
#[derive(Deserialize)]
pub struct ConfigSet {
    /// The setting.
    pub name: String,
    /// Its value.
    pub value: Option<Value>,
    /// Its values, if it has several.
    pub multivar: Option<Value>,
    /// The repository.
    pub repo: Option<String>,
    /// User who runs git, and whose settings `global` means.
    pub user: Option<String>,
    /// Accepted for Salt's sake (Windows).
    pub password: Option<Value>,
    /// Accepted for Salt's sake.
    pub output_encoding: Option<Value>,
    /// Set it for the user instead of a repository.
    #[serde(default)]
    pub global: bool,
}

impl State for ConfigSet {
    const NAME: &'static str = "git.config_set";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let name = &self.name;
        if !self.global && self.repo.is_none() {
            return Err(StateError::failed("Non-global config options require the 'repo' argument to be set"));
        }
        let (desired, shown): (Vec<String>, String) = match (&self.value, &self.multivar) {
            (Some(_), Some(_)) => return Err(StateError::failed("Only one of 'value' and 'multivar' is permitted")),
            (Some(value), None) => (vec![python::str(value)], format!("'{}'", python::str(value))),
            (None, Some(values)) => {
                let values: Vec<String> = match values {
                    Value::List(items) => items.iter().map(python::str).collect(),
                    text => python::str(text).split(',').map(str::to_owned).collect(),
                };
                (values.clone(), python::str(&values.into()))
            }
            (None, None) => return Err(StateError::failed("One of 'value' and 'multivar' is required")),
        };
        if cx.host.which("git").is_none() {
            return Err(StateError::missing(
                "git is not installed on this machine; install it first (`pkg.installed`)",
            ));
        }
        let base: Command = git::configuring(self.repo.as_deref(), self.global, self.user.as_deref());
        let fact = format!("git-config:{}:{name}", self.repo.as_deref().unwrap_or("global"));
        let have = match cx.host.predicted(&fact) {
            Some(Value::List(items)) => Some(items.iter().map(python::str).collect()),
            _ => git::config(cx.host, &base, name)?,
        };
        let key = format!("{}'{name}'", if self.global { "Global key " } else { "" });
        if have.as_ref() == Some(&desired) {
            return Ok(Plan::unchanged(format!("{key} is already set to {shown}")));
        }
        let verb = if have.is_none() { "added as" } else { "set to" };
        let change: Map =
            [("old", have.map_or(Value::Null, Value::from)), ("new", desired.clone().into())].into_iter().collect();
        let mut plan = Plan::default()
            .says(format!("{key} would be {verb} {shown}"), format!("{key} was {verb} {shown}"))
            .change(name.as_str(), change);
        for command in git::setting(&base, name, &desired) {
            plan.push(Effect::Exec(command), vec![]);
        }
        if let Some(last) = plan.steps.last_mut() {
            last.predicts.push(Prediction::Fact(fact, desired.into()));
        }
        Ok(plan)
    }
}
