//! Execution functions: what can be called by name from templates, states and the command line.

use crate::host::{Act, Look};
use crate::value::{Map, Value};
use std::sync::{Arc, Mutex, PoisonError};

/// The data that belongs to one minion, as its master knows it.
#[derive(Clone, Debug, Default)]
pub struct Data {
    pub id: Arc<str>,
    pub saltenv: Arc<str>,
    pub grains: Value,
    pub pillar: Value,
    /// The minion's configuration, `opts`.
    pub opts: Value,
    /// The secrets among all this, which its minion has to hide as well.
    pub secrets: Vec<Arc<str>>,
}

/// The arguments of one call.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Call {
    pub fun: String,
    pub args: Vec<Value>,
    pub kwargs: Map,
}

/// How an execution function runs, which also says where a template's call of it is answered.
#[derive(Clone, Copy)]
pub enum ExecFn {
    /// Needs only pillar, grains and configuration: answered wherever the template renders.
    Data(fn(&Call, &Data) -> Result<Value, ExecError>),
    /// Looks at the machine and changes nothing.
    Read(fn(&Call, &dyn Look, &Data) -> Result<Value, ExecError>),
    /// Changes the machine.
    Write(fn(&Call, &dyn Act, &Data) -> Result<Value, ExecError>),
}

/// An execution function of the registry.
#[derive(Clone, Copy)]
pub struct ExecDef {
    /// `module.function`.
    pub name: &'static str,
    /// The signature without the name, `(path, user=None)`.
    pub args: &'static str,
    pub doc: &'static str,
    pub run: ExecFn,
}

/// Why an execution function gave no answer.
#[derive(Debug, Clone, thiserror::Error, serde::Serialize, serde::Deserialize)]
pub enum ExecError {
    #[error("'{0}' is not available.")]
    NotFound(String),
    #[error("{fun}: {message}")]
    Argument { fun: String, message: String },
    #[error("{0}")]
    Failed(String),
}

impl ExecError {
    /// Makes an error of the function's own words.
    pub fn failed(message: impl std::fmt::Display) -> Self {
        Self::Failed(message.to_string())
    }
}

impl From<crate::host::HostError> for ExecError {
    fn from(error: crate::host::HostError) -> Self {
        Self::Failed(error.to_string())
    }
}

/// Answers calls by name, wherever the function lives: what templates see as `salt`.
pub trait Caller: Send + Sync {
    /// Calls a function.
    fn call(&self, call: &Call) -> Result<Value, ExecError>;
    /// Tells whether the function exists (`'m.f' in salt`).
    fn has(&self, fun: &str) -> bool;
    /// Returns all function names, sorted.
    fn names(&self) -> Vec<String>;
    /// Tells whether a function that the registry does not have may change the machine.
    fn may_write(&self, _fun: &str) -> bool {
        false
    }
    /// Says why a function is not there and what to do, where more is known than that.
    fn explain(&self, _fun: &str) -> Option<String> {
        None
    }
    /// Returns the mapping that the templates of this run share, if they share one.
    fn shared(&self) -> Option<&Shared> {
        None
    }
}

/// A mapping that one template changes and the next one sees: a project's configuration during its deployment. It is
/// one object under two names: a variable, and a key of `opts`.
#[derive(Debug)]
pub struct Shared {
    pub variable: &'static str,
    pub opt: &'static str,
    value: Mutex<Value>,
}

impl Shared {
    /// Shares a value under a variable's name and a key of `opts`.
    pub fn new(variable: &'static str, opt: &'static str, value: Value) -> Self {
        Self { variable, opt, value: Mutex::new(value) }
    }

    /// Returns the value of now.
    pub fn get(&self) -> Value {
        self.value.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts a value.
    pub fn set(&self, value: Value) {
        *self.value.lock().unwrap_or_else(PoisonError::into_inner) = value;
    }
}

impl Call {
    /// Makes a call with positional arguments only.
    pub fn new(fun: impl Into<String>, args: Vec<Value>) -> Self {
        Self { fun: fun.into(), args, kwargs: Map::new() }
    }

    /// Returns an argument by place or by name.
    pub fn arg(&self, place: usize, name: &str) -> Option<&Value> {
        self.args.get(place).or_else(|| self.kwargs.get(name))
    }

    /// Returns a text argument; numbers are written out.
    pub fn text(&self, place: usize, name: &str) -> Option<String> {
        self.arg(place, name).filter(|v| !v.is_null()).map(crate::python::str)
    }

    /// Returns a text argument that must be given.
    pub fn need(&self, place: usize, name: &str) -> Result<String, ExecError> {
        self.text(place, name).ok_or_else(|| self.missing(name))
    }

    /// Returns a flag.
    pub fn flag(&self, place: usize, name: &str, default: bool) -> bool {
        self.arg(place, name).filter(|v| !v.is_null()).map_or(default, Value::truthy)
    }

    /// Refuses named arguments that a signature, `(tgt, fun, tgt_type='glob')`, does not have, as Python does.
    pub fn only_known(&self, signature: &str) -> Result<(), ExecError> {
        if self.kwargs.is_empty() || signature.contains("**") {
            return Ok(());
        }
        let words = signature.trim_matches(['(', ')']).split(", ");
        let known: Vec<&str> = words.filter_map(|word| word.split('=').next()).collect();
        let names = self.kwargs.iter().filter_map(|(name, _)| name.as_str());
        match names.into_iter().find(|name| !known.contains(name) && !name.starts_with("__")) {
            None => Ok(()),
            Some(name) => {
                let fun = self.fun.rsplit('.').next().unwrap_or(&self.fun);
                let hint = crate::suggest::did_you_mean(name, known.iter().copied());
                let hint = hint.unwrap_or_else(|| format!("its arguments are {signature}"));
                Err(ExecError::Failed(format!("{fun}() got an unexpected keyword argument '{name}' ({hint})")))
            }
        }
    }

    /// Makes the error for an argument that is missing.
    pub fn missing(&self, name: &str) -> ExecError {
        ExecError::Argument { fun: self.fun.clone(), message: format!("missing the required argument `{name}`") }
    }

    /// Makes the error for an argument that cannot be used.
    pub fn invalid(&self, name: &str, why: impl std::fmt::Display) -> ExecError {
        ExecError::Argument { fun: self.fun.clone(), message: format!("argument `{name}`: {why}") }
    }
}
