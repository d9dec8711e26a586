//! `nftables.append`

use super::shared;
use corpus_core::plan::{Observed, Settled};
use corpus_core::{Plan, PlanCx, State, StateError, Value};
use serde::Deserialize;

/// Keeps a rule in a chain of the packet filter; a new one is put at its end. Further arguments say what it is about:
/// `if of proto connstate dport sport dports sports source destination icmp-type pkttype counter jump`….
///
/// ```sls
/// allow-web:
///   nftables.append:
///     - chain: input
///     - proto: tcp
///     - dport: 80
///     - connstate: new
///     - jump: accept
/// ```
#[derive(Deserialize)]
pub struct Append {
    /// Any name.
    pub name: String,
    /// The table.
    pub table: Option<String>,
    /// The chain.
    pub chain: String,
    /// `ipv4`, `ipv6`, `inet`, `arp`, `bridge` or `netdev`.
    pub family: Option<String>,
    /// Save all rules after the change, to `/etc/nftables`.
    #[serde(default)]
    pub save: Value,
}

impl State for Append {
    const NAME: &'static str = "nftables.append";
    const OPEN: bool = true;

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let table = shared::table(cx, self.table.as_deref(), self.family.as_deref())?;
        let rule = shared::Rule::of(cx, table, &self.chain)?;
        let (name, shown, family) = (&self.name, &rule.rule, &rule.table.family);
        let mut plan = Plan::unchanged(format!("nftables rule for {name} already set ({shown}) for {family}"));
        if rule.there(cx) {
            return Ok(plan);
        }
        rule.step(&mut plan, "add rule", &[], true);
        let saved = shared::save(&mut plan, &self.save, None, &rule.table);
        plan.memo = format!("Failed to set nftables rule for {name}.\nAttempted rule was {shown} for {family}.").into();
        let did = if saved { "Set and Saved" } else { "Set" };
        Ok(plan.change("locale", name.as_str()).says(
            format!("nftables rule for {name} needs to be set ({shown}) for {family}"),
            format!("{did} nftables rule for {name} to: {shown} for {family}"),
        ))
    }

    fn settle(&self, plan: &Plan, seen: &[Observed], _: &PlanCx<'_>) -> Result<Settled, StateError> {
        Ok(shared::settle(plan, seen))
    }
}
