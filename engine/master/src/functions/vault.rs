//! `vault.*`: secrets of Vault and OpenBao, read and written by the master with its own right.

use super::MasterDef;
use crate::Session;
use crate::sdb::{Profiles, keep};
use corpus_core::{Call, Data, ExecError, Map, Value, python};
use corpus_pillar_http::vault::Vault;
use std::sync::Arc;

/// The functions of this module.
pub const FNS: &[MasterDef] = &[
    MasterDef {
        name: "vault.read_secret",
        args: "(path, key=None, metadata=False, default=NOT_SET, version=None)",
        doc: "Returns a secret of a Vault, or one of its fields.",
        run: read_secret,
    },
    MasterDef {
        name: "vault.read_secret_meta",
        args: "(path)",
        doc: "Returns what a KV engine of version 2 says of a secret and its versions.",
        run: read_secret_meta,
    },
    MasterDef {
        name: "vault.write_secret",
        args: "(path, **kwargs)",
        doc: "Sets the fields of a secret; others that it had are gone.",
        run: write_secret,
    },
    MasterDef { name: "vault.write_raw", args: "(path, raw)", doc: "Sets a secret to a mapping.", run: write_raw },
    MasterDef {
        name: "vault.patch_secret",
        args: "(path, **kwargs)",
        doc: "Sets some fields of a secret; null takes one away.",
        run: patch_secret,
    },
    MasterDef {
        name: "vault.delete_secret",
        args: "(path, *args)",
        doc: "Deletes a secret; on a KV engine of version 2 its newest version or the given ones, which can be restored.",
        run: delete_secret,
    },
    MasterDef {
        name: "vault.destroy_secret",
        args: "(path, *args)",
        doc: "Destroys versions of a secret for good.",
        run: destroy_secret,
    },
    MasterDef {
        name: "vault.list_secrets",
        args: "(path, default=NOT_SET, keys_only=False)",
        doc: "Names the secrets below a path.",
        run: list_secrets,
    },
    MasterDef {
        name: "vault.query",
        args: "(method, endpoint, payload=None)",
        doc: "Asks anything of the server's HTTP interface.",
        run: query,
    },
];

fn vault(session: &Arc<Session>, data: &Data) -> Result<Arc<Vault>, ExecError> {
    let opts = session.opts();
    let profiles = Profiles::new(&opts, &data.pillar, &*session.corpus.decrypt);
    let setting = opts.get("vault").map(|setting| profiles.resolved(setting)).transpose();
    setting.and_then(|setting| Vault::of(setting.as_ref())).map_err(ExecError::Failed)
}

fn read_secret(call: &Call, session: &Arc<Session>, data: &Arc<Data>) -> Result<Value, ExecError> {
    let path = call.need(0, "path")?;
    let key = call.arg(1, "key").filter(|key| !key.is_null()).map(python::str);
    let version = call.arg(4, "version").and_then(Value::as_int);
    let metadata = key.is_none() && call.arg(2, "metadata").is_some_and(Value::truthy);
    let vault = vault(session, data)?;
    let found = if metadata {
        vault.read_with_metadata(&path, version)
    } else {
        vault.read(&path, version).and_then(|found| match (&key, found) {
            (_, None) => Ok(None),
            (None, Some(all)) => Ok(Some(Value::map(all))),
            (Some(key), Some(all)) => {
                all.get(key).cloned().map(Some).ok_or_else(|| format!("KeyError: '{key}': {path} has no such field"))
            }
        })
    };
    let found = found.and_then(|found| found.ok_or_else(|| format!("VaultNotFoundError: there is no secret {path}")));
    match (found, call.arg(3, "default")) {
        (Ok(found), _) => {
            // What the server says of it is none.
            keep(if metadata { found.get("data").unwrap_or(&Value::Null) } else { &found });
            Ok(found)
        }
        (Err(_), Some(default)) => Ok(default.clone()),
        (Err(why), None) => Err(ExecError::failed(format!("Failed to read secret! {why}"))),
    }
}

