//! The walk itself: every chunk in order, its requisites looked at, its record made, parallel ones joined
//! where they are needed.

use crate::call::{Around, Called, Ground, Way};
use crate::clock::Clock;
use crate::converge::Outcome;
use crate::requisite::{Status, Target, Verdict, decide};
use crate::{aggregate, event, verify};
use corpus_core::overlay::Overlay;
use corpus_core::plan::Accumulate;
use corpus_core::{
    Act, Caller, ChunkReport, Data, Event, LowChunk, LowState, Registry, RequisiteKind as Kind, RunOptions, RunReport,
    Source, Value,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread::{Scope, ScopedJoinHandle};
use std::time::{Duration, SystemTime};

/// Everything that a run is given.
pub struct Runner<'a> {
    pub registry: &'a Registry,
    pub host: &'a dyn Act,
    pub source: &'a dyn Source,
    pub caller: &'a dyn Caller,
    pub data: &'a Data,
    pub options: &'a RunOptions,
    /// Told what happens, as it happens.
    pub events: &'a (dyn Fn(Event) + Sync),
}

impl Runner<'_> {
    /// Steps through the low state.
    pub fn run(&self, low: &LowState) -> RunReport {
        let overlay = self.options.test.then(|| Overlay::new(self.host.as_look()));
        let ground = Ground { runner: self, overlay, low, clock: Clock::local() };
        std::thread::scope(|scope| {
            let mut walk = Walk::new(&ground, scope);
            walk.chunks();
            walk.listeners();
            walk.report()
        })
    }
}

/// A chunk that has been decided, or would be.
#[derive(Clone)]
pub(crate) struct Decided {
    pub(crate) record: ChunkReport,
    /// In a dry run: would change something, though its record may not be able to say what.
    pub(crate) pending: bool,
    /// In a dry run: whether it will change something is not known.
    pub(crate) unknown: bool,
}

impl Decided {
    /// Tells whether it changed something, or would.
    pub(crate) fn changed(&self) -> bool {
        self.record.changed() || self.pending
    }
}

struct Flight<'s> {
    run_num: u32,
    handle: ScopedJoinHandle<'s, Called>,
}

/// A run under way.
pub(crate) struct Walk<'s, 'e> {
    pub(crate) ground: &'e Ground<'e>,
    scope: &'s Scope<'s, 'e>,
    pub(crate) decided: Vec<Option<Decided>>,
    /// What dry runs for `prereq` said.
    asked: Vec<Option<Decided>>,
    /// Requisites as they count: grouped by kind, disabled ones left out, `watch` of those that cannot as `require`.
    pub(crate) requisites: Vec<Vec<(Kind, Vec<usize>)>>,
    /// The chunks that have `prereq` on this one: it waits for them.
    prerequired: Vec<Vec<usize>>,
    visiting: Vec<bool>,
    flying: BTreeMap<usize, Flight<'s>>,
    /// Parallel chunks whose requisites are still running.
    waiting: Vec<usize>,
    /// Folded into an earlier chunk of the same function.
    pub(crate) folded: Vec<bool>,
    pub(crate) run_num: u32,
    accumulated: Arc<Vec<(u32, Accumulate)>>,
    /// In a dry run: ids of the chunks that may change anything.
    opaque: Vec<String>,
    pub(crate) stop: bool,
    /// Records of chunks that are not in the low state: listeners.
    pub(crate) extra: Vec<ChunkReport>,
}

impl<'s, 'e> Walk<'s, 'e> {
    fn new(ground: &'e Ground<'e>, scope: &'s Scope<'s, 'e>) -> Self {
        let count = ground.low.chunks.len();
        let mut prerequired = vec![vec![]; count];
        let requisites: Vec<_> = ground.low.chunks.iter().map(|low| effective(ground, low, count)).collect();
        for (i, requisites) in requisites.iter().enumerate() {
            for (_, targets) in requisites.iter().filter(|(kind, _)| *kind == Kind::Prereq) {
                targets.iter().for_each(|t: &usize| prerequired[*t].push(i));
            }
        }
        Self {
            ground,
            scope,
            decided: vec![None; count],
            asked: vec![None; count],
            requisites,
            prerequired,
            visiting: vec![false; count],
            flying: BTreeMap::new(),
            waiting: vec![],
            folded: vec![false; count],
            run_num: 0,
            accumulated: Arc::default(),
            opaque: vec![],
            stop: false,
            extra: vec![],
        }
    }

