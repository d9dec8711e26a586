//! `pillar.items` and its kin: the pillar as it compiles now, and what else only the master knows of data.

use super::MasterDef;
use crate::Session;
use corpus_core::{Call, Data, ExecError, Map, Value, python};
use std::sync::Arc;

/// The functions of this module.
pub const FNS: &[MasterDef] = &[
    MasterDef {
        name: "pillar.items",
        args: "(*keys, pillar=None, pillarenv=None)",
        doc: "Compiles the pillar anew and returns it, or only the keys asked for.",
        run: items,
    },
    MasterDef { name: "grains.items", args: "()", doc: "Returns all grains.", run: grains },
    MasterDef {
        name: "mine.get",
        args: "(tgt, fun, tgt_type='glob')",
        doc: "Returns mine data of other minions. There is none without a running fleet, as with `salt-call --local`.",
        run: mine_get,
    },
    MasterDef {
        name: "saltutil.sync_all",
        args: "(**kwargs)",
        doc: "Nothing to synchronise: all functions are in the one binary.",
        run: sync,
    },
    MasterDef { name: "saltutil.sync_modules", args: "(**kwargs)", doc: "Nothing to synchronise.", run: sync },
    MasterDef { name: "saltutil.sync_grains", args: "(**kwargs)", doc: "Nothing to synchronise.", run: sync },
    MasterDef { name: "saltutil.sync_states", args: "(**kwargs)", doc: "Nothing to synchronise.", run: sync },
    MasterDef {
        name: "saltutil.refresh_pillar",
        args: "(**kwargs)",
        doc: "Returns true: each call compiles the pillar anew.",
        run: refreshed,
    },
    MasterDef {
        name: "saltutil.refresh_grains",
        args: "(**kwargs)",
        doc: "Returns true: each session collects the grains anew.",
        run: refreshed,
    },
    MasterDef {
        name: "saltutil.refresh_modules",
        args: "(**kwargs)",
        doc: "Returns true: all functions are in the one binary.",
        run: refreshed,
    },
];

fn items(call: &Call, session: &Arc<Session>, data: &Arc<Data>) -> Result<Value, ExecError> {
    let over = call.kwargs.get("pillar").and_then(Value::as_map).cloned();
    // Inside a template the pillar is being read already: answer from it, as Salt's in-memory one.
    let pillar = match over {
        Some(over) => Value::map(session.pillar(data, call.kwargs.str("pillarenv"), &over).pillar),
        None => data.pillar.clone(),
    };
    if call.args.is_empty() {
        return Ok(pillar);
    }
    let mut found = Map::new();
    for key in &call.args {
        let key = python::str(key);
        found.insert(key.as_str(), pillar.traverse(&key, ":").cloned());
    }
    Ok(found.into())
}

fn grains(_: &Call, _: &Arc<Session>, data: &Arc<Data>) -> Result<Value, ExecError> {
    Ok(data.grains.clone())
}

fn mine_get(_: &Call, _: &Arc<Session>, _: &Arc<Data>) -> Result<Value, ExecError> {
    Ok(Map::new().into())
}

fn sync(_: &Call, _: &Arc<Session>, _: &Arc<Data>) -> Result<Value, ExecError> {
    Ok(Value::list(vec![]))
}

fn refreshed(_: &Call, _: &Arc<Session>, _: &Arc<Data>) -> Result<Value, ExecError> {
    Ok(true.into())
}
