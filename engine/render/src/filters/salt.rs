//! Salt's filters on data, patterns and texts.

use super::{Anchor, pattern, regex, text};
use crate::args::Args;
use crate::compare::equal;
use crate::eval::Vm;
use crate::fail::{R, defined, err, refuse};
use crate::value::{Obj, Val};
use crate::{methods, ops, show};
use corpus_core::Value as Core;
use corpus_core::yaml;

pub fn call(vm: &mut Vm, name: &str, value: &Val, args: &Args) -> R<Option<Val>> {
    let items = || ops::iterate(value);
    Ok(Some(match name {
        "skip" => Val::str(""),
        "sequence" => match value {
            Val::List(_) | Val::Tuple(_) | Val::Dict(_) => value.clone(),
            other => Val::list(vec![other.clone()]),
        },
        "to_bool" => Val::Bool(match value {
            Val::Bool(b) => *b,
            Val::Str(s) => matches!(s.to_lowercase().as_str(), "yes" | "1" | "true"),
            Val::Int(i) => *i > 0,
            Val::List(_) | Val::Dict(_) => value.truthy(),
            _ => false,
        }),
        "quote" => Val::str(shell_quote(&text(value)?)),
        "regex_escape" => Val::str(regex_escape(&text(value)?)),
        "regex_search" | "regex_match" => {
            let anchor = if name == "regex_match" { Anchor::Start } else { Anchor::Anywhere };
            match regex(args, 1)?(&text(value)?, anchor)? {
                None => Val::None,
                Some(groups) => {
                    let from = usize::from(groups.len() > 1);
                    Val::tuple(groups[from..].iter().map(|g| g.as_ref().map_or(Val::None, Val::str)).collect())
                }
            }
        }
        "regex_replace" => {
            let regex = pattern(&args.need_text(0, "rgx")?, args, 2)?;
            let with = args.need_text(1, "val")?;
            let source = text(value)?;
            let (mut out, mut last) = (String::new(), 0);
            for found in regex.captures_iter(&*source) {
                let found = match found {
                    Ok(found) => found,
                    Err(error) => return err(format!("the pattern failed: {error}")),
                };
                let Some(all) = found.get(0) else { continue };
                out.push_str(&source[last..all.start()]);
                expand(&mut out, &with, &found);
                last = all.end();
            }
            out.push_str(&source[last..]);
            Val::str(out)
        }
        "avg" => match value {
            Val::List(list) => {
                let sum: f64 = list.items().iter().filter_map(crate::compare::number).sum();
                if list.len() == 0 {
                    return err("division by zero");
                }
                Val::Float(sum / list.len() as f64)
            }
            other => Val::Float(crate::compare::number(other).unwrap_or(0.0)),
        },
        "union" | "intersect" | "difference" | "symmetric_difference" => {
            let (a, b) = (items()?, ops::iterate(&args.need(0, "lst2")?)?);
            let within = |list: &[Val], x: &Val| list.iter().any(|y| equal(x, y));
            let mut out: Vec<Val> = vec![];
            for item in a.iter().chain(&b) {
                let (in_a, in_b) = (within(&a, item), within(&b, item));
                let wanted = match name {
                    "union" => true,
                    "intersect" => in_a && in_b,
                    "difference" => in_a && !in_b,
                    _ => in_a != in_b,
                };
                if wanted && !within(&out, item) {
                    out.push(item.clone());
                }
            }
            Val::list(out)
        }
        "method_call" => {
            let method = args.need_text(0, "f_name")?;
            if methods::has(value, &method) {
                let rest = Args { pos: args.pos[1..].to_vec(), named: args.named.clone() };
                methods::call(value, &method, &rest)?
            } else {
                Val::None
            }
        }
        "is_list" => Val::Bool(matches!(value, Val::List(_))),
        "is_iter" => Val::Bool(
            !matches!(value, Val::Str(_))
                && (value.length().is_some() || matches!(value, Val::Obj(o) if matches!(**o, Obj::Iter(..)))),
        ),
        "exactly_n_true" | "exactly_one_true" => {
            let wanted = if name == "exactly_one_true" { 1 } else { args.int(0, "amount", 1)? };
            Val::Bool(items()?.iter().filter(|v| v.truthy()).count() as i64 == wanted)
        }
        "traverse" => {
            let delimiter = args.text(2, "delimiter")?.unwrap_or_else(|| ":".into());
            let default = args.raw(1, "default").unwrap_or(Val::None);
            traverse(value, &args.need_text(0, "key")?, &delimiter).unwrap_or(default)
        }
        "flatten" => {
            let levels = args.get(0, "levels")?.and_then(|v| v.as_int()).unwrap_or(i64::MAX);
            let keep = args.flag(1, "preserve_nulls", false)?;
            let mut out = vec![];
            flatten(&items()?, levels, keep, &mut out);
            Val::list(out)
        }
        "sorted_ignorecase" => {
            let mut list = items()?;
            methods::sort(&mut list, |v| Val::str(v.as_str().unwrap_or_default().to_lowercase()), false)?;
            Val::list(list)
        }
        "substring_in_list" => {
            let what = show::text(value)?;
            let list = ops::iterate(&args.need(0, "lst")?)?;
            Val::Bool(list.iter().any(|v| v.as_str().is_some_and(|s| s.contains(&*what))))
        }
        "compare_lists" | "compare_dicts" => compare(name, value, &args.need(0, "new")?)?,
        "json_decode_dict" | "json_decode_list" | "json_encode_dict" | "json_encode_list" => value.clone(),
        "to_entries" => {
            let Val::Dict(dict) = value else { return err("Input is not a mapping") };
            let entry = |(k, v)| Val::dict([(Val::str("key"), k), (Val::str("value"), v)]);
            Val::list(dict.items().into_iter().map(entry).collect())
        }
        "from_entries" => {
            let mut out = vec![];
            for entry in items()? {
                let part = |names: &[&str]| names.iter().find_map(|n| ops::item(&entry, &Val::str(n)));
                let key = part(&["key", "Key", "name", "Name"]).unwrap_or(Val::None);
                out.push((key, part(&["value", "Value"]).unwrap_or(Val::None)));
            }
            Val::dict(out)
        }
        "set_dict_key_value" | "update_dict_key_value" | "append_dict_key_value" | "extend_dict_key_value" => {
            dict_key_value(name, value, args)?
        }
        "contains_whitespace" => Val::Bool(text(value)?.contains(char::is_whitespace)),
        "is_hex" => Val::Bool(match value {
            Val::Str(s) => {
                let s = s.trim();
                let digits = s.strip_prefix("0x").unwrap_or(s);
                !digits.is_empty() && digits.chars().all(|c| c.is_ascii_hexdigit())
            }
            _ => false,
        }),
        "str_to_num" | "to_num" => match value {
            Val::Str(s) => s
                .trim()
                .parse::<i64>()
                .map(Val::Int)
                .or_else(|_| s.trim().parse::<f64>().map(Val::Float))
                .unwrap_or_else(|_| value.clone()),
            other => other.clone(),
        },
        "to_bytes" => Val::obj(Obj::Bytes(show::text(value)?.as_bytes().to_vec())),
        "to_camelcase" => {
            let upper_first = args.flag(0, "uppercamel", false)?;
            let source = text(value)?;
            let mut out = String::new();
            for (i, part) in source.split('_').enumerate() {
                out += &if i == 0 && !upper_first { part.to_owned() } else { methods::capitalize(part) };
            }
            Val::str(out)
        }
        "to_snake_case" => {
            let mut out = String::new();
            for c in text(value)?.chars() {
                if c.is_uppercase() {
                    out.push('_');
                }
                out.extend(c.to_lowercase());
            }
            Val::str(out.strip_prefix('_').unwrap_or(&out))
        }
        "human_to_bytes" => Val::Int(human_to_bytes(&show::text(value)?, args)?),
        "check_whitelist_blacklist" => {
            let what = show::text(value)?;
            let list = |place, name: &str| -> R<Vec<Val>> {
                match args.get(place, name)? {
                    None | Some(Val::None) => Ok(vec![]),
                    Some(Val::Str(s)) => Ok(vec![Val::Str(s)]),
                    Some(other) => ops::iterate(&other),
                }
            };
            let (white, black) = (list(0, "whitelist")?, list(1, "blacklist")?);
            let hit = |list: &[Val]| list.iter().any(|p| p.as_str().is_some_and(|p| glob(p, &what)));
            Val::Bool(!hit(&black) && (white.is_empty() || hit(&white)))
        }
        "path_join" => {
            let mut path = show::text(value)?.to_string();
            for part in &args.pos {
                let part = show::text(part)?;
                path = if part.starts_with('/') || path.is_empty() {
                    // Salt: an absolute part is taken below what is there.
                    format!("{}/{}", path.trim_end_matches('/'), part.trim_start_matches('/'))
                } else if path.ends_with('/') {
                    path + &part
                } else {
                    format!("{path}/{part}")
                };
            }
            Val::str(normal_path(&path))
        }
        "zip"
        | "zip_longest"
        | "product"
        | "permutations"
        | "combinations"
        | "combinations_with_replacement"
        | "compress" => Val::iter(combine(name, value, args)?),
        "yaml" | "dict_to_sls_yaml_params" => {
            let block = !args.flag(0, "flow_style", name == "yaml")?;
            let data = if name == "yaml" {
                core(value)?
            } else {
                match core(value)? {
                    Core::Map(map) => Core::list(
                        map.iter().map(|(k, v)| Core::map([(k.clone(), v.clone())].into_iter().collect())).collect(),
                    ),
                    other => other,
                }
            };
            let out = yaml::emit(&data, block);
            let out = out.trim();
            Val::str(out.strip_suffix("\n...").unwrap_or(out))
        }
        "load_yaml" => {
            let source = show::text(value)?;
            match yaml::parse(&source) {
                Ok(node) => Val::from_core(&node.to_value()),
                Err(error) => {
                    let line = source.lines().nth(error.pos.line.saturating_sub(1) as usize).unwrap_or_default();
                    let message = format!(
                        "Encountered error loading yaml: {} (line {} of the text: `{}`)",
                        error.message,
                        error.pos.line,
                        line.trim()
                    );
                    return refuse(message).map_err(|mut fail| {
                        fail.hints.extend(error.hints.clone());
                        fail
                    });
                }
            }
        }
        "load_json" => match serde_json::from_str::<Core>(&show::text(value)?) {
            Ok(data) => Val::from_core(&data),
            Err(_) => return refuse(format!("Unable to load json from {}", show::text(value)?)),
        },
        "load_text" => value.clone(),
        "json_query" => {
            let _ = vm;
            return err("the filter 'json_query' is not built in corpus; use `traverse` or `selectattr`");
        }
        _ => return Ok(None),
    }))
}

