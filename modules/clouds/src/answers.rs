//! What states and templates call: the same as the runners, answered with data.

use crate::functions::{At, mistakes, names, present, said, verbs};
use crate::{Told, Verb};
use corpus_core::{Call, Data, ExecError, Map, Value};
use corpus_master::{Failure, MasterDef, Session};
use std::sync::Arc;

/// The functions.
pub const FNS: &[MasterDef] = &[
    MasterDef {
        name: "cloud.has_instance",
        args: "(name, provider=None)",
        doc: "Tells whether a machine of ours is there, at any provider.",
        run: has_instance,
    },
    MasterDef {
        name: "cloud.create",
        args: "(provider, names, **keys)",
        doc: "Makes machines of a provider.",
        run: create,
    },
    MasterDef {
        name: "cloud.profile",
        args: "(profile, names, **keys)",
        doc: "Makes machines of a profile.",
        run: profile,
    },
    MasterDef { name: "cloud.destroy", args: "(names)", doc: "Ends machines.", run: destroy },
];

fn told(failure: Failure) -> ExecError {
    ExecError::Failed(failure.to_string())
}

fn has_instance(call: &Call, session: &Arc<Session>, _: &Arc<Data>) -> Result<Value, ExecError> {
    let id = call.need(0, "name")?;
    let at = At::new(&session.corpus, &|_| {}).map_err(told)?;
    let declared = at.declared(&[]).map_err(told)?;
    let found = at.with(&declared, false, None, |cloud| {
        let entry = cloud.ledger().guests.get(&id).cloned()?;
        let place = (entry.spec.driver.clone(), entry.spec.node.clone());
        let world = cloud.world(&[place.clone()].into());
        Some(match world.blind.get(&place) {
            Some(why) => Err(ExecError::Failed(format!("{id}: {why}"))),
            None => Ok(world.at(&entry.spec).is_some()),
        })
    });
    found.map_err(told)?.unwrap_or(Ok(false)).map(Value::Bool)
}

/// Salt: `Error` stands where it failed.
fn answer(all: &[Told]) -> Value {
    let wrong: Vec<&str> = all.iter().filter(|told| told.result == Some(false)).map(|told| &*told.comment).collect();
    let mut out: Map = all.iter().map(|told| (told.id.as_str(), told.to_value())).collect();
    if !wrong.is_empty() {
        out = [("Error", wrong.join("\n"))].into_iter().collect();
    }
    out.into()
}

fn make(call: &Call, session: &Arc<Session>, profile: Option<&str>, keys: &Map) -> Result<Value, ExecError> {
    let at = At::new(&session.corpus, &|_| {}).map_err(told)?;
    let ids = names(call.arg(1, "names"));
    let mut specs = vec![];
    for id in &ids {
        specs.push(at.clouds.by_hand(id, profile, keys, &at.drivers, &call.fun).map_err(|e| told(mistakes(e)))?);
    }
    let refs: Vec<_> = specs.iter().collect();
    let declared = at.declared(&[]).map_err(told)?;
    Ok(answer(&present(&at, &declared, &refs, false, &call.fun).map_err(told)?))
}

fn create(call: &Call, session: &Arc<Session>, _: &Arc<Data>) -> Result<Value, ExecError> {
    let mut keys = said(call, &["names", "opts"]);
    keys.insert("provider", call.need(0, "provider")?);
    make(call, session, None, &keys)
}

fn profile(call: &Call, session: &Arc<Session>, _: &Arc<Data>) -> Result<Value, ExecError> {
    let name = call.need(0, "profile")?;
    make(call, session, Some(&name), &said(call, &["profile", "names", "opts"]))
}

fn destroy(call: &Call, session: &Arc<Session>, _: &Arc<Data>) -> Result<Value, ExecError> {
    let at = At::new(&session.corpus, &|_| {}).map_err(told)?;
    let ids = names(call.arg(0, "names"));
    let mut call = call.clone();
    call.kwargs.insert("test", false);
    Ok(answer(&verbs(&at, &call, &ids, &Verb::Destroy).map_err(told)?))
}
