//! `saltutil.sync_renderers`

use super::shared::synced;
use serde::Deserialize;

/// Brings renderers to the minion. Nothing is kept there between two runs, so there is never anything to bring.
///
/// ```sls
/// sync_renderers:
///   saltutil.sync_renderers
/// ```
#[derive(Deserialize)]
pub struct SyncRenderers {
    /// Only a name.
    pub name: String,
}

synced!(SyncRenderers, "saltutil.sync_renderers");
