//! The evaluator: walks a [`Template`] and writes text, with Jinja2's scopes and StrictUndefined. Each piece of
//! text remembers where it was written, so that a place in the result leads back to its source.

use crate::args::Args;
use crate::engine::{Engine, RenderCx};
use crate::fail::{Fail, Kind, R, defined, err, undefined};
use crate::tree::{Expr, ExprKind, ForLoop, Load, MacroDef, Stmt, Target, Template, sym};
use crate::value::{Loop, Macro, Near, Obj, Scope, Undef, Val};
use crate::{filters, ops, show};
use std::cell::{Cell, OnceCell, RefCell};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;

/// When little of the stack is left, more is taken: a template's depth must not end the process.
pub(crate) const RED_ZONE: usize = 192 * 1024;
pub(crate) const STACK: usize = 4 * 1024 * 1024;

/// How deep macros, imports and includes may nest.
const DEPTH: usize = 200;

/// Text from one place of a template; `frame` says which template, and from where it was called.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    pub out: u32,
    pub at: u32,
    pub frame: u32,
    /// The text is copied from the source byte for byte.
    pub literal: bool,
}

/// A template at work, and the place in its caller.
#[derive(Clone, Debug)]
pub struct Frame {
    pub template: Arc<Template>,
    pub parent: Option<(u32, u32)>,
}

type BlockBody = (Arc<Template>, Arc<Vec<Stmt>>);

pub(crate) enum Flow {
    Next,
    Break,
    Continue,
}

/// One rendering.
pub struct Vm<'e> {
    pub engine: &'e Engine,
    pub cx: &'e RenderCx,
    /// The variables of the context: `salt`, `grains`, `pillar`…
    pub base: Rc<Scope>,
    pub out: String,
    pub marks: Vec<Mark>,
    pub frames: Vec<Frame>,
    frame: u32,
    marking: bool,
    pub(crate) template: Arc<Template>,
    pub(crate) modules: HashMap<Arc<str>, Val>,
    /// The versions of each block, the most derived first.
    blocks: HashMap<Arc<str>, Vec<BlockBody>>,
    /// The file that was imported last.
    pub(crate) loaded: Option<Arc<Template>>,
    parent: Option<Arc<Template>>,
    pub(crate) operands: Vec<Val>,
    depth: usize,
    pub(crate) salt_modules: Option<HashSet<String>>,
}

impl<'e> Vm<'e> {
    /// Makes a rendering of a template.
    pub fn new(engine: &'e Engine, cx: &'e RenderCx, base: Rc<Scope>, template: Arc<Template>) -> Self {
        Self {
            engine,
            cx,
            base,
            out: String::with_capacity(template.source.len()),
            marks: vec![],
            frames: vec![Frame { template: template.clone(), parent: None }],
            frame: 0,
            marking: true,
            template,
            modules: HashMap::new(),
            blocks: HashMap::new(),
            loaded: None,
            parent: None,
            operands: vec![],
            depth: 0,
            salt_modules: None,
        }
    }

    /// Renders.
    pub fn render(&mut self) -> R<()> {
        let template = self.template.clone();
        let scope = Scope::within(Some(self.base.clone()));
        self.template_body(&template, &scope)
    }

    fn template_body(&mut self, template: &Arc<Template>, scope: &Rc<Scope>) -> R<()> {
        self.stmts(&template.body, scope)?;
        // `extends`: what the child wrote outside of its blocks is dropped, then the parent runs.
        while let Some(parent) = self.parent.take() {
            self.out.clear();
            self.marks.clear();
            self.frames.push(Frame { template: parent.clone(), parent: None });
            self.frame = self.frames.len() as u32 - 1;
            self.template = parent.clone();
            self.stmts(&parent.body, scope)?;
        }
        Ok(())
    }

    pub(crate) fn stmts(&mut self, stmts: &[Stmt], scope: &Rc<Scope>) -> R<Flow> {
        stacker::maybe_grow(RED_ZONE, STACK, || self.each_stmt(stmts, scope))
    }

    fn each_stmt(&mut self, stmts: &[Stmt], scope: &Rc<Scope>) -> R<Flow> {
        for stmt in stmts {
            match self.stmt(stmt, scope)? {
                Flow::Next => {}
                flow => return Ok(flow),
            }
        }
        Ok(Flow::Next)
    }

    fn mark(&mut self, at: u32, literal: bool) {
        if self.marking {
            self.marks.push(Mark { out: self.out.len() as u32, at, frame: self.frame, literal });
        }
    }

