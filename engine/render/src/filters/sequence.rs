//! Jinja2's filters on lists and dicts.

use crate::args::Args;
use crate::compare::{equal, order};
use crate::eval::Vm;
use crate::fail::{R, defined, err};
use crate::globals::attribute;
use crate::methods;
use crate::value::{Obj, Val};
use crate::{checks, ops, show};

pub fn call(vm: &mut Vm, name: &str, value: &Val, args: &Args) -> R<Option<Val>> {
    let items = || ops::iterate(value);
    Ok(Some(match name {
        "length" | "count" => match value.length() {
            Some(n) => Val::Int(n as i64),
            None => return err(format!("object of type '{}' has no len()", value.type_name())),
        },
        "list" => Val::list(items()?),
        "first" => items()?.into_iter().next().unwrap_or_else(|| Val::undef("No first item, sequence was empty.")),
        "last" => match value {
            Val::Obj(o) if matches!(**o, Obj::Iter(..)) => {
                return err(format!("'{}' object is not reversible", value.type_name()));
            }
            _ => items()?.pop().unwrap_or_else(|| Val::undef("No last item, sequence was empty.")),
        },
        "random" => {
            let items = items()?;
            if items.is_empty() {
                Val::undef("No random item, sequence was empty.")
            } else {
                let seed =
                    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |d| d.subsec_nanos());
                items[seed as usize / 7 % items.len()].clone()
            }
        }
        "reverse" => match value {
            Val::Str(s) => Val::str(s.chars().rev().collect::<String>()),
            _ => {
                let mut items = items()?;
                items.reverse();
                Val::obj(Obj::Iter(std::cell::RefCell::new(Some(items)), "list_reverseiterator"))
            }
        },
        "join" => {
            let sep = args.text(0, "d")?.unwrap_or_else(|| "".into());
            let path = args.get(1, "attribute")?;
            let mut out = String::new();
            for (i, item) in items()?.iter().enumerate() {
                if i > 0 {
                    out.push_str(&sep);
                }
                match &path {
                    Some(path) => out.push_str(&show::text(&attribute(item, path)?)?),
                    None => out.push_str(&show::text(item)?),
                }
            }
            Val::Str(out.into())
        }
        "items" => match value {
            Val::Dict(dict) => Val::iter(dict.items().into_iter().map(|(k, v)| Val::tuple(vec![k, v])).collect()),
            _ => return err("Can only get item pairs from a mapping."),
        },
        "attr" => {
            let name = args.need_text(0, "name")?;
            match value {
                Val::Dict(_) if !methods::has(value, &name) => crate::access::no_item(value, &Val::Str(name)),
                Val::Dict(_) | Val::Str(_) | Val::List(_) => Val::obj(Obj::Method(value.clone(), name)),
                _ => crate::access::no_item(value, &Val::Str(name)),
            }
        }
        "sort" => {
            let mut list = items()?;
            let (reverse, case) = (args.flag(0, "reverse", false)?, args.flag(1, "case_sensitive", false)?);
            let keys = match args.get(2, "attribute")? {
                Some(Val::Str(paths)) => paths.split(',').map(|p| Val::str(p.trim())).collect(),
                Some(other) => vec![other],
                None => vec![],
            };
            let mut keyed = vec![];
            for item in list.drain(..) {
                keyed.push(Val::tuple(vec![sort_key(&item, &keys, case)?, item]));
            }
            let first = |v: &Val| ops::item(v, &Val::Int(0)).unwrap_or(Val::None);
            methods_sort(&mut keyed, first, reverse)?;
            Val::list(keyed.iter().map(|v| ops::item(v, &Val::Int(1)).unwrap_or(Val::None)).collect())
        }
        "dictsort" => {
            let Val::Dict(dict) = value else {
                return err(format!("'{}' object has no attribute 'items'", value.type_name()));
            };
            let case = args.flag(0, "case_sensitive", false)?;
            let by = match args.text(1, "by")?.as_deref() {
                None | Some("key") => 0,
                Some("value") => 1,
                Some(_) => return err("You can only sort by either \"key\" or \"value\""),
            };
            let reverse = args.flag(2, "reverse", false)?;
            let mut pairs: Vec<Val> = dict.items().into_iter().map(|(k, v)| Val::tuple(vec![k, v])).collect();
            methods_sort(&mut pairs, |p| fold(&ops::item(p, &Val::Int(by)).unwrap_or(Val::None), case), reverse)?;
            Val::list(pairs)
        }
        "unique" => {
            // Salt's own, which compares with case.
            let mut seen: Vec<Val> = vec![];
            for item in items()? {
                if !seen.iter().any(|s| equal(s, &item)) {
                    seen.push(item);
                }
            }
            Val::list(seen)
        }
        "min" | "max" => {
            let mut best: Option<Val> = None;
            for item in items()? {
                defined(&item)?;
                let better = match &best {
                    None => true,
                    Some(b) => match order(&item, b) {
                        Some(found) => (name == "min" && found.is_lt()) || (name == "max" && found.is_gt()),
                        None => {
                            return err(format!(
                                "'{}' not supported between instances of '{}' and '{}'",
                                if name == "min" { "<" } else { ">" },
                                item.type_name(),
                                b.type_name()
                            ));
                        }
                    },
                };
                if better {
                    best = Some(item);
                }
            }
            match best {
                Some(best) => best,
                None => return err(format!("{name}() arg is an empty sequence")),
            }
        }
        "sum" => {
            let path = args.get(0, "attribute")?;
            let mut total = args.get(1, "start")?.unwrap_or(Val::Int(0));
            for item in items()? {
                let item = match &path {
                    Some(path) => attribute(&item, path)?,
                    None => item,
                };
                total = ops::binary(crate::tree::Op::Add, &total, &item)?;
            }
            total
        }
        "batch" | "slice" => {
            let n = args.int(0, "linecount", 1)?.max(1) as usize;
            let fill = args.get(1, "fill_with")?;
            let list = items()?;
            let mut out = vec![];
            if name == "batch" {
                for chunk in list.chunks(n) {
                    let mut chunk = chunk.to_vec();
                    if let Some(fill) = &fill {
                        chunk.resize(n, fill.clone());
                    }
                    out.push(Val::list(chunk));
                }
            } else {
                let (each, extra) = (list.len() / n, list.len() % n);
                let mut offset = 0;
                for i in 0..n {
                    let start = offset + i * each;
                    offset += usize::from(i < extra);
                    let end = offset + (i + 1) * each;
                    let mut part = list[start..end].to_vec();
                    if let Some(fill) = fill.as_ref().filter(|_| i >= extra && extra > 0) {
                        part.push(fill.clone());
                    }
                    out.push(Val::list(part));
                }
            }
            Val::iter(out)
        }
        "groupby" => {
            let path = args.need(0, "attribute")?;
            let default = args.get(1, "default")?;
            let case = args.flag(2, "case_sensitive", false)?;
            let key = |item: &Val| {
                let found = attribute(item, &path)?;
                Ok(match (&found, &default) {
                    (Val::Undef(_), Some(default)) => default.clone(),
                    _ => found,
                })
            };
            let mut pairs = vec![];
            for item in items()? {
                let k: R<Val> = key(&item);
                pairs.push(Val::tuple(vec![k?, item]));
            }
            let first = |p: &Val| ops::item(p, &Val::Int(0)).unwrap_or(Val::None);
            methods_sort(&mut pairs, |p| fold(&first(p), case), false)?;
            let mut groups: Vec<(Val, Vec<Val>)> = vec![];
            for pair in pairs {
                let (k, item) = (first(&pair), ops::item(&pair, &Val::Int(1)).unwrap_or(Val::None));
                match groups.last_mut() {
                    Some((last, items)) if equal(&fold(last, case), &fold(&k, case)) => items.push(item),
                    _ => groups.push((k, vec![item])),
                }
            }
            Val::list(groups.into_iter().map(|(k, items)| Val::tuple(vec![k, Val::list(items)])).collect())
        }
        "map" => {
            let mut out = vec![];
            let path = args.named.iter().find(|(n, _)| **n == *"attribute").map(|(_, v)| v.clone());
            let default = args.named.iter().find(|(n, _)| **n == *"default").map(|(_, v)| v.clone());
            for item in items()? {
                out.push(match &path {
                    Some(path) => match (attribute(&item, path)?, &default) {
                        (Val::Undef(_), Some(default)) => default.clone(),
                        (found, _) => found,
                    },
                    None => {
                        let filter = args.need_text(0, "filter")?;
                        let rest = Args { pos: args.pos[1..].to_vec(), named: args.named.clone() };
                        super::call(vm, &filter, &item, &rest)?
                    }
                });
            }
            Val::iter(out)
        }
        "select" | "reject" | "selectattr" | "rejectattr" => {
            let by_attr = name.ends_with("attr");
            let wanted = name.starts_with("select");
            let from = usize::from(by_attr);
            let path = if by_attr { Some(args.need(0, "attribute")?) } else { None };
            let mut out = vec![];
            for item in items()? {
                let seen = match &path {
                    Some(path) => attribute(&item, path)?,
                    None => item.clone(),
                };
                let yes = match args.pos.get(from) {
                    Some(test) => {
                        let rest = Args { pos: args.pos[from + 1..].to_vec(), named: args.named.clone() };
                        checks::check(&show::text(test)?, &seen, &rest)?
                    }
                    None => {
                        defined(&seen)?;
                        seen.truthy()
                    }
                };
                if yes == wanted {
                    out.push(item);
                }
            }
            Val::iter(out)
        }
        _ => return Ok(None),
    }))
}

fn fold(value: &Val, case: bool) -> Val {
    match value {
        Val::Str(s) if !case => Val::str(s.to_lowercase()),
        other => other.clone(),
    }
}

fn sort_key(item: &Val, paths: &[Val], case: bool) -> R<Val> {
    match paths {
        [] => Ok(fold(item, case)),
        [one] => Ok(fold(&attribute(item, one)?, case)),
        many => Ok(Val::list(many.iter().map(|p| Ok(fold(&attribute(item, p)?, case))).collect::<R<_>>()?)),
    }
}

fn methods_sort(items: &mut Vec<Val>, key: impl Fn(&Val) -> Val, reverse: bool) -> R<()> {
    crate::methods::sort(items, key, reverse)
}
