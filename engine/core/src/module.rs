//! Executable modules: programs of the state tree's `_modules` that answer calls in JSON.

use crate::source::FileRef;
use serde::{Deserialize, Serialize};

/// The folder of the file roots that they lie in.
pub const FOLDER: &str = "_modules";

/// A program of the tree, as the master announces it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModuleFile {
    /// The module's name, which is the file's.
    pub name: String,
    /// Where it lies in the tree, `_modules/roles`, for messages.
    pub path: String,
    pub file: FileRef,
}

/// What a module says of one of its functions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModuleFunction {
    /// The signature without the name, `(path, user=None)`.
    #[serde(default)]
    pub args: String,
    #[serde(default)]
    pub doc: String,
    /// It changes nothing on the machine, whatever its arguments.
    #[serde(default)]
    pub reads: bool,
    /// It wants the minion's pillar.
    #[serde(default)]
    pub pillar: bool,
    /// Seconds after which a call is ended.
    #[serde(default)]
    pub timeout: Option<u64>,
}

/// A module on a machine: its functions by name, sorted, or why it does not say which it has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModuleInfo {
    pub file: ModuleFile,
    pub functions: Result<Vec<(String, ModuleFunction)>, String>,
}

impl ModuleInfo {
    /// Finds a function of the module.
    pub fn function(&self, name: &str) -> Option<&ModuleFunction> {
        self.functions.as_ref().ok()?.iter().find(|(known, _)| known == name).map(|(_, function)| function)
    }

    /// Tells whether a call of the function leads anywhere, be it to the reason why the module is of no use.
    pub fn has(&self, name: &str) -> bool {
        self.functions.is_err() || self.function(name).is_some()
    }
}
