//! `saltutil.sync_outputters`

use super::shared::synced;
use serde::Deserialize;

/// Brings outputters to the minion. Nothing is kept there between two runs, so there is never anything to bring.
///
/// ```sls
/// sync_outputters:
///   saltutil.sync_outputters
/// ```
#[derive(Deserialize)]
pub struct SyncOutputters {
    /// Only a name.
    pub name: String,
}

synced!(SyncOutputters, "saltutil.sync_outputters");
