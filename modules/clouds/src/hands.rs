//! What touches machines, as a trait: asking one, having the walker run low chunks there, reaching it at all. The real
//! one is [`crate::fleet::Fleet`]; tests have one that fails when it is told to.

use corpus_core::{Call, Map, RunReport, Value};
use serde::{Deserialize, Serialize};

/// Whose minion is meant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// A machine of the roster: a node or a guest.
    Minion(String),
    /// The machine that corpus runs on.
    Here,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Minion(id) => f.write_str(id),
            Self::Here => f.write_str("this machine"),
        }
    }
}

/// One state of a plan: an id, a function and its arguments. The walker plans it, and law 1 to 4 hold for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Chunk {
    pub id: String,
    pub fun: String,
    pub args: Map,
    /// Ids of earlier chunks of the plan without which this one must not run.
    pub require: Vec<(String, String)>,
    /// Ids of earlier chunks whose change is what this one waits for.
    pub onchanges: Vec<(String, String)>,
    /// Ids of earlier chunks whose change it answers in its own way.
    #[serde(default)]
    pub watch: Vec<(String, String)>,
}

impl Chunk {
    /// Makes a chunk that waits for nothing.
    pub fn new(id: impl Into<String>, fun: impl Into<String>, args: Map) -> Self {
        Self { id: id.into(), fun: fun.into(), args, require: vec![], onchanges: vec![], watch: vec![] }
    }

    /// Lets it wait for another.
    pub fn after(mut self, other: &Chunk) -> Self {
        self.require.push(other.named());
        self
    }

    /// Runs it only if another changed something.
    pub fn when(mut self, other: &Chunk) -> Self {
        self.onchanges.push(other.named());
        self
    }

    /// Lets it answer another's change.
    pub fn watching(mut self, other: &Chunk) -> Self {
        self.watch.push(other.named());
        self
    }

    fn named(&self) -> (String, String) {
        (self.fun.split('.').next().unwrap_or_default().to_owned(), self.id.clone())
    }
}

/// Writes chunks as high data, which `state.high` compiles; their order is kept.
pub fn high(chunks: &[Chunk]) -> Map {
    let mut high = Map::new();
    for (order, chunk) in chunks.iter().enumerate() {
        let (module, fun) = chunk.fun.split_once('.').unwrap_or((&chunk.fun, ""));
        let mut items = vec![Value::from(fun)];
        items.extend(
            chunk.args.iter().map(|(key, value)| Value::map([(key.clone(), value.clone())].into_iter().collect())),
        );
        let one = |key: &str, value: Value| Value::map([(key, value)].into_iter().collect());
        items.push(one("order", Value::from(order + 1)));
        for (word, whom) in [("require", &chunk.require), ("onchanges", &chunk.onchanges), ("watch", &chunk.watch)] {
            if !whom.is_empty() {
                let list = whom.iter().map(|(state, id)| one(state, id.into())).collect();
                items.push(one(word, Value::list(list)));
            }
        }
        high.insert(chunk.id.as_str(), one(module, Value::list(items)));
    }
    high
}

/// Why a machine did not do what it was asked to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HandsError {
    /// It cannot be reached: nothing is known of what is on it.
    #[error("{0}")]
    Unreachable(String),
    /// It answered, and the answer is no.
    #[error("{0}")]
    Failed(String),
}

/// Everything by which machines are seen and changed.
pub trait Hands: Sync {
    /// Asks: a function that only looks.
    fn call(&self, at: &Place, call: &Call) -> Result<Value, HandsError>;

    /// Has the walker run chunks.
    fn run(&self, at: &Place, chunks: &[Chunk], test: bool) -> Result<RunReport, HandsError>;

    /// Has a machine converged to SLS files, or to its highstate where none are named.
    fn apply(&self, at: &Place, sls: &[String], test: bool) -> Result<RunReport, HandsError>;

    /// Has a program of one machine read what a program of another writes.
    fn carry(&self, from: (&Place, &[String]), to: (&Place, &[String])) -> Result<(), HandsError>;

    /// Waits until a machine of the roster answers.
    fn answers(&self, id: &str, patience: std::time::Duration) -> Result<(), HandsError>;
}
