//! The two doors between a master and a machine: what a master asks of a minion, and what a minion
//! needs of its master while a run is under way.

use crate::WireError;
use corpus_core::{Call, Data, Event, ExecError, FileRef, FileRequest, LowState, Map, RunOptions, RunReport, Source};
use corpus_core::{ModuleFile, ModuleInfo, SourceError, Value};
use serde::{Deserialize, Serialize};
use std::io::Read;
use std::sync::Arc;

/// A machine that can be looked at and converged, wherever it is: in this process, behind a pipe, over SSH.
pub trait Minion: Send + Sync {
    /// Returns what the minion said of itself when the connection was made.
    fn hello(&self) -> Hello;
    /// Collects the machine's grains.
    fn grains(&self) -> Result<Map, WireError>;
    /// Gives the minion its grains, pillar and configuration, for the calls and runs that follow.
    fn set_data(&self, data: &Data) -> Result<(), WireError>;
    /// Names the execution functions that the minion answers, sorted.
    fn functions(&self) -> Result<Vec<String>, WireError>;
    /// Takes in the executable modules of the state tree, in place of those it had, and says what each can do.
    fn sync(&self, modules: &[ModuleFile], up: &dyn Upstream) -> Result<Vec<ModuleInfo>, WireError>;
    /// Calls an execution function. Works from within [`Upstream`] too, while a run waits for its answer.
    fn answer(&self, call: &Call) -> Result<Result<Answered, ExecError>, WireError>;
    /// Calls an execution function of which only the value counts.
    fn call(&self, call: &Call) -> Result<Result<Value, ExecError>, WireError> {
        Ok(self.answer(call)?.map(|answered| answered.value))
    }
    /// Walks the low state, asking and telling its master through `up`.
    fn run(&self, request: &RunRequest, up: &dyn Upstream) -> Result<RunReport, WireError>;
    /// Returns the report of an earlier run whose connection was lost, `None` if it died before it had one; over a
    /// wire the minion forgets the run then, else [`Minion::delivered`] makes it.
    fn collect(&self, jid: &str) -> Result<Option<RunReport>, WireError>;

    /// Keeps a report until [`Minion::delivered`] says that its master has it.
    fn keep(&self, _report: &RunReport) {}
    /// Forgets a report that its master has.
    fn delivered(&self, _jid: &str) {}
}

/// What an execution function answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answered {
    pub value: Value,
    /// The exit status of the command that the function ran, 0 if it ran none: Salt's `retcode`.
    pub retcode: i32,
    /// What an executable module wrote to its standard error.
    pub log: String,
}

impl From<Value> for Answered {
    fn from(value: Value) -> Self {
        Self { value, retcode: 0, log: String::new() }
    }
}

/// What a minion needs of its master during a run.
pub trait Upstream: Source {
    /// Takes note of what happens.
    fn event(&self, event: Event);

    /// Tells whether the master answers a function.
    fn knows(&self, _fun: &str) -> bool {
        false
    }

    /// Calls a function of the master: one that needs its trees, or other minions.
    fn call(&self, call: &Call) -> Result<Value, ExecError> {
        Err(ExecError::NotFound(call.fun.clone()))
    }

    /// Opens the content of a file that was resolved before. The default reads what [`Source::fetch`] returns;
    /// a master that holds small or rendered files in memory answers from there.
    fn open(&self, file: &FileRef) -> Result<Box<dyn Read + Send>, SourceError> {
        let path = self.fetch(file)?;
        match std::fs::File::open(&path) {
            Ok(content) => Ok(Box::new(content)),
            Err(error) => Err(SourceError::Failed(format!("open {}: {error}", path.display()))),
        }
    }
}

/// One run: the low state, how to walk it, and the files that the master could find beforehand.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct RunRequest {
    pub low: Arc<LowState>,
    pub options: RunOptions,
    /// Answers to the questions which the walk is going to ask; each saves a round trip.
    pub known: Vec<(FileRequest, Result<FileRef, SourceError>)>,
    /// Who started it, for the message that another run gets when it finds this one under way.
    pub who: String,
    /// Wait for a run that is under way on the machine, instead of answering "busy".
    pub queue: bool,
}

/// The first thing that a minion says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The version of the frames, [`crate::PROTOCOL`].
    pub protocol: u32,
    /// The version of the program and of the types in the frames. Both ends must be of one build.
    pub build: String,
    pub pid: u32,
    pub uid: u32,
    /// `x86_64-linux`.
    pub arch: String,
    /// Runs that ended without a master to tell; [`Minion::collect`] brings their reports.
    pub spooled: Vec<String>,
    /// Runs that were killed; [`Minion::collect`] makes the minion forget one.
    pub interrupted: Vec<Interrupted>,
    /// The run that is under way on the machine.
    pub running: Option<Busy>,
}

/// A run which ended without a report: killed, or the machine went down.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interrupted {
    pub jid: String,
    /// The chunk that was running: place in the run, tag. `None`: it stopped between two.
    pub at: Option<(u32, String)>,
    /// The last effect that had begun, in words.
    pub effect: Option<String>,
    /// How many chunks were decided before.
    pub finished: u32,
}

/// A run that holds the machine's lock.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Busy {
    pub jid: String,
    pub who: String,
    /// `2026-11-21 14:03:07 UTC`.
    pub since: String,
    pub pid: u32,
}
