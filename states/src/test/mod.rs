//! What the test states share.

use corpus_core::low::RequisiteKind;
use corpus_core::{Map, Plan, PlanCx, Value};

/// A plan without a step, whose changes are only said.
pub fn pretended() -> Plan {
    let change: Map = [("old", "Unchanged"), ("new", "Something pretended to change")].into_iter().collect();
    Plan::default().change("testing", change)
}

/// Salt's answer of all test states when a watched state changed.
pub fn fired(cx: &PlanCx<'_>) -> Plan {
    let kinds = [RequisiteKind::Watch, RequisiteKind::WatchAny];
    let watched = cx.low.requisites.iter().filter(|requisite| kinds.contains(&requisite.kind));
    let names: Vec<String> = watched
        .flat_map(|requisite| &requisite.targets)
        .filter_map(|target| cx.chunks.get(*target as usize))
        .map(|low| format!("{}: {}", low.state, low.id))
        .collect();
    let said = |key: &str| cx.low.args.get(key).cloned();
    let comment =
        said("comment").map_or_else(|| "Watch statement fired.".into(), |text| corpus_core::python::str(&text));
    let mut plan = Plan::default().says(comment.as_str(), comment.as_str());
    plan.changes.insert("Requisites with changes", Value::from(names));
    if let Some(Value::Map(changes)) = said("changes") {
        plan.changes = (*changes).clone();
    }
    plan.memo = said("result").unwrap_or(Value::Bool(true));
    plan
}
