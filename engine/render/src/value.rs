//! Values as templates see them: Python's. Lists and dicts are shared and mutable; data from outside is
//! wrapped as it is and opened one level at a time, when somebody looks inside. All of it lives in one
//! thread, for one rendering.

use crate::containers::{Dict, Key, List};
use crate::tree::{MacroDef, Sym, Template};
use corpus_core::value::{Map as CoreMap, Value as Core};
use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

/// A value.
#[derive(Clone, Debug)]
pub enum Val {
    /// What an unknown name gives; any use of it is an error that says so.
    Undef(Rc<Undef>),
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(Arc<str>),
    List(Rc<List>),
    Tuple(Rc<Vec<Val>>),
    Dict(Rc<Dict>),
    Obj(Rc<Obj>),
}

/// Why a value is undefined.
#[derive(Debug)]
pub struct Undef {
    pub message: String,
    pub name: Arc<str>,
    pub near: Near,
    /// Where it came about: the mistake is there, wherever it is used.
    pub origin: OnceCell<(Arc<Template>, u32)>,
}

/// Where names like an undefined one may be found, for "did you mean".
#[derive(Debug)]
pub enum Near {
    Nothing,
    /// Of an inline `if` without `else`: Jinja gives a value there that is empty and no error.
    Lenient,
    Scope(Rc<Scope>),
    Of(Val),
    /// The execution functions there are.
    Functions(Vec<String>),
    /// Nowhere, and this is why.
    Hint(Arc<str>),
}

/// Things that are neither data nor containers.
#[derive(Debug)]
pub enum Obj {
    Range(i64, i64, i64),
    /// A generator: gives its items once.
    Iter(RefCell<Option<Vec<Val>>>, &'static str),
    View(ViewKind, Rc<Dict>),
    Namespace(Rc<Dict>),
    Module(Module),
    Macro(Macro),
    /// A method that was taken but not called yet.
    Method(Val, Arc<str>),
    Function(&'static str),
    /// The `salt` object.
    Salt,
    SaltModule(Arc<str>),
    SaltFunction(Arc<str>),
    Loop(Loop),
    Cycler(Vec<Val>, Cell<usize>),
    Joiner(Val, Cell<bool>),
    /// `super()` and `self.name()` of template inheritance: the block and how far up.
    Block(Arc<str>, usize),
    SelfBlocks,
    Bytes(Vec<u8>),
}

/// Which view of a dict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ViewKind {
    Keys,
    Values,
    Items,
}

/// An imported template: its variables and its text.
#[derive(Debug)]
pub struct Module {
    pub name: Arc<str>,
    pub scope: Rc<Scope>,
    pub text: Arc<str>,
}

/// A macro and the scope in which it was defined.
#[derive(Debug)]
pub struct Macro {
    pub template: Arc<Template>,
    pub def: Arc<MacroDef>,
    pub scope: Rc<Scope>,
}

/// The variable `loop`.
#[derive(Debug)]
pub struct Loop {
    pub items: Vec<Val>,
    pub index: Cell<usize>,
    pub depth: usize,
    pub last_changed: RefCell<Option<Vec<Val>>>,
    /// The loop's code, for `loop(…)` in recursive loops.
    pub code: Option<(Arc<Template>, Arc<crate::tree::ForLoop>, Rc<Scope>)>,
}

/// Variables of one block of code, and the scope around it.
#[derive(Debug, Default)]
pub struct Scope {
    pub vars: RefCell<Vec<(Sym, Val)>>,
    pub parent: Option<Rc<Scope>>,
}

impl Scope {
    /// Makes an empty scope within another.
    pub fn within(parent: Option<Rc<Scope>>) -> Rc<Self> {
        Rc::new(Self { vars: RefCell::default(), parent })
    }

    /// Looks a variable up, outwards.
    pub fn get(&self, name: Sym) -> Option<Val> {
        let mut scope = self;
        loop {
            if let Some((_, value)) = scope.vars.borrow().iter().find(|(n, _)| *n == name) {
                return Some(value.clone());
            }
            scope = scope.parent.as_deref()?;
        }
    }

    /// Looks a variable up in this scope alone.
    pub fn own(&self, name: Sym) -> Option<Val> {
        self.vars.borrow().iter().find(|(n, _)| *n == name).map(|(_, value)| value.clone())
    }

    /// Sets a variable of this scope.
    pub fn set(&self, name: Sym, value: Val) {
        let mut vars = self.vars.borrow_mut();
        match vars.iter_mut().find(|(n, _)| *n == name) {
            Some(slot) => slot.1 = value,
            None => vars.push((name, value)),
        }
    }

    /// Names everything that is visible, for "did you mean".
    pub fn names(&self) -> Vec<Arc<str>> {
        let mut names = vec![];
        let mut scope = Some(self);
        while let Some(at) = scope {
            names.extend(at.vars.borrow().iter().map(|(n, _)| n.name()));
            scope = at.parent.as_deref();
        }
        names
    }
}

impl Val {
    /// Makes a text.
    pub fn str(text: impl AsRef<str>) -> Self {
        Self::Str(Arc::from(text.as_ref()))
    }

