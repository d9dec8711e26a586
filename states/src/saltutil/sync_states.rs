//! `saltutil.sync_states`

use super::shared::synced;
use serde::Deserialize;

/// Brings state modules to the minion. Nothing is kept there between two runs, so there is never anything to bring.
///
/// ```sls
/// sync_states:
///   saltutil.sync_states
/// ```
#[derive(Deserialize)]
pub struct SyncStates {
    /// Only a name.
    pub name: String,
}

synced!(SyncStates, "saltutil.sync_states");