/// Returns plain data for a serializer; an undefined value within is its own error.
pub fn core(value: &Val) -> R<Core> {
    defined(value)?;
    match value.to_core() {
        Some(data) => Ok(data),
        None => match crate::access::undefined_within(value, 0) {
            Some(undef) => Err(crate::fail::undefined(&undef)),
            None => err(format!("Object of type {} cannot be written", value.type_name())),
        },
    }
}

fn expand(out: &mut String, with: &str, found: &fancy_regex::Captures<'_, str>) {
    let mut chars = with.chars().peekable();
    let group = |out: &mut String, name: &str| {
        let part = name.parse::<usize>().map_or_else(|_| found.name(name), |i| found.get(i));
        out.push_str(part.map_or("", |m| m.as_str()));
    };
    while let Some(c) = chars.next() {
        match (c, chars.peek().copied()) {
            ('\\', Some('g')) => {
                chars.next();
                let name: String = chars.by_ref().skip_while(|c| *c == '<').take_while(|c| *c != '>').collect();
                group(out, &name);
            }
            ('\\', Some(d)) if d.is_ascii_digit() => {
                let mut digits = String::new();
                while digits.len() < 2 {
                    match chars.next_if(char::is_ascii_digit) {
                        Some(d) => digits.push(d),
                        None => break,
                    }
                }
                group(out, &digits);
            }
            ('\\', Some('n')) => {
                chars.next();
                out.push('\n');
            }
            ('\\', Some('t')) => {
                chars.next();
                out.push('\t');
            }
            ('\\', Some('\\')) => {
                chars.next();
                out.push('\\');
            }
            (c, _) => out.push(c),
        }
    }
}

