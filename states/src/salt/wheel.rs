//! `salt.wheel`

use corpus_core::{Plan, PlanCx, State, StateError};
use serde::Deserialize;

/// Not built: wheel functions manage the keys and files of Salt's own master. The state fails and says so.
///
/// ```sls
/// key.list_all:
///   salt.wheel: []
/// ```
#[derive(Deserialize)]
pub struct Wheel {
    /// The function.
    pub name: String,
}

impl State for Wheel {
    const NAME: &'static str = "salt.wheel";
    const OPEN: bool = true;

    fn plan(&self, _: &PlanCx<'_>) -> Result<Plan, StateError> {
        Err(StateError::failed(format!(
            "salt.wheel: '{}' is not built: there are no keys of minions to manage, hosts are in the roster",
            self.name
        )))
    }
}
