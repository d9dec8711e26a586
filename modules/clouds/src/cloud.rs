//! What is done with machines: looking, making one as declared, the other verbs, the end of one. Every call reads the world
//! first; the ledger says only what is ours and what was declared before.

use crate::book::{Allocation, Book, Network, Said};
use crate::differ::Difference;
use crate::driver::{DriverError, GuestDriver, Step};
use crate::drivers::{Drivers, lxc, text};
use crate::hands::{Chunk, Hands, HandsError, Place};
use crate::ledger::Ledger;
use crate::net;
use crate::spec::{Guest, GuestSpec, Node};
use crate::store::{Store, StoreError};
use corpus_core::{Map, RunReport, Value};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

const BOOK: &str = "book.json";
const LEDGER: &str = "ledger.json";
/// The roster of what is in the ledger.
pub const ROSTER: &str = "roster";
const KNOWN_HOSTS: &str = "known_hosts";
const SSH_CONFIG: &str = "ssh_config";

/// A private key's path, and the public key's text.
pub type KeyPair = (String, String);
/// Finds the key pair of a machine; whether one may be made is the second argument.
pub type Keys<'a> = &'a (dyn Fn(&str, bool) -> Result<Option<KeyPair>, String> + Sync);

/// What a call is given.
pub struct Settings<'a> {
    pub store: &'a Store,
    pub drivers: &'a Drivers,
    pub hands: &'a dyn Hands,
    pub nodes: BTreeMap<String, Node>,
    /// Finds the key pair of a machine, or makes it if it may.
    pub keys: Keys<'a>,
    pub random: &'a (dyn Fn() -> [u8; 3] + Sync),
    /// Told as it happens: the machine and what is done.
    pub note: &'a (dyn Fn(&str, &str) + Sync),
    /// How many machines are worked on side by side.
    pub at_once: usize,
    pub test: bool,
}

#[derive(Default)]
pub(crate) struct Records {
    pub book: Book,
    pub ledger: Ledger,
}

/// The clouds during one call.
pub struct Cloud<'a> {
    pub(crate) settings: Settings<'a>,
    records: Mutex<Records>,
    /// The ledger as it was in the beginning.
    pub(crate) began: Ledger,
    /// Nodes whose ports are being written (the rules of one must not be overtaken by older ones), and whose images are brought.
    fronts: Mutex<BTreeMap<String, Arc<Mutex<()>>>>,
    _lock: Option<crate::store::Lock>,
}

/// What became of one machine.
#[derive(Debug, Default)]
pub struct Told {
    pub id: String,
    pub driver: String,
    pub node: String,
    /// As in a state's record: false failed, none would change.
    pub result: Option<bool>,
    pub comment: String,
    pub differences: Vec<Difference>,
    pub changes: Map,
    pub value: Option<Value>,
    pub steps: Vec<Step>,
    pub reports: Vec<(String, RunReport)>,
}

impl Told {
    /// Writes it as an answer.
    pub fn to_value(&self) -> Map {
        let mut out = Map::new();
        out.insert("driver", self.driver.as_str());
        out.insert("node", self.node.as_str());
        out.insert("result", self.result);
        out.insert("comment", self.comment.as_str());
        out.insert("changes", self.changes.clone());
        if !self.differences.is_empty() {
            let all: Map = self.differences.iter().map(|one| (one.key.as_str(), one.to_value())).collect();
            out.insert("differences", all);
        }
        if let Some(value) = &self.value {
            out.insert("return", value.clone());
        }
        out
    }

    pub(crate) fn fail(mut self, why: impl std::fmt::Display) -> Self {
        self.result = Some(false);
        self.comment = why.to_string();
        self
    }
}

/// Why a call did nothing.
#[derive(Debug, thiserror::Error)]
pub enum CloudError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Driver(#[from] DriverError),
    #[error("{0}")]
    Unknown(String),
}

impl<'a> Cloud<'a> {
    /// Begins a call that only looks.
    pub fn look(settings: Settings<'a>) -> Result<Self, CloudError> {
        let (book, ledger): (Book, Ledger) = (settings.store.read(BOOK)?, settings.store.read(LEDGER)?);
        let began = ledger.clone();
        Ok(Self {
            settings,
            records: Mutex::new(Records { book, ledger }),
            began,
            fronts: Mutex::default(),
            _lock: None,
        })
    }

    /// Begins a call that changes something; there is one at a time.
    pub fn change(settings: Settings<'a>, what: &str) -> Result<Self, CloudError> {
        let lock = if settings.test { None } else { Some(settings.store.lock(what)?) };
        let mut cloud = Self::look(settings)?;
        cloud._lock = lock;
        Ok(cloud)
    }

    pub(crate) fn records(&self) -> MutexGuard<'_, Records> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the ledger as it is now.
    pub fn ledger(&self) -> Ledger {
        self.records().ledger.clone()
    }

