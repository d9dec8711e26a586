//! From source to [`Template`]: the pre-pass, minijinja's parser, and the change into our own tree.

use crate::source::{self, Prepared};
use crate::tree::{Arg, Cmp, Expr, ExprKind, ForLoop, Lit, Load, MacroDef, Op, Stmt, Sym, Target, Template};
use minijinja::machinery::ast::{self, BinOpKind, CompareOpKind, UnaryOpKind};
use minijinja::machinery::{Span, parse};
use minijinja::syntax::SyntaxConfig;
use std::sync::Arc;

/// Why a source is no template.
#[derive(Debug)]
pub struct SyntaxError {
    pub message: String,
    /// A template without a body, to tell the place.
    pub template: Template,
    pub at: u32,
}

/// Reads a template.
pub fn compile(file: &str, text: &str) -> Result<Template, Box<SyntaxError>> {
    if !source::has_marks(text) {
        return Ok(plain(file, text));
    }
    // The parser's own tree is as deep as an expression is long.
    let longest = text.split("%}").flat_map(|part| part.split("}}")).map(str::len).max().unwrap_or(0);
    if longest > 2000 {
        stacker::grow(longest.saturating_mul(512).min(1 << 30) + (4 << 20), || read(file, text))
    } else {
        read(file, text)
    }
}

/// Makes the template of a text in which nothing is to be rendered.
fn plain(file: &str, text: &str) -> Template {
    let prepared = source::prepare(text);
    // As the parser does; the engine puts the newline back.
    let raw = prepared.text.strip_suffix('\n').unwrap_or(&prepared.text);
    let body = if raw.is_empty() { vec![] } else { vec![Stmt::Raw(raw.into(), prepared.old(0))] };
    Template::new(file.into(), prepared.source.clone(), body)
}

fn read(file: &str, text: &str) -> Result<Template, Box<SyntaxError>> {
    let prepared = source::prepare(text);
    let mut syntax = SyntaxConfig::builder();
    syntax.trim_blocks(prepared.trim_blocks).lstrip_blocks(prepared.lstrip_blocks);
    let failed = |message: String, at: u32| {
        Box::new(SyntaxError { message, at, template: Template::new(file.into(), prepared.source.clone(), vec![]) })
    };
    let syntax = syntax.build().map_err(|e| failed(e.to_string(), 0))?;
    let tree = parse(&prepared.text, file, syntax).map_err(|error| {
        let at = error.range().map_or(0, |range| range.start as u32);
        failed(words(error.detail().unwrap_or("cannot be parsed")), prepared.old(at))
    })?;
    let mut lower = Lower { prepared: &prepared, specials: vec![], depth: 0 };
    let body = match tree {
        ast::Stmt::Template(t) => lower.stmts(&t.children),
        other => lower.stmts(std::slice::from_ref(&other)),
    }
    .map_err(|(message, at)| failed(message, at))?;
    Ok(Template::new(file.into(), prepared.source.clone(), body))
}

/// Says the parser's complaint in Jinja's words where people look for them.
fn words(detail: &str) -> String {
    if let Some(name) = detail.strip_prefix("unknown statement ") {
        return format!("Encountered unknown tag '{name}'.");
    }
    if let Some(rest) = detail.strip_prefix("unexpected end of input, expected ") {
        return format!("unexpected end of template, expected {rest}");
    }
    detail.to_owned()
}

struct Lower<'p> {
    prepared: &'p Prepared,
    /// Per macro around us: does it use varargs, kwargs, caller?
    specials: Vec<[bool; 3]>,
    depth: usize,
}

type Lowered<T> = Result<T, (String, u32)>;

