//! `salt.wait_for_event`

use corpus_core::{Plan, PlanCx, State, StateError, Value};
use serde::Deserialize;

/// Waits for events of minions: refused, as there is no event bus that minions fire on between runs.
///
/// Wait on the machine instead: `cmd.run` with `retry`, or `salt.function` with `test.ping`.
#[derive(Deserialize)]
pub struct WaitForEvent {
    /// The events' tag.
    pub name: Value,
    /// What to wait for.
    pub id_list: Option<Value>,
    /// The key in the events.
    pub event_id: Option<Value>,
    /// How long to wait.
    pub timeout: Option<Value>,
    /// Whose event bus.
    pub node: Option<Value>,
}

impl State for WaitForEvent {
    const NAME: &'static str = "salt.wait_for_event";

    fn plan(&self, _: &PlanCx<'_>) -> Result<Plan, StateError> {
        Err(StateError::failed(
            "salt.wait_for_event needs an event bus that minions fire on between runs, which is not built: wait by \
             salt.function with `retry`, or by cmd.run on the machine",
        ))
    }
}
