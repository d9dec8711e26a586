//! `environ.*`: the environment of this process, on the machine.

use corpus_core::value::{Map, Value};
use corpus_core::{Call, Data, ExecDef, ExecError, ExecFn, Look, python};

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
];

fn variable(name: &str) -> Option<String> {
    // `var_os` panics on such names in old releases of std, and no variable has them.
    if name.is_empty() || name.contains(['=', '\0']) {
        return None;
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
    let text = |s: std::ffi::OsString| Value::from(s.to_string_lossy().into_owned());
    Ok(std::env::vars_os().map(|(k, v)| (text(k), text(v))).collect::<Map>().into())
}
