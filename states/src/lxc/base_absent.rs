//! `lxc.base_absent`

use super::shared;
use corpus_core::{Effect, Plan, PlanCx, Prediction, State, StateError, Value};
use corpus_exec::lxc::{self, base};
use serde::Deserialize;

/// Keeps a base away. One that a container stands on is not removed.
///
/// ```sls
/// web:
///   lxc.base_absent
/// ```
#[derive(Deserialize)]
pub struct BaseAbsent {
    /// The base.
    pub name: String,
    /// Where bases are kept.
    pub bases: Option<String>,
    /// Where the containers lie: on btrfs, bases are kept beside them.
    pub path: Option<String>,
}

impl State for BaseAbsent {
    const NAME: &'static str = "lxc.base_absent";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let place = base::place(cx.host, &lxc::root(self.path.as_deref(), cx.data), self.bases.as_deref())?;
        let fact = shared::base_fact(&place, &self.name);
        let have = match cx.host.predicted(&fact) {
            Some(hash) => hash.as_str().map(str::to_owned),
            None => base::find(cx.host, &place, &self.name)?.map(|base| base.hash),
        };
        let mut plan = Plan::unchanged(format!("Base {} is not present", self.name));
        let Some(have) = have else { return Ok(plan) };
        let mut kwargs: Vec<(String, Value)> = vec![("bases".into(), place.display().to_string().into())];
        kwargs.extend(self.path.as_deref().map(|path| ("path".into(), path.into())));
        let effect = Effect::Call { fun: "lxc.base_remove".into(), args: vec![self.name.as_str().into()], kwargs };
        plan.push(effect, vec![Prediction::Fact(fact, Value::Null)]);
        plan.changes.insert("base", shared::change(Some(&have), None));
        Ok(plan.says(format!("Base {} would be removed", self.name), format!("Base {} was removed", self.name)))
    }
}
