//! `saltutil.sync_beacons`

use super::shared::synced;
use serde::Deserialize;

/// Brings beacons to the minion. Nothing is kept there between two runs, so there is never anything to bring.
///
/// ```sls
/// sync_beacons:
///   saltutil.sync_beacons
/// ```
#[derive(Deserialize)]
pub struct SyncBeacons {
    /// Only a name.
    pub name: String,
}

synced!(SyncBeacons, "saltutil.sync_beacons");
