//! `cron.file`

use super::shared;
use corpus_core::source::{FileOrigin, FileRequest, TemplateRequest};
use corpus_core::{Map, Plan, PlanCx, State, StateError, Value};
use corpus_exec::cron;
use serde::Deserialize;

/// Keeps the whole of a user's crontab as a file says.
///
/// ```sls
/// salt://cron/web:
///   cron.file:
///     - user: www-data
/// ```
#[derive(Deserialize)]
pub struct File {
    /// Where the file comes from.
    pub name: String,
    /// Whose crontab.
    #[serde(default = "root")]
    pub user: String,
    /// Engine that renders the file, `jinja`.
    pub template: Option<String>,
    /// Variables of the template.
    pub context: Option<Map>,
    /// Variables of the template that `context` overrides.
    pub defaults: Option<Map>,
    /// Replace a crontab that is there.
    #[serde(default = "yes")]
    pub replace: bool,
    /// Accepted for Salt's sake: files of the master are always verified.
    pub source_hash: Option<Value>,
    /// Accepted for Salt's sake.
    pub source_hash_name: Option<Value>,
    /// Accepted for Salt's sake.
    pub backup: Option<Value>,
}

fn root() -> String {
    "root".into()
}

fn yes() -> bool {
    true
}

impl State for File {
    const NAME: &'static str = "cron.file";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        shared::read(cx, &self.user)?;
        let have = cron::raw(cx.host, &self.user)?;
        let user = &self.user;
        if !self.replace && !have.is_empty() {
            return Ok(Plan::unchanged(format!("User {user} already has a crontab. No changes made")));
        }
        let mut context = self.defaults.clone().unwrap_or_default();
        for (key, value) in self.context.iter().flatten() {
            context.0.insert(key.clone(), value.clone());
        }
        let template = self.template.clone().map(|engine| TemplateRequest { engine, context });
        let origin = FileOrigin::Urls(vec![self.name.clone()]);
        let found = cx.resolve(&FileRequest { origin, saltenv: cx.saltenv(), template })?;
        let want = String::from_utf8_lossy(&cx.read_source(&found)?).into_owned();
        if want.trim_end_matches('\n') == have.trim_end_matches('\n') {
            return Ok(Plan::unchanged(format!("Crontab for user {user} is in the correct state")));
        }
        let diff = corpus_exec::file::diff::unified(&have, &want);
        let mut plan = Plan::default()
            .says(
                format!("The following values are set to be changed:\ndiff: {diff}\n"),
                format!("Crontab for user {user} was updated"),
            )
            .change("diff", diff);
        plan.steps.push(cron::write(user, &want));
        Ok(plan)
    }
}
