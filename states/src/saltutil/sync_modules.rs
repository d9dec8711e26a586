//! `saltutil.sync_modules`

use super::shared::synced;
use serde::Deserialize;

/// Brings execution modules to the minion. Nothing is kept there between two runs, so there is never anything to bring.
///
/// ```sls
/// sync_modules:
///   saltutil.sync_modules
/// ```
#[derive(Deserialize)]
pub struct SyncModules {
    /// Only a name.
    pub name: String,
}

synced!(SyncModules, "saltutil.sync_modules");
