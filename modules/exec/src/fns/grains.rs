//! `grains.*`: what is known of this machine, choosing by it, and the grains that people set.

use super::pillar::{delimiter, find, several};
use super::slsutil::update;
use corpus_core::host::HostErrorKind;
use corpus_core::plan::{Attrs, Content, Effect};
use corpus_core::python;
use corpus_core::value::{Map, Value};
use corpus_core::{Act, Call, Data, ExecDef, ExecError, ExecFn, Look, Pos, yaml};
use std::path::{Path, PathBuf};

/// The functions of this module.
pub const FNS: &[ExecDef] = &[
    ExecDef {
        name: "grains.get",
        args: "(key, default='', delimiter=':', ordered=True)",
        doc: "Returns the value of a grain, `a:b` for nested ones, or the default.",
        run: ExecFn::Data(get),
    },
    ExecDef {
        name: "grains.fetch",
        args: "(key, default='', delimiter=':')",
        doc: "Is `grains.get`.",
        run: ExecFn::Data(get),
    },
    ExecDef {
        name: "grains.item",
        args: "(*keys, default='', delimiter=':')",
        doc: "Returns several grains.",
        run: ExecFn::Data(item),
    },
    ExecDef { name: "grains.items", args: "(sanitize=False)", doc: "Returns all grains.", run: ExecFn::Data(items) },
    ExecDef { name: "grains.ls", args: "()", doc: "Lists the names of all grains, sorted.", run: ExecFn::Data(ls) },
    ExecDef {
        name: "grains.has_value",
        args: "(key)",
        doc: "Tells whether there is such a grain.",
        run: ExecFn::Data(has_value),
    },
    ExecDef {
        name: "grains.equals",
        args: "(key, value)",
        doc: "Tells whether a grain has a value.",
        run: ExecFn::Data(equals),
    },
    ExecDef {
        name: "grains.filter_by",
        args: "(lookup_dict, grain='os_family', merge=None, default='default', base=None)",
        doc: "Chooses an entry of a mapping by the value of a grain; keys may be globs.",
        run: ExecFn::Data(filter_by),
    },
    ExecDef {
        name: "grains.setval",
        args: "(key, val, destructive=False)",
        doc: "Sets a grain in the machine's grains file.",
        run: ExecFn::Write(setval),
    },
    ExecDef {
        name: "grains.setvals",
        args: "(grains, destructive=False)",
        doc: "Sets several grains.",
        run: ExecFn::Write(setvals),
    },
    ExecDef {
        name: "grains.set",
        args: "(key, val='', force=False, destructive=False, delimiter=':')",
        doc: "Sets a grain, nested ones too, and says what changed.",
        run: ExecFn::Write(set),
    },
    ExecDef {
        name: "grains.append",
        args: "(key, val, convert=False, delimiter=':')",
        doc: "Appends to a grain that is a list.",
        run: ExecFn::Write(append),
    },
    ExecDef {
        name: "grains.remove",
        args: "(key, val, delimiter=':')",
        doc: "Removes a value from a grain that is a list.",
        run: ExecFn::Write(remove),
    },
    ExecDef {
        name: "grains.delval",
        args: "(key, destructive=False)",
        doc: "Empties a grain.",
        run: ExecFn::Write(delval),
    },
    ExecDef { name: "grains.delkey", args: "(key, force=False)", doc: "Removes a grain.", run: ExecFn::Write(delkey) },
];

/// Where grains that people set are kept; the first one that is there.
const FILES: [&str; 2] = ["/etc/corpus/grains", "/etc/salt/grains"];

fn get(call: &Call, data: &Data) -> Result<Value, ExecError> {
    let key = call.arg(0, "key").ok_or_else(|| call.missing("key"))?;
    let found = find(&data.grains, key, &delimiter(call, 2));
    Ok(found.unwrap_or_else(|| call.arg(1, "default").cloned().unwrap_or_else(|| "".into())))
}

fn item(call: &Call, data: &Data) -> Result<Value, ExecError> {
    Ok(sanitized(several(call, &data.grains), call.kwargs.get("sanitize")))
}

fn items(call: &Call, data: &Data) -> Result<Value, ExecError> {
    Ok(sanitized(data.grains.clone(), call.arg(0, "sanitize")))
}

/// Hides what tells machines apart.
fn sanitized(mut grains: Value, wanted: Option<&Value>) -> Value {
    if wanted.is_some_and(Value::truthy)
        && let Some(map) = grains.as_map_mut()
    {
        for (key, mask) in [
            ("serialnumber", "XXXXXXXXXXXX"),
            ("domain", "domain"),
            ("fqdn", "MINION.DOMAINNAME"),
            ("id", "MINION"),
            ("host", "MINION"),
            ("localhost", "MINION"),
            ("nodename", "MINION"),
        ] {
            if let Some(value) = map.get_mut(key) {
                *value = mask.into();
            }
        }
    }
    grains
}

