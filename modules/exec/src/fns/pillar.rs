//! `pillar.*`: the data that belongs to this minion.

use super::slsutil::{extend, update};
use corpus_core::value::{Map, Value};
use corpus_core::{Call, Data, ExecDef, ExecError, ExecFn};

/// The functions of this module.
pub const FNS: &[ExecDef] = &[
    ExecDef {
        name: "pillar.get",
        args: "(key, default='', merge=False, merge_nested_lists=None, delimiter=':', pillarenv=None, saltenv=None, unmask=None)",
        doc: "Returns the value of a key, `a:b:c` for nested ones, or the default.",
        run: ExecFn::Data(get),
    },
    ExecDef {
        name: "pillar.fetch",
        args: "(key, default='', merge=False)",
        doc: "Is `pillar.get`.",
        run: ExecFn::Data(get),
    },
    ExecDef {
        name: "pillar.item",
        args: "(*keys, default='', delimiter=':')",
        doc: "Returns the values of several keys.",
        run: ExecFn::Data(item),
    },
    ExecDef {
        name: "pillar.items",
        args: "(*keys)",
        doc: "Returns the whole pillar, or some keys of it.",
        run: ExecFn::Data(items),
    },
    ExecDef { name: "pillar.data", args: "(*keys)", doc: "Is `pillar.items`.", run: ExecFn::Data(items) },
    ExecDef {
        name: "pillar.raw",
        args: "(key=None, unmask=None)",
        doc: "Returns the pillar in memory, or one key of it.",
        run: ExecFn::Data(raw),
    },
    ExecDef { name: "pillar.ls", args: "()", doc: "Lists the keys of the pillar.", run: ExecFn::Data(ls) },
    ExecDef {
        name: "pillar.keys",
        args: "(key, delimiter=':', unmask=None)",
        doc: "Lists the keys under a key.",
        run: ExecFn::Data(keys),
    },
    ExecDef {
        name: "pillar.obfuscate",
        args: "(*keys)",
        doc: "Returns the pillar with the types in place of the values.",
        run: ExecFn::Data(obfuscate),
    },
    ExecDef {
        name: "pillar.filter_by",
        args: "(lookup_dict, pillar, merge=None, default='default', base=None)",
        doc: "Chooses from a mapping by a pillar value, as `grains.filter_by` does by a grain.",
        run: ExecFn::Data(filter_by),
    },
];

pub(crate) fn delimiter(call: &Call, place: usize) -> String {
    call.text(place, "delimiter").filter(|d| !d.is_empty()).unwrap_or_else(|| ":".into())
}

/// Follows a path, or returns `None`. Salt splits the path always; an empty pillar has nothing.
pub(crate) fn find(data: &Value, key: &Value, delimiter: &str) -> Option<Value> {
    match key {
        Value::Int(i) => data.as_map()?.get_int(*i).cloned(),
        key => data.traverse(&corpus_core::python::str(key), delimiter).cloned(),
    }
}

fn get(call: &Call, data: &Data) -> Result<Value, ExecError> {
    let key = call.arg(0, "key").ok_or_else(|| call.missing("key"))?;
    let default = call.arg(1, "default");
    let delimiter = delimiter(call, 4);
    let found = find(&data.pillar, key, &delimiter);
    let option = |name: &str| data.opts.get(name).is_some_and(Value::truthy);
    if call.flag(2, "merge", false) {
        let lists = call.flag(3, "merge_nested_lists", option("pillar_merge_lists"));
        match (default, &found) {
            (Some(Value::Map(_)), None | Some(Value::Map(_))) => {
                let mut merged = default.cloned().unwrap_or_default();
                update(&mut merged, &found.unwrap_or_else(|| Map::new().into()), true, lists)?;
                return Ok(merged);
            }
            (Some(Value::List(list)), None | Some(Value::List(_))) => {
                let mut merged = list.to_vec();
                extend(&mut merged, found.as_ref().and_then(Value::as_list).unwrap_or_default());
                return Ok(merged.into());
            }
            (default, found) => {
                let kind = |value: Option<&Value>| value.map_or("str", Value::type_name);
                tracing::error!(
                    "pillar.get: Default is of type '{}', the pillar value of type '{}'. Merge will be skipped.",
                    kind(default),
                    kind(found.as_ref())
                );
            }
        }
    }
    match (found, default) {
        (Some(found), _) => Ok(found),
        (None, Some(default)) => Ok(default.clone()),
        (None, None) if option("pillar_raise_on_missing") => {
            Err(ExecError::failed(format!("Pillar key not found: {}", corpus_core::python::str(key))))
        }
        (None, None) => Ok("".into()),
    }
}

/// Returns several keys of some data (`pillar.item`, `grains.item`).
pub(crate) fn several(call: &Call, data: &Value) -> Value {
    let default = call.kwargs.get("default").filter(|d| !d.is_null()).cloned().unwrap_or_else(|| "".into());
    let delimiter = delimiter(call, usize::MAX);
    let of = |key: &Value| (key.clone(), find(data, key, &delimiter).unwrap_or_else(|| default.clone()));
    Value::from(call.args.iter().map(of).collect::<Map>())
}

fn item(call: &Call, data: &Data) -> Result<Value, ExecError> {
    Ok(several(call, &data.pillar))
}

fn items(call: &Call, data: &Data) -> Result<Value, ExecError> {
    Ok(if call.args.is_empty() { data.pillar.clone() } else { several(call, &data.pillar) })
}

fn raw(call: &Call, data: &Data) -> Result<Value, ExecError> {
    Ok(match call.text(0, "key") {
        Some(key) => data.pillar.get(&key).cloned().unwrap_or_else(|| Map::new().into()),
        None => data.pillar.clone(),
    })
}

fn ls(_: &Call, data: &Data) -> Result<Value, ExecError> {
    Ok(data.pillar.as_map().into_iter().flat_map(Map::keys).cloned().collect::<Vec<_>>().into())
}

fn keys(call: &Call, data: &Data) -> Result<Value, ExecError> {
    let key = call.need(0, "key")?;
    match find(&data.pillar, &Value::str(&key), &delimiter(call, 1)) {
        None => Err(ExecError::failed(format!("Pillar key not found: {key}"))),
        Some(Value::Map(map)) => Ok(map.keys().cloned().collect::<Vec<_>>().into()),
        Some(_) => Err(ExecError::failed(format!("Pillar value in key {key} is not a dict"))),
    }
}

fn obfuscate(call: &Call, data: &Data) -> Result<Value, ExecError> {
    fn hide(value: &Value) -> Value {
        match value {
            Value::Map(map) => map.iter().map(|(k, v)| (k.clone(), hide(v))).collect::<Map>().into(),
            Value::List(items) => items.iter().map(hide).collect::<Vec<_>>().into(),
            other => format!("<{}>", other.type_name()).into(),
        }
    }
    items(call, data).map(|found| hide(&found))
}

fn filter_by(call: &Call, data: &Data) -> Result<Value, ExecError> {
    let lookup = call.need(1, "pillar")?;
    super::grains::choose(call, &data.pillar, &lookup)
}
