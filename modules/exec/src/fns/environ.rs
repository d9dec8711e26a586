//! `environ.*`: the environment of this process, on the machine.

use corpus_core::value::{Map, Value};
use corpus_core::{Call, Data, ExecDef, ExecError, ExecFn, Look, python};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// The functions of this module.
pub const FNS: &[ExecDef] = &[
    ExecDef {
        name: "environ.get",
        args: "(key, default='')",
        doc: "Returns a variable, or the default.",
        run: ExecFn::Read(get),
    },
    ExecDef {
        name: "environ.has_value",
        args: "(key, value=None)",
        doc: "Tells whether a variable is set (to a value).",
        run: ExecFn::Read(has_value),
    },
    ExecDef {
        name: "environ.item",
        args: "(keys, default='')",
        doc: "Returns one or several variables.",
        run: ExecFn::Read(item),
    },
    ExecDef { name: "environ.items", args: "()", doc: "Returns all variables.", run: ExecFn::Read(items) },
    ExecDef {
        name: "environ.setval",
        args: "(key, val, false_unsets=False, permanent=False)",
        doc: "Sets a variable for what this process runs from now on.",
        run: ExecFn::Write(|call, _, _| {
            let value = call.arg(1, "val").cloned().unwrap_or_default();
            set(&call.need(0, "key")?, &value, call.flag(2, "false_unsets", false))
        }),
    },
    ExecDef {
        name: "environ.setenv",
        args: "(environ, false_unsets=False, clear_all=False, update_minion=False, permanent=False)",
        doc: "Sets several variables for what this process runs from now on.",
        run: ExecFn::Write(setenv),
    },
];

/// What was set since this process began; null for what was taken away. A process of several threads
/// cannot change its own environment safely, so it is laid over it wherever a program starts.
static SET: Mutex<BTreeMap<String, Option<String>>> = Mutex::new(BTreeMap::new());

/// Returns what was set since this process began, to be laid over the environment of a program.
pub fn overlaid() -> BTreeMap<String, Option<String>> {
    SET.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

fn set(key: &str, value: &Value, false_unsets: bool) -> Result<Value, ExecError> {
    if key.is_empty() || key.contains(['=', '\0']) {
        return Err(ExecError::failed(format!("environ: `{key}` is no name of a variable")));
    }
    let text = match value {
        Value::Bool(false) if false_unsets => None,
        Value::Bool(false) => Some(String::new()),
        Value::Str(text) => Some(text.to_string()),
        _ => return Ok(false.into()),
    };
    SET.lock().unwrap_or_else(PoisonError::into_inner).insert(key.to_owned(), text.clone());
    Ok(text.map_or(Value::Null, Value::from))
}

fn setenv(call: &Call, _: &dyn corpus_core::Act, _: &Data) -> Result<Value, ExecError> {
    let Some(wanted) = call.arg(0, "environ").and_then(Value::as_map) else { return Ok(false.into()) };
    let unset = call.flag(1, "false_unsets", false);
    let mut changed = Map::new();
    if call.flag(2, "clear_all", false) {
        for key in all().keys() {
            let name = python::str(key);
            if !wanted.contains(&name) {
                changed.insert(name.as_str(), set(&name, &false.into(), unset)?);
            }
        }
    }
    for (key, value) in wanted {
        let name = python::str(key);
        changed.insert(name.as_str(), set(&name, value, unset)?);
    }
    Ok(changed.into())
}

/// Returns a variable of this process.
pub fn variable(name: &str) -> Option<String> {
    // `var_os` panics on such names in old releases of std, and no variable has them.
    if name.is_empty() || name.contains(['=', '\0']) {
        return None;
    }
    if let Some(value) = overlaid().get(name) {
        return value.clone();
    }
    std::env::var_os(name).map(|v| v.to_string_lossy().into_owned())
}

fn get(call: &Call, _: &dyn Look, _: &Data) -> Result<Value, ExecError> {
    let Some(key) = call.arg(0, "key").and_then(Value::as_str) else { return Ok(false.into()) };
    Ok(variable(key).map(Value::from).unwrap_or_else(|| call.arg(1, "default").cloned().unwrap_or_else(|| "".into())))
}

fn has_value(call: &Call, _: &dyn Look, _: &Data) -> Result<Value, ExecError> {
    let Some(key) = call.arg(0, "key").and_then(Value::as_str) else { return Ok(false.into()) };
    let wanted = call.text(1, "value");
    Ok(variable(key).is_some_and(|seen| wanted.is_none_or(|w| w == seen)).into())
}

fn item(call: &Call, _: &dyn Look, _: &Data) -> Result<Value, ExecError> {
    let keys = call.arg(0, "keys").ok_or_else(|| call.missing("keys"))?;
    let keys = keys.as_list().unwrap_or(std::slice::from_ref(keys));
    let default = call.arg(1, "default").cloned().unwrap_or_else(|| "".into());
    let of = |key: &Value| (key.clone(), variable(&python::str(key)).map_or_else(|| default.clone(), Value::from));
    Ok(keys.iter().map(of).collect::<Map>().into())
}

fn items(_: &Call, _: &dyn Look, _: &Data) -> Result<Value, ExecError> {
    Ok(all().into())
}

/// Returns all variables of this process.
pub fn all() -> Map {
    let text = |s: std::ffi::OsString| Value::from(s.to_string_lossy().into_owned());
    let mut all: Map = std::env::vars_os().map(|(k, v)| (text(k), text(v))).collect();
    for (name, value) in overlaid() {
        match value {
            Some(value) => _ = all.insert(name, value),
            None => _ = all.remove(&name),
        }
    }
    all
}
