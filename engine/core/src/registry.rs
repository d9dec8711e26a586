//! The tables of state and execution functions, composed in the binaries, bottom up.

use crate::exec::ExecDef;
use crate::state::StateDef;
use std::collections::BTreeMap;

/// All functions that a process knows, by name.
#[derive(Clone, Default)]
pub struct Registry {
    states: BTreeMap<&'static str, StateDef>,
    exec: BTreeMap<&'static str, ExecDef>,
}

impl Registry {
    /// Makes an empty registry.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds state functions.
    pub fn states(mut self, defs: &[StateDef]) -> Self {
        self.states.extend(defs.iter().map(|def| (def.name, *def)));
        self
    }

    /// Adds execution functions.
    pub fn exec(mut self, defs: &[ExecDef]) -> Self {
        self.exec.extend(defs.iter().map(|def| (def.name, *def)));
        self
    }

    /// Finds a state function.
    pub fn state(&self, name: &str) -> Option<&StateDef> {
        self.states.get(name)
    }

    /// Finds an execution function.
    pub fn function(&self, name: &str) -> Option<&ExecDef> {
        self.exec.get(name)
    }

    /// Walks the state functions, sorted by name.
    pub fn all_states(&self) -> impl Iterator<Item = &StateDef> {
        self.states.values()
    }

    /// Walks the execution functions, sorted by name.
    pub fn all_exec(&self) -> impl Iterator<Item = &ExecDef> {
        self.exec.values()
    }
}
