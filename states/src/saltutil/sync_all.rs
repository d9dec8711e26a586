//! `saltutil.sync_all`

use super::shared::synced;
use serde::Deserialize;

/// Brings everything that the tree has for minions to the minion. Nothing is kept there between two runs, so there is never anything to bring.
///
/// ```sls
/// sync_all:
///   saltutil.sync_all
/// ```
#[derive(Deserialize)]
pub struct SyncAll {
    /// Only a name.
    pub name: String,
}

synced!(SyncAll, "saltutil.sync_all");
