//! Compute nodes, guests and clouds: machines are declared, found, compared, and made to be as declared. Drivers decide
//! and have no hands; what they plan runs through the walker of a minion, like any other state.

mod answers;
pub mod book;
pub mod cloud;
pub mod declare;
pub mod differ;
pub mod driver;
pub mod drivers;
pub mod fleet;
pub mod front;
mod functions;
pub mod hands;
mod keys;
pub mod ledger;
pub mod many;
mod moving;
pub mod names;
pub mod net;
mod nodes;
mod pillar;
mod present;
pub mod proxy;
mod reconcile;
mod runners;
pub mod spec;
pub mod store;
mod verbs;
mod walk;

pub use cloud::{Cloud, Settings, Told};
pub use driver::{DriverError, GuestDriver, GuestPlan, Step, Verb};
pub use drivers::Drivers;
pub use hands::{Hands, HandsError, Place};
pub use spec::{Guest, GuestSpec, Node, Status};

use corpus_master::{Config, Extras};
use std::sync::Arc;

/// Returns what clouds add to a master.
pub fn extras(config: &Config) -> Extras {
    Extras {
        functions: vec![answers::FNS],
        runners: vec![runners::RUNNERS],
        rosters: vec![functions::roster(config)],
        pillars: vec![Arc::new(pillar::CloudPillar::new(store::Store::new(functions::folder(config))))],
        ..Extras::default()
    }
}
