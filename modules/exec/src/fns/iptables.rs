//! `iptables.*`: rules, chains and policies.

use crate::ask;
use crate::iptables::{self, Table};
use corpus_core::host::Command;
use corpus_core::{Act, Call, Data, ExecDef, ExecError, ExecFn, Look, Map, Value};

/// The functions of this module.
pub const FNS: &[ExecDef] = &[
    ExecDef {
        name: "iptables.version",
        args: "(family='ipv4')",
        doc: "Returns the version of `iptables`.",
        run: ExecFn::Read(|call, look, _| {
            let table = Table::of(None, call.text(0, "family"));
            let text = ask::output(look, &Command::new([table.program(), "--version"]))?;
            Ok(text.split_whitespace().nth(1).unwrap_or_default().into())
        }),
    },
    ExecDef {
        name: "iptables.build_rule",
        args: "(table='filter', chain=None, command=None, position='', full=None, family='ipv4', **kwargs)",
        doc: "Writes a rule of its words.",
        run: ExecFn::Read(build_rule),
    },
    ExecDef {
        name: "iptables.get_policy",
        args: "(table='filter', chain=None, family='ipv4')",
        doc: "Returns the policy of a chain.",
        run: ExecFn::Read(|call, look, _| Ok(table(call, 2).policy(look, &call.need(1, "chain")?)?.into())),
    },
    ExecDef {
        name: "iptables.check_chain",
        args: "(table='filter', chain=None, family='ipv4')",
        doc: "Tells whether a chain is there.",
        run: ExecFn::Read(|call, look, _| Ok(table(call, 2).policy(look, &call.need(1, "chain")?)?.is_some().into())),
    },
    ExecDef {
        name: "iptables.check",
        args: "(table='filter', chain=None, rule=None, family='ipv4')",
        doc: "Tells whether a rule is there.",
        run: ExecFn::Read(|call, look, _| {
            Ok(table(call, 3).has(look, &call.need(1, "chain")?, &call.need(2, "rule")?)?.into())
        }),
    },
    ExecDef {
        name: "iptables.set_policy",
        args: "(table='filter', chain=None, policy=None, family='ipv4')",
        doc: "Sets the policy of a chain; returns what went wrong, empty if nothing.",
        run: ExecFn::Write(|call, act, _| {
            let (chain, policy) = (call.need(1, "chain")?, call.need(2, "policy")?);
            complaint(act, table(call, 3).command(&["-P", &chain, &policy]))
        }),
    },
    ExecDef {
        name: "iptables.new_chain",
        args: "(table='filter', chain=None, family='ipv4')",
        doc: "Makes a chain; true, or what went wrong.",
        run: ExecFn::Write(|call, act, _| done(act, table(call, 2).command(&["-N", &call.need(1, "chain")?]))),
    },
    ExecDef {
        name: "iptables.delete_chain",
        args: "(table='filter', chain=None, family='ipv4')",
        doc: "Removes a chain; true, or what went wrong.",
        run: ExecFn::Write(|call, act, _| done(act, table(call, 2).command(&["-X", &call.need(1, "chain")?]))),
    },
    ExecDef {
        name: "iptables.flush",
        args: "(table='filter', chain='', family='ipv4')",
        doc: "Removes the rules of a chain, or of all; returns what went wrong, empty if nothing.",
        run: ExecFn::Write(|call, act, _| {
            complaint(act, table(call, 2).command(&["-F", &call.text(1, "chain").unwrap_or_default()]))
        }),
    },
    ExecDef {
        name: "iptables.append",
        args: "(table='filter', chain=None, rule=None, family='ipv4')",
        doc: "Adds a rule at the end; false if it is there.",
        run: ExecFn::Write(|call, act, _| {
            let (table, chain, rule) = (table(call, 3), call.need(1, "chain")?, call.need(2, "rule")?);
            if table.has(act.as_look(), &chain, &rule)? {
                return Ok(false.into());
            }
            Ok(ask::run(act, table.about("-A", &chain, "", &rule))?.ok().into())
        }),
    },
    ExecDef {
        name: "iptables.insert",
        args: "(table='filter', chain=None, position=None, rule=None, family='ipv4')",
        doc: "Puts a rule at a place; false if it is there, else what went wrong.",
        run: ExecFn::Write(|call, act, _| {
            let (table, chain, rule) = (table(call, 4), call.need(1, "chain")?, call.need(3, "rule")?);
            if table.has(act.as_look(), &chain, &rule)? {
                return Ok(false.into());
            }
            complaint(act, table.about("-I", &chain, &call.need(2, "position")?, &rule))
        }),
    },
    ExecDef {
        name: "iptables.delete",
        args: "(table, chain=None, position=None, rule=None, family='ipv4')",
        doc: "Removes a rule; returns what went wrong, empty if nothing.",
        run: ExecFn::Write(|call, act, _| {
            let (position, rule) = (call.text(2, "position"), call.text(3, "rule"));
            if position.is_some() && rule.is_some() {
                return Err(call.invalid("rule", "only specify a position or a rule, not both"));
            }
            let (position, rule) = (position.unwrap_or_default(), rule.unwrap_or_default());
            complaint(act, table(call, 4).about("-D", &call.need(1, "chain")?, &position, &rule))
        }),
    },
    ExecDef {
        name: "iptables.save",
        args: "(filename=None, family='ipv4')",
        doc: "Saves the rules where this distribution reads them at boot.",
        run: ExecFn::Write(save),
    },
];