fn read_secret_meta(call: &Call, session: &Arc<Session>, data: &Arc<Data>) -> Result<Value, ExecError> {
    vault(session, data)?.metadata(&call.need(0, "path")?).map_err(ExecError::Failed)
}

/// The fields that a call gives.
fn fields(call: &Call) -> Map {
    let own = |key: &Value| python::str(key).starts_with("__") || python::str(key) == "path";
    let fields: Map = call.kwargs.iter().filter(|(key, _)| !own(key)).map(|(k, v)| (k.clone(), v.clone())).collect();
    keep(&Value::map(fields.clone()));
    fields
}

fn write_secret(call: &Call, session: &Arc<Session>, data: &Arc<Data>) -> Result<Value, ExecError> {
    let path = call.need(0, "path")?;
    vault(session, data)?.write(&path, &fields(call)).map_err(failed("write"))
}

fn write_raw(call: &Call, session: &Arc<Session>, data: &Arc<Data>) -> Result<Value, ExecError> {
    let path = call.need(0, "path")?;
    let raw = call.arg(1, "raw").ok_or_else(|| call.missing("raw"))?;
    keep(raw);
    let raw = raw.as_map().ok_or_else(|| call.invalid("raw", "it is no mapping"))?;
    vault(session, data)?.write(&path, raw).map_err(failed("write"))
}

fn patch_secret(call: &Call, session: &Arc<Session>, data: &Arc<Data>) -> Result<Value, ExecError> {
    let path = call.need(0, "path")?;
    vault(session, data)?.patch(&path, &fields(call)).map_err(failed("patch"))
}

fn failed(what: &'static str) -> impl Fn(String) -> ExecError {
    move |why| ExecError::failed(format!("Failed to {what} secret! {why}"))
}

fn versions(call: &Call) -> Result<Vec<i64>, ExecError> {
    let number = |value: &Value| {
        let number = value.as_int().or_else(|| value.as_str()?.parse().ok());
        number.ok_or_else(|| call.invalid("args", "Versions have to be specified as integers."))
    };
    call.args.iter().skip(1).map(number).collect()
}

fn delete_secret(call: &Call, session: &Arc<Session>, data: &Arc<Data>) -> Result<Value, ExecError> {
    let path = call.need(0, "path")?;
    vault(session, data)?.delete(&path, &versions(call)?).map(|()| true.into()).map_err(failed("delete"))
}

fn destroy_secret(call: &Call, session: &Arc<Session>, data: &Arc<Data>) -> Result<Value, ExecError> {
    let path = call.need(0, "path")?;
    let versions = versions(call)?;
    if versions.is_empty() {
        return Err(call.missing("args"));
    }
    vault(session, data)?.destroy(&path, &versions).map(|()| true.into()).map_err(failed("destroy"))
}

fn list_secrets(call: &Call, session: &Arc<Session>, data: &Arc<Data>) -> Result<Value, ExecError> {
    let path = call.need(0, "path")?;
    let found = vault(session, data)?.list(&path);
    let found = found.and_then(|found| found.ok_or_else(|| format!("VaultNotFoundError: nothing is below {path}")));
    match (found, call.arg(1, "default")) {
        (Ok(keys), _) if call.arg(2, "keys_only").is_some_and(Value::truthy) => Ok(keys),
        (Ok(keys), _) => Ok([("keys", keys)].into_iter().collect::<Map>().into()),
        (Err(_), Some(default)) => Ok(default.clone()),
        (Err(why), None) => Err(ExecError::failed(format!("Failed to list secrets! {why}"))),
    }
}

fn query(call: &Call, session: &Arc<Session>, data: &Arc<Data>) -> Result<Value, ExecError> {
    let (method, endpoint) = (call.need(0, "method")?, call.need(1, "endpoint")?);
    let payload = call.arg(2, "payload").filter(|payload| !payload.is_null());
    let found = vault(session, data)?.query(&method, &endpoint, payload).map_err(ExecError::Failed)?;
    keep(&found.get("data").cloned().unwrap_or_default());
    Ok(found)
}
