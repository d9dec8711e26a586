//! The tests of `x is …`: Jinja2's and Salt's.

use crate::access::unknown;
use crate::args::Args;
use crate::fail::{R, defined, err};
use crate::tree::{Cmp, Op};
use crate::value::{Obj, Val};
use crate::{filters, ops, show};

pub const NAMES: &[&str] = &[
    "boolean",
    "callable",
    "defined",
    "divisibleby",
    "eq",
    "equalto",
    "escaped",
    "even",
    "false",
    "filter",
    "float",
    "ge",
    "greaterthan",
    "gt",
    "in",
    "integer",
    "iterable",
    "le",
    "lessthan",
    "list",
    "lower",
    "lt",
    "mapping",
    "match",
    "ne",
    "none",
    "number",
    "odd",
    "sameas",
    "sequence",
    "string",
    "test",
    "true",
    "undefined",
    "upper",
];

/// Answers `value is name(args)`.
pub fn check(name: &str, value: &Val, args: &Args) -> R<bool> {
    let compare = |op: Cmp| ops::compare(op, value, &args.need(0, "other")?);
    Ok(match name {
        "defined" => !matches!(value, Val::Undef(_)),
        "undefined" => matches!(value, Val::Undef(_)),
        "none" => matches!(value, Val::None),
        "boolean" => matches!(value, Val::Bool(_)),
        "true" => matches!(value, Val::Bool(true)),
        "false" => matches!(value, Val::Bool(false)),
        "integer" => matches!(value, Val::Int(_)),
        "float" => matches!(value, Val::Float(_)),
        "number" => matches!(value, Val::Int(_) | Val::Float(_) | Val::Bool(_)),
        "string" => matches!(value, Val::Str(_)),
        "mapping" => matches!(value, Val::Dict(_)),
        "list" => matches!(value, Val::List(_)),
        "callable" => {
            matches!(value, Val::Obj(o) if matches!(**o, Obj::Macro(_) | Obj::Method(..) | Obj::Function(_) | Obj::SaltFunction(_) | Obj::Joiner(..) | Obj::Block(..) | Obj::Loop(_)))
        }
        "iterable" => {
            defined(value)?;
            matches!(value, Val::Str(_) | Val::List(_) | Val::Tuple(_) | Val::Dict(_))
                || matches!(value, Val::Obj(o) if matches!(**o, Obj::Range(..) | Obj::View(..) | Obj::Iter(..) | Obj::Bytes(_) | Obj::Loop(_) | Obj::Salt))
        }
        "sequence" => {
            defined(value)?;
            matches!(value, Val::Str(_) | Val::List(_) | Val::Tuple(_) | Val::Dict(_))
                || matches!(value, Val::Obj(o) if matches!(**o, Obj::Range(..) | Obj::Bytes(_) | Obj::Salt))
        }
        "lower" => {
            show::text(value)?.chars().any(char::is_lowercase) && !show::text(value)?.chars().any(char::is_uppercase)
        }
        "upper" => {
            show::text(value)?.chars().any(char::is_uppercase) && !show::text(value)?.chars().any(char::is_lowercase)
        }
        "odd" | "even" | "divisibleby" => {
            let by = if name == "divisibleby" { args.need(0, "num")? } else { Val::Int(2) };
            if let Val::Str(_) = value {
                return err("not all arguments converted during string formatting");
            }
            let rest = ops::binary(Op::Rem, value, &by)?;
            let zero = !rest.truthy();
            if name == "odd" { crate::compare::equal(&rest, &Val::Int(1)) } else { zero }
        }
        "sameas" => {
            let other = args.need(0, "other")?;
            crate::compare::same(value, &other)
        }
        "eq" | "equalto" | "==" => compare(Cmp::Eq)?,
        "ne" | "!=" => compare(Cmp::Ne)?,
        "lt" | "lessthan" | "<" => compare(Cmp::Lt)?,
        "le" | "<=" => compare(Cmp::Le)?,
        "gt" | "greaterthan" | ">" => compare(Cmp::Gt)?,
        "ge" | ">=" => compare(Cmp::Ge)?,
        "in" => compare(Cmp::In)?,
        "escaped" => false,
        "filter" => filters::NAMES.contains(&&*show::text(value)?),
        "test" => NAMES.contains(&&*show::text(value)?),
        "match" => filters::regex(args, 1)?(&show::text(value)?, filters::Anchor::Start)?.is_some(),
        _ => return unknown("test", name, NAMES),
    })
}
