//! `at.absent`

use super::shared;
use corpus_core::{Map, Plan, PlanCx, Prediction, State, StateError, Value};
use corpus_exec::fns::at;
use serde::Deserialize;

/// Removes jobs of `at`: one by its number, those that fit what is named, or, with nothing named, all.
///
/// ```sls
/// no-tea:
///   at.absent:
///     - tag: tea
/// ```
#[derive(Deserialize)]
pub struct Absent {
    /// Any name.
    pub name: String,
    /// The number of one job.
    #[serde(default)]
    pub jobid: Value,
    /// A tag.
    #[serde(default)]
    pub tag: Value,
    /// User whose jobs they are.
    #[serde(default)]
    pub runas: Value,
    /// The hour of their time.
    #[serde(default)]
    pub hour: Value,
    /// The minute of their time.
    #[serde(default)]
    pub minute: Value,
    /// The day of the month.
    #[serde(default)]
    pub day: Value,
    /// The month, a number.
    #[serde(default)]
    pub month: Value,
    /// The year.
    #[serde(default)]
    pub year: Value,
}

impl State for Absent {
    const NAME: &'static str = "at.absent";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        cx.program("at", "at")?;
        let words = [
            ("tag", &self.tag),
            ("runas", &self.runas),
            ("hour", &self.hour),
            ("minute", &self.minute),
            ("day", &self.day),
            ("month", &self.month),
            ("year", &self.year),
        ];
        let wanted: Map = words.into_iter().map(|(key, value)| (key, value.clone())).collect();
        let mut jobs = at::jobs(cx.host)?;
        jobs.retain(|job| cx.host.predicted(&format!("at:job:{}", job.id)).is_none());
        let one = shared::text(&self.jobid);
        match &one {
            Some(id) => jobs.retain(|job| job.id == *id),
            None => jobs.retain(|job| job.fits(&wanted)),
        }
        let ids: Vec<String> = jobs.into_iter().map(|job| job.id).collect();
        if ids.is_empty() {
            let said = one.map(|id| format!("job with id {id} not present"));
            return Ok(Plan::unchanged(said.unwrap_or_else(|| "removed 0 job(s)".into())));
        }
        let did =
            one.map_or_else(|| format!("removed {} job(s)", ids.len()), |id| format!("job with id {id} was removed"));
        let predicts = ids.iter().map(|id| Prediction::Fact(format!("at:job:{id}"), Value::Null)).collect();
        let mut plan = Plan::default().change("removed", ids.clone()).says("removed ? job(s)", did);
        plan.exec(at::remove(&ids), predicts);
        Ok(plan)
    }
}
