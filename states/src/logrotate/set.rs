//! `logrotate.set`

use corpus_core::{Plan, PlanCx, State, StateError, Value, python};
use corpus_exec::fns::logrotate;
use serde::Deserialize;

/// Keeps a command of logrotate, or with `setting` one within a block.
///
/// ```sls
/// rotate wtmp:
///   logrotate.set:
///     - key: /var/log/wtmp
///     - value: rotate
///     - setting: 2
/// ```
#[derive(Deserialize)]
pub struct Set {
    /// Only a name.
    pub name: String,
    /// The command, or the block.
    pub key: String,
    /// What it is set to; the command within the block.
    pub value: Value,
    /// What the command within the block is set to.
    #[serde(default)]
    pub setting: Value,
    /// The file.
    #[serde(default = "conf_file")]
    pub conf_file: String,
}

fn conf_file() -> String {
    logrotate::CONF.into()
}

impl State for Set {
    const NAME: &'static str = "logrotate.set";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let missing = |error: corpus_core::host::HostError| match error.is_missing() {
            true => StateError::missing(error.to_string()),
            false => error.into(),
        };
        let conf = logrotate::read(cx.host, &self.conf_file).map_err(missing)?;
        let (key, value) = (&self.key, python::str(&self.value));
        let (what, want, within) = if self.setting.is_null() {
            (format!("command '{key}'"), &self.value, None)
        } else {
            (format!("block '{key}' command '{value}'"), &self.setting, Some(value.as_str()))
        };
        let want = logrotate::number(want);
        let have = logrotate::get(&conf, key, within);
        let shown = python::str(&want);
        let title = what.replacen(&what[..1], &what[..1].to_uppercase(), 1);
        if have == want {
            return Ok(Plan::unchanged(format!("{title} already has value: {shown}")));
        }
        let setting = within.map(|_| &want);
        let set = if within.is_some() { &self.value } else { &want };
        let effect = logrotate::change(cx.host, &self.conf_file, key, set, setting).map_err(StateError::failed)?;
        let plan = Plan::default()
            .says(format!("{title} will be set to value: {shown}"), format!("Set {what} value: {shown}"));
        Ok(plan.change("old", have).change("new", want).step(effect))
    }
}
