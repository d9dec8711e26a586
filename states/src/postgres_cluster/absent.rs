//! `postgres_cluster.absent`

use super::shared;
use corpus_core::host::Command;
use corpus_core::{Plan, PlanCx, Prediction, State, StateError, Value};
use serde::Deserialize;

/// Keeps a cluster of PostgreSQL away, with all that is in it.
///
/// ```sls
/// old:
///   postgres_cluster.absent:
///     - version: '15'
/// ```
#[derive(Deserialize)]
pub struct Absent {
    /// PostgreSQL's version.
    pub version: String,
    /// The cluster.
    pub name: String,
}

impl State for Absent {
    const NAME: &'static str = "postgres_cluster.absent";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let (version, name) = (&self.version, &self.name);
        let cluster = format!("{version}/{name}");
        if shared::find(cx, version, name)?.is_none() {
            return Ok(Plan::unchanged(format!("Cluster {cluster} is not present, so it cannot be removed")));
        }
        let mut plan = Plan::default()
            .says(format!("Cluster {cluster} is set to be removed"), format!("Cluster {cluster} has been removed"))
            .change(name.as_str(), "Absent");
        let gone = vec![Prediction::Fact(shared::fact(version, name), Value::Null)];
        plan.exec(Command::new(["pg_dropcluster", "--stop", version, name]), gone);
        Ok(plan)
    }
}
