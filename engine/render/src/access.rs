//! Attributes and items of values, the `salt` object, and the undefined values of what is not there.

use crate::args::Args;
use crate::containers::Dict;
use crate::eval::Vm;
use crate::fail::{Fail, Kind, R, defined, err, refuse, undefined};
use crate::value::{Loop, Near, Obj, Undef, Val};
use crate::{methods, ops, show};
use corpus_core::exec::{Call, ExecError};
use corpus_core::suggest::did_you_mean;
use corpus_core::value::{Map as CoreMap, Value as Core};
use std::cell::OnceCell;
use std::collections::HashSet;
use std::rc::Rc;
use std::sync::Arc;

use crate::tree::Sym;

impl Vm<'_> {
    pub(crate) fn salt_method(&mut self, name: &str, args: &Args) -> R<Val> {
        match name {
            "get" => {
                let fun = args.need_text(0, "key")?;
                Ok(if self.cx.caller.has(&fun) {
                    Val::obj(Obj::SaltFunction(fun))
                } else {
                    args.raw(1, "default").unwrap_or(Val::None)
                })
            }
            _ => Ok(Val::list(self.cx.caller.names().into_iter().map(Val::str).collect())),
        }
    }

    /// Calls an execution function.
    pub fn call_salt(&mut self, fun: &str, args: &Args) -> R<Val> {
        let core = |value: &Val| {
            defined(value)?;
            match value.to_core() {
                Some(core) => Ok(core),
                None => match undefined_within(value, 0) {
                    Some(undef) => Err(undefined(&undef)),
                    None => err(format!("cannot give a '{}' to salt['{fun}']", value.type_name())),
                },
            }
        };
        let mut call = Call::new(fun, args.pos.iter().map(core).collect::<R<_>>()?);
        for (name, value) in &args.named {
            call.kwargs.insert(name.clone(), core(value)?);
        }
        match self.cx.caller.call(&call) {
            Ok(value) => Ok(match (changed_in_place(fun, args), &value) {
                (Some(Val::Dict(dest)), Core::Map(map)) => {
                    adopt(&dest, map);
                    Val::Dict(dest)
                }
                _ => Val::from_core(&value),
            }),
            Err(ExecError::NotFound(name)) => Err(self.no_function(&name)),
            Err(error) => {
                let mut fail = Fail::new(Kind::Salt, error.to_string());
                fail.label = format!("salt['{fun}'] failed");
                Err(fail)
            }
        }
    }

    pub(crate) fn no_function(&self, name: &str) -> Box<Fail> {
        let mut fail = Fail::new(
            Kind::Undefined,
            format!(
                "'salt.utils.templates.AliasedLoader object' has no attribute {}",
                corpus_core::python::quoted(name)
            ),
        );
        fail.label = format!("no execution function `{name}`");
        let names = self.cx.caller.names();
        fail.hints.extend(did_you_mean(name, names.iter().map(String::as_str)));
        fail
    }

    pub(crate) fn item(&mut self, base: &Val, key: &Val) -> R<Val> {
        if let Val::Undef(undef) = base {
            return Err(undefined(undef));
        }
        defined(key)?;
        if let Some(found) = ops::item(base, key) {
            return Ok(found);
        }
        match (base, key) {
            (Val::Obj(obj), Val::Str(name)) if matches!(**obj, Obj::Salt) => {
                if self.cx.caller.has(name) {
                    return Ok(Val::obj(Obj::SaltFunction(name.clone())));
                }
                self.attr(base, name)
            }
            (Val::Obj(obj), Val::Str(name)) if !matches!(**obj, Obj::View(..)) => self.attr(base, name),
            (_, Val::Str(name)) if methods::has(base, name) => Ok(Val::obj(Obj::Method(base.clone(), name.clone()))),
            _ => Ok(missing(self.engine.is_plain(), base, key)),
        }
    }

    pub(crate) fn attr(&mut self, base: &Val, name: &Arc<str>) -> R<Val> {
        if let Val::Undef(undef) = base {
            return Err(undefined(undef));
        }
        if name.starts_with("__") {
            return Ok(Val::undef(format!(
                "access to attribute {} of {} object is unsafe.",
                corpus_core::python::quoted(name),
                corpus_core::python::quoted(base.type_name()),
            )));
        }
        if methods::has(base, name) {
            return Ok(Val::obj(Obj::Method(base.clone(), name.clone())));
        }
        let plain = self.engine.is_plain();
        let missing = || missing(plain, base, &Val::Str(name.clone()));
        Ok(match base {
            Val::Dict(dict) => dict.get_str(name).unwrap_or_else(missing),
            Val::Obj(obj) => match &**obj {
                Obj::Namespace(dict) => dict.get_str(name).unwrap_or_else(missing),
                Obj::Module(module) => Sym::known(name)
                    .filter(|_| !name.starts_with('_'))
                    .and_then(|sym| module.scope.own(sym))
                    .unwrap_or_else(missing),
                Obj::Salt if !name.contains('.') && self.salt_modules().contains(&**name) => {
                    Val::obj(Obj::SaltModule(name.clone()))
                }
                Obj::Salt => {
                    let fail = self.no_function(name);
                    let why = self.cx.caller.explain(name).map(|why| Near::Hint(why.into()));
                    let near = why.unwrap_or_else(|| self.functions());
                    Val::Undef(Rc::new(Undef {
                        message: fail.message,
                        name: name.clone(),
                        near,
                        origin: OnceCell::new(),
                    }))
                }
                Obj::SaltModule(module) => {
                    let full = format!("{module}.{name}");
                    if self.cx.caller.has(&full) {
                        Val::obj(Obj::SaltFunction(full.into()))
                    } else {
                        let message = format!("'salt.loader.lazy.LoadedMod object' has no attribute '{name}'");
                        Val::Undef(Rc::new(Undef {
                            message,
                            name: full.into(),
                            near: self.functions(),
                            origin: OnceCell::new(),
                        }))
                    }
                }
                Obj::Loop(l) => loop_field(l, name).unwrap_or_else(missing),
                Obj::Cycler(items, at) if &**name == "current" => items.get(at.get()).cloned().unwrap_or(Val::None),
                Obj::Macro(m) => match &**name {
                    "name" => Val::Str(m.def.name.clone()),
                    "arguments" => Val::tuple(m.def.params.iter().map(|(_, n, _)| Val::Str(n.clone())).collect()),
                    "catch_varargs" => Val::Bool(m.def.uses_varargs),
                    "catch_kwargs" => Val::Bool(m.def.uses_kwargs),
                    "caller" => Val::Bool(m.def.uses_caller),
                    _ => missing(),
                },
                Obj::SelfBlocks => Val::obj(Obj::Block(name.clone(), 0)),
                Obj::Range(start, stop, step) => match &**name {
                    "start" => Val::Int(*start),
                    "stop" => Val::Int(*stop),
                    "step" => Val::Int(*step),
                    _ => missing(),
                },
                _ => missing(),
            },
            _ => missing(),
        })
    }

    /// The modules that have functions; asked for once.
    fn salt_modules(&mut self) -> &HashSet<String> {
        let caller = &self.cx.caller;
        self.salt_modules.get_or_insert_with(|| {
            let names = caller.names();
            names.iter().filter_map(|name| name.split_once('.')).map(|(module, _)| module.to_owned()).collect()
        })
    }

    pub(crate) fn functions(&self) -> Near {
        Near::Functions(self.cx.caller.names())
    }
}

