//! Makes a machine as it is declared: allocation, the line in the ledger, the driver's plan, the way to it, its base system.

use crate::cloud::{Cloud, Told};
use crate::differ;
use crate::driver::{Asked, GuestDriver, Step, Verb};
use crate::hands::{Chunk, Place};
use crate::keys;
use crate::ledger::{Entry, Phase};
use crate::net;
use crate::spec::{Guest, GuestSpec, Node, Password, Status};
use crate::store::StoreError;
use crate::walk::{self, Done};
use corpus_core::{Map, Value, python};
use std::sync::PoisonError;

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
        let origin = self.origin(want, have.is_some(), told)?;
        let last = self.ledger().guests.get(&want.id).cloned();
        told.differences = match &origin {
            Some(origin) => vec![differ::placed(&origin.spec, want)],
            None => differ::compare(driver, want, have, last.as_ref()),
        };
        let mut want = want.clone();
        if let Some(held) = last.as_ref().and_then(|last| last.held) {
            want.status = held;
        }
        let given = self.give(driver, &node, &want).map_err(text)?;
        // A dry run makes no key.
        let pair = (self.settings.keys)(&want.id, !self.settings.test)?;
        let (key, keys) = pair.map_or((None, vec![]), |(key, public)| (Some(key), vec![public]));
        let moved = origin.as_ref().filter(|origin| origin.found.is_some() || have.is_some());
        let verb = moved.map_or(Verb::Present, |origin| Verb::Move { from: origin.spec.node.clone() });
        let have_of = moved.and_then(|origin| origin.found.as_ref()).or(have);
        let request = self.request(last.as_ref(), have.is_some());
        let asked = Asked { node: &node, want: &want, have: have_of, given: &given, keys: &keys, request: &request };
        let mut steps = driver.plan(&verb, &asked).map_err(text)?.steps;
        // One that is made anew has lost what it was given; one that is brought has it with it.
        let whole = have.is_some() || steps.iter().any(|step| matches!(step, Step::Carry { .. }));
        let based = whole && last.as_ref().is_some_and(|last| last.based && last.spec.base == want.base);
        mark(&node, &mut steps);
        self.password(&want, have.is_some(), &mut steps)?;
        base(&want, based, &mut steps);
        let ready = last.as_ref().filter(|last| last.phase == Phase::Ready && origin.is_none());
        let mut entry = Entry {
            phase: if ready.is_some() && have.is_some() { Phase::Ready } else { Phase::Creating },
            // What was declared before stays until it is no longer so.
            spec: ready.map_or(&want, |last| &last.spec).clone(),
            reach: driver.reach(&asked),
            login: driver.login(&want, key.as_deref()),
            host_keys: last.as_ref().map(|last| last.host_keys.clone()).unwrap_or_default(),
            request: request.clone(),
            based,
            held: last.as_ref().and_then(|last| last.held),
            from: origin.as_ref().map(|origin| Box::new(origin.spec.clone())),
        };
        entry.login.0.extend(want.roster.clone());
        // A creation that was cut off may have told nobody of the key by which the machine is known.
        if let Some(keys) = have.and_then(|have| have.details.get("host_keys")).and_then(Value::as_list) {
            entry.host_keys = keys.iter().map(python::str).collect();
        }
        // The line stands before the first effect.
        self.keep(|records| _ = records.ledger.guests.insert(want.id.clone(), entry)).map_err(text)?;
        let doing = match (have.is_some(), moved.is_some()) {
            (_, true) => "is moved",
            (true, _) => "is compared",
            (false, _) => "is created",
        };
        (self.settings.note)(&want.id, doing);
        told.steps.clone_from(&steps);
        let mut done = self.steps(driver, &node, &want.id, &steps, have.is_some())?;
        told.changes = done.changes();
        told.reports = std::mem::take(&mut done.reports);
        if let Some(why) = done.failed {
            return Err(match &origin {
                Some(origin) if origin.found.is_some() && !self.settings.test => self.go_on_there(origin, why),
                _ => why,
            });
        }
        let fresh = have.is_none() || ready.is_none();
        let changed = done.unknown || !told.changes.is_empty() || fresh;
        self.keep(|records| {
            if let Some(entry) = records.ledger.guests.get_mut(&want.id) {
                (entry.phase, entry.spec, entry.based) = (Phase::Ready, want.clone(), based || done.based);
            }
        })
        .map_err(text)?;
        if let Some(origin) = &origin {
            // It answers here; what is there is the past.
            if !self.settings.test {
                self.leave_behind(&want.id, told)?;
            }
            let places = [("old", origin.spec.node.as_str()), ("new", &want.node)];
            told.changes.insert("node", Value::map(places.into_iter().collect()));
        }
        told.result = if self.settings.test && changed { None } else { Some(true) };
        let what = match (changed, self.settings.test, fresh) {
            (false, ..) => "is as declared",
            (true, true, true) => "would be created",
            (true, true, false) => "would be changed",
            (true, false, true) => "was created",
            (true, false, false) => "was changed",
        };
        told.comment = match &origin {
            Some(origin) if moved.is_some() => {
                let what = if self.settings.test { "would be moved" } else { "was moved" };
                format!("{} {what} from {} to {}", want.id, origin.spec.node, want.node)
            }
            _ => format!("{} {what}", want.id),
        };
        Ok(())
    }

    /// Adds root's password, which the guest itself compares with the one that it has.
    fn password(&self, want: &GuestSpec, exists: bool, steps: &mut Vec<Step>) -> Result<(), String> {
        let Some(wanted) = want.root_password.as_ref().filter(|_| want.status == Status::Running) else {
            return Ok(());
        };
        answers(want, steps);
        // A dry run asks nothing of what is not there yet.
        if self.settings.test && !exists {
            return Ok(());
        }
        let mut args: Map = [("name", "root")].into_iter().collect();
        match wanted {
            Password::Hash(hash) => _ = args.insert("password", hash.as_str()),
            Password::Generated => {
                let Some(made) = keys::password(self.settings.store, &want.id, !self.settings.test)? else {
                    return Ok(());
                };
                corpus_core::secret::keep([&made]);
                args.insert("password", made);
                args.insert("hash_password", true);
            }
        }
        let chunk = Chunk::new(format!("{}: root's password", want.id), "user.present", args);
        steps.push(Step::Run { at: Place::Minion(want.id.clone()), chunks: vec![chunk] });
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
        // One image comes to a node once, however many guests wait for it there.
        let brings = first.iter().any(|step| matches!(step, Step::Image { .. }));
        let turn = brings.then(|| self.turn(&format!("image {}", node.id)));
        let held = turn.as_ref().map(|turn| turn.lock().unwrap_or_else(PoisonError::into_inner));
        let mut done = walk::perform(driver, first, hands, test, exists);
        drop(held);
        if done.failed.is_none() && driver.capabilities().allocates {
            match self.front(node, vec![]) {
                Ok(report) => {
                    done.failed = walk::failure(&report);
                    done.reports.push((node.id.clone(), report));
                }
                Err(why) => done.failed = Some(why.to_string()),
            }
        }
        self.learn(id, &done).map_err(text)?;
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

/// What runs on the guest's node also says that it is one.
fn mark(node: &Node, steps: &mut [Step]) {
    let place = Place::Minion(node.id.clone());
    for step in steps {
        if let Step::Run { at, chunks } = step
            && *at == place
        {
            return chunks.push(net::marked(true));
        }
    }
}

fn answers(want: &GuestSpec, steps: &mut Vec<Step>) {
    if !steps.iter().any(|step| matches!(step, Step::Answers { .. })) {
        steps.push(Step::Answers { id: want.id.clone(), patience: walk::PATIENCE });
    }
}

impl Cloud<'_> {
    /// Keeps what was learned on the way: host keys, and where it is reached.
    pub(crate) fn learn(&self, id: &str, done: &Done) -> Result<(), StoreError> {
        if done.host_keys.is_empty() && done.way.is_none() {
            return Ok(());
        }
        self.keep(|records| {
            if let Some(entry) = records.ledger.guests.get_mut(id) {
                if !done.host_keys.is_empty() {
                    entry.host_keys.clone_from(&done.host_keys);
                }
                if let Some(way) = &done.way {
                    entry.reach = way.clone();
                }
            }
        })
    }

    /// The word of a creation: the last one's while that is not at its end, otherwise a new one.
    fn request(&self, last: Option<&Entry>, there: bool) -> String {
        match last.filter(|last| !last.request.is_empty() && (there || last.phase == Phase::Creating)) {
            Some(last) => last.request.clone(),
            None => (0..4).flat_map(|_| (self.settings.random)()).map(|byte| format!("{byte:02x}")).collect(),
        }
    }
}

/// Adds the base system, which a machine gets once.
fn base(want: &GuestSpec, based: bool, steps: &mut Vec<Step>) {
    if want.status != Status::Running || want.base.is_empty() || based {
        return;
    }
    answers(want, steps);
    steps.push(Step::Apply { at: Place::Minion(want.id.clone()), sls: want.base.clone() });
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
