//! `listen`: what is called once, after all ordinary chunks, because something changed.

use crate::call::{Called, Way};
use crate::converge::Outcome;
use crate::walker::{Decided, Walk};
use corpus_core::{ChunkReport, Event, LowChunk, RequisiteKind, Value};
use std::time::SystemTime;

impl Walk<'_, '_> {
    /// Calls the `mod_watch` of every listener that heard a change. Salt does so even after a hard failure.
    pub(crate) fn listeners(&mut self) {
        let chunks = &self.ground.low.chunks;
        self.stop = self.ground.runner.source.cancelled();
        if self.stop {
            return;
        }
        let mut errors: Vec<&(String, String)> = vec![];
        for (i, low) in chunks.iter().enumerate() {
            let listens = || low.requisites.iter().filter(|r| r.kind == RequisiteKind::Listen);
            for missing in listens().flat_map(|r| &r.missing) {
                if !errors.contains(&missing) {
                    errors.push(missing);
                }
            }
            let heard = |test: fn(&Decided) -> bool| {
                let targets =
                    listens().flat_map(|r| &r.targets).filter_map(|t| self.decided.get(*t as usize)?.as_ref());
                targets.filter(|decided| test(decided)).map(|d| d.record.id.to_string()).collect::<Vec<_>>()
            };
            let changed = !heard(|decided| decided.changed() && !decided.unknown).is_empty();
            let perhaps = heard(|decided| decided.unknown);
            if self.stop || (!changed && perhaps.is_empty()) {
                continue;
            }
            self.listener(i, low, if changed { &[] } else { &perhaps });
        }
        for (state, target) in errors {
            self.listen_error(state, target);
        }
    }

    fn listener(&mut self, i: usize, low: &LowChunk, perhaps: &[String]) {
        let around = self.around(i);
        let mut low = low.clone();
        low.id = format!("listener_{}", low.id).into();
        low.requisites.clear();
        let mut shown = low.clone();
        shown.fun = "mod_watch".into();
        if self.extra.iter().any(|record| record.tag == shown.tag()) {
            return;
        }
        let runner = self.ground.runner;
        (runner.events)(Event::Started { tag: shown.tag(), id: shown.id.clone(), fun: shown.full_name() });
        let called = if perhaps.is_empty() {
            self.ground.call(&low, Way::Watch, &around)
        } else {
            let (outcome, start) = (Outcome::unknown("", perhaps), SystemTime::now());
            Called { outcome, skip_watch: false, watched: false, start, duration_ms: 0.0, calls: 1 }
        };
        let run_num = self.run_num + called.calls - 1;
        self.run_num += called.calls;
        let mut record = self.decided_of(&shown, called).record;
        record.run_num = run_num;
        self.stop |= self.fails_hard(&low, &record);
        (runner.events)(Event::Finished(Box::new(record.clone())));
        let total = self.ground.low.chunks.len();
        crate::event::of_chunk(runner, low.args.get("fire_event"), &record, total);
        self.extra.push(record);
    }

    fn listen_error(&mut self, state: &str, target: &str) {
        let low = LowChunk {
            state: "Listen_Error".into(),
            fun: "Listen_Error".into(),
            id: format!("listen_{target}").into(),
            name: format!("listen_{state}").into(),
            ..LowChunk::default()
        };
        let record = ChunkReport {
            // Salt: the tag has the state only, the name both.
            name: Value::from(format!("listen_{state}:{target}")),
            sls: None,
            result: Some(false),
            comment: format!("Referenced state {state}: {target} does not exist"),
            run_num: self.run_num,
            ..self.untimed(&low)
        };
        self.run_num += 1;
        (self.ground.runner.events)(Event::Finished(Box::new(record.clone())));
        self.extra.push(record);
    }
}
