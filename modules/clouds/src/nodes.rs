//! The compute nodes: what each has, and the guests on it.

use crate::cloud::Cloud;
use crate::functions::{Answer, At, finish};
use crate::hands::Place;
use crate::ledger::Ledger;
use corpus_core::{Call, Map, Value};
use corpus_master::{Corpus, Failure, Kind, Progress};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

type Note<'a> = &'a (dyn Fn(Progress<'_>) + Sync);

/// Lists them: those that are declared to have guests, those that have some, and the boxes that were attached.
pub fn list(corpus: &Arc<Corpus>, call: &Call, progress: Note<'_>) -> Answer {
    let at = At::new(corpus, progress)?;
    let all = known(&at)?;
    let out: Map = all.into_iter().map(|(node, (drivers, guests))| (node, one(&drivers, &guests))).collect();
    Ok(finish(&at, call, out.into(), false))
}

/// Describes one, asking it.
pub fn show(corpus: &Arc<Corpus>, call: &Call, progress: Note<'_>) -> Answer {
    let at = At::new(corpus, progress)?;
    let Some(node) = call.text(0, "node") else {
        return Err(Failure::new(Kind::Usage, "node.show: no node is named").hint("`corpus node.list` lists them"));
    };
    let all = known(&at)?;
    let (drivers, guests) = all.get(&node).cloned().unwrap_or_default();
    let declared = at.declared(&[])?;
    let seen = at.with(&declared, false, None, |cloud| look(cloud, &node))?;
    let mut out = one(&drivers, &guests);
    out.0.extend(seen.map_err(|why| Failure::new(Kind::Host, why))?.0);
    Ok(finish(&at, call, out.into(), false))
}

/// Drivers and guests by node.
type Known = BTreeMap<String, (BTreeSet<String>, BTreeSet<String>)>;

fn known(at: &At<'_>) -> Result<Known, Failure> {
    let declared = at.declared(&[])?;
    let ledger: Ledger =
        at.store.read("ledger.json").map_err(|error| Failure::new(Kind::Function, error.to_string()))?;
    let mut all = Known::new();
    let made = ledger.guests.values().flat_map(|entry| entry.specs());
    for spec in declared.guests.values().chain(made) {
        // A box that was attached is a node itself.
        if spec.driver == "saltify" {
            all.entry(spec.id.clone()).or_default();
            continue;
        }
        let (drivers, guests) = all.entry(spec.node.clone()).or_default();
        drivers.insert(spec.driver.clone());
        guests.insert(spec.id.clone());
    }
    for node in declared.nodes.keys() {
        all.entry(node.clone()).or_default();
    }
    Ok(all)
}

fn one(drivers: &BTreeSet<String>, guests: &BTreeSet<String>) -> Map {
    let list = |names: &BTreeSet<String>| names.iter().cloned().collect::<Vec<_>>();
    [("drivers", list(drivers)), ("guests", list(guests))].into_iter().collect()
}

/// Memory and disk, in bytes, as the node itself counts them.
fn look(cloud: &Cloud<'_>, node: &str) -> Result<Map, String> {
    let at = Place::Minion(node.to_owned());
    let ask = |fun: &str| cloud.ask(&at, &Call::new(fun, vec![])).map_err(|error| error.to_string());
    let mut out = Map::new();
    out.insert("address", cloud.node(node).address);
    let memory = ask("status.meminfo")?;
    let bytes = |key: &str| {
        let kilobytes = memory.traverse(&format!("{key}:value"), ":").map(corpus_core::python::str);
        kilobytes.and_then(|text| text.parse::<u64>().ok()).map(|kilobytes| kilobytes * 1024)
    };
    out.insert("memory", bytes("MemTotal"));
    out.insert("memory_free", bytes("MemAvailable"));
    let mut disks = Map::new();
    for (place, usage) in ask("disk.usage")?.as_map().into_iter().flatten() {
        let number = |key: &str| usage.get(key).map(corpus_core::python::str).and_then(|text| text.parse::<u64>().ok());
        if let (Some(all), Some(free)) = (number("1K-blocks"), number("available")) {
            let one: Map = [("size", all * 1024), ("free", free * 1024)].into_iter().collect();
            disks.insert(place.clone(), Value::from(one));
        }
    }
    out.insert("disks", disks);
    Ok(out)
}
