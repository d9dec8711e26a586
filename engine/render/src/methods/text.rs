//! The methods of `str`.

use crate::args::Args;
use crate::containers::Dict;
use crate::fail::{R, defined, err};
use crate::value::{Obj, Val};
use crate::{ops, percent, show};
use std::sync::Arc;

pub const NAMES: &[&str] = &[
    "capitalize",
    "casefold",
    "center",
    "count",
    "encode",
    "endswith",
    "expandtabs",
    "find",
    "format",
    "format_map",
    "index",
    "isalnum",
    "isalpha",
    "isascii",
    "isdecimal",
    "isdigit",
    "isidentifier",
    "islower",
    "isnumeric",
    "isprintable",
    "isspace",
    "istitle",
    "isupper",
    "join",
    "ljust",
    "lower",
    "lstrip",
    "partition",
    "removeprefix",
    "removesuffix",
    "replace",
    "rfind",
    "rindex",
    "rjust",
    "rpartition",
    "rsplit",
    "rstrip",
    "split",
    "splitlines",
    "startswith",
    "strip",
    "swapcase",
    "title",
    "translate",
    "upper",
    "zfill",
];

/// Calls a method of a text.
pub fn call(s: &Arc<str>, name: &str, args: &Args) -> R<Val> {
    let all = |test: fn(char) -> bool| Val::Bool(!s.is_empty() && s.chars().all(test));
    Ok(match name {
        "lower" => Val::str(s.to_lowercase()),
        "upper" => Val::str(s.to_uppercase()),
        "casefold" => Val::str(s.to_lowercase().replace('ß', "ss")),
        "capitalize" => Val::str(capitalize(s)),
        "title" => Val::str(title(s)),
        "swapcase" => Val::str(
            s.chars()
                .flat_map(|c| {
                    if c.is_uppercase() { c.to_lowercase().collect::<Vec<_>>() } else { c.to_uppercase().collect() }
                })
                .collect::<String>(),
        ),
        "strip" | "lstrip" | "rstrip" => {
            let set = args.text(0, "chars")?;
            let cut = |c: char| set.as_ref().map_or_else(|| c.is_whitespace(), |set| set.contains(c));
            Val::str(match name {
                "strip" => s.trim_matches(cut),
                "lstrip" => s.trim_start_matches(cut),
                _ => s.trim_end_matches(cut),
            })
        }
        "split" => Val::list(split(s, args, false)?),
        "rsplit" => Val::list(split(s, args, true)?),
        "splitlines" => Val::list(lines(s, args.flag(0, "keepends", false)?).into_iter().map(Val::str).collect()),
        "join" => {
            let mut out = String::new();
            for (i, item) in ops::iterate(&args.need(0, "iterable")?)?.iter().enumerate() {
                out.push_str(if i > 0 { s } else { "" });
                match item {
                    Val::Str(item) => out.push_str(item),
                    other => {
                        defined(other)?;
                        return err(format!("sequence item {i}: expected str instance, {} found", other.type_name()));
                    }
                }
            }
            Val::Str(out.into())
        }
        "replace" => {
            let (old, new) = (text_arg(args, 0, name)?, text_arg(args, 1, name)?);
            match args.int(2, "count", -1)? {
                n if n < 0 => Val::str(s.replace(&*old, &new)),
                n => Val::str(s.replacen(&*old, &new, n as usize)),
            }
        }
        "startswith" | "endswith" => {
            let part = part(s, args, 1)?;
            let test = |affix: &Val| match affix {
                Val::Str(affix) if name == "startswith" => Ok(part.starts_with(&**affix)),
                Val::Str(affix) => Ok(part.ends_with(&**affix)),
                other => err(format!("{name} first arg must be str or a tuple of str, not {}", other.type_name())),
            };
            match args.need(0, "prefix")? {
                Val::Tuple(affixes) => {
                    let mut found = false;
                    for affix in affixes.iter() {
                        found = found || test(affix)?;
                    }
                    Val::Bool(found)
                }
                one => Val::Bool(test(&one)?),
            }
        }
        "find" | "rfind" | "index" | "rindex" | "count" => {
            let what = text_arg(args, 0, name)?;
            let within = part(s, args, 1)?;
            if name == "count" {
                let n = if what.is_empty() { within.chars().count() + 1 } else { within.matches(&*what).count() };
                return Ok(Val::Int(n as i64));
            }
            let found = if name.starts_with('r') { within.rfind(&*what) } else { within.find(&*what) };
            match found {
                Some(i) => {
                    let before = within.as_ptr() as usize - s.as_ptr() as usize + i;
                    Val::Int(s[..before].chars().count() as i64)
                }
                None if name.ends_with("index") => return err("substring not found"),
                None => Val::Int(-1),
            }
        }
        "partition" | "rpartition" => {
            let sep = text_arg(args, 0, name)?;
            if sep.is_empty() {
                return err("empty separator");
            }
            let found = if name == "partition" { s.split_once(&*sep) } else { s.rsplit_once(&*sep) };
            let parts = match found {
                Some((a, b)) => [a, &sep, b],
                None if name == "partition" => [s, "", ""],
                None => ["", "", s],
            };
            Val::tuple(parts.iter().map(Val::str).collect())
        }
        "removeprefix" => Val::str(s.strip_prefix(&*text_arg(args, 0, name)?).unwrap_or(s)),
        "removesuffix" => Val::str(s.strip_suffix(&*text_arg(args, 0, name)?).unwrap_or(s)),
        "zfill" => {
            let (sign, digits) = match s.chars().next() {
                Some(c @ ('+' | '-')) => (c.to_string(), &s[1..]),
                _ => (String::new(), &**s),
            };
            let missing = width(args)?.saturating_sub(s.chars().count());
            Val::str(format!("{sign}{}{digits}", "0".repeat(missing)))
        }
        "center" | "ljust" | "rjust" => {
            let fill = args.text(1, "fillchar")?.unwrap_or_else(|| " ".into());
            let missing = width(args)?.saturating_sub(s.chars().count());
            let left = match name {
                "ljust" => 0,
                "rjust" => missing,
                // CPython puts the odd space left or right by the parity of the width.
                _ => missing / 2 + (missing & (missing + s.chars().count()) & 1),
            };
            Val::str(format!("{}{s}{}", fill.repeat(left), fill.repeat(missing - left)))
        }
        "expandtabs" => {
            let size = args.int(0, "tabsize", 8)?.clamp(0, 1000) as usize;
            let (mut out, mut column) = (String::new(), 0);
            for c in s.chars() {
                match c {
                    '\t' => {
                        let n = if size == 0 { 0 } else { size - column % size };
                        out.push_str(&" ".repeat(n));
                        column += n;
                    }
                    c => {
                        out.push(c);
                        column = if c == '\n' { 0 } else { column + 1 };
                    }
                }
            }
            Val::str(out)
        }
        "format" => Val::str(percent::braces(s, &args.pos, &args.named)?),
        "format_map" => {
            let map = args.need(0, "mapping")?;
            let Val::Dict(dict) = &map else { return err("format_map() argument must be a mapping") };
            Val::str(percent::braces(s, &[], &named(dict))?)
        }
        "encode" => Val::obj(Obj::Bytes(s.as_bytes().to_vec())),
        "isdigit" | "isdecimal" | "isnumeric" => all(char::is_numeric),
        "isalpha" => all(char::is_alphabetic),
        "isalnum" => all(char::is_alphanumeric),
        "isspace" => all(char::is_whitespace),
        "isascii" => Val::Bool(s.is_ascii()),
        "isprintable" => Val::Bool(s.chars().all(|c| !c.is_control())),
        "islower" => Val::Bool(s.chars().any(char::is_lowercase) && !s.chars().any(char::is_uppercase)),
        "isupper" => Val::Bool(s.chars().any(char::is_uppercase) && !s.chars().any(char::is_lowercase)),
        "istitle" => Val::Bool(s.chars().any(char::is_alphabetic) && title(s) == **s),
        "isidentifier" => {
            let mut chars = s.chars();
            let first = chars.next().is_some_and(|c| c.is_alphabetic() || c == '_');
            Val::Bool(first && chars.all(|c| c.is_alphanumeric() || c == '_'))
        }
        "translate" => {
            let Val::Dict(table) = args.need(0, "table")? else { return err("translate() needs a dict") };
            let mut out = String::new();
            for c in s.chars() {
                match table.get(&Val::Int(c as i64)) {
                    Some(Val::None) => {}
                    Some(Val::Int(i)) => out.extend(u32::try_from(i).ok().and_then(char::from_u32)),
                    Some(with) => out.push_str(&show::text(&with)?),
                    None => out.push(c),
                }
            }
            Val::str(out)
        }
        _ => return err(format!("'str' object has no attribute '{name}'")),
    })
}

