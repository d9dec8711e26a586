//! What a scalar means: the implicit types of PyYAML's resolver and the conversions of Salt's constructors.
//! YAML 1.1, not 1.2: `yes` is true, `1e3` is text, `12:30` is 750, and Salt reads `0644` as 644.

use crate::Value;

/// The tags that have a constructor, and a place for those that have none.
#[derive(Clone, Debug, PartialEq)]
pub enum Tag {
    Str,
    Bool,
    Int,
    Float,
    Null,
    Seq,
    Map,
    Binary,
    Set,
    Omap,
    Pairs,
    Timestamp,
    Unicode,
    /// `<<`.
    Merge,
    /// `=`.
    Value,
    Other(String),
}

const PREFIX: &str = "tag:yaml.org,2002:";

const NAMES: [(Tag, &str); 15] = [
    (Tag::Str, "str"),
    (Tag::Bool, "bool"),
    (Tag::Int, "int"),
    (Tag::Float, "float"),
    (Tag::Null, "null"),
    (Tag::Seq, "seq"),
    (Tag::Map, "map"),
    (Tag::Binary, "binary"),
    (Tag::Set, "set"),
    (Tag::Omap, "omap"),
    (Tag::Pairs, "pairs"),
    (Tag::Timestamp, "timestamp"),
    (Tag::Unicode, "python/unicode"),
    (Tag::Merge, "merge"),
    (Tag::Value, "value"),
];

impl Tag {
    /// Returns the tag of a full name.
    pub fn of(full: String) -> Self {
        let known = full.strip_prefix(PREFIX).and_then(|name| NAMES.iter().find(|(_, n)| *n == name));
        known.map_or(Self::Other(full), |(tag, _)| tag.clone())
    }

    /// Returns the full name.
    pub fn name(&self) -> String {
        match self {
            Self::Other(name) => name.clone(),
            known => {
                let name = NAMES.iter().find(|(tag, _)| tag == known).map_or("", |(_, name)| name);
                format!("{PREFIX}{name}")
            }
        }
    }
}

/// Returns the type that an unquoted scalar has.
pub fn implicit(text: &str) -> Tag {
    let Some(&first) = text.as_bytes().first() else { return Tag::Null };
    match first {
        b'y' | b'Y' | b'n' | b'N' | b't' | b'T' | b'f' | b'F' | b'o' | b'O' | b'~' => match text {
            "~" | "null" | "Null" | "NULL" => Tag::Null,
            _ if boolean(text).is_some() => Tag::Bool,
            _ => Tag::Str,
        },
        b'<' if text == "<<" => Tag::Merge,
        b'=' if text == "=" => Tag::Value,
        b'-' | b'+' | b'.' | b'0'..=b'9' => number(text),
        _ => Tag::Str,
    }
}

fn boolean(text: &str) -> Option<bool> {
    match text {
        "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Some(true),
        "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => Some(false),
        _ => None,
    }
}

fn number(text: &str) -> Tag {
    let body = text.strip_prefix(['-', '+']).unwrap_or(text);
    if is_float(text, body) {
        Tag::Float
    } else if is_int(body) {
        Tag::Int
    } else {
        // Timestamps match next in PyYAML; Salt keeps them as they are written.
        Tag::Str
    }
}

fn digits(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit() || b == b'_')
}

fn starts_with_digit(text: &str) -> bool {
    text.as_bytes().first().is_some_and(u8::is_ascii_digit)
}

/// Tells whether `:` and groups of sixty follow, `:30` or `:5`, at least one.
fn sexagesimal(groups: &str) -> bool {
    groups.split(':').skip(1).all(|g| match g.as_bytes() {
        [d] => d.is_ascii_digit(),
        [tens, d] => (b'0'..=b'5').contains(tens) && d.is_ascii_digit(),
        _ => false,
    }) && groups.starts_with(':')
}

fn is_float(text: &str, body: &str) -> bool {
    if matches!(body, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return true;
    }
    let Some((whole, rest)) = body.split_once('.') else { return false };
    if whole.is_empty() {
        // `.5` takes no sign and starts with a digit.
        return text.starts_with('.') && starts_with_digit(rest) && fraction(rest);
    }
    if !starts_with_digit(whole) {
        return false;
    }
    match whole.find(':') {
        Some(i) => digits(&whole[..i]) && sexagesimal(&whole[i..]) && digits(rest),
        None => digits(whole) && fraction(rest),
    }
}

/// Tells whether these are digits with, perhaps, an exponent; the exponent needs its sign.
fn fraction(text: &str) -> bool {
    match text.find(['e', 'E']) {
        None => digits(text),
        Some(i) => {
            let exponent = text[i + 1..].strip_prefix(['-', '+']);
            digits(&text[..i]) && exponent.is_some_and(|e| !e.is_empty() && e.bytes().all(|b| b.is_ascii_digit()))
        }
    }
}

