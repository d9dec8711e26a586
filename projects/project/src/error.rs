//! What goes wrong outside of states.

use corpus_core::Diagnostic;
use std::path::Path;

/// A failure with the next thing to do.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct ProjectError {
    pub message: String,
    pub hint: Option<String>,
}

/// The result of what may fail so.
pub type R<T> = Result<T, ProjectError>;

impl ProjectError {
    /// Makes an error.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None }
    }

    /// Adds the next thing to do.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Makes an error of what the system said.
    pub fn io(what: &str, path: &Path, error: impl Into<std::io::Error>) -> Self {
        Self::new(format!("{what} {}: {}", path.display(), error.into()))
    }

    /// Makes an error of diagnostics.
    pub fn diagnostics(errors: &[Diagnostic]) -> Self {
        let text: String = errors.iter().map(|error| error.to_text(None)).collect();
        Self::new(text.trim_end().trim_start_matches("error: "))
    }

    /// Returns the message with its hint.
    pub fn text(&self) -> String {
        match &self.hint {
            Some(hint) => format!("{}\nhint: {hint}", self.message),
            None => self.message.clone(),
        }
    }
}

impl From<crate::name::NameError> for ProjectError {
    fn from(error: crate::name::NameError) -> Self {
        Self::new(error.to_string())
    }
}
