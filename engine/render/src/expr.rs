//! The evaluator's expressions: operators, arguments and calls.

use crate::args::Args;
use crate::containers::{Entries, Key};
use crate::eval::{RED_ZONE, STACK, Vm};
use crate::fail::{Fail, Kind, R, defined, err, undefined};
use crate::tree::{Arg, Cmp, Expr, ExprKind, Lit, sym};
use crate::value::{Near, Obj, Scope, Undef, Val};
use crate::{checks, filters, globals, methods, ops, show};
use std::cell::OnceCell;
use std::rc::Rc;
use std::sync::Arc;

impl Vm<'_> {
    pub(crate) fn test(&mut self, expr: &Expr, scope: &Rc<Scope>) -> R<bool> {
        let value = self.eval(expr, scope)?;
        match &value {
            Val::Bool(b) => Ok(*b),
            Val::Undef(_) => self.placed(defined(&value), expr.at).map(|()| false),
            other => Ok(other.truthy()),
        }
    }

    /// Computes an expression.
    pub fn eval(&mut self, expr: &Expr, scope: &Rc<Scope>) -> R<Val> {
        match &expr.kind {
            ExprKind::Lit(Lit::Str(s)) => Ok(Val::Str(s.clone())),
            _ => {
                let value = stacker::maybe_grow(RED_ZONE, STACK, || self.compute(expr, scope))?;
                if let (Val::Undef(undef), ExprKind::Var(_) | ExprKind::Attr(..) | ExprKind::Item(..)) =
                    (&value, &expr.kind)
                {
                    // The first place counts; one that is handed on has it already.
                    let _ = undef.origin.set((self.template.clone(), expr.at));
                }
                Ok(value)
            }
        }
    }

    fn compute(&mut self, expr: &Expr, scope: &Rc<Scope>) -> R<Val> {
        Ok(match &expr.kind {
            ExprKind::Lit(lit) => match lit {
                Lit::None => Val::None,
                Lit::Bool(b) => Val::Bool(*b),
                Lit::Int(i) => Val::Int(*i),
                Lit::Float(x) => Val::Float(*x),
                Lit::Str(s) => Val::Str(s.clone()),
            },
            ExprKind::Var(name) => match scope.get(*name).or_else(|| globals::find(*name)) {
                Some(value) => value,
                None if *name == sym!("self") => Val::obj(Obj::SelfBlocks),
                None => {
                    let name = name.name();
                    let message = format!("{} is undefined", corpus_core::python::quoted(&name));
                    let near = if self.engine.is_plain() { Near::Lenient } else { Near::Scope(scope.clone()) };
                    Val::Undef(Rc::new(Undef { message, name, near, origin: OnceCell::new() }))
                }
            },
            ExprKind::List(items) => Val::list(self.all(items, scope)?),
            ExprKind::Tuple(items) => Val::tuple(self.all(items, scope)?),
            ExprKind::Dict(entries) => {
                let mut dict = Entries::default();
                for (key, value) in entries {
                    let k = self.eval(key, scope)?;
                    let fine = ops::hashable(&k);
                    self.placed(fine, key.at)?;
                    dict.insert(Key(k), self.eval(value, scope)?);
                }
                Val::Dict(crate::containers::Dict::new(dict))
            }
            ExprKind::Attr(base, name) => {
                let value = self.eval(base, scope)?;
                let found = self.attr(&value, name);
                self.placed(found, if let Val::Undef(_) = value { base.at } else { expr.at })?
            }
            ExprKind::Item(base, key) => {
                let value = self.eval(base, scope)?;
                let key = self.eval(key, scope)?;
                let found = self.item(&value, &key);
                self.placed(found, if let Val::Undef(_) = value { base.at } else { expr.at })?
            }
            ExprKind::Slice(base, parts) => {
                let base = self.eval(base, scope)?;
                let mut bounds = [Val::None, Val::None, Val::None];
                for (bound, part) in bounds.iter_mut().zip(parts.iter()) {
                    if let Some(part) = part {
                        *bound = self.eval(part, scope)?;
                    }
                }
                let sliced = ops::slice(&base, &bounds[0], &bounds[1], &bounds[2]);
                self.placed(sliced, expr.at)?
            }
            ExprKind::Call(callee, args) => match self.method_call(callee, args, scope)? {
                Some(value) => value,
                None => {
                    let callee = self.eval(callee, scope)?;
                    let args = self.args(args, scope)?;
                    self.call(&callee, args, expr.at)?
                }
            },
            ExprKind::Filter(operand, name, args) => {
                let value = match operand {
                    Some(operand) => self.eval(operand, scope)?,
                    None => self.operands.last().cloned().unwrap_or(Val::None),
                };
                let args = self.args(args, scope)?;
                let result = filters::call(self, name, &value, &args);
                self.placed(result, expr.at)?
            }
            ExprKind::Test(operand, name, args) => {
                let value = self.eval(operand, scope)?;
                let args = self.args(args, scope)?;
                let result = checks::check(name, &value, &args);
                Val::Bool(self.placed(result, expr.at)?)
            }
            ExprKind::Not(operand) => Val::Bool(!self.test(operand, scope)?),
            ExprKind::Neg(operand) => {
                let value = self.eval(operand, scope)?;
                let result = ops::negate(&value);
                self.placed(result, expr.at)?
            }
            ExprKind::And(a, b) => {
                let left = self.eval(a, scope)?;
                self.placed(defined(&left), a.at)?;
                if left.truthy() { self.eval(b, scope)? } else { left }
            }
            ExprKind::Or(a, b) => {
                let left = self.eval(a, scope)?;
                self.placed(defined(&left), a.at)?;
                if left.truthy() { left } else { self.eval(b, scope)? }
            }
            ExprKind::Bin(op, a, b) => {
                let left = self.eval(a, scope)?;
                let right = self.eval(b, scope)?;
                let result = ops::binary(*op, &left, &right);
                self.placed(result, expr.at)?
            }
            ExprKind::Concat(parts) => {
                let mut text = String::new();
                for part in parts {
                    match self.eval(part, scope)? {
                        Val::Str(s) => text.push_str(&s),
                        other => {
                            let shown = show::text(&other);
                            text.push_str(&self.placed(shown, part.at)?);
                        }
                    }
                }
                Val::Str(text.into())
            }
            ExprKind::Compare(first, rest) => {
                let mut left = self.eval(first, scope)?;
                for (op, right) in rest {
                    let value = self.eval(right, scope)?;
                    let at = if let Val::Undef(_) = left { first.at } else { right.at };
                    let result = match (&left, &value) {
                        (Val::Str(name), Val::Obj(obj)) if matches!(**obj, Obj::Salt) => match op {
                            Cmp::In => Ok(self.cx.caller.has(name)),
                            Cmp::NotIn => Ok(!self.cx.caller.has(name)),
                            _ => ops::compare(*op, &left, &value),
                        },
                        _ => ops::compare(*op, &left, &value),
                    };
                    if !self.placed(result, at)? {
                        return Ok(Val::Bool(false));
                    }
                    left = value;
                }
                Val::Bool(true)
            }
            ExprKind::If(condition, yes, no) => {
                if self.test(condition, scope)? {
                    self.eval(yes, scope)?
                } else if let Some(no) = no {
                    self.eval(no, scope)?
                } else {
                    let line = self.template.pos(expr.at).line;
                    Val::lenient(format!(
                        "the inline if-expression on line {line} evaluated to false and no else section was defined."
                    ))
                }
            }
        })
    }

    fn all(&mut self, exprs: &[Expr], scope: &Rc<Scope>) -> R<Vec<Val>> {
        exprs.iter().map(|e| self.eval(e, scope)).collect()
    }

    pub(crate) fn args(&mut self, args: &[Arg], scope: &Rc<Scope>) -> R<Args> {
        let mut out = Args { pos: Vec::with_capacity(args.len()), named: vec![] };
        for arg in args {
            match arg {
                Arg::Pos(e) => out.pos.push(self.eval(e, scope)?),
                Arg::Named(name, e) => out.named.push((name.clone(), self.eval(e, scope)?)),
                Arg::Splat(e) => {
                    let value = self.eval(e, scope)?;
                    let items = ops::iterate(&value);
                    out.pos.extend(self.placed(items, e.at)?);
                }
                Arg::NamedSplat(e) => {
                    let value = self.eval(e, scope)?;
                    self.placed(defined(&value), e.at)?;
                    let Val::Dict(dict) = &value else {
                        let message = format!("argument after ** must be a mapping, not {}", value.type_name());
                        return Err(Fail::new(Kind::Error, message).place(&self.template, e.at));
                    };
                    for (key, value) in dict.items() {
                        match key {
                            Val::Str(name) => out.named.push((name, value)),
                            _ => {
                                return Err(
                                    Fail::new(Kind::Error, "keywords must be strings").place(&self.template, e.at)
                                );
                            }
                        }
                    }
                }
            }
        }
        Ok(out)
    }

    /// Calls `value.method(…)` of Python's types without making the bound method first.
    pub(crate) fn method_call(&mut self, callee: &Expr, args: &[Arg], scope: &Rc<Scope>) -> R<Option<Val>> {
        let ExprKind::Attr(base, name) = &callee.kind else { return Ok(None) };
        // Only a plain base may be computed twice; anything else is computed by the caller of this.
        let base_value = match &base.kind {
            ExprKind::Var(sym) => match scope.get(*sym) {
                Some(value) => value,
                None => return Ok(None),
            },
            _ => return self.method_call_of(base, name, args, scope, callee.at).map(Some),
        };
        if !methods::has(&base_value, name) || matches!(&base_value, Val::Obj(o) if matches!(**o, Obj::Salt)) {
            return Ok(None);
        }
        let args = self.args(args, scope)?;
        let result = methods::call(&base_value, name, &args);
        self.placed(result, callee.at).map(Some)
    }

    fn method_call_of(&mut self, base: &Expr, name: &Arc<str>, args: &[Arg], scope: &Rc<Scope>, at: u32) -> R<Val> {
        let value = self.eval(base, scope)?;
        if methods::has(&value, name) && !matches!(&value, Val::Obj(o) if matches!(**o, Obj::Salt)) {
            let args = self.args(args, scope)?;
            let result = methods::call(&value, name, &args);
            return self.placed(result, at);
        }
        let callee = self.attr(&value, name);
        let callee = self.placed(callee, if let Val::Undef(_) = value { base.at } else { at })?;
        let args = self.args(args, scope)?;
        self.call(&callee, args, at)
    }

    /// Calls a value.
    pub fn call(&mut self, callee: &Val, args: Args, at: u32) -> R<Val> {
        let obj = match callee {
            Val::Obj(obj) => obj.clone(),
            Val::Undef(undef) => return Err(undefined(undef).place(&self.template, at)),
            other => {
                let message = format!("'{}' object is not callable", other.type_name());
                return Err(Fail::new(Kind::Error, message).place(&self.template, at));
            }
        };
        let result = match &*obj {
            Obj::Macro(m) => return self.capture(|vm| vm.run_macro(m, args, at)).map(|text| Val::Str(text.into())),
            Obj::Method(receiver, name) => match receiver {
                Val::Obj(o) if matches!(**o, Obj::Salt) => self.salt_method(name, &args),
                receiver => methods::call(receiver, name, &args),
            },
            Obj::Function(name) => globals::call(self, name, &args),
            Obj::SaltFunction(name) => self.call_salt(name, &args),
            Obj::Joiner(sep, used) => Ok(if used.replace(true) { sep.clone() } else { Val::str("") }),
            Obj::Block(name, up) => {
                let scope = Scope::within(Some(self.base.clone()));
                return self.capture(|vm| vm.block(name, *up, &scope, at)).map(|text| Val::Str(text.into()));
            }
            Obj::Loop(l) => match &l.code {
                Some((template, code, scope)) => {
                    let (template, code, scope, depth) = (template.clone(), code.clone(), scope.clone(), l.depth + 1);
                    let items = args.pos.first().cloned().unwrap_or(Val::None);
                    return self
                        .capture(|vm| {
                            vm.within(template, at, "the loop recurses here", |vm| {
                                vm.for_loop(&code, items, &scope, depth)
                            })
                        })
                        .map(|text| Val::Str(text.into()));
                }
                None => err("The loop must have the 'recursive' marker to be called recursively."),
            },
            _ => err(format!("'{}' object is not callable", callee.type_name())),
        };
        self.placed(result, at)
    }
}
