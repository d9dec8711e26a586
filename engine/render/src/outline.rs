//! What a template mentions, on all its branches: the view of `corpus lint`, which reads what was not rendered, too.

use crate::engine::syntax_fail;
use crate::tree::{Arg, Cmp, Expr, ExprKind, Lit, Stmt, Sym, Target, Template};
use crate::{checks, filters, globals, lower};
use corpus_core::{Diagnostic, Span};
use std::collections::HashSet;
use std::sync::Arc;

/// Names that every template of a file finds in its context, or in the block that it stands in.
const CONTEXT: &[&str] = &[
    "salt",
    "grains",
    "pillar",
    "opts",
    "saltenv",
    "sls",
    "slspath",
    "slsdotpath",
    "slscolonpath",
    "sls_path",
    "tplpath",
    "tplfile",
    "tpldir",
    "tpldot",
    "tplroot",
    "env",
    "loop",
    "caller",
    "varargs",
    "kwargs",
    "self",
    "super",
    "show_full_context",
];

/// Names that hide what every template needs, when they are set.
const NEEDED: &[&str] = &["salt", "grains", "pillar", "opts"];

/// What a template mentions, each with its place.
#[derive(Debug, Default)]
pub struct Outline {
    /// Variables that nothing in the file sets, and that are not asked for with `is defined` or `default`.
    pub undefined: Vec<(Arc<str>, Span)>,
    /// Names that are imported and not used.
    pub unused_imports: Vec<(Arc<str>, Span)>,
    /// Names set that hide `salt`, `grains`, `pillar` or `opts`.
    pub shadowed: Vec<(Arc<str>, Span)>,
    /// Execution functions called by a name that stands there, unless the file asks whether they exist.
    pub calls: Vec<(Arc<str>, Span)>,
    /// Templates imported or included by a name that stands there.
    pub templates: Vec<(Arc<str>, Span)>,
    /// Filters and tests that do not exist: what, name.
    pub unknown: Vec<(&'static str, Arc<str>, Span)>,
    /// Everything that can be imported from it.
    pub names: Vec<Arc<str>>,
}

/// Reads a template. The error is of its syntax.
pub fn outline(file: &str, text: &str) -> Result<Outline, Diagnostic> {
    let template = lower::compile(file, text).map_err(|error| syntax_fail(*error).diagnostic(""))?;
    let mut reader = Reader::new(&template);
    reader.stmts(&template.body);
    Ok(reader.finish())
}

/// Names the filters and tests that there are.
pub fn known(what: &str) -> &'static [&'static str] {
    if what == "filter" { filters::NAMES } else { checks::NAMES }
}

struct Reader<'t> {
    template: &'t Template,
    used: Vec<(Sym, u32)>,
    set: HashSet<Sym>,
    /// Asked for with `is defined` or `default`.
    guarded: HashSet<Sym>,
    imported: Vec<(Sym, u32)>,
    calls: Vec<(Arc<str>, u32)>,
    asked: HashSet<Arc<str>>,
    out: Outline,
    /// A parent template or an included one may see and set what is not seen here.
    extends: bool,
}

impl<'t> Reader<'t> {
    fn new(template: &'t Template) -> Self {
        Self {
            template,
            used: vec![],
            set: HashSet::new(),
            guarded: HashSet::new(),
            imported: vec![],
            calls: vec![],
            asked: HashSet::new(),
            out: Outline::default(),
            extends: false,
        }
    }

    fn span(&self, at: u32) -> Span {
        self.template.span(at)
    }

    fn finish(mut self) -> Outline {
        let known = |name: &str| CONTEXT.contains(&name) || globals::NAMES.contains(&name);
        if !self.extends {
            for (sym, at) in &self.used {
                let name = sym.name();
                if !self.set.contains(sym) && !self.guarded.contains(sym) && !known(&name) {
                    self.out.undefined.push((name, self.template.span(*at)));
                }
            }
        }
        for (sym, at) in &self.imported {
            if !self.used.iter().any(|(used, _)| used == sym) {
                self.out.unused_imports.push((sym.name(), self.template.span(*at)));
            }
        }
        for (name, at) in &self.calls {
            if !self.asked.contains(name) {
                self.out.calls.push((name.clone(), self.template.span(*at)));
            }
        }
        self.out.names = self.set.iter().map(|sym| sym.name()).collect();
        self.out
    }

