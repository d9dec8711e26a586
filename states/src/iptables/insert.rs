//! `iptables.insert`

use super::shared::{self, Rule};
use corpus_core::plan::{Observed, Settled};
use corpus_core::{Plan, PlanCx, State, StateError, Value};
use corpus_exec::iptables::Table;
use serde::Deserialize;

/// Keeps a rule in a chain; a new one is put at a place of its own. Any further argument is an option of
/// `iptables`, its dashes left out; those of the jump are put last, and `!` in front of a value negates.
///
/// ```sls
/// allow-web:
///   iptables.insert:
///     - chain: INPUT
///     - position: 1
///     - jump: ACCEPT
///     - match: state
///     - connstate: NEW
///     - dport: 80
///     - proto: tcp
///     - save: True
/// ```
#[derive(Deserialize)]
pub struct Insert {
    /// Any name.
    pub name: String,
    /// The table: `filter`, `nat`, `mangle`…
    pub table: Option<String>,
    /// `ipv4` or `ipv6`.
    pub family: Option<String>,
    /// The chain.
    pub chain: String,
    /// The place of a new rule: 1 is the first, -1 the last.
    pub position: i64,
    /// Save all rules for the next boot; a path says where.
    #[serde(default)]
    pub save: Value,
}

impl State for Insert {
    const NAME: &'static str = "iptables.insert";
    const OPEN: bool = true;

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let table = Table::of(self.table.clone(), self.family.clone());
        let (name, family) = (&self.name, table.family.clone());
        let place = match self.position {
            0 => return Err(StateError::failed("Error: Position needs to be specified or use append (-A)")),
            // Salt: counted from the end.
            back if back < 0 => {
                let size = i64::try_from(table.count(cx.host, &self.chain)?).unwrap_or(i64::MAX);
                (size + back + 1).max(1)
            }
            place => place,
        };
        let shown_rule = Rule::of(cx, table.clone(), &self.chain, self.position.to_string(), "-I")?.shown;
        let rule = Rule::of(cx, table, &self.chain, place.to_string(), "-I")?;
        let (shown, to) = (&shown_rule, shared::save_path(cx, &self.save, &family)?);
        let mut plan = Plan::unchanged(format!("iptables rule for {name} already set for {family} ({shown})"));
        if rule.there(cx)? {
            let saved = format!("Saved iptables rule {name} for {family}\n{shown}");
            return shared::save_unsaved(cx, plan, to, &family, &saved);
        }
        rule.step(&mut plan, "-I", true);
        plan.memo = format!("Failed to set iptables rule for {name}.\nAttempted rule was {shown}").into();
        let mut did = format!("Set iptables rule for {name} to: {shown} for {family}");
        if let Some(path) = to {
            let out = shared::save(cx, &mut plan, path, &family)?;
            did = format!("Set and saved iptables rule {name} for {family}\n{shown}\n{out}");
        }
        let would = format!("iptables rule for {name} needs to be set for {family} ({shown})");
        Ok(plan.change("locale", name.as_str()).says(would, did))
    }

    fn settle(&self, plan: &Plan, seen: &[Observed], _: &PlanCx<'_>) -> Result<Settled, StateError> {
        Ok(shared::settle(plan, seen))
    }
}
