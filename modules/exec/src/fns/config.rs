//! `config.*`: one value from wherever it is set: configuration, grains, pillar, the master's part of pillar.

use super::pillar::find;
use super::slsutil::merge as merge_values;
use corpus_core::value::{Map, Value};
use corpus_core::{Call, Data, ExecDef, ExecError, ExecFn};

/// The functions of this module.
pub const FNS: &[ExecDef] = &[
    ExecDef {
        name: "config.get",
        args: "(key, default='', delimiter=':', merge=None, omit_opts=False, omit_pillar=False, omit_master=False, omit_grains=False)",
        doc: "Looks a key up in configuration, grains, pillar and the master's options, in this order.",
        run: ExecFn::Data(get),
    },
    ExecDef {
        name: "config.option",
        args: "(value, default='', omit_opts=False, omit_grains=False, omit_pillar=False, omit_master=False, omit_all=False, wildcard=False)",
        doc: "Looks a whole key up, without nesting; with `wildcard`, all keys that match.",
        run: ExecFn::Data(option),
    },
    ExecDef {
        name: "config.merge",
        args: "(value, default='', omit_opts=False, omit_master=False, omit_pillar=False)",
        doc: "Merges the values of a key from configuration, the master's options and pillar.",
        run: ExecFn::Data(merge),
    },
    ExecDef {
        name: "config.dot_vals",
        args: "(value)",
        doc: "Returns all options under a dotted prefix.",
        run: ExecFn::Data(dot_vals),
    },
    ExecDef { name: "config.items", args: "()", doc: "Returns the whole configuration.", run: ExecFn::Data(items) },
    ExecDef {
        name: "config.valid_fileproto",
        args: "(uri)",
        doc: "Tells whether a source's protocol is known.",
        run: ExecFn::Data(valid_fileproto),
    },
    ExecDef {
        name: "config.manage_mode",
        args: "(mode)",
        doc: "Returns a mode as four digits.",
        run: ExecFn::Data(manage_mode),
    },
    ExecDef {
        name: "config.backup_mode",
        args: "(backup='')",
        doc: "Returns the backup mode: the argument, or the configured one.",
        run: ExecFn::Data(backup_mode),
    },
];

/// What has a value without being set anywhere.
const DEFAULTS: [(&str, &str); 6] = [
    ("hosts.file", "/etc/hosts"),
    ("aliases.file", "/etc/aliases"),
    ("ldap.server", "localhost"),
    ("ldap.port", "389"),
    ("virt.tunnel", "False"),
    ("virt.images", "/srv/salt-images"),
];

fn defaults() -> Value {
    Value::from(DEFAULTS.into_iter().collect::<Map>())
}

fn master(data: &Data) -> Value {
    data.pillar.get("master").cloned().unwrap_or_else(|| Map::new().into())
}

fn get(call: &Call, data: &Data) -> Result<Value, ExecError> {
    let key = call.arg(0, "key").ok_or_else(|| call.missing("key"))?;
    let delimiter = super::pillar::delimiter(call, 2);
    let master = master(data);
    let merge = call.arg(3, "merge").filter(|m| !m.is_null());
    let found = match merge {
        None => [
            (call.flag(4, "omit_opts", false), &data.opts),
            (call.flag(7, "omit_grains", false), &data.grains),
            (call.flag(5, "omit_pillar", false), &data.pillar),
            (call.flag(6, "omit_master", false), &master),
        ]
        .into_iter()
        .filter(|(omit, _)| !omit)
        .find_map(|(_, from)| find(from, key, &delimiter))
        .or_else(|| find(&defaults(), key, &delimiter)),
        Some(strategy) => {
            let strategy = strategy.as_str().filter(|s| ["recurse", "overwrite"].contains(s)).unwrap_or("recurse");
            let lists = data.opts.get("pillar_merge_lists").is_some_and(Value::truthy);
            let mut all = defaults();
            for from in [&master, &data.pillar, &data.grains, &data.opts] {
                if from.as_map().is_some() {
                    all = merge_values(&all, from, strategy, lists)?;
                }
            }
            find(&all, key, &delimiter)
        }
    };
    match found {
        Some(found) => Ok(found),
        None => Ok(call.arg(1, "default").cloned().unwrap_or_else(|| "".into())),
    }
}

