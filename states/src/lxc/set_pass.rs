//! `lxc.set_pass`

use corpus_core::{Plan, PlanCx, State, StateError};
use serde::Deserialize;

/// Is no more, as in Salt: it could not tell whether a password was set already. The function `lxc.set_password`
/// sets one.
#[derive(Deserialize)]
pub struct SetPass {
    /// The container.
    pub name: String,
}

impl State for SetPass {
    const NAME: &'static str = "lxc.set_pass";
    const OPEN: bool = true;

    fn plan(&self, _: &PlanCx<'_>) -> Result<Plan, StateError> {
        Err(StateError::failed(
            "The lxc.set_pass state is no longer supported. Please see the LXC states documentation for further information.",
        ))
    }
}
