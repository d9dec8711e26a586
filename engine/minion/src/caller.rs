//! Execution functions by name, on this machine.

use crate::modules::Modules;
use corpus_core::{Act, Call, Caller, Data, ExecError, ExecFn, Registry, Value};
use corpus_wire::Upstream;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Answers calls from a registry and from executable modules, with a machine and its data.
pub struct LocalCaller<'a> {
    pub registry: &'a Registry,
    pub modules: &'a Modules,
    pub host: &'a dyn Act,
    pub data: &'a Data,
    /// The master of a run, for what it alone can answer.
    pub master: Option<&'a dyn Upstream>,
    /// A dry run: executable modules are told, since nothing here knows what they do.
    pub test: bool,
}

impl LocalCaller<'_> {
    /// Calls a function, and returns what an executable module wrote to its standard error beside the value.
    pub fn call_told(&self, call: &Call) -> Result<(Value, String), ExecError> {
        let Some(def) = self.registry.function(&call.fun) else {
            let answer = self.modules.call(call, self.host, self.data, self.test);
            return answer.unwrap_or_else(|| match self.master {
                Some(master) => master.call(call).map(|value| (value, String::new())),
                None => Err(ExecError::NotFound(call.fun.clone())),
            });
        };
        let answer = catch_unwind(AssertUnwindSafe(|| match def.run {
            ExecFn::Data(run) => run(call, self.data),
            ExecFn::Read(run) => run(call, self.host.as_look(), self.data),
            ExecFn::Write(run) => run(call, self.host, self.data),
        }));
        let failed = |_| Err(ExecError::Failed(format!("{} failed inside; this is a bug of corpus", call.fun)));
        answer.unwrap_or_else(failed).map(|value| (value, String::new()))
    }
}

impl Caller for LocalCaller<'_> {
    fn call(&self, call: &Call) -> Result<Value, ExecError> {
        let (value, log) = self.call_told(call)?;
        if !log.is_empty() {
            tracing::info!("{}: {log}", call.fun);
        }
        Ok(value)
    }

    fn has(&self, fun: &str) -> bool {
        self.registry.function(fun).is_some()
            || self.modules.has(fun)
            || self.master.is_some_and(|master| master.knows(fun))
    }

    fn may_write(&self, fun: &str) -> bool {
        self.modules.may_write(fun)
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.registry.all_exec().map(|def| def.name.to_owned()).collect();
        names.extend(self.modules.names());
        names.sort();
        names.dedup();
        names
    }
}
