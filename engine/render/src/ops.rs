//! Operators, comparison, subscripts and slices, with Python's rules and Python's words when they refuse.

use crate::compare::{equal, number, order};
use crate::fail::{Fail, Kind, R, defined, err};
use crate::percent;
use crate::tree::{Cmp, Op};
use crate::value::{Obj, Val};
use std::cmp::Ordering;
use std::sync::Arc;

const REPEAT: usize = 100_000_000;

/// Computes `a op b`.
pub fn binary(op: Op, a: &Val, b: &Val) -> R<Val> {
    defined(a)?;
    if let (Op::Rem, Val::Str(format)) = (op, a) {
        return percent::format(format, b).map(|text| Val::Str(text.into()));
    }
    defined(b)?;
    if let (Some(x), Some(y)) = (a.as_int(), b.as_int()) {
        return ints(op, x, y);
    }
    if let (Some(x), Some(y)) = (number(a), number(b)) {
        return floats(op, x, y);
    }
    match (op, a, b) {
        (Op::Add, Val::Str(x), Val::Str(y)) => return Ok(Val::Str(Arc::from([&**x, &**y].concat()))),
        (Op::Add, Val::List(x), Val::List(y)) => {
            let mut items = x.items();
            items.extend(y.items());
            return Ok(Val::list(items));
        }
        (Op::Add, Val::Tuple(x), Val::Tuple(y)) => return Ok(Val::tuple(x.iter().chain(&**y).cloned().collect())),
        (Op::Add, Val::Str(_), _) => {
            return err(format!("can only concatenate str (not \"{}\") to str", b.type_name()));
        }
        (Op::Add, Val::List(_), _) => {
            return err(format!("can only concatenate list (not \"{}\") to list", b.type_name()));
        }
        (Op::Add, Val::Tuple(_), _) => {
            return err(format!("can only concatenate tuple (not \"{}\") to tuple", b.type_name()));
        }
        (Op::Mul, container, count) | (Op::Mul, count, container)
            if container.is_sequence() && count.as_int().is_some() =>
        {
            return repeat(container, count.as_int().unwrap_or(0));
        }
        (Op::Mul, container, other) | (Op::Mul, other, container) if container.is_sequence() => {
            return err(format!("can't multiply sequence by non-int of type '{}'", other.type_name()));
        }
        _ => {}
    }
    let sign = match op {
        Op::Add => "+",
        Op::Sub => "-",
        Op::Mul => "*",
        Op::Div => "/",
        Op::FloorDiv => "//",
        Op::Rem => "%",
        Op::Pow => "** or pow()",
    };
    err(format!("unsupported operand type(s) for {sign}: '{}' and '{}'", a.type_name(), b.type_name()))
}

fn repeat(container: &Val, count: i64) -> R<Val> {
    let count = usize::try_from(count).unwrap_or(0);
    let size = match container {
        Val::Str(s) => s.len(),
        other => other.length().unwrap_or(0) * 16,
    };
    if size.saturating_mul(count) > REPEAT {
        return err("the repeated value is too large");
    }
    Ok(match container {
        Val::Str(s) => Val::str(s.repeat(count)),
        Val::Tuple(items) => Val::tuple(std::iter::repeat_n(&**items, count).flatten().cloned().collect()),
        other => {
            let items = other.iterate().unwrap_or_default();
            Val::list(std::iter::repeat_n(&items, count).flatten().cloned().collect())
        }
    })
}

fn ints(op: Op, x: i64, y: i64) -> R<Val> {
    let checked = match op {
        Op::Add => x.checked_add(y),
        Op::Sub => x.checked_sub(y),
        Op::Mul => x.checked_mul(y),
        Op::Div if y == 0 => return err("division by zero"),
        Op::Div => return Ok(Val::Float(x as f64 / y as f64)),
        Op::FloorDiv | Op::Rem if y == 0 => return err("integer division or modulo by zero"),
        Op::FloorDiv => x.checked_div(y).map(|q| if x % y != 0 && (x < 0) != (y < 0) { q - 1 } else { q }),
        Op::Rem => Some(x.checked_rem(y).map_or(0, |r| if r != 0 && (r < 0) != (y < 0) { r + y } else { r })),
        Op::Pow if y < 0 => return floats(op, x as f64, y as f64),
        Op::Pow => u32::try_from(y).ok().and_then(|y| x.checked_pow(y)),
    };
    match checked {
        Some(value) => Ok(Val::Int(value)),
        None => err("the number is too large (more than 64 bits)"),
    }
}

