//! `iptables.chain_present`

use super::shared;
use corpus_core::plan::{Observed, Settled};
use corpus_core::{Plan, PlanCx, Prediction, State, StateError};
use corpus_exec::iptables::Table;
use serde::Deserialize;

/// Keeps a chain.
///
/// ```sls
/// WEB:
///   iptables.chain_present:
///     - table: filter
/// ```
#[derive(Deserialize)]
pub struct ChainPresent {
    /// The chain.
    pub name: String,
    /// The table: `filter`, `nat`, `mangle`…
    pub table: Option<String>,
    /// `ipv4` or `ipv6`.
    pub family: Option<String>,
}

impl State for ChainPresent {
    const NAME: &'static str = "iptables.chain_present";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let table = Table::of(self.table.clone(), self.family.clone());
        let (name, inside, family) = (&self.name, &table.table, &table.family);
        cx.program(table.program(), "iptables")?;
        let there = shared::chain_there(cx, &table, name)?;
        let mut plan =
            Plan::unchanged(format!("iptables {name} chain is already exist in {inside} table for {family}"));
        if there {
            return Ok(plan);
        }
        let predicts = vec![Prediction::Fact(shared::fact(&table, name, "chain"), true.into())];
        plan.exec(table.command(&["-N", name]), predicts);
        plan.memo = format!("Failed to create {name} chain in {inside} table for {family}").into();
        Ok(plan.change("locale", name.as_str()).says(
            format!("iptables {name} chain in {inside} table needs to be set for {family}"),
            format!("iptables {name} chain in {inside} table create success for {family}"),
        ))
    }

    fn settle(&self, plan: &Plan, seen: &[Observed], _: &PlanCx<'_>) -> Result<Settled, StateError> {
        Ok(shared::settle(plan, seen))
    }
}
