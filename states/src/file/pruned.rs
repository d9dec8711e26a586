//! `file.pruned`

use super::shared::{self, failed};
use corpus_core::{Effect, Plan, PlanCx, State, StateError, Value, python};
use corpus_exec::file::{self, walk};
use corpus_exec::grains::clock;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Keeps an empty directory away; with `recurse` also the empty ones below it. Nothing that holds a file is removed.
///
/// ```sls
/// /var/spool/app:
///   file.pruned:
///     - ignore_errors: True
/// ```
#[derive(Deserialize)]
pub struct Pruned {
    /// The directory.
    pub name: String,
    /// Remove the empty directories below it first.
    #[serde(default)]
    pub recurse: bool,
    /// Remove the empty ones and be content when others stay.
    #[serde(default)]
    pub ignore_errors: bool,
    /// Leave those that changed within so many days.
    #[serde(default)]
    pub older_than: Value,
}

impl Pruned {
    /// Returns the moment, in nanoseconds, before which a directory must have changed.
    fn limit(&self) -> Result<Option<i128>, StateError> {
        if !self.older_than.truthy() {
            return Ok(None);
        }
        let text = python::str(&self.older_than);
        let days: i64 =
            text.trim().parse().map_err(|_| failed(format!("file.pruned: `older_than` is no number: {text}")))?;
        Ok(Some(i128::from(clock::now() - days.saturating_mul(86_400)) * 1_000_000_000))
    }

    /// Finds what can be removed, innermost first, and what cannot because something is in it.
    fn sort(&self, cx: &PlanCx<'_>, path: &Path) -> Result<(Vec<PathBuf>, Vec<PathBuf>), StateError> {
        let limit = self.limit()?;
        let mut dirs = vec![];
        if self.recurse || self.ignore_errors {
            let below = walk::below(cx.host, path, None)?;
            dirs.extend(
                below.into_iter().rev().filter(|found| found.meta.is_dir()).map(|found| (found.path, found.meta)),
            );
        }
        if let Some(meta) = cx.host.stat(path)? {
            dirs.push((path.to_owned(), meta));
        }
        // What is deepest comes first, whatever order the walk had.
        dirs.sort_by_key(|(path, _)| std::cmp::Reverse(path.components().count()));
        let (mut gone, mut full, mut parents) = (BTreeSet::new(), vec![], BTreeSet::new());
        for (dir, meta) in &dirs {
            // A directory that lost an entry is a young one.
            let young = limit.is_some_and(|limit| meta.mtime >= limit || parents.contains(dir));
            if young {
                continue;
            }
            let names = cx.host.list(dir)?;
            if names.iter().all(|name| gone.contains(&dir.join(name))) {
                parents.insert(file::parent(dir).to_owned());
                gone.insert(dir.clone());
            } else {
                full.push(dir.clone());
            }
        }
        Ok((dirs.into_iter().map(|(dir, _)| dir).filter(|dir| gone.contains(dir)).collect(), full))
    }
}

impl State for Pruned {
    const NAME: &'static str = "file.pruned";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let path = shared::path(cx, &self.name)?;
        let shown = path.display();
        if !shared::is_dir(cx, &path)? {
            return Ok(Plan::unchanged(format!("Directory {shown} is not present")));
        }
        let (gone, full) = self.sort(cx, &path)?;
        if !full.is_empty() && !self.ignore_errors {
            return Err(failed(format!("Failed to remove directory {shown}")));
        }
        if gone.is_empty() {
            return Ok(Plan::unchanged(""));
        }
        let mut plan = Plan::default();
        let (did, deleted) = if self.recurse || self.ignore_errors {
            let mut names: Vec<String> = gone.iter().map(|dir| dir.display().to_string()).collect();
            names.sort();
            (format!("Recursively removed empty directories under {shown}"), Value::from(names))
        } else {
            (format!("Removed directory {shown}"), shown.to_string().into())
        };
        plan.changes.insert("deleted", deleted);
        let would = format!("Directory {shown} is set for removal");
        for path in gone {
            plan.push(Effect::Remove { path }, vec![]);
        }
        Ok(plan.says(would, did))
    }
}
