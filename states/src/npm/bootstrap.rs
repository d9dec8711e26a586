//! `npm.bootstrap`

use super::shared;
use corpus_core::{Plan, PlanCx, Prediction, State, StateError, Value};
use corpus_exec::ask;
use serde::Deserialize;

/// Keeps what a directory's `package.json` asks for installed there.
///
/// ```sls
/// /srv/app:
///   npm.bootstrap:
///     - user: app
/// ```
#[derive(Deserialize)]
pub struct Bootstrap {
    /// The directory.
    pub name: String,
    /// User who runs npm.
    pub user: Option<String>,
    /// Accepted for Salt's sake: npm is always silent.
    pub silent: Option<Value>,
}

impl State for Bootstrap {
    const NAME: &'static str = "npm.bootstrap";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let (name, user) = (self.name.as_str(), self.user.as_deref());
        let fact = format!("npm:{name}:bootstrapped");
        let done = Plan::unchanged(if cx.test {
            format!("{name} is already bootstrapped")
        } else {
            "Directory is already bootstrapped".into()
        });
        if cx.host.predicted(&fact).is_some() {
            return Ok(done);
        }
        let quiet = ["install", "--json", "--no-audit", "--no-fund"];
        let mut dry = shared::command(cx, Some(name), user, quiet)?;
        if !ask::exists(cx.host, format!("{name}/package.json")) {
            return Err(StateError::missing(format!("Error Bootstrapping '{name}': there is no package.json")));
        }
        dry.argv.push("--dry-run".into());
        let output = cx.host.query(&dry)?;
        let text = output.stdout_text();
        // Some versions say a line of what they would add before.
        let found: Value = text
            .find('{')
            .and_then(|at| serde_json::from_str(&text[at..]).ok())
            .filter(|_| output.ok())
            .ok_or_else(|| StateError::failed(format!("Error Bootstrapping '{name}': {}", ask::said(&output))))?;
        let count = |key: &str| found.get(key).and_then(Value::as_int).unwrap_or(0);
        if count("added") + count("removed") + count("changed") == 0 {
            return Ok(done);
        }
        let mut plan = Plan::default()
            .says(format!("{name} is set to be bootstrapped"), "Directory was successfully bootstrapped")
            .change(name, "Bootstrapped");
        plan.exec(shared::command(cx, Some(name), user, quiet)?, vec![Prediction::Fact(fact, true.into())]);
        Ok(plan)
    }
}
