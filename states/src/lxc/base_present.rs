//! `lxc.base_present`

use super::shared;
use corpus_core::{Effect, Plan, PlanCx, State, StateError, Value};
use corpus_exec::lxc::{self, base};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Keeps a base: a Debian file system that containers start from, with an SSH server, built once and kept by the hash
/// of what is declared here. Containers that stand on an earlier one keep it.
///
/// ```sls
/// web:
///   lxc.base_present:
///     - suite: bookworm
///     - packages: [nginx-light, rsync]
/// ```
#[derive(Deserialize)]
pub struct BasePresent {
    /// The base.
    pub name: String,
    /// Debian's release; `bookworm` if none is given.
    pub suite: Option<String>,
    /// Where packages come from; the machine's own mirror if none is given.
    pub mirror: Option<String>,
    /// mmdebstrap's variant; `minbase` if none is given.
    pub variant: Option<String>,
    /// The archive's components, with commas between.
    pub components: Option<String>,
    /// Packages beyond those that a container needs to be reached.
    pub packages: Option<Vec<String>>,
    /// Files to write into it: path, text.
    pub includes: Option<BTreeMap<String, String>>,
    /// A shell script that runs in it when all else is there.
    pub script: Option<String>,
    /// Where bases are kept.
    pub bases: Option<String>,
    /// Where the containers lie: on btrfs, bases are kept beside them.
    pub path: Option<String>,
}

impl State for BasePresent {
    const NAME: &'static str = "lxc.base_present";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let args = corpus_core::state::arguments(cx.low);
        let place = base::place(cx.host, &lxc::root(self.path.as_deref(), cx.data), self.bases.as_deref())?;
        let own = args.iter().filter(|(key, _)| key.as_str().is_some_and(|key| base::ARGUMENTS.contains(&key)));
        let own: corpus_core::Map = own.map(|(key, value)| (key.clone(), value.clone())).collect();
        let wanted = base::Declaration::read(&own).map_err(StateError::Failed)?;
        let hash = wanted.hash();
        let fact = shared::base_fact(&place, &self.name);
        let have = match cx.host.predicted(&fact) {
            Some(hash) => hash.as_str().map(str::to_owned),
            None => base::find(cx.host, &place, &self.name)?.map(|base| base.hash),
        };
        let mut plan = Plan::unchanged(format!("Base {} is already present", self.name));
        if have.as_deref() == Some(&hash) {
            return Ok(plan);
        }
        let mut kwargs: Vec<(String, Value)> =
            own.iter().filter_map(|(k, v)| Some((k.as_str()?.to_owned(), v.clone()))).collect();
        kwargs.push(("bases".into(), place.display().to_string().into()));
        let effect = Effect::Call { fun: "lxc.base".into(), args: vec![self.name.as_str().into()], kwargs };
        plan.push(effect, vec![corpus_core::Prediction::Fact(fact, hash.as_str().into())]);
        plan.changes.insert("base", shared::change(have.as_deref(), Some(&hash)));
        Ok(plan.says(format!("Base {} would be built", self.name), format!("Base {} was built", self.name)))
    }
}
