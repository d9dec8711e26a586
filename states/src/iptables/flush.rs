//! `iptables.flush`

use super::shared;
use corpus_core::plan::{Observed, Settled};
use corpus_core::{Plan, PlanCx, Prediction, State, StateError};
use corpus_exec::iptables::Table;
use serde::Deserialize;

/// Keeps a chain, or a whole table, without rules.
///
/// ```sls
/// no-rules:
///   iptables.flush:
///     - chain: INPUT
/// ```
#[derive(Deserialize)]
pub struct Flush {
    /// Any name.
    pub name: String,
    /// The table: `filter`, `nat`, `mangle`…
    pub table: Option<String>,
    /// `ipv4` or `ipv6`.
    pub family: Option<String>,
    /// The chain; all chains of the table if none is given.
    #[serde(default)]
    pub chain: String,
}

impl State for Flush {
    const NAME: &'static str = "iptables.flush";
    const OPEN: bool = true;

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let table = Table::of(self.table.clone(), self.family.clone());
        let (name, chain) = (&self.name, &self.chain);
        cx.program(table.program(), "iptables")?;
        let place = format!("in {} table {chain} chain {} family", table.table, table.family);
        let mut plan = Plan::unchanged(format!("iptables rules {place} are already flushed"));
        if shared::flushed(cx, &table, chain) || table.count(cx.host, chain)? == 0 {
            return Ok(plan);
        }
        let flushed = Prediction::Fact(shared::fact(&table, chain, "flushed"), true.into());
        plan.exec(table.command(&["-F", chain]), vec![flushed]);
        plan.memo = "Failed to flush iptables rules".into();
        // Salt takes the name for the table here.
        let would =
            format!("iptables rules in {name} table {} chain {} family needs to be flushed", table.table, table.family);
        Ok(plan.change("locale", name.as_str()).says(would, format!("Flush iptables rules {place}")))
    }

    fn settle(&self, plan: &Plan, seen: &[Observed], _: &PlanCx<'_>) -> Result<Settled, StateError> {
        Ok(shared::settle(plan, seen))
    }
}
