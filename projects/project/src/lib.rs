//! Projects: what is deployed, and how a push gets there.

mod acl;
pub mod api;
pub mod archive;
mod backup;
pub mod bundles;
pub mod chrono;
pub mod config;
mod copy;
mod cx;
pub mod deploy;
mod disk;
mod error;
pub mod fs;
pub mod functions;
pub mod init;
mod journal;
mod layout;
pub mod lock;
mod modules;
mod name;
mod notify;
mod owned;
mod packages;
mod parts;
mod permissions;
mod placeholders;
mod procedures;
mod progress;
pub mod push;
mod remote;
pub mod repo;
pub mod report;
pub mod reset;
pub mod rollback;
mod run;
mod sample;
mod saved;
mod settings;
pub mod steps;
mod stop;
mod switch;
mod sync;
mod task;
mod undo;
mod users;
mod utils;
pub mod wiring;

pub use config::configuration;
pub use cx::{Cx, Facts};
pub use deploy::{DeployRequest, deploy};
pub use error::{ProjectError, R};
pub use init::{InitReport, init_project};
pub use layout::Layout;
pub use lock::LockOwner;
pub use name::{NameError, ProjectName};
pub use progress::{Note, Progress, Silent};
pub use report::DeployReport;
pub use stop::Cancelled;
pub use task::{run_sls, run_task};

use corpus_core::ExecDef;
use corpus_master::{Config, Extras, MasterDef};

/// What the master answers for projects.
pub const FUNCTIONS: &[&[MasterDef]] =
    &[functions::FNS, procedures::FNS, parts::FNS, permissions::FNS, utils::FNS, backup::FNS, remote::FNS];

/// What states may call on this machine.
pub const EXEC: &[ExecDef] = permissions::EXEC;

/// Returns what projects add to a master.
pub fn extras(config: &Config) -> Extras {
    let roots = match bundles::root(&config.cache_dir) {
        Ok(root) => vec![root],
        Err(error) => {
            tracing::debug!("the bundles are not laid out: {error}");
            vec![]
        }
    };
    Extras { functions: FUNCTIONS.to_vec(), exec: EXEC.to_vec(), roots, ..Extras::default() }
}
