//! The four laws in one function: plan; unless this is a dry run, perform each effect of that very plan;
//! let the state judge; plan again and find nothing left to do.

use crate::umask;
use corpus_core::overlay::{self, Overlay};
use corpus_core::state::Planned;
use corpus_core::{
    Act, Call, Command, Effect, Map, Observed, Plan, PlanCx, Prediction, Settled, StateError, Step, Value,
};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// How a plan is carried out.
#[derive(Clone, Copy)]
pub(crate) enum Hands<'a> {
    /// On the machine; `verify` plans again afterwards (law 3).
    Real { host: &'a dyn Act, verify: bool },
    /// On the layer of a dry run.
    Overlay(&'a Overlay<'a>),
    /// Not at all: only asking what it would do.
    None,
}

/// What came of a state.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) result: Option<bool>,
    pub(crate) changes: Map,
    pub(crate) comment: String,
    pub(crate) warnings: Vec<String>,
    pub(crate) accumulate: Option<corpus_core::plan::Accumulate>,
    /// There is something to do (dry run) or something was done.
    pub(crate) acts: bool,
    /// In a dry run: it depends on what only the run will tell.
    pub(crate) unknown: bool,
    /// The dry run took in a step that may change anything.
    pub(crate) opaque: bool,
    /// Failed with an error, not by the state's own judgement: no `check_cmd` mends that.
    pub(crate) error: bool,
}

impl Outcome {
    pub(crate) fn failed(comment: impl Into<String>) -> Self {
        Self { result: Some(false), comment: comment.into(), error: true, ..Self::default() }
    }

    pub(crate) fn done(result: bool, comment: impl Into<String>) -> Self {
        Self { result: Some(result), comment: comment.into(), ..Self::default() }
    }

    /// Makes the outcome of a dry run that cannot know.
    pub(crate) fn unknown(text: &str, depends_on: &[String]) -> Self {
        let text = text.trim_end();
        let colon = if text.is_empty() { "" } else { ": " };
        let on = depends_on.join(", ");
        let comment = format!("{text}{colon}not known before the run, depends on changes of {on}");
        Self { comment, acts: true, unknown: true, opaque: true, ..Self::default() }
    }
}

/// One state function about to act.
pub(crate) struct Converge<'a, 'c> {
    pub(crate) state: &'a dyn Planned,
    pub(crate) cx: &'a PlanCx<'c>,
    pub(crate) hands: Hands<'a>,
    pub(crate) converges: bool,
    /// Call `mod_watch` instead of the function itself.
    pub(crate) watch: bool,
    /// In a dry run: the ids whose changes may make true what is missing now.
    pub(crate) depends_on: &'a [String],
}

impl Converge<'_, '_> {
    /// Runs the state.
    pub(crate) fn run(&self) -> Outcome {
        let planned = caught(|| if self.watch { self.state.watch(self.cx) } else { self.state.plan(self.cx) });
        let plan = match planned {
            Ok(Ok(mut plan)) => {
                umask::apply(&mut plan, self.cx.low, self.cx.host);
                plan
            }
            Ok(Err(error)) if self.may_come(&error) => return Outcome::unknown(&error.to_string(), self.depends_on),
            Ok(Err(error)) => return Outcome::failed(error.to_string()),
            Err(panic) => return Outcome::failed(panic),
        };
        let mut outcome = match self.hands {
            _ if nothing(&plan) => self.unchanged(&plan),
            Hands::Real { host, verify } => self.apply(&plan, host, verify),
            Hands::Overlay(overlay) => self.predict(&plan, overlay),
            Hands::None => would(&plan),
        };
        outcome.warnings = plan.warnings;
        if outcome.result != Some(false) {
            outcome.accumulate = plan.accumulate;
        }
        outcome
    }

    /// Tells whether an error of a dry run may be one that the run will not have.
    fn may_come(&self, error: &StateError) -> bool {
        let missing = match error {
            StateError::Missing(_) => true,
            StateError::Host(error) => error.is_missing() || overlay::is_unknown(&error.why),
            other => overlay::is_unknown(&other.to_string()),
        };
        missing && !self.depends_on.is_empty()
    }

