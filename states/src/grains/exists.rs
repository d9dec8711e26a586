//! `grains.exists`

use super::shared::{self, Place};
use corpus_core::{Plan, PlanCx, State, StateError};
use serde::Deserialize;

/// Fails unless a grain is there.
///
/// ```sls
/// roles:
///   grains.exists
/// ```
#[derive(Deserialize)]
pub struct Exists {
    /// The grain; `a:b` for a nested one.
    pub name: String,
    /// What stands between the keys of a nested one.
    #[serde(default = "shared::colon")]
    pub delimiter: String,
}

impl State for Exists {
    const NAME: &'static str = "grains.exists";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        Ok(match Place::of(cx, &self.name, &self.delimiter)?.value() {
            Some(_) => Plan::unchanged("Grain exists"),
            None => Plan::failed("Grain does not exist"),
        })
    }
}
