//! Machines reached over SSH: the roster, `~/.ssh/config`, host keys, logins, and the bootstrap that puts the
//! minion there once and starts it. The only owner of russh and tokio: callers get blocking byte pipes.

pub mod bootstrap;
mod condition;
pub mod config;
mod connect;
pub mod error;
mod flow;
pub mod known_hosts;
mod proxy;
pub mod roster;
mod route;
pub mod session;

pub use bootstrap::MinionBinary;
pub use error::SshError;
pub use roster::{Host, Roster};
pub use session::{Pipe, PipeReader, PipeWriter, Session, Ssh, SshOptions};
