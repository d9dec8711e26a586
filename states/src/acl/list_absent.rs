//! `acl.list_absent`

use super::shared::Wanted;
use corpus_core::{Plan, PlanCx, Prediction, State, StateError, Value};
use corpus_exec::fns::acl;
use serde::Deserialize;

/// Keeps entries for several users or groups out of the access list of a file.
///
/// ```sls
/// /srv/media:
///   acl.list_absent:
///     - acl_type: user
///     - acl_names: [joe, ann]
/// ```
#[derive(Deserialize)]
pub struct ListAbsent {
    /// The file.
    pub name: String,
    /// `user` or `group`; with `default:` in front, for what is made in a directory.
    pub acl_type: String,
    /// The users or groups.
    #[serde(default)]
    pub acl_names: Vec<String>,
    /// All that is in the directory, too.
    #[serde(default)]
    pub recurse: bool,
}

impl State for ListAbsent {
    const NAME: &'static str = "acl.list_absent";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let mut plan = Plan::unchanged("Permissions are in the desired state");
        for name in &self.acl_names {
            let wanted = Wanted { path: &self.name, acl_type: &self.acl_type, acl_name: name, recurse: self.recurse };
            let files = wanted.files(cx)?;
            wanted.check(&files[0])?;
            let there = match cx.host.predicted(&wanted.fact()) {
                Some(known) => !known.is_null(),
                None => files.iter().any(|file| wanted.of(file).is_some()),
            };
            if there {
                let entry = acl::written(&self.acl_type, name);
                let command = acl::set(&["-x", &entry], self.recurse, std::slice::from_ref(&self.name));
                plan.exec(command, vec![Prediction::Fact(wanted.fact(), Value::Null)]);
            }
        }
        if !plan.steps.is_empty() {
            // Salt tells no changes; that entries are gone is one.
            plan.changes.insert("removed", self.acl_names.join(", "));
        }
        Ok(plan.says("Removing permissions", "Removing permissions"))
    }
}
