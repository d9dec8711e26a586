//! Execution functions by name, on this machine.

use corpus_core::{Act, Call, Caller, Data, ExecError, ExecFn, Registry, Value};
use corpus_wire::Upstream;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Answers calls from a registry, with a machine and its data.
pub struct LocalCaller<'a> {
    pub registry: &'a Registry,
    pub host: &'a dyn Act,
    pub data: &'a Data,
    /// The master of a run, for what it alone can answer.
    pub master: Option<&'a dyn Upstream>,
}

impl Caller for LocalCaller<'_> {
    fn call(&self, call: &Call) -> Result<Value, ExecError> {
        let Some(def) = self.registry.function(&call.fun) else {
            return match self.master {
                Some(master) => master.call(call),
                None => Err(ExecError::NotFound(call.fun.clone())),
            };
        };
        let answer = catch_unwind(AssertUnwindSafe(|| match def.run {
            ExecFn::Data(run) => run(call, self.data),
            ExecFn::Read(run) => run(call, self.host.as_look(), self.data),
            ExecFn::Write(run) => run(call, self.host, self.data),
        }));
        answer
            .unwrap_or_else(|_| Err(ExecError::Failed(format!("{} failed inside; this is a bug of corpus", call.fun))))
    }

    fn has(&self, fun: &str) -> bool {
        self.registry.function(fun).is_some() || self.master.is_some_and(|master| master.knows(fun))
    }

    fn names(&self) -> Vec<String> {
        self.registry.all_exec().map(|def| def.name.to_owned()).collect()
    }
}
