//! `saltutil.sync_utils`

use super::shared::synced;
use serde::Deserialize;

/// Brings utilities to the minion. Nothing is kept there between two runs, so there is never anything to bring.
///
/// ```sls
/// sync_utils:
///   saltutil.sync_utils
/// ```
#[derive(Deserialize)]
pub struct SyncUtils {
    /// Only a name.
    pub name: String,
}

synced!(SyncUtils, "saltutil.sync_utils");
