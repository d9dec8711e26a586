//! Jinja2's filters on texts and numbers.

use super::soft;
use crate::args::Args;
use crate::compare::number;
use crate::eval::Vm;
use crate::fail::{R, err};
use crate::methods;
use crate::value::Val;
use crate::{ops, percent, show};

pub fn call(_vm: &mut Vm, name: &str, value: &Val, args: &Args) -> R<Option<Val>> {
    Ok(Some(match name {
        "lower" | "upper" | "capitalize" => methods::call(&Val::Str(soft(value)?), name, &Args::default())?,
        "title" => Val::str(title(&soft(value)?)),
        "trim" => methods::call(&Val::Str(soft(value)?), "strip", args)?,
        "string" => Val::Str(soft(value)?),
        "safe" => Val::Str(soft(value)?),
        "e" | "escape" | "forceescape" => Val::str(escape(&soft(value)?)),
        "striptags" => Val::str(striptags(&soft(value)?)),
        "default" | "d" => {
            if args.flag(1, "boolean", false)? && !value.truthy() {
                args.raw(0, "default_value").unwrap_or_else(|| Val::str(""))
            } else {
                value.clone()
            }
        }
        "replace" => {
            let (old, new) = (args.need_text(0, "old")?, args.need_text(1, "new")?);
            let call = Args::of(vec![Val::Str(old), Val::Str(new), Val::Int(args.int(2, "count", -1)?)]);
            methods::call(&Val::Str(soft(value)?), "replace", &call)?
        }
        "format" => {
            if !args.pos.is_empty() && !args.named.is_empty() {
                return err("can't handle positional and keyword arguments at the same time");
            }
            let with = if args.named.is_empty() {
                Val::tuple(args.pos.clone())
            } else {
                Val::dict(args.named.iter().map(|(n, v)| (Val::Str(n.clone()), v.clone())))
            };
            Val::str(percent::format(&soft(value)?, &with)?)
        }
        "center" => {
            let width = args.int(0, "width", 80)?;
            methods::call(&Val::Str(soft(value)?), "center", &Args::of(vec![Val::Int(width)]))?
        }
        "indent" => Val::str(indent(&soft(value)?, args)?),
        "truncate" => Val::str(truncate(&soft(value)?, args)?),
        "wordwrap" => Val::str(wordwrap(&soft(value)?, args)?),
        "wordcount" => Val::Int(
            soft(value)?.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|w| !w.is_empty()).count() as i64,
        ),
        "int" => to_int(value, args)?,
        "float" => match value {
            Val::Str(s) => match parse_float(s) {
                Some(x) => Val::Float(x),
                None => args.get(0, "default")?.unwrap_or(Val::Float(0.0)),
            },
            other => number(other).map_or(args.get(0, "default")?.unwrap_or(Val::Float(0.0)), Val::Float),
        },
        "abs" => match value {
            Val::Float(x) => Val::Float(x.abs()),
            other => match other.as_int() {
                Some(i) => Val::Int(i.saturating_abs()),
                None => return err(format!("bad operand type for abs(): '{}'", other.type_name())),
            },
        },
        "round" => {
            let Some(x) = number(value) else {
                return err(format!("type {} doesn't define __round__ method", value.type_name()));
            };
            let precision = args.int(0, "precision", 0)?.clamp(-300, 300) as i32;
            let method = args.text(1, "method")?.unwrap_or_else(|| "common".into());
            let scale = 10f64.powi(precision);
            match &*method {
                "common" => match value {
                    Val::Int(_) | Val::Bool(_) if precision >= 0 => value.clone(),
                    _ if precision >= 0 => Val::Float(format!("{x:.*}", precision as usize).parse().unwrap_or(x)),
                    Val::Int(_) => Val::Int(((x * scale).round_ties_even() / scale) as i64),
                    _ => Val::Float((x * scale).round_ties_even() / scale),
                },
                "ceil" => Val::Float((x * scale).ceil() / scale),
                "floor" => Val::Float((x * scale).floor() / scale),
                _ => return err("method must be common, ceil or floor"),
            }
        }
        "filesizeformat" => Val::str(filesize(value, args)?),
        "urlencode" => match value {
            Val::Str(s) => Val::str(quote_url(s, "/")),
            Val::Dict(dict) => Val::str(query(&dict.items())?),
            Val::List(_) | Val::Tuple(_) => {
                let mut pairs = vec![];
                for pair in ops::iterate(value)? {
                    let pair = ops::iterate(&pair)?;
                    if let [k, v] = pair.as_slice() {
                        pairs.push((k.clone(), v.clone()));
                    }
                }
                Val::str(query(&pairs)?)
            }
            other => Val::str(quote_url(&show::text(other)?, "/")),
        },
        "xmlattr" => {
            let Val::Dict(dict) = value else {
                return err(format!("'{}' object has no attribute 'items'", value.type_name()));
            };
            let mut out = String::new();
            for (k, v) in dict.items() {
                if matches!(v, Val::None | Val::Undef(_)) {
                    continue;
                }
                let space = if out.is_empty() && !args.flag(0, "autospace", true)? { "" } else { " " };
                out += &format!("{space}{}=\"{}\"", escape(&show::text(&k)?), escape(&show::text(&v)?));
            }
            Val::str(out)
        }
        "pprint" | "python" => Val::str(show::repr(value)),
        _ => return Ok(None),
    }))
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('>', "&gt;").replace('<', "&lt;").replace('\'', "&#39;").replace('"', "&#34;")
}

