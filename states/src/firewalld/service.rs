//! `firewalld.service`

use super::shared;
use corpus_core::decode::OneOrMany;
use corpus_core::plan::{Observed, Settled};
use corpus_core::{Map, Plan, PlanCx, Prediction, State, StateError, Value, python};
use corpus_exec::fns::firewalld;
use serde::Deserialize;

/// Keeps a service of firewalld: its ports and protocols are those that are named, and no others.
///
/// ```sls
/// app:
///   firewalld.service:
///     - ports: [8080/tcp, 8443/tcp]
/// ```
#[derive(Deserialize)]
pub struct Service {
    /// The service.
    pub name: String,
    /// Its ports, `8080/tcp`.
    #[serde(default)]
    pub ports: OneOrMany<String>,
    /// Its protocols.
    #[serde(default)]
    pub protocols: OneOrMany<String>,
}

impl State for Service {
    const NAME: &'static str = "firewalld.service";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        cx.program("firewall-cmd", "firewalld")?;
        let name = &self.name;
        let mut plan = Plan::unchanged(format!("'{name}' is already in the desired state."));
        let fact = |what: &str| format!("firewalld:service:{name}:{what}");
        let there = cx.host.predicted(&fact("ports")).is_some()
            || firewalld::words(cx.host, &["--permanent", "--get-services"])?.contains(name);
        if !there {
            plan.attempt(firewalld::command(&["--permanent", &format!("--new-service={name}")]), vec![]);
        }
        let this = format!("--service={name}");
        let mut predicts = Vec::new();
        for (what, one, want) in [("ports", "port", &self.ports.0), ("protocols", "protocol", &self.protocols.0)] {
            let have = match cx.host.predicted(&fact(what)) {
                Some(known) => known.as_list().unwrap_or_default().iter().map(python::str).collect(),
                None if !there => vec![],
                None => firewalld::words(cx.host, &["--permanent", &this, &format!("--get-{what}")])?,
            };
            let (new, old) = shared::difference(&have, want);
            for (verb, items) in [("add", &new), ("remove", &old)] {
                for item in items {
                    plan.attempt(
                        firewalld::command(&["--permanent", &this, &format!("--{verb}-{one}={item}")]),
                        vec![],
                    );
                }
            }
            predicts.push(Prediction::Fact(fact(what), want.clone().into()));
            if !new.is_empty() || !old.is_empty() {
                let change = Map::from_iter([("old", Value::from(have)), ("new", want.clone().into())]);
                plan.changes.insert(what, change);
            }
        }
        if plan.steps.is_empty() {
            return Ok(plan);
        }
        plan.attempt(firewalld::command(&["--reload"]), predicts);
        Ok(plan.says(format!("Configuration for '{name}' will change."), format!("'{name}' was configured.")))
    }

    fn settle(&self, plan: &Plan, seen: &[Observed], _: &PlanCx<'_>) -> Result<Settled, StateError> {
        Ok(shared::settle(plan, seen))
    }
}