fn ls(_: &Call, data: &Data) -> Result<Value, ExecError> {
    let mut names: Vec<String> = data.grains.as_map().into_iter().flat_map(Map::keys).map(python::str).collect();
    names.sort();
    Ok(names.into())
}

fn has_value(call: &Call, data: &Data) -> Result<Value, ExecError> {
    Ok(find(&data.grains, &call.need(0, "key")?.into(), ":").is_some().into())
}

fn equals(call: &Call, data: &Data) -> Result<Value, ExecError> {
    let seen = find(&data.grains, &call.need(0, "key")?.into(), ":").unwrap_or_else(|| "".into());
    Ok((python::str(&seen) == call.arg(1, "value").map(python::str).unwrap_or_default()).into())
}

fn filter_by(call: &Call, data: &Data) -> Result<Value, ExecError> {
    let lookup = call.text(1, "grain").unwrap_or_else(|| "os_family".into());
    choose(call, &data.grains, &lookup)
}

/// Chooses an entry: the first key that one of the values matches, else the default; over `base`,
/// under `merge`.
pub(crate) fn choose(call: &Call, from: &Value, lookup: &str) -> Result<Value, ExecError> {
    let table = call.arg(0, "lookup_dict").ok_or_else(|| call.missing("lookup_dict"))?;
    let table = table.as_map().ok_or_else(|| call.invalid("lookup_dict", "must be a mapping"))?;
    let value = find(from, &lookup.into(), ":").unwrap_or_else(|| Value::list(vec![]));
    let each = value.as_list().unwrap_or(std::slice::from_ref(&value));
    let matching = |each: &Value| {
        let text = python::str(each);
        table.iter().find(|(key, _)| fnmatch(&text, &python::str(key))).map(|(_, found)| found)
    };
    let mut chosen = each.iter().filter_map(matching).find(|found| !found.is_null()).cloned();
    if chosen.is_none() {
        let default = call.arg(3, "default").cloned().unwrap_or_else(|| "default".into());
        chosen = table.get_value(&default).filter(|v| !v.is_null()).cloned();
    }
    let base = call.arg(4, "base").filter(|b| b.truthy()).and_then(|b| table.get_value(b));
    match (base, chosen.take()) {
        (Some(base), None) => chosen = Some(base.clone()),
        (Some(base @ Value::Map(_)), Some(over)) => {
            if over.as_map().is_none() {
                return Err(ExecError::failed("filter_by default and look-up values must both be dictionaries."));
            }
            let mut merged = base.clone();
            update(&mut merged, &over, true, false)?;
            chosen = Some(merged);
        }
        (_, found) => chosen = found,
    }
    if let Some(merge) = call.arg(2, "merge").filter(|m| m.truthy()) {
        if merge.as_map().is_none() {
            return Err(ExecError::failed("filter_by merge argument must be a dictionary."));
        }
        match &mut chosen {
            None => chosen = Some(merge.clone()),
            Some(found) => update(found, merge, true, false)?,
        }
    }
    Ok(chosen.unwrap_or_default())
}

/// Matches a shell pattern as Python's `fnmatchcase` does.
pub(crate) fn fnmatch(text: &str, pattern: &str) -> bool {
    fn go(text: &[char], pattern: &[char]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some(('*', rest)) => (0..=text.len()).any(|n| go(&text[n..], rest)),
            Some(('?', rest)) => text.split_first().is_some_and(|(_, text)| go(text, rest)),
            Some(('[', rest)) => match class(rest) {
                Some((set, negated, after)) => text.split_first().is_some_and(|(c, text)| {
                    set.iter().any(|(low, high)| (low..=high).contains(&c)) != negated && go(text, after)
                }),
                None => text.first() == Some(&'[') && go(&text[1..], rest),
            },
            Some((c, rest)) => text.first() == Some(c) && go(&text[1..], rest),
        }
    }
    type Class<'a> = (Vec<(char, char)>, bool, &'a [char]);
    /// Reads `abc]`, `!a-z]`: the ranges, whether negated, and what follows.
    fn class(rest: &[char]) -> Option<Class<'_>> {
        let negated = rest.first() == Some(&'!');
        let body = if negated { &rest[1..] } else { rest };
        let end = (1..body.len()).find(|i| body[*i] == ']')?;
        let (mut set, mut i) = (vec![], 0);
        while i < end {
            if i + 2 < end && body[i + 1] == '-' {
                set.push((body[i], body[i + 2]));
                i += 3;
            } else {
                set.push((body[i], body[i]));
                i += 1;
            }
        }
        Some((set, negated, &body[end + 1..]))
    }
    if !pattern.contains(['*', '?', '[']) {
        return text == pattern;
    }
    go(&text.chars().collect::<Vec<_>>(), &pattern.chars().collect::<Vec<_>>())
}

