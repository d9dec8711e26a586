//! `match.*`: is this minion meant?

use corpus_core::target::{Target, TargetKind};
use corpus_core::value::{Map, Value};
use corpus_core::{Call, Data, ExecDef, ExecError, ExecFn};

/// The functions of this module.
pub const FNS: &[ExecDef] = &[
    ExecDef {
        name: "match.compound",
        args: "(tgt, minion_id=None)",
        doc: "Matches a compound target.",
        run: ExecFn::Data(compound),
    },
    ExecDef {
        name: "match.glob",
        args: "(tgt, minion_id=None)",
        doc: "Matches the id by a glob.",
        run: ExecFn::Data(glob),
    },
    ExecDef {
        name: "match.pcre",
        args: "(tgt, minion_id=None)",
        doc: "Matches the id by a regular expression.",
        run: ExecFn::Data(pcre),
    },
    ExecDef {
        name: "match.list",
        args: "(tgt, minion_id=None)",
        doc: "Matches the id by a list.",
        run: ExecFn::Data(list),
    },
    ExecDef {
        name: "match.grain",
        args: "(tgt, delimiter=':')",
        doc: "Matches a grain by a glob.",
        run: ExecFn::Data(grain),
    },
    ExecDef {
        name: "match.grain_pcre",
        args: "(tgt, delimiter=':')",
        doc: "Matches a grain by a regular expression.",
        run: ExecFn::Data(grain_pcre),
    },
    ExecDef {
        name: "match.pillar",
        args: "(tgt, delimiter=':')",
        doc: "Matches pillar by a glob.",
        run: ExecFn::Data(pillar),
    },
    ExecDef {
        name: "match.pillar_pcre",
        args: "(tgt, delimiter=':')",
        doc: "Matches pillar by a regular expression.",
        run: ExecFn::Data(pillar_pcre),
    },
    ExecDef {
        name: "match.ipcidr",
        args: "(tgt)",
        doc: "Matches the minion's addresses by a network.",
        run: ExecFn::Data(ipcidr),
    },
    ExecDef {
        name: "match.filter_by",
        args: "(lookup, tgt_type='compound', minion_id=None, merge=None, merge_lists=False, default='default')",
        doc: "Returns the first entry of a mapping whose key matches this minion.",
        run: ExecFn::Data(filter_by),
    },
    ExecDef {
        name: "match.search_by",
        args: "(lookup, tgt_type='compound', minion_id=None)",
        doc: "Returns the keys of a mapping among whose targets one matches this minion.",
        run: ExecFn::Data(search_by),
    },
];

fn matches(text: &str, kind: TargetKind, delimiter: &str, data: &Data, id: Option<String>) -> Result<bool, ExecError> {
    let nodegroups = data.opts.get("nodegroups").and_then(Value::as_map).cloned().unwrap_or_default();
    let target = Target::parse_with(text, kind, delimiter, &nodegroups).map_err(ExecError::failed)?;
    Ok(match id {
        Some(id) => target.matches(&Data { id: id.into(), ..data.clone() }),
        None => target.matches(data),
    })
}

fn by_id(call: &Call, kind: TargetKind, data: &Data) -> Result<Value, ExecError> {
    let target = match call.arg(0, "tgt") {
        Some(Value::List(ids)) => ids.iter().map(corpus_core::python::str).collect::<Vec<_>>().join(","),
        _ => call.need(0, "tgt")?,
    };
    Ok(matches(&target, kind, ":", data, call.text(1, "minion_id"))?.into())
}

fn by_data(call: &Call, kind: TargetKind, data: &Data) -> Result<Value, ExecError> {
    Ok(matches(&call.need(0, "tgt")?, kind, &super::pillar::delimiter(call, 1), data, None)?.into())
}

fn compound(call: &Call, data: &Data) -> Result<Value, ExecError> {
    by_id(call, TargetKind::Compound, data)
}

fn glob(call: &Call, data: &Data) -> Result<Value, ExecError> {
    by_id(call, TargetKind::Glob, data)
}

fn pcre(call: &Call, data: &Data) -> Result<Value, ExecError> {
    by_id(call, TargetKind::Pcre, data)
}

fn list(call: &Call, data: &Data) -> Result<Value, ExecError> {
    by_id(call, TargetKind::List, data)
}

fn grain(call: &Call, data: &Data) -> Result<Value, ExecError> {
    by_data(call, TargetKind::Grain, data)
}

fn grain_pcre(call: &Call, data: &Data) -> Result<Value, ExecError> {
    by_data(call, TargetKind::GrainPcre, data)
}

fn pillar(call: &Call, data: &Data) -> Result<Value, ExecError> {
    by_data(call, TargetKind::Pillar, data)
}

fn pillar_pcre(call: &Call, data: &Data) -> Result<Value, ExecError> {
    by_data(call, TargetKind::PillarPcre, data)
}

fn ipcidr(call: &Call, data: &Data) -> Result<Value, ExecError> {
    by_data(call, TargetKind::IpCidr, data)
}

fn search_by(call: &Call, data: &Data) -> Result<Value, ExecError> {
    let table = call.arg(0, "lookup").and_then(Value::as_map);
    let table = table.ok_or_else(|| call.invalid("lookup", "must be a mapping"))?;
    let word = call.text(1, "tgt_type").unwrap_or_else(|| "compound".into());
    let kind = TargetKind::of(&word).ok_or_else(|| call.invalid("tgt_type", format!("`{word}` is not known")))?;
    let mut found = vec![];
    for (key, targets) in table {
        let targets = targets.as_list();
        for target in targets.ok_or_else(|| call.invalid("lookup", "its values must be lists of targets"))? {
            if matches(&corpus_core::python::str(target), kind, ":", data, call.text(2, "minion_id"))? {
                found.push(key.clone());
            }
        }
    }
    Ok(if found.is_empty() { Value::Null } else { found.into() })
}

fn filter_by(call: &Call, data: &Data) -> Result<Value, ExecError> {
    let table = call.arg(0, "lookup").and_then(Value::as_map);
    let table = table.ok_or_else(|| call.invalid("lookup", "must be a mapping"))?;
    let word = call.text(1, "tgt_type").unwrap_or_else(|| "compound".into());
    let kind = TargetKind::of(&word).ok_or_else(|| call.invalid("tgt_type", format!("`{word}` is not known")))?;
    let mut found = None;
    for (target, value) in table {
        if matches(&corpus_core::python::str(target), kind, ":", data, call.text(2, "minion_id"))? {
            found = Some(value.clone());
            break;
        }
    }
    let default = call.arg(5, "default").cloned().unwrap_or_else(|| "default".into());
    let mut found = found.or_else(|| table.get_value(&default).cloned()).unwrap_or_default();
    if let Some(merge) = call.arg(3, "merge").filter(|m| m.truthy()) {
        if found.is_null() {
            found = Value::from(Map::new());
        }
        super::slsutil::update(&mut found, merge, true, call.flag(4, "merge_lists", false))?;
    }
    Ok(found)
}
