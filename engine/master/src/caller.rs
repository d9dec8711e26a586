//! What templates see as `salt`: functions of data answered here, those of the machine asked of the minion,
//! those of the master done by it.

use crate::Session;
use crate::timings::Part;
use corpus_core::{Call, Caller, Data, ExecError, ExecFn, Shared, Value, suggest};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Answers a template's calls for one minion.
#[derive(Clone)]
pub struct TemplateCaller {
    session: Arc<Session>,
    data: Arc<Data>,
    machine: Arc<AtomicU64>,
}

impl TemplateCaller {
    /// Makes a caller with the data that its functions see.
    pub fn new(session: Arc<Session>, data: Arc<Data>) -> Self {
        Self { session, data, machine: Arc::default() }
    }

    /// Counts the calls that asked the machine: what was rendered without any depends on data alone.
    pub fn machine_calls(&self) -> u64 {
        self.machine.load(Ordering::Relaxed)
    }
}

impl Caller for TemplateCaller {
    fn call(&self, call: &Call) -> Result<Value, ExecError> {
        self.session.timings.of(Part::Function, &call.fun, || self.answer(call))
    }

    fn has(&self, fun: &str) -> bool {
        let corpus = &self.session.corpus;
        corpus.registry.function(fun).is_some()
            || corpus.master_function(fun).is_some()
            || self.session.has_function(fun)
    }

    fn names(&self) -> Vec<String> {
        let mut names = self.session.corpus.function_names();
        // A minion that cannot be asked is told of by the call.
        names.extend(self.session.module_functions().into_iter().flatten().map(|(name, ..)| name));
        names.sort();
        names
    }

    fn explain(&self, fun: &str) -> Option<String> {
        self.session.corpus.explain(fun)
    }

    fn shared(&self) -> Option<&Shared> {
        self.session.shared.as_deref()
    }
}

impl TemplateCaller {
    fn answer(&self, call: &Call) -> Result<Value, ExecError> {
        if let Some(def) = self.session.corpus.master_function(&call.fun) {
            self.machine.fetch_add(1, Ordering::Relaxed);
            return (def.run)(call, &self.session, &self.data);
        }
        let found = self.session.corpus.registry.function(&call.fun);
        match found.map(|def| def.run) {
            Some(ExecFn::Data(run)) => {
                found.map_or(Ok(()), |def| call.only_known(def.args))?;
                let answer = run(call, &self.data);
                crate::sdb::settled(answer, call, &self.session, &self.data)
            }
            Some(_) => {
                self.machine.fetch_add(1, Ordering::Relaxed);
                let answer = self.session.minion.call(call);
                answer.map_err(|error| ExecError::Failed(error.to_string()))?
            }
            None if self.session.corpus.has_module(&call.fun) => {
                self.machine.fetch_add(1, Ordering::Relaxed);
                self.session.call_module(call, &self.data).map(|answered| answered.value)
            }
            None => Err(not_found(&self.session.corpus, &call.fun)),
        }
    }
}

/// Makes Salt's "not available", with the nearest name.
pub fn not_found(corpus: &crate::Corpus, fun: &str) -> ExecError {
    if let Some(why) = corpus.explain(fun) {
        return ExecError::Failed(format!("'{fun}' is not available: {why}"));
    }
    let names = corpus.function_names();
    match suggest::did_you_mean(fun, names.iter().map(String::as_str)) {
        Some(hint) => ExecError::Failed(format!("'{fun}' is not available. ({hint})")),
        None => ExecError::NotFound(fun.to_owned()),
    }
}
