//! `'…' % values` and the number formats that it shares with `str.format`.

use crate::compare::number;
use crate::fail::{R, defined, err};
use crate::value::{Obj, Val};
use crate::{ops, show};

/// Formats with Python's `%`.
pub fn format(format: &str, value: &Val) -> R<String> {
    let args: Vec<Val> = match value {
        Val::Tuple(items) => items.to_vec(),
        other => vec![other.clone()],
    };
    let mapping = matches!(value, Val::Dict(_));
    let mut next = args.iter();
    let mut used_names = false;
    let mut out = String::with_capacity(format.len() + 16);
    let mut chars = format.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let mut name = None;
        if chars.peek() == Some(&'(') {
            chars.next();
            let mut key = String::new();
            loop {
                match chars.next() {
                    Some(')') => break,
                    Some(c) => key.push(c),
                    None => return err("incomplete format key"),
                }
            }
            name = Some(key);
        }
        let mut spec = Spec { align: None, ..Spec::default() };
        while let Some(flag) = chars.next_if(|c| "-+ #0".contains(*c)) {
            match flag {
                '-' => spec.align = Some('<'),
                '0' => spec.zero = true,
                '#' => spec.alternate = true,
                sign => spec.sign = Some(sign),
            }
        }
        let mut count = |chars: &mut std::iter::Peekable<std::str::Chars>| -> R<Option<usize>> {
            if chars.next_if_eq(&'*').is_some() {
                return match next.next().and_then(Val::as_int) {
                    Some(n) => Ok(Some(n.unsigned_abs() as usize)),
                    None => err("* wants int"),
                };
            }
            let mut digits = String::new();
            while let Some(d) = chars.next_if(char::is_ascii_digit) {
                digits.push(d);
            }
            Ok(digits.parse().ok())
        };
        spec.width = count(&mut chars)?.unwrap_or(0).min(1 << 20);
        if chars.next_if_eq(&'.').is_some() {
            spec.precision = Some(count(&mut chars)?.unwrap_or(0).min(1 << 20));
        }
        while chars.next_if(|c| "hlL".contains(*c)).is_some() {}
        let Some(kind) = chars.next() else { return err("incomplete format") };
        if kind == '%' {
            out.push('%');
            continue;
        }
        let arg = match &name {
            Some(key) => {
                used_names = true;
                match value {
                    Val::Dict(dict) => match dict.get_str(key) {
                        Some(found) => found,
                        None => return err(corpus_core::python::quoted(key)),
                    },
                    _ => return err("format requires a mapping"),
                }
            }
            None => match next.next() {
                Some(arg) => arg.clone(),
                None => return err("not enough arguments for format string"),
            },
        };
        defined(&arg)?;
        spec.align = Some(spec.align.unwrap_or('>'));
        match kind {
            's' | 'r' | 'a' => {
                let text = if kind == 's' { show::text(&arg)?.to_string() } else { show::repr(&arg) };
                spec.zero = false;
                out.push_str(&spec.text(&text));
            }
            'd' | 'i' | 'u' | 'x' | 'X' | 'o' => {
                let Some(whole) = whole(&arg).filter(|_| !matches!((&arg, kind), (Val::Float(_), 'x' | 'X' | 'o')))
                else {
                    return err(format!("%{kind} format: a real number is required, not {}", arg.type_name()));
                };
                spec.kind = if matches!(kind, 'i' | 'u') { 'd' } else { kind };
                out.push_str(&spec.int(whole)?);
            }
            'f' | 'F' | 'e' | 'E' | 'g' | 'G' => {
                let Some(x) = number(&arg) else {
                    return err(format!("must be real number, not {}", arg.type_name()));
                };
                spec.kind = kind;
                out.push_str(&spec.float(x));
            }
            'c' => match &arg {
                Val::Str(s) if s.chars().count() == 1 => out.push_str(&spec.text(s)),
                Val::Int(i) => match u32::try_from(*i).ok().and_then(char::from_u32) {
                    Some(c) => out.push_str(&spec.text(&c.to_string())),
                    None => return err("%c arg not in range(0x110000)"),
                },
                _ => return err("%c requires int or char"),
            },
            other => return err(format!("unsupported format character '{other}' (0x{:x})", other as u32)),
        }
    }
    if next.next().is_some()
        && !mapping
        && !used_names
        && !matches!(value, Val::List(_) if args.len() == 1 && used_names)
    {
        return err("not all arguments converted during string formatting");
    }
    Ok(out)
}