fn named(dict: &Dict) -> Vec<(Arc<str>, Val)> {
    dict.items().into_iter().filter_map(|(k, v)| Some((Arc::from(k.as_str()?), v))).collect()
}

fn text_arg(args: &Args, place: usize, method: &str) -> R<Arc<str>> {
    match args.need(place, method)? {
        Val::Str(s) => Ok(s),
        other => err(format!("{method}() argument {} must be str, not {}", place + 1, other.type_name())),
    }
}

fn width(args: &Args) -> R<usize> {
    Ok(args.int(0, "width", 0)?.clamp(0, 1 << 20) as usize)
}

/// Cuts the text by the optional start and end arguments.
fn part<'a>(s: &'a str, args: &Args, place: usize) -> R<&'a str> {
    if args.pos.len() <= place {
        return Ok(s);
    }
    let len = s.chars().count() as i64;
    let at = |i: i64| (if i < 0 { i + len } else { i }).clamp(0, len);
    let byte = |i: i64| s.char_indices().nth(i as usize).map_or(s.len(), |(b, _)| b);
    let (start, end) = (at(args.int(place, "start", 0)?), at(args.int(place + 1, "end", len)?));
    Ok(if start < end { &s[byte(start)..byte(end)] } else { "" })
}

fn split(s: &str, args: &Args, from_right: bool) -> R<Vec<Val>> {
    let limit = args.int(1, "maxsplit", -1)?;
    let limit = usize::try_from(limit).map_or(usize::MAX, |n| n.saturating_add(1));
    let sep = match args.get(0, "sep")? {
        None | Some(Val::None) => None,
        Some(Val::Str(sep)) if sep.is_empty() => return err("empty separator"),
        Some(Val::Str(sep)) => Some(sep),
        Some(other) => return err(format!("must be str or None, not {}", other.type_name())),
    };
    let Some(sep) = sep else {
        return Ok(if limit == usize::MAX {
            s.split_whitespace().map(Val::str).collect()
        } else {
            split_spaces(s, limit, from_right)
        });
    };
    if from_right {
        let mut parts: Vec<Val> = s.rsplitn(limit, &*sep).map(Val::str).collect();
        parts.reverse();
        return Ok(parts);
    }
    Ok(s.splitn(limit, &*sep).map(Val::str).collect())
}

