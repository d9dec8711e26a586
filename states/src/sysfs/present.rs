//! `sysfs.present`

use corpus_core::host::Command;
use corpus_core::{Plan, PlanCx, Prediction, State, StateError, Value, python};
use corpus_exec::ask;
use serde::Deserialize;

/// Keeps an attribute of the kernel's `/sys` at a value.
///
/// ```sls
/// kernel/mm/transparent_hugepage/enabled:
///   sysfs.present:
///     - value: never
/// ```
#[derive(Deserialize)]
pub struct Present {
    /// The attribute, its path below `/sys`.
    pub name: String,
    /// The value.
    pub value: Value,
    /// Accepted for Salt's sake.
    pub config: Option<Value>,
}

impl State for Present {
    const NAME: &'static str = "sysfs.present";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let (name, want) = (&self.name, python::str(&self.value));
        let below = name.trim_start_matches('/');
        let path = format!("/sys/{}", below.strip_prefix("sys/").unwrap_or(below));
        if path.split('/').any(|part| part == "..") {
            return Err(StateError::failed(format!("{name} is not a SysFS attribute.")));
        }
        let fact = format!("sysfs:{path}");
        let have = match cx.host.predicted(&fact) {
            Some(known) => python::str(&known),
            None if ask::is_dir(cx.host, &path) => {
                return Err(StateError::failed(format!("{name} is not a SysFS attribute.")));
            }
            None => match ask::text(cx.host, &path)? {
                Some(text) => text.trim().to_owned(),
                None => return Err(StateError::missing(format!("SysFS attribute {name} doesn't exist."))),
            },
        };
        // Some list all that they can be, and what they are in brackets.
        let chosen =
            have.split_once('[').and_then(|(_, rest)| rest.split_once(']')).map(|(chosen, _)| chosen.to_owned());
        if chosen.unwrap_or(have) == want {
            return Ok(Plan::unchanged(format!("SysFS attribute {name} is already set.")));
        }
        let mut plan = Plan::default()
            .says(
                format!("SysFS attribute {name} set to be changed."),
                format!("Updated SysFS attribute {name} to {want}"),
            )
            .change(name.as_str(), self.value.clone());
        // Not a file that could be replaced: the kernel takes what is written to it.
        let command =
            Command::new(["dd", &format!("of={path}"), "conv=notrunc", "status=none"]).stdin(format!("{want}\n"));
        plan.exec(command, vec![Prediction::Fact(fact, want.into())]);
        Ok(plan)
    }
}
