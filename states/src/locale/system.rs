//! `locale.system`

use corpus_core::{Plan, PlanCx, State, StateError};
use corpus_exec::fns::locale;
use serde::Deserialize;

/// Keeps the language of the machine.
///
/// ```sls
/// en_US.UTF-8:
///   locale.system
/// ```
#[derive(Deserialize)]
pub struct System {
    /// The locale.
    pub name: String,
}

impl State for System {
    const NAME: &'static str = "locale.system";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let name = &self.name;
        if locale::current(cx.host)? == *name {
            return Ok(Plan::unchanged(format!("System locale {name} already set")));
        }
        let debian = cx.data.grains.get("os_family") == Some(&"Debian".into());
        Ok(Plan::default()
            .says(format!("System locale {name} needs to be set"), format!("Set system locale {name}"))
            .change("locale", name.as_str())
            .step(locale::setting(cx.host, name, debian)?))
    }
}