    fn chunks(&mut self) {
        for (i, low) in self.ground.low.chunks.iter().enumerate() {
            if let Some(comment) = verify::disabled(self.ground.runner.data, low) {
                self.not_run(i, false, comment);
            }
        }
        for i in 0..self.ground.low.chunks.len() {
            self.stop |= self.ground.runner.source.cancelled();
            if self.stop {
                break;
            }
            self.land();
            self.wake(false);
            self.step(i, false);
            if self.stop {
                break;
            }
        }
        while !self.stop && !self.waiting.is_empty() {
            self.wake(true);
        }
        // A failure stops what has not begun; what is under way ends, and says how.
        while let Some(i) = self.flying.keys().next().copied() {
            self.join(i);
        }
    }

    fn report(self) -> RunReport {
        let options = self.ground.runner.options;
        let mut chunks: Vec<_> = self.decided.into_iter().flatten().map(|decided| decided.record).collect();
        chunks.extend(self.extra);
        chunks.sort_by_key(|record| record.run_num);
        RunReport { jid: options.jid.clone(), test: options.test, chunks }
    }

    /// Decides a chunk, what it waits for first. Unless `force`d, a parallel chunk is put off rather than waited for.
    fn step(&mut self, i: usize, force: bool) {
        if self.stop || self.settled(i) {
            return;
        }
        if self.visiting[i] {
            // The compiler refuses cycles; this one keeps a bad low state from running for ever.
            return self.not_run(i, false, "Recursive requisite found".into());
        }
        self.visiting[i] = true;
        let force = force || !self.parallel(i);
        for (kind, target) in self.targets(i, true) {
            if kind == Kind::Prereq {
                self.ask(target)
            } else {
                self.step(target, force)
            }
            if self.stop {
                break;
            }
        }
        self.visiting[i] = false;
        if self.stop || self.settled(i) {
            return;
        }
        if force {
            self.join_targets(i);
        } else if self.targets(i, true).iter().any(|(kind, t)| *kind != Kind::Prereq && self.decided[*t].is_none()) {
            if !self.waiting.contains(&i) {
                self.waiting.push(i);
            }
            return;
        }
        if !self.stop {
            self.act_on_status(i);
        }
    }

    fn act_on_status(&mut self, i: usize) {
        let (status, otherwise) = self.status(i, true);
        if status != otherwise && !(runs(status) && runs(otherwise)) {
            return self.not_known(i);
        }
        if runs(status) {
            self.call(i, status, status != otherwise);
        } else {
            self.skipped(i, status);
        }
    }

    /// Records what the requisites keep from running.
    fn skipped(&mut self, i: usize, status: Status) {
        let (result, comment) = match status {
            Status::Fail => return self.failed_requisite(i),
            Status::Pre => (true, "No changes detected"),
            Status::Onfail => (true, "State was not run because onfail req did not change"),
            Status::Onchanges => (true, "State was not run because none of the onchanges reqs changed"),
            Status::SkipReq => (true, "State was not run because requisites were skipped by another state"),
            // Only a cycle leaves a target undecided, and the compiler refuses those.
            _ => (false, "Recursive requisite found"),
        };
        self.not_run(i, result, comment.into());
    }

    fn call(&mut self, i: usize, status: Status, watch_unknown: bool) {
        let ground = self.ground;
        let low = &ground.low.chunks[i];
        (ground.runner.events)(Event::Started { tag: low.tag(), id: low.id.clone(), fun: low.full_name() });
        let around = self.around(i);
        let watch = status == Status::Change;
        let folded = aggregate::fold(self, i);
        if self.parallel(i) {
            self.make_room();
            let handle = self.scope.spawn(move || ground.perform(folded.as_ref().unwrap_or(low), watch, &around));
            self.flying.insert(i, Flight { run_num: self.run_num, handle });
            self.run_num += 1;
            return;
        }
        let mut called = ground.perform(folded.as_ref().unwrap_or(low), watch, &around);
        if status == Status::SkipWatch {
            called.outcome.comment += " mod_watch was not run because requisites were skipped by another state";
        }
        let quiet = !called.outcome.acts && called.outcome.result == Some(true) && !called.skip_watch;
        if watch_unknown && quiet {
            called.outcome = Outcome::unknown(&called.outcome.comment, &self.unknown_targets(i));
        }
        let run_num = self.run_num + called.calls - 1;
        self.run_num += called.calls;
        self.finish(i, called, run_num);
    }