/// What a file says beside its grains, and what is kept when it is written anew: its first comments.
pub struct Stored {
    pub path: PathBuf,
    pub grains: Map,
    head: String,
}

/// Reads the grains that people, Salt and `grains.set*` have put down on this machine. Who may not read them has none.
pub fn stored(look: &dyn Look) -> Result<Stored, ExecError> {
    for file in FILES {
        let path = PathBuf::from(file);
        let bytes = match look.read(&path) {
            Err(error) if matches!(error.kind, HostErrorKind::Missing | HostErrorKind::Denied) => continue,
            read => read?,
        };
        let text = String::from_utf8(bytes)
            .map_err(|_| ExecError::failed(format!("{file} is no UTF-8 text: save it as such")))?;
        let is_comment = |line: &&str| line.trim_start().starts_with('#') || line.trim().is_empty();
        let head = text.split_inclusive('\n').take_while(is_comment).collect();
        let told = |pos: Pos, why: &str| ExecError::failed(format!("{file}:{}:{}: {why}", pos.line, pos.col));
        let node = yaml::parse(&text).map_err(|error| told(error.place(&text), &error.message))?;
        let grains = match node.to_value() {
            Value::Null => Map::new(),
            Value::Map(grains) => (*grains).clone(),
            other => {
                let why = format!("grains are `name: value`, and this is {}", other.type_name());
                return Err(told(node.pos, &why));
            }
        };
        return Ok(Stored { path, grains, head });
    }
    Ok(Stored { path: FILES[0].into(), grains: Map::new(), head: String::new() })
}

/// Returns the grains as they are with those that were set since they were collected.
pub fn current(look: &dyn Look, data: &Data) -> Result<Value, ExecError> {
    let mut grains = data.grains.as_map().cloned().unwrap_or_default();
    for (key, value) in stored(look)?.grains {
        grains.0.insert(key, value);
    }
    Ok(grains.into())
}

/// Returns the effects that set grains by their top-level keys; with `destructive`, null removes one.
pub fn storing(look: &dyn Look, changes: &Map, destructive: bool) -> Result<Vec<Effect>, ExecError> {
    let Stored { path, mut grains, head } = stored(look)?;
    for (key, value) in changes {
        if value.is_null() && destructive {
            grains.0.shift_remove(key);
        } else {
            grains.0.insert(key.clone(), value.clone());
        }
    }
    let text = head + &yaml::emit(&grains.into(), true);
    let mut effects = vec![];
    let missing = |folder: &&Path| matches!(look.stat(folder), Ok(None));
    let mut folders: Vec<&Path> = path.ancestors().skip(1).take_while(missing).collect();
    folders.reverse();
    for folder in folders {
        let attrs = Attrs { mode: Some(0o755), ..Attrs::default() };
        effects.push(Effect::Mkdir { path: folder.into(), attrs });
    }
    let content = Content::Bytes(text.into_bytes());
    effects.push(Effect::WriteFile { path, content, attrs: Attrs::default(), backup: None });
    Ok(effects)
}

fn store(host: &dyn Act, changes: &Map, destructive: bool) -> Result<Value, ExecError> {
    for effect in storing(host.as_look(), changes, destructive)? {
        host.perform(&effect)?;
    }
    Ok(Value::from(changes.clone()))
}

fn setval(call: &Call, host: &dyn Act, _: &Data) -> Result<Value, ExecError> {
    let changes: Map = [(call.need(0, "key")?, call.arg(1, "val").cloned().unwrap_or_default())].into_iter().collect();
    store(host, &changes, call.flag(2, "destructive", false))
}

fn setvals(call: &Call, host: &dyn Act, _: &Data) -> Result<Value, ExecError> {
    let grains = call.arg(0, "grains").and_then(Value::as_map);
    let grains = grains.ok_or_else(|| ExecError::failed("setvals grains must be a dictionary."))?;
    store(host, grains, call.flag(1, "destructive", false))
}

/// Puts a value at a path; returns the whole top-level grain that this makes.
pub fn placed(grains: &Value, path: &[&str], value: Option<Value>) -> Value {
    let [first, rest @ ..] = path else { return value.unwrap_or_default() };
    let mut map = grains.as_map().cloned().unwrap_or_default();
    if rest.is_empty() && value.is_none() {
        map.remove(first);
    } else {
        let below = map.get(first).cloned().unwrap_or_default();
        map.insert(*first, placed(&below, rest, value));
    }
    map.into()
}

