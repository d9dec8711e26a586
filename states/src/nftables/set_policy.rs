//! `nftables.set_policy`

use super::shared;
use corpus_core::plan::{Observed, Settled};
use corpus_core::{Plan, PlanCx, Prediction, State, StateError, Value, python};
use corpus_exec::nftables;
use serde::Deserialize;

/// Keeps the policy of a chain that packets come by.
///
/// ```sls
/// input:
///   nftables.set_policy:
///     - chain: input
///     - policy: drop
/// ```
#[derive(Deserialize)]
pub struct SetPolicy {
    /// Any name.
    pub name: String,
    /// The table.
    pub table: Option<String>,
    /// The chain.
    pub chain: String,
    /// `ipv4`, `ipv6`, `inet`, `arp`, `bridge` or `netdev`.
    pub family: Option<String>,
    /// `accept` or `drop`.
    pub policy: String,
    /// Save all rules after the change, to `/etc/nftables`.
    #[serde(default)]
    pub save: Value,
    /// Where to save them to.
    pub save_filename: Option<String>,
}

impl State for SetPolicy {
    const NAME: &'static str = "nftables.set_policy";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let table = shared::table(cx, self.table.as_deref(), self.family.as_deref())?;
        let (chain, inside, family) = (&self.chain, &table.table, &table.family);
        let policy = self.policy.to_lowercase();
        let found = table.chain(cx.host, chain)?;
        let fact = shared::fact(&table, chain, "policy");
        let have = match cx.host.predicted(&fact) {
            Some(policy) => Some(python::str(&policy)),
            None => found.as_ref().and_then(|chain| chain.policy.clone()),
        };
        let mut plan = Plan::unchanged(format!(
            "nftables default policy for chain {chain} on table {inside} for {family} already set to {}",
            self.policy
        ));
        if have.as_ref() == Some(&policy) {
            return Ok(plan);
        }
        let known = |chain: nftables::Chain| Some((chain.kind?, chain.hook?, chain.priority?.to_string()));
        let coming = cx.host.predicted(&shared::fact(&table, chain, "chain"));
        let coming =
            coming.as_ref().and_then(Value::as_list).map(|words| words.iter().map(python::str).collect::<Vec<_>>());
        let coming =
            coming.and_then(|words| <[String; 3]>::try_from(words).ok()).map(|[kind, hook, n]| (kind, hook, n));
        let Some((kind, hook, priority)) = coming.or_else(|| found.and_then(known)) else {
            return Err(StateError::missing("Failed to set nftables default policy"));
        };
        let mut command = table.command("-- add chain", &[chain]);
        let words = ["{", "type", &kind, "hook", &hook, "priority", &priority, ";", "policy", &policy, ";", "}"];
        command.argv.extend(words.map(str::to_owned));
        plan.exec(command, vec![Prediction::Fact(fact, policy.as_str().into())]);
        let saved = shared::save(&mut plan, &self.save, self.save_filename.as_deref(), &table);
        plan.memo = "Failed to set nftables default policy".into();
        let did = if saved { "Set and saved" } else { "Set" };
        Ok(plan.change("locale", self.name.as_str()).says(
            format!(
                "nftables default policy for chain {chain} on table {inside} for {family} needs to be set to {}",
                self.policy
            ),
            format!("{did} default policy for {chain} to {} family {family}", self.policy),
        ))
    }

    fn settle(&self, plan: &Plan, seen: &[Observed], _: &PlanCx<'_>) -> Result<Settled, StateError> {
        Ok(shared::settle(plan, seen))
    }
}
