//! Why a minion did not answer.

use crate::minion::Busy;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// Why a minion did not answer. What an execution function or a state says is not among these.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The connection ended.
    #[error("lost the connection{at}: {why}")]
    Lost { at: At, why: String },
    /// Nothing was heard for too long, not even a heartbeat.
    #[error("no sign of life for {} seconds{at}", .silence.as_secs())]
    Silent { at: At, silence: Duration },
    /// The other end is of another build.
    #[error("the minion is build {theirs}, this is build {ours}")]
    Build { ours: String, theirs: String },
    /// The other end is no minion, or the bytes were damaged.
    #[error("{0}")]
    Protocol(String),
    /// Another run is under way on the machine.
    #[error("busy: run {} by {} since {}", .0.jid, .0.who, .0.since)]
    Busy(Busy),
    /// The minion could not do it.
    #[error("{0}")]
    Failed(String),
}

/// How far a run had come: nowhere, or at a chunk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct At(pub Option<Progress>);

/// The last chunk that was known to have started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Counted from 1.
    pub number: u32,
    pub of: u32,
    pub id: String,
    pub fun: String,
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(p) => write!(f, " mid-run at state {} of {}: {} ({})", p.number, p.of, p.id, p.fun),
            None => Ok(()),
        }
    }
}

impl WireError {
    /// Adds how far the run had come.
    pub(crate) fn with(self, progress: At) -> Self {
        match self {
            Self::Lost { why, .. } => Self::Lost { at: progress, why },
            Self::Silent { silence, .. } => Self::Silent { at: progress, silence },
            other => other,
        }
    }

    /// Tells whether the connection is gone: nothing more can be asked through it.
    pub fn is_lost(&self) -> bool {
        matches!(self, Self::Lost { .. } | Self::Silent { .. } | Self::Protocol(_) | Self::Build { .. })
    }
}