fn striptags(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(open) = rest.find('<') {
        let Some(close) = rest[open..].find('>') else { break };
        out.push_str(&rest[..open]);
        rest = &rest[open + close + 1..];
    }
    out.push_str(rest);
    out.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Jinja: words also begin after brackets and dashes.
fn title(text: &str) -> String {
    let mut start = true;
    let mut out = String::new();
    for c in text.chars() {
        if start {
            out.extend(c.to_uppercase());
        } else {
            out.extend(c.to_lowercase());
        }
        start = c.is_whitespace() || "-({[<".contains(c);
    }
    out
}

fn indent(text: &str, args: &Args) -> R<String> {
    let by = match args.get(0, "width")? {
        Some(Val::Str(s)) => s.to_string(),
        Some(v) => " ".repeat(v.as_int().unwrap_or(4).clamp(0, 1000) as usize),
        None => "    ".into(),
    };
    let (first, blank) = (args.flag(1, "first", false)?, args.flag(2, "blank", false)?);
    let with_end = format!("{text}\n");
    let lines = methods_lines(&with_end);
    let mut out = String::with_capacity(text.len() + lines.len() * by.len());
    for (i, line) in lines.iter().enumerate() {
        if i > 0 {
            out.push('\n');
        }
        let wanted = if i == 0 { first } else { blank || !line.is_empty() };
        if wanted {
            out.push_str(&by);
        }
        out.push_str(line);
    }
    Ok(out)
}

fn methods_lines(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.split('\n').map(|l| l.strip_suffix('\r').unwrap_or(l)).collect();
    if lines.last().is_some_and(|l| l.is_empty()) {
        lines.pop();
    }
    lines
}

fn truncate(text: &str, args: &Args) -> R<String> {
    let length = args.int(0, "length", 255)?.max(0) as usize;
    let kill = args.flag(1, "killwords", false)?;
    let end = args.text(2, "end")?.unwrap_or_else(|| "...".into());
    let leeway = args.int(3, "leeway", 5)?.max(0) as usize;
    let chars: Vec<char> = text.chars().collect();
    if chars.len() <= length + leeway {
        return Ok(text.to_owned());
    }
    let keep = length.saturating_sub(end.chars().count());
    let cut: String = chars[..keep].iter().collect();
    if kill {
        return Ok(cut + &end);
    }
    Ok(cut.rsplit_once(' ').map_or(cut.clone(), |(head, _)| head.to_owned()) + &end)
}

fn wordwrap(text: &str, args: &Args) -> R<String> {
    let width = args.int(0, "width", 79)?.max(1) as usize;
    let break_long = args.flag(1, "break_long_words", true)?;
    let newline = args.text(2, "wrapstring")?.unwrap_or_else(|| "\n".into());
    let mut out = vec![];
    for line in text.lines() {
        let mut current = String::new();
        let mut length = 0;
        // Words break behind a dash too.
        for word in line.split_inclusive('-').flat_map(|w| w.split_inclusive(' ')) {
            let size = word.trim_end().chars().count();
            if length > 0 && length + size > width {
                out.push(std::mem::take(&mut current).trim_end().to_owned());
                length = 0;
            }
            let mut rest = word;
            while break_long && rest.trim_end().chars().count() > width {
                let at = rest.char_indices().nth(width).map_or(rest.len(), |(i, _)| i);
                out.push(rest[..at].to_owned());
                rest = &rest[at..];
            }
            current.push_str(rest);
            length += rest.chars().count();
        }
        out.push(current.trim_end().to_owned());
    }
    Ok(out.join(&newline))
}

fn parse_float(text: &str) -> Option<f64> {
    let clean = text.trim().replace('_', "");
    clean.parse().ok()
}

fn to_int(value: &Val, args: &Args) -> R<Val> {
    let default = || Ok(args.get(0, "default")?.unwrap_or(Val::Int(0)));
    let base = args.int(1, "base", 10)?;
    match value {
        Val::Str(s) => {
            let clean = s.trim().replace('_', "").to_lowercase();
            let (sign, digits) = clean.strip_prefix('-').map_or((1, clean.trim_start_matches('+')), |d| (-1, d));
            let (digits, base) = match (digits.get(..2), base) {
                (Some("0x"), 16 | 0) => (&digits[2..], 16),
                (Some("0o"), 8 | 0) => (&digits[2..], 8),
                (Some("0b"), 2 | 0) => (&digits[2..], 2),
                _ => (digits, base),
            };
            if (2..=36).contains(&base)
                && let Ok(i) = i64::from_str_radix(digits, base as u32)
            {
                return Ok(Val::Int(sign * i));
            }
            match parse_float(s).filter(|x| x.is_finite()) {
                Some(x) => Ok(Val::Int(x as i64)),
                None => default(),
            }
        }
        Val::Float(x) if x.is_finite() => Ok(Val::Int(*x as i64)),
        other => other.as_int().map_or_else(default, |i| Ok(Val::Int(i))),
    }
}

fn filesize(value: &Val, args: &Args) -> R<String> {
    let bytes = match value {
        Val::Str(s) => parse_float(s).unwrap_or(0.0),
        other => number(other).unwrap_or(0.0),
    };
    let binary = args.flag(0, "binary", false)?;
    let base = if binary { 1024.0 } else { 1000.0 };
    if bytes == 1.0 {
        return Ok("1 Byte".into());
    }
    if bytes < base {
        return Ok(format!("{bytes:.0} Bytes"));
    }
    let units = ["k", "M", "G", "T", "P", "E", "Z", "Y"];
    let mut unit = base;
    let mut shown = String::new();
    for name in units {
        unit *= base;
        let name = if binary { format!("{}iB", name.to_uppercase()) } else { format!("{name}B") };
        shown = format!("{:.1} {name}", base * bytes / unit);
        if bytes < unit {
            break;
        }
    }
    Ok(shown)
}

fn quote_url(text: &str, safe: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        let c = byte as char;
        if c.is_ascii_alphanumeric() || "_.-~".contains(c) || safe.contains(c) {
            out.push(c);
        } else {
            out += &format!("%{byte:02X}");
        }
    }
    out
}

fn query(pairs: &[(Val, Val)]) -> R<String> {
    let mut out = vec![];
    for (k, v) in pairs {
        let part = |v: &Val| Ok(quote_url(&show::text(v)?, "").replace("%20", "+"));
        let pair: (R<String>, R<String>) = (part(k), part(v));
        out.push(format!("{}={}", pair.0?, pair.1?));
    }
    Ok(out.join("&"))
}