    pub(crate) fn placed<T>(&self, result: R<T>, at: u32) -> R<T> {
        result.map_err(|fail| fail.place(&self.template, at))
    }

    fn stmt(&mut self, stmt: &Stmt, scope: &Rc<Scope>) -> R<Flow> {
        match stmt {
            Stmt::Raw(text, at) => {
                self.mark(*at, true);
                self.out.push_str(text);
            }
            Stmt::Emit(expr) => self.emit(expr, scope)?,
            Stmt::Do(expr) => _ = self.eval(expr, scope)?,
            Stmt::Set(target, expr) => {
                let value = self.eval(expr, scope)?;
                let done = self.assign(target, value, scope);
                self.placed(done, expr.at)?;
            }
            Stmt::SetBlock(target, filter, body, at) => {
                let inner = Scope::within(Some(scope.clone()));
                let text = self.capture(|vm| vm.stmts(body, &inner).map(|_| ()))?;
                let mut value = Val::Str(text.into());
                if let Some(filter) = filter {
                    let text = value.clone();
                    value =
                        self.filtered(filter, value, scope).map_err(|fail| self.in_block(fail, filter, &text, *at))?;
                }
                let done = self.assign(target, value, scope);
                self.placed(done, *at)?;
            }
            Stmt::If(arms, otherwise) => {
                for (condition, body) in arms {
                    if self.test(condition, scope)? {
                        return self.stmts(body, scope);
                    }
                }
                return self.stmts(otherwise, scope);
            }
            Stmt::For(l) => {
                let items = self.eval(&l.iter, scope)?;
                self.for_loop(l, items, scope, 0)?;
            }
            Stmt::With(sets, body) => {
                let inner = Scope::within(Some(scope.clone()));
                for (target, expr) in sets {
                    let value = self.eval(expr, scope)?;
                    let done = self.assign(target, value, &inner);
                    self.placed(done, expr.at)?;
                }
                return self.stmts(body, &inner);
            }
            Stmt::Scope(body) => {
                let inner = Scope::within(Some(scope.clone()));
                return self.stmts(body, &inner);
            }
            Stmt::FilterBlock(filter, body) => {
                let inner = Scope::within(Some(scope.clone()));
                let text = self.capture(|vm| vm.stmts(body, &inner).map(|_| ()))?;
                let value = self.filtered(filter, Val::Str(text.into()), scope)?;
                self.mark(filter.at, false);
                let done = show::emit(&mut self.out, &value);
                self.placed(done, filter.at)?;
            }
            Stmt::Macro(def, name) => {
                let value = self.make_macro(def, scope);
                scope.set(*name, value);
            }
            Stmt::CallBlock { call, body } => {
                let caller = self.make_macro(body, scope);
                let ExprKind::Call(callee, args) = &call.kind else { return Ok(Flow::Next) };
                let callee = self.eval(callee, scope)?;
                let mut args = self.args(args, scope)?;
                args.named.push(("caller".into(), caller));
                self.emit_call(&callee, args, call.at)?;
            }
            Stmt::Include { name, ignore_missing, context } => {
                self.include(name, *ignore_missing, *context, scope)?;
            }
            Stmt::Import { from, target, context } => {
                let module = self.import(from, *context, scope)?;
                scope.set(*target, module);
            }
            Stmt::FromImport { from, names, context } => {
                let module = self.import(from, *context, scope)?;
                if let Val::Obj(obj) = &module
                    && let Obj::Module(m) = &**obj
                {
                    for (name, target) in names {
                        let value = m.scope.own(*name).unwrap_or_else(|| {
                            let shown = name.name();
                            Val::Undef(Rc::new(Undef {
                                message: format!(
                                    "the template {} (imported on line {}) does not export the requested name {}",
                                    corpus_core::python::quoted(&m.name),
                                    self.template.pos(from.at).line,
                                    corpus_core::python::quoted(&shown),
                                ),
                                name: shown,
                                near: Near::Scope(m.scope.clone()),
                                origin: OnceCell::new(),
                            }))
                        });
                        scope.set(*target, value);
                    }
                }
            }
            Stmt::ImportData { from, target, load, context } => {
                let module = self.import(from, *context, scope)?;
                let text = show::text(&module)?;
                let value = match load {
                    Load::Text => Ok(Val::Str(text.clone())),
                    Load::Yaml | Load::Json => {
                        let filter = if *load == Load::Yaml { "load_yaml" } else { "load_json" };
                        let engine = self.engine;
                        engine.table(*load, &text, || {
                            filters::call(self, filter, &Val::Str(text.clone()), &Args::default())
                        })
                    }
                };
                let value = value.map_err(|fail| self.in_data(fail, *load, &text, from));
                let value = self.placed(value, from.at)?;
                scope.set(*target, value);
            }
            Stmt::Block(name, body, at) => {
                let own = (self.template.clone(), body.clone());
                let versions = self.blocks.entry(name.clone()).or_default();
                if !versions.iter().any(|(_, b)| Arc::ptr_eq(b, body)) {
                    versions.push(own);
                }
                if self.parent.is_none() {
                    return self.block(name, 0, scope, *at).map(|()| Flow::Next);
                }
            }
            Stmt::Extends(name) => {
                let value = self.eval(name, scope)?;
                let path = show::text(&value);
                let path = self.placed(path, name.at)?;
                self.parent = Some(self.load(&path, name.at)?);
            }
            Stmt::Break => return Ok(Flow::Break),
            Stmt::Continue => return Ok(Flow::Continue),
        }
        Ok(Flow::Next)
    }

