//! One call of a chunk: checked, guarded, its slots evaluated, converged, judged by `check_cmd`, retried.
//! Needs nothing of the walk's own state, so that parallel chunks can be called from threads.

use crate::clock::{Clock, milliseconds};
use crate::converge::{Converge, Hands, Outcome, exception};
use crate::guard::Guards;
use crate::retry::{self, Retry};
use crate::walker::Runner;
use crate::{slots, verify};
use corpus_core::overlay::Overlay;
use corpus_core::plan::Accumulate;
use corpus_core::state::Planned;
use corpus_core::{ExecFn, Look, LowChunk, LowState, Map, PlanCx, StateDef};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// What all calls of a run share.
pub(crate) struct Ground<'a> {
    pub(crate) runner: &'a Runner<'a>,
    /// The layer of a dry run.
    pub(crate) overlay: Option<Overlay<'a>>,
    pub(crate) low: &'a LowState,
    pub(crate) clock: Clock,
}

/// What a chunk is called for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Run,
    /// Its `mod_watch`.
    Watch,
    /// Only to know whether it would change something (`prereq`).
    Ask,
}

/// What a call may know of the run around it.
#[derive(Clone, Default)]
pub(crate) struct Around {
    pub(crate) accumulated: Arc<Vec<(u32, Accumulate)>>,
    /// In a dry run: the ids whose changes may make true what is missing now.
    pub(crate) depends_on: Vec<String>,
    /// Those of them that the state names as requisites.
    pub(crate) waits_for: Vec<String>,
}

/// What came of a call.
pub(crate) struct Called {
    pub(crate) outcome: Outcome,
    /// A guard skipped the state, and wants no `mod_watch` either.
    pub(crate) skip_watch: bool,
    /// The outcome is that of `mod_watch`.
    pub(crate) watched: bool,
    pub(crate) start: SystemTime,
    pub(crate) duration_ms: f64,
    /// How many run numbers the call used up.
    pub(crate) calls: u32,
}

impl<'a> Ground<'a> {
    /// The machine, in a dry run as the steps before will have left it.
    pub(crate) fn look(&self) -> &dyn Look {
        match &self.overlay {
            Some(overlay) => overlay,
            None => self.runner.host.as_look(),
        }
    }

    /// Calls a chunk, and its `mod_watch` if a watched state changed and it did nothing by itself.
    pub(crate) fn perform(&self, low: &LowChunk, watch: bool, around: &Around) -> Called {
        let first = self.call(low, Way::Run, around);
        let quiet = !first.outcome.acts && first.outcome.changes.is_empty() && !first.skip_watch;
        // Salt calls it after a failure too. After an error it could only hide what went wrong.
        let fires = watch && quiet && !first.outcome.error;
        if !fires {
            return first;
        }
        let mut second = self.call(low, Way::Watch, around);
        second.calls += first.calls;
        if second.outcome.accumulate.is_none() {
            second.outcome.accumulate = first.outcome.accumulate;
        }
        second
    }

    /// Calls a chunk, again and again if `retry` says so.
    pub(crate) fn call(&self, low: &LowChunk, way: Way, around: &Around) -> Called {
        let start = SystemTime::now();
        let clock = Instant::now();
        let (mut outcome, mut skip_watch) = self.once(low, way, around);
        let mut calls = 1;
        let mut waited = Duration::ZERO;
        if let Some(retry) = Retry::of(&low.args).filter(|_| way != Way::Ask) {
            if self.runner.options.test {
                outcome.comment = format!("{}  {}", outcome.comment, retry.notice());
            } else {
                let mut attempts = vec![];
                while retry.again(calls, outcome.result) {
                    attempts.push(retry::attempt(calls, outcome.result, &outcome.comment));
                    let pause = retry.pause();
                    tracing::info!(id = %low.id, seconds = pause.as_secs(), "The state will be run again.");
                    if self.cancelled_within(pause) {
                        break;
                    }
                    waited += pause;
                    (outcome, skip_watch) = self.once(low, way, around);
                    calls += 1;
                }
                attempts.push(std::mem::take(&mut outcome.comment));
                outcome.comment = attempts.join("\n");
            }
        }
        let took = clock.elapsed().max(waited);
        Called { outcome, skip_watch, watched: way == Way::Watch, start, duration_ms: milliseconds(took), calls }
    }

    /// Waits; true as soon as the run is to stop.
    fn cancelled_within(&self, pause: Duration) -> bool {
        let end = Instant::now() + pause;
        loop {
            if self.runner.source.cancelled() {
                return true;
            }
            match end.saturating_duration_since(Instant::now()) {
                Duration::ZERO => return false,
                left => std::thread::sleep(left.min(Duration::from_millis(100))),
            }
        }
    }

