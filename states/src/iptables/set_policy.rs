//! `iptables.set_policy`

use super::shared;
use corpus_core::plan::{Observed, Settled};
use corpus_core::{Plan, PlanCx, Prediction, State, StateError, Value};
use corpus_exec::iptables::Table;
use serde::Deserialize;

/// Keeps the policy of a chain: what happens to packets that no rule decides on.
///
/// ```sls
/// drop-the-rest:
///   iptables.set_policy:
///     - chain: INPUT
///     - policy: DROP
/// ```
#[derive(Deserialize)]
pub struct SetPolicy {
    /// Any name.
    pub name: String,
    /// The table: `filter`, `nat`, `mangle`…
    pub table: Option<String>,
    /// `ipv4` or `ipv6`.
    pub family: Option<String>,
    /// The chain.
    pub chain: String,
    /// `ACCEPT` or `DROP`.
    pub policy: String,
    /// Save all rules for the next boot; a path says where.
    #[serde(default)]
    pub save: Value,
}

impl State for SetPolicy {
    const NAME: &'static str = "iptables.set_policy";
    const OPEN: bool = true;

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let table = Table::of(self.table.clone(), self.family.clone());
        let (chain, policy, family) = (&self.chain, &self.policy, &table.family);
        cx.program(table.program(), "iptables")?;
        let fact = shared::fact(&table, chain, "policy");
        let have = match cx.host.predicted(&fact) {
            Some(known) => known.as_str().map(str::to_owned),
            None => table.policy(cx.host, chain)?,
        };
        let place = format!("iptables default policy for chain {chain} on table {} for {family}", table.table);
        let mut plan = Plan::unchanged(format!("{place} already set to {policy}"));
        if have.as_ref() == Some(policy) {
            return Ok(plan);
        }
        let command = table.command(&["-P", chain, policy]);
        plan.exec(command, vec![Prediction::Fact(fact, policy.as_str().into())]);
        plan.memo = "Failed to set iptables default policy".into();
        let mut did = format!("Set default policy for {chain} to {policy} family {family}");
        if let Some(path) = shared::save_path(cx, &self.save, family)? {
            shared::save(cx, &mut plan, path, family)?;
            did = format!("Set and saved default policy for {chain} to {policy} family {family}");
        }
        Ok(plan.change("locale", self.name.as_str()).says(format!("{place} needs to be set to {policy}"), did))
    }

    fn settle(&self, plan: &Plan, seen: &[Observed], _: &PlanCx<'_>) -> Result<Settled, StateError> {
        Ok(shared::settle(plan, seen))
    }
}
