//! Sources of pillar besides the SLS files: what they are asked, what they give, and how secret that is.

use crate::trust::{ByGrain, Trust};
use corpus_core::{Caller, Data, Diagnostic, Map, Node, Pos, Span, Value};
use std::sync::Arc;
use std::time::Instant;

/// A source of pillar besides the SLS files: a directory server, a program, a database.
pub trait PillarSource: Send + Sync {
    /// Its name, for messages: that of Salt's `ext_pillar` module.
    fn name(&self) -> &str;

    /// Returns what it was configured with, so that answers of another configuration are told apart.
    fn identity(&self) -> String;

    /// Says on what its answer depends, besides the minion's id and the environment.
    fn sees(&self) -> Sees;

    /// Tells whether it reads no more than files of the master, which is as quick as a cache: its answers are not kept.
    fn is_local(&self) -> bool {
        false
    }

    /// Tells whether asking it costs less than the thread on which others are asked.
    fn is_quick(&self) -> bool {
        false
    }

    /// Returns a digest of what it reads, if that can be had for less than reading it: a cached answer of other
    /// content is not used.
    fn stamp(&self, _ask: &Ask) -> Option<String> {
        None
    }

    /// Returns its part of the minion's pillar. Called on a thread that may block.
    fn load(&self, ask: &Ask) -> Result<Given, Diagnostic>;
}

/// What a source's answer depends on. A source that does not see the pillar is loaded beside the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sees {
    pub grains: bool,
    /// What the files and earlier sources gave.
    pub pillar: bool,
}

impl Sees {
    /// Only the minion's id.
    pub const ID: Self = Self { grains: false, pillar: false };
    /// Id and grains.
    pub const GRAINS: Self = Self { grains: true, pillar: false };
    /// Everything.
    pub const ALL: Self = Self { grains: true, pillar: true };
}

/// What a source is asked.
#[derive(Clone)]
pub struct Ask {
    /// The minion's id, grains and configuration; its pillar is what the files and earlier sources gave, for a source
    /// that sees it.
    pub data: Arc<Data>,
    pub saltenv: String,
    pub pillarenv: Option<String>,
    /// Answers the templates' `salt['m.f']()`.
    pub caller: Arc<dyn Caller>,
    /// Whether to say where each value came from, in [`Given::pieces`].
    pub explain: bool,
    /// The grains that may decide on secrets.
    pub trust: Trust,
    /// When the caller stops waiting; what runs then is to be ended.
    pub deadline: Instant,
}

impl Ask {
    /// Returns a setting of the configuration.
    pub fn opt(&self, name: &str) -> Option<&Value> {
        self.data.opts.get(name)
    }

    /// Returns what the files and earlier sources gave.
    pub fn so_far(&self) -> Map {
        self.data.pillar.as_map().cloned().unwrap_or_default()
    }

    /// Returns the environment that `__env__` stands for.
    pub fn env(&self) -> &str {
        match self.pillarenv.as_deref() {
            Some(env) if !env.is_empty() => env,
            _ if self.saltenv.is_empty() => "base",
            _ => &self.saltenv,
        }
    }
}

/// What a source gave.
#[derive(Clone, Debug, Default)]
pub struct Given {
    pub pillar: Map,
    pub secret: Secret,
    /// The parts in the order in which they were merged; asked for by [`Ask::explain`].
    pub pieces: Vec<Piece>,
    /// What its user should know although it answered.
    pub warnings: Vec<Diagnostic>,
    /// What is wrong with a part of it: the rest is there, states do not run.
    pub problems: Vec<Diagnostic>,
    /// What the minion has only because of grains that are not trusted.
    pub by_grain: Vec<ByGrain>,
}

impl From<Map> for Given {
    fn from(pillar: Map) -> Self {
        Self { pillar, ..Self::default() }
    }
}

/// Which of a source's values must not be shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Secret {
    #[default]
    Nothing,
    Everything,
    /// The values below these paths of keys, `a:b`.
    Below(Vec<String>),
}

/// A part of a pillar, and where it was written.
#[derive(Clone)]
pub struct Piece {
    pub node: Node,
    /// The keys under which the node stands in the pillar.
    pub under: Vec<Value>,
    pub place: Place,
}

/// Tells where a position of a node is.
#[derive(Clone)]
pub enum Place {
    /// In a file (or what else has lines), as it stands there.
    File(Arc<str>),
    /// A thing without lines: an entry of a directory, a query.
    Thing(Arc<str>),
    /// Where the function says.
    Computed(Arc<dyn Fn(Pos) -> Span + Send + Sync>),
}

impl Place {
    /// Returns the place of a position.
    pub fn of(&self, pos: Pos) -> Span {
        match self {
            Self::File(file) => Span::new(file.clone(), pos),
            Self::Thing(thing) => Span::new(thing.clone(), Pos::default()),
            Self::Computed(locate) => locate(pos),
        }
    }
}

impl std::fmt::Debug for Piece {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Piece({})", self.place.of(self.node.pos))
    }
}