fn option(call: &Call, data: &Data) -> Result<Value, ExecError> {
    let key = call.need(0, "value")?;
    let all = call.flag(6, "omit_all", false);
    let omit = |place, name| all || call.flag(place, name, false);
    let master = master(data);
    let defaults = defaults();
    let sources = [
        (omit(2, "omit_opts"), &data.opts),
        (omit(3, "omit_grains"), &data.grains),
        (omit(4, "omit_pillar"), &data.pillar),
        (omit(5, "omit_master"), &master),
        (false, &defaults),
    ];
    let wildcard = call.flag(7, "wildcard", false);
    let empty: Value = if wildcard { Map::new().into() } else { "".into() };
    let default = call.arg(1, "default").filter(|d| !d.is_null()).cloned().unwrap_or(empty);
    if !wildcard {
        let found = sources.iter().filter(|(omit, _)| !omit).find_map(|(_, from)| from.get(&key));
        return Ok(found.cloned().unwrap_or(default));
    }
    let mut out = Map::new();
    for (name, value) in sources.iter().rev().filter(|(omit, _)| !omit).filter_map(|(_, from)| from.as_map()).flatten()
    {
        if name.as_str().is_some_and(|n| super::grains::fnmatch(n, &key)) {
            out.0.insert(name.clone(), value.clone());
        }
    }
    Ok(if out.is_empty() { default } else { out.into() })
}

fn merge(call: &Call, data: &Data) -> Result<Value, ExecError> {
    let key = call.need(0, "value")?;
    let master = master(data);
    let mut out: Option<Value> = None;
    for (omit, from) in [
        (call.flag(2, "omit_opts", false), &data.opts),
        (call.flag(3, "omit_master", false), &master),
        (call.flag(4, "omit_pillar", false), &data.pillar),
    ] {
        let Some(found) = from.get(&key).filter(|_| !omit) else { continue };
        out = match (out, found) {
            (None, Value::Str(_)) => return Ok(found.clone()),
            (None, _) => Some(found.clone()),
            // What was found first wins, key by key.
            (Some(Value::Map(old)), Value::Map(new)) => {
                let mut merged = (**new).clone();
                merged.0.extend(old.iter().map(|(k, v)| (k.clone(), v.clone())));
                Some(merged.into())
            }
            (Some(Value::List(old)), Value::List(new)) => Some([&old[..], &new[..]].concat().into()),
            (old, _) => old,
        };
    }
    let default = || call.arg(1, "default").cloned().unwrap_or_else(|| "".into());
    Ok(out.or_else(|| defaults().get(&key).cloned()).unwrap_or_else(default))
}

fn dot_vals(call: &Call, data: &Data) -> Result<Value, ExecError> {
    let prefix = format!("{}.", call.need(0, "value")?);
    let master = master(data);
    let mut out = Map::new();
    for (key, value) in [&master, &data.opts].into_iter().filter_map(|m| m.as_map()).flatten() {
        if key.as_str().is_some_and(|k| k.starts_with(&prefix)) {
            out.0.insert(key.clone(), value.clone());
        }
    }
    Ok(out.into())
}

fn items(_: &Call, data: &Data) -> Result<Value, ExecError> {
    Ok(data.opts.clone())
}

fn valid_fileproto(call: &Call, _: &Data) -> Result<Value, ExecError> {
    let uri = call.need(0, "uri")?;
    let known = ["salt://", "http://", "https://", "ftp://", "s3://", "swift://", "file://"];
    Ok(known.iter().any(|p| uri.starts_with(p)).into())
}

fn manage_mode(call: &Call, _: &Data) -> Result<Value, ExecError> {
    let Some(mode) = call.text(0, "mode") else { return Ok(Value::Null) };
    let mode = mode.trim_matches(['"', '\'']).trim_start_matches('0');
    Ok(format!("{mode:0>4}").into())
}

fn backup_mode(call: &Call, data: &Data) -> Result<Value, ExecError> {
    match call.text(0, "backup").filter(|b| !b.is_empty()) {
        Some(given) => Ok(given.into()),
        None => option(&Call::new("config.option", vec!["backup_mode".into()]), data),
    }
}
