//! Functions that every template can call: Jinja2's and Salt's.

use crate::args::Args;
use crate::containers::Dict;
use crate::eval::Vm;
use crate::fail::{Fail, Kind, R, defined, err};
use crate::methods;
use crate::tree::Sym;
use crate::value::{Obj, Val};
use crate::{ops, show};
use std::cell::Cell;
use std::collections::HashMap;
use std::sync::LazyLock;

/// The names.
pub const NAMES: &[&str] =
    &["cycler", "dict", "ifelse", "joiner", "lipsum", "namespace", "odict", "raise", "range", "show_full_context"];

static SYMS: LazyLock<HashMap<Sym, &'static str>> =
    LazyLock::new(|| NAMES.iter().map(|name| (Sym::of(name), *name)).collect());

/// Finds a global function.
pub fn find(name: Sym) -> Option<Val> {
    SYMS.get(&name).map(|name| Val::obj(Obj::Function(name)))
}

/// Calls a global function.
pub fn call(vm: &mut Vm, name: &str, args: &Args) -> R<Val> {
    Ok(match name {
        "range" => range(args)?,
        "dict" | "odict" => Val::Dict(make_dict(args)?),
        "namespace" => Val::obj(Obj::Namespace(make_dict(args)?)),
        "cycler" => {
            if args.pos.is_empty() {
                return err("at least one item has to be provided");
            }
            Val::obj(Obj::Cycler(args.pos.clone(), Cell::new(0)))
        }
        "joiner" => Val::obj(Obj::Joiner(args.get(0, "sep")?.unwrap_or_else(|| Val::str(", ")), Cell::new(false))),
        "raise" => return Err(Fail::new(Kind::Error, &*show::text(&args.need(0, "msg")?)?)),
        "ifelse" => return ifelse(vm, args),
        "lipsum" => lipsum(args)?,
        // Of `__stack__`: no global, so it is not among the names.
        "traverse" => {
            let rest = Args { pos: args.pos.iter().skip(1).cloned().collect(), named: args.named.clone() };
            crate::filters::call(vm, "traverse", &args.need(0, "data")?, &rest)?
        }
        _ => {
            let mut entries = vec![];
            for name in vm.base.names() {
                if let Some(value) = Sym::known(&name).and_then(|sym| vm.base.get(sym)) {
                    if matches!(value, Val::Obj(_)) {
                        continue;
                    }
                    entries.push((Val::Str(name), value));
                }
            }
            Val::dict(entries)
        }
    })
}

fn range(args: &Args) -> R<Val> {
    for value in &args.pos {
        defined(value)?;
        if value.as_int().is_none() {
            return err(format!("'{}' object cannot be interpreted as an integer", value.type_name()));
        }
    }
    let int = |i: usize| args.pos.get(i).and_then(Val::as_int);
    let (start, stop) = match (int(0), int(1)) {
        (Some(stop), None) => (0, stop),
        (Some(start), Some(stop)) => (start, stop),
        _ => return err("range expected at least 1 argument, got 0"),
    };
    let step = int(2).unwrap_or(1);
    if step == 0 {
        return err("range() arg 3 must not be zero");
    }
    let made = Val::obj(Obj::Range(start, stop, step));
    if made.length().unwrap_or(0) > 100_000 {
        return err("Range too big. The sandbox blocks ranges larger than MAX_RANGE (100000).");
    }
    Ok(made)
}

fn make_dict(args: &Args) -> R<std::rc::Rc<Dict>> {
    let dict = Dict::new(Default::default());
    methods::call(&Val::Dict(dict.clone()), "update", args)?;
    Ok(dict)
}

/// Salt: match.ifelse as a global: pairs of a compound match and a value, then the default.
fn ifelse(vm: &mut Vm, args: &Args) -> R<Val> {
    for pair in args.pos.chunks_exact(2) {
        let target = Args::of(vec![pair[0].clone()]);
        if vm.call_salt("match.compound", &target)?.truthy() {
            return Ok(pair[1].clone());
        }
    }
    Ok(if args.pos.len() % 2 == 1 { args.pos[args.pos.len() - 1].clone() } else { Val::None })
}

fn lipsum(args: &Args) -> R<Val> {
    const WORDS: &str = "Lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do eiusmod tempor incididunt \
                         ut labore et dolore magna aliqua.";
    let n = args.int(0, "n", 5)?.clamp(0, 1000) as usize;
    Ok(Val::str(vec![WORDS; n].join("\n\n")))
}

/// Reads `attr.sub.0` paths of filters (`map(attribute=…)`).
pub fn attribute(value: &Val, path: &Val) -> R<Val> {
    let mut at = value.clone();
    let steps: Vec<Val> = match path {
        Val::Str(path) => path.split('.').map(|s| s.parse().map_or_else(|_| Val::str(s), Val::Int)).collect(),
        other => vec![other.clone()],
    };
    for step in steps {
        defined(&at)?;
        let found = ops::item(&at, &step).or_else(|| match &step {
            Val::Int(i) => ops::item(&at, &Val::str(i.to_string())),
            _ => None,
        });
        at = match found {
            Some(found) => found,
            None => crate::access::no_item(&at, &step),
        };
    }
    Ok(at)
}
