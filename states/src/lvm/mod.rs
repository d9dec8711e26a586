//! What `lvm.*` share: what is there, as earlier steps leave it, and the verdict on what LVM said.

use corpus_core::plan::{Observed, Settled};
use corpus_core::{Map, Plan, PlanCx, Prediction, StateError, Value, python};
use corpus_exec::fns::lvm::Kind;

/// Names a fact.
pub fn fact(kind: Kind, name: &str) -> String {
    format!("lvm:{kind:?}:{name}")
}

/// Describes a volume or a group; nothing is known of one that an earlier step makes, but that it is there.
pub fn find(cx: &PlanCx<'_>, kind: Kind, name: &str) -> Result<Option<Map>, StateError> {
    cx.program("lvm", "lvm2")?;
    match cx.host.predicted(&fact(kind, name)) {
        Some(there) => Ok(there.truthy().then(Map::new)),
        None => Ok(kind.one(cx.host, name)?),
    }
}

/// Tells what will be there.
pub fn becomes(kind: Kind, name: &str, there: bool) -> Vec<Prediction> {
    vec![Prediction::Fact(fact(kind, name), there.into())]
}

/// Returns the options that a declaration gives beyond the state's own, as LVM's.
pub fn options(cx: &PlanCx<'_>, known: &[&str]) -> Vec<String> {
    let given = corpus_core::state::arguments(cx.low);
    let mut out = vec![];
    for (key, value) in &given {
        let Some(key) = key.as_str().filter(|key| known.contains(key)) else { continue };
        match value {
            Value::Bool(true) => out.push(format!("--{key}")),
            value if value.truthy() => out.extend([format!("--{key}"), python::str(value)]),
            _ => {}
        }
    }
    out
}

/// Judges the steps: what LVM refuses stands behind the words that the plan keeps for it.
pub fn settle(plan: &Plan, seen: &[Observed]) -> Settled {
    match seen.iter().filter_map(Observed::output).find(|output| !output.ok()) {
        None => Settled::as_planned(plan),
        Some(output) => {
            let failed = plan.memo.as_str().unwrap_or_default();
            let comment = format!("{failed}. Error: {}", corpus_exec::ask::said(output));
            Settled { result: false, changes: Map::new(), comment }
        }
    }
}

/// Adds to what was made how LVM describes it.
pub fn described(cx: &PlanCx<'_>, kind: Kind, name: &str, mut settled: Settled) -> Result<Settled, StateError> {
    if let Some(Value::Map(created)) = settled.changes.get("created") {
        let mut all = kind.list(cx.host, name)?;
        all.0.extend(created.iter().map(|(k, v)| (k.clone(), v.clone())));
        settled.changes.insert("created", all);
    }
    Ok(settled)
}