fn is_int(body: &str) -> bool {
    let run = |text: &str, ok: fn(u8) -> bool| !text.is_empty() && text.bytes().all(|b| ok(b) || b == b'_');
    if let Some(bits) = body.strip_prefix("0b") {
        return run(bits, |b| matches!(b, b'0' | b'1'));
    }
    if let Some(hex) = body.strip_prefix("0x") {
        return run(hex, |b| b.is_ascii_hexdigit());
    }
    if let Some(octal) = body.strip_prefix('0') {
        return octal.is_empty() || run(octal, |b| (b'0'..=b'7').contains(&b));
    }
    if !starts_with_digit(body) {
        return false;
    }
    match body.find(':') {
        Some(i) => digits(&body[..i]) && sexagesimal(&body[i..]),
        None => digits(body),
    }
}

/// Converts a scalar to the type of its tag.
pub fn convert(tag: &Tag, text: &str) -> Result<Value, String> {
    match tag {
        Tag::Null => Ok(Value::Null),
        Tag::Bool => {
            let lower = text.to_ascii_lowercase();
            boolean(&lower).map(Value::Bool).ok_or_else(|| format!("{text:?} is not true or false"))
        }
        Tag::Int => int(text),
        Tag::Float => float(text),
        Tag::Binary => binary(text),
        _ => Ok(Value::str(text)),
    }
}

fn int(text: &str) -> Result<Value, String> {
    let wrong = || format!("invalid literal for int() with base 10: {}", crate::python::quoted(text));
    // Salt: leading zeros go first, so that `0644` is the 644 that people mean. A sign hides them.
    let salted = if text.starts_with('0') && !text.starts_with("0b") && !text.starts_with("0x") {
        let rest = text.trim_start_matches('0');
        if rest.is_empty() { "0" } else { rest }
    } else {
        text
    };
    let clean = salted.replace('_', "");
    let (negative, body) = match clean.strip_prefix('-') {
        Some(body) => (true, body),
        None => (false, clean.strip_prefix('+').unwrap_or(&clean)),
    };
    let magnitude = if body == "0" {
        Some(0)
    } else if let Some(bits) = body.strip_prefix("0b") {
        i128::from_str_radix(bits, 2).ok()
    } else if let Some(hex) = body.strip_prefix("0x") {
        i128::from_str_radix(hex, 16).ok()
    } else if let Some(octal) = body.strip_prefix('0') {
        i128::from_str_radix(octal, 8).ok()
    } else if body.contains(':') {
        let parts = body.split(':').map(|p| p.parse::<i128>().ok());
        parts
            .collect::<Option<Vec<_>>>()
            .and_then(|parts| parts.iter().try_fold(0i128, |sum, part| sum.checked_mul(60)?.checked_add(*part)))
    } else if !body.is_empty() && body.bytes().all(|b| b.is_ascii_digit()) {
        // Python's numbers have no end; text keeps every digit of those that ours cannot hold.
        match body.parse::<i128>() {
            Ok(n) => Some(n),
            Err(_) => return Ok(Value::str(clean)),
        }
    } else {
        None
    };
    let signed = magnitude.map(|n| if negative { -n } else { n }).ok_or_else(wrong)?;
    Ok(i64::try_from(signed).map_or_else(|_| Value::from(signed.to_string()), Value::Int))
}

fn float(text: &str) -> Result<Value, String> {
    let clean = text.replace('_', "").to_ascii_lowercase();
    let (sign, body) = match clean.strip_prefix('-') {
        Some(body) => (-1.0, body),
        None => (1.0, clean.strip_prefix('+').unwrap_or(&clean)),
    };
    let wrong = || format!("could not convert string to float: {}", crate::python::quoted(text));
    let size = match body {
        ".inf" => f64::INFINITY,
        ".nan" => f64::NAN,
        _ if body.contains(':') => {
            let mut sum = 0.0;
            for part in body.split(':') {
                sum = sum * 60.0 + part.parse::<f64>().map_err(|_| wrong())?;
            }
            sum
        }
        _ => body.parse::<f64>().map_err(|_| wrong())?,
    };
    Ok(Value::Float(sign * size))
}

/// Decodes base64. The values of SLS are text, so bytes that are none are refused.
fn binary(text: &str) -> Result<Value, String> {
    let letters: String = text.chars().filter(|c| c.is_ascii_alphanumeric() || "+/".contains(*c)).collect();
    // Python: letters at the end that make no byte are left out.
    let whole = if letters.len() % 4 == 1 { &letters[..letters.len() - 1] } else { &letters };
    let out = crate::digest::unbase64(whole).unwrap_or_default();
    String::from_utf8(out).map(Value::from).map_err(|_| "failed to decode base64 data: it is not UTF-8 text".into())
}
