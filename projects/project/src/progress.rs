//! What a deployment says while it goes on.

use corpus_core::ChunkReport;

/// Somebody who listens to a deployment.
pub trait Progress: Send {
    /// Takes note.
    fn note(&mut self, note: Note<'_>);
}

/// Something that happens.
#[derive(Debug)]
pub enum Note<'a> {
    /// A step begins.
    Step(&'a str),
    /// A line of the current step.
    Line(&'a str),
    /// A state begins.
    State { sls: &'a str, id: &'a str, fun: &'a str },
    /// A state is decided.
    Decided(&'a ChunkReport),
}

/// Nobody listens.
pub struct Silent;

impl Progress for Silent {
    fn note(&mut self, _: Note<'_>) {}
}
