//! What the master itself answers: state runs, documentation, and functions of files and pillar that need
//! its trees. Everything else is asked of the minion.

mod cp;
mod graph;
mod pillar;
pub mod runner;
mod sdb;
mod slsutil;
pub mod state;
mod sys;
mod tree;
mod vault;

use crate::caller::not_found;
use crate::diagnose::{Failure, Kind, Outcome};
use crate::session::{PillarFailure, Session, lost};
use corpus_core::{Call, Data, Event, ExecError, ExecFn, Value};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// How a function of the master answers.
pub type Answer = fn(&Call, &Arc<Session>, &Arc<Data>) -> Result<Value, ExecError>;

/// A function that the master answers.
#[derive(Clone, Copy)]
pub struct MasterDef {
    pub name: &'static str,
    pub args: &'static str,
    pub doc: &'static str,
    pub run: Answer,
}

/// The master's own functions.
pub const TABLES: &[&[MasterDef]] =
    &[cp::FNS, graph::FNS, pillar::FNS, sdb::FNS, slsutil::FNS, state::FNS, sys::FNS, tree::FNS, vault::FNS];

/// Walks the master's own functions.
pub fn all() -> impl Iterator<Item = &'static MasterDef> {
    TABLES.iter().flat_map(|table| table.iter())
}

/// Answers a call for one minion.
pub fn answer(session: &Arc<Session>, call: &Call, events: &(dyn Fn(Event) + Sync)) -> Outcome {
    if state::runs(&call.fun) {
        return state::run(session, call, events);
    }
    // What only shows states writes nothing either.
    session.dry.store(call.fun.starts_with("state."), Ordering::Relaxed);
    let value = if let Some(def) = session.corpus.master_function(&call.fun) {
        call_data(session, call).and_then(|data| (def.run)(call, session, &data).map_err(|e| function(&e)))
    } else {
        match session.corpus.registry.function(&call.fun).map(|def| def.run) {
            Some(ExecFn::Data(run)) => call_data(session, call).and_then(|data| {
                let answer = run(call, &data);
                crate::sdb::settled(answer, call, session, &data).map_err(|e| function(&e))
            }),
            // Most questions to a machine need neither grains nor pillar: `test.ping` costs one round trip.
            Some(_) => configure(session, call).and_then(|()| match session.minion.answer(&typed(call)) {
                Ok(Ok(answered)) => {
                    session.retcode.store(answered.retcode, Ordering::Relaxed);
                    Ok(answered.value)
                }
                Ok(Err(error)) => Err(function(&error)),
                Err(error) => Err(lost(&error)),
            }),
            None if session.corpus.has_module(&call.fun) => call_data(session, call).and_then(|data| {
                let answered = session.call_module(call, &data);
                answered.map_err(|error| function(&error)).map(|answered| {
                    session.retcode.store(answered.retcode, Ordering::Relaxed);
                    answered.value
                })
            }),
            None => Err(function(&not_found(&session.corpus, &call.fun))),
        }
    };
    value.map_or_else(Outcome::Failed, Outcome::Value)
}

/// Salt: a command typed by a person is read by a shell; one in a template is not, unless it says so.
fn typed(call: &Call) -> Call {
    let mut call = call.clone();
    if call.fun.starts_with("cmd.") && !call.kwargs.contains("python_shell") {
        call.kwargs.insert("python_shell", true);
    }
    call
}

/// Gives the minion its data for a module that is configured (`docker.url`, `lxc.root_path`).
fn configure(session: &Arc<Session>, call: &Call) -> Result<(), Failure> {
    let module = call.fun.split('.').next().unwrap_or_default();
    let of =
        |key: &Value| key.as_str().and_then(|key| key.strip_prefix(module)).is_some_and(|rest| rest.starts_with('.'));
    if !session.opts().keys().any(of) {
        return Ok(());
    }
    session.tell(&call_data(session, call)?).map_err(|error| lost(&error))
}

fn function(error: &ExecError) -> Failure {
    Failure::new(Kind::Function, error.to_string())
}

/// Works out a minion's data for a call, with its `pillar=`, `saltenv=` and `pillarenv=`.
fn call_data(session: &Arc<Session>, call: &Call) -> Result<Arc<Data>, Failure> {
    let over = state::pillar_argument(call, session)?;
    let saltenv = saltenv(session, call);
    match session.data(&saltenv, pillarenv(session, call).as_deref(), &over) {
        Ok(data) => Ok(Arc::new(data)),
        Err(PillarFailure::Failed(failure)) => Err(failure),
        // Salt: functions go on with what there is; only what compiles states stops, unless it is set otherwise.
        Err(PillarFailure::Errors(_, errors))
            if call.fun.starts_with("state.show_")
                || session.corpus.config.text("corpus_pillar_errors") == Some("stop") =>
        {
            Err(state::pillar_failed(&errors))
        }
        Err(PillarFailure::Errors(data, errors)) => {
            crate::fileserver::lock(&session.warnings).extend(errors);
            Ok(Arc::new(*data))
        }
    }
}

fn saltenv(session: &Session, call: &Call) -> String {
    let configured = session.corpus.config.text("saltenv").map(str::to_owned);
    call.kwargs.str("saltenv").map(str::to_owned).or(configured).unwrap_or_else(|| "base".into())
}

fn pillarenv(session: &Session, call: &Call) -> Option<String> {
    call.kwargs.str("pillarenv").or_else(|| session.corpus.config.text("pillarenv")).map(str::to_owned)
}
