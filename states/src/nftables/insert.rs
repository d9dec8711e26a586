//! `nftables.insert`

use super::shared;
use corpus_core::plan::{Observed, Settled};
use corpus_core::{Plan, PlanCx, State, StateError, Value};
use serde::Deserialize;

/// Keeps a rule in a chain of the packet filter; a new one is put at its beginning, or before `position`. Further arguments say what it is about:
/// `if of proto connstate dport sport dports sports source destination icmp-type pkttype counter jump`….
///
/// ```sls
/// allow-web:
///   nftables.insert:
///     - chain: input
///     - proto: tcp
///     - dport: 80
///     - jump: accept
/// ```
#[derive(Deserialize)]
pub struct Insert {
    /// Any name.
    pub name: String,
    /// The table.
    pub table: Option<String>,
    /// The chain.
    pub chain: String,
    /// `ipv4`, `ipv6`, `inet`, `arp`, `bridge` or `netdev`.
    pub family: Option<String>,
    /// The handle of the rule to put it before.
    pub position: Option<String>,
    /// Save all rules after the change, to `/etc/nftables`.
    #[serde(default)]
    pub save: Value,
}

impl State for Insert {
    const NAME: &'static str = "nftables.insert";
    const OPEN: bool = true;

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let table = shared::table(cx, self.table.as_deref(), self.family.as_deref())?;
        let rule = shared::Rule::of(cx, table, &self.chain)?;
        let (name, shown, family) = (&self.name, &rule.rule, &rule.table.family);
        let mut plan = Plan::unchanged(format!("nftables rule for {name} already set for {family} ({shown})"));
        if rule.there(cx) {
            return Ok(plan);
        }
        match &self.position {
            Some(position) => rule.step(&mut plan, "insert rule", &["position", position], true),
            None => rule.step(&mut plan, "insert rule", &[], true),
        }
        let saved = shared::save(&mut plan, &self.save, None, &rule.table);
        plan.memo = format!("Failed to set nftables rule for {name}.\nAttempted rule was {shown}").into();
        let did = if saved { "Set and Saved" } else { "Set" };
        Ok(plan.change("locale", name.as_str()).says(
            format!("nftables rule for {name} needs to be set for {family} ({shown})"),
            format!("{did} nftables rule for {name} to: {shown} for {family}"),
        ))
    }

    fn settle(&self, plan: &Plan, seen: &[Observed], _: &PlanCx<'_>) -> Result<Settled, StateError> {
        Ok(shared::settle(plan, seen))
    }
}
