//! What a deployment leaves: who, what, how long, with which result; kept as a file, shown to people and programs.

use crate::lock::LockOwner;
use crate::{Layout, ProjectError, ProjectName, R, disk};
use corpus_core::{ChunkReport, RunReport, Value, python};
use serde::{Deserialize, Serialize};
use std::fmt::Write;

/// How many reports are kept.
const KEPT: usize = 100;

/// The report of one deployment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DeployReport {
    /// `YYYY-MM-DD_HH_MM-SS_<uuid4>`.
    pub id: String,
    pub project: String,
    /// `deploy`, `rollback`, `run_task`, or the step that ran alone.
    pub what: String,
    pub who: String,
    /// A dry run.
    pub plan: bool,
    pub env: String,
    /// The commits that were asked for.
    pub project_rev: Option<String>,
    pub pillar_rev: Option<String>,
    /// The commits of `project/` before and after.
    pub before: Option<String>,
    pub serving: Option<String>,
    pub started: String,
    pub seconds: f64,
    pub steps: Vec<StepReport>,
    pub changes: u32,
    pub result: bool,
    pub rolled_back: bool,
    pub failed: Option<FailedAt>,
    /// What the pusher was told, without colours.
    pub comment: String,
    pub summary: String,
    /// Another deployment has the lock: nothing was done.
    pub busy: Option<LockOwner>,
}

/// The report of one step.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct StepReport {
    pub name: String,
    pub result: bool,
    pub seconds: f64,
    pub comment: String,
    pub sls: Vec<SlsReport>,
}

/// The report of one recipe.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SlsReport {
    pub sls: String,
    pub result: bool,
    pub states: u32,
    /// How many states changed something, or would.
    pub changes: u32,
    /// These states, `ID (state.function)`; after a hundred it ends.
    pub changed: Vec<String>,
    pub seconds: f64,
}

/// Where a deployment failed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FailedAt {
    pub step: String,
    pub sls: Option<String>,
    /// The state.
    pub id: Option<String>,
    pub file: Option<String>,
    pub line: Option<u32>,
    pub comment: String,
}

impl DeployReport {
    /// Tells whether all went well.
    pub fn ok(&self) -> bool {
        self.result
    }

    /// Returns the exit code: 0 good, 3 failed, 75 when another deployment was under way.
    pub fn code(&self) -> u8 {
        match (&self.busy, self.result) {
            (Some(_), _) => 75,
            (None, true) => 0,
            (None, false) => 3,
        }
    }

    /// Finds a step by name; of several, the last.
    pub fn step(&self, name: &str) -> Option<&StepReport> {
        self.steps.iter().rfind(|step| step.name == name)
    }
}

/// Keeps a report, and forgets the oldest.
pub fn keep(layout: &Layout, report: &DeployReport) -> R<()> {
    let folder = layout.deployments();
    disk::private_dir(&layout.corpus)?;
    disk::private_dir(&folder)?;
    let json = serde_json::to_vec_pretty(report).map_err(|error| ProjectError::new(error.to_string()))?;
    disk::write(&folder.join(format!("{}.json", report.id)), &json, 0o600)?;
    let ids = ids(layout);
    for id in ids.iter().take(ids.len().saturating_sub(KEPT)) {
        for end in ["json", "log"] {
            let _ = std::fs::remove_file(folder.join(format!("{id}.{end}")));
        }
    }
    Ok(())
}

/// Lists the ids of the deployments that left a report, the oldest first.
pub fn ids(layout: &Layout) -> Vec<String> {
    let entries = std::fs::read_dir(layout.deployments()).into_iter().flatten().flatten();
    let mut ids: Vec<String> = entries
        .filter_map(|entry| entry.file_name().to_str()?.strip_suffix(".json").map(str::to_owned))
        .filter(|id| !id.starts_with('.'))
        .collect();
    ids.sort();
    ids
}

/// Reads a report.
pub fn read(layout: &Layout, name: &ProjectName, id: &str) -> R<DeployReport> {
    let known = ids(layout);
    if !known.iter().any(|known| known == id) {
        let near = corpus_core::suggest::did_you_mean(id, known.iter().map(String::as_str));
        return Err(ProjectError::new(format!("the project {name} has no deployment `{id}`"))
            .hint(near.unwrap_or_else(|| format!("`corpus mc_project.deployments {name}` lists them"))));
    }
    let path = layout.deployments().join(format!("{id}.json"));
    let bytes = std::fs::read(&path).map_err(|error| ProjectError::io("read", &path, error))?;
    serde_json::from_slice(&bytes).map_err(|error| ProjectError::new(format!("{}: {error}", path.display())))
}