    /// Leads an error of loaded data to the file that was imported.
    fn in_data(&self, fail: Box<Fail>, load: Load, text: &str, from: &Expr) -> Box<Fail> {
        let Some(file) = &self.loaded else { return fail };
        let mut fail = crate::data::blame(fail, load, text, file, 0);
        if fail.at.is_some() {
            fail.chain.push((self.template.clone(), from.at, "imported here".to_owned()));
        }
        fail
    }

    /// Leads an error of `load_yaml` and its kin to the line within the block.
    fn in_block(&self, fail: Box<Fail>, filter: &Expr, text: &Val, at: u32) -> Box<Fail> {
        let load = match &filter.kind {
            ExprKind::Filter(None, name, _) if &**name == "load_yaml" => Load::Yaml,
            ExprKind::Filter(None, name, _) if &**name == "load_json" => Load::Json,
            _ => return fail,
        };
        let Val::Str(text) = text else { return fail };
        crate::data::blame(fail, load, text, &self.template, at)
    }

    pub(crate) fn block(&mut self, name: &Arc<str>, up: usize, scope: &Rc<Scope>, at: u32) -> R<()> {
        let Some((template, body)) = self.blocks.get(name).and_then(|v| v.get(up)).cloned() else {
            let message = format!("there is no parent block called {}.", corpus_core::python::quoted(name));
            return Err(Fail::new(Kind::Undefined, message).place(&self.template, at));
        };
        let inner = Scope::within(Some(scope.clone()));
        inner.set(sym!("super"), Val::obj(Obj::Block(name.clone(), up + 1)));
        inner.set(sym!("self"), Val::obj(Obj::SelfBlocks));
        self.within(template, at, "in this block", |vm| vm.stmts(&body, &inner).map(|_| ()))
    }

    /// Runs something of another template, called at `at` of this one.
    pub(crate) fn within<T>(
        &mut self,
        template: Arc<Template>,
        at: u32,
        how: &str,
        work: impl FnOnce(&mut Self) -> R<T>,
    ) -> R<T> {
        if self.depth >= DEPTH {
            return Err(Fail::new(Kind::Error, "maximum recursion depth exceeded").place(&self.template, at));
        }
        self.depth += 1;
        let caller = std::mem::replace(&mut self.template, template.clone());
        let frame = self.frame;
        if self.marking {
            self.frames.push(Frame { template, parent: Some((frame, at)) });
            self.frame = self.frames.len() as u32 - 1;
        }
        let done = work(self);
        self.depth -= 1;
        self.frame = frame;
        self.template = caller;
        done.map_err(|mut fail| {
            if fail.at.is_some() {
                fail.chain.push((self.template.clone(), at, how.to_owned()));
            }
            fail
        })
    }

    pub(crate) fn capture(&mut self, work: impl FnOnce(&mut Self) -> R<()>) -> R<String> {
        let out = std::mem::take(&mut self.out);
        let marking = std::mem::replace(&mut self.marking, false);
        let done = work(self);
        self.marking = marking;
        let text = std::mem::replace(&mut self.out, out);
        done.map(|()| text)
    }

    fn filtered(&mut self, filter: &Expr, value: Val, scope: &Rc<Scope>) -> R<Val> {
        self.operands.push(value);
        let result = self.eval(filter, scope);
        self.operands.pop();
        result
    }

