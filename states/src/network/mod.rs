//! What `network.*` share.

use corpus_core::{PlanCx, StateError, Value};
use corpus_exec::ask;

/// The folder of ifupdown.
pub const FOLDER: &str = "/etc/network";

/// Refuses to go on where there is no ifupdown.
pub fn ifupdown(cx: &PlanCx<'_>) -> Result<(), StateError> {
    let family = cx.data.grains.get("os_family").and_then(Value::as_str).unwrap_or("Debian");
    if family != "Debian" {
        return Err(StateError::failed(format!(
            "network.* is built for Debian's {FOLDER}/interfaces; this machine is of the family {family}"
        )));
    }
    if ask::is_dir(cx.host, FOLDER) {
        return Ok(());
    }
    Err(StateError::missing(format!("{FOLDER} does not exist: install ifupdown first (`pkg.installed`)")))
}
