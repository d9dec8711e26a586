//! The agent: everything that a machine does for its master, in process as [`Local`], or behind a pipe as the
//! program `corpus-minion`.

mod caller;
mod disk;
mod foresee;
mod journal;
mod local;
mod lock;
mod modules;

pub use caller::LocalCaller;
pub use corpus_wire::build;
pub use disk::private_dir;
pub use foresee::foresee;
pub use local::{Local, LocalOptions};
pub use modules::Modules;

use corpus_core::Registry;

/// Returns all states and execution functions that this build has.
pub fn registry() -> Registry {
    Registry::new().states(corpus_states::STATES).exec(&corpus_exec::all())
}
