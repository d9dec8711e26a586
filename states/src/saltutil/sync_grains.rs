//! `saltutil.sync_grains`

use super::shared::synced;
use serde::Deserialize;

/// Brings grains to the minion. Nothing is kept there between two runs, so there is never anything to bring.
///
/// ```sls
/// sync_grains:
///   saltutil.sync_grains
/// ```
#[derive(Deserialize)]
pub struct SyncGrains {
    /// Only a name.
    pub name: String,
}

synced!(SyncGrains, "saltutil.sync_grains");
