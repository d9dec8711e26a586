//! `cmd.call`

use corpus_core::{Plan, PlanCx, State, StateError, Value};
use serde::Deserialize;

/// Calls a Python function, which only a Python renderer can name: refused, as there is no Python.
///
/// Write `cmd.run`, or `module.run` for an execution function.
#[derive(Deserialize)]
pub struct Call {
    /// The state's name.
    pub name: Value,
    /// The Python function.
    pub func: Option<Value>,
    /// Its positional arguments.
    pub args: Option<Value>,
    /// Its named arguments.
    pub kws: Option<Value>,
}

impl State for Call {
    const NAME: &'static str = "cmd.call";
    const CONVERGES: bool = false;
    const WATCHES: bool = true;
    const OPEN: bool = true;

    fn plan(&self, _: &PlanCx<'_>) -> Result<Plan, StateError> {
        Err(StateError::failed(
            "cmd.call calls a Python function, and there is no Python here: use cmd.run, or module.run for an execution function",
        ))
    }
}
