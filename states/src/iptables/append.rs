//! `iptables.append`

use super::shared::{self, Rule};
use corpus_core::plan::{Observed, Settled};
use corpus_core::{Plan, PlanCx, State, StateError, Value};
use corpus_exec::iptables::Table;
use serde::Deserialize;

/// Keeps a rule in a chain; a new one is put at its end. Any further argument is an option of
/// `iptables`, its dashes left out; those of the jump are put last, and `!` in front of a value negates.
///
/// ```sls
/// allow-web:
///   iptables.append:
///     - chain: INPUT
///     - jump: ACCEPT
///     - match: state
///     - connstate: NEW
///     - dport: 80
///     - proto: tcp
///     - save: True
/// ```
#[derive(Deserialize)]
pub struct Append {
    /// Any name.
    pub name: String,
    /// The table: `filter`, `nat`, `mangle`…
    pub table: Option<String>,
    /// `ipv4` or `ipv6`.
    pub family: Option<String>,
    /// The chain.
    pub chain: String,
    /// Save all rules for the next boot; a path says where.
    #[serde(default)]
    pub save: Value,
}

impl State for Append {
    const NAME: &'static str = "iptables.append";
    const OPEN: bool = true;

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let table = Table::of(self.table.clone(), self.family.clone());
        let (name, family) = (&self.name, table.family.clone());
        let rule = Rule::of(cx, table, &self.chain, String::new(), "-A")?;
        let (shown, to) = (&rule.shown, shared::save_path(cx, &self.save, &family)?);
        let mut plan = Plan::unchanged(format!("iptables rule for {name} already set ({shown}) for {family}"));
        if rule.there(cx)? {
            let saved = format!("Saved iptables rule {name} for {family}\n{shown}");
            return shared::save_unsaved(cx, plan, to, &family, &saved);
        }
        rule.step(&mut plan, "-A", true);
        plan.memo = format!("Failed to set iptables rule for {name}.\nAttempted rule was {shown} for {family}").into();
        let mut did = format!("Set iptables rule for {name} to: {shown} for {family}");
        if let Some(path) = to {
            let out = shared::save(cx, &mut plan, path, &family)?;
            did = format!("Set and saved iptables rule {name} for {family}\n{shown}\n{out}");
        }
        let would = format!("iptables rule for {name} needs to be set ({shown}) for {family}");
        Ok(plan.change("locale", name.as_str()).says(would, did))
    }

    fn settle(&self, plan: &Plan, seen: &[Observed], _: &PlanCx<'_>) -> Result<Settled, StateError> {
        Ok(shared::settle(plan, seen))
    }
}