fn split_spaces(s: &str, limit: usize, from_right: bool) -> Vec<Val> {
    let mut parts = vec![];
    let mut rest = s.trim();
    if !from_right {
        rest = s.trim_start();
        while !rest.is_empty() {
            if parts.len() + 1 >= limit {
                parts.push(Val::str(rest));
                return parts;
            }
            let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
            parts.push(Val::str(&rest[..end]));
            rest = rest[end..].trim_start();
        }
        return parts;
    }
    rest = if limit == usize::MAX { rest } else { s.trim_end() };
    while !rest.is_empty() {
        if parts.len() + 1 >= limit {
            parts.push(Val::str(rest));
            break;
        }
        let start = rest.char_indices().rev().find(|(_, c)| c.is_whitespace()).map_or(0, |(i, c)| i + c.len_utf8());
        parts.push(Val::str(&rest[start..]));
        rest = rest[..start].trim_end();
    }
    parts.reverse();
    parts
}

/// Splits into lines as `str.splitlines` does.
pub fn lines(s: &str, keep_ends: bool) -> Vec<&str> {
    let mut out = vec![];
    let mut start = 0;
    let mut chars = s.char_indices().peekable();
    while let Some((i, c)) = chars.next() {
        let mut end = i + c.len_utf8();
        if !matches!(c, '\n' | '\r' | '\x0b' | '\x0c' | '\x1c'..='\x1e' | '\u{85}' | '\u{2028}' | '\u{2029}') {
            continue;
        }
        if c == '\r' && chars.next_if(|(_, next)| *next == '\n').is_some() {
            end += 1;
        }
        out.push(&s[start..if keep_ends { end } else { i }]);
        start = end;
    }
    if start < s.len() {
        out.push(&s[start..]);
    }
    out
}

/// Returns `str.capitalize()`.
pub fn capitalize(s: &str) -> String {
    let mut chars = s.chars();
    chars
        .next()
        .map_or_else(String::new, |first| first.to_uppercase().chain(chars.as_str().to_lowercase().chars()).collect())
}

fn title(s: &str) -> String {
    let mut in_word = false;
    let mut out = String::with_capacity(s.len());
    for c in s.chars() {
        if in_word {
            out.extend(c.to_lowercase());
        } else {
            out.extend(c.to_uppercase());
        }
        in_word = c.is_alphabetic();
    }
    out
}