    /// Makes a list.
    pub fn list(items: Vec<Val>) -> Self {
        Self::List(List::new(items))
    }

    /// Makes a tuple.
    pub fn tuple(items: Vec<Val>) -> Self {
        Self::Tuple(Rc::new(items))
    }

    /// Makes a dict.
    pub fn dict(items: impl IntoIterator<Item = (Val, Val)>) -> Self {
        Self::Dict(Dict::new(items.into_iter().map(|(k, v)| (Key(k), v)).collect()))
    }

    /// Makes a generator.
    pub fn iter(items: Vec<Val>) -> Self {
        Self::Obj(Rc::new(Obj::Iter(RefCell::new(Some(items)), "generator")))
    }

    /// Makes an object.
    pub fn obj(obj: Obj) -> Self {
        Self::Obj(Rc::new(obj))
    }

    /// Makes the value of an inline `if` without `else`.
    pub fn lenient(message: String) -> Self {
        Self::Undef(Rc::new(Undef { message, name: "".into(), near: Near::Lenient, origin: OnceCell::new() }))
    }

    /// Makes an undefined value with Jinja's words for it.
    pub fn undef(message: impl Into<String>) -> Self {
        Self::Undef(Rc::new(Undef {
            message: message.into(),
            name: "".into(),
            near: Near::Nothing,
            origin: OnceCell::new(),
        }))
    }

    /// Wraps outside data; containers are opened later.
    pub fn from_core(value: &Core) -> Self {
        match value {
            Core::Null => Self::None,
            Core::Bool(b) => Self::Bool(*b),
            Core::Int(i) => Self::Int(*i),
            Core::Float(x) => Self::Float(*x),
            Core::Str(s) => Self::Str(s.clone()),
            Core::List(l) => Self::List(List::wrap(l)),
            Core::Map(m) => Self::Dict(Dict::wrap(m)),
        }
    }

    /// Returns plain data; `None` for what is none (functions, undefined) or for a container that holds itself.
    pub fn to_core(&self) -> Option<Core> {
        self.to_core_depth(0)
    }

    fn to_core_depth(&self, depth: usize) -> Option<Core> {
        if depth > 200 {
            return None;
        }
        let all = |items: &[Val]| items.iter().map(|v| v.to_core_depth(depth + 1)).collect::<Option<Vec<_>>>();
        Some(match self {
            Self::None => Core::Null,
            Self::Bool(b) => Core::Bool(*b),
            Self::Int(i) => Core::Int(*i),
            Self::Float(x) => Core::Float(*x),
            Self::Str(s) => Core::Str(s.clone()),
            Self::Tuple(items) => Core::list(all(items)?),
            Self::List(list) => match list.unopened() {
                Some(items) => Core::List(items),
                None => Core::list(all(&list.items())?),
            },
            Self::Dict(dict) => match dict.unopened() {
                Some(map) => Core::Map(map),
                None => Core::map(
                    dict.items()
                        .into_iter()
                        .map(|(k, v)| Some((k.to_core_depth(depth + 1)?, v.to_core_depth(depth + 1)?)))
                        .collect::<Option<CoreMap>>()?,
                ),
            },
            Self::Obj(obj) => match &**obj {
                Obj::Namespace(dict) => return Self::Dict(dict.clone()).to_core_depth(depth),
                Obj::Range(..) | Obj::View(..) | Obj::Iter(..) => Core::list(all(&self.iterate()?)?),
                Obj::Bytes(bytes) => Core::str(String::from_utf8_lossy(bytes)),
                Obj::Module(module) => Core::Str(module.text.clone()),
                _ => return None,
            },
            Self::Undef(_) => return None,
        })
    }

    /// Returns the text, if this is one.
    pub fn as_str(&self) -> Option<&str> {
        if let Self::Str(s) = self { Some(s) } else { None }
    }

