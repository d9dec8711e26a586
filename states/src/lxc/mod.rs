//! What `lxc.*` share: what is there, as earlier steps leave it, and calls that change it.

use corpus_core::plan::{Observed, Settled};
use corpus_core::{Effect, Map, Plan, PlanCx, Prediction, StateError, Value};
use corpus_exec::lxc::{self, Guest};

/// A container, and what is known of it.
pub struct Known {
    pub guest: Guest,
    /// Salt's word for its state; `None` if it is not there.
    pub state: Option<String>,
    /// What earlier steps of a dry run make of it, by key of a declaration.
    pub foreseen: Option<Map>,
}

/// Looks at a container.
pub fn find(cx: &PlanCx<'_>, name: &str, path: Option<&str>) -> Result<Known, StateError> {
    let guest = Guest::new(lxc::root(path, cx.data), name)?;
    if let Some(known) = cx.host.predicted(&fact(&guest)) {
        let state = known.get("state").and_then(Value::as_str).map(str::to_owned);
        return Ok(Known { guest, state, foreseen: known.as_map().cloned() });
    }
    cx.program("lxc-start", "lxc")?;
    let state = guest.state(cx.host)?;
    Ok(Known { guest, state, foreseen: None })
}

fn fact(guest: &Guest) -> String {
    format!("lxc:{}", guest.dir().display())
}

/// Tells what a container will be.
pub fn becomes(known: &Known, state: Option<&str>, settings: &Map) -> Vec<Prediction> {
    let mut after = known.foreseen.clone().unwrap_or_default();
    after.0.extend(settings.iter().map(|(key, value)| (key.clone(), value.clone())));
    after.insert("state", state);
    vec![Prediction::Fact(fact(&known.guest), after.into())]
}

/// Calls a function of `lxc` for a container.
pub fn call(
    known: &Known,
    fun: &str,
    path: Option<&str>,
    more: impl IntoIterator<Item = (&'static str, Value)>,
) -> Effect {
    let mut kwargs: Vec<(String, Value)> = more.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    if let Some(path) = path {
        kwargs.push(("path".into(), path.into()));
    }
    Effect::Call { fun: format!("lxc.{fun}"), args: vec![known.guest.name.as_str().into()], kwargs }
}

/// Returns Salt's change of a state.
pub fn change(old: Option<&str>, new: Option<&str>) -> Map {
    [("old", Value::from(old)), ("new", new.into())].into_iter().collect()
}

/// A plan of one call that brings a container from one state into another.
pub fn moved(known: &Known, effect: Effect, to: &str, verb: [&str; 2]) -> Plan {
    let name = &known.guest.name;
    let mut plan = Plan::default().says(
        format!("Container '{name}' would be {}", verb[1]),
        format!("Container '{name}' was successfully {}", verb[1]),
    );
    plan.push(effect, becomes(known, Some(to), &Map::new()));
    if known.state.as_deref() != Some(to) {
        plan.changes.insert("state", change(known.state.as_deref(), Some(to)));
    }
    plan.memo = format!("Unable to {} container '{name}'", verb[0]).into();
    plan
}

/// Judges that call: the state that the container came into counts.
pub fn settle(plan: &Plan, seen: &[Observed]) -> Settled {
    let mut settled = Settled::as_planned(plan);
    let Some(Observed::Returned(answer)) = seen.last() else { return settled };
    for key in ["restarted", "started"] {
        if let Some(value) = answer.get(key) {
            settled.changes.insert(key, value.clone());
        }
    }
    if answer.get("result").is_some_and(|result| !result.truthy()) {
        settled.result = false;
        settled.comment = plan.memo.as_str().unwrap_or_default().to_owned();
        let new = answer.get("state").and_then(|state| state.get("new")).and_then(Value::as_str);
        let old = settled.changes.get("state").and_then(|state| state.get("old")).and_then(Value::as_str);
        let change = change(old, new);
        if old == new {
            settled.changes.remove("state")
        } else {
            settled.changes.insert("state", change)
        };
    }
    settled
}

/// Names the fact of a base.
pub fn base_fact(place: &std::path::Path, name: &str) -> String {
    format!("lxc:base:{}", place.join(name).display())
}

/// Names the fact of a bridge.
pub fn bridge_fact(name: &str) -> String {
    format!("lxc:bridge:{name}")
}
