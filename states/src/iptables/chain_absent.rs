//! `iptables.chain_absent`

use super::shared;
use corpus_core::plan::{Observed, Settled};
use corpus_core::{Plan, PlanCx, Prediction, State, StateError};
use corpus_exec::iptables::Table;
use serde::Deserialize;

/// Keeps a chain away.
///
/// ```sls
/// WEB:
///   iptables.chain_absent:
///     - table: filter
/// ```
#[derive(Deserialize)]
pub struct ChainAbsent {
    /// The chain.
    pub name: String,
    /// The table: `filter`, `nat`, `mangle`…
    pub table: Option<String>,
    /// `ipv4` or `ipv6`.
    pub family: Option<String>,
}

impl State for ChainAbsent {
    const NAME: &'static str = "iptables.chain_absent";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let table = Table::of(self.table.clone(), self.family.clone());
        let (name, inside, family) = (&self.name, &table.table, &table.family);
        cx.program(table.program(), "iptables")?;
        let there = shared::chain_there(cx, &table, name)?;
        let mut plan =
            Plan::unchanged(format!("iptables {name} chain is already absent in {inside} table for {family}"));
        if !there {
            return Ok(plan);
        }
        let predicts = |what: &str, value: bool| vec![Prediction::Fact(shared::fact(&table, name, what), value.into())];
        plan.exec(table.command(&["-F", name]), predicts("flushed", true));
        plan.exec(table.command(&["-X", name]), predicts("chain", false));
        plan.memo = format!("Failed to delete {name} chain in {inside} table for {family}").into();
        Ok(plan.change("locale", name.as_str()).says(
            format!("iptables {name} chain in {inside} table needs to be removed {family}"),
            format!("iptables {name} chain in {inside} table delete success for {family}"),
        ))
    }

    fn settle(&self, plan: &Plan, seen: &[Observed], _: &PlanCx<'_>) -> Result<Settled, StateError> {
        Ok(shared::settle(plan, seen))
    }
}
