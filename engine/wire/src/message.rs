//! What the frames carry. Closed enums: a change here is a change of [`crate::PROTOCOL`].

use crate::minion::{Answered, Busy, Hello, RunRequest};
use corpus_core::source::TreeEntry;
use corpus_core::{
    Call, ChunkReport, Data, Event, ExecError, FileRef, FileRequest, Map, ModuleFile, ModuleInfo, RunReport,
    SourceError, Value,
};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::Arc;

/// From master to minion.
#[derive(Serialize, Deserialize)]
pub(crate) enum Down {
    Request {
        id: u32,
        op: Op,
    },
    /// The data of the minion; has no answer, since nothing about it can fail.
    Data(Box<WireData>),
    Answer {
        ask: u32,
        answer: Answer,
    },
    /// The run of this request is to stop after the state at hand.
    Cancel {
        id: u32,
    },
    /// The report of this run has arrived and need not be kept.
    Got {
        jid: String,
    },
}

/// What a master asks.
#[derive(Serialize, Deserialize)]
pub(crate) enum Op {
    Grains,
    Functions,
    /// Take in these modules; the answer may ask for their contents.
    Sync(Vec<ModuleFile>),
    Call(Call),
    Run(Box<RunRequest>),
    Collect(String),
}

/// The answers to a run's asks.
#[derive(Serialize, Deserialize)]
pub(crate) enum Answer {
    Resolve(Result<FileRef, SourceError>),
    /// All pieces of the files have been sent, or not.
    Fetched(Result<(), SourceError>),
    Tree(Result<Vec<TreeEntry>, SourceError>),
    Fire(Result<(), SourceError>),
    Knows(bool),
    Called(Result<Value, ExecError>),
}

/// From minion to master.
#[derive(Serialize, Deserialize)]
pub(crate) enum Up {
    Hello(Hello),
    Reply {
        id: u32,
        reply: Reply,
    },
    Ask {
        id: u32,
        ask: u32,
        question: Question,
    },
    Events {
        id: u32,
        events: Vec<Event>,
    },
    /// Still here, still at it.
    Beat,
}

/// What a minion answers.
#[derive(Serialize, Deserialize)]
pub(crate) enum Reply {
    Grains(Map),
    Functions(Vec<String>),
    Synced(Vec<ModuleInfo>),
    Call(Result<Answered, ExecError>),
    Run { jid: String, test: bool, chunks: Vec<Piece> },
    Collect(Option<RunReport>),
    Busy(Busy),
    Failed(String),
}

/// A record of a run's report; those that went up as events are not sent twice.
#[derive(Serialize, Deserialize)]
pub(crate) enum Piece {
    /// The n-th [`Event::Finished`] of the run.
    Sent(u32),
    New(Box<ChunkReport>),
}

/// What a run needs of its master.
#[derive(Serialize, Deserialize)]
pub(crate) enum Question {
    Resolve(FileRequest),
    /// The contents of these, one after the other.
    Fetch(Vec<FileRef>),
    Tree {
        url: String,
        saltenv: String,
    },
    Fire {
        tag: String,
        data: Value,
    },
    Knows(String),
    Call(Call),
}

/// [`Data`] on its way. Grains come from the minion itself, so only what differs goes back.
#[derive(Serialize, Deserialize)]
pub(crate) struct WireData {
    pub id: Arc<str>,
    pub saltenv: Arc<str>,
    pub grains: Grains,
    pub pillar: Value,
    pub opts: Value,
    pub secrets: Vec<Arc<str>>,
}

/// A minion's grains as its master has them.
#[derive(Serialize, Deserialize)]
pub(crate) enum Grains {
    Whole(Value),
    /// The grains that the minion told last, with these put over them and those taken away.
    Changed {
        set: Map,
        gone: Vec<Value>,
    },
}

impl WireData {
    /// Packs the data for a minion that told these grains.
    pub(crate) fn pack(data: &Data, told: Option<&Map>) -> Self {
        let grains = match (data.grains.as_map(), told) {
            (Some(now), Some(told)) => Grains::Changed {
                set: now
                    .iter()
                    .filter(|(k, v)| told.get_value(k) != Some(v))
                    .map(|(k, v)| (k.clone(), v.clone()))
                    .collect(),
                gone: told.keys().filter(|key| now.get_value(key).is_none()).cloned().collect(),
            },
            _ => Grains::Whole(data.grains.clone()),
        };
        Self {
            id: data.id.clone(),
            saltenv: data.saltenv.clone(),
            grains,
            pillar: data.pillar.clone(),
            opts: data.opts.clone(),
            secrets: data.secrets.clone(),
        }
    }

    /// Unpacks it where the grains were told.
    pub(crate) fn unpack(self, told: &Map) -> Data {
        let grains = match self.grains {
            Grains::Whole(grains) => grains,
            Grains::Changed { set, gone } => {
                let mut grains = told.clone();
                grains.0.retain(|key, _| !gone.contains(key));
                grains.0.extend(set);
                Value::map(grains)
            }
        };
        Data { id: self.id, saltenv: self.saltenv, grains, pillar: self.pillar, opts: self.opts, secrets: self.secrets }
    }
}

/// Makes the report's records small: those in `sent` become their number.
pub(crate) fn pieces(report: RunReport, sent: &[ChunkReport]) -> Vec<Piece> {
    let mut places: HashMap<&str, Vec<usize>> = HashMap::new();
    for (place, chunk) in sent.iter().enumerate() {
        places.entry(&chunk.tag).or_default().push(place);
    }
    let find = |chunk: &ChunkReport| {
        places
            .get(chunk.tag.as_str())?
            .iter()
            .find(|place| sent[**place] == *chunk)
            .and_then(|p| u32::try_from(*p).ok())
    };
    report
        .chunks
        .into_iter()
        .map(|chunk| match find(&chunk) {
            Some(place) => Piece::Sent(place),
            None => Piece::New(Box::new(chunk)),
        })
        .collect()
}

/// Makes records of the pieces again; `None` if a number is out of range.
pub(crate) fn join(pieces: Vec<Piece>, mut sent: Vec<ChunkReport>) -> Option<Vec<ChunkReport>> {
    pieces
        .into_iter()
        .map(|piece| match piece {
            Piece::Sent(place) => sent.get_mut(place as usize).map(std::mem::take),
            Piece::New(chunk) => Some(*chunk),
        })
        .collect()
}
