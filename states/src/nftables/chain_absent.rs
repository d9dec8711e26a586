//! `nftables.chain_absent`

use super::shared;
use corpus_core::plan::{Observed, Settled};
use corpus_core::{Plan, PlanCx, Prediction, State, StateError};
use serde::Deserialize;

/// Removes a chain of the packet filter, with its rules.
///
/// ```sls
/// input:
///   nftables.chain_absent:
///     - table: filter
/// ```
#[derive(Deserialize)]
pub struct ChainAbsent {
    /// The chain.
    pub name: String,
    /// The table.
    pub table: Option<String>,
    /// `ipv4`, `ipv6`, `inet`, `arp`, `bridge` or `netdev`.
    pub family: Option<String>,
}

impl State for ChainAbsent {
    const NAME: &'static str = "nftables.chain_absent";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let table = shared::table(cx, self.table.as_deref(), self.family.as_deref())?;
        let (name, inside, family) = (&self.name, &table.table, &table.family);
        let mut plan =
            Plan::unchanged(format!("nftables {name} chain is already absent in {inside} table for {family}"));
        if !shared::chain_there(cx, &table, name)? {
            return Ok(plan);
        }
        plan.exec(table.command("flush chain", &[name]), vec![]);
        plan.exec(
            table.command("delete chain", &[name]),
            vec![Prediction::Fact(shared::fact(&table, name, "chain"), false.into())],
        );
        plan.memo = format!("Failed to delete {name} chain in {inside} table for {family}").into();
        Ok(plan.change("locale", name.as_str()).says(
            format!("nftables {name} chain in {inside} table would be deleted for {family}"),
            format!("nftables {name} chain in {inside} table delete success for {family}"),
        ))
    }

    fn settle(&self, plan: &Plan, seen: &[Observed], _: &PlanCx<'_>) -> Result<Settled, StateError> {
        Ok(shared::settle(plan, seen))
    }
}
