//! What `webutil.*` share: judging what `htpasswd` said.

use corpus_core::plan::{Observed, Settled};
use corpus_core::{Map, Plan};

/// Returns what `htpasswd` said as the comment.
pub fn settle(plan: &Plan, seen: &[Observed]) -> Settled {
    let mut settled = Settled::as_planned(plan);
    if let Some(output) = seen.iter().find_map(Observed::output) {
        settled.comment = output.stderr_text().trim_end().to_owned();
        settled.result = output.ok();
        if !settled.result {
            settled.changes = Map::new();
        }
    }
    settled
}