fn traverse(value: &Val, path: &str, delimiter: &str) -> Option<Val> {
    let mut at = value.clone();
    for step in path.split(delimiter) {
        let number = step.parse::<i64>().ok().map(Val::Int);
        at = match &at {
            Val::Dict(dict) => dict.get_str(step).or_else(|| dict.get(number.as_ref()?))?,
            Val::List(list) => match &number {
                Some(i) => ops::item(&at, i)?,
                None => list.items().iter().find_map(|v| match v {
                    Val::Dict(dict) => dict.get_str(step),
                    _ => None,
                })?,
            },
            _ => return None,
        };
    }
    Some(at)
}

fn flatten(items: &[Val], levels: i64, keep: bool, out: &mut Vec<Val>) {
    for item in items {
        match item {
            Val::None if !keep => {}
            Val::Str(s) if !keep && matches!(&**s, "None" | "null") => {}
            Val::List(_) | Val::Tuple(_) if levels >= 1 => {
                flatten(&item.iterate().unwrap_or_default(), levels - 1, keep, out);
            }
            Val::List(_) | Val::Tuple(_) => out.push(item.clone()),
            other => out.push(other.clone()),
        }
    }
}

fn compare(name: &str, old: &Val, new: &Val) -> R<Val> {
    let pair = |old: Val, new: Val| Val::dict([(Val::str("old"), old), (Val::str("new"), new)]);
    let mut out = vec![];
    if name == "compare_lists" {
        let (a, b) = (ops::iterate(old)?, ops::iterate(new)?);
        let without =
            |a: &[Val], b: &[Val]| Val::list(a.iter().filter(|x| !b.iter().any(|y| equal(x, y))).cloned().collect());
        for (key, list) in [("new", without(&b, &a)), ("old", without(&a, &b))] {
            if list.truthy() {
                out.push((Val::str(key), list));
            }
        }
        return Ok(Val::dict(out));
    }
    let (Val::Dict(a), Val::Dict(b)) = (old, new) else { return err("compare_dicts wants two dicts") };
    for (key, value) in b.items() {
        match a.get(&key) {
            None => out.push((key, pair(Val::str(""), value))),
            Some(was) if !equal(&was, &value) => out.push((key, pair(was, value))),
            Some(_) => {}
        }
    }
    for (key, value) in a.items() {
        if !b.contains(&key) {
            out.push((key, pair(value, Val::str(""))));
        }
    }
    Ok(Val::dict(out))
}

