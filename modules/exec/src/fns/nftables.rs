//! `nftables.*`: the packet filter by `nft`.

use crate::ask;
use crate::nftables::{Table, rule};
use corpus_core::host::{Act, Command, Look};
use corpus_core::{Call, Data, Effect, ExecDef, ExecError, ExecFn, Map, Value};

/// The functions of this module.
pub const FNS: &[ExecDef] = &[
    ExecDef {
        name: "nftables.version",
        args: "()",
        doc: "Returns the version of `nft`.",
        run: ExecFn::Read(|_, look, _| {
            let text = ask::output(look, &Command::new(["nft", "--version"]))?;
            Ok(text.split_whitespace().nth(1).unwrap_or_default().into())
        }),
    },
    ExecDef {
        name: "nftables.check_table",
        args: "(table, family='ipv4')",
        doc: "Tells whether a table exists.",
        run: ExecFn::Read(|call, look, _| {
            let table = table(call, 0, 1)?;
            let what = format!("Table {} in family {}", table.table, table.family);
            Ok(answer(table.there(look)?, &what))
        }),
    },
    ExecDef {
        name: "nftables.check_chain",
        args: "(table='filter', chain=None, family='ipv4')",
        doc: "Tells whether a chain exists.",
        run: ExecFn::Read(|call, look, _| {
            let (table, chain) = (table(call, 0, 2)?, call.need(1, "chain")?);
            let what = format!("Chain {chain} in table {} in family {}", table.table, table.family);
            Ok(answer(table.chain(look, &chain)?.is_some(), &what))
        }),
    },
    ExecDef {
        name: "nftables.check",
        args: "(table='filter', chain=None, rule=None, family='ipv4')",
        doc: "Tells whether a rule exists.",
        run: ExecFn::Read(|call, look, _| {
            let (table, chain, rule) = (table(call, 0, 3)?, call.need(1, "chain")?, call.need(2, "rule")?);
            let what = format!("Rule {rule} in chain {chain} in table {} in family {}", table.table, table.family);
            let found = table.chain(look, &chain)?.is_some_and(|chain| chain.find(&rule).is_some());
            Ok(answer(found, &what))
        }),
    },
    ExecDef {
        name: "nftables.build_rule",
        args: "(table=None, chain=None, command=None, position='', full=None, family='ipv4', **kwargs)",
        doc: "Writes a rule from words.",
        run: ExecFn::Data(|call, _| {
            let table = table(call, 0, 5)?;
            let text = rule(&call.kwargs, &table);
            let mut told = Map::new();
            told.insert("comment", if text.is_empty() { "" } else { "Successfully built rule" });
            told.insert("rule", text);
            told.insert("result", true);
            Ok(told.into())
        }),
    },
    ExecDef {
        name: "nftables.save",
        args: "(filename=None, family='ipv4')",
        doc: "Writes all rules to a file, `/etc/nftables` if none is named, and returns them.",
        run: ExecFn::Write(save),
    },
];

fn table(call: &Call, at: usize, family: usize) -> Result<Table, ExecError> {
    let name = call.text(at, "table").unwrap_or_else(|| "filter".into());
    let family = call.text(family, "family").unwrap_or_else(|| "ipv4".into());
    Table::of(&name, &family).map_err(ExecError::Failed)
}

fn answer(there: bool, what: &str) -> Value {
    let comment = if there { format!("{what} exists") } else { format!("{what} does not exist") };
    Map::from_iter([("comment", Value::from(comment)), ("result", there.into())]).into()
}

fn save(call: &Call, act: &dyn Act, _: &Data) -> Result<Value, ExecError> {
    let mut path = call.text(0, "filename").unwrap_or_else(|| "/etc/nftables".into());
    if ask::is_dir(act.as_look(), &path) {
        path += "/salt-all-in-one.nft";
    }
    let text = rules(act.as_look())?;
    act.perform(&Effect::text(path, text.clone()))?;
    Ok(text.into())
}

fn rules(look: &dyn Look) -> Result<String, ExecError> {
    let mut text = "#! nft -f\n".to_owned();
    for family in ["ip", "ip6", "inet", "arp", "bridge", "netdev"] {
        let tables = ask::output(look, &Command::new(["nft", "list", "tables", family]))?;
        for name in tables.lines().filter_map(|line| line.split(' ').nth(2)) {
            let mut command = Command::new(["nft", "--numeric", "--numeric", "--numeric", "list", "table", family]);
            command.argv.push(name.to_owned());
            text += &format!("\n{}\n", ask::output(look, &command)?.trim_end());
        }
    }
    Ok(text)
}
