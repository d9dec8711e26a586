//! `saltutil.sync_pillar`

use super::shared::synced;
use serde::Deserialize;

/// Brings pillar modules to the minion. Nothing is kept there between two runs, so there is never anything to bring.
///
/// ```sls
/// sync_pillar:
///   saltutil.sync_pillar
/// ```
#[derive(Deserialize)]
pub struct SyncPillar {
    /// Only a name.
    pub name: String,
}

synced!(SyncPillar, "saltutil.sync_pillar");
