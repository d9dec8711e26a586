//! Low state: what the compiler makes, the wire carries and the walker steps through.

use crate::span::Span;
use crate::value::{Map, Value};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// One step: a state function, its arguments, and what it waits for.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct LowChunk {
    /// The state module, `file`.
    pub state: Arc<str>,
    /// The function, `managed`.
    pub fun: Arc<str>,
    pub id: Arc<str>,
    pub name: Value,
    pub sls: Arc<str>,
    pub saltenv: Arc<str>,
    pub order: i64,
    /// Place among chunks of equal order, from `names:` (Salt adds 1/10000 per name).
    pub suborder: u32,
    /// Everything that was declared but `name`, the engine's words and requisites included, as written.
    pub args: Map,
    /// Resolved requisites. Targets are indices into [`LowState::chunks`].
    pub requisites: Vec<Requisite>,
    pub included_from: Vec<Arc<str>>,
    /// Where the declaration is, in the user's file.
    pub span: Span,
    /// Where each argument is; kept on the master for its messages.
    #[serde(skip)]
    pub arg_spans: Vec<(Arc<str>, Span)>,
}

/// Reads a mask as Salt does; `None` if it is none.
pub fn umask_bits(umask: &Value) -> Option<u32> {
    let text = crate::python::str(umask);
    u32::from_str_radix(text.trim().trim_start_matches("0o"), 8).ok().filter(|bits| *bits <= 0o777)
}

/// One requisite word of a chunk, with all targets it names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requisite {
    pub kind: RequisiteKind,
    pub targets: Vec<u32>,
    /// `listen` targets that do not exist: Salt reports them at the end of the run.
    pub missing: Vec<(String, String)>,
}

/// The requisites that survive compilation; `use` and the `_in` forms are resolved by then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum RequisiteKind {
    Require,
    RequireAny,
    Watch,
    WatchAny,
    Onchanges,
    OnchangesAny,
    Onfail,
    OnfailAny,
    OnfailAll,
    Prereq,
    Listen,
}

impl RequisiteKind {
    /// All kinds with the word that declares each.
    pub const ALL: [(Self, &'static str); 11] = [
        (Self::Require, "require"),
        (Self::RequireAny, "require_any"),
        (Self::Watch, "watch"),
        (Self::WatchAny, "watch_any"),
        (Self::Onchanges, "onchanges"),
        (Self::OnchangesAny, "onchanges_any"),
        (Self::Onfail, "onfail"),
        (Self::OnfailAny, "onfail_any"),
        (Self::OnfailAll, "onfail_all"),
        (Self::Prereq, "prereq"),
        (Self::Listen, "listen"),
    ];

    /// Returns the kind that a word declares.
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, w)| *w == word).map(|(kind, _)| *kind)
    }

    /// Returns the word that declares it.
    pub fn word(self) -> &'static str {
        Self::ALL.iter().find(|(kind, _)| *kind == self).map_or("", |(_, word)| word)
    }
}

/// The chunks of one minion, in the order in which they run.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct LowState {
    pub chunks: Vec<LowChunk>,
}

impl LowChunk {
    /// Returns the function's full name, `file.managed`.
    pub fn full_name(&self) -> String {
        [&self.state, ".", &self.fun].concat()
    }

    /// Returns the engine's word `umask`: octal, with or without `0o`.
    pub fn umask(&self) -> Option<u32> {
        umask_bits(self.args.get("umask")?)
    }

    /// Returns the mode of a file that the state makes and says no mode of.
    pub fn new_file_mode(&self) -> u32 {
        0o666 & !self.umask().unwrap_or(0o022)
    }

    /// Returns the key of its result record.
    pub fn tag(&self) -> String {
        [&self.state, "_|-", &self.id, "_|-", &crate::python::text(&self.name), "_|-", &self.fun].concat()
    }

    /// Returns where an argument is, or else where the declaration is.
    pub fn arg_span(&self, arg: &str) -> &Span {
        self.arg_spans.iter().find(|(name, _)| **name == *arg).map_or(&self.span, |(_, span)| span)
    }

    /// Returns Salt's flat form, as `state.show_lowstate` prints it.
    pub fn to_salt(&self) -> Map {
        let mut out = Map::new();
        out.insert("state", self.state.clone());
        out.insert("name", self.name.clone());
        out.insert("__sls__", self.sls.clone());
        out.insert("__env__", self.saltenv.clone());
        out.insert("__id__", self.id.clone());
        for (key, value) in &self.args {
            out.0.insert(key.clone(), value.clone());
        }
        let order = if self.suborder == 0 {
            Value::Int(self.order)
        } else {
            Value::Float(self.order as f64 + f64::from(self.suborder) / 10_000.0)
        };
        out.insert("order", order);
        out.insert("fun", self.fun.clone());
        if !self.included_from.is_empty() {
            out.insert(
                "__sls_included_from__",
                Value::list(self.included_from.iter().map(|s| s.clone().into()).collect()),
            );
        }
        out
    }
}
