//! The way of a push: from `git push` over SSH to a deployment, and back to the pusher's terminal.
//!
//! ```text
//! pusher ── ssh ── git-shell ── git receive-pack ── pre-receive    looks at every tree, in git's quarantine
//!                  (project's user, no shell)    └─ proc-receive ── socket ── projects.serve (root) ── Deployer
//! ```
//!
//! What comes from outside ends at the project's user: [`shell`] starts nothing but git on the two repositories of that
//! project, with [`settings`] that win over what the repository says. The privileged side, [`serve`], knows its peer by
//! the kernel's word and takes two asks: deploy this revision of this project, and show me the deployment. It reads
//! the repository by a child that runs as the project's user ([`worker`]).
//!
//! The deployed branch moves when, and only when, the deployment succeeded, and it is the privileged side that moves it
//! (git's `proc-receive` leaves that to a hook): so a pusher who is gone changes nothing about the outcome.

mod attach;
mod conf;
mod frame;
mod hook;
mod keys;
mod live;
mod options;
mod pkt;
mod program;
mod queue;
mod serve;
mod settings;
pub mod setup;
mod shell;
pub(crate) mod text;
pub mod worker;

pub use attach::{attach, cancel};
pub use conf::{Conf, Kind, Place, name};
pub use frame::{Ask, FRAME, Order, Tell, VERSION, What, read, write};
pub use hook::{is_hook, pre_receive, proc_receive};
pub use keys::{Kept, Pusher};
pub use live::Live;
pub use options::Options;
pub use program::Program;
pub use serve::serve;
pub use shell::{Request, parse, run as git_shell};

use crate::Cancelled;

/// What deploys. One call at a time for each project.
pub trait Deployer: Send + Sync + 'static {
    /// Deploys a revision that is in the bare repository, telling about it as it goes.
    fn deploy(&self, order: &Order, out: &mut dyn Out) -> Verdict;

    /// Clears up after a deployment that was cut off, and returns the revision that the project serves, where that can
    /// be told. Asked when the service starts.
    fn serving(&self, _project: &str) -> Option<String> {
        None
    }
}

/// Where a deployment tells how it goes. Nothing here blocks, however slow those are who listen.
pub trait Out: Send {
    /// A step begins.
    fn step(&mut self, name: &str);
    /// A line of the current step.
    fn line(&mut self, text: &str);
    /// What is being worked on, told when it takes long.
    fn at(&mut self, what: &str);
    /// By which the deployment is cancelled.
    fn cancelled(&self) -> Cancelled {
        Cancelled::default()
    }
}

/// How a deployment ended.
#[derive(Clone, Debug)]
pub struct Verdict {
    pub ok: bool,
    /// One line: what was done, or which step failed, where, and what serves now.
    pub summary: String,
    /// The revision that serves now, where that can be told. The branch does not move to another.
    pub serving: Option<String>,
}

impl Verdict {
    /// Makes a failure.
    pub fn failed(summary: impl Into<String>) -> Self {
        Self { ok: false, summary: summary.into(), serving: None }
    }
}

/// Returns this program's place, also after another version was put there.
pub fn exe() -> Result<std::path::PathBuf, String> {
    let path = std::env::current_exe().map_err(|error| format!("this program does not know where it is: {error}"))?;
    // The kernel's way of saying that the file is no longer the one that runs.
    let text = path.to_string_lossy();
    Ok(text.strip_suffix(" (deleted)").map_or_else(|| path.clone(), Into::into))
}
