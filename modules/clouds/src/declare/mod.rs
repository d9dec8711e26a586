//! What users write: providers, profiles and map files as salt-cloud has them, and the original's tree of guests. Each key
//! keeps its place; every mistake is told, and none of it is used while there is one.

mod build;
mod cloud;
mod images;
mod original;
mod source;
mod tree;

pub use build::cpu;
pub use cloud::{Clouds, read};
pub use source::{Layers, Source};

use crate::spec::{ById, GuestSpec, Node};
use corpus_core::Diagnostic;

/// Keys that a guest of any driver may have.
pub const COMMON: &[&str] = &[
    "provider",
    "driver",
    "node",
    "target",
    "profile",
    "image",
    "clone_from",
    "memory",
    "cpu",
    "cpus",
    "disk",
    "size",
    "autostart",
    "ports",
    "domains",
    "base_sls",
    "root_password",
    "status",
    "minion",
    "grains",
    "pillar",
    "default_env",
];

/// Salt's keys that have nothing to act on here: no Salt is installed on what is made.
pub const IDLE: &[&str] = &[
    "deploy",
    "script",
    "script_args",
    "display_ssh_output",
    "ssh_interface",
    "sync_after_install",
    "start_action",
    "make_master",
    "delete_sshkeys",
    "bootsalt_branch",
    "master",
    "master_port",
    "requires",
    "keep_tmp",
    "rename_on_destroy",
    "ssh_connect_timeout",
    "wait_for_ip_interval",
    "wait_for_ip_interval_multiplier",
    "wait_for_ip_timeout",
];

/// Everything that is declared, settled.
#[derive(Clone, Debug, Default)]
pub struct Declared {
    pub guests: ById<GuestSpec>,
    pub nodes: ById<Node>,
}

/// A reader's answer: what it is, or all that is wrong with it.
pub type Read<T> = Result<T, Vec<Diagnostic>>;
