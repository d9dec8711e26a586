//! `nftables.flush`

use super::shared;
use corpus_core::plan::{Observed, Settled};
use corpus_core::{Plan, PlanCx, Prediction, State, StateError};
use serde::Deserialize;

/// Empties a chain, or all chains of a table.
///
/// ```sls
/// nothing:
///   nftables.flush:
///     - table: filter
///     - chain: input
/// ```
#[derive(Deserialize)]
pub struct Flush {
    /// Any name.
    pub name: String,
    /// The table.
    pub table: Option<String>,
    /// `ipv4`, `ipv6`, `inet`, `arp`, `bridge` or `netdev`.
    pub family: Option<String>,
    /// The chain; without one, all of the table.
    #[serde(default)]
    pub chain: String,
    /// A table or chain that is not there is empty enough.
    #[serde(default)]
    pub ignore_absence: bool,
}

impl State for Flush {
    const NAME: &'static str = "nftables.flush";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let table = shared::table(cx, self.table.as_deref(), self.family.as_deref())?;
        let (inside, chain, family) = (&table.table, &self.chain, &table.family);
        let did = format!("Flush nftables rules in {inside} table {chain} chain {family} family");
        let there = shared::table_there(cx, &table)? && (chain.is_empty() || shared::chain_there(cx, &table, chain)?);
        if !there && self.ignore_absence {
            return Ok(Plan::unchanged(did));
        }
        if !shared::table_there(cx, &table)? {
            return Err(StateError::missing(format!(
                "Failed to flush table {inside} in family {family}, table does not exist."
            )));
        }
        if !there {
            return Err(StateError::missing(format!(
                "Failed to flush chain {chain} in table {inside} in family {family}, chain does not exist."
            )));
        }
        let predicts = vec![Prediction::Fact(shared::fact(&table, chain, "flushed"), true.into())];
        let mut plan = Plan::default();
        match chain.as_str() {
            "" => plan.exec(table.command("flush table", &[]), predicts),
            chain => plan.exec(table.command("flush chain", &[chain]), predicts),
        }
        plan.repeats = true;
        plan.memo = "Failed to flush nftables rules".into();
        Ok(plan.change("locale", self.name.as_str()).says("nftables flush not performed in test mode.", did))
    }

    fn settle(&self, plan: &Plan, seen: &[Observed], _: &PlanCx<'_>) -> Result<Settled, StateError> {
        Ok(shared::settle(plan, seen))
    }
}
