//! Where a thing was written.

use serde::{Deserialize, Serialize};
use std::{fmt, sync::Arc};

/// A place in one text: line and column, both from 1. Line 0 means "unknown".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Pos {
    pub line: u32,
    pub col: u32,
}

impl Pos {
    /// Makes a position.
    pub const fn new(line: u32, col: u32) -> Self {
        Self { line, col }
    }
}

/// A place in a named file, as shown to people: `web/nginx.sls:14:11`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Span {
    pub file: Arc<str>,
    pub line: u32,
    pub col: u32,
}

impl Span {
    /// Makes a span.
    pub fn new(file: impl Into<Arc<str>>, pos: Pos) -> Self {
        Self { file: file.into(), line: pos.line, col: pos.col }
    }

    /// Returns the position without the file.
    pub fn pos(&self) -> Pos {
        Pos::new(self.line, self.col)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.line, self.col) {
            (0, _) => write!(f, "{}", self.file),
            (line, 0) => write!(f, "{}:{line}", self.file),
            (line, col) => write!(f, "{}:{line}:{col}", self.file),
        }
    }
}