    fn assign(&mut self, sym: Sym, at: u32) {
        self.set.insert(sym);
        let name = sym.name();
        if NEEDED.contains(&&*name) {
            self.out.shadowed.push((name, self.span(at)));
        }
    }

    fn target(&mut self, target: &Target, at: u32) {
        match target {
            Target::Name(sym) => self.assign(*sym, at),
            Target::Attr(base, _) => self.expr(base),
            Target::Many(many) => many.iter().for_each(|one| self.target(one, at)),
        }
    }

    fn stmts(&mut self, list: &[Stmt]) {
        list.iter().for_each(|stmt| self.stmt(stmt));
    }

    fn stmt(&mut self, stmt: &Stmt) {
        match stmt {
            Stmt::Raw(..) | Stmt::Continue | Stmt::Break => {}
            Stmt::Emit(expr) | Stmt::Do(expr) => self.expr(expr),
            Stmt::For(of) => {
                self.expr(&of.iter);
                self.target(&of.target, of.at);
                of.filter.iter().for_each(|filter| self.expr(filter));
                self.stmts(&of.body);
                self.stmts(&of.otherwise);
            }
            Stmt::If(arms, otherwise) => {
                for (condition, body) in arms {
                    self.expr(condition);
                    self.stmts(body);
                }
                self.stmts(otherwise);
            }
            Stmt::With(sets, body) => {
                for (target, value) in sets {
                    self.expr(value);
                    self.target(target, value.at);
                }
                self.stmts(body);
            }
            Stmt::Set(target, value) => {
                self.expr(value);
                self.target(target, value.at);
            }
            Stmt::SetBlock(target, filter, body, at) => {
                filter.iter().for_each(|filter| self.expr(filter));
                self.stmts(body);
                self.target(target, *at);
            }
            Stmt::FilterBlock(filter, body) => {
                self.expr(filter);
                self.stmts(body);
            }
            Stmt::Block(_, body, _) => self.stmts(body),
            Stmt::Extends(name) => {
                self.extends = true;
                self.template_named(name);
            }
            Stmt::Include { name, ignore_missing, .. } => {
                self.expr(name);
                if !ignore_missing {
                    self.template_named(name);
                }
            }
            Stmt::Import { from, target, .. } | Stmt::ImportData { from, target, .. } => {
                self.expr(from);
                self.template_named(from);
                self.assign(*target, from.at);
                self.imported.push((*target, from.at));
            }
            Stmt::FromImport { from, names, .. } => {
                self.expr(from);
                self.template_named(from);
                for (_, target) in names {
                    self.assign(*target, from.at);
                    self.imported.push((*target, from.at));
                }
            }
            Stmt::Macro(def, name) => {
                self.assign(*name, def.at);
                for (sym, _, default) in &def.params {
                    self.set.insert(*sym);
                    default.iter().for_each(|default| self.expr(default));
                }
                self.stmts(&def.body);
            }
            Stmt::CallBlock { call, body } => {
                self.expr(call);
                self.set.extend(body.params.iter().map(|(sym, ..)| *sym));
                self.stmts(&body.body);
            }
            Stmt::Scope(body) => self.stmts(body),
        }
    }

    fn template_named(&mut self, from: &Expr) {
        if let ExprKind::Lit(Lit::Str(name)) = &from.kind {
            self.out.templates.push((name.clone(), self.span(from.at)));
        }
    }

    fn args(&mut self, args: &[Arg]) {
        for arg in args {
            match arg {
                Arg::Pos(expr) | Arg::Named(_, expr) | Arg::Splat(expr) | Arg::NamedSplat(expr) => self.expr(expr),
            }
        }
    }

    fn named(&mut self, what: &'static str, name: &Arc<str>, at: u32) {
        if !known(what).contains(&&**name) {
            self.out.unknown.push((what, name.clone(), self.span(at)));
        }
    }

    /// Notes a variable whose absence the template is ready for.
    fn guard(&mut self, expr: &Expr) {
        match &expr.kind {
            ExprKind::Var(sym) => _ = self.guarded.insert(*sym),
            ExprKind::Attr(base, _) | ExprKind::Item(base, _) => self.guard(base),
            _ => {}
        }
    }

