//! `nftables.table_absent`

use super::shared;
use corpus_core::plan::{Observed, Settled};
use corpus_core::{Plan, PlanCx, Prediction, State, StateError};
use serde::Deserialize;

/// Removes a table of the packet filter, with all that is in it.
///
/// ```sls
/// filter:
///   nftables.table_absent
/// ```
#[derive(Deserialize)]
pub struct TableAbsent {
    /// The table.
    pub name: String,
    /// `ipv4`, `ipv6`, `inet`, `arp`, `bridge` or `netdev`.
    pub family: Option<String>,
}

impl State for TableAbsent {
    const NAME: &'static str = "nftables.table_absent";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let table = shared::table(cx, Some(&self.name), self.family.as_deref())?;
        let (name, family) = (&self.name, &table.family);
        let mut plan = Plan::unchanged(format!("nftables table {name} is already absent from family {family}"));
        if !shared::table_there(cx, &table)? {
            return Ok(plan);
        }
        plan.exec(
            table.command("delete table", &[]),
            vec![Prediction::Fact(shared::fact(&table, "", "table"), false.into())],
        );
        plan.memo = format!("Failed to delete table {name} from family {family}").into();
        Ok(plan.change("locale", name.as_str()).says(
            format!("nftables table {name} would be deleted from family {family}"),
            format!("nftables table {name} successfully deleted from family {family}"),
        ))
    }

    fn settle(&self, plan: &Plan, seen: &[Observed], _: &PlanCx<'_>) -> Result<Settled, StateError> {
        Ok(shared::settle(plan, seen))
    }
}