fn whole(value: &Val) -> Option<i64> {
    match value {
        Val::Float(x) if x.is_finite() => Some(x.trunc() as i64),
        other => other.as_int(),
    }
}

/// A format specification, `[[fill]align][sign][#][0][width][,][.precision][type]`.
#[derive(Clone, Debug)]
pub struct Spec {
    pub fill: char,
    pub align: Option<char>,
    pub sign: Option<char>,
    pub alternate: bool,
    pub zero: bool,
    pub width: usize,
    pub comma: Option<char>,
    pub precision: Option<usize>,
    /// The type letter, `\0` if none.
    pub kind: char,
}

impl Default for Spec {
    fn default() -> Self {
        Self {
            fill: ' ',
            align: None,
            sign: None,
            alternate: false,
            zero: false,
            width: 0,
            comma: None,
            precision: None,
            kind: '\0',
        }
    }
}

impl Spec {
    /// Reads a specification.
    pub fn parse(spec: &str) -> R<Self> {
        let chars: Vec<char> = spec.chars().collect();
        let mut out = Self::default();
        let mut i = 0;
        if chars.get(1).is_some_and(|c| "<>=^".contains(*c)) {
            (out.fill, out.align) = (chars[0], Some(chars[1]));
            i = 2;
        } else if chars.first().is_some_and(|c| "<>=^".contains(*c)) {
            out.align = Some(chars[0]);
            i = 1;
        }
        let mut take = |set: &str| {
            let found = chars.get(i).copied().filter(|c| set.contains(*c));
            i += usize::from(found.is_some());
            found
        };
        out.sign = take("+- ");
        out.alternate = take("#").is_some();
        out.zero = take("0").is_some();
        let mut digits = String::new();
        while let Some(d) = take("0123456789") {
            digits.push(d);
        }
        out.width = digits.parse::<usize>().unwrap_or(0).min(1 << 20);
        out.comma = take(",_");
        if take(".").is_some() {
            let mut digits = String::new();
            while let Some(d) = take("0123456789") {
                digits.push(d);
            }
            match digits.parse::<usize>() {
                Ok(n) => out.precision = Some(n.min(1 << 20)),
                Err(_) => return err("Format specifier missing precision"),
            }
        }
        out.kind = take("bcdeEfFgGnosxX%").unwrap_or('\0');
        if i < chars.len() {
            return err(format!("Invalid format specifier '{spec}'"));
        }
        Ok(out)
    }

    /// Pads a text.
    pub fn text(&self, text: &str) -> String {
        let cut: String = match self.precision {
            Some(n) => text.chars().take(n).collect(),
            None => text.to_owned(),
        };
        self.pad(&cut, self.align.unwrap_or('<'))
    }

    fn pad(&self, text: &str, align: char) -> String {
        let fill = if self.zero && self.align.is_none() { '0' } else { self.fill };
        let missing = self.width.saturating_sub(text.chars().count());
        let (left, right) = match align {
            '<' => (0, missing),
            '^' => (missing / 2, missing - missing / 2),
            _ => (missing, 0),
        };
        let mut out = String::with_capacity(text.len() + missing);
        out.extend(std::iter::repeat_n(fill, left));
        out.push_str(text);
        out.extend(std::iter::repeat_n(fill, right));
        out
    }

    fn signed(&self, negative: bool, digits: &str) -> String {
        let sign = match (negative, self.sign) {
            (true, _) => "-",
            (false, Some('+')) => "+",
            (false, Some(' ')) => " ",
            _ => "",
        };
        let digits = match self.comma {
            Some(mark) => grouped(digits, mark),
            None => digits.to_owned(),
        };
        let zeros = self.zero && matches!(self.align, None | Some('>'));
        if zeros || self.align == Some('=') {
            let fill = if zeros { '0' } else { self.fill };
            let missing = self.width.saturating_sub(sign.len() + digits.chars().count());
            return format!("{sign}{}{digits}", fill.to_string().repeat(missing));
        }
        self.pad(&format!("{sign}{digits}"), self.align.unwrap_or('>'))
    }

