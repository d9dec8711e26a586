//! `file.not_cached`

use super::shared::sources::local_path;
use corpus_core::{Effect, Plan, PlanCx, State, StateError, Value};
use corpus_exec::file;
use serde::Deserialize;
use std::path::Path;

/// Keeps a file out of this machine's cache, so that it is fetched again.
///
/// ```sls
/// salt://app/archive.tar.gz:
///   file.not_cached
/// ```
#[derive(Deserialize)]
pub struct NotCached {
    /// The address.
    pub name: String,
    /// Where it came from.
    pub saltenv: Option<Value>,
}

impl State for NotCached {
    const NAME: &'static str = "file.not_cached";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        if let Some(path) = local_path(&self.name) {
            let shown = file::real_path(cx.host, path)?;
            return Ok(Plan::unchanged(format!("File {} is a local path, no action taken", shown.display())));
        }
        let place = file::cached(&self.name, &cx.saltenv());
        if cx.host.lstat(Path::new(&place))?.is_none() {
            return Ok(Plan::unchanged(format!("{} is not cached", self.name)));
        }
        let plan = Plan::default().says(format!("{place} would be deleted"), format!("{place} was deleted"));
        Ok(plan.change("deleted", true).step(Effect::Remove { path: place.into() }))
    }
}
