//! What can be done to a machine: the real [`corpus_core::Look`] and [`corpus_core::Act`], grains, the
//! providers of packages and services, and the execution functions that templates and people call.

pub mod ask;
pub mod cron;
pub mod docker;
pub mod file;
pub mod grains;
pub mod hosts;
pub mod ini;
pub mod interfaces;
pub mod iptables;
pub mod lxc;
pub mod mysql;
pub mod nftables;
pub mod pkg;
pub mod postgres;
pub mod real;
pub mod redis;
pub mod retcode;
pub mod service;
pub mod shadow;
pub mod x509;

/// The execution modules, one file each.
pub mod fns {
    include!(concat!(env!("OUT_DIR"), "/fns.rs"));
}

/// Returns all execution functions.
pub fn all() -> Vec<corpus_core::ExecDef> {
    fns::TABLES.iter().flat_map(|table| table.iter().copied()).collect()
}
