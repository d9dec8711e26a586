//! Failures of a whole host or of the whole call, as opposed to failed states.

use corpus_core::secret::Masked;
use corpus_core::{Diagnostic, RunReport, Value};

/// What kind of failure; decides the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The command line or a configuration file.
    Usage,
    /// Nothing matches the target.
    Target,
    /// The host could not be reached, or was lost.
    Host,
    /// A function that does not exist, or failed.
    Function,
    /// Another run is under way.
    Busy,
    /// The pillar has errors.
    Pillar,
    /// The call was ended before it came to this.
    Interrupted,
}

/// A failure that is not a state's.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    pub kind: Kind,
    pub message: String,
    pub hints: Vec<String>,
}

impl Failure {
    /// Makes a failure.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hints: vec![] }
    }

    /// Adds the next thing to do.
    pub fn hint(mut self, text: impl Into<String>) -> Self {
        self.hints.push(text.into());
        self
    }
}

/// What one minion answered.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// The value of an execution function.
    Value(Value),
    /// The records of a state run.
    Run(RunReport),
    /// The states did not compile: nothing was done.
    Compile(Vec<Diagnostic>),
    Failed(Failure),
}

impl Masked for Outcome {
    fn hidden(self) -> Self {
        match self {
            Self::Value(value) => Self::Value(value.hidden()),
            Self::Run(report) => Self::Run(report.hidden()),
            Self::Compile(errors) => Self::Compile(errors.hidden()),
            Self::Failed(Failure { kind, message, hints }) => {
                Self::Failed(Failure { kind, message: message.hidden(), hints: hints.hidden() })
            }
        }
    }
}

/// One minion's answer, with what it warned about.
#[derive(Clone, Debug)]
pub struct HostReturn {
    pub id: String,
    pub fun: String,
    pub outcome: Outcome,
    /// The exit status of the command that the function ran.
    pub retcode: i32,
    /// Where the time went, if that was asked for.
    pub timings: Option<String>,
    pub warnings: Vec<Diagnostic>,
}

/// Salt: a function that answers with a dictionary may say there that it failed.
fn says_no(value: &Value) -> bool {
    let no = |key| value.as_map().and_then(|map| map.get(key)).is_some_and(|said| !said.truthy());
    no("result") || no("success")
}

impl HostReturn {
    /// Returns Salt's exit code for this answer: 0 good, 1 not compiled or not called, 2 a state failed,
    /// 5 pillar errors.
    pub fn code(&self) -> u8 {
        match &self.outcome {
            // A deployment has codes of its own: 3 failed, 75 when another is under way.
            Outcome::Value(_) if self.fun.starts_with("mc_project.") && self.retcode != 0 => {
                u8::try_from(self.retcode).unwrap_or(1)
            }
            // Salt: any failing command is a 1; so is a dictionary that says so of itself.
            Outcome::Value(value) => u8::from(self.retcode != 0 || says_no(value)),
            Outcome::Run(report) if report.ok() => 0,
            Outcome::Run(_) => 2,
            Outcome::Compile(_) => 1,
            Outcome::Failed(failure) => match failure.kind {
                Kind::Usage => 64,
                Kind::Busy => 75,
                Kind::Pillar => 5,
                Kind::Interrupted => 130,
                Kind::Target | Kind::Host | Kind::Function => 1,
            },
        }
    }
}
