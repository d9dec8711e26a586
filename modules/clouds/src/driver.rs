//! The contract of guest drivers. A driver decides: it reads the world through [`Hands`] and answers with a plan, which is
//! data; [`crate::walk`] performs it. What a driver cannot do it refuses with the reason.

use crate::book::Allocation;
use crate::hands::{Chunk, Hands, HandsError, Place};
use crate::spec::{Guest, GuestSpec, Isolation, Node, Status};
use corpus_core::{Map, Value};
use serde::{Deserialize, Serialize};

/// What is asked of a guest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "verb")]
pub enum Verb {
    /// Makes it as it is declared: creates what is missing, changes what differs, leaves it in the declared status.
    Present,
    Start,
    Stop {
        kill: bool,
    },
    Restart,
    Freeze,
    /// Removes it; a saltified machine is let go and goes on running.
    Destroy,
    Snapshot {
        name: String,
    },
    Restore {
        name: String,
    },
    /// Copies it under another id.
    Clone {
        to: String,
    },
    /// Brings it here from another node, where it is stopped; there it goes only when it answers here.
    Move {
        from: String,
    },
    /// Changes what may change while it lives.
    Resize {
        memory: Option<u64>,
        cpu: Option<u32>,
        disk: Option<u64>,
    },
    /// Runs a command inside, as the node's hands.
    Exec {
        argv: Vec<String>,
    },
}

impl Verb {
    /// Returns the name under which capabilities list it.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Present => "create",
            Self::Start => "start",
            Self::Stop { .. } => "stop",
            Self::Restart => "restart",
            Self::Freeze => "freeze",
            Self::Destroy => "destroy",
            Self::Snapshot { .. } => "snapshot",
            Self::Restore { .. } => "restore",
            Self::Clone { .. } => "clone",
            Self::Move { .. } => "move",
            Self::Resize { .. } => "resize",
            Self::Exec { .. } => "exec",
        }
    }
}

/// What a driver can do, and why not what it cannot.
#[derive(Clone, Copy, Debug)]
pub struct Capabilities {
    pub isolation: Isolation,
    /// Words of [`Verb`].
    pub verbs: &'static [&'static str],
    /// Why a verb is not among them.
    pub not: &'static [(&'static str, &'static str)],
    /// Guests have addresses on the node's own network, which the book gives.
    pub allocates: bool,
}

impl Capabilities {
    /// Refuses what the driver cannot do.
    pub fn allow(&self, kind: &str, verb: &Verb) -> Result<(), DriverError> {
        let word = verb.word();
        if self.verbs.contains(&word) {
            return Ok(());
        }
        let why = self.not.iter().find(|(not, _)| *not == word).map_or("it has nothing like it", |(_, why)| why);
        Err(DriverError::Refused(format!("the driver `{kind}` cannot {word}: {why}")))
    }
}

/// The kind of a key of the declaration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Text,
    Number,
    Flag,
    Size,
    List,
    Map,
    Any,
}

/// A key that a driver understands beside those that all have.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    pub name: &'static str,
    pub kind: Kind,
    pub doc: &'static str,
}

/// How a guest is reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reach {
    /// It has an address of its own.
    Direct { host: String, port: u16 },
    /// A port of the node leads there.
    Port { host: String, port: u16 },
    /// Through the node, by a program there that takes a command inside: `lxc-attach`, `docker exec`.
    Hop { node: String, argv: Vec<String> },
    /// Not at all: it has no login.
    None(String),
}

/// One step of a plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Step {
    /// Chunks for the walker of one machine.
    Run { at: Place, chunks: Vec<Chunk> },
    /// Has the machine converged to its base system.
    Apply { at: Place, sls: Vec<String> },
    /// Waits until it answers through the roster, for so many seconds.
    Answers { id: String, patience: u64 },
    /// Reads the public host key inside, through the node, so that nobody has to trust the first meeting.
    HostKey { at: Place, fun: String, args: Vec<Value>, kwargs: Map },
    /// Files go from a machine to another: functions there and here, called with the guest's name, return the program that
    /// writes and the program that reads.
    Carry { from: Place, to: Place, name: String, send: String, receive: String },
    /// The base systems of a node are to hold what the builder's hold; it is brought if its digest is another.
    Image { from: Place, to: Place, name: String, from_bases: Option<String>, to_bases: Option<String> },
    /// Something that an API does, by the driver's own hands.
    Operation { name: String, args: Map },
    /// A function whose value is the answer, `exec`.
    Ask { at: Place, fun: String, args: Vec<Value>, kwargs: Map },
}

/// What a driver wants to do with one guest.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GuestPlan {
    pub steps: Vec<Step>,
}

/// Why a driver makes no plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DriverError {
    /// It cannot, or must not.
    #[error("{0}")]
    Refused(String),
    /// The declaration is wrong.
    #[error("{0}")]
    Declaration(String),
    /// The world could not be read.
    #[error(transparent)]
    Hands(#[from] HandsError),
}

/// What a plan is made from.
pub struct Asked<'a> {
    pub node: &'a Node,
    pub want: &'a GuestSpec,
    /// What is there now.
    pub have: Option<&'a Guest>,
    /// What the book gave it.
    pub given: &'a Allocation,
    /// The public keys that may log in as root.
    pub keys: &'a [String],
    /// This creation's own word, which stands in the ledger before anything is done.
    pub request: &'a str,
}

/// A kind of guest.
pub trait GuestDriver: Send + Sync {
    /// Returns the name under which it is declared.
    fn kind(&self) -> &'static str;

    /// Tells what it can do.
    fn capabilities(&self) -> Capabilities;

    /// Lists the keys that only it understands.
    fn schema(&self) -> &'static [Field];

    /// Reads what is on a node. `known` are those of the ledger there.
    fn inspect(&self, node: &Node, known: &[String], hands: &dyn Hands) -> Result<Vec<Guest>, DriverError>;

    /// Decides what to do; changes nothing.
    fn plan(&self, verb: &Verb, asked: &Asked<'_>) -> Result<GuestPlan, DriverError>;

    /// Says how a guest is reached.
    fn reach(&self, asked: &Asked<'_>) -> Reach;

    /// Returns what else its roster entry says: user, key, password.
    fn login(&self, want: &GuestSpec, key: Option<&str>) -> Map {
        let mut login: Map = [("user", want.options.str("user").unwrap_or("root"))].into_iter().collect();
        if let Some(key) = key {
            login.insert("priv", key);
        }
        login
    }

    /// Plans what is to go from a node when the last guest of this kind has gone.
    fn leave(&self, _last: &GuestSpec) -> Vec<Chunk> {
        vec![]
    }

    /// Does an [`Step::Operation`] of its own plan.
    fn perform(&self, name: &str, _args: &Map) -> Result<Value, DriverError> {
        Err(DriverError::Refused(format!("the driver `{}` has no operation `{name}`", self.kind())))
    }

    /// Tells what of a guest differs from its declaration, in the driver's own options.
    fn differs(&self, _want: &GuestSpec, _have: &Guest) -> Vec<(String, Value, Value)> {
        vec![]
    }
}

/// Says which status a verb leads to, if it leads to one.
pub fn leads_to(verb: &Verb) -> Option<Status> {
    match verb {
        Verb::Start | Verb::Restart => Some(Status::Running),
        Verb::Stop { .. } => Some(Status::Stopped),
        Verb::Freeze => Some(Status::Frozen),
        _ => None,
    }
}