/// Writes the records of a run as people read them: failures in full, changes by name, and how many are as they were.
pub fn outline(report: &RunReport) -> String {
    let mut out = String::new();
    let mut same = 0;
    for chunk in &report.chunks {
        match (chunk.result, chunk.changed()) {
            (Some(false), _) => full(&mut out, chunk),
            (_, true) | (None, _) => {
                let _ = writeln!(out, "{} {} ({})", if report.test { "~" } else { "*" }, chunk.id, name(chunk));
                if report.test {
                    indented(&mut out, &shown(&chunk.changes));
                }
            }
            _ => {
                same += 1;
                if &*chunk.state == "test" || !chunk.warnings.is_empty() {
                    let _ = writeln!(out, "{}", chunk.comment.trim_end());
                }
            }
        }
        for warning in &chunk.warnings {
            let _ = writeln!(out, "warning: {warning}");
        }
    }
    let changed = report.chunks.iter().filter(|chunk| chunk.changed()).count();
    let failed = report.chunks.iter().filter(|chunk| chunk.result == Some(false)).count();
    let word = if report.test { "would change" } else { "changed" };
    let _ = write!(out, "{} states: {same} as declared, {changed} {word}, {failed} failed", report.chunks.len());
    out
}

/// Names the state function of a record.
pub fn name(chunk: &ChunkReport) -> String {
    format!("{}.{}", chunk.state, chunk.fun)
}

fn full(out: &mut String, chunk: &ChunkReport) {
    let _ = writeln!(out, "----------");
    let _ = writeln!(out, "          ID: {}", chunk.id);
    let _ = writeln!(out, "    Function: {}", name(chunk));
    if chunk.name.as_str() != Some(&chunk.id) {
        let _ = writeln!(out, "        Name: {}", python::str(&chunk.name));
    }
    let _ = writeln!(out, "      Result: False");
    let comment = chunk.comment.trim_end().replace('\n', "\n              ");
    let _ = writeln!(out, "     Comment: {comment}");
    if chunk.span.line > 0 {
        let _ = writeln!(out, "          At: {}:{}", chunk.span.file, chunk.span.line);
    }
    if chunk.changed() {
        let _ = writeln!(out, "     Changes:");
        for line in shown(&chunk.changes).lines() {
            let _ = writeln!(out, "              {line}");
        }
    }
}

fn shown(changes: &Value) -> String {
    match changes {
        Value::Map(map) => map
            .iter()
            .map(|(key, value)| match value {
                Value::Str(text) if text.contains('\n') => format!("{}:\n{text}\n", python::str(key)),
                other => format!("{}: {}\n", python::str(key), python::str(other)),
            })
            .collect(),
        other => python::str(other),
    }
}

fn indented(out: &mut String, text: &str) {
    for line in text.lines() {
        let _ = writeln!(out, "    {line}");
    }
}

/// Writes the figures of a project's last deployment for the text-file collector of Prometheus' node_exporter.
pub fn metrics(folder: &std::path::Path, report: &DeployReport) -> R<()> {
    let project = &report.project;
    let mut text = String::new();
    for (name, help, value) in [
        ("success", "Whether the last deployment succeeded.", f64::from(u8::from(report.result))),
        ("rolled_back", "Whether the last deployment was rolled back.", f64::from(u8::from(report.rolled_back))),
        ("seconds", "How long the last deployment took.", report.seconds),
        ("changes", "How many states the last deployment changed.", f64::from(report.changes)),
        ("timestamp_seconds", "When the last deployment ended.", crate::chrono::seconds() as f64),
    ] {
        let metric = format!("corpus_project_deployment_{name}");
        let _ =
            writeln!(text, "# HELP {metric} {help}\n# TYPE {metric} gauge\n{metric}{{project=\"{project}\"}} {value}");
    }
    disk::write(&folder.join(format!("corpus-project-{project}.prom")), text.as_bytes(), 0o644)
}
