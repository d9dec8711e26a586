//! `pillar.items` and its kin: the pillar as it compiles now, and what else only the master knows of data.

use super::MasterDef;
use crate::Session;
use crate::fileserver::lock;
use corpus_core::{Call, Data, ExecError, Map, Value, python};
use corpus_pillar::{Origin, Origins, Story};
use std::sync::Arc;

/// The functions of this module.
pub const FNS: &[MasterDef] = &[
    MasterDef {
        name: "pillar.items",
        args: "(*keys, pillar=None, pillarenv=None)",
        doc: "Compiles the pillar anew and returns it, or only the keys asked for.",
        run: items,
    },
    MasterDef {
        name: "pillar.ext",
        args: "(external, pillar=None)",
        doc: "Compiles the pillar with one more external pillar, of those that `on_demand_ext_pillar` allows.",
        run: ext,
    },
    MasterDef {
        name: "pillar.explain",
        args: "(key, delimiter=':')",
        doc: "Tells which source, file and line gave the value of a key, and what it overrode.",
        run: explain,
    },
    MasterDef { name: "grains.items", args: "()", doc: "Returns all grains.", run: grains },
    MasterDef {
        name: "mine.get",
        args: "(tgt, fun, tgt_type='glob', exclude_minion=False)",
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
        doc: "Forgets what `pillar_cache` keeps for the minion; without it each call compiles the pillar anew.",
        run: refresh_pillar,
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
    let over = call.kwargs.contains("pillar").then(|| super::state::pillar_argument(call, session));
    let over = over.transpose().map_err(|why| ExecError::failed(why.message))?;
    // Inside a template the pillar is being read already: answer from it, as Salt's in-memory one.
    let pillar = match over {
        Some(over) => {
            let pillarenv = call.kwargs.str("pillarenv");
            Value::map(session.compile(data, pillarenv, &over, session.corpus.sources(), false).pillar)
        }
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

fn ext(call: &Call, session: &Arc<Session>, data: &Arc<Data>) -> Result<Value, ExecError> {
    let external = call.arg(0, "external").ok_or_else(|| call.missing("external"))?;
    let Some(wanted) = external.as_map() else {
        return Err(call.invalid(
            "external",
            format!("On-demand pillar {} is not formatted as a dictionary", python::repr(external)),
        ));
    };
    let default = Value::from(vec!["libvirt", "virtkey"]);
    let allowed = data.opts.get("on_demand_ext_pillar").unwrap_or(&default);
    let allowed = allowed.as_list().unwrap_or_default();
    let refused: Vec<String> = wanted.keys().filter(|name| !allowed.contains(name)).map(python::str).collect();
    if !refused.is_empty() {
        return Err(ExecError::failed(format!(
            "The following ext_pillar modules are not allowed for on-demand pillar data: {}. Valid on-demand ext_pillar \
             modules are: {}. The valid modules can be adjusted by setting the 'on_demand_ext_pillar' config option.",
            refused.join(", "),
            allowed.iter().map(python::str).collect::<Vec<_>>().join(", ")
        )));
    }
    let over = call.kwargs.get("pillar").and_then(Value::as_map).cloned().unwrap_or_default();
    let sources = session.corpus.sources_with(external);
    let result = session.compile(&bare(data), call.kwargs.str("pillarenv"), &over, &sources, false);
    lock(&session.warnings).extend(result.errors);
    Ok(Value::map(result.pillar))
}

/// The data before there is a pillar.
fn bare(data: &Data) -> Data {
    Data { pillar: Value::map(Map::new()), ..data.clone() }
}

fn explain(call: &Call, session: &Arc<Session>, data: &Arc<Data>) -> Result<Value, ExecError> {
    let key = call.need(0, "key")?;
    let delimiter = call.text(9, "delimiter").filter(|d| !d.is_empty()).unwrap_or_else(|| ":".into());
    let over = call.kwargs.get("pillar").and_then(Value::as_map).cloned().unwrap_or_default();
    let pillarenv = call.kwargs.str("pillarenv").or_else(|| session.corpus.config.text("pillarenv"));
    let result = session.compile(&bare(data), pillarenv, &over, session.corpus.sources(), true);
    let pillar = Value::map(result.pillar);
    let found = pillar.traverse(&key, &delimiter);
    // A key that itself contains the delimiter wins over the path.
    let path: Vec<Value> = match pillar.get(&key) {
        Some(_) => vec![key.as_str().into()],
        None => key.split(delimiter.as_str()).map(Value::from).collect(),
    };
    let mut told = Map::new();
    told.insert("value", found.cloned());
    story(&result.origins.of(&path), &mut told);
    let mut parts = Map::new();
    if let Some(map) = found.and_then(Value::as_map) {
        leaves(map, &path, &delimiter, &result.origins, &mut parts);
    }
    if !parts.is_empty() {
        told.insert("parts", parts);
    }
    if found.is_none() {
        told.insert("why", "no source gives this key");
    }
    Ok(told.into())
}

fn story(story: &Story, into: &mut Map) {
    let places = |origins: &[Origin], with_value: bool| -> Value {
        let tell = |origin: &Origin| {
            let place = origin.place.as_ref().map(|place| format!(" at {place}")).unwrap_or_default();
            let source = format!("{}{place}", origin.source);
            if with_value { Map::from_iter([(source, origin.value.clone())]).into() } else { Value::from(source) }
        };
        origins.iter().map(tell).collect::<Vec<_>>().into()
    };
    into.insert("from", places(&story.from, false));
    if !story.overrode.is_empty() {
        into.insert("overrode", places(&story.overrode, true));
    }
}

/// Tells where each value within a mapping came from.
fn leaves(map: &Map, above: &[Value], delimiter: &str, origins: &Origins, into: &mut Map) {
    for (key, value) in map {
        let path: Vec<Value> = above.iter().cloned().chain([key.clone()]).collect();
        match value {
            Value::Map(inner) if !inner.is_empty() => leaves(inner, &path, delimiter, origins, into),
            _ => {
                let mut told = Map::new();
                story(&origins.of(&path), &mut told);
                into.insert(path.iter().map(python::str).collect::<Vec<_>>().join(delimiter), told);
            }
        }
    }
}

fn grains(_: &Call, _: &Arc<Session>, data: &Arc<Data>) -> Result<Value, ExecError> {
    Ok(data.grains.clone())
}

fn mine_get(call: &Call, _: &Arc<Session>, _: &Arc<Data>) -> Result<Value, ExecError> {
    let signature = FNS.iter().find(|def| def.name == "mine.get").map_or("(**kwargs)", |def| def.args);
    call.only_known(signature)?;
    call.need(0, "tgt")?;
    call.need(1, "fun")?;
    Ok(Map::new().into())
}

fn sync(_: &Call, _: &Arc<Session>, _: &Arc<Data>) -> Result<Value, ExecError> {
    Ok(Value::list(vec![]))
}

fn refresh_pillar(_: &Call, session: &Arc<Session>, _: &Arc<Data>) -> Result<Value, ExecError> {
    if let Some(cache) = &session.corpus.sources().cache {
        cache.clear(Some(&session.id));
    }
    Ok(true.into())
}

fn refreshed(_: &Call, _: &Arc<Session>, _: &Arc<Data>) -> Result<Value, ExecError> {
    Ok(true.into())
}
