//! `redis.slaveof`

use super::shared::{Server, ask};
use corpus_core::plan::{Observed, Settled};
use corpus_core::{Call, Map, Plan, PlanCx, State, StateError, Value, python};
use serde::Deserialize;

/// Lets a Redis server follow the master that a sentinel names, unless it is that master.
///
/// ```sls
/// mymaster:
///   redis.slaveof:
///     - sentinel_host: sentinel.example.org
/// ```
#[derive(Deserialize)]
pub struct Slaveof {
    /// The master's name among sentinels.
    pub name: String,
    /// The sentinel.
    #[serde(default)]
    pub sentinel_host: Value,
    /// Its port.
    #[serde(default)]
    pub sentinel_port: Value,
    /// Its password.
    #[serde(default)]
    pub sentinel_password: Value,
}

impl State for Slaveof {
    const NAME: &'static str = "redis.slaveof";
    const OPEN: bool = true;

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let server = Server::of(cx, &["name", "sentinel_host", "sentinel_port", "sentinel_password"])?;
        let asked: Vec<Value> = vec![
            self.name.as_str().into(),
            self.sentinel_host.clone(),
            self.sentinel_port.clone(),
            self.sentinel_password.clone(),
        ];
        let master = ask(cx, "redis.sentinel_get_master_ip", asked, Map::new())?;
        let host = master.get("master_host").cloned().unwrap_or_default();
        let own = cx.caller.call(&Call::new("network.ip_addrs", vec![]))?;
        if own.as_list().is_some_and(|own| own.contains(&host)) {
            return Ok(Plan::unchanged(format!("Minion is the master: {}", self.name)));
        }
        // No key is named so: a line feed.
        let fact = "\nmaster";
        let now = match server.predicted(cx, fact) {
            Some(known) => known,
            None => server.ask(cx, "redis.get_master_ip", vec![])?,
        };
        let mut plan = Plan::unchanged(format!("Minion already slave of master: {}", self.name));
        if now == master {
            return Ok(plan);
        }
        let port = master.get("master_port").cloned().unwrap_or_default();
        plan.push(server.call("redis.slaveof", vec![host.clone(), port]), server.becomes(fact, master.clone()));
        plan = plan.change("old", now).change("new", master);
        Ok(plan.says(
            format!("Minion will be made a slave of {}: {}", self.name, python::str(&host)),
            format!("Minion successfully connected to master: {}", self.name),
        ))
    }

    fn settle(&self, plan: &Plan, seen: &[Observed], _: &PlanCx<'_>) -> Result<Settled, StateError> {
        let good = seen.iter().all(|seen| matches!(seen, Observed::Returned(value) if value.truthy()));
        if good {
            return Ok(Settled::as_planned(plan));
        }
        Ok(Settled { result: false, changes: Map::new(), comment: "Failed to setup slave".into() })
    }
}
