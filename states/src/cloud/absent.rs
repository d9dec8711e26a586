//! `cloud.absent`

use super::shared;
use corpus_core::{Map, Observed, Plan, PlanCx, Settled, State, StateError};
use serde::Deserialize;

/// Ends a machine of ours; a saltified one is let go and goes on running.
///
/// ```sls
/// web1:
///   cloud.absent
/// ```
#[derive(Deserialize)]
pub struct Absent {
    /// The machine's name.
    pub name: String,
}

impl State for Absent {
    const NAME: &'static str = "cloud.absent";
    const CONVERGES: bool = false;

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        shared::of_clouds(cx, Self::NAME)?;
        let (name, mut plan) = (&self.name, Plan::default());
        if !shared::there(cx, name)? {
            plan.unchanged = format!("Already absent instance {name}");
            return Ok(plan);
        }
        shared::act(&mut plan, "cloud.destroy", vec![name.as_str().into()], &Map::new());
        Ok(plan.says(format!("Instance {name} needs to be destroyed"), ""))
    }

    fn settle(&self, _: &Plan, seen: &[Observed], _: &PlanCx<'_>) -> Result<Settled, StateError> {
        let name = &self.name;
        Ok(match shared::answer(seen) {
            Ok(changes) => Settled { result: true, changes, comment: format!("Destroyed instance {name}") },
            Err(why) => {
                let comment = format!("Failed to destroy instance {name}: {why}");
                Settled { result: false, changes: Map::new(), comment }
            }
        })
    }
}