    /// Formats a whole number.
    pub fn int(&self, value: i64) -> R<String> {
        let size = value.unsigned_abs();
        let (prefix, digits) = match self.kind {
            '\0' | 'd' | 'n' => ("", size.to_string()),
            'b' => ("0b", format!("{size:b}")),
            'o' => ("0o", format!("{size:o}")),
            'x' => ("0x", format!("{size:x}")),
            'X' => ("0X", format!("{size:X}")),
            'c' => match u32::try_from(value).ok().and_then(char::from_u32) {
                Some(c) => return Ok(self.pad(&c.to_string(), self.align.unwrap_or('<'))),
                None => return err("%c arg not in range(0x110000)"),
            },
            's' => return err("Unknown format code 's' for object of type 'int'"),
            _ => return Ok(self.float(value as f64)),
        };
        let mut digits = digits;
        if let Some(least) = self.precision {
            digits = format!("{}{digits}", "0".repeat(least.saturating_sub(digits.len())));
        }
        Ok(self.signed(value < 0, &if self.alternate { format!("{prefix}{digits}") } else { digits }))
    }

    /// Formats a float.
    pub fn float(&self, value: f64) -> String {
        let size = value.abs();
        let negative = value.is_sign_negative() && !value.is_nan();
        if !value.is_finite() {
            let plain = Self { zero: false, ..self.clone() };
            return plain.signed(negative, if value.is_nan() { "nan" } else { "inf" });
        }
        let precision = self.precision.unwrap_or(6);
        let digits = match self.kind {
            'f' | 'F' => format!("{size:.precision$}"),
            'e' | 'E' => exponent(size, precision),
            '%' => format!("{:.precision$}%", size * 100.0),
            '\0' if self.precision.is_none() => corpus_core::python::float(size),
            kind => {
                let text = general(size, precision.max(1), self.alternate);
                if kind == '\0' && !text.contains(['.', 'e']) { format!("{text}.0") } else { text }
            }
        };
        let digits = if matches!(self.kind, 'E' | 'G') { digits.to_uppercase() } else { digits };
        self.signed(negative, &digits)
    }

    /// Formats any value as `format(value, spec)` does.
    pub fn value(&self, value: &Val, spec: &str) -> R<String> {
        defined(value)?;
        match value {
            Val::Str(s) => match self.kind {
                '\0' | 's' => Ok(self.text(s)),
                kind => err(format!("Unknown format code '{kind}' for object of type 'str'")),
            },
            Val::Int(i) => self.int(*i),
            Val::Bool(_) if spec.is_empty() => Ok(show::repr(value)),
            Val::Bool(b) => self.int((*b).into()),
            Val::Float(x) => match self.kind {
                'd' | 'x' | 'X' | 'o' | 'b' | 'c' | 's' => {
                    err(format!("Unknown format code '{}' for object of type 'float'", self.kind))
                }
                _ => Ok(self.float(*x)),
            },
            Val::Obj(obj) if matches!(**obj, Obj::Module(_)) => Ok(self.text(&show::text(value)?)),
            _ if spec.is_empty() => Ok(show::text(value)?.to_string()),
            _ => err(format!("unsupported format string passed to {}.__format__", value.type_name())),
        }
    }
}

fn exponent(size: f64, precision: usize) -> String {
    let text = format!("{size:.precision$e}");
    let (digits, power) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, power) = power.strip_prefix('-').map_or(('+', power), |p| ('-', p));
    format!("{digits}e{sign}{power:0>2}")
}