    fn once(&self, low: &LowChunk, way: Way, around: &Around) -> (Outcome, bool) {
        match self.guarded(low, way, around) {
            Ok(answer) => answer,
            Err(failed) => (*failed, false),
        }
    }

    fn guarded(&self, low: &LowChunk, way: Way, around: &Around) -> Result<(Outcome, bool), Box<Outcome>> {
        let runner = self.runner;
        let fail = |comment: String| Box::new(Outcome::failed(comment));
        let def = verify::verify(runner.registry, low).map_err(fail)?;
        if way == Way::Watch && !def.watches {
            return Err(fail(verify::no_mod_watch(low)));
        }
        let mut args = corpus_core::state::arguments(low);
        let has_slots = slots::any(&args);
        // Slots may stand for anything: arguments can be read before the guards only without them.
        let early = if has_slots { None } else { Some(decode(def, &args).map_err(fail)?) };

        let look = self.look();
        let foresee = self.overlay.as_ref().map(|_| (runner.registry, runner.data));
        let guards = Guards { args: &low.args, look, caller: runner.caller, grains: &runner.data.grains, foresee };
        let skip = guards.skip().map_err(|error| fail(exception(&error.to_string())))?;
        let skip_watch = skip.as_ref().is_some_and(|skip| skip.skip_watch);
        let mut outcome = match skip {
            // What a guard finds missing, a requisite of the state may be about to make.
            Some(skip) if runner.options.test && way == Way::Run && !around.waits_for.is_empty() => {
                Outcome::unknown(&skip.comment, &around.waits_for)
            }
            Some(skip) => Outcome::done(true, skip.comment),
            None if verify::conditions_unmet(runner.data, runner.caller, low) => {
                let comment = "Failed to meet global state conditions. State not called.";
                Outcome { comment: comment.into(), ..Outcome::default() }
            }
            None if has_slots && self.dry(way) && self.writes(&args) => {
                let functions = slots::functions(&args).join(", ");
                Outcome::unknown("", &[format!("what {functions} returns")])
            }
            None => {
                let state = match early {
                    Some(state) => state,
                    None => {
                        args = slots::evaluate(&args, runner.caller)
                            .map_err(|error| fail(exception(&error.to_string())))?;
                        decode(def, &args).map_err(fail)?
                    }
                };
                self.converge(low, has_slots.then_some(&args), def, &*state, way, around)
            }
        };
        // Salt runs it after a skip as well, and lets it overrule the state's own verdict.
        let open = self.dry(way) && outcome.result.is_none();
        if !def.checks && !outcome.error && !open {
            let verdict = guards.check_cmd().map_err(|error| {
                let why = exception(&error.to_string());
                Box::new(Outcome { changes: outcome.changes.clone(), acts: outcome.acts, ..Outcome::failed(why) })
            })?;
            if let Some(ok) = verdict {
                let how = if ok { "succeeded" } else { "failed" };
                outcome.result = Some(ok);
                outcome.comment = format!("check_cmd determined the state {how}");
            }
        }
        Ok((outcome, skip_watch))
    }

    fn converge(
        &self,
        low: &LowChunk,
        evaluated: Option<&Map>,
        def: &StateDef,
        state: &dyn Planned,
        way: Way,
        around: &Around,
    ) -> Outcome {
        let runner = self.runner;
        let changed = evaluated.map(|args| {
            let mut low = low.clone();
            for (key, value) in args {
                match key.as_str() {
                    Some("name") => low.name = value.clone(),
                    _ => _ = low.args.0.insert(key.clone(), value.clone()),
                }
            }
            low
        });
        let cx = PlanCx {
            host: self.look(),
            source: runner.source,
            caller: runner.caller,
            data: runner.data,
            low: changed.as_ref().unwrap_or(low),
            test: self.dry(way),
            accumulated: &around.accumulated,
            chunks: &self.low.chunks,
        };
        let hands = match (&self.overlay, way) {
            (_, Way::Ask) => Hands::None,
            (Some(overlay), _) => Hands::Overlay(overlay),
            (None, _) => Hands::Real { host: runner.host, verify: !runner.options.skip_verify },
        };
        let (converges, watch) = (def.converges, way == Way::Watch);
        Converge { state, cx: &cx, hands, converges, watch, depends_on: &around.depends_on }.run()
    }

    fn dry(&self, way: Way) -> bool {
        self.runner.options.test || way == Way::Ask
    }

    /// Tells whether a slot calls something that may change the machine.
    fn writes(&self, args: &Map) -> bool {
        let write = |fun: &String| match self.runner.registry.function(fun) {
            Some(def) => matches!(def.run, ExecFn::Write(_)),
            None => self.runner.caller.may_write(fun),
        };
        slots::functions(args).iter().any(write)
    }
}

fn decode(def: &StateDef, args: &Map) -> Result<Box<dyn Planned>, String> {
    (def.decode)(args).map_err(|error| verify::bad_arguments(def.name, &error))
}