fn dict_key_value(name: &str, value: &Val, args: &Args) -> R<Val> {
    let Val::Dict(root) = value else { return err("expected a dict") };
    let path = args.need_text(0, "keys")?;
    let new = args.need(1, "value")?;
    let delimiter = args.text(2, "delimiter")?.unwrap_or_else(|| ":".into());
    let mut steps: Vec<&str> = path.split(&*delimiter).collect();
    let last = steps.pop().unwrap_or_default();
    let mut at = root.clone();
    for step in steps {
        let next = match at.get_str(step) {
            Some(Val::Dict(next)) => next,
            _ => {
                let made = crate::containers::Dict::new(Default::default());
                at.insert(Val::str(step), Val::Dict(made.clone()));
                made
            }
        };
        at = next;
    }
    let had = at.get_str(last);
    match (name, had) {
        ("update_dict_key_value", Some(Val::Dict(dict))) => methods::update(&dict, &new)?,
        ("append_dict_key_value", Some(Val::List(list))) => list.with(|items| items.push(new)),
        ("append_dict_key_value", _) => at.insert(Val::str(last), Val::list(vec![new])),
        ("extend_dict_key_value", Some(Val::List(list))) => {
            let more = ops::iterate(&new)?;
            list.with(|items| items.extend(more));
        }
        ("extend_dict_key_value", _) => at.insert(Val::str(last), Val::list(ops::iterate(&new)?)),
        _ => at.insert(Val::str(last), new),
    }
    Ok(value.clone())
}

