//! The syntax tree that the evaluator walks: owned, with names interned and every node at its place in the
//! user's own source. It is made from minijinja's tree by `lower`.

use corpus_core::hash::IndexSet;
use std::sync::{Arc, LazyLock, RwLock};

/// An interned variable name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Sym(u32);

static NAMES: LazyLock<RwLock<IndexSet<Arc<str>>>> = LazyLock::new(Default::default);

/// The symbol of a name that is known when corpus is built, looked up once.
macro_rules! sym {
    ($name:literal) => {{
        static SYM: std::sync::LazyLock<$crate::tree::Sym> = std::sync::LazyLock::new(|| $crate::tree::Sym::of($name));
        *SYM
    }};
}
pub(crate) use sym;

impl Sym {
    /// Returns the symbol of a name.
    pub fn of(name: &str) -> Self {
        if let Some(sym) = Self::known(name) {
            return sym;
        }
        let mut names = NAMES.write().unwrap_or_else(|poisoned| poisoned.into_inner());
        Self(names.insert_full(name.into()).0 as u32)
    }

    /// Returns the symbol of a name that some template uses.
    pub fn known(name: &str) -> Option<Self> {
        let names = NAMES.read().unwrap_or_else(|poisoned| poisoned.into_inner());
        names.get_index_of(name).map(|i| Self(i as u32))
    }

    /// Returns the name.
    pub fn name(self) -> Arc<str> {
        let names = NAMES.read().unwrap_or_else(|poisoned| poisoned.into_inner());
        names.get_index(self.0 as usize).cloned().unwrap_or_else(|| "".into())
    }
}

/// A constant of the source.
#[derive(Clone, Debug)]
pub enum Lit {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(Arc<str>),
}

/// An expression and its byte offset in the source.
#[derive(Debug)]
pub struct Expr {
    pub at: u32,
    pub kind: ExprKind,
}

/// Arithmetic operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    Add,
    Sub,
    Mul,
    Div,
    FloorDiv,
    Rem,
    Pow,
}

/// Comparison operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cmp {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    In,
    NotIn,
}

#[derive(Debug)]
pub enum ExprKind {
    Lit(Lit),
    Var(Sym),
    List(Vec<Expr>),
    Tuple(Vec<Expr>),
    Dict(Vec<(Expr, Expr)>),
    Attr(Box<Expr>, Arc<str>),
    Item(Box<Expr>, Box<Expr>),
    Slice(Box<Expr>, Box<[Option<Expr>; 3]>),
    Call(Box<Expr>, Vec<Arg>),
    /// The operand is missing in filter blocks, where it is the block's text.
    Filter(Option<Box<Expr>>, Arc<str>, Vec<Arg>),
    Test(Box<Expr>, Arc<str>, Vec<Arg>),
    Not(Box<Expr>),
    Neg(Box<Expr>),
    And(Box<Expr>, Box<Expr>),
    Or(Box<Expr>, Box<Expr>),
    Bin(Op, Box<Expr>, Box<Expr>),
    Concat(Vec<Expr>),
    Compare(Box<Expr>, Vec<(Cmp, Expr)>),
    /// Condition, value, other value.
    If(Box<Expr>, Box<Expr>, Option<Box<Expr>>),
}

/// An argument of a call.
#[derive(Debug)]
pub enum Arg {
    Pos(Expr),
    Named(Arc<str>, Expr),
    Splat(Expr),
    NamedSplat(Expr),
}

/// What a `set`, `for` or `with` assigns to.
#[derive(Debug)]
pub enum Target {
    Name(Sym),
    Attr(Expr, Arc<str>),
    Many(Vec<Target>),
}

#[derive(Debug)]
pub struct MacroDef {
    pub name: Arc<str>,
    pub at: u32,
    pub params: Vec<(Sym, Arc<str>, Option<Expr>)>,
    pub body: Vec<Stmt>,
    pub uses_varargs: bool,
    pub uses_kwargs: bool,
    pub uses_caller: bool,
}

/// How `import_yaml` and kin read what they import.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Load {
    Yaml,
    Json,
    Text,
}

#[derive(Debug)]
pub enum Stmt {
    /// Text, with its offset.
    Raw(Arc<str>, u32),
    Emit(Expr),
    Do(Expr),
    For(Arc<ForLoop>),
    If(Vec<(Expr, Vec<Stmt>)>, Vec<Stmt>),
    With(Vec<(Target, Expr)>, Vec<Stmt>),
    Set(Target, Expr),
    SetBlock(Target, Option<Expr>, Vec<Stmt>, u32),
    FilterBlock(Expr, Vec<Stmt>),
    Block(Arc<str>, Arc<Vec<Stmt>>, u32),
    Extends(Expr),
    Include {
        name: Expr,
        ignore_missing: bool,
        context: bool,
    },
    Import {
        from: Expr,
        target: Sym,
        context: bool,
    },
    FromImport {
        from: Expr,
        names: Vec<(Sym, Sym)>,
        context: bool,
    },
    ImportData {
        from: Expr,
        target: Sym,
        load: Load,
        context: bool,
    },
    Macro(Arc<MacroDef>, Sym),
    CallBlock {
        call: Expr,
        body: Arc<MacroDef>,
    },
    Continue,
    Break,
    Scope(Vec<Stmt>),
}

#[derive(Debug)]
pub struct ForLoop {
    pub at: u32,
    pub target: Target,
    pub iter: Expr,
    pub filter: Option<Expr>,
    pub recursive: bool,
    pub body: Vec<Stmt>,
    pub otherwise: Vec<Stmt>,
}

/// A template, ready to run.
#[derive(Debug)]
pub struct Template {
    /// The name that messages show: a path relative to the file roots.
    pub file: Arc<str>,
    /// The user's own text, line ends made `\n`.
    pub source: Arc<str>,
    pub body: Vec<Stmt>,
    lines: Vec<u32>,
}

impl Template {
    /// Makes a template of its parts.
    pub fn new(file: Arc<str>, source: Arc<str>, body: Vec<Stmt>) -> Self {
        let ends = source.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let lines = std::iter::once(0).chain(ends.map(|(i, _)| i as u32 + 1)).collect();
        Self { file, source, body, lines }
    }

    /// Returns line and column of a byte offset, both from 1.
    pub fn pos(&self, at: u32) -> corpus_core::Pos {
        let line = self.lines.partition_point(|start| *start <= at).max(1);
        let start = self.lines[line - 1] as usize;
        let col = self.source.get(start..at as usize).map_or(0, |text| text.chars().count());
        corpus_core::Pos::new(line as u32, col as u32 + 1)
    }

    /// Returns a place in it as shown to people.
    pub fn span(&self, at: u32) -> corpus_core::Span {
        corpus_core::Span::new(self.file.clone(), self.pos(at))
    }

    /// Returns a line of the source, from 1.
    pub fn line(&self, number: u32) -> Option<&str> {
        let start = *self.lines.get(number.checked_sub(1)? as usize)? as usize;
        self.source.get(start..)?.lines().next()
    }
}
