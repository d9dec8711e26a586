//! What a deployment is about to do, on the disk before it does it: the next start reads how far a killed one came.

use crate::fs::{Fs, TreeId};
use crate::{Layout, ProjectError, R};
use serde::{Deserialize, Serialize};

/// How far a deployment is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Copies are being made; `project/` is as it was.
    #[default]
    Preparing,
    /// The trees may have been exchanged.
    Switching,
    /// The new release is in place, and recipes run.
    Live,
    /// The previous release is being put back.
    RollingBack,
    /// Decided: what is left is to tidy up.
    Ended,
}

/// The record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Journal {
    pub id: String,
    pub who: String,
    pub started: String,
    pub env: String,
    pub phase: Phase,
    /// The tree that served at the beginning.
    pub served: Option<TreeId>,
    /// The tree to return to.
    pub previous: Option<TreeId>,
    /// The tree of the new release.
    pub next: Option<TreeId>,
    /// The archive from which the new release was taken.
    pub from: Option<String>,
    /// The commit that was asked for.
    pub revision: Option<String>,
    /// Files of the host are put back, too.
    pub rollback_host: bool,
}

impl Journal {
    /// Puts the record on the disk.
    pub fn write(&self, fs: &dyn Fs, layout: &Layout) -> R<()> {
        let json = serde_json::to_vec(self).map_err(|error| ProjectError::new(error.to_string()))?;
        fs.record(&layout.corpus.join("journal.json"), &json)
    }

    /// Reads the record of a deployment that did not end.
    pub fn read(layout: &Layout) -> R<Option<Self>> {
        let path = layout.corpus.join("journal.json");
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(ProjectError::io("read", &path, error)),
        };
        serde_json::from_slice(&bytes).map(Some).map_err(|error| {
            ProjectError::new(format!("{}: {error}", path.display()))
                .hint("it tells how to undo a killed deployment; look into archives/ before you remove it")
        })
    }

    /// Takes the record away: the deployment has ended.
    pub fn end(fs: &dyn Fs, layout: &Layout) -> R<()> {
        fs.remove(&layout.corpus.join("journal.json"))?;
        fs.sync_dir(&layout.corpus)
    }
}
