//! What `schedule.*` share: the refusal.

use corpus_core::{PlanCx, StateError};

/// Says why there is no schedule, and what does its work.
pub fn refused(cx: &PlanCx<'_>, name: &str) -> StateError {
    StateError::failed(format!(
        "{}: job '{name}': there is no scheduler, as no minion runs between calls; write it with `cron.present`, or as a \
         systemd timer with `file.managed`",
        cx.low.full_name()
    ))
}
