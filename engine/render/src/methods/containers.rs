//! The methods of `list`, `tuple` and `dict`.

use crate::args::Args;
use crate::compare::equal;
use crate::containers::{Dict, Key, List};
use crate::fail::{Fail, Kind, R, defined, err};
use crate::value::{Obj, Val, ViewKind};
use crate::{ops, show};
use std::rc::Rc;

pub const LIST: &[&str] =
    &["append", "clear", "copy", "count", "extend", "index", "insert", "pop", "remove", "reverse", "sort"];
pub const DICT: &[&str] = &[
    "clear",
    "copy",
    "fromkeys",
    "get",
    "items",
    "keys",
    "pop",
    "popitem",
    "setdefault",
    "update",
    "values",
    "move_to_end",
];

/// Calls a method of a tuple.
pub fn tuple(items: &[Val], name: &str, args: &Args) -> R<Val> {
    let what = args.need(0, "value")?;
    if name == "count" {
        return Ok(Val::Int(items.iter().filter(|x| equal(x, &what)).count() as i64));
    }
    match items.iter().position(|x| equal(x, &what)) {
        Some(i) => Ok(Val::Int(i as i64)),
        None => err("tuple.index(x): x not in tuple"),
    }
}

/// Calls a method of a list.
pub fn list(list: &Rc<List>, name: &str, args: &Args) -> R<Val> {
    match name {
        "append" => {
            let item = needed(args, 0)?;
            list.with(|items| items.push(item));
        }
        "extend" => {
            let more = ops::iterate(&needed(args, 0)?)?;
            list.with(|items| items.extend(more));
        }
        "insert" => {
            let (at, item) = (args.int(0, "index", 0)?, needed(args, 1)?);
            list.with(|items| {
                let len = items.len() as i64;
                items.insert((if at < 0 { at + len } else { at }).clamp(0, len) as usize, item);
            });
        }
        "pop" => {
            let at = args.int(0, "index", -1)?;
            return list.with(|items| {
                let len = items.len() as i64;
                match usize::try_from(if at < 0 { at + len } else { at }) {
                    _ if items.is_empty() => err("pop from empty list"),
                    Ok(i) if i < items.len() => Ok(items.remove(i)),
                    _ => err("pop index out of range"),
                }
            });
        }
        "remove" => {
            let what = args.need(0, "value")?;
            return list.with(|items| match items.iter().position(|x| equal(x, &what)) {
                Some(i) => {
                    items.remove(i);
                    Ok(Val::None)
                }
                None => err("list.remove(x): x not in list"),
            });
        }
        "clear" => list.with(Vec::clear),
        "reverse" => list.with(|items| items.reverse()),
        "copy" => return Ok(Val::list(list.items())),
        "sort" => {
            if args.raw(9, "key").is_some_and(|key| !matches!(key, Val::None)) {
                return err("list.sort(key=…) is not built; use the filter `sort(attribute=…)`");
            }
            let mut items = list.items();
            sort(&mut items, |v| v.clone(), args.flag(9, "reverse", false)?)?;
            list.with(|own| *own = items);
        }
        "count" => {
            let what = args.need(0, "value")?;
            return Ok(Val::Int(list.with(|items| items.iter().filter(|x| equal(x, &what)).count()) as i64));
        }
        _ => {
            let what = args.need(0, "value")?;
            let from = args.int(1, "start", 0)?.max(0) as usize;
            return match list.with(|items| items.iter().skip(from).position(|x| equal(x, &what))) {
                Some(i) => Ok(Val::Int((i + from) as i64)),
                None => err(format!("{} is not in list", show::repr(&what))),
            };
        }
    }
    Ok(Val::None)
}

/// Sorts stably by a key; refuses what Python cannot order.
pub fn sort(items: &mut Vec<Val>, key: impl Fn(&Val) -> Val, reverse: bool) -> R<()> {
    let mut keyed: Vec<(Val, Val)> = items.drain(..).map(|v| (key(&v), v)).collect();
    let mut failed: Option<Box<Fail>> = None;
    for (k, _) in &keyed {
        defined(k)?;
    }
    keyed.sort_by(|(a, _), (b, _)| {
        let found = crate::compare::order(a, b).unwrap_or_else(|| {
            failed.get_or_insert_with(|| {
                let types = format!("'{}' and '{}'", b.type_name(), a.type_name());
                Fail::new(Kind::Error, format!("'<' not supported between instances of {types}"))
            });
            std::cmp::Ordering::Equal
        });
        if reverse { found.reverse() } else { found }
    });
    items.extend(keyed.into_iter().map(|(_, v)| v));
    failed.map_or(Ok(()), Err)
}