fn general(size: f64, precision: usize, keep: bool) -> String {
    let rounded = format!("{size:.*e}", precision - 1);
    let power: i32 = rounded.split_once('e').and_then(|(_, p)| p.parse().ok()).unwrap_or(0);
    let trim = |text: &str| {
        if keep || !text.contains('.') {
            text.to_owned()
        } else {
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
    };
    if power < -4 || power >= precision as i32 {
        let text = exponent(size, precision - 1);
        let (digits, tail) = text.split_once('e').unwrap_or((&text, "+00"));
        return format!("{}e{tail}", trim(digits));
    }
    trim(&format!("{size:.*}", usize::try_from(precision as i32 - 1 - power).unwrap_or(0)))
}

fn grouped(digits: &str, mark: char) -> String {
    let (whole, rest) = digits.find(['.', 'e', '%']).map_or((digits, ""), |i| digits.split_at(i));
    let mut out = String::new();
    for (i, c) in whole.chars().enumerate() {
        if i > 0 && (whole.len() - i).is_multiple_of(3) {
            out.push(mark);
        }
        out.push(c);
    }
    out + rest
}

/// Formats as `str.format` does.
pub fn braces(format: &str, pos: &[Val], named: &[(std::sync::Arc<str>, Val)]) -> R<String> {
    let mut auto = 0;
    braces_at(format, pos, named, &mut auto, 0)
}

fn braces_at(
    format: &str,
    pos: &[Val],
    named: &[(std::sync::Arc<str>, Val)],
    auto: &mut usize,
    depth: usize,
) -> R<String> {
    if depth > 2 {
        return err("Max string recursion exceeded");
    }
    let mut out = String::with_capacity(format.len() + 16);
    let mut rest = format;
    while let Some(i) = rest.find(['{', '}']) {
        out.push_str(&rest[..i]);
        let mark = &rest[i..=i];
        rest = &rest[i + 1..];
        if let Some(tail) = rest.strip_prefix(mark) {
            out.push_str(mark);
            rest = tail;
            continue;
        }
        if mark == "}" {
            return err("Single '}' encountered in format string");
        }
        let mut level = 1;
        let end = rest.char_indices().find(|(_, c)| {
            level += match c {
                '{' => 1,
                '}' => -1,
                _ => 0,
            };
            level == 0
        });
        let Some((end, _)) = end else {
            return err(if rest.is_empty() {
                "Single '{' encountered in format string"
            } else {
                "expected '}' before end of string"
            });
        };
        let field = &rest[..end];
        rest = &rest[end + 1..];
        // A `:` or `!` within an index belongs to the index.
        let mut bracket = false;
        let cut = field.find(|c| {
            bracket = (bracket || c == '[') && c != ']';
            !bracket && (c == ':' || c == '!')
        });
        let (path, tail) = cut.map_or((field, ""), |i| field.split_at(i));
        let (conversion, spec) = match tail.strip_prefix('!') {
            Some(tail) => (tail.chars().next(), tail.find(':').map_or("", |i| &tail[i + 1..])),
            None => (None, tail.strip_prefix(':').unwrap_or_default()),
        };
        let value = field_value(path, pos, named, auto)?;
        let spec = if spec.contains('{') { braces_at(spec, pos, named, auto, depth + 1)? } else { spec.to_owned() };
        defined(&value)?;
        let value = match conversion {
            Some('s') => Val::Str(show::text(&value)?),
            Some('r' | 'a') => Val::str(show::repr(&value)),
            Some(c) => return err(format!("Unknown conversion specifier '{c}'")),
            None => value,
        };
        out.push_str(&Spec::parse(&spec)?.value(&value, &spec)?);
    }
    out.push_str(rest);
    Ok(out)
}

fn field_value(path: &str, pos: &[Val], named: &[(std::sync::Arc<str>, Val)], auto: &mut usize) -> R<Val> {
    let first_end = path.find(['.', '[']).unwrap_or(path.len());
    let (first, mut rest) = path.split_at(first_end);
    let place = if first.is_empty() {
        *auto += 1;
        Some(*auto - 1)
    } else {
        first.parse::<usize>().ok()
    };
    let mut value = match place {
        Some(i) => match pos.get(i) {
            Some(value) => value.clone(),
            None => {
                return err(format!("Replacement index {i} out of range for positional args tuple"));
            }
        },
        None => match named.iter().find(|(name, _)| **name == *first) {
            Some((_, value)) => value.clone(),
            None => return err(corpus_core::python::quoted(first)),
        },
    };
    while !rest.is_empty() {
        let key;
        if let Some(tail) = rest.strip_prefix('[') {
            let Some((index, tail)) = tail.split_once(']') else { return err("Missing ']' in format string") };
            key = index.parse::<i64>().map_or_else(|_| Val::str(index), Val::Int);
            rest = tail;
        } else {
            let tail = rest.strip_prefix('.').unwrap_or(rest);
            let end = tail.find(['.', '[']).unwrap_or(tail.len());
            key = Val::str(&tail[..end]);
            rest = &tail[end..];
        }
        defined(&value)?;
        value = match ops::item(&value, &key) {
            Some(found) => found,
            None => return err(show::repr(&key)),
        };
    }
    Ok(value)
}
