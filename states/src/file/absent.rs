//! `file.absent`

use super::shared::{self, failed};
use corpus_core::{Effect, Plan, PlanCx, State, StateError};
use serde::Deserialize;
use std::path::Path;

/// Makes sure that nothing is at a path: a file, a link or a whole directory is removed.
///
/// ```sls
/// /etc/nginx/sites-enabled/default:
///   file.absent
/// ```
#[derive(Deserialize)]
pub struct Absent {
    name: String,
}

impl State for Absent {
    const NAME: &'static str = "file.absent";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let path = shared::path(cx, &self.name)?;
        if path == Path::new("/") {
            return Err(failed("Refusing to make \"/\" absent"));
        }
        let shown = path.display();
        let Some(meta) = cx.host.lstat(&path)? else {
            return Ok(Plan::unchanged(format!("File {shown} is not present")));
        };
        let (word, lower) = if meta.is_dir() { ("Directory", "directory") } else { ("File", "file") };
        Ok(Plan::default()
            .says(format!("{word} {shown} is set for removal"), format!("Removed {lower} {shown}"))
            .change("removed", shown.to_string())
            .step(Effect::Remove { path }))
    }
}
