//! How a master reaches a minion: the traits [`Minion`] and [`Upstream`], and the frames that carry them
//! through any pair of byte streams.
//!
//! # The protocol
//!
//! The minion speaks first: a magic line (what comes before it is a login shell's chatter), then its hello
//! with the protocol's version and its build; the master hangs up on another build, so the frames need no
//! compatibility. A frame is a little-endian `u32` length, a kind, and a body: a postcard message, one packed
//! with lz4, or a piece of a file.
//!
//! The master sends requests, each with a number, and the minion answers in any order. During a run the minion
//! asks in turn (find a file, send contents, list a directory, fire an event), and while the master works on
//! such an ask it may send further requests: a template that is rendered for a running state can call a function
//! on that state's machine. Contents travel in pieces of 128 KiB and are known by their SHA-256; the minion
//! keeps them and asks only for what it lacks. Those that are asked for together follow each other without a seam,
//! many small ones in one piece.
//!
//! While a request is in progress the minion gives a sign of life every few seconds. Silence beyond the
//! master's patience, or a broken stream, ends every waiting call with a [`WireError`] that tells how far the
//! run had come. The minion finishes its run all the same and keeps the report until a master says it has it.

mod cache;
mod error;
mod frame;
mod message;
mod minion;
mod remote;
mod serve;

pub use cache::{Cache, sha256 as file_sha256};
pub use error::{At, Progress, WireError};
pub use minion::{Answered, Busy, Hello, Interrupted, Minion, RunRequest, Upstream};
pub use remote::{Remote, RemoteOptions};
pub use serve::{ServeOptions, serve};

/// The version of the frames; raised with every change of their form.
pub const PROTOCOL: u32 = 2;

/// Packs a value as the frames do, for what a minion keeps until somebody asks for it.
pub fn pack(value: &impl serde::Serialize) -> std::io::Result<Vec<u8>> {
    postcard::to_stdvec(value).map_err(std::io::Error::other)
}

/// Reads what [`pack`] wrote; only the same build can.
pub fn unpack<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> std::io::Result<T> {
    postcard::from_bytes(bytes).map_err(std::io::Error::other)
}

/// Returns the name of this build. Both ends of a connection are made from one source, so they share it.
pub fn build() -> String {
    env!("CORPUS_BUILD").to_owned()
}
