//! `saltutil.sync_returners`

use super::shared::synced;
use serde::Deserialize;

/// Brings returners to the minion. Nothing is kept there between two runs, so there is never anything to bring.
///
/// ```sls
/// sync_returners:
///   saltutil.sync_returners
/// ```
#[derive(Deserialize)]
pub struct SyncReturners {
    /// Only a name.
    pub name: String,
}

synced!(SyncReturners, "saltutil.sync_returners");
