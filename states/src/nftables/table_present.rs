//! `nftables.table_present`

use super::shared;
use corpus_core::plan::{Observed, Settled};
use corpus_core::{Plan, PlanCx, Prediction, State, StateError};
use serde::Deserialize;

/// Keeps a table of the packet filter.
///
/// ```sls
/// filter:
///   nftables.table_present:
///     - family: inet
/// ```
#[derive(Deserialize)]
pub struct TablePresent {
    /// The table.
    pub name: String,
    /// `ipv4`, `ipv6`, `inet`, `arp`, `bridge` or `netdev`.
    pub family: Option<String>,
}

impl State for TablePresent {
    const NAME: &'static str = "nftables.table_present";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let table = shared::table(cx, Some(&self.name), self.family.as_deref())?;
        let (name, family) = (&self.name, &table.family);
        let mut plan = Plan::unchanged(format!("nftables table {name} already exists in family {family}"));
        if shared::table_there(cx, &table)? {
            return Ok(plan);
        }
        plan.exec(
            table.command("add table", &[]),
            vec![Prediction::Fact(shared::fact(&table, "", "table"), true.into())],
        );
        plan.memo = format!("Failed to create table {name} for family {family}").into();
        Ok(plan.change("locale", name.as_str()).says(
            format!("nftables table {name} would be created in family {family}"),
            format!("nftables table {name} successfully created in family {family}"),
        ))
    }

    fn settle(&self, plan: &Plan, seen: &[Observed], _: &PlanCx<'_>) -> Result<Settled, StateError> {
        Ok(shared::settle(plan, seen))
    }
}