    fn unchanged(&self, plan: &Plan) -> Outcome {
        if plan.failed && !self.depends_on.is_empty() {
            return Outcome::unknown(&plan.unchanged, self.depends_on);
        }
        let charged = plan.accumulate.is_some() && !plan.did.is_empty();
        let comment = if charged { &plan.did } else { &plan.unchanged };
        Outcome::done(!plan.failed, comment.clone())
    }

    fn predict(&self, plan: &Plan, overlay: &Overlay<'_>) -> Outcome {
        if let Some(Effect::Call { fun, args, kwargs }) = &plan.rehearsal {
            return self.rehearsed(plan, self.call(fun, args, kwargs));
        }
        for (n, step) in plan.steps.iter().enumerate() {
            if let Err(error) = overlay.try_absorb(step) {
                if !self.depends_on.is_empty() {
                    return Outcome::unknown(&error.to_string(), self.depends_on);
                }
                return self.broken_off(plan, n, error.to_string());
            }
        }
        let mut outcome = would(plan);
        // A path whose content nobody knows leaves as much open as a step that may change anything.
        let open = |step: &Step| step.predicts.iter().any(|p| matches!(p, Prediction::Opaque | Prediction::Path(_)));
        outcome.opaque = plan.steps.iter().any(open);
        outcome
    }

    /// Makes the outcome of what others say they would do.
    fn rehearsed(&self, plan: &Plan, told: Result<Observed, String>) -> Outcome {
        match told.and_then(|told| self.settle(plan, &[told])) {
            Ok(Settled { result: true, changes, comment }) if !changes.is_empty() => {
                Outcome { changes, comment, acts: true, opaque: true, ..Outcome::default() }
            }
            Ok(Settled { result, changes, comment }) => Outcome { changes, ..Outcome::done(result, comment) },
            Err(error) => Outcome::failed(error),
        }
    }

    fn apply(&self, plan: &Plan, host: &dyn Act, verify: bool) -> Outcome {
        let mut seen = Vec::with_capacity(plan.steps.len());
        for (n, step) in plan.steps.iter().enumerate() {
            let performed = match &step.effect {
                Effect::Call { fun, args, kwargs } => self.call(fun, args, kwargs),
                effect => host.perform(effect).map_err(|error| error.to_string()),
            };
            match performed {
                Ok(observed) => {
                    let failure = observed.output().filter(|out| step.must_succeed && (out.timed_out || !out.ok()));
                    if let (Some(output), Effect::Exec(command)) = (failure, &step.effect) {
                        let why = command_failed(command, output);
                        seen.push(observed);
                        return self.judged(plan, &seen).unwrap_or_else(|| self.broken_off(plan, n, why));
                    }
                    seen.push(observed);
                }
                Err(error) => return self.broken_off(plan, n, error),
            }
        }
        let done = |result: bool, changes: Map, comment: String| Outcome {
            result: Some(result),
            changes,
            comment,
            acts: true,
            ..Outcome::default()
        };
        match self.settle(plan, &seen) {
            Ok(settled) => {
                let result = settled.result && !plan.failed;
                let left = if result && verify && self.converges && !plan.repeats { self.left() } else { None };
                match left {
                    None => done(result, settled.changes, settled.comment),
                    Some(left) => {
                        let said = settled.comment;
                        let newline = if said.is_empty() { "" } else { "\n" };
                        done(false, settled.changes, format!("{said}{newline}{left}"))
                    }
                }
            }
            // Everything was performed: what was planned has been done, though the state cannot say more.
            Err(comment) => Outcome { error: true, ..done(false, plan.changes.clone(), comment) },
        }
    }

    fn settle(&self, plan: &Plan, seen: &[Observed]) -> Result<Settled, String> {
        match caught(|| self.state.settle(plan, seen, self.cx)) {
            Ok(Ok(settled)) => Ok(settled),
            Ok(Err(error)) => Err(error.to_string()),
            Err(panic) => Err(panic),
        }
    }

