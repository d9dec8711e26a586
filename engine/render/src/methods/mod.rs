//! Python's methods of texts, lists, tuples and dicts: one table per type.

mod containers;
pub use containers::{sort, update};
mod text;
pub use text::capitalize;

use crate::args::Args;
use crate::fail::{R, err};
use crate::value::{Obj, Val};

const TUPLE: &[&str] = &["count", "index"];
const BYTES: &[&str] = &["decode", "hex"];

/// Names the methods of a value's type.
pub fn names(value: &Val) -> &'static [&'static str] {
    match value {
        Val::Str(_) => text::NAMES,
        Val::List(_) => containers::LIST,
        Val::Dict(_) => containers::DICT,
        Val::Tuple(_) => TUPLE,
        Val::Obj(obj) => match &**obj {
            Obj::Bytes(_) => BYTES,
            Obj::Cycler(..) => &["next", "reset"],
            Obj::Loop(_) => &["cycle", "changed"],
            Obj::Salt => &["get", "keys", "values", "items"],
            _ => &[],
        },
        Val::Float(_) => &["is_integer"],
        _ => &[],
    }
}

/// Tells whether the value has the method.
pub fn has(value: &Val, name: &str) -> bool {
    names(value).contains(&name)
}

/// Calls a method that [`has`] knows.
pub fn call(value: &Val, name: &str, args: &Args) -> R<Val> {
    match value {
        Val::Str(s) => text::call(s, name, args),
        Val::List(l) => containers::list(l, name, args),
        Val::Dict(d) => containers::dict(d, name, args),
        Val::Tuple(items) => containers::tuple(items, name, args),
        Val::Float(x) => Ok(Val::Bool(x.fract() == 0.0)),
        Val::Obj(obj) => match &**obj {
            Obj::Bytes(bytes) if name == "decode" => match std::str::from_utf8(bytes) {
                Ok(text) => Ok(Val::str(text)),
                Err(_) => err("'utf-8' codec can't decode the bytes"),
            },
            Obj::Bytes(bytes) => Ok(Val::str(bytes.iter().map(|b| format!("{b:02x}")).collect::<String>())),
            Obj::Cycler(items, at) if name == "next" => {
                let item = items.get(at.get()).cloned().unwrap_or(Val::None);
                at.set((at.get() + 1) % items.len().max(1));
                Ok(item)
            }
            Obj::Cycler(_, at) => {
                at.set(0);
                Ok(Val::None)
            }
            Obj::Loop(l) if name == "cycle" => match args.pos.len() {
                0 => err("no items for cycling given"),
                n => Ok(args.pos[l.index.get() % n].clone()),
            },
            Obj::Loop(l) => {
                let mut last = l.last_changed.borrow_mut();
                let same = last.as_ref().is_some_and(|old| {
                    old.len() == args.pos.len() && old.iter().zip(&args.pos).all(|(a, b)| crate::compare::equal(a, b))
                });
                *last = Some(args.pos.clone());
                Ok(Val::Bool(!same))
            }
            _ => err(format!("'{}' object has no method '{name}'", value.type_name())),
        },
        _ => err(format!("'{}' object has no method '{name}'", value.type_name())),
    }
}
