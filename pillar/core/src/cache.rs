//! Answers of sources, kept per minion for a lifetime that the configuration names, and only as long as what they were
//! made of is the same.

use crate::source::{Ask, PillarSource, Secret};
use corpus_core::{Map, Value};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// A kept answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Kept {
    pub pillar: Map,
    pub secret: Secret,
    /// Digest of what the source read.
    pub stamp: Option<String>,
}

/// Salt's `pillar_cache`: with a directory it outlives the process.
pub struct PillarCache {
    dir: Option<PathBuf>,
    lifetime: Duration,
    memory: Mutex<HashMap<String, (SystemTime, Kept)>>,
}

impl PillarCache {
    /// Makes a cache whose answers are good for a time; `dir` is nobody else's to read.
    pub fn new(dir: Option<PathBuf>, lifetime: Duration) -> Self {
        Self { dir, lifetime, memory: Mutex::default() }
    }

    /// Names an answer by all that the source sees.
    pub fn key(&self, source: &dyn PillarSource, ask: &Ask) -> String {
        let mut hash = Sha256::new();
        let env = ask.pillarenv.as_deref().unwrap_or("\0");
        for text in [source.name(), &source.identity(), &ask.data.id, &ask.saltenv, env] {
            add(&mut hash, &Value::str(text));
        }
        let sees = source.sees();
        for (seen, value) in [(sees.grains, &ask.data.grains), (sees.pillar, &ask.data.pillar)] {
            if seen {
                add(&mut hash, value);
            }
        }
        let digest: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        // The minion comes first, so that its answers can be found and dropped.
        format!("{}-{digest}", minion_part(&ask.data.id))
    }

    /// Returns an answer that is young enough and made of the same content.
    pub fn get(&self, key: &str, stamp: Option<&str>) -> Option<Kept> {
        let now = SystemTime::now();
        let fresh = |made: SystemTime, kept: &Kept| {
            now.duration_since(made).is_ok_and(|age| age < self.lifetime) && kept.stamp.as_deref() == stamp
        };
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        match memory.get(key) {
            Some((made, kept)) if fresh(*made, kept) => return Some(kept.clone()),
            Some(_) => _ = memory.remove(key),
            None => {}
        }
        drop(memory);
        let path = self.dir.as_ref()?.join(key);
        let made = std::fs::metadata(&path).and_then(|meta| meta.modified()).ok()?;
        let kept = unpack_file(&path)?;
        if !fresh(made, &kept) {
            let _ = std::fs::remove_file(&path);
            return None;
        }
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        memory.insert(key.to_owned(), (made, kept.clone()));
        Some(kept)
    }

    /// Keeps an answer. One that cannot be written is kept in memory alone.
    pub fn put(&self, key: &str, kept: Kept) {
        if let Some(dir) = &self.dir
            && let Err(error) = write(dir, key, &kept)
        {
            tracing::warn!("the pillar cache {} cannot be written: {error}", dir.display());
        }
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        memory.insert(key.to_owned(), (SystemTime::now(), kept));
    }

