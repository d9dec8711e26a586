//! What a machine's pillar says of it: its node, addresses, ports and names, the environment of its projects, and what its
//! declaration hands it.

use crate::book::Book;
use crate::ledger::Ledger;
use crate::store::Store;
use corpus_core::{Diagnostic, Map, Value};
use corpus_pillar::{Ask, Given, PillarSource, Sees};
use std::os::unix::fs::MetadataExt;
use std::sync::{Arc, Mutex, PoisonError};

/// Gives each machine of the ledger its part.
pub struct CloudPillar {
    store: Store,
    read: Mutex<Option<(Stamp, Arc<Records>)>>,
}

/// Which ledger and book these are: each is written whole, as another file.
type Stamp = [Option<(u64, i64, i64)>; 2];

struct Records {
    ledger: Ledger,
    book: Book,
}

impl CloudPillar {
    /// Makes it for a folder of clouds.
    pub fn new(store: Store) -> Self {
        Self { store, read: Mutex::default() }
    }

    /// Reads the records, again if they were written since.
    fn records(&self) -> Result<Option<Arc<Records>>, Diagnostic> {
        let which = |name: &str| {
            let meta = std::fs::metadata(self.store.path(name)).ok()?;
            Some((meta.ino(), meta.mtime(), meta.mtime_nsec()))
        };
        let stamp = [which("ledger.json"), which("book.json")];
        if stamp[0].is_none() {
            return Ok(None);
        }
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, records)) = read.as_ref().filter(|(of, _)| *of == stamp) {
            return Ok(Some(records.clone()));
        }
        let fail = |error: crate::store::StoreError| Diagnostic::error(error.to_string());
        let ledger = self.store.read("ledger.json").map_err(fail)?;
        let records = Arc::new(Records { ledger, book: self.store.read("book.json").map_err(fail)? });
        *read = Some((stamp, records.clone()));
        Ok(Some(records))
    }
}

impl PillarSource for CloudPillar {
    fn name(&self) -> &str {
        "clouds"
    }

    fn identity(&self) -> String {
        format!("clouds {}", self.store.path("").display())
    }

    fn sees(&self) -> Sees {
        Sees::ID
    }

    fn is_local(&self) -> bool {
        true
    }

    fn is_quick(&self) -> bool {
        true
    }

    fn load(&self, ask: &Ask) -> Result<Given, Diagnostic> {
        let Some(records) = self.records()? else { return Ok(Given::default()) };
        let Some(entry) = records.ledger.guests.get(&*ask.data.id) else { return Ok(Given::default()) };
        let spec = &entry.spec;
        let mut machine: Map = [
            ("id", Value::from(spec.id.as_str())),
            ("driver", spec.driver.as_str().into()),
            ("node", spec.node.as_str().into()),
            ("domains", spec.domains.clone().into()),
        ]
        .into_iter()
        .collect();
        if let Some(given) = records.book.of(&spec.node, &spec.id) {
            for (key, value) in [
                ("ip", given.ip.map(|ip| ip.to_string())),
                ("gateway", given.gateway.map(|ip| ip.to_string())),
                ("mac", given.mac.clone()),
            ] {
                if let Some(value) = value {
                    machine.insert(key, value);
                }
            }
            let ports: Map = given.ports.iter().map(|(name, port)| (name.as_str(), i64::from(port.host))).collect();
            machine.insert("ports", ports);
        }
        let mut pillar: Map = [("cloud", Map::from_iter([("machine", machine)]))].into_iter().collect();
        if let Some(env) = &spec.default_env {
            pillar.insert("default_env", env.as_str());
        }
        pillar.0.extend(spec.pillar.0.clone());
        // Which of it are secrets is said by `secret_keys`, as of any pillar.
        Ok(pillar.into())
    }
}
