//! `cloud.profile`

use super::shared;
use corpus_core::state::arguments;
use corpus_core::{Map, Observed, Plan, PlanCx, Settled, State, StateError, Value};
use serde::Deserialize;

/// Makes a machine of a profile, where there is none of that name; all further arguments override the profile's.
///
/// A machine that is there is left as it is; `corpus map.apply` and `corpus reconcile` compare all of it.
///
/// ```sls
/// web1:
///   cloud.profile:
///     - profile: web
/// ```
#[derive(Deserialize)]
pub struct Profile {
    /// The machine's name.
    pub name: String,
    /// The profile.
    pub profile: String,
    /// Accepted: there is one configuration of clouds.
    pub opts: Option<Value>,
}

impl State for Profile {
    const NAME: &'static str = "cloud.profile";
    const CONVERGES: bool = false;
    const OPEN: bool = true;

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        shared::of_clouds(cx, Self::NAME)?;
        let (name, mut plan) = (&self.name, Plan::default());
        if shared::there(cx, name)? {
            plan.unchanged = format!("Already present instance {name}");
            return Ok(plan);
        }
        let _ = &self.opts;
        let mut keys = arguments(cx.low);
        for own in ["name", "profile", "opts"] {
            keys.remove(own);
        }
        shared::act(&mut plan, "cloud.profile", vec![self.profile.as_str().into(), name.as_str().into()], &keys);
        Ok(plan.says(format!("Instance {name} needs to be created"), ""))
    }

    fn settle(&self, _: &Plan, seen: &[Observed], _: &PlanCx<'_>) -> Result<Settled, StateError> {
        let (name, profile) = (&self.name, &self.profile);
        Ok(match shared::answer(seen) {
            Ok(changes) => {
                Settled { result: true, changes, comment: format!("Created instance {name} using profile {profile}") }
            }
            Err(why) => {
                let comment = format!("Failed to create instance {name} using profile {profile}: {why}");
                Settled { result: false, changes: Map::new(), comment }
            }
        })
    }
}
