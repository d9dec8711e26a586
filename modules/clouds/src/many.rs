//! Many machines at once: the world read once for each node and driver, the guests made side by side, and what is there and
//! nobody declared named.

use crate::cloud::{Cloud, Told};
use crate::declare::Declared;
use crate::ledger::Phase;
use crate::spec::{Guest, GuestSpec};
use corpus_core::{Map, Value};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Mutex, PoisonError};

/// What was found on the nodes.
#[derive(Debug, Default)]
pub struct World {
    pub guests: Vec<Guest>,
    /// Nodes that could not be read, by driver, with the reason.
    pub blind: BTreeMap<(String, String), String>,
}

impl World {
    /// Finds a machine where it is declared to be.
    pub fn at(&self, spec: &GuestSpec) -> Option<&Guest> {
        self.guests.iter().find(|found| found.id == spec.id && found.node == spec.node && found.driver == spec.driver)
    }
}

/// Where to look.
pub type Places = BTreeSet<(String, String)>;

impl Cloud<'_> {
    /// Lists the nodes and drivers of what is declared and of what is in the ledger.
    pub fn places(&self, declared: &Declared) -> Places {
        let ledger = self.ledger();
        let known = ledger.guests.values().flat_map(|entry| entry.specs());
        let all = known.chain(declared.guests.values()).map(|spec| (spec.driver.clone(), spec.node.clone()));
        all.collect()
    }

    /// Reads the world.
    pub fn world(&self, places: &Places) -> World {
        let world = Mutex::new(World::default());
        let queue: Mutex<VecDeque<_>> = Mutex::new(places.iter().collect());
        std::thread::scope(|scope| {
            for _ in 0..places.len().min(self.at_once()) {
                scope.spawn(|| {
                    loop {
                        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                        let Some((kind, node)) = next else { return };
                        let found = self.driver(kind).and_then(|driver| self.inspect(driver, &self.node(node)));
                        let mut world = world.lock().unwrap_or_else(PoisonError::into_inner);
                        match found {
                            Ok(guests) => world.guests.extend(guests),
                            Err(error) => _ = world.blind.insert((kind.clone(), node.clone()), error.to_string()),
                        }
                    }
                });
            }
        });
        let mut world = world.into_inner().unwrap_or_else(PoisonError::into_inner);
        world.guests.sort_by(|a, b| (&a.id, &a.node, &a.driver).cmp(&(&b.id, &b.node, &b.driver)));
        world
    }

    /// Makes all that is declared. Guests that are copied from another wait for it; a failure stops none but those.
    pub fn all_present(&self, guests: &[&GuestSpec], world: &World) -> Vec<Told> {
        let ids: BTreeSet<&str> = guests.iter().map(|spec| spec.id.as_str()).collect();
        let waits = |spec: &GuestSpec| spec.clone_from.as_deref().is_some_and(|origin| ids.contains(origin));
        let (second, first): (Vec<&GuestSpec>, Vec<&GuestSpec>) = guests.iter().copied().partition(|spec| waits(spec));
        let mut told = self.batch(&first, world);
        let failed: BTreeSet<String> =
            told.iter().filter(|told| told.result == Some(false)).map(|told| told.id.clone()).collect();
        let (blocked, second): (Vec<&GuestSpec>, Vec<&GuestSpec>) =
            second.into_iter().partition(|spec| spec.clone_from.as_ref().is_some_and(|origin| failed.contains(origin)));
        told.extend(self.batch(&second, world));
        told.extend(blocked.into_iter().map(|spec| Told {
            id: spec.id.clone(),
            driver: spec.driver.clone(),
            node: spec.node.clone(),
            result: Some(false),
            comment: format!("{} waits for {}, which failed", spec.id, spec.clone_from.as_deref().unwrap_or_default()),
            ..Told::default()
        }));
        told.sort_by(|a, b| a.id.cmp(&b.id));
        told
    }

    fn batch(&self, guests: &[&GuestSpec], world: &World) -> Vec<Told> {
        let queue: Mutex<VecDeque<&GuestSpec>> = Mutex::new(guests.iter().copied().collect());
        let all = Mutex::new(vec![]);
        std::thread::scope(|scope| {
            for _ in 0..guests.len().min(self.at_once()) {
                scope.spawn(|| {
                    loop {
                        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                        let Some(spec) = next else { return };
                        let blind = world.blind.get(&(spec.driver.clone(), spec.node.clone()));
                        let told = match blind {
                            Some(why) => Told {
                                id: spec.id.clone(),
                                driver: spec.driver.clone(),
                                node: spec.node.clone(),
                                result: Some(false),
                                comment: why.clone(),
                                ..Told::default()
                            },
                            None => self.present(spec, world.at(spec)),
                        };
                        all.lock().unwrap_or_else(PoisonError::into_inner).push(told);
                    }
                });
            }
        });
        all.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// Names what is there and not declared: ours without a declaration, and what corpus never made.
    pub fn strangers(&self, declared: &[&GuestSpec], world: &World) -> Vec<Stranger> {
        let ledger = self.ledger();
        let mut found = vec![];
        for (id, entry) in ledger.guests.iter().filter(|(id, _)| !declared.iter().any(|spec| spec.id == **id)) {
            let why = match entry.phase {
                Phase::Destroying => "its end was begun and not finished",
                Phase::Creating => "its creation was begun, and it is no longer declared",
                Phase::Ready => "it is no longer declared",
            };
            let status = world.at(&entry.spec).map_or("absent", |guest| guest.status.word());
            let (driver, node) = (entry.spec.driver.clone(), entry.spec.node.clone());
            found.push(Stranger { id: id.clone(), driver, node, status, ours: true, why: why.into() });
        }
        for guest in &world.guests {
            let here = |spec: &GuestSpec| spec.id == guest.id && spec.node == guest.node && spec.driver == guest.driver;
            let line = ledger.guests.get(&guest.id);
            if line.is_some_and(|entry| entry.specs().any(here)) || declared.iter().any(|spec| here(spec)) {
                continue;
            }
            // A namesake of one that is known elsewhere is told apart by its place.
            let id = match line.is_some() || declared.iter().any(|spec| spec.id == guest.id) {
                true => format!("{} ({} on {})", guest.id, guest.driver, guest.node),
                false => guest.id.clone(),
            };
            let marked = guest.details.str("owner") == Some("corpus");
            let why = match marked {
                true => "it bears our mark, and this installation does not know it",
                false => "corpus did not make it",
            };
            found.push(Stranger {
                id,
                driver: guest.driver.clone(),
                node: guest.node.clone(),
                status: guest.status.word(),
                ours: false,
                why: why.into(),
            });
        }
        found
    }
}

/// A machine that is there, or was, and is not declared.
#[derive(Debug)]
pub struct Stranger {
    pub id: String,
    pub driver: String,
    pub node: String,
    pub status: &'static str,
    /// It is in the ledger: its removal is ours to do.
    pub ours: bool,
    pub why: String,
}

impl Stranger {
    /// Writes it as a value.
    pub fn to_value(&self) -> Value {
        let map: Map = [
            ("driver", Value::str(&self.driver)),
            ("node", Value::str(&self.node)),
            ("status", self.status.into()),
            ("ours", self.ours.into()),
            ("comment", Value::str(&self.why)),
        ]
        .into_iter()
        .collect();
        map.into()
    }
}
