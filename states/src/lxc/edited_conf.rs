//! `lxc.edited_conf`

use super::shared;
use corpus_core::{Effect, Plan, PlanCx, State, StateError, Value};
use corpus_exec::lxc::config::Config;
use corpus_exec::lxc::edit;
use serde::Deserialize;

/// Sets and removes keys of a container's configuration. A key that stands in it several times is set to one value.
///
/// ```sls
/// web01:
///   lxc.edited_conf:
///     - lxc_conf:
///       - lxc.start.auto: 1
///     - lxc_conf_unset:
///       - lxc.cap.drop
/// ```
#[derive(Deserialize)]
pub struct EditedConf {
    /// The container.
    pub name: String,
    /// What to set: a list of mappings.
    pub lxc_conf: Option<Value>,
    /// What to remove: how the keys start.
    pub lxc_conf_unset: Option<Value>,
    /// Where containers lie; `/var/lib/lxc` if nothing else is configured.
    pub path: Option<String>,
}

impl State for EditedConf {
    const NAME: &'static str = "lxc.edited_conf";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let known = shared::find(cx, &self.name, self.path.as_deref())?;
        if known.state.is_none() {
            return Err(StateError::missing(format!("Container '{}' does not exist", self.name)));
        }
        let file = known.guest.config_file();
        let config = Config::parse(&String::from_utf8_lossy(&cx.host.read(&file)?));
        let (changes, after) = edit::edited(&config, self.lxc_conf.as_ref(), self.lxc_conf_unset.as_ref());
        let mut plan =
            Plan::unchanged("lxc.conf is up to date").says(format!("{} lxc.conf will be edited", self.name), "Updated");
        if !changes.is_empty() {
            plan = plan.step(Effect::text(file, after.text()));
            plan.changes = changes;
        }
        Ok(plan)
    }
}
