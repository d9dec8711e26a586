//! What a run tells: one record per chunk, streamed as it happens and kept at the end.

use crate::span::Span;
use crate::value::{Map, Value};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Salt's result record of one chunk, and what corpus adds to it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ChunkReport {
    /// `<state>_|-<id>_|-<name>_|-<fun>`.
    pub tag: String,
    pub id: Arc<str>,
    pub name: Value,
    pub state: Arc<str>,
    pub fun: Arc<str>,
    pub sls: Option<Arc<str>>,
    pub run_num: u32,
    /// `None`: would change (test mode), or not known before the run.
    pub result: Option<bool>,
    pub changes: Value,
    pub comment: String,
    pub warnings: Vec<String>,
    /// Local time of day, `14:03:07.123456`.
    pub start_time: String,
    pub duration_ms: f64,
    /// False for steps that a requisite or a guard skipped.
    pub ran: bool,
    /// Further keys of the record: `__parallel__`, `skip_watch`, `hidden`…
    pub extra: Map,
    pub span: Span,
}

impl ChunkReport {
    /// Tells whether it changed something, or would.
    pub fn changed(&self) -> bool {
        self.changes.truthy()
    }

    /// Returns Salt's record, as `--out=json` prints it under its tag.
    pub fn to_salt(&self) -> Map {
        let mut out = Map::new();
        out.insert("name", self.name.clone());
        out.insert("changes", self.changes.clone());
        out.insert("result", self.result);
        out.insert("comment", self.comment.as_str());
        if !self.warnings.is_empty() {
            out.insert("warnings", self.warnings.clone());
        }
        for (key, value) in &self.extra {
            out.0.insert(key.clone(), value.clone());
        }
        out.insert("__sls__", self.sls.clone());
        out.insert("__run_num__", self.run_num);
        out.insert("start_time", self.start_time.as_str());
        out.insert("duration", self.duration_ms);
        if !self.ran {
            out.insert("__state_ran__", false);
        }
        out.insert("__id__", self.id.clone());
        out
    }
}

/// The records of one run on one machine, in the order in which they were decided.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RunReport {
    pub jid: String,
    pub test: bool,
    pub chunks: Vec<ChunkReport>,
}

impl RunReport {
    /// Tells whether no chunk failed.
    pub fn ok(&self) -> bool {
        self.chunks.iter().all(|chunk| chunk.result != Some(false))
    }

    /// Reads Salt's return back; what it does not hold stays empty.
    pub fn from_salt(records: &Map) -> Self {
        let chunks = records.iter().map(|(tag, record)| {
            let tag = crate::python::str(tag);
            let text = |key: &str| record.get(key).map(crate::python::str).unwrap_or_default();
            let mut parts = tag.split("_|-");
            let (state, id) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
            ChunkReport {
                id: id.into(),
                name: record.get("name").cloned().unwrap_or_default(),
                state: state.into(),
                fun: parts.last().unwrap_or_default().into(),
                run_num: record
                    .get("__run_num__")
                    .and_then(Value::as_int)
                    .and_then(|n| u32::try_from(n).ok())
                    .unwrap_or(0),
                result: match record.get("result") {
                    Some(Value::Bool(result)) => Some(*result),
                    _ => None,
                },
                changes: record.get("changes").cloned().unwrap_or_default(),
                comment: text("comment"),
                start_time: text("start_time"),
                duration_ms: match record.get("duration") {
                    Some(Value::Float(ms)) => *ms,
                    _ => 0.0,
                },
                ran: record.get("__state_ran__") != Some(&Value::Bool(false)),
                tag,
                ..ChunkReport::default()
            }
        });
        Self { chunks: chunks.collect(), ..Self::default() }
    }

    /// Returns Salt's return: records under their tags.
    pub fn to_salt(&self) -> Map {
        self.chunks.iter().map(|chunk| (chunk.tag.as_str(), chunk.to_salt())).collect()
    }
}

/// What a minion says while a run is under way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// A chunk begins.
    Started { tag: String, id: Arc<str>, fun: String },
    /// A chunk is decided.
    Finished(Box<ChunkReport>),
    /// `event.send`, `fire_event`: a tag and data for the master's event bus.
    Fired { tag: String, data: Value },
    /// A line of a log.
    Log { level: u8, message: String },
}

/// How a run is to go.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RunOptions {
    pub jid: String,
    /// Plan only: change nothing.
    pub test: bool,
    /// Stop at the first failure, whatever the states say.
    pub failhard: bool,
    /// Do not plan again after a change to see whether it converged (law 3).
    pub skip_verify: bool,
    /// Fold compatible chunks of modules that can (`pkg`), as `state_aggregate` does.
    pub aggregate: bool,
    /// Requisite words to ignore (`disabled_requisites`).
    pub disabled_requisites: Vec<String>,
}
