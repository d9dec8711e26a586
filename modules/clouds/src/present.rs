//! Makes a machine as it is declared: allocation, the line in the ledger, the driver's plan, the way to it, its base system.

use crate::cloud::{Cloud, Told};
use crate::differ;
use crate::driver::{Asked, GuestDriver, Step, Verb};
use crate::hands::Place;
use crate::ledger::{Entry, Phase};
use crate::spec::{Guest, GuestSpec, Node, Status};
use crate::walk::{self, Done};

impl Cloud<'_> {
    /// Makes a machine as it is declared. `have` is what was found of it.
    pub fn present(&self, want: &GuestSpec, have: Option<&Guest>) -> Told {
        let (driver, node) = (want.driver.clone(), want.node.clone());
        let mut told = Told { id: want.id.clone(), driver, node, ..Told::default() };
        match self.try_present(want, have, &mut told) {
            Ok(()) => told,
            Err(why) => told.fail(why),
        }
    }

    fn try_present(&self, want: &GuestSpec, have: Option<&Guest>, told: &mut Told) -> Result<(), String> {
        let driver = self.driver(&want.driver).map_err(text)?;
        let node = self.node(&want.node);
        let last = self.ledger().guests.get(&want.id).cloned();
        if let Some(other) = last.as_ref().filter(|last| last.spec.node != want.node || last.spec.driver != want.driver)
        {
            let (driver, node) = (&other.spec.driver, &other.spec.node);
            return Err(format!(
                "{id} is a {driver} guest of {node}; it is not moved: destroy it there first (`corpus guest.destroy {id}`)",
                id = want.id
            ));
        }
        told.differences = differ::compare(driver, want, have, last.as_ref());
        let mut want = want.clone();
        if let Some(held) = last.as_ref().and_then(|last| last.held) {
            want.status = held;
        }
        let given = self.give(driver, &node, &want).map_err(text)?;
        // A dry run makes no key.
        let pair = (self.settings.keys)(&want.id, !self.settings.test)?;
        let (key, keys) = pair.map_or((None, vec![]), |(key, public)| (Some(key), vec![public]));
        let asked = Asked { node: &node, want: &want, have, given: &given, keys: &keys };
        // One that is made anew has lost what it was given.
        let based = have.is_some() && last.as_ref().is_some_and(|last| last.based && last.spec.base == want.base);
        let mut steps = driver.plan(&Verb::Present, &asked).map_err(text)?.steps;
        base(&want, based, &mut steps);
        let ready = last.as_ref().filter(|last| last.phase == Phase::Ready);
        let mut entry = Entry {
            phase: if ready.is_some() && have.is_some() { Phase::Ready } else { Phase::Creating },
            // What was declared before stays until it is no longer so.
            spec: ready.map_or(&want, |last| &last.spec).clone(),
            reach: driver.reach(&asked),
            login: driver.login(&want, key.as_deref()),
            host_keys: last.as_ref().map(|last| last.host_keys.clone()).unwrap_or_default(),
            based,
            held: last.as_ref().and_then(|last| last.held),
        };
        entry.login.0.extend(want.roster.clone());
        // The line stands before the first effect.
        self.keep(|records| _ = records.ledger.guests.insert(want.id.clone(), entry)).map_err(text)?;
        (self.settings.note)(&want.id, if have.is_some() { "is compared" } else { "is created" });
        told.steps.clone_from(&steps);
        let mut done = self.steps(driver, &node, &want.id, &steps, have.is_some())?;
        told.changes = done.changes();
        told.reports = std::mem::take(&mut done.reports);
        if let Some(why) = done.failed {
            return Err(why);
        }
        let fresh = have.is_none() || ready.is_none();
        let changed = done.unknown || !told.changes.is_empty() || fresh;
        self.keep(|records| {
            if let Some(entry) = records.ledger.guests.get_mut(&want.id) {
                (entry.phase, entry.spec, entry.based) = (Phase::Ready, want.clone(), based || done.based);
            }
        })
        .map_err(text)?;
        told.result = if self.settings.test && changed { None } else { Some(true) };
        let what = match (changed, self.settings.test, fresh) {
            (false, ..) => "is as declared",
            (true, true, true) => "would be created",
            (true, true, false) => "would be changed",
            (true, false, true) => "was created",
            (true, false, false) => "was changed",
        };
        told.comment = format!("{} {what}", want.id);
        Ok(())
    }

    /// Performs the steps. The way to the guest must be there, and its host key known, before it is waited for.
    fn steps(
        &self,
        driver: &dyn GuestDriver,
        node: &Node,
        id: &str,
        steps: &[Step],
        exists: bool,
    ) -> Result<Done, String> {
        let (hands, test) = (self.settings.hands, self.settings.test);
        let split = steps.iter().position(|step| matches!(step, Step::Answers { .. } | Step::Apply { .. }));
        let (first, second) = steps.split_at(split.unwrap_or(steps.len()));
        let mut done = walk::perform(driver, first, hands, test, exists);
        if done.failed.is_none() && driver.capabilities().allocates {
            match self.front(node, vec![]) {
                Ok(report) => {
                    done.failed = walk::failure(&report);
                    done.reports.push((node.id.clone(), report));
                }
                Err(why) => done.failed = Some(why.to_string()),
            }
        }
        if !done.host_keys.is_empty() {
            let keys = done.host_keys.clone();
            self.keep(|records| {
                if let Some(entry) = records.ledger.guests.get_mut(id) {
                    entry.host_keys = keys;
                }
            })
            .map_err(text)?;
        }
        if done.failed.is_none() && !second.is_empty() {
            (self.settings.note)(id, "is waited for");
            let more = walk::perform(driver, second, hands, test, exists);
            done.reports.extend(more.reports);
            (done.failed, done.based) = (more.failed, more.based);
            done.unknown |= more.unknown;
        }
        Ok(done)
    }
}

/// Adds the base system, which a machine gets once.
fn base(want: &GuestSpec, based: bool, steps: &mut Vec<Step>) {
    if want.status != Status::Running || want.base.is_empty() || based {
        return;
    }
    if !steps.iter().any(|step| matches!(step, Step::Answers { .. })) {
        steps.push(Step::Answers { id: want.id.clone(), patience: walk::PATIENCE });
    }
    steps.push(Step::Apply { at: Place::Minion(want.id.clone()), sls: want.base.clone() });
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