fn loop_field(l: &Loop, name: &str) -> Option<Val> {
    let (i, n) = (l.index.get(), l.items.len());
    let int = |x: usize| Some(Val::Int(x as i64));
    let neighbour = |i: Option<usize>, word: &str| {
        Some(i.and_then(|i| l.items.get(i)).cloned().unwrap_or_else(|| Val::undef(format!("there is no {word} item"))))
    };
    match name {
        "index" => int(i + 1),
        "index0" => int(i),
        "revindex" => int(n - i),
        "revindex0" => int(n - i - 1),
        "first" => Some(Val::Bool(i == 0)),
        "last" => Some(Val::Bool(i + 1 == n)),
        "length" => int(n),
        "depth" => int(l.depth + 1),
        "depth0" => int(l.depth),
        "previtem" => neighbour(i.checked_sub(1), "previous"),
        "nextitem" => neighbour(Some(i + 1), "next"),
        _ => None,
    }
}

/// Makes what a missing key or attribute gives: in a plain template something empty, as Jinja has it.
fn missing(plain: bool, base: &Val, key: &Val) -> Val {
    let missing = no_item(base, key);
    match &missing {
        Val::Undef(undef) if plain => Val::lenient(undef.message.clone()),
        _ => missing,
    }
}

/// Makes the undefined value of a key or attribute that is not there.
pub fn no_item(base: &Val, key: &Val) -> Val {
    let (word, name) = match key {
        Val::Str(name) => ("attribute", name.clone()),
        _ => ("element", "".into()),
    };
    let of = base.object_name();
    let message = match word {
        "attribute" => format!("'{of}' has no attribute {}", show::repr(key)),
        _ => format!("{of} has no element {}", show::repr(key)),
    };
    Val::Undef(Rc::new(Undef { message, name, near: Near::Of(base.clone()), origin: OnceCell::new() }))
}

/// Finds an undefined value inside of a container.
pub fn undefined_within(value: &Val, depth: usize) -> Option<Rc<Undef>> {
    if depth > 50 {
        return None;
    }
    match value {
        Val::Undef(undef) => Some(undef.clone()),
        Val::List(list) => list.items().iter().find_map(|v| undefined_within(v, depth + 1)),
        Val::Tuple(items) => items.iter().find_map(|v| undefined_within(v, depth + 1)),
        Val::Dict(dict) => dict.values().iter().find_map(|v| undefined_within(v, depth + 1)),
        _ => None,
    }
}

/// Refuses an unknown filter or test.
pub fn unknown<T>(what: &str, name: &str, known: &[&str]) -> R<T> {
    match refuse::<T>(format!("No {what} named {}.", corpus_core::python::quoted(name))) {
        Err(mut fail) => {
            fail.hints.extend(did_you_mean(name, known.iter().copied()));
            Err(fail)
        }
        fine => fine,
    }
}

/// Returns the argument that a function changes and gives back, as Salt's does; ours see copies.
fn changed_in_place(fun: &str, args: &Args) -> Option<Val> {
    match fun {
        "defaults.merge" | "defaults.update" if !args.flag(3, "in_place", true).unwrap_or(true) => None,
        "defaults.merge" | "defaults.update" | "slsutil.update" => args.raw(0, "dest"),
        _ => None,
    }
}

/// Brings a dict to what was made of its copy; the dicts within stay the same objects.
fn adopt(dest: &Dict, made: &CoreMap) {
    for (key, value) in made {
        let key = Val::from_core(key);
        match (dest.get(&key), value) {
            (Some(Val::Dict(own)), Core::Map(map)) => adopt(&own, map),
            (Some(own), value) if own.to_core().as_ref() == Some(value) => {}
            (_, value) => dest.insert(key, Val::from_core(value)),
        }
    }
}
