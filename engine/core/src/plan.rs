//! What a state function wants to do, as data. The walker shows a plan, and performs that same plan.

use crate::host::{Command, Output};
use crate::value::{Map, Value};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Who owns a file; names are looked up when the effect is performed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Owner {
    Name(String),
    Id(u32),
}

/// Owner, group and mode to set; `None` leaves as is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attrs {
    pub user: Option<Owner>,
    pub group: Option<Owner>,
    pub mode: Option<u32>,
}

impl Attrs {
    /// Tells whether nothing is to be set.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What goes into a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Content {
    Bytes(Vec<u8>),
    /// A file of the same machine, copied as a stream: fetched sources, large or binary.
    File {
        path: PathBuf,
        sha256: [u8; 32],
        size: u64,
        /// Whoever keeps the file can do without it, and has just computed its digest: it may be moved instead.
        spare: bool,
    },
}

/// Every way corpus may alter a machine. Closed and small: anything else is an `Exec` with predictions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Effect {
    /// Writes a file: old or new, never partial. Without attributes, an existing file keeps its own.
    WriteFile {
        path: PathBuf,
        content: Content,
        attrs: Attrs,
        backup: Option<PathBuf>,
    },
    /// Makes one directory; parents are effects of their own.
    Mkdir {
        path: PathBuf,
        attrs: Attrs,
    },
    /// Makes or replaces a symbolic link.
    Symlink {
        path: PathBuf,
        target: PathBuf,
        attrs: Attrs,
    },
    Hardlink {
        path: PathBuf,
        target: PathBuf,
    },
    Rename {
        from: PathBuf,
        to: PathBuf,
    },
    /// Copies a file, or a whole tree.
    Copy {
        from: PathBuf,
        to: PathBuf,
        preserve: bool,
    },
    /// Removes a file, a link or a whole tree; links are never followed.
    Remove {
        path: PathBuf,
    },
    Attrs {
        path: PathBuf,
        attrs: Attrs,
        follow: bool,
    },
    /// Sets access and modification times, in seconds since 1970; `None` is now.
    Times {
        path: PathBuf,
        atime: Option<i64>,
        mtime: Option<i64>,
    },
    Exec(Command),
    /// Calls an execution function that writes, for `module.run`.
    Call {
        fun: String,
        args: Vec<Value>,
        kwargs: Vec<(String, Value)>,
    },
}

impl Effect {
    /// Writes a text file that keeps its owner and mode if it is there.
    pub fn text(path: impl Into<PathBuf>, text: impl Into<Vec<u8>>) -> Self {
        let content = Content::Bytes(text.into());
        Self::WriteFile { path: path.into(), content, attrs: Attrs::default(), backup: None }
    }
}

/// What an effect is going to make true, beyond what its kind says by itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Prediction {
    User(String, Option<crate::host::User>),
    Group(String, Option<crate::host::Group>),
    /// Any other fact, under the name that its probe asks for (`pkg:vim`, `service:ssh:running`).
    Fact(String, Value),
    /// A path will be there, its content unknown (what an archive or a clone brings).
    Path(PathBuf),
    /// Anything may change: later steps that find something missing say "unknown", not "failed".
    Opaque,
}

/// One effect and what it predicts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    pub effect: Effect,
    pub predicts: Vec<Prediction>,
    /// An `Exec` that ends with another status than 0 fails the state, unless the state judges by itself.
    pub must_succeed: bool,
}

/// What a state function wants to do, and what the user is shown. The same value is applied.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    pub steps: Vec<Step>,
    /// Salt's `changes`: what is known before the run.
    pub changes: Map,
    /// The comment when nothing is to be done.
    pub unchanged: String,
    /// The comment of a dry run.
    pub would: String,
    /// The comment once done.
    pub did: String,
    pub warnings: Vec<String>,
    /// What the state keeps for its own `settle`.
    pub memo: Value,
    /// For `file.accumulated`: text for a file that a later state of this run writes.
    pub accumulate: Option<Accumulate>,
    /// The verdict when nothing is to be done; false for a check that failed without an error.
    pub failed: bool,
    /// Asked for anew each time (`overwrite`, `reinstall`): a second look finds the same again.
    pub repeats: bool,
    /// A call that tells what the plan would do where it cannot look itself, and changes nothing: made in a dry run
    /// only, and judged as the real answers are.
    pub rehearsal: Option<Effect>,
}

/// Text collected for a file (`file.accumulated`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Accumulate {
    pub filename: String,
    pub name: String,
    pub texts: Vec<Value>,
}

/// What performing an effect showed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Observed {
    Done,
    Ran(Output),
    Returned(Value),
}

/// What a state says once its plan has been performed.
#[derive(Clone, Debug, PartialEq)]
pub struct Settled {
    pub result: bool,
    pub changes: Map,
    pub comment: String,
}

impl Plan {
    /// Makes a plan of nothing, with its comment.
    pub fn unchanged(comment: impl Into<String>) -> Self {
        Self { unchanged: comment.into(), ..Self::default() }
    }

    /// Makes a plan of nothing that counts as a failure (a check that did not hold).
    pub fn failed(comment: impl Into<String>) -> Self {
        Self { unchanged: comment.into(), failed: true, ..Self::default() }
    }

    /// Sets the comments of a dry run and of the real one.
    pub fn says(mut self, would: impl Into<String>, did: impl Into<String>) -> Self {
        self.would = would.into();
        self.did = did.into();
        self
    }

    /// Adds an effect.
    pub fn step(mut self, effect: Effect) -> Self {
        self.push(effect, vec![]);
        self
    }

    /// Adds an effect with its predictions.
    pub fn push(&mut self, effect: Effect, predicts: Vec<Prediction>) {
        self.steps.push(Step { effect, predicts, must_succeed: true });
    }

    /// Adds a program with its predictions.
    pub fn exec(&mut self, command: Command, predicts: Vec<Prediction>) {
        self.push(Effect::Exec(command), predicts);
    }

    /// Adds a program that may fail: the state judges by itself.
    pub fn attempt(&mut self, command: Command, predicts: Vec<Prediction>) {
        self.steps.push(Step { effect: Effect::Exec(command), predicts, must_succeed: false });
    }

    /// Adds an entry to `changes`.
    pub fn change(mut self, key: impl Into<Value>, value: impl Into<Value>) -> Self {
        self.changes.insert(key, value);
        self
    }

    /// Adds a warning.
    pub fn warn(mut self, text: impl Into<String>) -> Self {
        self.warnings.push(text.into());
        self
    }

    /// Tells whether nothing is to be done and nothing to be shown.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty() && self.changes.is_empty() && self.accumulate.is_none()
    }
}

impl Settled {
    /// Makes the answer that the plan already gave.
    pub fn as_planned(plan: &Plan) -> Self {
        Self { result: true, changes: plan.changes.clone(), comment: plan.did.clone() }
    }
}

impl Observed {
    /// Returns what a program left, if a program ran.
    pub fn output(&self) -> Option<&Output> {
        if let Self::Ran(output) = self { Some(output) } else { None }
    }
}
