//! `file.retention_schedule`

use super::shared::{self, failed};
use corpus_core::{Effect, Map, Plan, PlanCx, State, StateError, Value, python};
use corpus_exec::file::times::{Moment, strptime};
use corpus_exec::grains::clock;
use serde::Deserialize;
use std::collections::BTreeSet;

/// Removes old backups from a directory: all but the newest few, and the first few of each hour, day, week, month, year.
///
/// ```sls
/// /var/backups/app:
///   file.retention_schedule:
///     - retain:
///         most_recent: 5
///         first_of_day: 7
///         first_of_year: all
///     - strptime_format: app_%Y%m%dT%H%M%S.tar.gz
/// ```
#[derive(Deserialize)]
pub struct RetentionSchedule {
    /// The directory.
    pub name: String,
    /// How many to keep, by rule: `most_recent`, `first_of_hour`, `first_of_day`, `first_of_week`, `first_of_month`,
    /// `first_of_year`; a number or `all`.
    pub retain: Map,
    /// How a file's name tells its time; without it, the time of the last change does.
    pub strptime_format: Option<String>,
    /// Only the machine's own zone is built.
    #[serde(default)]
    pub timezone: Value,
}

/// A file, under the parts of its time that a rule groups by.
type Dated = (Vec<i64>, String);

/// Adds the first file of each of the newest `n` groups at a depth.
fn first(files: &[Dated], at: usize, depth: usize, n: usize, out: &mut BTreeSet<String>) {
    let mut taken = BTreeSet::new();
    groups(files, at, depth, n, &mut taken);
    out.extend(taken);
}

fn groups(files: &[Dated], at: usize, depth: usize, n: usize, out: &mut BTreeSet<String>) {
    if depth == 0 {
        out.extend(files.first().map(|(_, name)| name.clone()));
        return;
    }
    for group in files.chunk_by(|a, b| a.0[at] == b.0[at]).rev() {
        if out.len() >= n {
            return;
        }
        groups(group, at + 1, depth - 1, n, out);
    }
}

impl RetentionSchedule {
    /// Returns how deep a rule looks, and how many it keeps.
    fn rule(&self, name: &str, count: &Value) -> Result<(usize, usize), StateError> {
        let depth = match name {
            "first_of_year" => 1,
            "first_of_month" | "first_of_week" => 2,
            "first_of_day" => 3,
            "first_of_hour" => 4,
            "most_recent" => 5,
            other => return Err(failed(format!("file.retention_schedule: `retain` has the unknown rule {other}"))),
        };
        let text = python::str(count);
        let wrong = || failed(format!("file.retention_schedule: {name} is a number or `all`, not {text}"));
        let n: usize = if text == "all" { usize::MAX } else { text.trim().parse().map_err(|_| wrong())? };
        // Salt keeps one week more.
        Ok((depth, if name == "first_of_week" { n.saturating_add(1) } else { n }))
    }

    fn moment(&self, cx: &PlanCx<'_>, dir: &std::path::Path, name: &str) -> Result<Option<Moment>, StateError> {
        if let Some(format) = &self.strptime_format {
            return strptime(format, name).map_err(|why| failed(format!("argument `strptime_format`: {why}")));
        }
        let Some(meta) = cx.host.lstat(&dir.join(name))? else { return Ok(None) };
        let seconds = meta.mtime.div_euclid(1_000_000_000) as i64;
        let zone = clock::zone(cx.host, seconds);
        Ok(Some(Moment::of(seconds + zone.offset, meta.mtime as i64)))
    }
}

impl State for RetentionSchedule {
    const NAME: &'static str = "file.retention_schedule";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let path = shared::path(cx, &self.name)?;
        if self.timezone.truthy() && python::str(&self.timezone) != "None" {
            return Err(failed("file.retention_schedule: `timezone` is not built; the machine's own zone is taken"));
        }
        if !shared::is_dir(cx, &path)? {
            return Err(StateError::missing("Name provided to file.retention must be a directory"));
        }
        let (mut by_day, mut by_week, mut ignored) = (vec![], vec![], vec!["..".to_owned(), ".".to_owned()]);
        for name in cx.host.list(&path)? {
            match self.moment(cx, &path, &name)? {
                Some(moment) => {
                    by_week.push((moment.week_parts().to_vec(), name.clone()));
                    by_day.push((moment.parts().to_vec(), name));
                }
                None => ignored.push(name),
            }
        }
        by_day.sort();
        by_week.sort();
        let mut kept = BTreeSet::new();
        for (rule, count) in &self.retain {
            let rule = python::str(rule);
            let (depth, n) = self.rule(&rule, count)?;
            let files = if rule == "first_of_week" { &by_week } else { &by_day };
            first(files, 0, depth, n, &mut kept);
        }
        let mut gone: Vec<String> =
            by_day.into_iter().map(|(_, name)| name).filter(|name| !kept.contains(name)).collect();
        gone.sort_by(|a, b| b.cmp(a));
        ignored.sort_by(|a, b| b.cmp(a));
        let shown = path.display();
        let would = format!("{} backups would have been removed from {shown}.\n", gone.len());
        let did = format!("{} backups were removed from {shown}.\n", gone.len());
        if gone.is_empty() {
            return Ok(Plan::unchanged(if cx.test { would } else { did }));
        }
        let mut plan = Plan::default().says(would, did);
        plan.changes.insert("retained", kept.into_iter().rev().collect::<Vec<_>>());
        plan.changes.insert("deleted", gone.clone());
        plan.changes.insert("ignored", ignored);
        for name in gone {
            plan.push(Effect::Remove { path: path.join(name) }, vec![]);
        }
        Ok(plan)
    }
}
