//! `rsync.synchronized`

use crate::file::shared::{make_parents, path};
use corpus_core::plan::{Attrs, Observed, Settled};
use corpus_core::{Effect, Map, Plan, PlanCx, Prediction, State, StateError, Value};
use corpus_exec::fns::rsync::{Options, texts};
use serde::Deserialize;

/// Keeps a directory like another one, of this machine or of another. What would be copied is asked of
/// `rsync --dry-run`.
///
/// ```sls
/// /srv/media:
///   rsync.synchronized:
///     - source: backup.example.org::media/
///     - delete: True
/// ```
#[derive(Deserialize)]
pub struct Synchronized {
    /// The directory to change.
    pub name: String,
    /// The directory to copy, as `rsync` names it; with a slash at its end, only what is in it.
    pub source: String,
    /// Remove what the source does not have.
    #[serde(default)]
    pub delete: bool,
    /// Remove directories that stand where files belong, full ones too.
    #[serde(default)]
    pub force: bool,
    /// Leave files alone that are newer.
    #[serde(default)]
    pub update: bool,
    /// A file with the password of an rsync server.
    pub passwordfile: Option<String>,
    /// Patterns of what to leave out.
    pub exclude: Option<Value>,
    /// A file of such patterns.
    pub excludefrom: Option<String>,
    /// Make the directory if it is missing.
    #[serde(default)]
    pub prepare: bool,
    /// Show only what would be done.
    #[serde(default)]
    pub dryrun: bool,
    /// Further options of `rsync`.
    pub additional_opts: Option<Value>,
}

/// Salt: the last paragraph, part by part.
fn summary(stdout: &str) -> String {
    let last = stdout.trim_end().rsplit("\n\n").next().unwrap_or_default().replace("  ", "\n");
    let parts: Vec<&str> = last.split('\n').filter(|part| !part.is_empty()).collect();
    format!("- {}", parts.join("\n- "))
}

/// Salt: the first paragraph without its head, copied and deleted.
fn changes(stdout: &str) -> Map {
    let first = stdout.trim_end().split("\n\n").next().unwrap_or_default();
    let lines = || first.split('\n').skip(1);
    let mut deleted: Vec<&str> = lines().filter_map(|line| line.strip_prefix("deleting ")).collect();
    let mut copied: Vec<&str> = lines().filter(|line| !line.starts_with("deleting ")).collect();
    if deleted.is_empty() && copied.is_empty() {
        return Map::new();
    }
    let joined = |lines: &mut Vec<&str>| {
        lines.sort_unstable();
        Some(lines.join("\n")).filter(|text| !text.is_empty()).unwrap_or_else(|| "N/A".into())
    };
    [("copied", joined(&mut copied)), ("deleted", joined(&mut deleted))].into_iter().collect()
}

impl State for Synchronized {
    const NAME: &'static str = "rsync.synchronized";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        cx.program("rsync", "rsync")?;
        if self.source.starts_with("salt://") {
            return Err(StateError::failed("argument `source`: directories of the master are `file.recurse`'s"));
        }
        let mut plan = Plan::default();
        let (name, mut target) = (&self.name, self.name.clone());
        let there = cx.host.stat(&path(cx, name)?)?.is_some();
        if !there {
            if !self.force && !self.prepare {
                return Err(StateError::missing(format!("Destination directory {name} was not found.")));
            }
            if self.prepare {
                let dir = path(cx, name)?;
                make_parents(cx, &mut plan, &dir, &Attrs::default())?;
                plan.push(Effect::Mkdir { path: dir, attrs: Attrs::default() }, vec![]);
                // An empty directory stands in for the one that is still to be made.
                target = "/.corpus-nothing".into();
            }
        }
        let options = Options {
            delete: self.delete,
            force: self.force,
            update: self.update,
            passwordfile: self.passwordfile.clone(),
            exclude: texts(self.exclude.as_ref()),
            excludefrom: self.excludefrom.clone(),
            rsh: None,
            more: texts(self.additional_opts.as_ref()),
        };
        let output = cx.host.query(&options.command(&self.source, &target, true))?;
        if !output.ok() {
            return Err(StateError::missing(corpus_exec::ask::said(&output)));
        }
        let stdout = output.stdout_text();
        let found = changes(&stdout);
        plan.unchanged = summary(&stdout);
        if found.is_empty() || self.dryrun {
            plan.steps.clear();
            return Ok(plan);
        }
        let becomes = vec![Prediction::Path(path(cx, name)?)];
        plan.exec(options.command(&self.source, name, false), becomes);
        plan.changes = found;
        Ok(plan.says(summary(&stdout), ""))
    }

    fn settle(&self, plan: &Plan, seen: &[Observed], _: &PlanCx<'_>) -> Result<Settled, StateError> {
        let Some(output) = seen.iter().rev().find_map(Observed::output) else { return Ok(Settled::as_planned(plan)) };
        if !output.ok() {
            let comment = corpus_exec::ask::said(output);
            return Ok(Settled { result: false, changes: Map::new(), comment });
        }
        let stdout = output.stdout_text();
        Ok(Settled { result: true, changes: changes(&stdout), comment: summary(&stdout) })
    }
}
