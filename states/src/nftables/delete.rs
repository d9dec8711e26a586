//! `nftables.delete`

use super::shared;
use corpus_core::plan::{Observed, Settled};
use corpus_core::{Plan, PlanCx, State, StateError, Value};
use serde::Deserialize;

/// Removes a rule from a chain of the packet filter; it is named as [`nftables.append`](nftables.append.md) does.
///
/// ```sls
/// no-web:
///   nftables.delete:
///     - chain: input
///     - proto: tcp
///     - dport: 80
///     - jump: accept
/// ```
#[derive(Deserialize)]
pub struct Delete {
    /// Any name.
    pub name: String,
    /// The table.
    pub table: Option<String>,
    /// The chain.
    pub chain: String,
    /// `ipv4`, `ipv6`, `inet`, `arp`, `bridge` or `netdev`.
    pub family: Option<String>,
    /// The handle of the rule.
    pub position: Option<String>,
    /// Save all rules after the change, to `/etc/nftables`.
    #[serde(default)]
    pub save: Value,
}

impl State for Delete {
    const NAME: &'static str = "nftables.delete";
    const OPEN: bool = true;

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let table = shared::table(cx, self.table.as_deref(), self.family.as_deref())?;
        let rule = shared::Rule::of(cx, table, &self.chain)?;
        let (name, shown, family) = (&self.name, &rule.rule, &rule.table.family);
        let mut plan = Plan::unchanged(format!("nftables rule for {name} already absent for {family} ({shown})"));
        if !rule.there(cx) {
            return Ok(plan);
        }
        // A rule that an earlier step brings has no number yet.
        let handle = self.position.clone().or_else(|| rule.handle().map(|handle| handle.to_string()));
        rule.step(&mut plan, "delete rule", &["handle", &handle.unwrap_or_else(|| "?".into())], false);
        let saved = shared::save(&mut plan, &self.save, None, &rule.table);
        plan.memo = format!("Failed to delete nftables rule for {name}.\nAttempted rule was {shown}").into();
        let did = match saved {
            true => format!("Deleted and Saved nftables rule for {name} for {shown}{family}"),
            false => format!("Delete nftables rule for {name} {shown}"),
        };
        Ok(plan
            .change("locale", name.as_str())
            .says(format!("nftables rule for {name} needs to be deleted for {family} ({shown})"), did))
    }

    fn settle(&self, plan: &Plan, seen: &[Observed], _: &PlanCx<'_>) -> Result<Settled, StateError> {
        Ok(shared::settle(plan, seen))
    }
}