    /// Returns what a guest was given.
    pub fn given(&self, node: &str, id: &str) -> Option<Allocation> {
        self.records().book.of(node, id).cloned()
    }

    /// Returns a node; one that nobody described has its id for an address.
    pub fn node(&self, id: &str) -> Node {
        self.settings.nodes.get(id).cloned().unwrap_or_else(|| Node::new(id, id))
    }

    /// Finds a driver.
    pub fn driver(&self, kind: &str) -> Result<&'a dyn GuestDriver, DriverError> {
        self.settings.drivers.get(kind)
    }

    /// How many machines are worked on side by side.
    pub fn at_once(&self) -> usize {
        self.settings.at_once.max(1)
    }

    pub(crate) fn keep(&self, change: impl FnOnce(&mut Records)) -> Result<(), StoreError> {
        let mut records = self.records();
        change(&mut records);
        if self.settings.test {
            return Ok(());
        }
        let store = self.settings.store;
        let known = store.path(KNOWN_HOSTS).display().to_string();
        store.write(BOOK, &records.book)?;
        store.write(LEDGER, &records.ledger)?;
        store.write_text(KNOWN_HOSTS, &records.ledger.known_hosts())?;
        store.write_text(SSH_CONFIG, &records.ledger.ssh_config(&known))?;
        let roster = records.ledger.roster(&known);
        let head =
            "# Written by corpus: the machines of its clouds. Do not edit; the configuration's roster comes first.\n";
        store.write_text(ROSTER, &format!("{head}{}", corpus_core::yaml::emit(&roster.into(), true)))
    }

    /// Reads what a driver has on a node.
    pub fn inspect(&self, driver: &dyn GuestDriver, node: &Node) -> Result<Vec<Guest>, DriverError> {
        let known: Vec<String> = self.records().ledger.on(&node.id, driver.kind()).cloned().collect();
        driver.inspect(node, &known, self.settings.hands)
    }

    fn network(&self, driver: &dyn GuestDriver, want: &GuestSpec) -> Result<Option<Network>, DriverError> {
        if !driver.capabilities().allocates {
            return Ok(None);
        }
        let said = text(want, "network").unwrap_or_else(|| lxc::NETWORK.into());
        // The original writes the length of the prefix as a netmask.
        let said = match (said.contains('/'), text(want, "netmask")) {
            (true, _) => said,
            (false, mask) => {
                let mask = mask.unwrap_or_else(|| "255.255.0.0".into());
                let bits: std::net::Ipv4Addr = mask
                    .parse()
                    .map_err(|_| DriverError::Declaration(format!("{}: `{mask}` is no netmask", want.id)))?;
                format!("{said}/{}", u32::from(bits).count_ones())
            }
        };
        Network::parse(&said, text(want, "gateway").as_deref())
            .map(Some)
            .map_err(|why| DriverError::Declaration(format!("{}: {why}", want.id)))
    }

    pub(crate) fn give(
        &self,
        driver: &dyn GuestDriver,
        node: &Node,
        want: &GuestSpec,
    ) -> Result<Allocation, DriverError> {
        let wrong = |why: String| DriverError::Declaration(why);
        let network = self.network(driver, want)?;
        let ip = match text(want, "ip") {
            Some(text) => Some(text.parse().map_err(|_| wrong(format!("{}: `{text}` is no address", want.id)))?),
            None => None,
        };
        let mac = text(want, "mac");
        let said = Said { ip, mac: mac.as_deref() };
        let random = &mut || (self.settings.random)();
        self.records().book.give(node, want, network.as_ref(), said, random).map_err(wrong)
    }

    /// Asks a machine something that changes nothing.
    pub(crate) fn ask(&self, at: &crate::hands::Place, call: &corpus_core::Call) -> Result<Value, HandsError> {
        self.settings.hands.call(at, call)
    }

    /// What only one may do at a time, by name.
    pub(crate) fn turn(&self, name: &str) -> Arc<Mutex<()>> {
        self.fronts.lock().unwrap_or_else(PoisonError::into_inner).entry(name.to_owned()).or_default().clone()
    }

    /// Makes the ports of a node lead where the book says, and runs what else there is to do there.
    pub(crate) fn front(&self, node: &Node, also: Vec<Chunk>) -> Result<RunReport, HandsError> {
        let turn = self.turn(&node.id);
        let _turn = turn.lock().unwrap_or_else(PoisonError::into_inner);
        let guests = self.records().book.nodes.get(&node.id).cloned().unwrap_or_default();
        let mut chunks = net::chunks(&guests);
        chunks.extend(also);
        self.settings.hands.run(&Place::Minion(node.id.clone()), &chunks, self.settings.test)
    }
}
