//! The walker: steps through the low state of one machine. For each chunk it looks at the requisites and
//! the guards, asks the state function for a plan, and — unless this is a dry run — performs that very
//! plan, lets the state judge what it saw, and plans again to see that the machine has converged.
//!
//! It knows state and execution functions by name only, from the registry handed to it, and touches the
//! machine only through [`corpus_core::Act`]. Locks, journals and the wire are other people's business.

mod aggregate;
mod call;
mod clock;
mod converge;
mod event;
mod guard;
mod listen;
mod requisite;
mod retry;
mod slots;
mod umask;
mod verify;
mod walker;

pub use requisite::{Status, Target, Verdict, decide};
pub use walker::Runner;