    /// Looks again (law 3); returns what is wrong, if something still differs.
    fn left(&self) -> Option<String> {
        const SAYS: &str = "did not converge";
        let plan = match caught(|| self.state.plan(self.cx)) {
            Ok(Ok(plan)) => plan,
            Ok(Err(error)) => return Some(format!("{SAYS}: looking again failed: {error}")),
            Err(panic) => return Some(format!("{SAYS}: {panic}")),
        };
        if nothing(&plan) {
            return plan.failed.then(|| format!("{SAYS}: {}", plan.unchanged));
        }
        let keys: Vec<String> = plan.changes.keys().map(corpus_core::python::str).collect();
        let what = match (keys.is_empty(), plan.would.is_empty()) {
            (false, _) => keys.join(", "),
            (true, false) => plan.would,
            (true, true) => format!("{} steps left", plan.steps.len()),
        };
        Some(format!("{SAYS}: after the change, these still differ: {what}"))
    }

    /// Makes the record of a plan whose n-th step failed: what was done before it is claimed, nothing else.
    /// Calls an execution function that a plan names: functions are the run's, not the machine's.
    fn call(&self, fun: &str, args: &[Value], kwargs: &[(String, Value)]) -> Result<Observed, String> {
        let mut call = Call::new(fun, args.to_vec());
        call.kwargs = kwargs.iter().map(|(key, value)| (key.as_str(), value.clone())).collect();
        self.cx.caller.call(&call).map(Observed::Returned).map_err(|error| error.to_string())
    }

    /// Lets the state say in its own words why a step of it failed, if it has any.
    fn judged(&self, plan: &Plan, seen: &[Observed]) -> Option<Outcome> {
        let settled = self.settle(plan, seen).ok().filter(|settled| !settled.result)?;
        let (changes, comment) = (settled.changes, settled.comment);
        Some(Outcome { result: Some(false), changes, comment, acts: true, error: true, ..Outcome::default() })
    }

    fn broken_off(&self, plan: &Plan, n: usize, why: String) -> Outcome {
        let mut outcome = Outcome::failed(why);
        if n == 0 {
            return outcome;
        }
        outcome.acts = true;
        outcome.comment += &format!("\nSteps done before that: {n} of {}", plan.steps.len());
        // A second look tells which of the planned changes have come true. Where it cannot, none is claimed.
        if let (true, Ok(Ok(again))) = (self.converges, caught(|| self.state.plan(self.cx))) {
            outcome.changes = came_true(&plan.changes, &again.changes);
        }
        outcome
    }
}

fn nothing(plan: &Plan) -> bool {
    plan.steps.is_empty() && plan.changes.is_empty()
}

fn would(plan: &Plan) -> Outcome {
    Outcome { changes: plan.changes.clone(), comment: plan.would.clone(), acts: true, ..Outcome::default() }
}

/// Returns the planned changes that a later plan no longer has.
fn came_true(planned: &Map, left: &Map) -> Map {
    let mut done = Map::new();
    for (key, value) in planned {
        match (value, left.get_value(key)) {
            (value, None) => _ = done.insert(key, value),
            (Value::Map(planned), Some(Value::Map(left))) => {
                let inner = came_true(planned, left);
                if !inner.is_empty() {
                    done.insert(key, inner);
                }
            }
            (_, Some(_)) => {}
        }
    }
    done
}

fn command_failed(command: &Command, output: &corpus_core::Output) -> String {
    if command.secret {
        return format!("Command \"***\" failed with return code {}", output.code);
    }
    let line = match command.argv.as_slice() {
        [_, dash_c, line] if dash_c == "-c" => line.clone(),
        argv => argv.join(" "),
    };
    let how = if output.timed_out { " (timed out)" } else { "" };
    let mut text = format!("Command \"{line}\" failed with return code {}{how}", output.code);
    let said = if output.stderr.is_empty() { output.stdout_text() } else { output.stderr_text() };
    let lines: Vec<_> = said.trim_end().lines().collect();
    for line in lines.iter().skip(lines.len().saturating_sub(20)) {
        text.push('\n');
        text.push_str(line);
    }
    text
}

/// Runs a state's code; a panic in it becomes Salt's comment on an exception.
pub(crate) fn caught<T>(run: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|panic| {
        let text = panic
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "no message".into());
        exception(&text)
    })
}

/// Returns Salt's comment on an exception.
pub(crate) fn exception(text: &str) -> String {
    format!("An exception occurred in this state: {text}")
}
