//! `nftables.chain_present`

use super::shared;
use corpus_core::plan::{Observed, Settled};
use corpus_core::{Plan, PlanCx, Prediction, State, StateError, Value};
use serde::Deserialize;

/// Keeps a chain of the packet filter. With `table_type`, `hook` and `priority` it is one that packets come by.
///
/// ```sls
/// input:
///   nftables.chain_present:
///     - table: filter
///     - table_type: filter
///     - hook: input
///     - priority: 0
/// ```
#[derive(Deserialize)]
pub struct ChainPresent {
    /// The chain.
    pub name: String,
    /// The table.
    pub table: Option<String>,
    /// `filter`, `nat` or `route`.
    pub table_type: Option<String>,
    /// `input`, `output`, `forward`, `prerouting`, `postrouting`…
    pub hook: Option<String>,
    /// Its place among the chains of a hook.
    pub priority: Option<String>,
    /// `ipv4`, `ipv6`, `inet`, `arp`, `bridge` or `netdev`.
    pub family: Option<String>,
}

impl State for ChainPresent {
    const NAME: &'static str = "nftables.chain_present";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let table = shared::table(cx, self.table.as_deref(), self.family.as_deref())?;
        let (name, inside, family) = (&self.name, &table.table, &table.family);
        let mut plan =
            Plan::unchanged(format!("nftables {name} chain is already exist in {inside} table for {family}"));
        if shared::chain_there(cx, &table, name)? {
            return Ok(plan);
        }
        let fail = |why: &str| format!("Failed to create {name} chain in {inside} table: {why} for {family}");
        if !shared::table_there(cx, &table)? {
            return Err(StateError::missing(fail(&format!("Table {inside} in family {family} does not exist"))));
        }
        let mut command = table.command("-- add chain", &[name]);
        // What a later step needs to know of the chain.
        let mut fact = Value::from(true);
        match (&self.table_type, &self.hook, &self.priority) {
            (None, None, None) => {}
            (Some(kind), Some(hook), Some(priority)) => {
                let words = ["{", "type", kind, "hook", hook, "priority", priority, ";", "}"];
                command.argv.extend(words.map(str::to_owned));
                fact = vec![kind.as_str(), hook, priority].into();
            }
            _ => return Err(StateError::failed(fail("Table_type, hook, and priority required."))),
        }
        plan.exec(command, vec![Prediction::Fact(shared::fact(&table, name, "chain"), fact)]);
        plan.memo = fail("nft").into();
        Ok(plan.change("locale", name.as_str()).says(
            format!("nftables chain {name} would be created in table {inside} for family {family}"),
            format!("nftables {name} chain in {inside} table create success for {family}"),
        ))
    }

    fn settle(&self, plan: &Plan, seen: &[Observed], _: &PlanCx<'_>) -> Result<Settled, StateError> {
        Ok(shared::settle(plan, seen))
    }
}