    fn emit(&mut self, expr: &Expr, scope: &Rc<Scope>) -> R<()> {
        if let ExprKind::Call(callee, args) = &expr.kind {
            if let Some(value) = self.method_call(callee, args, scope)? {
                return self.emit_value(&value, expr.at);
            }
            if let ExprKind::Var(_) | ExprKind::Attr(..) = callee.kind {
                let value = self.eval(callee, scope)?;
                let args = self.args(args, scope)?;
                return self.emit_call(&value, args, expr.at);
            }
        }
        let value = self.eval(expr, scope)?;
        self.emit_value(&value, expr.at)
    }

    fn emit_value(&mut self, value: &Val, at: u32) -> R<()> {
        self.mark(at, false);
        let done = show::emit(&mut self.out, value);
        self.placed(done, at)
    }

    /// Calls something and writes the result; a macro writes straight into our text.
    fn emit_call(&mut self, callee: &Val, args: Args, at: u32) -> R<()> {
        if let Val::Obj(obj) = callee
            && let Obj::Macro(m) = &**obj
        {
            return self.run_macro(m, args, at);
        }
        let value = self.call(callee, args, at)?;
        self.emit_value(&value, at)
    }

    fn assign(&mut self, target: &Target, value: Val, scope: &Rc<Scope>) -> R<()> {
        match target {
            Target::Name(name) => scope.set(*name, value),
            Target::Attr(base, name) => {
                let base = self.eval(base, scope)?;
                match &base {
                    Val::Obj(obj) if matches!(**obj, Obj::Namespace(_)) => {
                        if let Obj::Namespace(dict) = &**obj {
                            dict.insert(Val::Str(name.clone()), value);
                        }
                    }
                    other => {
                        defined(other)?;
                        return Err(Fail::new(Kind::Syntax, "cannot assign attribute on non-namespace object")
                            .hint("use `{% do x.update({'key': value}) %}` to change a dict"));
                    }
                }
            }
            Target::Many(targets) => {
                let items = match &value {
                    Val::Undef(undef) => return Err(undefined(undef)),
                    value => match value.iterate() {
                        Some(items) => items,
                        None => return err(format!("cannot unpack non-iterable {} object", value.type_name())),
                    },
                };
                let wanted = targets.len();
                if items.len() > wanted {
                    return err(format!("too many values to unpack (expected {wanted})"));
                }
                if items.len() < wanted {
                    return err(format!("not enough values to unpack (expected {wanted}, got {})", items.len()));
                }
                for (target, item) in targets.iter().zip(items) {
                    self.assign(target, item, scope)?;
                }
            }
        }
        Ok(())
    }

    pub(crate) fn for_loop(&mut self, l: &Arc<ForLoop>, iterable: Val, scope: &Rc<Scope>, depth: usize) -> R<()> {
        let items = ops::iterate(&iterable);
        let mut items = self.placed(items, l.iter.at)?;
        let mut inner = Scope::within(Some(scope.clone()));
        if let Some(filter) = &l.filter {
            let mut kept = Vec::with_capacity(items.len());
            for item in items {
                let done = self.assign(&l.target, item.clone(), &inner);
                self.placed(done, l.iter.at)?;
                if self.test(filter, &inner)? {
                    kept.push(item);
                }
            }
            items = kept;
        }
        if items.is_empty() {
            return self.stmts(&l.otherwise, scope).map(|_| ());
        }
        let count = items.len();
        let looped = Rc::new(Obj::Loop(Loop {
            items,
            index: Cell::new(0),
            depth,
            last_changed: RefCell::new(None),
            code: l.recursive.then(|| (self.template.clone(), l.clone(), scope.clone())),
        }));
        let Obj::Loop(state) = &*looped else { return Ok(()) };
        for i in 0..count {
            state.index.set(i);
            // A macro or module of the body may hold on to its scope; else it is used again.
            if Rc::strong_count(&inner) == 1 {
                inner.vars.borrow_mut().clear();
            } else {
                inner = Scope::within(Some(scope.clone()));
            }
            inner.vars.borrow_mut().push((sym!("loop"), Val::Obj(looped.clone())));
            let done = self.assign(&l.target, state.items[i].clone(), &inner);
            self.placed(done, l.iter.at)?;
            match self.stmts(&l.body, &inner)? {
                Flow::Break => break,
                Flow::Continue | Flow::Next => {}
            }
        }
        // The scope holds `loop`, which may hold the scope.
        if Rc::strong_count(&inner) == 1 {
            inner.vars.borrow_mut().clear();
        }
        Ok(())
    }

    fn make_macro(&self, def: &Arc<MacroDef>, scope: &Rc<Scope>) -> Val {
        Val::obj(Obj::Macro(Macro { template: self.template.clone(), def: def.clone(), scope: scope.clone() }))
    }
}