/// Stores a nested value; the answer is the top-level grain, as Salt gives it.
fn store_at(host: &dyn Act, data: &Data, key: &str, delimiter: &str, value: Option<Value>) -> Result<Value, ExecError> {
    let path: Vec<&str> = key.split(delimiter).collect();
    let top = path.first().copied().unwrap_or_default();
    let gone = value.is_none() && path.len() == 1;
    let below = data.grains.get(top).cloned().unwrap_or_default();
    let changed = if gone { Value::Null } else { placed(&below, &path[1..], value) };
    store(host, &[(top, changed)].into_iter().collect(), gone)
}

fn set(call: &Call, host: &dyn Act, data: &Data) -> Result<Value, ExecError> {
    let value = call.arg(1, "val").cloned().unwrap_or_else(|| "".into());
    let (force, destructive) = (call.flag(2, "force", false), call.flag(3, "destructive", false));
    set_value(&call.need(0, "key")?, value, force, destructive, &delimiter(call, 4), host, data)
}

fn set_value(
    key: &str,
    value: Value,
    force: bool,
    destructive: bool,
    delimiter: &str,
    host: &dyn Act,
    data: &Data,
) -> Result<Value, ExecError> {
    let answer = |result: bool, comment: String, changes: Value| {
        let entries = [("comment", comment.into()), ("changes", changes), ("result", Value::Bool(result))];
        Ok(Value::from(entries.into_iter().collect::<Map>()))
    };
    let none = || Value::from(Map::new());
    let old = find(&data.grains, &key.into(), delimiter);
    let complex = |v: &Value| matches!(v, Value::Map(_) | Value::List(_));
    if let Some(old) = &old {
        if *old == value && !(value.is_null() && destructive) {
            return answer(true, "Grain is already set".into(), none());
        }
        if !old.is_null() && !force {
            let what = match (complex(old), complex(&value)) {
                (true, _) => "exists but is a dict or a list",
                (_, true) => "exists and the given value is a dict or a list",
                _ => "",
            };
            if !what.is_empty() {
                let comment = format!("The key '{key}' {what}. Use 'force=True' to overwrite.");
                return answer(false, comment, none());
            }
        }
    }
    let value = if value.is_null() && destructive { None } else { Some(value) };
    answer(true, String::new(), store_at(host, data, key, delimiter, value)?)
}

fn append(call: &Call, host: &dyn Act, data: &Data) -> Result<Value, ExecError> {
    let (key, delimiter) = (call.need(0, "key")?, delimiter(call, 3));
    let value = call.arg(1, "val").cloned().ok_or_else(|| call.missing("val"))?;
    let mut list = match find(&data.grains, &key.as_str().into(), &delimiter) {
        None => vec![],
        Some(Value::List(list)) => list.to_vec(),
        Some(Value::Null) if call.flag(2, "convert", false) => vec![],
        Some(other) if call.flag(2, "convert", false) => vec![other],
        Some(_) => return Ok(format!("The key {key} is not a valid list").into()),
    };
    if list.contains(&value) {
        return Ok(format!("The val {} was already in the list {key}", python::str(&value)).into());
    }
    match value {
        Value::List(more) => list.extend(more.iter().cloned()),
        one => list.push(one),
    }
    store_at(host, data, &key, &delimiter, Some(list.into()))
}

fn remove(call: &Call, host: &dyn Act, data: &Data) -> Result<Value, ExecError> {
    let (key, delimiter) = (call.need(0, "key")?, delimiter(call, 2));
    let value = call.arg(1, "val").cloned().ok_or_else(|| call.missing("val"))?;
    let mut list = match find(&data.grains, &key.as_str().into(), &delimiter) {
        None => vec![],
        Some(Value::List(list)) => list.to_vec(),
        Some(_) => return Ok(format!("The key {key} is not a valid list").into()),
    };
    let Some(at) = list.iter().position(|item| *item == value) else {
        return Ok(format!("The val {} was not in the list {key}", python::str(&value)).into());
    };
    list.remove(at);
    store_at(host, data, &key, &delimiter, Some(list.into()))
}

fn delval(call: &Call, host: &dyn Act, data: &Data) -> Result<Value, ExecError> {
    let (destructive, force) = (call.flag(1, "destructive", false), call.flag(2, "force", false));
    set_value(&call.need(0, "key")?, Value::Null, force, destructive, ":", host, data)
}

fn delkey(call: &Call, host: &dyn Act, data: &Data) -> Result<Value, ExecError> {
    set_value(&call.need(0, "key")?, Value::Null, call.flag(1, "force", false), true, ":", host, data)
}
