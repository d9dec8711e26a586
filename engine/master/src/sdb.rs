//! Key stores: `sdb://PROFILE/KEY` names a value that is kept elsewhere, with a profile of the configuration saying where.
//! What is looked up is a secret, and so is what is put there.

mod stores;

use crate::Session;
use corpus_core::{Call, Data, ExecError, Map, Value, python, secret};
use corpus_render::Decrypt;
use std::sync::Arc;

/// Where values are kept. A key that is not there is `None`; the error says why it cannot be known.
trait KeyStore {
    fn get(&self, key: &str) -> Result<Option<Value>, String>;
    fn set(&self, _key: &str, _value: &Value) -> Result<(), String> {
        Err("this store is only read".into())
    }
    fn delete(&self, _key: &str) -> Result<(), String> {
        Err("this store is only read".into())
    }
}

/// What profiles and their settings are taken from.
#[derive(Clone)]
pub struct Profiles<'a> {
    pub opts: &'a Map,
    pub pillar: &'a Value,
    pub decrypt: &'a dyn Decrypt,
    /// The profiles that are being opened: one may name a value of another, but not in a circle.
    open: Vec<String>,
}

impl<'a> Profiles<'a> {
    /// Takes them from the configuration, and from the pillar where that has none.
    pub fn new(opts: &'a Map, pillar: &'a Value, decrypt: &'a dyn Decrypt) -> Self {
        Self { opts, pillar, decrypt, open: vec![] }
    }

    /// Looks an address up; a text that is none is its own value, as in Salt.
    pub fn get(&self, uri: &str) -> Result<Value, String> {
        if !uri.starts_with(SCHEME) {
            return Ok(uri.into());
        }
        let found = self.at(uri, |store, key| store.get(key))?.unwrap_or_default();
        keep(&found);
        Ok(found)
    }

    /// Puts a value at an address.
    pub fn set(&self, uri: &str, value: &Value) -> Result<(), String> {
        keep(value);
        self.at(uri, |store, key| store.set(key, value))
    }

    /// Takes the value of an address away.
    pub fn delete(&self, uri: &str) -> Result<(), String> {
        self.at(uri, |store, key| store.delete(key))
    }

    fn at<T>(&self, uri: &str, run: impl Fn(&dyn KeyStore, &str) -> Result<T, String>) -> Result<T, String> {
        let rest = uri.strip_prefix(SCHEME).ok_or_else(|| format!("`{uri}` does not begin with {SCHEME}"))?;
        let (name, key) =
            rest.split_once('/').filter(|(name, key)| !name.is_empty() && !key.is_empty()).ok_or_else(|| {
                format!(
                    "`{uri}` names no key: write {SCHEME}PROFILE/KEY, where PROFILE is an entry of the configuration"
                )
            })?;
        let named = self.opts.get(name).or_else(|| self.pillar.get(name)).and_then(Value::as_map);
        let Some(profile) = named.filter(|profile| profile.contains("driver")) else {
            return Err(format!(
                "`{uri}`: SDB profile \"{name}\" wasnt found in the configuration: it is an entry with a `driver`"
            ));
        };
        if self.open.iter().any(|open| open == name) {
            return Err(format!("`{uri}`: the sdb profile `{name}` needs a value of its own"));
        }
        let mut inner = self.clone();
        inner.open.push(name.to_owned());
        let profile = inner.resolved(&Value::map(profile.clone()))?;
        let store = stores::make(name, profile.as_map().unwrap_or(&Map::new()), &inner)?;
        run(&*store, key).map_err(|why| format!("{SCHEME}{name}/{key}: {why}"))
    }

    /// Returns a setting with the addresses in it replaced by what they name.
    pub fn resolved(&self, value: &Value) -> Result<Value, String> {
        Ok(match value {
            Value::Str(text) if text.starts_with(SCHEME) => self.get(text)?,
            Value::List(items) if holds_address(value) => {
                Value::list(items.iter().map(|item| self.resolved(item)).collect::<Result<Vec<_>, _>>()?)
            }
            Value::Map(map) if holds_address(value) => {
                let pairs = map.iter().map(|(key, value)| Ok((key.clone(), self.resolved(value)?)));
                Value::map(pairs.collect::<Result<Map, String>>()?)
            }
            other => other.clone(),
        })
    }
}

const SCHEME: &str = "sdb://";

/// Puts a value on the list of secrets, with all that is in it.
pub fn keep(value: &Value) {
    match value {
        Value::Str(text) => secret::keep([&**text]),
        Value::Int(_) | Value::Float(_) => secret::keep([python::str(value)]),
        Value::List(items) => items.iter().for_each(keep),
        Value::Map(map) => map.values().for_each(keep),
        Value::Null | Value::Bool(_) => {}
    }
}

/// Replaces the addresses in settings by what they name, as Salt does when it reads its configuration.
pub fn apply(opts: &mut Map, decrypt: &dyn Decrypt) -> Result<(), String> {
    if !opts.values().any(holds_address) {
        return Ok(());
    }
    let asked = opts.clone();
    let profiles = Profiles::new(&asked, &Value::Null, decrypt);
    for (key, value) in &mut opts.0 {
        // What stores need themselves is looked up when they are opened.
        let later = value.as_map().is_some_and(|map| map.contains("driver"));
        if !later && holds_address(value) {
            let wrong = |why| format!("the setting `{}`: {why}", python::str(key));
            *value = profiles.resolved(value).map_err(wrong)?;
        }
    }
    Ok(())
}

fn holds_address(value: &Value) -> bool {
    match value {
        Value::Str(text) => text.starts_with(SCHEME),
        Value::List(items) => items.iter().any(holds_address),
        Value::Map(map) => map.values().any(holds_address),
        _ => false,
    }
}

/// Answers a function of data; `config.get` also looks up the addresses that it finds, as Salt's does.
pub fn settled(
    answer: Result<Value, ExecError>,
    call: &Call,
    session: &Arc<Session>,
    data: &Data,
) -> Result<Value, ExecError> {
    match answer {
        Ok(Value::Str(text)) if call.fun == "config.get" && text.starts_with(SCHEME) => {
            let opts = session.opts();
            let profiles = Profiles::new(&opts, &data.pillar, &*session.corpus.decrypt);
            profiles.get(&text).map_err(ExecError::Failed)
        }
        other => other,
    }
}
