//! `iptables.delete`

use super::shared::{self, Rule};
use corpus_core::plan::{Observed, Settled};
use corpus_core::{Plan, PlanCx, State, StateError, Value};
use corpus_exec::iptables::Table;
use serde::Deserialize;

/// Keeps a rule out of a chain. Any further argument is an option of
/// `iptables`, its dashes left out; those of the jump are put last, and `!` in front of a value negates.
///
/// ```sls
/// allow-web:
///   iptables.delete:
///     - chain: INPUT
///     - jump: ACCEPT
///     - match: state
///     - connstate: NEW
///     - dport: 80
///     - proto: tcp
///     - save: True
/// ```
#[derive(Deserialize)]
pub struct Delete {
    /// Any name.
    pub name: String,
    /// The table: `filter`, `nat`, `mangle`…
    pub table: Option<String>,
    /// `ipv4` or `ipv6`.
    pub family: Option<String>,
    /// The chain.
    pub chain: String,
    /// The place of the rule, instead of its words: whatever is there goes, each time.
    pub position: Option<i64>,
    /// Save all rules for the next boot; a path says where.
    #[serde(default)]
    pub save: Value,
}

impl State for Delete {
    const NAME: &'static str = "iptables.delete";
    const OPEN: bool = true;

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let table = Table::of(self.table.clone(), self.family.clone());
        let (name, family) = (&self.name, table.family.clone());
        let position = self.position.map(|place| place.to_string()).unwrap_or_default();
        let rule = Rule::of(cx, table, &self.chain, position, "-D")?;
        let (shown, to) = (&rule.shown, shared::save_path(cx, &self.save, &family)?);
        let mut plan = Plan::unchanged(format!("iptables rule for {name} already absent for {family} ({shown})"));
        if self.position.is_none() && !rule.there(cx)? {
            return Ok(plan);
        }
        plan.repeats = self.position.is_some();
        rule.step(&mut plan, "-D", false);
        plan.memo = format!("Failed to delete iptables rule for {name}.\nAttempted rule was {shown}").into();
        let mut did = format!("Delete iptables rule for {name} {shown}");
        if let Some(path) = to {
            let out = shared::save(cx, &mut plan, path, &family)?;
            did = format!("Deleted and saved iptables rule {name} for {family}\n{shown}\n{out}");
        }
        let would = format!("iptables rule for {name} needs to be deleted for {family} ({shown})");
        Ok(plan.change("locale", name.as_str()).says(would, did))
    }

    fn settle(&self, plan: &Plan, seen: &[Observed], _: &PlanCx<'_>) -> Result<Settled, StateError> {
        Ok(shared::settle(plan, seen))
    }
}