impl Lower<'_> {
    fn at(&self, span: Span) -> u32 {
        self.prepared.old(span.start_offset)
    }

    fn offset(&self, part: &str) -> u32 {
        let base = self.prepared.text.as_ptr() as usize;
        self.prepared.old((part.as_ptr() as usize).saturating_sub(base) as u32)
    }

    fn stmts(&mut self, list: &[ast::Stmt]) -> Lowered<Vec<Stmt>> {
        list.iter().map(|stmt| self.stmt(stmt)).collect()
    }

    fn stmt(&mut self, stmt: &ast::Stmt) -> Lowered<Stmt> {
        Ok(match stmt {
            ast::Stmt::Template(t) => Stmt::Scope(self.stmts(&t.children)?),
            ast::Stmt::EmitRaw(raw) => Stmt::Raw(raw.raw.into(), self.offset(raw.raw)),
            ast::Stmt::EmitExpr(emit) => Stmt::Emit(self.expr(&emit.expr)?),
            ast::Stmt::Do(call) => Stmt::Do(self.call(&call.call)?),
            ast::Stmt::Set(set) => match &set.target {
                ast::Expr::Var(var) if var.id == source::DO => Stmt::Do(self.expr(&set.expr)?),
                target => Stmt::Set(self.target(target)?, self.expr(&set.expr)?),
            },
            ast::Stmt::SetBlock(set) => Stmt::SetBlock(
                self.target(&set.target)?,
                set.filter.as_ref().map(|f| self.expr(f)).transpose()?,
                self.stmts(&set.body)?,
                self.at(set.span()),
            ),
            ast::Stmt::ForLoop(l) => Stmt::For(Arc::new(ForLoop {
                at: self.at(l.span()),
                target: self.target(&l.target)?,
                iter: self.expr(&l.iter)?,
                filter: l.filter_expr.as_ref().map(|f| self.expr(f)).transpose()?,
                recursive: l.recursive,
                body: self.stmts(&l.body)?,
                otherwise: self.stmts(&l.else_body)?,
            })),
            ast::Stmt::IfCond(cond) => {
                let mut arms = vec![(self.expr(&cond.expr)?, self.stmts(&cond.true_body)?)];
                let mut rest = &cond.false_body;
                while let [ast::Stmt::IfCond(next)] = rest.as_slice() {
                    arms.push((self.expr(&next.expr)?, self.stmts(&next.true_body)?));
                    rest = &next.false_body;
                }
                Stmt::If(arms, self.stmts(rest)?)
            }
            ast::Stmt::WithBlock(with) => {
                let mut sets = vec![];
                for (target, value) in &with.assignments {
                    sets.push((self.target(target)?, self.expr(value)?));
                }
                Stmt::With(sets, self.stmts(&with.body)?)
            }
            ast::Stmt::AutoEscape(block) => Stmt::Scope(self.stmts(&block.body)?),
            ast::Stmt::FilterBlock(block) => Stmt::FilterBlock(self.expr(&block.filter)?, self.stmts(&block.body)?),
            ast::Stmt::Block(block) => {
                Stmt::Block(block.name.into(), Arc::new(self.stmts(&block.body)?), self.at(block.span()))
            }
            ast::Stmt::Extends(extends) => Stmt::Extends(self.expr(&extends.name)?),
            ast::Stmt::Include(include) => {
                let (name, marks) = unmark(&include.name);
                Stmt::Include {
                    name: self.expr(name)?,
                    ignore_missing: include.ignore_missing,
                    context: !marks.contains(&source::WITHOUT_CONTEXT),
                }
            }
            ast::Stmt::Import(import) => {
                let (from, marks) = unmark(&import.expr);
                let context = marks.contains(&source::WITH_CONTEXT);
                let target = match &import.name {
                    ast::Expr::Var(var) => Sym::of(var.id),
                    other => return Err(("expected a name after 'as'".into(), self.at(other.span()))),
                };
                let load = source::LOADS.iter().find(|(_, mark)| marks.contains(mark)).map(|(word, _)| match *word {
                    "import_yaml" => Load::Yaml,
                    "import_json" => Load::Json,
                    _ => Load::Text,
                });
                let from = self.expr(from)?;
                match load {
                    Some(load) => Stmt::ImportData { from, target, load, context },
                    None => Stmt::Import { from, target, context },
                }
            }
            ast::Stmt::FromImport(import) => {
                let (from, marks) = unmark(&import.expr);
                let mut names = vec![];
                for (name, alias) in &import.names {
                    if let ast::Expr::Var(name) = name {
                        let target = match alias {
                            Some(ast::Expr::Var(alias)) => alias.id,
                            _ => name.id,
                        };
                        names.push((Sym::of(name.id), Sym::of(target)));
                    }
                }
                Stmt::FromImport { from: self.expr(from)?, names, context: marks.contains(&source::WITH_CONTEXT) }
            }
            ast::Stmt::Macro(def) => {
                let at = self.at(def.span());
                Stmt::Macro(Arc::new(self.macro_def(def, at)?), Sym::of(def.name))
            }
            ast::Stmt::CallBlock(block) => {
                let call = self.call(&block.call)?;
                let body = self.macro_def(&block.macro_decl, self.at(block.span()))?;
                Stmt::CallBlock { call, body: Arc::new(body) }
            }
            ast::Stmt::Continue(_) => Stmt::Continue,
            ast::Stmt::Break(_) => Stmt::Break,
        })
    }

    fn macro_def(&mut self, def: &ast::Macro, at: u32) -> Lowered<MacroDef> {
        self.specials.push([false; 3]);
        let first_default = def.args.len() - def.defaults.len().min(def.args.len());
        let mut params = vec![];
        for (i, arg) in def.args.iter().enumerate() {
            let ast::Expr::Var(var) = arg else { continue };
            let default = i.checked_sub(first_default).and_then(|i| def.defaults.get(i));
            let default = default.map(|d| self.expr(d)).transpose()?;
            params.push((Sym::of(var.id), Arc::from(var.id), default));
        }
        let body = self.stmts(&def.body);
        let [uses_varargs, uses_kwargs, uses_caller] = self.specials.pop().unwrap_or_default();
        Ok(MacroDef { name: def.name.into(), at, params, body: body?, uses_varargs, uses_kwargs, uses_caller })
    }

    fn target(&mut self, target: &ast::Expr) -> Lowered<Target> {
        Ok(match target {
            ast::Expr::Var(var) => Target::Name(Sym::of(var.id)),
            ast::Expr::GetAttr(attr) => Target::Attr(self.expr(&attr.expr)?, attr.name.into()),
            ast::Expr::List(list) => Target::Many(list.items.iter().map(|t| self.target(t)).collect::<Lowered<_>>()?),
            ast::Expr::Tuple(list) => Target::Many(list.items.iter().map(|t| self.target(t)).collect::<Lowered<_>>()?),
            other => return Err(("cannot assign to this".into(), self.at(other.span()))),
        })
    }

    fn exprs(&mut self, list: &[ast::Expr]) -> Lowered<Vec<Expr>> {
        list.iter().map(|e| self.expr(e)).collect()
    }

    fn boxed(&mut self, expr: &ast::Expr) -> Lowered<Box<Expr>> {
        self.expr(expr).map(Box::new)
    }

    fn call(&mut self, call: &ast::Spanned<ast::Call>) -> Lowered<Expr> {
        let callee = self.boxed(&call.expr)?;
        Ok(Expr { at: callee.at, kind: ExprKind::Call(callee, self.args(&call.args)?) })
    }

    fn args(&mut self, args: &[ast::CallArg]) -> Lowered<Vec<Arg>> {
        args.iter()
            .map(|arg| {
                Ok(match arg {
                    ast::CallArg::Pos(e) => Arg::Pos(self.expr(e)?),
                    ast::CallArg::Kwarg(name, e) => Arg::Named((*name).into(), self.expr(e)?),
                    ast::CallArg::PosSplat(e) => Arg::Splat(self.expr(e)?),
                    ast::CallArg::KwargSplat(e) => Arg::NamedSplat(self.expr(e)?),
                })
            })
            .collect()
    }

    fn expr(&mut self, expr: &ast::Expr) -> Lowered<Expr> {
        if self.depth > 1000 {
            return Err((
                "the expression is too long (more than 1,000 operators in a row)".into(),
                self.at(expr.span()),
            ));
        }
        self.depth += 1;
        let lowered = stacker::maybe_grow(128 * 1024, 4 << 20, || self.lower(expr));
        self.depth -= 1;
        lowered
    }

    fn lower(&mut self, expr: &ast::Expr) -> Lowered<Expr> {
        let mut at = self.at(expr.span());
        let kind = match expr {
            ast::Expr::Var(var) => {
                let special = ["varargs", "kwargs", "caller"].iter().position(|name| *name == var.id);
                if let Some(i) = special {
                    self.specials.iter_mut().for_each(|flags| flags[i] = true);
                }
                ExprKind::Var(Sym::of(var.id))
            }
            ast::Expr::Const(c) => ExprKind::Lit(literal(&c.value).ok_or(("number is too large".to_owned(), at))?),
            ast::Expr::List(list) => ExprKind::List(self.exprs(&list.items)?),
            ast::Expr::Tuple(list) => ExprKind::Tuple(self.exprs(&list.items)?),
            ast::Expr::Map(map) => {
                let mut entries = vec![];
                for (key, value) in map.keys.iter().zip(&map.values) {
                    entries.push((self.expr(key)?, self.expr(value)?));
                }
                ExprKind::Dict(entries)
            }
            ast::Expr::GetAttr(attr) => {
                let base = self.boxed(&attr.expr)?;
                at = self.offset(attr.name);
                ExprKind::Attr(base, attr.name.into())
            }
            ast::Expr::GetItem(item) => {
                let base = self.boxed(&item.expr)?;
                let key = self.boxed(&item.subscript_expr)?;
                at = key.at;
                ExprKind::Item(base, key)
            }
            ast::Expr::Slice(slice) => {
                let base = self.boxed(&slice.expr)?;
                at = base.at;
                let mut part = |e: &Option<ast::Expr>| e.as_ref().map(|e| self.expr(e)).transpose();
                ExprKind::Slice(base, Box::new([part(&slice.start)?, part(&slice.stop)?, part(&slice.step)?]))
            }
            ast::Expr::Call(call) => return self.call(call),
            ast::Expr::Filter(filter) => {
                let operand = filter.expr.as_ref().map(|e| self.boxed(e)).transpose()?;
                let name: String = filter.name.chars().filter(|c| !c.is_whitespace()).collect();
                at = self.offset(filter.name);
                ExprKind::Filter(operand, name.into(), self.args(&filter.args)?)
            }
            ast::Expr::Test(test) => {
                let operand = self.boxed(&test.expr)?;
                at = self.offset(test.name);
                ExprKind::Test(operand, test.name.into(), self.args(&test.args)?)
            }
            ast::Expr::UnaryOp(op) => {
                let operand = self.boxed(&op.expr)?;
                at = operand.at;
                match op.op {
                    // The parser says `a not in b` as `not (a in b)`; they mean the same.
                    UnaryOpKind::Not => ExprKind::Not(operand),
                    UnaryOpKind::Neg => ExprKind::Neg(operand),
                }
            }
            ast::Expr::BinOp(op) => {
                let left = self.boxed(&op.left)?;
                let right = self.boxed(&op.right)?;
                at = left.at;
                binary(op.op, left, right)
            }
            ast::Expr::Compare(compare) => {
                let first = self.boxed(&compare.expr)?;
                at = first.at;
                let mut rest = vec![];
                for op in &compare.ops {
                    rest.push((comparison(op.op), self.expr(&op.expr)?));
                }
                ExprKind::Compare(first, rest)
            }
            ast::Expr::IfExpr(cond) => {
                let yes = self.boxed(&cond.true_expr)?;
                at = yes.at;
                let no = cond.false_expr.as_ref().map(|e| self.boxed(e)).transpose()?;
                ExprKind::If(self.boxed(&cond.test_expr)?, yes, no)
            }
        };
        Ok(Expr { at, kind })
    }
}

