//! A guest that is declared on another node than it is on: stopped there, brought here, and gone there only when it answers
//! here. Until then its line in the ledger has both places, so that a move that was cut off is finished, or undone when it
//! was declared otherwise meanwhile.

use crate::cloud::{Cloud, Told};
use crate::driver::{DriverError, Verb};
use crate::ledger::{Entry, Phase};
use crate::spec::{Guest, GuestSpec};

/// From where a guest comes.
pub(crate) struct Origin {
    pub spec: GuestSpec,
    /// What is there of it.
    pub found: Option<Guest>,
}

impl Cloud<'_> {
    /// Finds out whether a guest comes from another node. What an earlier move left to do there is done first.
    pub(crate) fn origin(&self, want: &GuestSpec, here: bool, told: &mut Told) -> Result<Option<Origin>, String> {
        let line = || self.ledger().guests.get(&want.id).cloned();
        let Some(mut last) = line() else { return Ok(None) };
        if last.from.is_some() && !self.settings.test {
            if last.phase == Phase::Ready {
                self.leave_behind(&want.id, told)?;
            } else if !is_at(&last.spec, want) {
                self.turn_back(&last, told)?;
            }
            last = line().unwrap_or(last);
        }
        let spec = match last.from.clone() {
            // A dry run takes it where its last run wanted it to be.
            Some(from) if last.phase != Phase::Ready => *from,
            _ => last.spec.clone(),
        };
        if is_at(&spec, want) {
            return Ok(None);
        }
        if last.phase == Phase::Destroying {
            let (id, node) = (&want.id, &spec.node);
            return Err(format!("the end of {id} on {node} was begun; finish it first (`corpus guest.destroy {id}`)"));
        }
        if spec.driver != want.driver {
            return Err(format!(
                "{id} is a {driver} guest of {node}, and a {want} guest cannot be made of it: destroy it there first \
                 (`corpus guest.destroy {id}`)",
                id = want.id,
                driver = spec.driver,
                node = spec.node,
                want = want.driver,
            ));
        }
        let text = |error: DriverError| error.to_string();
        let driver = self.driver(&want.driver).map_err(text)?;
        driver.capabilities().allow(driver.kind(), &Verb::Move { from: spec.node.clone() }).map_err(text)?;
        // One that is here already has all that it had there.
        let found = match here {
            true => None,
            false => self.inspect(driver, &self.node(&spec.node)).map_err(text)?.into_iter().find(|g| g.id == want.id),
        };
        Ok(Some(Origin { spec, found }))
    }

    /// A move that failed is no reason to stand still: the guest goes on where it was, and the next run tries again.
    pub(crate) fn go_on_there(&self, origin: &Origin, why: String) -> String {
        let back = self.present(&origin.spec, origin.found.as_ref());
        let (id, node) = (&origin.spec.id, &origin.spec.node);
        match back.result {
            Some(true) => format!("{why}\n{id} goes on on {node}"),
            _ => format!("{why}\nand it could not go on on {node}: {}", back.comment),
        }
    }

    /// Ends what is left of a guest where it was.
    pub(crate) fn leave_behind(&self, id: &str, told: &mut Told) -> Result<(), String> {
        let Some(from) = self.ledger().guests.get(id).and_then(|entry| entry.from.clone()) else { return Ok(()) };
        self.remove(&from, told)?;
        let gone = |entry: &mut Entry| entry.from = None;
        self.keep(|records| records.ledger.guests.get_mut(id).into_iter().for_each(gone)).map_err(|e| e.to_string())
    }

    /// Undoes a move that was begun and is wanted no more: the guest is whole where it was.
    fn turn_back(&self, last: &Entry, told: &mut Told) -> Result<(), String> {
        self.remove(&last.spec, told)?;
        let back = |entry: &mut Entry| {
            if let Some(from) = entry.from.take() {
                (entry.spec, entry.phase) = (*from, Phase::Ready);
            }
        };
        let id = &last.spec.id;
        self.keep(|records| records.ledger.guests.get_mut(id).into_iter().for_each(back)).map_err(|e| e.to_string())
    }
}

fn is_at(spec: &GuestSpec, want: &GuestSpec) -> bool {
    spec.node == want.node && spec.driver == want.driver
}
