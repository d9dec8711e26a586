//! `debconf.set`

use super::shared;
use corpus_core::{Map, Plan, PlanCx, State, StateError, python};
use corpus_exec::fns::debconf::Answer;
use serde::Deserialize;

/// Keeps answers to the questions of a Debian package.
///
/// ```sls
/// tzdata:
///   debconf.set:
///     - data:
///         tzdata/Areas: {type: select, value: Europe}
/// ```
#[derive(Deserialize)]
pub struct Set {
    /// The package.
    pub name: String,
    /// Questions, each with the `type` and the `value` of its answer.
    pub data: Map,
}

impl State for Set {
    const NAME: &'static str = "debconf.set";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let mut wanted = vec![];
        for (question, body) in &self.data {
            let question = python::str(question);
            let (Some(kind), Some(value)) = (body.get("type").map(python::str), body.get("value")) else {
                return Err(StateError::failed(format!("argument `data`: {question} needs a `type` and a `value`")));
            };
            let value =
                match value {
                    value if kind == "boolean" && !matches!(value.as_str(), Some("true" | "false")) => {
                        if value.truthy() { "true".into() } else { "false".into() }
                    }
                    value => python::str(value),
                };
            if value.contains('\n') {
                return Err(StateError::failed(format!("argument `data`: the answer to {question} is one line")));
            }
            wanted.push(Answer { package: self.name.clone(), question, kind, value });
        }
        let missing = shared::missing(cx, &wanted)?;
        if missing.is_empty() {
            return Ok(Plan::unchanged("All specified answers are already set"));
        }
        let same: Vec<&str> = wanted.iter().filter(|a| !missing.contains(a)).map(|a| a.question.as_str()).collect();
        // Salt: each question with a space behind it.
        let said = if same.is_empty() { String::new() } else { format!("Unchanged answers: {} ", same.join(" ")) };
        Ok(shared::set(Plan::default().says(said.clone(), said), &missing))
    }
}
