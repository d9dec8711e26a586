//! Runners: what the master does by itself, for no minion in particular. `state.orchestrate` walks states in the master's
//! own process, whose steps call minions; the functions that those steps use are here, too.

use crate::diagnose::{Failure, HostReturn, Kind, Outcome};
use crate::session::Session;
use crate::{Corpus, Progress, Selector, fleet};
use corpus_core::target::TargetKind;
use corpus_core::{Call, ExecError, Map, Value, python};
use corpus_minion::{Local, LocalOptions};
use std::sync::Arc;

/// How a runner answers.
pub type Run = fn(&Arc<Corpus>, &Call, &(dyn Fn(Progress<'_>) + Sync)) -> Result<HostReturn, Failure>;

/// A runner.
pub struct RunnerDef {
    pub name: &'static str,
    pub args: &'static str,
    pub doc: &'static str,
    pub run: Run,
}

const ORCHESTRATE: &str =
    "Walks states on the master, whose steps (`salt.state`, `salt.function`, `salt.runner`) call minions.";

/// All runners.
pub const RUNNERS: &[RunnerDef] = &[
    RunnerDef { name: "manage.down", args: "()", doc: "Lists the minions that do not answer.", run: down },
    RunnerDef {
        name: "manage.status",
        args: "()",
        doc: "Lists the minions that answer, and those that do not.",
        run: status,
    },
    RunnerDef { name: "manage.up", args: "()", doc: "Lists the minions that answer.", run: up },
    RunnerDef {
        name: "state.orch",
        args: "(mods, test=False, pillar=None, saltenv='base', exclude=None)",
        doc: ORCHESTRATE,
        run: orchestrate,
    },
    RunnerDef {
        name: "state.orchestrate",
        args: "(mods, test=False, pillar=None, saltenv='base', exclude=None)",
        doc: ORCHESTRATE,
        run: orchestrate,
    },
];

impl Corpus {
    /// Tells whether a function is the master's own.
    pub fn is_runner(&self, fun: &str) -> bool {
        self.runners().any(|def| def.name == fun)
    }

    /// Calls a runner.
    pub fn runner(
        self: &Arc<Self>,
        call: &Call,
        progress: &(dyn Fn(Progress<'_>) + Sync),
    ) -> Result<HostReturn, Failure> {
        let Some(def) = self.runners().find(|def| def.name == call.fun) else {
            return Err(Failure::new(Kind::Function, format!("'{}' is not a runner", call.fun)));
        };
        (def.run)(self, call, progress)
    }

    /// Salt: the master as its own minion.
    fn master_id(&self) -> String {
        format!("{}_master", self.config.id)
    }

    /// Makes a runner's answer of a value.
    pub fn answered(&self, call: &Call, value: Value) -> HostReturn {
        HostReturn {
            id: self.master_id(),
            fun: call.fun.clone(),
            outcome: Outcome::Value(value),
            retcode: 0,
            timings: None,
            warnings: vec![],
        }
    }
}

fn orchestrate(
    corpus: &Arc<Corpus>,
    call: &Call,
    progress: &(dyn Fn(Progress<'_>) + Sync),
) -> Result<HostReturn, Failure> {
    if call.text(0, "mods").is_none() {
        return Err(Failure::new(Kind::Usage, format!("{}: the argument `mods` is missing", call.fun))
            .hint("name the SLS of the orchestration: `corpus state.orchestrate orch.deploy`"));
    }
    // A place of its own: a step may converge this very machine, which takes one run at a time.
    let place =
        tempfile::tempdir().map_err(|error| Failure::new(Kind::Host, format!("no temporary folder: {error}")))?;
    let minion = Local::new(LocalOptions { cache: place.path().join("cache"), lock: place.path().join("lock") });
    let session = Session::new(corpus.clone(), corpus.master_id(), Box::new(minion)).orchestrating();
    let mut states = call.clone();
    states.fun = "state.sls".into();
    let mut answer = fleet::answer(&Arc::new(session), &states, progress);
    answer.fun.clone_from(&call.fun);
    progress(Progress::Done(&answer));
    Ok(answer)
}

/// Asks all minions of the roster whether they answer.
fn pinged(corpus: &Arc<Corpus>) -> Result<(Vec<Value>, Vec<Value>), Failure> {
    let all = Selector::new(TargetKind::Glob, "*");
    let answers = corpus.fleet(&all, &Call::new("test.ping", vec![]), &|_| {})?;
    let (up, down): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.code() == 0);
    let ids = |answers: Vec<HostReturn>| answers.into_iter().map(|answer| Value::str(answer.id)).collect();
    Ok((ids(up), ids(down)))
}

fn told(corpus: &Arc<Corpus>, call: &Call, value: Value, progress: &(dyn Fn(Progress<'_>) + Sync)) -> HostReturn {
    let answer = corpus.answered(call, value);
    progress(Progress::Done(&answer));
    answer
}

fn up(corpus: &Arc<Corpus>, call: &Call, progress: &(dyn Fn(Progress<'_>) + Sync)) -> Result<HostReturn, Failure> {
    let (up, _) = pinged(corpus)?;
    Ok(told(corpus, call, Value::list(up), progress))
}

fn down(corpus: &Arc<Corpus>, call: &Call, progress: &(dyn Fn(Progress<'_>) + Sync)) -> Result<HostReturn, Failure> {
    let (_, down) = pinged(corpus)?;
    Ok(told(corpus, call, Value::list(down), progress))
}

fn status(corpus: &Arc<Corpus>, call: &Call, progress: &(dyn Fn(Progress<'_>) + Sync)) -> Result<HostReturn, Failure> {
    let (up, down) = pinged(corpus)?;
    let both: Map = [("up", Value::list(up)), ("down", Value::list(down))].into_iter().collect();
    Ok(told(corpus, call, Value::map(both), progress))
}

/// Tells whether the steps of an orchestration may call this function.
pub fn of_steps(fun: &str) -> bool {
    matches!(fun, "salt.cmd" | "salt.runner" | "salt.parallel_runners")
}

/// Answers a step of an orchestration.
pub fn step(corpus: &Arc<Corpus>, call: &Call) -> Result<Value, ExecError> {
    match call.fun.as_str() {
        "salt.cmd" => cmd(corpus, call),
        "salt.runner" => runner(corpus, call),
        "salt.parallel_runners" => parallel(corpus, call),
        _ => Err(ExecError::NotFound(call.fun.clone())),
    }
}

/// Salt's `saltutil.cmd`: a function on minions, each answer with what became of it.
fn cmd(corpus: &Arc<Corpus>, call: &Call) -> Result<Value, ExecError> {
    let fun = call.need(1, "fun")?;
    let text = match call.kwargs.get("tgt").or_else(|| call.args.first()) {
        Some(Value::List(ids)) => ids.iter().map(python::str).collect::<Vec<_>>().join(","),
        Some(target) => python::str(target),
        None => return Err(call.missing("tgt")),
    };
    let word = call.text(2, "tgt_type").unwrap_or_else(|| "glob".into());
    let kind = TargetKind::of(&word).ok_or_else(|| call.invalid("tgt_type", format!("`{word}` is not known")))?;
    let mut selector = Selector::new(kind, &text);
    selector.batch = call.kwargs.get("batch").map(python::str);
    selector.subset = call.kwargs.get("subset").and_then(Value::as_int).and_then(|n| usize::try_from(n).ok());
    let arg = call.kwargs.get("arg").and_then(Value::as_list).map(<[Value]>::to_vec).unwrap_or_default();
    let kwargs = call.kwargs.get("kwarg").and_then(Value::as_map).cloned().unwrap_or_default();
    let wanted = Call { fun, args: arg, kwargs };
    if !corpus.knows(&wanted.fun) {
        return Err(crate::caller::not_found(corpus, &wanted.fun));
    }
    // Salt: a masterless orchestration concerns this machine, whoever is meant.
    let answers = if corpus.config.local || !corpus.has_roster() {
        corpus.local(&wanted, None, false, &|_| {}).map(|answer| vec![answer])
    } else {
        corpus.fleet(&selector, &wanted, &|_| {})
    };
    match answers {
        Ok(answers) => Ok(Value::map(answers.iter().map(|answer| (answer.id.as_str(), salt_answer(answer))).collect())),
        Err(failure) if failure.kind == Kind::Target => Ok(Value::map(Map::new())),
        Err(failure) => Err(ExecError::Failed(failure.to_string())),
    }
}

fn salt_answer(answer: &HostReturn) -> Value {
    let mut map = Map::new();
    map.insert("retcode", i64::from(answer.code()));
    match &answer.outcome {
        Outcome::Run(report) => {
            map.insert("out", "highstate");
            map.insert("ret", Value::map(report.to_salt()));
        }
        Outcome::Value(value) => _ = map.insert("ret", value.clone()),
        Outcome::Compile(errors) => {
            let errors: Vec<Value> = errors.iter().map(|e| Value::str(e.to_text(None).trim_end())).collect();
            map.insert("ret", Value::list(errors));
        }
        Outcome::Failed(failure) => {
            map.insert("failed", true);
            map.insert("ret", Value::list(vec![Value::str(&failure.message)]));
        }
    }
    Value::map(map)
}

fn runner(corpus: &Arc<Corpus>, call: &Call) -> Result<Value, ExecError> {
    let fun = call.need(0, "name")?;
    let kwargs = call.kwargs.get("kwarg").and_then(Value::as_map).cloned().unwrap_or_default();
    let wanted = Call { fun, args: vec![], kwargs };
    if !corpus.is_runner(&wanted.fun) {
        let names: Vec<&str> = corpus.runners().map(|def| def.name).collect();
        return Err(ExecError::Failed(format!("'{}' is not a runner; there are {}", wanted.fun, names.join(", "))));
    }
    let answer = corpus.runner(&wanted, &|_| {}).map_err(|failure| ExecError::Failed(failure.to_string()))?;
    let returned = salt_answer(&answer);
    let value = returned.get("ret").cloned().unwrap_or_default();
    let good = answer.code() == 0;
    Ok(Value::map([("return", value), ("success", Value::Bool(good))].into_iter().collect()))
}

/// Calls several runners at the same time; each answers as `salt.runner` does, a refusal as a failure.
fn parallel(corpus: &Arc<Corpus>, call: &Call) -> Result<Value, ExecError> {
    let wanted = call.kwargs.get("runners").and_then(Value::as_map).ok_or_else(|| call.missing("runners"))?;
    let answers: Vec<Value> = std::thread::scope(|scope| {
        let one = |kwargs: &Value| {
            let kwargs = kwargs.as_map().cloned().unwrap_or_default();
            let call = Call { fun: "salt.runner".into(), args: vec![], kwargs };
            scope.spawn(move || runner(corpus, &call))
        };
        let threads: Vec<_> = wanted.values().map(one).collect();
        let failed = |why: Value| Value::map([("return", why), ("success", Value::Bool(false))].into_iter().collect());
        let joined = threads.into_iter().map(|thread| match thread.join() {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => failed(error.to_string().into()),
            Err(_) => failed("the runner broke off".into()),
        });
        joined.collect()
    });
    Ok(Value::map(wanted.keys().cloned().zip(answers).collect()))
}