    fn finish(&mut self, i: usize, mut called: Called, run_num: u32) {
        let low = &self.ground.low.chunks[i];
        if called.watched {
            self.name_watched(i, &mut called.outcome);
        }
        if let Some(accumulate) = called.outcome.accumulate.take() {
            Arc::make_mut(&mut self.accumulated).push((u32::try_from(i).unwrap_or(u32::MAX), accumulate));
        }
        if self.ground.runner.options.test && called.outcome.opaque {
            self.opaque.push(low.id.to_string());
        }
        let mut decided = self.decided_of(low, called);
        decided.record.run_num = run_num;
        if self.parallel(i) {
            decided.record.extra.insert("__parallel__", true);
        }
        self.decide(i, decided);
    }

    /// Salt's `test.mod_watch` names the watched states that changed; only the walker knows them.
    fn name_watched(&self, i: usize, outcome: &mut Outcome) {
        let Some(names) = outcome.changes.get_mut("Requisites with changes") else { return };
        let watched =
            self.requisites[i].iter().filter(|(kind, _)| *kind == Kind::Watch).flat_map(|(_, targets)| targets);
        let changed = watched.filter(|t| self.decided[**t].as_ref().is_some_and(Decided::changed));
        let chunks = &self.ground.low.chunks;
        *names = changed.map(|t| format!("{}: {}", chunks[*t].state, chunks[*t].id)).collect::<Vec<_>>().into();
    }

    /// Makes the record of a call.
    pub(crate) fn decided_of(&self, low: &LowChunk, called: Called) -> Decided {
        let outcome = called.outcome;
        let mut record = blank(low);
        record.result = outcome.result;
        record.changes = Value::map(outcome.changes);
        record.comment = outcome.comment;
        record.warnings = outcome.warnings;
        record.start_time = self.ground.clock.time_of_day(called.start);
        record.duration_ms = called.duration_ms;
        if called.skip_watch {
            record.extra.insert("skip_watch", true);
        }
        Decided { pending: outcome.result.is_none() && outcome.acts, unknown: outcome.unknown, record }
    }

    fn decide(&mut self, i: usize, decided: Decided) {
        let runner = self.ground.runner;
        let low = &self.ground.low.chunks[i];
        (runner.events)(Event::Finished(Box::new(decided.record.clone())));
        event::of_chunk(runner, low.args.get("fire_event"), &decided.record, self.ground.low.chunks.len());
        self.stop |= self.fails_hard(low, &decided.record) || runner.source.cancelled();
        self.decided[i] = Some(decided);
    }

    /// Tells whether a record ends the run. Salt: never in a dry run.
    pub(crate) fn fails_hard(&self, low: &LowChunk, record: &ChunkReport) -> bool {
        let options = self.ground.runner.options;
        let hard = low.args.get("failhard").map_or(options.failhard, Value::truthy);
        hard && !options.test && record.result == Some(false)
    }

    /// Records a chunk that was not called.
    fn not_run(&mut self, i: usize, result: bool, comment: String) {
        let low = &self.ground.low.chunks[i];
        (self.ground.runner.events)(Event::Started { tag: low.tag(), id: low.id.clone(), fun: low.full_name() });
        let mut record = self.untimed(low);
        record.result = Some(result);
        record.comment = comment;
        record.ran = false;
        record.run_num = self.run_num;
        self.run_num += 1;
        self.decide(i, Decided { record, pending: false, unknown: false });
    }

    /// Makes an empty record with a time.
    pub(crate) fn untimed(&self, low: &LowChunk) -> ChunkReport {
        ChunkReport { start_time: self.ground.clock.time_of_day(SystemTime::now()), ..blank(low) }
    }

    fn failed_requisite(&mut self, i: usize) {
        if let Some(mut asked) = self.asked[i].take() {
            // Its own dry run said what it would change; as the state that runs before it failed, it will not.
            asked.record.changes = Value::map(Default::default());
            asked.record.run_num = self.run_num;
            asked.pending = false;
            self.run_num += 1;
            return self.decide(i, asked);
        }
        let mut names: Vec<String> = vec![];
        for (_, target) in self.targets(i, true) {
            let known = self.asked[target].as_ref().or(self.decided[target].as_ref());
            if known.is_some_and(|decided| decided.record.result == Some(false)) {
                let low = &self.ground.low.chunks[target];
                let name = format!("{}.{}", low.sls, low.id);
                if !names.contains(&name) {
                    names.push(name);
                }
            }
        }
        self.not_run(i, false, format!("One or more requisite failed: {}", names.join(", ")));
    }

