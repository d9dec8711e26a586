//! What the tests of the walker share: small state functions, a builder of low states, a runner on a fake machine.
#![allow(dead_code, reason = "each test binary uses its part")]

use corpus_core::fake::Fake;
use corpus_core::{
    Attrs, Call, Caller, ChunkReport, Command, Content, Data, Effect, Event, ExecDef, ExecError, ExecFn, FileRef,
    FileRequest, LowChunk, LowState, Map, Observed, Plan, PlanCx, Prediction, Registry, Requisite, RequisiteKind,
    RunOptions, RunReport, Settled, Source, SourceError, State, StateDef, StateError, Value,
};
use corpus_run::Runner;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};

pub type PlanResult = Result<Plan, StateError>;

/// `test.*`: says what it is told to say.
macro_rules! test_state {
    ($type:ident $name:literal $converges:literal $watches:literal $plan:expr) => {
        #[derive(Deserialize)]
        pub struct $type {
            #[allow(dead_code)]
            pub name: String,
        }
        impl State for $type {
            const NAME: &'static str = $name;
            const CONVERGES: bool = $converges;
            const WATCHES: bool = $watches;
            fn plan(&self, cx: &PlanCx<'_>) -> PlanResult {
                let plan: fn(&PlanCx<'_>) -> PlanResult = $plan;
                plan(cx)
            }
            fn watch(&self, _: &PlanCx<'_>) -> PlanResult {
                Ok(Plan::default()
                    .change("Requisites with changes", Vec::<Value>::new())
                    .says("Watch statement would fire.", "Watch statement fired."))
            }
            fn settle(&self, plan: &Plan, _: &[Observed], _: &PlanCx<'_>) -> Result<Settled, StateError> {
                Ok(Settled { result: !plan.failed, ..Settled::as_planned(plan) })
            }
        }
    };
}

fn pretended() -> Plan {
    let change: Map = [("old", "Unchanged"), ("new", "Something pretended to change")].into_iter().collect();
    Plan::default()
        .change("testing", change)
        .says("If we weren't testing, this would be successful with changes", "Success!")
}

test_state!(Ok_ "test.succeed_without_changes" true true |_| Ok(Plan::unchanged("Success!")));
test_state!(Changes "test.succeed_with_changes" false true |_| Ok(pretended()));
test_state!(Fails "test.fail_without_changes" false true |cx| {
    Ok(Plan::failed(if cx.test { "If we weren't testing, this would be a failure!" } else { "Failure!" }))
});
test_state!(FailsChanged "test.fail_with_changes" false true |_| Ok(Plan { failed: true, ..pretended().says("If we weren't testing, this would be failed with changes", "Failure!") }));
test_state!(PlainOk "plain.ok" true false |_| Ok(Plan::unchanged("Plain.")));
test_state!(Boom "test.boom" true false |_| panic!("boom"));
test_state!(Lies "test.lies" true false |_| Ok(pretended()));
test_state!(Nested "test.error" true false |_| Err(StateError::failed("It is broken.")));

static COUNTDOWN: AtomicI64 = AtomicI64::new(0);
/// Lets `test.countdown` fail that often.
pub fn countdown(n: i64) {
    COUNTDOWN.store(n, Ordering::SeqCst);
}
test_state!(Countdown "test.countdown" true false |_| {
    if COUNTDOWN.fetch_sub(1, Ordering::SeqCst) > 0 { Ok(Plan::failed("Not yet.")) } else { Ok(Plan::unchanged("Now.")) }
});

#[derive(Deserialize)]
pub struct Sleep {
    name: String,
    #[serde(default)]
    ms: u64,
}
impl State for Sleep {
    const NAME: &'static str = "test.sleep";
    const CONVERGES: bool = false;
    fn plan(&self, _: &PlanCx<'_>) -> PlanResult {
        std::thread::sleep(std::time::Duration::from_millis(self.ms));
        Ok(Plan::default().change(self.name.as_str(), "slept").says("sleepy", "slept"))
    }
}

/// A file with a content, or with that of another file.
#[derive(Deserialize)]
pub struct Write {
    name: PathBuf,
    #[serde(default)]
    content: String,
    copy: Option<PathBuf>,
}
impl State for Write {
    const NAME: &'static str = "file.write";
    fn plan(&self, cx: &PlanCx<'_>) -> PlanResult {
        let want = match &self.copy {
            Some(from) if cx.host.stat(from)?.is_none() => {
                return Err(StateError::missing(format!("Source {} is not there", from.display())));
            }
            Some(from) => cx.host.read(from)?,
            None => self.content.clone().into_bytes(),
        };
        let have = match cx.host.stat(&self.name)? {
            Some(meta) if meta.is_dir() => return Err(StateError::failed("It is a directory")),
            Some(_) => Some(cx.host.read(&self.name)?),
            None => None,
        };
        if have.as_ref() == Some(&want) {
            return Ok(Plan::unchanged("The file is in the correct state"));
        }
        let parent = self.name.parent().unwrap_or(Path::new("/"));
        if !cx.host.stat(parent)?.is_some_and(|meta| meta.is_dir()) {
            return Err(StateError::missing(format!("Parent directory {} not present", parent.display())));
        }
        let text = String::from_utf8_lossy(&want).into_owned();
        let effect = Effect::WriteFile {
            path: self.name.clone(),
            content: Content::Bytes(want),
            attrs: Attrs::default(),
            backup: None,
        };
        Ok(Plan::default().step(effect).change("diff", text).says("would be updated", "File updated"))
    }
}

#[derive(Deserialize)]
pub struct Gone {
    name: PathBuf,
}
impl State for Gone {
    const NAME: &'static str = "file.gone";
    fn plan(&self, cx: &PlanCx<'_>) -> PlanResult {
        if cx.host.lstat(&self.name)?.is_none() {
            return Ok(Plan::unchanged("It is gone"));
        }
        let name = self.name.display().to_string();
        Ok(Plan::default()
            .step(Effect::Remove { path: self.name.clone() })
            .change("removed", name)
            .says("would be removed", "Removed"))
    }
}

/// A directory, with its parents: several effects in one plan.
#[derive(Deserialize)]
pub struct Dir {
    name: PathBuf,
}
impl State for Dir {
    const NAME: &'static str = "file.dir";
    const WATCHES: bool = true;
    fn plan(&self, cx: &PlanCx<'_>) -> PlanResult {
        let mut plan = Plan { unchanged: "It is there".into(), ..Plan::default() }.says("would be made", "Made");
        let mut missing: Vec<_> = self.name.ancestors().collect();
        missing.reverse();
        for path in missing {
            match cx.host.stat(path)? {
                Some(meta) if meta.is_dir() => {}
                Some(_) => return Err(StateError::failed(format!("{} is no directory", path.display()))),
                None => {
                    plan.changes.insert(path.display().to_string(), "new");
                    plan.push(Effect::Mkdir { path: path.into(), attrs: Attrs::default() }, vec![]);
                }
            }
        }
        Ok(plan)
    }
}

#[derive(Deserialize)]
pub struct Link {
    name: PathBuf,
    target: PathBuf,
}
impl State for Link {
    const NAME: &'static str = "file.link";
    fn plan(&self, cx: &PlanCx<'_>) -> PlanResult {
        let have = match cx.host.lstat(&self.name)? {
            Some(meta) if meta.is_symlink() => Some(cx.host.read_link(&self.name)?),
            Some(_) => return Err(StateError::failed("In the way")),
            None => None,
        };
        if have.as_ref() == Some(&self.target) {
            return Ok(Plan::unchanged("The link is right"));
        }
        let effect = Effect::Symlink { path: self.name.clone(), target: self.target.clone(), attrs: Attrs::default() };
        Ok(Plan::default().step(effect).change("new", self.target.display().to_string()).says("would link", "Linked"))
    }
}

/// A command of which nobody knows what it does.
#[derive(Deserialize)]
pub struct Cmd {
    name: String,
    #[serde(default)]
    secret: bool,
}
impl State for Cmd {
    const NAME: &'static str = "cmd.go";
    const CONVERGES: bool = false;
    fn plan(&self, _: &PlanCx<'_>) -> PlanResult {
        let command = Command { secret: self.secret, ..Command::shell("/bin/sh", &self.name) };
        let mut plan = Plan::default().says("would run", "Ran");
        plan.push(Effect::Exec(command), vec![Prediction::Opaque]);
        Ok(plan.change("cmd", self.name.as_str()))
    }
}

/// A command whose changes only its run can tell.
#[derive(Deserialize)]
pub struct Late {
    name: String,
}
impl State for Late {
    const NAME: &'static str = "cmd.late";
    const CONVERGES: bool = false;
    fn plan(&self, _: &PlanCx<'_>) -> PlanResult {
        let command = Command::shell("/bin/sh", &self.name);
        Ok(Plan::default().step(Effect::Exec(command)).says("would run", "Ran"))
    }
    fn settle(&self, plan: &Plan, seen: &[Observed], _: &PlanCx<'_>) -> Result<Settled, StateError> {
        let code = seen.first().and_then(Observed::output).map_or(-1, |output| output.code);
        let changes = [("retcode", code)].into_iter().collect();
        Ok(Settled { changes, ..Settled::as_planned(plan) })
    }
}

/// The packages that `installed` asks for, seen by the tests through its comment.
#[derive(Deserialize)]
pub struct Pkg {
    name: String,
    pkgs: Option<Vec<Value>>,
}
impl State for Pkg {
    const NAME: &'static str = "pkg.installed";
    fn plan(&self, _: &PlanCx<'_>) -> PlanResult {
        let all = self.pkgs.clone().map_or_else(|| self.name.clone(), |pkgs| corpus_core::python::repr(&pkgs.into()));
        Ok(Plan::unchanged(all))
    }
}

pub static STATES: &[StateDef] = &[
    StateDef::of::<Ok_>("", &[]),
    StateDef::of::<Changes>("", &[]),
    StateDef::of::<Fails>("", &[]),
    StateDef::of::<FailsChanged>("", &[]),
    StateDef::of::<PlainOk>("", &[]),
    StateDef::of::<Boom>("", &[]),
    StateDef::of::<Lies>("", &[]),
    StateDef::of::<Nested>("", &[]),
    StateDef::of::<Countdown>("", &[]),
    StateDef::of::<Sleep>("", &[]),
    StateDef::of::<Write>("", &[]),
    StateDef::of::<Gone>("", &[]),
    StateDef::of::<Dir>("", &[]),
    StateDef::of::<Link>("", &[]),
    StateDef::of::<Cmd>("", &[]),
    StateDef::of::<Late>("", &[]),
    StateDef::of::<Pkg>("", &[]),
];

/// Chunks by id: `chunk("A", "test.boom").on(Require, &["B"]).arg("failhard", true)`.
#[derive(Clone)]
pub struct Chunk {
    low: LowChunk,
    on: Vec<(RequisiteKind, Vec<String>)>,
}

pub fn chunk(id: &str, full: &str) -> Chunk {
    let (state, fun) = full.split_once('.').expect("module.function");
    let low = LowChunk {
        state: state.into(),
        fun: fun.into(),
        id: id.into(),
        name: id.into(),
        sls: "s".into(),
        saltenv: "base".into(),
        ..LowChunk::default()
    };
    Chunk { low, on: vec![] }
}

impl Chunk {
    pub fn on(mut self, kind: RequisiteKind, targets: &[&str]) -> Self {
        self.on.push((kind, targets.iter().map(|t| (*t).to_owned()).collect()));
        self
    }
    pub fn arg(mut self, key: &str, value: impl Into<Value>) -> Self {
        match key {
            "name" => self.low.name = value.into(),
            _ => _ = self.low.args.insert(key, value),
        }
        self
    }
    pub fn missing(mut self, state: &str, target: &str) -> Self {
        let missing = vec![(state.to_owned(), target.to_owned())];
        self.low.requisites.push(Requisite { kind: RequisiteKind::Listen, targets: vec![], missing });
        self
    }
}

pub fn low_state(chunks: &[Chunk]) -> LowState {
    let at = |id: &String| chunks.iter().position(|c| *c.low.id == **id).expect("a target in the test") as u32;
    let resolved = chunks.iter().map(|c| {
        let mut low = c.low.clone();
        low.requisites.extend(c.on.iter().map(|(kind, ids)| Requisite {
            kind: *kind,
            targets: ids.iter().map(at).collect(),
            missing: vec![],
        }));
        low
    });
    LowState { chunks: resolved.collect() }
}

pub struct NoMaster;
impl Source for NoMaster {
    fn resolve(&self, _: &FileRequest) -> Result<FileRef, SourceError> {
        Err(SourceError::Failed("no master".into()))
    }
    fn fetch(&self, _: &FileRef) -> Result<PathBuf, SourceError> {
        Err(SourceError::Failed("no master".into()))
    }
    fn tree(&self, _: &str, _: &str) -> Result<Vec<corpus_core::source::TreeEntry>, SourceError> {
        Err(SourceError::Failed("no master".into()))
    }
    fn fire(&self, _: &str, _: &Value) -> Result<(), SourceError> {
        Ok(())
    }
}

pub struct Functions;
impl Caller for Functions {
    fn call(&self, call: &Call) -> Result<Value, ExecError> {
        let first = || call.args.first().cloned().unwrap_or_default();
        match call.fun.as_str() {
            "test.echo" | "test.write" => Ok(first()),
            "test.true" => Ok(true.into()),
            "test.false" => Ok(false.into()),
            "test.kwargs" => Ok(Value::map(call.kwargs.clone())),
            "match.compound" => Ok((first() == Value::from("yes")).into()),
            other => Err(ExecError::NotFound(other.into())),
        }
    }
    fn has(&self, fun: &str) -> bool {
        fun.starts_with("test.")
    }
    fn names(&self) -> Vec<String> {
        vec![]
    }
}

static EXEC: &[ExecDef] =
    &[ExecDef { name: "test.write", args: "(x)", doc: "", run: ExecFn::Write(|_, _, _| Ok(Value::Null)) }];

/// Runs a low state, and checks what holds for every run.
pub fn run_with(host: &Fake, low: &LowState, options: RunOptions, data: &Data) -> (RunReport, Vec<Event>) {
    let registry = Registry::new().states(STATES).exec(EXEC);
    let seen = Mutex::new(vec![]);
    let events = |event| seen.lock().expect("no panic").push(event);
    let runner = Runner {
        registry: &registry,
        host,
        source: &NoMaster,
        caller: &Functions,
        data,
        options: &options,
        events: &events,
    };
    let report = runner.run(low);
    let seen = seen.into_inner().expect("no panic");
    let finished = seen.iter().filter(|event| matches!(event, Event::Finished(_))).count();
    assert_eq!(finished, report.chunks.len(), "each record is streamed once");
    (report, seen)
}

pub fn run(host: &Fake, chunks: &[Chunk], test: bool) -> RunReport {
    let options = RunOptions { jid: "1".into(), test, ..RunOptions::default() };
    run_with(host, &low_state(chunks), options, &Data::default()).0
}

/// A record in one line: `A True + Success!`; `+` for changes.
pub fn line(record: &ChunkReport) -> String {
    let result = corpus_core::python::repr(&record.result.into());
    let plus = if record.changed() { "+" } else { "-" };
    format!("{} {result} {plus} {}", record.id, record.comment.replace('\n', "|"))
}

pub fn lines(report: &RunReport) -> Vec<String> {
    report.chunks.iter().map(line).collect()
}
