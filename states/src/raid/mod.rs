//! What `raid.*` share: the file that names the arrays, and what earlier steps foretell.

use corpus_core::{Effect, Plan, PlanCx, Prediction, StateError, Value};
use corpus_exec::ask;
use corpus_exec::fns::raid;

/// Names the fact of an array: what it is, null if it is gone.
pub fn fact(name: &str) -> String {
    format!("raid:{name}")
}

/// Finds an array that runs.
pub fn find(cx: &PlanCx<'_>, name: &str) -> Result<Option<Value>, StateError> {
    cx.program("mdadm", "mdadm")?;
    Ok(match cx.host.predicted(&fact(name)) {
        Some(known) => Some(known).filter(|known| !known.is_null()),
        None => raid::list(cx.host)?.get(name).cloned(),
    })
}

/// Foretells an array.
pub fn becomes(name: &str, value: Value) -> Vec<Prediction> {
    vec![Prediction::Fact(fact(name), value)]
}

/// Plans that the file no longer names an array.
pub fn forget(cx: &PlanCx<'_>, name: &str, plan: &mut Plan) -> Result<(), StateError> {
    let path = raid::config(cx.host);
    let text = ask::text(cx.host, path)?.unwrap_or_default();
    let rest = raid::without(&text, name);
    if rest.lines().count() != text.lines().count() {
        plan.push(Effect::text(path, rest), vec![]);
        if let Some(command) = raid::boot(cx.host) {
            plan.exec(command, vec![]);
        }
    }
    Ok(())
}

/// Plans that the file names all arrays that run: what `mdadm` says of a new one is known once it does.
pub fn remember(plan: &mut Plan) {
    plan.push(Effect::Call { fun: "raid.save_config".into(), args: vec![], kwargs: vec![] }, vec![]);
}
