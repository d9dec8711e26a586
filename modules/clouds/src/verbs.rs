//! What is done with a machine that is there: start, stop, copy, and its end.

use crate::cloud::{Cloud, CloudError, Told};
use crate::differ;
use crate::driver::{Asked, DriverError, Reach, Step, Verb, leads_to};
use crate::hands::Place;
use crate::ledger::{Entry, Phase};
use crate::net;
use crate::spec::{Guest, GuestSpec, Status};
use crate::walk;
use corpus_core::Value;

impl Cloud<'_> {
    /// Does a verb with a machine of the ledger.
    pub fn verb(&self, id: &str, verb: &Verb) -> Told {
        let told = Told { id: id.into(), ..Told::default() };
        match verb {
            Verb::Destroy => self.destroy(id, told),
            Verb::Clone { to } => self.copy(id, to, told),
            _ => self.act(id, verb, told),
        }
    }

    fn entry(&self, id: &str) -> Result<Entry, CloudError> {
        let records = self.records();
        records.ledger.guests.get(id).cloned().ok_or_else(|| {
            let known = records.ledger.guests.keys().map(String::as_str);
            let hint = corpus_core::suggest::did_you_mean(id, known).map_or(String::new(), |hint| format!("; {hint}"));
            CloudError::Unknown(format!("there is no machine `{id}` of ours{hint}; `corpus guest.list` lists them"))
        })
    }

    fn found(&self, entry: &Entry) -> Result<Option<Guest>, DriverError> {
        let driver = self.driver(&entry.spec.driver)?;
        let node = self.node(&entry.spec.node);
        Ok(self.inspect(driver, &node)?.into_iter().find(|guest| guest.id == entry.spec.id))
    }

    fn act(&self, id: &str, verb: &Verb, mut told: Told) -> Told {
        let entry = match self.entry(id) {
            Ok(entry) => entry,
            Err(error) => return told.fail(error),
        };
        (told.driver, told.node) = (entry.spec.driver.clone(), entry.spec.node.clone());
        let plan = (|| -> Result<_, DriverError> {
            let driver = self.driver(&entry.spec.driver)?;
            driver.capabilities().allow(driver.kind(), verb)?;
            let Some(have) = self.found(&entry)? else {
                let why = format!("{id} is not there; `corpus reconcile` brings back what is declared");
                return Err(DriverError::Refused(why));
            };
            let node = self.node(&entry.spec.node);
            let given = self.given(&node.id, id).unwrap_or_default();
            let asked = Asked {
                node: &node,
                want: &entry.spec,
                have: Some(&have),
                given: &given,
                keys: &[],
                request: &entry.request,
            };
            Ok((driver, driver.plan(verb, &asked)?, have))
        })();
        let (driver, plan, have) = match plan {
            Ok(plan) => plan,
            Err(error) => return told.fail(error),
        };
        told.steps.clone_from(&plan.steps);
        if let Some(status) = leads_to(verb).filter(|status| *status == have.status && *verb != Verb::Restart) {
            told.result = Some(true);
            told.comment = format!("{id} is {status} already");
            return self.hold(id, verb, told);
        }
        (self.settings.note)(id, verb.word());
        let done = walk::perform(driver, &plan.steps, self.settings.hands, self.settings.test, true);
        (told.changes, told.value) = (done.changes(), done.value.clone());
        if let Err(error) = self.learn(id, &done) {
            return told.fail(error);
        }
        told.reports = done.reports;
        if let Some(why) = done.failed {
            return told.fail(why);
        }
        told.result = if self.settings.test { None } else { Some(true) };
        let would = if self.settings.test { "would be done with" } else { "was done with" };
        told.comment = format!("{} {would} {id}", verb.word());
        if let Err(error) = self.resized(id, verb) {
            return told.fail(error);
        }
        self.hold(id, verb, told)
    }

    /// What a guest was resized to is what it is to be, unless a file says otherwise.
    fn resized(&self, id: &str, verb: &Verb) -> Result<(), crate::store::StoreError> {
        let Verb::Resize { memory, cpu, disk } = verb else { return Ok(()) };
        self.keep(|records| {
            if let Some(entry) = records.ledger.guests.get_mut(id) {
                let spec = &mut entry.spec;
                (spec.memory, spec.cpu, spec.disk) = (memory.or(spec.memory), cpu.or(spec.cpu), disk.or(spec.disk));
            }
        })
    }

    /// A guest that was stopped by hand through us stays stopped, until it is started or declared anew.
    fn hold(&self, id: &str, verb: &Verb, told: Told) -> Told {
        let Some(status) = leads_to(verb) else { return told };
        let kept = self.keep(|records| {
            if let Some(entry) = records.ledger.guests.get_mut(id) {
                entry.held = (status != entry.spec.status).then_some(status);
            }
        });
        match kept {
            Ok(()) => told,
            Err(error) => told.fail(error),
        }
    }

    fn copy(&self, id: &str, to: &str, told: Told) -> Told {
        let entry = match self.entry(id) {
            Ok(entry) => entry,
            Err(error) => return told.fail(error),
        };
        if let Err(why) = crate::spec::check_id(to) {
            return told.fail(why);
        }
        if self.entry(to).is_ok() {
            return told.fail(format!("{to} is there already"));
        }
        let verb = Verb::Clone { to: to.to_owned() };
        let driver = match self.driver(&entry.spec.driver) {
            Ok(driver) => driver,
            Err(error) => return told.fail(error),
        };
        if let Err(error) = driver.capabilities().allow(driver.kind(), &verb) {
            return told.fail(error);
        }
        let mut spec = entry.spec.clone();
        (spec.id, spec.place) = (to.to_owned(), format!("guest.clone {id} {to}"));
        spec.domains = vec![to.to_owned()];
        if driver.kind() == "lxc" {
            spec.clone_from = Some(id.to_owned());
        }
        // What is one guest's own is not copied.
        for key in ["ip", "mac", "hostname"] {
            spec.options.remove(key);
        }
        for port in &mut spec.ports {
            port.host = None;
        }
        // LXC copies what stands still. It is not held so: a kill in between leaves a guest that `reconcile` starts again.
        let stand = driver.kind() == "lxc" && !self.settings.test;
        let found = match self.found(&entry) {
            Ok(found) => found,
            Err(error) => return told.fail(error),
        };
        let running = stand && found.as_ref().is_some_and(|found| found.status == Status::Running);
        // Layers can only be shared, not copied.
        let layered =
            found.is_some_and(|found| found.details.str("backing").is_some_and(|on| on.starts_with("overlay")));
        if layered && !spec.options.contains("snapshot_clone") {
            spec.options.insert("snapshot_clone", true);
        }
        if running && let Err(why) = self.briefly(&entry, &Verb::Stop { kill: false }) {
            return told.fail(why);
        }
        let mut made = self.present(&spec, None);
        if running && let Err(why) = self.briefly(&entry, &Verb::Start) {
            made = made.fail(why);
        }
        made
    }

    /// Does a verb that leaves no trace in the ledger.
    fn briefly(&self, entry: &Entry, verb: &Verb) -> Result<(), String> {
        let text = |error: DriverError| error.to_string();
        let driver = self.driver(&entry.spec.driver).map_err(text)?;
        let node = self.node(&entry.spec.node);
        let given = self.given(&node.id, &entry.spec.id).unwrap_or_default();
        let asked =
            Asked { node: &node, want: &entry.spec, have: None, given: &given, keys: &[], request: &entry.request };
        let plan = driver.plan(verb, &asked).map_err(text)?;
        let done = walk::perform(driver, &plan.steps, self.settings.hands, false, true);
        done.failed.map_or(Ok(()), Err)
    }

    fn destroy(&self, id: &str, mut told: Told) -> Told {
        let entry = match self.entry(id) {
            Ok(entry) => entry,
            Err(error) => return told.fail(error),
        };
        (told.driver, told.node) = (entry.spec.driver.clone(), entry.spec.node.clone());
        let carried: Vec<String> = {
            let records = self.records();
            let on = |entry: &&Entry| entry.specs().any(|spec| spec.node == id && spec.id != id);
            records.ledger.guests.values().filter(on).map(|entry| entry.spec.id.clone()).collect()
        };
        if !carried.is_empty() {
            return told
                .fail(format!("{id} carries {}: end them or move them to another node first", carried.join(", ")));
        }
        let mark = self.keep(|records| {
            if let Some(entry) = records.ledger.guests.get_mut(id) {
                entry.phase = Phase::Destroying;
            }
        });
        if let Err(error) = mark {
            return told.fail(error);
        }
        (self.settings.note)(id, "is destroyed");
        // A move that was cut off has it in two places.
        for spec in entry.specs() {
            if let Err(why) = self.remove(spec, &mut told) {
                return told.fail(why);
            }
        }
        if let Err(error) = self.keep(|records| _ = records.ledger.guests.remove(id)) {
            return told.fail(error);
        }
        let let_go = entry.spec.driver == "saltify";
        told.result = if self.settings.test { None } else { Some(true) };
        told.comment = match (self.settings.test, let_go) {
            (true, true) => format!("{id} would be let go; it goes on running"),
            (true, false) => format!("{id} would be destroyed"),
            (false, true) => format!("{id} was let go; it goes on running"),
            (false, false) => format!("{id} was destroyed"),
        };
        told.changes
            .insert("status", Value::map([("old", entry.phase_word()), ("new", differ::ABSENT)].into_iter().collect()));
        told
    }

    /// Ends a machine at its place: itself, the way to it, and what the node had only for such.
    pub(crate) fn remove(&self, spec: &GuestSpec, told: &mut Told) -> Result<(), String> {
        let text = |error: DriverError| error.to_string();
        let (id, node) = (&spec.id, self.node(&spec.node));
        let driver = self.driver(&spec.driver).map_err(text)?;
        let given = self.given(&node.id, id).unwrap_or_default();
        let request = self.ledger().guests.get(id).map(|entry| entry.request.clone()).unwrap_or_default();
        let asked = Asked { node: &node, want: spec, have: None, given: &given, keys: &[], request: &request };
        let plan = driver.plan(&Verb::Destroy, &asked).map_err(text)?;
        told.steps.extend(plan.steps.clone());
        let done = walk::perform(driver, &plan.steps, self.settings.hands, self.settings.test, true);
        told.changes.0.extend(done.changes().0);
        told.reports.extend(done.reports);
        if let Some(why) = done.failed {
            return Err(why);
        }
        // First the way to it, then the line: what is left by a kill in between is found again.
        self.records().book.release(&node.id, id);
        let last = !self.records().ledger.on(&node.id, driver.kind()).any(|other| other != id);
        let mut leave = if last { driver.leave(spec) } else { vec![] };
        let at = Place::Minion(node.id.clone());
        let carried = plan.steps.iter().any(|step| matches!(step, Step::Run { at: place, .. } if *place == at));
        let other = |entry: &Entry| entry.spec.id != *id && entry.specs().any(|spec| spec.node == node.id);
        if carried && !self.records().ledger.guests.values().any(other) {
            leave.push(net::marked(false));
        }
        let allocates = driver.capabilities().allocates;
        if allocates || !leave.is_empty() {
            let done = match allocates {
                true => self.front(&node, leave),
                false => self.settings.hands.run(&at, &leave, self.settings.test),
            };
            let report = done.map_err(|error| error.to_string())?;
            if let Some(why) = walk::failure(&report) {
                return Err(why);
            }
            told.reports.push((node.id, report));
        }
        Ok(())
    }
}

impl Entry {
    fn phase_word(&self) -> &'static str {
        match self.reach {
            Reach::None(_) => "unreachable",
            _ => self.held.unwrap_or(self.spec.status).word(),
        }
    }
}
