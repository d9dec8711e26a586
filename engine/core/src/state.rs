//! State functions: facts in, plan out.

use crate::decode::{self, DecodeError};
use crate::exec::{Caller, Data};
use crate::host::{HostError, Look};
use crate::low::LowChunk;
use crate::plan::{Accumulate, Observed, Plan, Settled};
use crate::source::{FileRef, FileRequest, Source, SourceError};
use crate::value::{Map, Value};
use serde::de::DeserializeOwned;

/// What a state function may ask while it plans. There is nothing in it that changes the machine.
pub struct PlanCx<'a> {
    /// The machine, in a dry run as the steps before will have left it.
    pub host: &'a dyn Look,
    /// The master's files.
    pub source: &'a dyn Source,
    /// Execution functions, for guards and `module.run`.
    pub caller: &'a dyn Caller,
    pub data: &'a Data,
    pub low: &'a LowChunk,
    /// True in a dry run. For wording only: a plan must not depend on it.
    pub test: bool,
    /// Texts collected by `file.accumulated` so far, with the chunk that collected each.
    pub accumulated: &'a [(u32, Accumulate)],
    /// All chunks of the run.
    pub chunks: &'a [LowChunk],
}

impl PlanCx<'_> {
    /// Returns the saltenv that a file is taken from: the argument's, else the SLS file's.
    pub fn saltenv(&self) -> String {
        self.low.args.str("saltenv").map_or_else(|| self.low.saltenv.to_string(), str::to_owned)
    }

    /// Finds a file of the master.
    pub fn resolve(&self, request: &FileRequest) -> Result<FileRef, StateError> {
        Ok(self.source.resolve(request)?)
    }

    /// Refuses to go on without a program; `package` is where Debian has it.
    pub fn program(&self, program: &str, package: &str) -> Result<(), StateError> {
        if self.host.which(program).is_some() {
            return Ok(());
        }
        let from = if package == program { String::new() } else { format!(" (Debian has it in {package})") };
        Err(StateError::missing(format!(
            "{program} is not installed on this machine; install it first (`pkg.installed`){from}"
        )))
    }

    /// Brings a file of the master and reads it.
    pub fn read_source(&self, file: &FileRef) -> Result<Vec<u8>, StateError> {
        Ok(self.host.read(&self.source.fetch(file)?)?)
    }
}

/// Why a state cannot be planned. Its text is the comment of the failed state.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StateError {
    #[error("{0}")]
    Failed(String),
    /// Something is not there that an earlier step may bring: in a dry run after such a step, unknown.
    #[error("{0}")]
    Missing(String),
    #[error(transparent)]
    Host(#[from] HostError),
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error(transparent)]
    Decode(#[from] DecodeError),
    #[error(transparent)]
    Exec(#[from] crate::exec::ExecError),
}

impl StateError {
    /// Makes an error of the state's own words.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::Failed(message.into())
    }

    /// Makes an error for something that is not there.
    pub fn missing(message: impl Into<String>) -> Self {
        Self::Missing(message.into())
    }
}

/// A state function: its arguments are the struct's fields, its doc comment is its documentation.
pub trait State: DeserializeOwned + Send + Sync + 'static {
    /// `module.function`.
    const NAME: &'static str;
    /// After a change, planning again must give an empty plan. False for `cmd.run` and its kin.
    const CONVERGES: bool = true;
    /// Salt's module has a `mod_watch`: `watch` is more than `require` then.
    const WATCHES: bool = false;
    /// Evaluates `check_cmd` itself (`file.managed`).
    const CHECKS: bool = false;
    /// Takes any further argument (`**kwargs` in Salt): none is reported as unknown.
    const OPEN: bool = false;

    /// Compares the machine with the declaration.
    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError>;

    /// Salt's `mod_watch`: what to do when a watched state changed and this one did not.
    fn watch(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        self.plan(cx)
    }

    /// Judges what performing the plan showed. Looks, but has no hands either.
    fn settle(&self, plan: &Plan, _seen: &[Observed], _cx: &PlanCx<'_>) -> Result<Settled, StateError> {
        Ok(Settled::as_planned(plan))
    }
}

/// A state with its arguments read, its type forgotten.
pub trait Planned: Send + Sync {
    /// See [`State::plan`].
    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError>;
    /// See [`State::watch`].
    fn watch(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError>;
    /// See [`State::settle`].
    fn settle(&self, plan: &Plan, seen: &[Observed], cx: &PlanCx<'_>) -> Result<Settled, StateError>;
}

impl<S: State> Planned for S {
    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        State::plan(self, cx)
    }
    fn watch(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        State::watch(self, cx)
    }
    fn settle(&self, plan: &Plan, seen: &[Observed], cx: &PlanCx<'_>) -> Result<Settled, StateError> {
        State::settle(self, plan, seen, cx)
    }
}

/// A state function of the registry.
#[derive(Clone, Copy)]
pub struct StateDef {
    pub name: &'static str,
    pub doc: &'static str,
    /// Argument, its documentation.
    pub arg_docs: &'static [(&'static str, &'static str)],
    pub converges: bool,
    pub watches: bool,
    pub checks: bool,
    pub open: bool,
    /// Reads the arguments.
    pub decode: fn(&Map) -> Result<Box<dyn Planned>, DecodeError>,
    /// Names the arguments that it takes.
    pub args: fn() -> &'static [&'static str],
}

impl StateDef {
    /// Makes the registry's entry of a state function.
    pub const fn of<S: State>(doc: &'static str, arg_docs: &'static [(&'static str, &'static str)]) -> Self {
        Self {
            name: S::NAME,
            doc,
            arg_docs,
            converges: S::CONVERGES,
            watches: S::WATCHES,
            checks: S::CHECKS,
            open: S::OPEN,
            decode: |args| Ok(Box::new(decode::from_map::<S>(args)?)),
            args: decode::fields::<S>,
        }
    }
}

/// Returns the arguments a state function is given: the chunk's own, its name included.
pub fn arguments(low: &LowChunk) -> Map {
    let mut args = Map::with_capacity(low.args.len() + 1);
    args.insert("name", low.name.clone());
    for (key, value) in &low.args {
        if let Value::Str(word) = key
            && !crate::keywords::REQUISITES.contains(&&**word)
            && !crate::keywords::REQUISITES_IN.contains(&&**word)
        {
            args.0.insert(key.clone(), value.clone());
        }
    }
    args
}
