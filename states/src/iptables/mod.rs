//! What `iptables.*` share: rules of a declaration, what an earlier step makes of them, and saving.

use corpus_core::plan::{Attrs, Observed, Settled};
use corpus_core::{Effect, Map, Plan, PlanCx, Prediction, StateError, Value};
use corpus_exec::iptables::{self, Table};
use std::path::PathBuf;

/// A rule of a declaration, and where it belongs.
pub struct Rule<'a> {
    pub table: Table,
    pub chain: &'a str,
    pub position: String,
    pub rule: String,
    /// As Salt's comments show it.
    pub shown: String,
}

impl<'a> Rule<'a> {
    /// Writes the rule; `verb` is that of the command that is shown.
    pub fn of(cx: &PlanCx<'_>, table: Table, chain: &'a str, position: String, verb: &str) -> Result<Self, StateError> {
        cx.program(table.program(), "iptables")?;
        let words = corpus_core::state::arguments(cx.low);
        if words.contains("rules") {
            return Err(StateError::failed("argument `rules`: declare each rule as a state of its own"));
        }
        let rule = iptables::rule(&words).map_err(|why| StateError::failed(format!("Error: {why}")))?;
        let shown = table.shown(cx.host, verb, chain, &position, &rule);
        Ok(Self { table, chain, position, rule, shown })
    }

    fn fact(&self) -> String {
        fact(&self.table, self.chain, &self.rule)
    }

    /// Tells whether the rule is there, as earlier steps leave it.
    pub fn there(&self, cx: &PlanCx<'_>) -> Result<bool, StateError> {
        if let Some(there) = cx.host.predicted(&self.fact()) {
            return Ok(there.truthy());
        }
        Ok(!flushed(cx, &self.table, self.chain) && self.table.has(cx.host, self.chain, &self.rule)?)
    }

    /// Makes the step that changes it.
    pub fn step(&self, plan: &mut Plan, verb: &str, there: bool) {
        let rule = if verb == "-D" && !self.position.is_empty() { "" } else { &self.rule };
        let command = self.table.about(verb, self.chain, &self.position, rule);
        plan.exec(command, vec![Prediction::Fact(self.fact(), there.into())]);
    }
}

/// Names a fact about a chain, or a rule in it.
pub fn fact(table: &Table, chain: &str, what: &str) -> String {
    format!("iptables:{}:{}:{chain}:{what}", table.family, table.table)
}

/// Tells whether a chain is there, as earlier steps leave it.
pub fn chain_there(cx: &PlanCx<'_>, table: &Table, chain: &str) -> Result<bool, StateError> {
    match cx.host.predicted(&fact(table, chain, "chain")) {
        Some(there) => Ok(there.truthy()),
        None => Ok(table.policy(cx.host, chain)?.is_some()),
    }
}

/// Tells whether an earlier step empties a chain.
pub fn flushed(cx: &PlanCx<'_>, table: &Table, chain: &str) -> bool {
    [chain, ""].iter().any(|chain| cx.host.predicted(&fact(table, chain, "flushed")).is_some())
}

/// Returns where to save: `True` is where the distribution reads rules at boot.
pub fn save_path(cx: &PlanCx<'_>, save: &Value, family: &str) -> Result<Option<PathBuf>, StateError> {
    match save {
        save if !save.truthy() => Ok(None),
        Value::Str(path) => Ok(Some(crate::r#file::shared::path(cx, path)?)),
        _ => iptables::saved_at(cx.data, family).map(Some).ok_or_else(|| {
            let os = cx.data.grains.get("os").and_then(Value::as_str).unwrap_or("this system").to_owned();
            StateError::failed(format!("Saving iptables to file is not supported on {os}. Name the file in `save`"))
        }),
    }
}

/// Adds the steps that save all rules; returns Salt's word about it.
pub fn save(cx: &PlanCx<'_>, plan: &mut Plan, path: PathBuf, family: &str) -> Result<String, StateError> {
    crate::r#file::shared::make_parents(cx, plan, &path, &Attrs::default())?;
    let said = format!("Wrote 1 lines to \"{}\"", path.display());
    let [exec, rename] = iptables::save(&path, family);
    let Effect::Rename { from, .. } = &rename else { return Ok(said) };
    let fresh = Prediction::Path(from.clone());
    plan.push(exec, vec![fresh]);
    plan.push(rename, vec![]);
    Ok(said)
}

/// Adds saving to the plan of something that is as declared already, where the file is not up to date.
pub fn save_unsaved(
    cx: &PlanCx<'_>,
    mut plan: Plan,
    to: Option<PathBuf>,
    family: &str,
    more: &str,
) -> Result<Plan, StateError> {
    let Some(path) = to else { return Ok(plan) };
    if iptables::is_saved(cx.host, &path, family)? {
        return Ok(plan);
    }
    let out = save(cx, &mut plan, path, family)?;
    let text = format!("{}\n{more}\n{out}", plan.unchanged);
    Ok(plan.says(text.clone(), text))
}

/// Judges the steps: what `iptables` refuses fails the state, in `failed`'s words and its own.
pub fn settle(plan: &Plan, seen: &[Observed]) -> Settled {
    match seen.iter().filter_map(Observed::output).find(|output| !output.ok()) {
        None => Settled::as_planned(plan),
        Some(output) => {
            let failed = plan.memo.as_str().unwrap_or_default();
            let comment = format!("{failed}\n{}", corpus_exec::ask::said(output));
            Settled { result: false, changes: Map::new(), comment: comment.trim().to_owned() }
        }
    }
}