fn floats(op: Op, x: f64, y: f64) -> R<Val> {
    Ok(Val::Float(match op {
        Op::Add => x + y,
        Op::Sub => x - y,
        Op::Mul => x * y,
        Op::Div if y == 0.0 => return err("float division by zero"),
        Op::Div => x / y,
        Op::FloorDiv if y == 0.0 => return err("float floor division by zero"),
        Op::FloorDiv => (x / y).floor(),
        Op::Rem if y == 0.0 => return err("float modulo"),
        Op::Rem => {
            let rest = x % y;
            if rest != 0.0 && (rest < 0.0) != (y < 0.0) { rest + y } else { rest }
        }
        Op::Pow if x == 0.0 && y < 0.0 => return err("0.0 cannot be raised to a negative power"),
        Op::Pow => x.powf(y),
    }))
}

/// Computes `-a`.
pub fn negate(a: &Val) -> R<Val> {
    defined(a)?;
    match a {
        Val::Float(x) => Ok(Val::Float(-x)),
        _ => match a.as_int().and_then(i64::checked_neg) {
            Some(i) => Ok(Val::Int(i)),
            None => err(format!("bad operand type for unary -: '{}'", a.type_name())),
        },
    }
}

/// Computes `a op b` for comparisons.
pub fn compare(op: Cmp, a: &Val, b: &Val) -> R<bool> {
    defined(a)?;
    if !matches!(op, Cmp::In | Cmp::NotIn) || !matches!(b, Val::List(_) | Val::Dict(_)) {
        defined(b)?;
    }
    let ordered = |sign: &str, test: fn(Ordering) -> bool| match order(a, b) {
        Some(found) => Ok(test(found)),
        None => err(format!("'{sign}' not supported between instances of '{}' and '{}'", a.type_name(), b.type_name())),
    };
    match op {
        Cmp::Eq => Ok(equal(a, b)),
        Cmp::Ne => Ok(!equal(a, b)),
        Cmp::Lt => ordered("<", Ordering::is_lt),
        Cmp::Le => ordered("<=", Ordering::is_le),
        Cmp::Gt => ordered(">", Ordering::is_gt),
        Cmp::Ge => ordered(">=", Ordering::is_ge),
        Cmp::In => contains(b, a),
        Cmp::NotIn => contains(b, a).map(|found| !found),
    }
}

/// Tells whether `item in container`.
pub fn contains(container: &Val, item: &Val) -> R<bool> {
    defined(container)?;
    Ok(match container {
        Val::Str(s) => match item {
            Val::Str(part) => s.contains(&**part),
            other => {
                return err(format!("'in <string>' requires string as left operand, not {}", other.type_name()));
            }
        },
        Val::Dict(d) => {
            hashable(item)?;
            d.contains(item)
        }
        Val::List(l) => l.with(|items| items.iter().any(|x| equal(x, item))),
        other => match other.iterate() {
            Some(items) => items.iter().any(|x| equal(x, item)),
            None => return err(format!("argument of type '{}' is not iterable", other.type_name())),
        },
    })
}

/// Refuses what cannot be a key.
pub fn hashable(key: &Val) -> R<()> {
    defined(key)?;
    if key.hashable() { Ok(()) } else { err(format!("unhashable type: '{}'", key.type_name())) }
}

/// Returns the items that a loop sees, or says that there are none.
pub fn iterate(value: &Val) -> R<Vec<Val>> {
    defined(value)?;
    match value.iterate() {
        Some(items) => Ok(items),
        None => {
            let fail = Fail::new(Kind::Error, format!("'{}' object is not iterable", value.type_name()));
            Err(if matches!(value, Val::None) { fail.hint("`… or []` stands for nothing") } else { fail })
        }
    }
}

