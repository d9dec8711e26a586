//! `status.loadavg`

use corpus_core::{Call, Plan, PlanCx, State, StateError, Value, python};
use serde::Deserialize;

/// Fails where the load is not within bounds; changes nothing.
///
/// ```sls
/// 5-min:
///   status.loadavg:
///     - maximum: 4.5
/// ```
#[derive(Deserialize)]
pub struct Loadavg {
    /// Which average: `1-min`, `5-min` or `15-min`.
    pub name: String,
    /// The most that is good.
    pub maximum: Option<f64>,
    /// The least that is good.
    pub minimum: Option<f64>,
}

impl State for Loadavg {
    const NAME: &'static str = "status.loadavg";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let data = cx.caller.call(&Call::new("status.loadavg", vec![]))?;
        let Some(load) = data.get(&self.name).and_then(number) else {
            return Ok(Plan::failed(format!("Requested load average {} not available ", self.name)));
        };
        let bound = |bound: Option<f64>| bound.filter(|bound| *bound != 0.0);
        let (least, most) = (bound(self.minimum), bound(self.maximum));
        if least.zip(most).is_some_and(|(least, most)| least >= most) {
            return Err(StateError::failed("Min must be less than max"));
        }
        let text = |value: f64| python::str(&Value::Float(value));
        let given = |key: &str| cx.low.args.get(key).map(python::str).unwrap_or_default();
        if least.is_some_and(|least| load < least) {
            return Ok(Plan::failed(format!("Load avg is below minimum of {} at {}", given("minimum"), text(load))));
        }
        if most.is_some_and(|most| load > most) {
            return Ok(Plan::failed(format!("Load avg above maximum of {} at {}", given("maximum"), text(load))));
        }
        Ok(Plan::unchanged("Load avg in acceptable range"))
    }
}

fn number(value: &Value) -> Option<f64> {
    python::str(value).parse().ok()
}