    /// Asks a chunk what it would change, for the `prereq` of another.
    fn ask(&mut self, i: usize) {
        if self.stop || self.asked[i].is_some() {
            return;
        }
        if self.decided[i].is_some() {
            self.asked[i] = self.decided[i].clone();
            return;
        }
        if self.visiting[i] {
            return self.not_run(i, false, "Recursive requisite found".into());
        }
        self.visiting[i] = true;
        for (kind, target) in self.targets(i, false) {
            if kind == Kind::Prereq { self.ask(target) } else { self.step(target, true) }
        }
        self.visiting[i] = false;
        self.join_targets(i);
        if self.stop || self.decided[i].is_some() {
            return;
        }
        let (status, otherwise) = self.status(i, false);
        if !runs(status) && status == otherwise {
            self.skipped(i, status);
            self.asked[i] = self.decided[i].clone();
            return;
        }
        let low = &self.ground.low.chunks[i];
        let mut called = self.ground.call(low, Way::Ask, &self.around(i));
        if !runs(status) || !runs(otherwise) {
            called.outcome = Outcome::unknown("", &self.unknown_targets(i));
        }
        let quiet = called.outcome.result == Some(true) && !called.outcome.acts && !called.skip_watch;
        if quiet && status == Status::Change {
            // It does nothing by itself, but its `mod_watch` will be called.
            called.outcome.result = None;
            called.outcome.acts = true;
            called.outcome.changes.insert("watch", "watch");
        }
        self.asked[i] = Some(self.decided_of(low, called));
    }

    /// Records a chunk of a dry run of which not even the requisites are known.
    fn not_known(&mut self, i: usize) {
        let low = &self.ground.low.chunks[i];
        (self.ground.runner.events)(Event::Started { tag: low.tag(), id: low.id.clone(), fun: low.full_name() });
        let outcome = Outcome::unknown("", &self.unknown_targets(i));
        let start = SystemTime::now();
        let called = Called { outcome, skip_watch: false, watched: false, start, duration_ms: 0.0, calls: 1 };
        let run_num = self.run_num;
        self.run_num += 1;
        self.finish(i, called, run_num);
    }

    /// Returns what the requisites say; twice, if that depends on targets that a dry run does not know:
    /// once as if they changed nothing, once as if they did.
    fn status(&self, i: usize, prerequired: bool) -> (Status, Status) {
        let decide = |changed: bool| {
            let verdicts: Vec<(Kind, Vec<Verdict>)> = self
                .groups(i, prerequired)
                .map(|(kind, targets)| (kind, targets.iter().map(|t| self.verdict(kind, *t, changed)).collect()))
                .collect();
            decide(verdicts.iter().map(|(kind, verdicts)| (*kind, verdicts.as_slice())))
        };
        let status = decide(false);
        let otherwise = if self.ground.runner.options.test { decide(true) } else { status };
        (status, otherwise)
    }

    fn verdict(&self, kind: Kind, target: usize, if_unknown: bool) -> Verdict {
        let known = if kind == Kind::Prereq { &self.asked[target] } else { &self.decided[target] };
        let decided = known.as_ref()?;
        let onfail = matches!(kind, Kind::Onfail | Kind::OnfailAny | Kind::OnfailAll);
        let mut result = decided.record.result;
        let mut changed = decided.changed();
        if decided.unknown {
            changed = if_unknown;
            result = match kind {
                _ if onfail => Some(!if_unknown),
                Kind::Prereq => (!if_unknown).then_some(true),
                _ => None,
            };
        } else if onfail && decided.pending {
            // A dry run that finds work to do predicts success; Salt would call what is to run after a failure.
            result = Some(true);
        }
        let skip_req = decided.record.extra.get("skip_req").is_some_and(Value::truthy);
        Some(Target { result, changed, ran: decided.record.ran, skip_req })
    }

    fn groups(&self, i: usize, prerequired: bool) -> impl Iterator<Item = (Kind, &[usize])> {
        let own = self.requisites[i].iter().map(|(kind, targets)| (*kind, targets.as_slice()));
        let before =
            Some((Kind::Require, self.prerequired[i].as_slice())).filter(|(_, d)| prerequired && !d.is_empty());
        own.chain(before)
    }

    pub(crate) fn targets(&self, i: usize, prerequired: bool) -> Vec<(Kind, usize)> {
        self.groups(i, prerequired).flat_map(|(kind, targets)| targets.iter().map(move |t| (kind, *t))).collect()
    }

