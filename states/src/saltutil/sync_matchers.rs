//! `saltutil.sync_matchers`

use super::shared::synced;
use serde::Deserialize;

/// Brings matchers to the minion. Nothing is kept there between two runs, so there is never anything to bring.
///
/// ```sls
/// sync_matchers:
///   saltutil.sync_matchers
/// ```
#[derive(Deserialize)]
pub struct SyncMatchers {
    /// Only a name.
    pub name: String,
}

synced!(SyncMatchers, "saltutil.sync_matchers");