    /// Forgets the answers for one minion, or all.
    pub fn clear(&self, id: Option<&str>) {
        let prefix = id.map(|id| format!("{}-", minion_part(id))).unwrap_or_default();
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        memory.retain(|key, _| !key.starts_with(&prefix));
        for entry in self.dir.iter().flat_map(std::fs::read_dir).flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(&prefix) {
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }
}

/// Digests a value; no two values are digested as the same bytes.
fn add(hash: &mut Sha256, value: &Value) {
    let mut head = |tag: u8, number: u64| {
        hash.update([tag]);
        hash.update(number.to_le_bytes());
    };
    match value {
        Value::Null => head(0, 0),
        Value::Bool(b) => head(1, u64::from(*b)),
        Value::Int(i) => head(2, i.cast_unsigned()),
        Value::Float(x) => head(3, x.to_bits()),
        Value::Str(text) => {
            head(4, text.len() as u64);
            hash.update(text.as_bytes());
        }
        Value::List(items) => {
            head(5, items.len() as u64);
            items.iter().for_each(|item| add(hash, item));
        }
        Value::Map(map) => {
            head(6, map.len() as u64);
            for (key, value) in &**map {
                add(hash, key);
                add(hash, value);
            }
        }
    }
}

/// An id as a part of a file name: ids come from rosters and need not be fit for one.
fn minion_part(id: &str) -> String {
    let digest = Sha256::digest(id);
    digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// Files are their owner's alone, and old or new.
fn write(dir: &Path, key: &str, kept: &Kept) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    let mut file = tempfile::NamedTempFile::new_in(dir)?;
    let secret = match &kept.secret {
        Secret::Nothing => serde_json::Value::Null,
        Secret::Everything => serde_json::Value::Bool(true),
        Secret::Below(paths) => serde_json::json!(paths),
    };
    let pillar = pack(&Value::map(kept.pillar.clone()));
    serde_json::to_writer(&mut file, &serde_json::json!([kept.stamp, secret, pillar]))?;
    file.flush()?;
    file.persist(dir.join(key)).map_err(|error| error.error)?;
    Ok(())
}

/// A value as JSON that leads back to the same value: mappings are lists of pairs in a list, as keys need not be text.
fn pack(value: &Value) -> serde_json::Value {
    use serde_json::json;
    match value {
        Value::List(items) => json!({"l": items.iter().map(pack).collect::<Vec<_>>()}),
        Value::Map(map) => json!({"m": map.iter().map(|(k, v)| [pack(k), pack(v)]).collect::<Vec<_>>()}),
        Value::Float(x) if !x.is_finite() => json!({"f": x.to_string()}),
        scalar => json!(scalar),
    }
}

fn unpack(json: serde_json::Value) -> Option<Value> {
    let serde_json::Value::Object(tagged) = json else { return serde_json::from_value(json).ok() };
    Some(match tagged.into_iter().next()? {
        (tag, serde_json::Value::String(text)) if tag == "f" => Value::Float(text.parse().ok()?),
        (tag, serde_json::Value::Array(items)) if tag == "l" => {
            Value::list(items.into_iter().map(unpack).collect::<Option<_>>()?)
        }
        (tag, serde_json::Value::Array(pairs)) if tag == "m" => {
            let mut map = Map::new();
            for pair in pairs {
                let [key, value] = serde_json::from_value::<[serde_json::Value; 2]>(pair).ok()?;
                map.0.insert(unpack(key)?, unpack(value)?);
            }
            Value::map(map)
        }
        _ => return None,
    })
}

fn unpack_file(path: &Path) -> Option<Kept> {
    let (stamp, secret, pillar): (Option<String>, serde_json::Value, serde_json::Value) =
        serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
    let secret = match secret {
        serde_json::Value::Null => Secret::Nothing,
        serde_json::Value::Bool(true) => Secret::Everything,
        paths => Secret::Below(serde_json::from_value(paths).ok()?),
    };
    Some(Kept { pillar: unpack(pillar)?.as_map()?.clone(), secret, stamp })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept() -> Kept {
        let inner: Map = [(Value::Int(1), Value::Float(2.0)), (Value::Null, Value::Bool(true))].into_iter().collect();
        let pillar: Map =
            [("a", Value::map(inner)), ("l", Value::list(vec!["x".into(), 3.into()]))].into_iter().collect();
        Kept { pillar, secret: Secret::Below(vec!["a:b".into()]), stamp: Some("s".into()) }
    }

    #[test]
    fn keeps_types_and_forgets_in_time() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("cache");
        let new = |seconds| PillarCache::new(Some(place.clone()), Duration::from_secs(seconds));
        let key = format!("{}-x", minion_part("web"));
        new(60).put(&key, kept());
        // Of another process, and exactly as it was: 2.0 is no 2.
        let found = new(60).get(&key, Some("s")).unwrap();
        assert_eq!(format!("{found:?}"), format!("{:?}", kept()));
        use std::os::unix::fs::MetadataExt;
        assert_eq!(std::fs::metadata(place.join(&key)).unwrap().mode() & 0o777, 0o600);
        assert_eq!(std::fs::metadata(&place).unwrap().mode() & 0o777, 0o700);
        assert_eq!(new(60).get(&key, Some("other")), None, "other content");
        assert!(!place.join(&key).exists());
        new(60).put(&key, kept());
        assert_eq!(new(0).get(&key, Some("s")), None, "too old");
        let cache = new(60);
        cache.put(&key, kept());
        cache.clear(Some("db"));
        assert!(cache.get(&key, Some("s")).is_some());
        cache.clear(Some("web"));
        assert!(cache.get(&key, Some("s")).is_none() && !place.join(&key).exists());
        std::fs::write(place.join(&key), "not json").unwrap();
        assert_eq!(new(60).get(&key, Some("s")), None);
    }
}