    /// Returns the whole number, if this is one.
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(i) => Some(*i),
            Self::Bool(b) => Some((*b).into()),
            _ => None,
        }
    }

    /// Names the type as Python does.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Undef(_) => "StrictUndefined",
            Self::None => "NoneType",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Float(_) => "float",
            Self::Str(_) => "str",
            Self::List(_) => "list",
            Self::Tuple(_) => "tuple",
            Self::Dict(_) => "dict",
            Self::Obj(obj) => match &**obj {
                Obj::Range(..) => "range",
                Obj::Iter(_, name) => name,
                Obj::View(ViewKind::Keys, _) => "dict_keys",
                Obj::View(ViewKind::Values, _) => "dict_values",
                Obj::View(ViewKind::Items, _) => "dict_items",
                Obj::Namespace(_) => "Namespace",
                Obj::Module(_) => "TemplateModule",
                Obj::Macro(_) => "Macro",
                Obj::Method(..) => "builtin_function_or_method",
                Obj::Function(_) => "function",
                Obj::Salt => "AliasedLoader",
                Obj::SaltModule(_) => "AliasedModule",
                Obj::SaltFunction(_) => "LoadedFunc",
                Obj::Loop(_) => "LoopContext",
                Obj::Cycler(..) => "Cycler",
                Obj::Joiner(..) => "Joiner",
                Obj::Block(..) | Obj::SelfBlocks => "BlockReference",
                Obj::Bytes(_) => "bytes",
            },
        }
    }

    /// Names the type as Jinja's "… object has no attribute" does.
    pub fn object_name(&self) -> String {
        match self {
            Self::None => "None".into(),
            Self::Obj(obj) => match &**obj {
                Obj::Salt => "salt.utils.templates.AliasedLoader object".into(),
                Obj::SaltModule(_) => "salt.utils.templates.AliasedModule object".into(),
                Obj::SaltFunction(_) => "salt.loader.lazy.LoadedFunc object".into(),
                Obj::Module(_) => "jinja2.environment.TemplateModule object".into(),
                Obj::Namespace(_) => "jinja2.utils.Namespace object".into(),
                Obj::Macro(_) => "jinja2.runtime.Macro object".into(),
                Obj::Loop(_) => "jinja2.runtime.LoopContext object".into(),
                _ => format!("{} object", self.type_name()),
            },
            _ => format!("{} object", self.type_name()),
        }
    }

    /// Tells whether Python takes this for true; an undefined value is its own error, so ask for it before.
    pub fn truthy(&self) -> bool {
        match self {
            Self::Undef(_) | Self::None => false,
            Self::Bool(b) => *b,
            Self::Int(i) => *i != 0,
            Self::Float(x) => *x != 0.0,
            Self::Str(s) => !s.is_empty(),
            Self::List(l) => l.len() > 0,
            Self::Tuple(t) => !t.is_empty(),
            Self::Dict(d) => d.len() > 0,
            Self::Obj(obj) => match &**obj {
                Obj::Range(..) | Obj::View(..) => self.length() != Some(0),
                Obj::Bytes(bytes) => !bytes.is_empty(),
                _ => true,
            },
        }
    }

    /// Returns Python's `len()`, where there is one.
    pub fn length(&self) -> Option<usize> {
        Some(match self {
            Self::Str(s) => s.chars().count(),
            Self::List(l) => l.len(),
            Self::Tuple(t) => t.len(),
            Self::Dict(d) => d.len(),
            Self::Obj(obj) => match &**obj {
                Obj::Range(start, stop, step) => range_len(*start, *stop, *step),
                Obj::View(_, dict) => dict.len(),
                Obj::Loop(l) => l.items.len(),
                Obj::Bytes(bytes) => bytes.len(),
                _ => return None,
            },
            _ => return None,
        })
    }

    /// Returns the items that a loop over this sees; `None` if it is no iterable. Generators are emptied.
    pub fn iterate(&self) -> Option<Vec<Val>> {
        Some(match self {
            Self::Str(s) => {
                let mut buffer = [0; 4];
                s.chars().map(|c| Self::str(c.encode_utf8(&mut buffer))).collect()
            }
            Self::List(l) => l.items(),
            Self::Tuple(t) => t.to_vec(),
            Self::Dict(d) => d.keys(),
            Self::Undef(u) if matches!(u.near, Near::Lenient) => vec![],
            Self::Obj(obj) => match &**obj {
                Obj::Range(start, stop, step) => {
                    (0..range_len(*start, *stop, *step) as i64).map(|i| Self::Int(start + i * step)).collect()
                }
                Obj::Iter(items, _) => items.take().unwrap_or_default(),
                Obj::View(ViewKind::Keys, d) => d.keys(),
                Obj::View(ViewKind::Values, d) => d.values(),
                Obj::View(ViewKind::Items, d) => d.items().into_iter().map(|(k, v)| Self::tuple(vec![k, v])).collect(),
                Obj::Bytes(bytes) => bytes.iter().map(|b| Self::Int((*b).into())).collect(),
                _ => return None,
            },
            _ => return None,
        })
    }

    /// Tells whether it is a list, a tuple or a text.
    pub fn is_sequence(&self) -> bool {
        matches!(self, Self::Str(_) | Self::List(_) | Self::Tuple(_))
    }

    /// Tells whether Python can hash it, so that it can be a key.
    pub fn hashable(&self) -> bool {
        match self {
            Self::List(_) | Self::Dict(_) | Self::Undef(_) => false,
            Self::Tuple(items) => items.iter().all(Self::hashable),
            _ => true,
        }
    }
}

fn range_len(start: i64, stop: i64, step: i64) -> usize {
    let span = if step > 0 { stop.saturating_sub(start) } else { start.saturating_sub(stop) };
    if span <= 0 { 0 } else { (span as u64).div_ceil(step.unsigned_abs()) as usize }
}