fn needed(args: &Args, place: usize) -> R<Val> {
    match args.pos.get(place) {
        // An undefined value can be stored; it fails when it is used.
        Some(value) => Ok(value.clone()),
        None => err(format!("expected at least {} argument(s), got {}", place + 1, args.pos.len())),
    }
}

/// Calls a method of a dict.
pub fn dict(dict: &Rc<Dict>, name: &str, args: &Args) -> R<Val> {
    let key = |place: usize| -> R<Val> {
        let key = args.need(place, "key")?;
        ops::hashable(&key)?;
        Ok(key)
    };
    Ok(match name {
        "get" => dict.get(&key(0)?).unwrap_or_else(|| args.raw(1, "default").unwrap_or(Val::None)),
        "items" => view(ViewKind::Items, dict),
        "keys" => view(ViewKind::Keys, dict),
        "values" => view(ViewKind::Values, dict),
        "update" => {
            if let Some(other) = args.pos.first() {
                update(dict, other)?;
            }
            for (name, value) in &args.named {
                dict.insert(Val::Str(name.clone()), value.clone());
            }
            Val::None
        }
        "setdefault" => {
            let key = key(0)?;
            match dict.get(&key) {
                Some(found) => found,
                None => {
                    let value = args.raw(1, "default").unwrap_or(Val::None);
                    dict.insert(key, value.clone());
                    value
                }
            }
        }
        "pop" => {
            let key = key(0)?;
            match dict.with(|entries| entries.shift_remove(&Key(key.clone()))) {
                Some(value) => value,
                None => match args.raw(1, "default") {
                    Some(default) => default,
                    None => return err(show::repr(&key)),
                },
            }
        }
        "popitem" => match dict.with(|entries| entries.pop()) {
            Some((key, value)) => Val::tuple(vec![key.0, value]),
            None => return err("'popitem(): dictionary is empty'"),
        },
        "clear" => {
            dict.with(|entries| entries.clear());
            Val::None
        }
        "copy" => Val::Dict(Dict::new(dict.with(|entries| entries.clone()))),
        "fromkeys" => {
            let value = args.raw(1, "value").unwrap_or(Val::None);
            let keys = ops::iterate(&args.need(0, "iterable")?)?;
            Val::dict(keys.into_iter().map(|k| (k, value.clone())))
        }
        _ => {
            let key = key(0)?;
            let last = args.flag(1, "last", true)?;
            dict.with(|entries| match entries.get_index_of(&Key(key.clone())) {
                Some(i) => {
                    entries.move_index(i, if last { entries.len() - 1 } else { 0 });
                    Ok(Val::None)
                }
                None => err(show::repr(&key)),
            })?
        }
    })
}

fn view(kind: ViewKind, dict: &Rc<Dict>) -> Val {
    Val::obj(Obj::View(kind, dict.clone()))
}

/// Puts another mapping's entries, or pairs, into a dict.
pub fn update(dict: &Dict, other: &Val) -> R<()> {
    defined(other)?;
    let entries = match other {
        Val::Dict(other) => other.items(),
        Val::Obj(obj) if matches!(&**obj, Obj::Namespace(_)) => match &**obj {
            Obj::Namespace(inner) => inner.items(),
            _ => vec![],
        },
        other => {
            let mut entries = vec![];
            for (i, pair) in ops::iterate(other)?.iter().enumerate() {
                match pair.iterate() {
                    Some(pair) if pair.len() == 2 => entries.push((pair[0].clone(), pair[1].clone())),
                    Some(pair) => {
                        let n = pair.len();
                        return err(format!("dictionary update sequence element #{i} has length {n}; 2 is required"));
                    }
                    None => {
                        return err(format!("cannot convert dictionary update sequence element #{i} to a sequence"));
                    }
                }
            }
            entries
        }
    };
    for (key, value) in entries {
        ops::hashable(&key)?;
        dict.insert(key, value);
    }
    Ok(())
}