    fn unknown_targets(&self, i: usize) -> Vec<String> {
        let mut ids = vec![];
        for (kind, target) in self.targets(i, true) {
            let known = if kind == Kind::Prereq { &self.asked[target] } else { &self.decided[target] };
            let id = self.ground.low.chunks[target].id.to_string();
            if known.as_ref().is_some_and(|decided| decided.unknown) && !ids.contains(&id) {
                ids.push(id);
            }
        }
        ids
    }

    /// Returns what a call of this chunk may know of the run.
    pub(crate) fn around(&self, i: usize) -> Around {
        let (mut depends_on, mut waits_for) = (vec![], vec![]);
        if self.ground.runner.options.test {
            for (_, target) in self.targets(i, true) {
                let id = self.ground.low.chunks[target].id.to_string();
                if self.decided[target].as_ref().is_some_and(|d| d.pending) && !depends_on.contains(&id) {
                    depends_on.push(id);
                }
            }
            waits_for.clone_from(&depends_on);
            if depends_on.is_empty() {
                depends_on.clone_from(&self.opaque);
            }
        }
        Around { accumulated: self.accumulated.clone(), depends_on, waits_for }
    }

    fn settled(&self, i: usize) -> bool {
        self.decided[i].is_some() || self.flying.contains_key(&i)
    }

    /// A dry run changes nothing, so it has nothing to do at the same time either: its layer grows in order.
    fn parallel(&self, i: usize) -> bool {
        let wants = self.ground.low.chunks[i].args.get("parallel").is_some_and(Value::truthy);
        wants && !self.ground.runner.options.test
    }

    /// Takes in the parallel chunks that have ended.
    fn land(&mut self) {
        let ended: Vec<_> = self.flying.iter().filter(|(_, f)| f.handle.is_finished()).map(|(i, _)| *i).collect();
        ended.into_iter().for_each(|i| self.join(i));
    }

    /// Waits until `state_max_parallel` lets one more begin.
    fn make_room(&mut self) {
        let limit = self.ground.runner.data.opts.get("state_max_parallel").and_then(Value::as_int).unwrap_or(0);
        let limit = usize::try_from(limit).ok().filter(|limit| *limit > 0);
        while limit.is_some_and(|limit| self.flying.len() >= limit) {
            self.land();
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Tries those again that were put off.
    fn wake(&mut self, force: bool) {
        for i in std::mem::take(&mut self.waiting) {
            self.step(i, force);
        }
    }

    fn join_targets(&mut self, i: usize) {
        for (_, target) in self.targets(i, true) {
            self.join(target);
        }
    }

    fn join(&mut self, i: usize) {
        let Some(flight) = self.flying.remove(&i) else { return };
        let called = flight.handle.join().unwrap_or_else(|_| Called {
            outcome: Outcome::failed("Parallel process failed to return"),
            skip_watch: false,
            watched: false,
            start: SystemTime::now(),
            duration_ms: 0.0,
            calls: 1,
        });
        self.finish(i, called, flight.run_num);
    }
}

fn runs(status: Status) -> bool {
    matches!(status, Status::Met | Status::Change | Status::SkipWatch)
}

/// Returns the requisites of a chunk as they count.
fn effective(ground: &Ground<'_>, low: &LowChunk, count: usize) -> Vec<(Kind, Vec<usize>)> {
    let runner = ground.runner;
    let watches = runner.registry.state(&low.full_name()).is_some_and(|def| def.watches);
    let mut groups: Vec<(Kind, Vec<usize>)> = vec![];
    for requisite in low.requisites.iter().filter(|r| r.kind != Kind::Listen) {
        let word = requisite.kind.word();
        if runner.options.disabled_requisites.iter().any(|disabled| disabled == word) {
            tracing::warn!("The {word} requisite has been disabled, Ignoring.");
            continue;
        }
        let kind = match requisite.kind {
            Kind::Watch if !watches => Kind::Require,
            Kind::WatchAny if !watches => Kind::RequireAny,
            kind => kind,
        };
        let targets = requisite.targets.iter().filter_map(|t| usize::try_from(*t).ok()).filter(|t| *t < count);
        match groups.iter_mut().find(|(k, _)| *k == kind) {
            Some((_, all)) => all.extend(targets),
            None => groups.push((kind, targets.collect())),
        }
    }
    groups
}

fn blank(low: &LowChunk) -> ChunkReport {
    ChunkReport {
        tag: low.tag(),
        id: low.id.clone(),
        name: low.name.clone(),
        state: low.state.clone(),
        fun: low.fun.clone(),
        sls: Some(low.sls.clone()),
        changes: Value::map(Default::default()),
        ran: true,
        span: low.span.clone(),
        ..ChunkReport::default()
    }
}
