//! Aggregation: the packages of later chunks are asked for with the first, in one go.
//!
//! As in Salt the later chunks run too, and find nothing left to do. Unlike Salt, a chunk is left alone
//! if it is conditional or if anything that it waits for has not run yet.

use crate::walker::Walk;
use corpus_core::{LowChunk, Map, Value};

const FUNCTIONS: [&str; 4] = ["installed", "latest", "removed", "purged"];
/// Arguments under which a chunk stands for itself alone.
const CONDITIONS: [&str; 5] = ["onlyif", "unless", "creates", "hold", "parallel"];

/// Returns the chunk with the packages of later ones added, if there are any to add.
pub(crate) fn fold(walk: &mut Walk<'_, '_>, i: usize) -> Option<LowChunk> {
    let chunks = &walk.ground.low.chunks;
    let first = &chunks[i];
    if walk.folded[i] || !allowed(walk, first) || CONDITIONS.iter().any(|word| first.args.contains(word)) {
        return None;
    }
    let key = if first.args.contains("sources") { "sources" } else { "pkgs" };
    let mut added = vec![];
    for (j, low) in chunks.iter().enumerate().skip(i + 1) {
        let same = low.fun == first.fun && low.args.get("fromrepo") == first.args.get("fromrepo");
        if !same || walk.folded[j] || walk.decided[j].is_some() || !allowed(walk, low) || !free(walk, j) {
            continue;
        }
        match (low.args.get(key), low.args.contains("sources")) {
            (Some(Value::List(items)), _) => added.extend(items.iter().cloned()),
            (Some(_), _) | (None, true) => continue,
            (None, false) if key == "sources" || low.args.contains("pkgs") => continue,
            (None, false) => added.push(one(low)),
        }
        walk.folded[j] = true;
    }
    if added.is_empty() {
        return None;
    }
    let mut low = first.clone();
    let mut all = match low.args.get(key) {
        Some(Value::List(items)) => items.to_vec(),
        _ => vec![one(first)],
    };
    low.args.remove("version");
    for item in added {
        if !all.contains(&item) {
            all.push(item);
        }
    }
    low.args.insert(key, Value::list(all));
    Some(low)
}

fn allowed(walk: &Walk<'_, '_>, low: &LowChunk) -> bool {
    let wanted = match low.args.get("aggregate") {
        Some(Value::Bool(b)) => *b,
        Some(Value::List(states)) => states.iter().any(|state| state.as_str() == Some(&low.state)),
        Some(_) => false,
        None => walk.ground.runner.options.aggregate,
    };
    wanted && &*low.state == "pkg" && FUNCTIONS.contains(&&*low.fun)
}

/// Tells whether a chunk could run right now, whatever else happens.
fn free(walk: &Walk<'_, '_>, j: usize) -> bool {
    use corpus_core::RequisiteKind::{Require, RequireAny, Watch, WatchAny};
    let plain = |kind| matches!(kind, Require | RequireAny | Watch | WatchAny);
    let ready = |t: usize| walk.decided[t].as_ref().is_some_and(|decided| decided.record.result != Some(false));
    !CONDITIONS.iter().any(|word| walk.ground.low.chunks[j].args.contains(word))
        && walk.targets(j, true).into_iter().all(|(kind, t)| plain(kind) && ready(t))
}

fn one(low: &LowChunk) -> Value {
    match low.args.get("version").filter(|version| !version.is_null()) {
        Some(version) => Value::map([(low.name.clone(), version.clone())].into_iter().collect::<Map>()),
        None => low.name.clone(),
    }
}
