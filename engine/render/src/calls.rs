//! Macro calls, imports and includes: code of one template that another one runs.

use crate::args::Args;
use crate::eval::Vm;
use crate::fail::{Fail, R, err};
use crate::show;
use crate::tree::{Expr, Sym, Template, sym};
use crate::value::{Macro, Module, Obj, Scope, Val};
use corpus_core::suggest::did_you_mean;
use std::rc::Rc;
use std::sync::Arc;

impl Vm<'_> {
    /// Runs a macro; its text goes to our text.
    pub(crate) fn run_macro(&mut self, m: &Macro, args: Args, at: u32) -> R<()> {
        let def = &m.def;
        let scope = Scope::within(Some(m.scope.clone()));
        let name = corpus_core::python::quoted(&def.name);
        let mut named = args.named;
        let given = args.pos.len();
        let mut pos = args.pos.into_iter();
        let how = format!("called `{}` here", def.name);
        let bound: R<Vec<usize>> = (|| {
            let mut defaults = vec![];
            for (i, (param, param_name, _)) in def.params.iter().enumerate() {
                let by_name = named.iter().position(|(n, _)| *n == *param_name);
                match (pos.next(), by_name) {
                    (Some(_), Some(_)) => {
                        return err(format!("macro {name} got multiple values for argument '{param_name}'"));
                    }
                    (Some(value), None) => scope.set(*param, value),
                    (None, Some(found)) => scope.set(*param, named.remove(found).1),
                    (None, None) => defaults.push(i),
                }
            }
            if let Some(found) = named.iter().position(|(n, _)| **n == *"caller").filter(|_| def.uses_caller) {
                let caller = named.remove(found).1;
                scope.set(sym!("caller"), caller);
            } else if def.uses_caller && &*def.name != "caller" {
                scope.set(sym!("caller"), Val::undef("No caller defined"));
            }
            if def.uses_kwargs {
                let entries = named.drain(..).map(|(n, v)| (Val::Str(n), v)).collect::<Vec<_>>();
                scope.set(sym!("kwargs"), Val::dict(entries));
            } else if let Some((n, _)) = named.first() {
                return err(format!("macro {name} takes no keyword argument '{n}'"));
            }
            let rest: Vec<Val> = pos.collect();
            if def.uses_varargs {
                scope.set(sym!("varargs"), Val::tuple(rest));
            } else if !rest.is_empty() {
                let n = def.params.len();
                return err(format!("macro {name} takes not more than {n} argument(s)"));
            }
            Ok(defaults)
        })();
        let defaults = self.placed(bound, at).map_err(|mut fail| {
            fail.hints.push(format!("`{}` has {} parameter(s), {given} given by place", def.name, def.params.len()));
            fail.chain.push((m.template.clone(), def.at, "the macro is here".into()));
            fail
        })?;
        self.within(m.template.clone(), at, &how, |vm| {
            for i in defaults {
                let (param, name, default) = &def.params[i];
                let value = match default {
                    Some(default) => vm.eval(default, &scope)?,
                    None => Val::undef(format!("parameter '{name}' was not provided")),
                };
                scope.set(*param, value);
            }
            vm.stmts(&def.body, &scope).map(|_| ())
        })
    }

    pub(crate) fn load(&mut self, path: &str, at: u32) -> R<Arc<Template>> {
        self.engine.load(path, &self.template.file, self.cx).map_err(|mut fail| {
            if fail.at.is_some() {
                fail.chain.push((self.template.clone(), at, "imported here".into()));
            }
            fail.place(&self.template, at)
        })
    }

    /// Adds the nearest file name; looked for only when nothing else helps.
    fn with_nearest(&self, mut fail: Box<Fail>, path: &str) -> Box<Fail> {
        if fail.not_found {
            let files = self.engine.roots().list_files(&self.cx.saltenv, "");
            fail.hints.extend(did_you_mean(path, files.iter().map(String::as_str)));
        }
        fail
    }

    pub(crate) fn include(&mut self, name: &Expr, ignore_missing: bool, context: bool, scope: &Rc<Scope>) -> R<()> {
        let value = self.eval(name, scope)?;
        let choices = match &value {
            Val::List(_) | Val::Tuple(_) => value.iterate().unwrap_or_default(),
            one => vec![one.clone()],
        };
        let mut missing = None;
        for choice in choices {
            let path = show::text(&choice);
            let path = self.placed(path, name.at)?;
            match self.load(&path, name.at) {
                Ok(template) => {
                    let parent = if context { scope.clone() } else { self.tpl_scope(&path, &template) };
                    let inner = Scope::within(Some(parent));
                    let body = template.clone();
                    return self
                        .within(template, name.at, "included here", |vm| vm.stmts(&body.body, &inner).map(|_| ()));
                }
                Err(fail) if fail.not_found => missing = Some(fail),
                Err(fail) => return Err(fail),
            }
        }
        match missing {
            Some(fail) if !ignore_missing => {
                let path = fail.message.clone();
                Err(self.with_nearest(fail, &path))
            }
            _ => Ok(()),
        }
    }

    /// Makes the scope of a file that is imported without context: Salt tells it its own `tpldir` and kin.
    pub(crate) fn tpl_scope(&self, path: &str, template: &Template) -> Rc<Scope> {
        let scope = Scope::within(Some(self.base.clone()));
        let relative = path.starts_with("./") || path.starts_with("../");
        let dir = template.file.rsplit_once('/').map_or("", |(dir, _)| dir);
        let own = |name: &str| Sym::known(name).and_then(|sym| self.base.get(sym));
        let dir = match own("tpldir") {
            Some(Val::Str(base)) if relative => base.to_string(),
            _ => dir.to_owned(),
        };
        scope.set(Sym::of("tplfile"), Val::str(if relative { path } else { &template.file }));
        scope.set(Sym::of("tpldot"), Val::str(dir.replace('/', ".")));
        scope.set(Sym::of("tpldir"), Val::str(if dir.is_empty() { "." } else { &dir }));
        scope
    }

    pub(crate) fn import(&mut self, from: &Expr, context: bool, scope: &Rc<Scope>) -> R<Val> {
        let path = self.eval(from, scope)?;
        let path = show::text(&path);
        let path = self.placed(path, from.at)?;
        let template = self.load(&path, from.at).map_err(|fail| self.with_nearest(fail, &path))?;
        self.loaded = Some(template.clone());
        if !context && let Some(module) = self.modules.get(&template.file) {
            return Ok(module.clone());
        }
        let parent = if context { self.snapshot(scope) } else { self.tpl_scope(&path, &template) };
        let inner = Scope::within(Some(parent));
        let body = template.clone();
        let text = self.capture(|vm| {
            vm.within(template.clone(), from.at, "imported here", |vm| vm.stmts(&body.body, &inner).map(|_| ()))
        })?;
        // It may have imported others itself.
        self.loaded = Some(template.clone());
        let module = Val::obj(Obj::Module(Module { name: template.file.clone(), scope: inner, text: text.into() }));
        if !context {
            self.modules.insert(template.file.clone(), module.clone());
        }
        Ok(module)
    }

    /// Copies the variables of now, as an import with context sees them.
    pub(crate) fn snapshot(&self, scope: &Rc<Scope>) -> Rc<Scope> {
        let copy = Scope::within(Some(self.base.clone()));
        let mut at = Some(scope);
        while let Some(scope) = at.filter(|s| !Rc::ptr_eq(s, &self.base)) {
            let mut vars = copy.vars.borrow_mut();
            for (name, value) in scope.vars.borrow().iter() {
                if !vars.iter().any(|(n, _)| n == name) {
                    vars.push((*name, value.clone()));
                }
            }
            at = scope.parent.as_ref();
        }
        copy
    }
}
