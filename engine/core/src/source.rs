//! Where a minion gets files from: its master, reached by a call or over a wire.

use crate::value::Map;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// A file that a state asks for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FileRequest {
    pub origin: FileOrigin,
    pub saltenv: String,
    pub template: Option<TemplateRequest>,
}

/// Where the bytes come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum FileOrigin {
    /// The first of these that exists: `salt://…`, `http(s)://…`, `ftp://…`.
    Urls(Vec<String>),
    /// Text that the state holds itself, to be rendered.
    Text(String),
}

/// How to render it, on the master.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TemplateRequest {
    /// The engine, `jinja`.
    pub engine: String,
    /// Variables of the template: `defaults`, overridden by `context`, and the state's `name`, `user`, `mode`…
    pub context: Map,
}

/// A file whose content is known by its digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRef {
    /// The one of several URLs that was found; empty for rendered text.
    pub url: String,
    pub sha256: [u8; 32],
    pub size: u64,
    /// Permission bits in the file tree, for `mode: keep`.
    pub mode: u32,
}

/// An entry below a directory of the file server, for `file.recurse`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TreeEntry {
    /// Path relative to the directory asked for.
    pub path: String,
    pub kind: TreeKind,
    pub mode: u32,
}

/// What a [`TreeEntry`] is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TreeKind {
    File,
    /// A directory without files, listed so that it can be made.
    EmptyDir,
    Symlink(String),
}

/// Why a file is not to be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum SourceError {
    #[error("Source file {0} not found in saltenv '{1}'")]
    NotFound(String, String),
    #[error("{0}")]
    Render(String),
    #[error("{0}")]
    Failed(String),
}

/// A minion's view of its master.
pub trait Source: Send + Sync {
    /// Finds (and renders) a file; returns its digest, not its content.
    fn resolve(&self, request: &FileRequest) -> Result<FileRef, SourceError>;
    /// Brings the content onto this machine, unless it is there; returns a path to read it from.
    fn fetch(&self, file: &FileRef) -> Result<PathBuf, SourceError>;
    /// Brings what is not there of these contents, all in one go. Only a hint: what cannot be brought is told by the
    /// `fetch` that asks for it.
    fn fetch_all(&self, _files: &[FileRef]) {}
    /// Tells whether a content that was fetched may be moved away: it is large, came in this run, and can come again.
    fn spare(&self, _file: &FileRef) -> bool {
        false
    }
    /// Lists what is below a `salt://` directory.
    fn tree(&self, url: &str, saltenv: &str) -> Result<Vec<TreeEntry>, SourceError>;
    /// Sends an event to the master's bus.
    fn fire(&self, tag: &str, data: &crate::value::Value) -> Result<(), SourceError>;
    /// Tells whether whoever started the run wants it to stop; it does so after the state at hand.
    fn cancelled(&self) -> bool {
        false
    }
}