/// Returns `value[key]` of Python's own containers; `None` if it is not there.
pub fn item(value: &Val, key: &Val) -> Option<Val> {
    let index = |len: usize| {
        let i = key.as_int()?;
        usize::try_from(if i < 0 { i + len as i64 } else { i }).ok().filter(|i| *i < len)
    };
    match value {
        Val::Dict(d) => d.get(key),
        Val::List(l) => l.with(|items| index(items.len()).map(|i| items[i].clone())),
        Val::Tuple(items) => index(items.len()).map(|i| items[i].clone()),
        Val::Str(s) => {
            let len = s.chars().count();
            let i = index(len)?;
            s.chars().nth(i).map(|c| Val::str(c.to_string()))
        }
        Val::Obj(obj) => match &**obj {
            Obj::Range(..) => {
                let items = value.iterate()?;
                index(items.len()).map(|i| items[i].clone())
            }
            Obj::Bytes(bytes) => index(bytes.len()).map(|i| Val::Int(bytes[i].into())),
            _ => None,
        },
        _ => None,
    }
}

/// Computes `value[start:stop:step]`.
pub fn slice(value: &Val, start: &Val, stop: &Val, step: &Val) -> R<Val> {
    defined(value)?;
    let part = |v: &Val| -> R<Option<i64>> {
        defined(v)?;
        match v {
            Val::None => Ok(None),
            _ => match v.as_int() {
                Some(i) => Ok(Some(i)),
                None => err("slice indices must be integers or None or have an __index__ method"),
            },
        }
    };
    let (start, stop, step) = (part(start)?, part(stop)?, part(step)?.unwrap_or(1));
    if step == 0 {
        return err("slice step cannot be zero");
    }
    if let Val::Str(s) = value {
        if s.is_ascii() && step == 1 {
            let picked = indices(s.len(), start, stop, 1);
            return Ok(Val::str(picked.first().map_or("", |from| &s[*from..*from + picked.len()])));
        }
        let chars: Vec<char> = s.chars().collect();
        return Ok(Val::str(indices(chars.len(), start, stop, step).iter().map(|i| chars[*i]).collect::<String>()));
    }
    let items = match value {
        Val::List(l) => l.items(),
        Val::Tuple(t) => t.to_vec(),
        Val::Obj(obj) if matches!(**obj, Obj::Range(..)) => value.iterate().unwrap_or_default(),
        _ => {
            return Ok(Val::undef(format!(
                "{} has no element slice({}, {}, {})",
                value.object_name(),
                bound(start),
                bound(stop),
                if step == 1 { "None".into() } else { step.to_string() }
            )));
        }
    };
    let picked = indices(items.len(), start, stop, step).iter().map(|i| items[*i].clone()).collect();
    Ok(if let Val::Tuple(_) = value { Val::tuple(picked) } else { Val::list(picked) })
}

fn bound(value: Option<i64>) -> String {
    value.map_or("None".into(), |i| i.to_string())
}

fn indices(len: usize, start: Option<i64>, stop: Option<i64>, step: i64) -> Vec<usize> {
    let len = len as i64;
    let clamp = |i: i64, low: i64, high: i64| (if i < 0 { i + len } else { i }).clamp(low, high);
    let mut picked = vec![];
    if step > 0 {
        let (mut i, end) = (start.map_or(0, |s| clamp(s, 0, len)), stop.map_or(len, |s| clamp(s, 0, len)));
        while i < end {
            picked.push(i as usize);
            i = i.saturating_add(step);
        }
    } else {
        let (mut i, end) =
            (start.map_or(len - 1, |s| clamp(s, -1, len - 1)), stop.map_or(-1, |s| clamp(s, -1, len - 1)));
        while i > end {
            picked.push(i as usize);
            i = i.saturating_add(step);
        }
    }
    picked
}
