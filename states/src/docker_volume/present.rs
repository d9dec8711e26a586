//! `docker_volume.present`

use crate::docker_container::shared::{answers, becomes, call, fact, find};
use corpus_core::plan::{Observed, Settled};
use corpus_core::{Map, Plan, PlanCx, State, StateError, Value};
use serde::Deserialize;

/// Keeps a volume.
///
/// ```sls
/// data:
///   docker_volume.present
/// ```
#[derive(Deserialize)]
pub struct Present {
    /// The volume.
    pub name: String,
    /// Its driver; without, the daemon's own, or what it has.
    pub driver: Option<String>,
    /// Options of the driver.
    pub driver_opts: Option<Value>,
    /// Replace a volume of another driver, with all that is in it.
    #[serde(default)]
    pub force: bool,
}

impl State for Present {
    const NAME: &'static str = "docker_volume.present";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let name = &self.name;
        let have = match cx.host.predicted(&fact("volume", name)) {
            Some(known) => Some(known).filter(|known| !known.is_null()),
            None => find(cx, "docker.inspect_volume", name)?,
        };
        let mut kwargs = Map::new();
        if let Some(driver) = &self.driver {
            kwargs.insert("driver", driver.as_str());
        }
        if let Some(options) = self.driver_opts.as_ref().filter(|options| options.truthy()) {
            kwargs.insert("driver_opts", corpus_exec::docker::body::pairs("driver_opts", options)?);
        }
        let mut plan = Plan::unchanged(format!("Volume '{name}' already exists."));
        let after: Map =
            [("Name", name.as_str()), ("Driver", self.driver.as_deref().unwrap_or("local"))].into_iter().collect();
        let Some(have) = have else {
            plan.push(call("create_volume", vec![name.as_str().into()], &kwargs), becomes("volume", name, after));
            plan.changes.insert("created", name.as_str());
            // Salt says nothing once it is made.
            return Ok(plan.says(format!("The volume '{name}' will be created"), ""));
        };
        let driver = have.get("Driver").and_then(Value::as_str).unwrap_or_default();
        match &self.driver {
            Some(wanted) if wanted != driver && !self.force => Err(StateError::failed(format!(
                "Driver for existing volume '{name}' ('{driver}') does not match specified driver ('{wanted}') and force is False"
            ))),
            Some(wanted) if wanted != driver => {
                plan.push(
                    call("remove_volume", vec![name.as_str().into()], &Map::new()),
                    becomes("volume", name, Value::Null),
                );
                plan.push(call("create_volume", vec![name.as_str().into()], &kwargs), becomes("volume", name, after));
                plan.changes.insert("removed", true);
                plan.changes.insert("created", name.as_str());
                Ok(plan.says(
                    format!("The volume '{name}' will be replaced with a new one using the driver '{wanted}'"),
                    "",
                ))
            }
            _ => Ok(plan),
        }
    }

    fn settle(&self, plan: &Plan, seen: &[Observed], _: &PlanCx<'_>) -> Result<Settled, StateError> {
        let mut settled = Settled::as_planned(plan);
        if let Some(made) = answers(seen).last().filter(|answer| answer.as_map().is_some()) {
            settled.changes.insert("created", (*made).clone());
        }
        Ok(settled)
    }
}
