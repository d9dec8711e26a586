//! `saltutil.sync_engines`

use super::shared::synced;
use serde::Deserialize;

/// Brings engines to the minion. Nothing is kept there between two runs, so there is never anything to bring.
///
/// ```sls
/// sync_engines:
///   saltutil.sync_engines
/// ```
#[derive(Deserialize)]
pub struct SyncEngines {
    /// Only a name.
    pub name: String,
}

synced!(SyncEngines, "saltutil.sync_engines");