fn combine(name: &str, value: &Val, args: &Args) -> R<Vec<Val>> {
    let first = ops::iterate(value)?;
    let mut lists = vec![first.clone()];
    if matches!(name, "zip" | "zip_longest" | "product" | "compress") {
        for other in &args.pos {
            lists.push(ops::iterate(other)?);
        }
    }
    const LIMIT: usize = 1_000_000;
    let r = args.int(0, "r", first.len() as i64).unwrap_or(0).max(0) as usize;
    let mut out = vec![];
    match name {
        "zip" => {
            let n = lists.iter().map(Vec::len).min().unwrap_or(0);
            out.extend((0..n).map(|i| Val::tuple(lists.iter().map(|l| l[i].clone()).collect())));
        }
        "zip_longest" => {
            let fill = args.raw(99, "fillvalue").unwrap_or(Val::None);
            let n = lists.iter().map(Vec::len).max().unwrap_or(0);
            let at = |l: &Vec<Val>, i: usize| l.get(i).cloned().unwrap_or_else(|| fill.clone());
            out.extend((0..n).map(|i| Val::tuple(lists.iter().map(|l| at(l, i)).collect())));
        }
        "compress" => {
            let flags = lists.get(1).cloned().unwrap_or_default();
            out.extend(first.into_iter().zip(flags).filter(|(_, f)| f.truthy()).map(|(v, _)| v));
        }
        "product" => {
            let mut rows: Vec<Vec<Val>> = vec![vec![]];
            for list in &lists {
                if rows.len().saturating_mul(list.len()) > LIMIT {
                    return err("the product is too large");
                }
                rows = rows
                    .iter()
                    .flat_map(|row| list.iter().map(|v| [&row[..], std::slice::from_ref(v)].concat()))
                    .collect();
            }
            out.extend(rows.into_iter().map(Val::tuple));
        }
        _ => {
            let mut pick = vec![];
            choose(name, first.len(), r, &mut pick, &mut |pick| {
                out.push(Val::tuple(pick.iter().map(|i: &usize| first[*i].clone()).collect()));
                out.len() < LIMIT
            });
        }
    }
    Ok(out)
}

fn choose(name: &str, n: usize, r: usize, pick: &mut Vec<usize>, found: &mut impl FnMut(&[usize]) -> bool) -> bool {
    if pick.len() == r {
        return found(pick);
    }
    let from = match (name, pick.last()) {
        ("permutations", _) | (_, None) => 0,
        ("combinations", Some(last)) => last + 1,
        (_, Some(last)) => *last,
    };
    for i in from..n {
        if name == "permutations" && pick.contains(&i) {
            continue;
        }
        pick.push(i);
        let go_on = choose(name, n, r, pick, found);
        pick.pop();
        if !go_on {
            return false;
        }
    }
    true
}

fn shell_quote(text: &str) -> String {
    let safe = |c: char| c.is_ascii_alphanumeric() || "@%+=:,./-_".contains(c);
    if !text.is_empty() && text.chars().all(safe) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\"'\"'"))
    }
}

fn regex_escape(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if "()[]{}?*+-|^$\\.&~# \t\n\r\x0b\x0c".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

fn human_to_bytes(size: &str, args: &Args) -> R<i64> {
    let size = size.trim();
    let cut = size.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(size.len());
    let Ok(number) = size[..cut].parse::<f64>() else { return Ok(0) };
    let default = args.text(0, "default_unit")?.unwrap_or_else(|| "B".into());
    let unit = if size[cut..].trim().is_empty() { default.to_string() } else { size[cut..].trim().to_owned() };
    let decimal = args.flag(1, "handle_metric", false)? && unit.len() == 2 && unit.ends_with(['B', 'b']);
    let power = match unit.chars().next().map(|c| c.to_ascii_lowercase()) {
        Some(c) => "bkmgtpezy".find(c),
        None => Some(0),
    };
    Ok(power.map_or(0, |p| (number * if decimal { 1000f64 } else { 1024f64 }.powi(p as i32)) as i64))
}

fn normal_path(path: &str) -> String {
    let mut parts: Vec<&str> = vec![];
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|p| *p != "..") => _ = parts.pop(),
            ".." if path.starts_with('/') => {}
            part => parts.push(part),
        }
    }
    let joined = parts.join("/");
    match (path.starts_with('/'), joined.is_empty()) {
        (true, _) => format!("/{joined}"),
        (false, true) => ".".into(),
        (false, false) => joined,
    }
}

fn glob(pattern: &str, text: &str) -> bool {
    let mut regex = String::from("^");
    for c in pattern.chars() {
        match c {
            '*' => regex.push_str(".*"),
            '?' => regex.push('.'),
            c => regex += &regex_escape(&c.to_string()),
        }
    }
    regex.push('$');
    fancy_regex::Regex::new(&regex).is_ok_and(|r| r.is_match(text).unwrap_or(false)) || pattern == text
}
