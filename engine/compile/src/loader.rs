//! What the compiler asks of whoever renders SLS files.

use corpus_core::{Diagnostic, Node, Span};
use std::sync::Arc;

/// A rendered SLS file.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The file's name for messages, `web/init.sls`; the end also tells whether a relative include starts inside.
    pub file: Arc<str>,
    pub node: Node,
}

/// Why an SLS file is not to be had.
#[derive(Clone, Debug)]
pub enum LoadError {
    NotFound,
    Failed(Diagnostic),
}

/// Finds, renders and reads SLS files.
pub trait SlsLoader: Sync {
    /// Renders an SLS file by its dotted name.
    fn load(&self, sls: &str, saltenv: &str) -> Result<Loaded, LoadError>;
    /// Returns all SLS names of an environment, for globs and suggestions.
    fn list(&self, saltenv: &str) -> Vec<String>;
    /// Returns the names of the environments.
    fn envs(&self) -> Vec<String>;
    /// Returns the directories of an environment, for messages.
    fn roots(&self, _saltenv: &str) -> Vec<String> {
        vec![]
    }
    /// Turns a position in rendered text into one in the template; asked only for messages.
    fn relocate(&self, span: &Span) -> Span {
        span.clone()
    }
    /// Returns the places in templates that wrote a position of rendered text: the innermost first, then where that
    /// macro or include was called from; asked only for messages.
    fn chain(&self, span: &Span) -> Vec<Span> {
        vec![self.relocate(span)]
    }
    /// Returns a line of a template, for excerpts.
    fn line(&self, _file: &str, _line: u32) -> Option<Arc<str>> {
        None
    }
    /// Returns a line of rendered text.
    fn rendered_line(&self, _file: &str, _line: u32) -> Option<Arc<str>> {
        None
    }
}

/// A loader without files, for data that comes from elsewhere (`state.high`, `state.single`).
pub struct NoFiles;

impl SlsLoader for NoFiles {
    fn load(&self, _: &str, _: &str) -> Result<Loaded, LoadError> {
        Err(LoadError::NotFound)
    }
    fn list(&self, _: &str) -> Vec<String> {
        vec![]
    }
    fn envs(&self) -> Vec<String> {
        vec![]
    }
}
