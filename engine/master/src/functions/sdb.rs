//! `sdb.*`: values in key stores, looked up by the master.

use super::MasterDef;
use crate::Session;
use crate::sdb::Profiles;
use corpus_core::{Call, Data, ExecError, Value};
use std::io::Read;
use std::sync::Arc;

/// The functions of this module.
pub const FNS: &[MasterDef] = &[
    MasterDef {
        name: "sdb.get",
        args: "(uri, strict=False)",
        doc: "Looks a value up in a key store: `sdb://PROFILE/KEY`. What is no such address is returned as it is.",
        run: get,
    },
    MasterDef { name: "sdb.set", args: "(uri, value)", doc: "Puts a value into a key store.", run: set },
    MasterDef { name: "sdb.delete", args: "(uri)", doc: "Takes a key out of a key store.", run: delete },
    MasterDef {
        name: "sdb.get_or_set_hash",
        args: "(uri, length=8, chars='abcdefghijklmnopqrstuvwxyz0123456789!@#$%^&*(-_=+)')",
        doc: "Looks a value up; where there is none, a random text is made and put there first.",
        run: get_or_set_hash,
    },
];

const CHARS: &str = "abcdefghijklmnopqrstuvwxyz0123456789!@#$%^&*(-_=+)";

fn with<T>(
    session: &Arc<Session>,
    data: &Data,
    run: impl FnOnce(&Profiles<'_>) -> Result<T, String>,
) -> Result<T, ExecError> {
    run(&Profiles::new(&session.opts(), &data.pillar, &*session.corpus.decrypt)).map_err(ExecError::Failed)
}

fn get(call: &Call, session: &Arc<Session>, data: &Arc<Data>) -> Result<Value, ExecError> {
    let uri = call.need(0, "uri")?;
    if call.arg(1, "strict").is_some_and(Value::truthy) && !uri.starts_with("sdb://") {
        return Err(ExecError::failed("SDB uri must start with \"sdb://\""));
    }
    with(session, data, |profiles| profiles.get(&uri))
}

fn set(call: &Call, session: &Arc<Session>, data: &Arc<Data>) -> Result<Value, ExecError> {
    let value = call.arg(1, "value").ok_or_else(|| call.missing("value"))?;
    address(&call.need(0, "uri")?, |uri| with(session, data, |profiles| profiles.set(uri, value)))
}

fn delete(call: &Call, session: &Arc<Session>, data: &Arc<Data>) -> Result<Value, ExecError> {
    address(&call.need(0, "uri")?, |uri| with(session, data, |profiles| profiles.delete(uri)))
}

/// Salt: what is no address is answered with false.
fn address(uri: &str, run: impl FnOnce(&str) -> Result<(), ExecError>) -> Result<Value, ExecError> {
    if !uri.starts_with("sdb://") {
        return Ok(false.into());
    }
    run(uri).map(|()| true.into())
}

fn get_or_set_hash(call: &Call, session: &Arc<Session>, data: &Arc<Data>) -> Result<Value, ExecError> {
    let uri = call.need(0, "uri")?;
    let length = call.arg(1, "length").and_then(Value::as_int).unwrap_or(8).clamp(1, 4096);
    let chars: Vec<char> = call.text(2, "chars").unwrap_or_else(|| CHARS.into()).chars().collect();
    if chars.is_empty() {
        return Err(call.invalid("chars", "there is none to choose from"));
    }
    if !uri.starts_with("sdb://") {
        return Ok(false.into());
    }
    with(session, data, |profiles| {
        let found = profiles.get(&uri)?;
        if !found.is_null() {
            return Ok(found);
        }
        let text = random(&chars, length.unsigned_abs() as usize).map_err(|error| format!("/dev/urandom: {error}"))?;
        let made = Value::from(text);
        profiles.set(&uri, &made).map(|()| made)
    })
}

/// Chooses characters, each as likely as the other.
fn random(chars: &[char], length: usize) -> std::io::Result<String> {
    let mut source = std::fs::File::open("/dev/urandom")?;
    let fair = u32::MAX - u32::MAX % chars.len() as u32;
    let mut text = String::new();
    while text.chars().count() < length {
        let mut bytes = [0; 4];
        source.read_exact(&mut bytes)?;
        let number = u32::from_le_bytes(bytes);
        if number < fair {
            text.push(chars[(number % chars.len() as u32) as usize]);
        }
    }
    Ok(text)
}
