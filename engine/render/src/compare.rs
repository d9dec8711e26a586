//! How values compare: Python's `==`, `<` and `is`.

use crate::value::{Obj, Val, ViewKind};
use std::cmp::Ordering;
use std::rc::Rc;

/// Returns the number, if it is one; booleans are 0 and 1.
pub fn number(value: &Val) -> Option<f64> {
    match value {
        Val::Bool(b) => Some(f64::from(*b)),
        Val::Int(i) => Some(*i as f64),
        Val::Float(x) => Some(*x),
        _ => None,
    }
}

/// Tells whether two values are equal, as Python's `==` does.
pub fn equal(a: &Val, b: &Val) -> bool {
    match (a, b) {
        (Val::None, Val::None) => true,
        (Val::Str(a), Val::Str(b)) => a == b,
        (Val::Int(a), Val::Int(b)) => a == b,
        (Val::List(a), Val::List(b)) => Rc::ptr_eq(a, b) || all_equal(&a.items(), &b.items()),
        (Val::Tuple(a), Val::Tuple(b)) => all_equal(a, b),
        (Val::Dict(a), Val::Dict(b)) => {
            Rc::ptr_eq(a, b)
                || a.len() == b.len() && a.items().iter().all(|(k, v)| b.get(k).is_some_and(|w| equal(v, &w)))
        }
        (Val::Obj(a), Val::Obj(b)) if Rc::ptr_eq(a, b) => true,
        (Val::Obj(x), Val::Obj(y)) => match (&**x, &**y) {
            (Obj::Range(..), Obj::Range(..)) => {
                all_equal(&a.iterate().unwrap_or_default(), &b.iterate().unwrap_or_default())
            }
            (Obj::View(j, _), Obj::View(k, _)) if j == k && *j != ViewKind::Values => {
                let (left, right) = (a.iterate().unwrap_or_default(), b.iterate().unwrap_or_default());
                left.len() == right.len() && left.iter().all(|x| right.iter().any(|y| equal(x, y)))
            }
            (Obj::Bytes(a), Obj::Bytes(b)) => a == b,
            (Obj::SaltFunction(a), Obj::SaltFunction(b)) => a == b,
            (Obj::Function(a), Obj::Function(b)) => a == b,
            _ => false,
        },
        _ => matches!((number(a), number(b)), (Some(a), Some(b)) if a == b),
    }
}

fn all_equal(a: &[Val], b: &[Val]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b))
}

/// Orders two values, as Python's `<` does; `None` if it refuses.
pub fn order(a: &Val, b: &Val) -> Option<Ordering> {
    let each = |a: &[Val], b: &[Val]| {
        for (x, y) in a.iter().zip(b) {
            if !equal(x, y) {
                return order(x, y);
            }
        }
        Some(a.len().cmp(&b.len()))
    };
    match (a, b) {
        (Val::Str(a), Val::Str(b)) => Some(a.cmp(b)),
        (Val::Int(a), Val::Int(b)) => Some(a.cmp(b)),
        (Val::List(a), Val::List(b)) => each(&a.items(), &b.items()),
        (Val::Tuple(a), Val::Tuple(b)) => each(a, b),
        _ => match (number(a)?, number(b)?) {
            (x, y) if x.is_nan() || y.is_nan() => Some(Ordering::Greater),
            (x, y) => x.partial_cmp(&y),
        },
    }
}

/// Tells whether two values are one object (`is sameas`).
pub fn same(a: &Val, b: &Val) -> bool {
    match (a, b) {
        (Val::List(a), Val::List(b)) => Rc::ptr_eq(a, b),
        (Val::Tuple(a), Val::Tuple(b)) => Rc::ptr_eq(a, b),
        (Val::Dict(a), Val::Dict(b)) => Rc::ptr_eq(a, b),
        (Val::Obj(a), Val::Obj(b)) => Rc::ptr_eq(a, b),
        (Val::Bool(a), Val::Bool(b)) => a == b,
        (Val::None, Val::None) => true,
        (Val::Str(a), Val::Str(b)) => a == b,
        (Val::Int(a), Val::Int(b)) => a == b,
        (Val::Float(a), Val::Float(b)) => a == b,
        _ => false,
    }
}
