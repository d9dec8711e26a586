//! The real hands: machines are asked and converged through the master, as any other minion.

use crate::hands::{Chunk, Hands, HandsError, Place, high};
use corpus_core::target::TargetKind;
use corpus_core::{Call, RunReport, Value};
use corpus_master::{Corpus, Failure, HostReturn, Kind, Outcome, Progress, Selector};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The id that means the machine that corpus runs on.
pub const LOCAL: &str = "local";

/// Told what happens meanwhile.
pub type Note<'a> = &'a (dyn Fn(Progress<'_>) + Sync);

/// The machines of the roster.
pub struct Fleet<'a> {
    pub corpus: &'a Arc<Corpus>,
    pub progress: Note<'a>,
}

impl Fleet<'_> {
    fn ask(&self, at: &Place, call: &Call) -> Result<HostReturn, HandsError> {
        // Answers of single machines are ours to read, not to print.
        let quiet = |progress: Progress<'_>| {
            if let Progress::Event { .. } = progress {
                (self.progress)(progress);
            }
        };
        let answers = match at {
            Place::Minion(id) if id != LOCAL => {
                let selector = Selector::new(TargetKind::List, id);
                self.corpus.fleet(&selector, call, &quiet)
            }
            _ => self.corpus.local(call, None, false, &quiet).map(|answer| vec![answer]),
        };
        let answers = answers.map_err(|failure| match failure.kind {
            Kind::Target => {
                HandsError::Unreachable(format!("{at} is not in the roster; add it, or attach it by saltify"))
            }
            _ => refused(at, &failure),
        })?;
        answers.into_iter().next().ok_or_else(|| HandsError::Unreachable(format!("{at} did not answer")))
    }
}

fn refused(at: &Place, failure: &Failure) -> HandsError {
    let message = format!("{at}: {}", failure.message);
    if failure.kind == Kind::Host { HandsError::Unreachable(message) } else { HandsError::Failed(message) }
}

fn report(at: &Place, answer: HostReturn) -> Result<RunReport, HandsError> {
    match answer.outcome {
        Outcome::Run(report) => Ok(report),
        Outcome::Value(value) => Err(HandsError::Failed(format!("{at}: {}", corpus_core::python::str(&value)))),
        Outcome::Compile(errors) => {
            let text: String = errors.iter().map(|error| error.to_text(Some(&at.to_string()))).collect();
            Err(HandsError::Failed(text.trim_end().trim_start_matches("error: ").to_owned()))
        }
        Outcome::Failed(failure) => Err(refused(at, &failure)),
    }
}

impl Hands for Fleet<'_> {
    fn call(&self, at: &Place, call: &Call) -> Result<Value, HandsError> {
        let answer = self.ask(at, call)?;
        match answer.outcome {
            Outcome::Value(value) => Ok(value),
            Outcome::Failed(failure) => Err(refused(at, &failure)),
            Outcome::Run(_) | Outcome::Compile(_) => {
                Err(HandsError::Failed(format!("{at}: {} is a state run", call.fun)))
            }
        }
    }

    fn run(&self, at: &Place, chunks: &[Chunk], test: bool) -> Result<RunReport, HandsError> {
        let mut call = Call::new("state.high", vec![high(chunks).into()]);
        call.kwargs.insert("test", test);
        // Another guest of the same node may be at work; this run waits for its turn.
        call.kwargs.insert("queue", true);
        let report = report(at, self.ask(at, &call)?)?;
        if report.chunks.len() < chunks.len() {
            let (ran, all) = (report.chunks.len(), chunks.len());
            return Err(HandsError::Failed(format!("{at}: {ran} of {all} states ran; the run was cut off")));
        }
        Ok(report)
    }

    fn apply(&self, at: &Place, sls: &[String], test: bool) -> Result<RunReport, HandsError> {
        let highstate = sls.iter().any(|name| name == "highstate");
        let mut call = match highstate {
            true => Call::new("state.highstate", vec![]),
            false => Call::new("state.sls", vec![sls.join(",").into()]),
        };
        call.kwargs.insert("test", test);
        call.kwargs.insert("queue", true);
        report(at, self.ask(at, &call)?)
    }

    fn carry(&self, (from, send): (&Place, &[String]), (to, receive): (&Place, &[String])) -> Result<(), HandsError> {
        let id = |at: &'_ Place| match at {
            Place::Minion(id) if id != LOCAL => Some(id.clone()),
            _ => None,
        };
        let (source, sink) = (id(from), id(to));
        let done = self.corpus.carry((source.as_deref(), send), (sink.as_deref(), receive));
        done.map(|_| ()).map_err(|failure| HandsError::Failed(format!("{from} to {to}: {}", failure.message)))
    }

    fn answers(&self, id: &str, patience: Duration) -> Result<(), HandsError> {
        let until = Instant::now() + patience;
        let at = Place::Minion(id.to_owned());
        loop {
            let error = match self.call(&at, &Call::new("test.ping", vec![])) {
                Ok(_) => return Ok(()),
                Err(error) => error,
            };
            let stop = Instant::now() >= until || self.corpus.interrupted();
            // A wrong password or key gets no better by waiting.
            let hopeless = ["host key", "password", "publickey", "not in the roster"];
            let said = error.to_string().to_lowercase();
            if stop || hopeless.iter().any(|word| said.contains(word)) {
                return Err(error);
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}