    fn expr(&mut self, expr: &Expr) {
        match &expr.kind {
            ExprKind::Lit(_) => {}
            ExprKind::Var(sym) => self.used.push((*sym, expr.at)),
            ExprKind::List(items) | ExprKind::Tuple(items) | ExprKind::Concat(items) => {
                items.iter().for_each(|item| self.expr(item));
            }
            ExprKind::Dict(entries) => entries.iter().for_each(|(key, value)| {
                self.expr(key);
                self.expr(value);
            }),
            ExprKind::Attr(base, _) | ExprKind::Not(base) | ExprKind::Neg(base) => self.expr(base),
            ExprKind::Item(base, key) => {
                self.expr(base);
                self.expr(key);
            }
            ExprKind::Slice(base, parts) => {
                self.expr(base);
                parts.iter().flatten().for_each(|part| self.expr(part));
            }
            ExprKind::Call(callee, args) => {
                if let Some((name, at)) = function(callee) {
                    self.calls.push((name, at));
                }
                self.expr(callee);
                self.args(args);
            }
            ExprKind::Filter(base, name, args) => {
                self.named("filter", name, expr.at);
                if let Some(base) = base {
                    if matches!(&**name, "default" | "d") {
                        self.guard(base);
                    }
                    self.expr(base);
                }
                self.args(args);
            }
            ExprKind::Test(base, name, args) => {
                self.named("test", name, expr.at);
                if matches!(&**name, "defined" | "undefined") {
                    self.guard(base);
                }
                self.expr(base);
                self.args(args);
            }
            ExprKind::And(a, b) | ExprKind::Or(a, b) | ExprKind::Bin(_, a, b) => {
                self.expr(a);
                self.expr(b);
            }
            ExprKind::Compare(first, rest) => {
                for (cmp, expr) in rest {
                    if let (ExprKind::Lit(Lit::Str(name)), Cmp::In | Cmp::NotIn) = (&first.kind, cmp) {
                        self.asked.insert(name.clone());
                    }
                    self.expr(expr);
                }
                self.expr(first);
            }
            ExprKind::If(condition, value, other) => {
                self.expr(condition);
                self.expr(value);
                other.iter().for_each(|other| self.expr(other));
            }
        }
    }
}

/// Returns the execution function that an expression names: `salt['a.b']`, `salt.a.b`.
fn function(callee: &Expr) -> Option<(Arc<str>, u32)> {
    let salt = Sym::known("salt")?;
    let is_salt = |expr: &Expr| matches!(expr.kind, ExprKind::Var(sym) if sym == salt);
    match &callee.kind {
        ExprKind::Item(base, key) if is_salt(base) => match &key.kind {
            ExprKind::Lit(Lit::Str(name)) => Some((name.clone(), key.at)),
            _ => None,
        },
        ExprKind::Attr(base, fun) => match &base.kind {
            ExprKind::Attr(root, module) if is_salt(root) => Some((format!("{module}.{fun}").into(), callee.at)),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_all_branches() {
        let text = "{% from 'a.jinja' import used, idle with context %}{% set grains = 1 %}\
                    {% if false %}{{ nmae }} {{ maybe | default(1) }} {{ used.x | uper }}{% endif %}\
                    {% for k, v in {}.items() %}{{ k }}{{ v }}{{ loop.index }}{% endfor %}\
                    {% if other is defined and other %}{{ salt['x.y']() }}{{ salt.z.f() }}{% endif %}\
                    {% if 'q.r' in salt %}{{ salt['q.r']() }}{% endif %}";
        let read = outline("t.sls", text).unwrap();
        let names = |list: &[(Arc<str>, Span)]| list.iter().map(|(name, _)| name.to_string()).collect::<Vec<_>>();
        assert_eq!(names(&read.undefined), ["nmae"]);
        assert_eq!(names(&read.unused_imports), ["idle"]);
        assert_eq!(names(&read.shadowed), ["grains"]);
        assert_eq!(names(&read.calls), ["x.y", "z.f"]);
        assert_eq!(names(&read.templates), ["a.jinja"]);
        assert_eq!((read.unknown[0].0, &*read.unknown[0].1), ("filter", "uper"));
        assert!(outline("t.sls", "{% if x %}").is_err());
    }
}
