//! `acl.absent`

use super::shared::Wanted;
use corpus_core::{Plan, PlanCx, Prediction, State, StateError, Value};
use corpus_exec::fns::acl;
use serde::Deserialize;

/// Keeps an entry out of the access list of a file.
///
/// ```sls
/// /srv/media:
///   acl.absent:
///     - acl_type: user
///     - acl_name: joe
/// ```
#[derive(Deserialize)]
pub struct Absent {
    /// The file.
    pub name: String,
    /// `user` or `group`; with `default:` in front, for what is made in a directory.
    pub acl_type: String,
    /// The user or group.
    #[serde(default)]
    pub acl_name: String,
    /// Accepted for Salt's sake: the whole entry goes.
    #[serde(default)]
    pub perms: Value,
    /// All that is in the directory, too.
    #[serde(default)]
    pub recurse: bool,
}

impl State for Absent {
    const NAME: &'static str = "acl.absent";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let (kind, name) = (&self.acl_type, &self.acl_name);
        let wanted = Wanted { path: &self.name, acl_type: kind, acl_name: name, recurse: self.recurse };
        let files = wanted.files(cx)?;
        wanted.check(&files[0])?;
        let there = match cx.host.predicted(&wanted.fact()) {
            Some(bits) => !bits.is_null(),
            None => files.iter().any(|file| wanted.of(file).is_some()),
        };
        let mut plan = Plan::unchanged("Permissions are in the desired state");
        if !there {
            return Ok(plan);
        }
        let gone = vec![Prediction::Fact(wanted.fact(), Value::Null)];
        let entry = acl::written(kind, name);
        plan.exec(acl::set(&["-x", &entry], self.recurse, std::slice::from_ref(&self.name)), gone);
        Ok(plan.says("Removing permissions", "Removing permissions"))
    }
}