fn table(call: &Call, family: usize) -> Table {
    Table::of(call.text(0, "table"), call.text(family, "family"))
}

fn complaint(act: &dyn Act, command: Command) -> Result<Value, ExecError> {
    let output = ask::run(act, command)?;
    Ok(if output.ok() { "".into() } else { ask::said(&output).into() })
}

fn done(act: &dyn Act, command: Command) -> Result<Value, ExecError> {
    let text = complaint(act, command)?;
    Ok(if text.truthy() { text } else { true.into() })
}

fn build_rule(call: &Call, look: &dyn Look, _: &Data) -> Result<Value, ExecError> {
    let words: Map = call
        .kwargs
        .iter()
        .filter(|(k, _)| !k.as_str().unwrap_or_default().starts_with("__"))
        .map(|(k, v)| (k.clone(), v.clone()))
        .collect();
    let rule = match iptables::rule(&words) {
        Ok(rule) => rule,
        Err(why) => return Ok(format!("Error: {why}").into()),
    };
    if !call.flag(4, "full", false) {
        return Ok(rule.into());
    }
    let need = |place, name: &str, shown: &str| {
        call.text(place, name).ok_or_else(|| Value::from(format!("Error: {shown} needs to be specified")))
    };
    let (chain, verb) = match (need(1, "chain", "Chain"), need(2, "command", "Command")) {
        (Ok(chain), Ok(verb)) => (chain, verb),
        (Err(text), _) | (_, Err(text)) => return Ok(text),
    };
    let dash = if verb.len() == 1 { "-" } else { "--" };
    let position = call.text(3, "position").unwrap_or_default();
    Ok(table(call, 5).shown(look, &format!("{dash}{verb}"), &chain, &position, &rule).into())
}

fn save(call: &Call, act: &dyn Act, data: &Data) -> Result<Value, ExecError> {
    let family = call.text(1, "family").unwrap_or_else(|| "ipv4".into());
    let path = call.text(0, "filename").map(Into::into).or_else(|| iptables::saved_at(data, &family));
    let path = path.ok_or_else(|| call.invalid("filename", "this distribution has no usual place; name the file"))?;
    for dir in crate::file::missing_parents(act.as_look(), &path)? {
        act.perform(&corpus_core::Effect::Mkdir { path: dir, attrs: corpus_core::Attrs::default() })?;
    }
    for effect in iptables::save(&path, &family) {
        if act.perform(&effect)?.output().is_some_and(|output| !output.ok()) {
            return Err(ExecError::failed(format!("the rules could not be saved to {}", path.display())));
        }
    }
    Ok(format!("Wrote 1 lines to \"{}\"", path.display()).into())
}