fn unmark<'e, 'a>(mut expr: &'e ast::Expr<'a>) -> (&'e ast::Expr<'a>, Vec<&'a str>) {
    let mut marks = vec![];
    while let ast::Expr::Call(call) = expr {
        match (&call.expr, call.args.as_slice()) {
            (ast::Expr::Var(var), [ast::CallArg::Pos(inner)]) if var.id.starts_with("__") && var.id.ends_with("__") => {
                marks.push(var.id);
                expr = inner;
            }
            _ => break,
        }
    }
    (expr, marks)
}

fn literal(value: &minijinja::Value) -> Option<Lit> {
    if value.is_none() {
        return Some(Lit::None);
    }
    if let Some(text) = value.as_str() {
        return Some(Lit::Str(text.into()));
    }
    match value.kind() {
        minijinja::value::ValueKind::Bool => Some(Lit::Bool(value.is_true())),
        _ if value.is_integer() => i64::try_from(value.clone()).ok().map(Lit::Int),
        _ => f64::try_from(value.clone()).ok().map(Lit::Float),
    }
}

fn binary(op: BinOpKind, left: Box<Expr>, right: Box<Expr>) -> ExprKind {
    let op = match op {
        BinOpKind::ScAnd => return ExprKind::And(left, right),
        BinOpKind::ScOr => return ExprKind::Or(left, right),
        BinOpKind::Concat => {
            return match *left {
                Expr { kind: ExprKind::Concat(mut parts), .. } => {
                    parts.push(*right);
                    ExprKind::Concat(parts)
                }
                left => ExprKind::Concat(vec![left, *right]),
            };
        }
        BinOpKind::Eq => return ExprKind::Compare(left, vec![(Cmp::Eq, *right)]),
        BinOpKind::Ne => return ExprKind::Compare(left, vec![(Cmp::Ne, *right)]),
        BinOpKind::Lt => return ExprKind::Compare(left, vec![(Cmp::Lt, *right)]),
        BinOpKind::Lte => return ExprKind::Compare(left, vec![(Cmp::Le, *right)]),
        BinOpKind::Gt => return ExprKind::Compare(left, vec![(Cmp::Gt, *right)]),
        BinOpKind::Gte => return ExprKind::Compare(left, vec![(Cmp::Ge, *right)]),
        BinOpKind::In => return ExprKind::Compare(left, vec![(Cmp::In, *right)]),
        BinOpKind::Add => Op::Add,
        BinOpKind::Sub => Op::Sub,
        BinOpKind::Mul => Op::Mul,
        BinOpKind::Div => Op::Div,
        BinOpKind::FloorDiv => Op::FloorDiv,
        BinOpKind::Rem => Op::Rem,
        BinOpKind::Pow => Op::Pow,
    };
    ExprKind::Bin(op, left, right)
}

fn comparison(op: CompareOpKind) -> Cmp {
    match op {
        CompareOpKind::Eq => Cmp::Eq,
        CompareOpKind::Ne => Cmp::Ne,
        CompareOpKind::Lt => Cmp::Lt,
        CompareOpKind::Lte => Cmp::Le,
        CompareOpKind::Gt => Cmp::Gt,
        CompareOpKind::Gte => Cmp::Ge,
        CompareOpKind::In => Cmp::In,
        CompareOpKind::NotIn => Cmp::NotIn,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_text_is_what_the_parser_makes_of_it() {
        let texts = [
            "",
            "\n",
            "a",
            "a\n",
            "a\n\n",
            "\r\na\r\n",
            "a: {b: {c: 1}}\n",
            "#jinja2: {}\na\n",
            "#!yaml\n#jinja2: {}\n",
        ];
        for text in texts {
            assert!(!source::has_marks(text));
            let (fast, slow) = (plain("a.sls", text), read("a.sls", text).expect("no mistake"));
            assert_eq!(format!("{:?}", fast.body), format!("{:?}", slow.body), "{text:?}");
            assert_eq!(fast.source, slow.source);
        }
    }
}
