//! What `nftables.*` share: rules of a declaration, and what an earlier step makes of them.

pub use crate::iptables::shared::settle;
use corpus_core::{Effect, Plan, PlanCx, Prediction, StateError, Value, state};
use corpus_exec::nftables::{self, Chain, Table};

/// Makes the table of a declaration.
pub fn table(cx: &PlanCx<'_>, table: Option<&str>, family: Option<&str>) -> Result<Table, StateError> {
    cx.program("nft", "nftables")?;
    let usual = |given: Option<&str>, usual: &str| given.filter(|text| !text.is_empty()).unwrap_or(usual).to_owned();
    Table::of(&usual(table, "filter"), &usual(family, "ipv4")).map_err(StateError::failed)
}

/// Names a fact about a table, a chain in it or a rule in that.
pub fn fact(table: &Table, chain: &str, what: &str) -> String {
    format!("nftables:{}:{}:{chain}:{what}", table.nft_family(), table.table)
}

/// Tells whether a table is there, as earlier steps leave it.
pub fn table_there(cx: &PlanCx<'_>, table: &Table) -> Result<bool, StateError> {
    match cx.host.predicted(&fact(table, "", "table")) {
        Some(there) => Ok(there.truthy()),
        None => Ok(table.there(cx.host)?),
    }
}

/// Tells whether a chain is there, as earlier steps leave it.
pub fn chain_there(cx: &PlanCx<'_>, table: &Table, chain: &str) -> Result<bool, StateError> {
    match cx.host.predicted(&fact(table, chain, "chain")) {
        Some(there) => Ok(there.truthy()),
        None => Ok(table_there(cx, table)? && table.chain(cx.host, chain)?.is_some()),
    }
}

/// A rule of a declaration.
pub struct Rule {
    pub table: Table,
    pub chain: String,
    pub rule: String,
    there: Option<Chain>,
}

impl Rule {
    /// Writes the rule, and looks for its chain.
    pub fn of(cx: &PlanCx<'_>, table: Table, chain: &str) -> Result<Self, StateError> {
        let rule = nftables::rule(&state::arguments(cx.low), &table);
        if !chain_there(cx, &table, chain)? {
            let (table, family) = (&table.table, &table.family);
            return Err(StateError::missing(format!(
                "Failed to set nftables rule for {}.\nAttempted rule was {rule} for {family}.\nChain {chain} in table \
                 {table} in family {family} does not exist",
                corpus_core::python::str(&cx.low.name)
            )));
        }
        let there = table.chain(cx.host, chain)?;
        Ok(Self { table, chain: chain.to_owned(), rule, there })
    }

    fn fact(&self) -> String {
        fact(&self.table, &self.chain, &self.rule)
    }

    /// Tells whether the rule is there, as earlier steps leave it.
    pub fn there(&self, cx: &PlanCx<'_>) -> bool {
        if let Some(there) = cx.host.predicted(&self.fact()) {
            return there.truthy();
        }
        let flushed = [self.chain.as_str(), ""]
            .iter()
            .any(|chain| cx.host.predicted(&fact(&self.table, chain, "flushed")).is_some());
        !flushed && self.handle().is_some()
    }

    /// Returns the rule's number in the kernel.
    pub fn handle(&self) -> Option<u64> {
        self.there.as_ref()?.find(&self.rule)
    }

    /// Adds the step that changes it, and saving.
    pub fn step(&self, plan: &mut Plan, verb: &str, more: &[&str], there: bool) {
        let mut command = self.table.command(verb, &[&self.chain]);
        command.argv.extend(more.iter().map(|word| (*word).to_owned()));
        if there {
            command.argv.extend(nftables::words(&self.rule));
        }
        plan.exec(command, vec![Prediction::Fact(self.fact(), there.into())]);
    }
}

/// Adds the step that saves all rules.
pub fn save(plan: &mut Plan, save: &Value, file: Option<&str>, table: &Table) -> bool {
    if !save.truthy() {
        return false;
    }
    let kwargs = vec![
        ("filename".to_owned(), file.map(Value::from).unwrap_or_default()),
        ("family".to_owned(), table.family.as_str().into()),
    ];
    plan.push(Effect::Call { fun: "nftables.save".into(), args: vec![], kwargs }, vec![]);
    true
}
