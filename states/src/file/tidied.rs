//! `file.tidied`

use super::shared::{self, failed};
use corpus_core::decode::OneOrMany;
use corpus_core::{Effect, Plan, PlanCx, State, StateError, Value, python};
use corpus_exec::file::{pattern, walk};
use serde::Deserialize;

/// Removes files below a directory whose names match and that are large enough.
///
/// ```sls
/// /var/log/app:
///   file.tidied:
///     - matches: ['.*\.core$']
/// ```
#[derive(Deserialize)]
pub struct Tidied {
    name: String,
    /// How many days old a file must be; only 0, any age, is built.
    #[serde(default)]
    age: i64,
    /// Regular expressions that a name must match from its start, one of them.
    #[serde(default)]
    matches: OneOrMany<String>,
    /// Regular expressions that spare a name.
    #[serde(default)]
    exclude: OneOrMany<String>,
    /// Removes directories that match, too.
    #[serde(default)]
    rmdirs: bool,
    /// Removes links that match, too.
    #[serde(default = "shared::yes")]
    rmlinks: bool,
    /// How many bytes a file must have; only 0, any size, is built.
    #[serde(default)]
    size: Value,
    /// Compares the whole path, not the name.
    #[serde(default)]
    full_path_match: bool,
}

impl State for Tidied {
    const NAME: &'static str = "file.tidied";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let path = shared::path(cx, &self.name)?;
        let shown = path.display();
        if self.age != 0 || self.size.truthy() && python::str(&self.size) != "0" {
            return Err(failed("file.tidied: `age` and `size` are not built; remove them, or use cmd.run with find"));
        }
        if !shared::is_dir(cx, &path)? {
            return Err(StateError::missing(format!("{shown} does not exist or is not a directory.")));
        }
        let compile = |many: &[String]| {
            many.iter().map(|regex| pattern::compile_match(regex, 0)).collect::<Result<Vec<_>, _>>().map_err(failed)
        };
        let (matches, exclude) = (compile(&self.matches.0)?, compile(&self.exclude.0)?);
        let mut plan = Plan::default();
        let mut removed = vec![];
        for found in walk::below(cx.host, &path, None)?.into_iter().rev() {
            let name = match self.full_path_match {
                true => found.path.to_string_lossy(),
                false => found.path.file_name().unwrap_or_default().to_string_lossy(),
            };
            let wanted = matches.is_empty() || matches.iter().any(|regex| pattern::found(regex, &name));
            let spared = exclude.iter().any(|regex| pattern::found(regex, &name));
            let kind = found.meta.is_dir() && !self.rmdirs || found.meta.is_symlink() && !self.rmlinks;
            if wanted && !spared && !kind {
                removed.push(found.path.display().to_string());
                plan.push(Effect::Remove { path: found.path }, vec![]);
            }
        }
        if removed.is_empty() {
            return Ok(Plan::unchanged(format!("Nothing to remove from directory {shown}")));
        }
        let did = format!("Removed {} files or directories from directory {shown}", removed.len());
        Ok(plan.says(format!("{shown} is set for tidy"), did).change("removed", removed))
    }
}
