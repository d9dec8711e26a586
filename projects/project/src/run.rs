//! One deployment at work: it runs recipes with the configuration in their context, tells what happens, and gathers
//! the report.

use crate::cx::Facts;
use crate::lock::LockOwner;
use crate::push::text;
use crate::report::{DeployReport, FailedAt, SlsReport, StepReport, name, outline};
use crate::stop::Stop;
use crate::undo::Recording;
use crate::{Cx, Layout, Note, Progress, ProjectError, ProjectName, R, chrono, packages};
use corpus_core::host::Watched;
use corpus_core::merge::update;
use corpus_core::secret::{Masked, mask};
use corpus_core::{Call, Diagnostic, Event, Map, RunReport, Severity, Shared, Value};
use corpus_master::{Machine, Outcome, functions};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// A deployment, or a part of one, under way.
pub struct Run<'a> {
    pub cx: &'a Cx,
    pub name: &'a ProjectName,
    pub layout: Layout,
    /// What recipes see as `cfg` and `opts['ms_project']`.
    pub shared: Arc<Shared>,
    pub facts: Facts,
    pub report: DeployReport,
    pub verbose: bool,
    /// Where recipes are taken from instead: a dry run's trees.
    pub over: Option<Cx>,
    /// What may end it; `None` on the way back.
    pub stop: Option<Stop>,
    out: Mutex<Tell<'a>>,
    began: Instant,
    step: Option<Instant>,
}

/// Who listens: the pusher, and the log.
struct Tell<'a> {
    out: &'a mut dyn Progress,
    log: Option<File>,
}

impl Tell<'_> {
    fn note(&mut self, note: Note<'_>) {
        if let Some(log) = &mut self.log {
            // A full disk must not stop the deployment.
            let _ = match &note {
                Note::Step(step) => writeln!(log, "-- {step}"),
                Note::Line(line) => writeln!(log, "{line}"),
                Note::State { id, fun, .. } => writeln!(log, "   {fun} {id}"),
                Note::Decided(_) => Ok(()),
            };
        }
        self.out.note(note);
    }
}

impl<'a> Run<'a> {
    /// Begins.
    pub fn new(
        cx: &'a Cx,
        name: &'a ProjectName,
        what: &str,
        who: &str,
        facts: Facts,
        cfg: Map,
        out: &'a mut dyn Progress,
    ) -> Self {
        let layout = cx.layout(name);
        let id = cfg.str("chrono").unwrap_or_default().to_owned();
        let report = DeployReport {
            id: id.clone(),
            project: name.to_string(),
            what: what.to_owned(),
            who: who.to_owned(),
            env: cfg.str("default_env").unwrap_or_default().to_owned(),
            started: chrono::now(),
            result: true,
            ..DeployReport::default()
        };
        let folder = layout.deployments();
        let _ = crate::disk::private_dir(&folder);
        let log = OpenOptions::new().append(true).create(true).mode(0o600).open(folder.join(format!("{id}.log"))).ok();
        Self {
            cx,
            name,
            layout,
            shared: Arc::new(Shared::new("cfg", "ms_project", cfg.into())),
            facts,
            report,
            verbose: false,
            over: None,
            stop: None,
            out: Mutex::new(Tell { out, log }),
            began: Instant::now(),
            step: None,
        }
    }

    /// Returns the configuration as it is now.
    pub fn cfg(&self) -> Map {
        self.shared.get().as_map().cloned().unwrap_or_default()
    }

    /// Returns a flag of the configuration.
    pub fn flag(&self, key: &str) -> bool {
        self.cfg().get(key).is_some_and(Value::truthy)
    }

    /// Sets a key of the configuration.
    pub fn set(&self, key: &str, value: impl Into<Value>) {
        let mut cfg = self.cfg();
        cfg.insert(key, value);
        self.shared.set(cfg.into());
    }

    /// Says a line, or several.
    pub fn say(&mut self, text: &str) {
        let tell = self.out.get_mut().unwrap_or_else(PoisonError::into_inner);
        let text = shown(text);
        text.lines().for_each(|line| tell.note(Note::Line(line)));
        self.report.comment += text.trim_end();
        self.report.comment.push('\n');
    }

    /// Begins a step.
    pub fn begin(&mut self, step: &str) {
        self.step = Some(Instant::now());
        self.out.get_mut().unwrap_or_else(PoisonError::into_inner).note(Note::Step(step));
        self.report.comment += &format!("--\n{step}\n");
        self.report.steps.push(StepReport { name: step.to_owned(), result: true, ..StepReport::default() });
    }

    /// Gives what is said next a heading that is no step.
    pub fn head(&mut self, words: &str) {
        self.out.get_mut().unwrap_or_else(PoisonError::into_inner).note(Note::Step(words));
    }

    /// Ends the step with its result; an error is told with the place that it names.
    pub fn end(&mut self, result: R<String>) -> bool {
        let seconds = self.step.take().map_or(0.0, |since| since.elapsed().as_secs_f64());
        let (ok, text) = match result {
            Ok(text) => (true, text),
            Err(error) => (false, shown(&error.text())),
        };
        let indented: String = text.lines().map(|line| format!("    {line}\n")).collect();
        if !text.is_empty() {
            self.say(&indented);
        }
        let Some(step) = self.report.steps.last_mut() else { return ok };
        step.seconds = seconds;
        step.result &= ok;
        step.comment = text;
        let (ok, name) = (step.result, step.name.clone());
        if !ok && self.report.failed.is_none() && name != "notify" {
            let comment = self.report.steps.last().map(|step| step.comment.clone()).unwrap_or_default();
            self.report.failed = Some(FailedAt { step: name, comment, ..FailedAt::default() });
        }
        ok
    }

    /// Returns the flag that is set when the deployment is to end before its time; none on the way back.
    pub fn stopping(&self) -> Option<Arc<AtomicBool>> {
        self.stop.as_ref().map(Stop::flag)
    }

    /// Tells whether the deployment is to end before its time.
    pub fn is_stopped(&self) -> bool {
        self.stop.as_ref().is_some_and(|stop| stop.why().is_some())
    }

    /// Ends the watch for what may end the deployment; if that is why it failed, the report says so.
    pub fn stopped(&mut self, ok: bool) {
        let Some(why) = self.stop.take().and_then(|stop| stop.why()).filter(|_| !ok) else { return };
        self.say(&format!("the deployment is ended: {why}"));
        let step = self.report.steps.last_mut().map(|step| {
            step.result = false;
            step.name.clone()
        });
        let failed = self.report.failed.get_or_insert_with(FailedAt::default);
        failed.step = step.unwrap_or_else(|| "start".to_owned());
        failed.comment = why;
    }

    /// Runs a recipe of the project, `NAME` of `makina-projects.PROJECT.NAME`. Tells whether it succeeded.
    pub fn sls(&mut self, recipe: &str, test: bool) -> bool {
        let began = Instant::now();
        let sls = format!("makina-projects.{}.{recipe}", self.name);
        let (outcome, warnings) = match self.session() {
            Ok(session) => (self.states(&session, &sls, test), session.take_warnings()),
            Err(error) => (Outcome::Compile(vec![Diagnostic::error(error.text())]), vec![]),
        };
        let mut told = self.report.comment.clone();
        for warning in warnings.iter().filter(|one| one.severity == Severity::Warning) {
            let line = format!("    warning: {}", warning.message);
            if !told.contains(&line) {
                self.say(&line);
                told += &line;
            }
        }
        let (report, text, failed) = read(&outcome);
        let result = failed.is_none();
        let chunks = report.map_or(&[][..], |report| &report.chunks);
        let names = chunks.iter().filter(|chunk| chunk.changed());
        let mut changed: Vec<String> = names.map(|chunk| shown(&format!("{} ({})", chunk.id, name(chunk)))).collect();
        let changes = u32::try_from(changed.len()).unwrap_or(u32::MAX);
        changed.truncate(100);
        let states = u32::try_from(chunks.len()).unwrap_or(u32::MAX);
        let whole: String = text.lines().map(|line| format!("    {line}\n")).collect();
        if result {
            self.say(&format!(
                "    {recipe}:\n{}",
                whole.lines().map(|line| format!("    {line}\n")).collect::<String>()
            ));
        } else {
            self.say(&format!("{recipe} failed\n{whole}"));
        }
        let step = self.report.steps.last().map(|step| step.name.clone()).unwrap_or_default();
        if let Some(failed) = failed
            && self.report.failed.is_none()
            && step != "notify"
        {
            let (id, comment) = (failed.id.as_deref().map(shown), shown(&failed.comment));
            self.report.failed = Some(FailedAt { step, sls: Some(sls.clone()), id, comment, ..failed });
        }
        self.report.changes += changes;
        if let Some(step) = self.report.steps.last_mut() {
            step.result &= result;
            let seconds = began.elapsed().as_secs_f64();
            step.sls.push(SlsReport { sls, result, states, changes, changed, seconds });
        }
        result
    }

    fn session(&self) -> R<Arc<corpus_master::Session>> {
        let cfg = self.cfg();
        let mut data = (*self.facts.data).clone();
        // The sample is what the pillar says where it says nothing.
        let mut pillar = cfg.get("sls_default_pillar").and_then(Value::as_map).cloned().unwrap_or_default();
        update(&mut pillar, data.pillar.as_map().unwrap_or(&Map::new()), false);
        data.pillar = pillar.into();
        if let Some(opts) = data.opts.as_map_mut() {
            opts.insert("ms_project_name", self.name.as_str());
            let all: Map = [(self.name.as_str(), Value::from(cfg))].into_iter().collect();
            opts.insert("ms_projects", all);
        }
        let host: Box<dyn corpus_core::Act> =
            Box::new(self.stop.as_ref().map_or_else(Machine::new, |stop| Machine::stopping(stop.flag())));
        let host: Box<dyn corpus_core::Act> = Box::new(Watched(
            Recording::new(host, &self.layout, &self.report.id).until(self.stop.as_ref().map(Stop::flag)),
        ));
        let cx = self.over.as_ref().unwrap_or(self.cx);
        let session = cx.session(host)?.with_shared(self.shared.clone(), data).until(self.stopping());
        Ok(Arc::new(session.revising(packages::renew)))
    }

    fn states(&self, session: &Arc<corpus_master::Session>, sls: &str, test: bool) -> Outcome {
        let mut call = Call::new("state.sls", vec![sls.into()]);
        call.kwargs.insert("queue", true);
        call.kwargs.insert("test", test);
        let recipe = sls.rsplit('.').next().unwrap_or(sls);
        let events = |event: Event| {
            let event = event.masked();
            let mut tell = self.out.lock().unwrap_or_else(PoisonError::into_inner);
            match &event {
                Event::Started { id, fun, .. } => tell.note(Note::State { sls: recipe, id, fun }),
                Event::Finished(chunk) => tell.note(Note::Decided(chunk)),
                Event::Log { message, .. } => tell.note(Note::Line(message)),
                Event::Fired { .. } => {}
            }
        };
        functions::answer(session, &call, &events).masked()
    }

    /// Ends the deployment: the last line, the report, the figures.
    pub fn finish(mut self) -> DeployReport {
        self.report.seconds = self.began.elapsed().as_secs_f64();
        let report = self.report;
        if let Err(error) = crate::report::keep(&self.layout, &report) {
            tracing::warn!("the report is not kept: {error}");
        }
        if let Some(folder) = self.cx.corpus.config.text("projects_metrics")
            && let Err(error) = crate::report::metrics(std::path::Path::new(folder), &report)
        {
            tracing::warn!("the figures are not written: {error}");
        }
        report
    }
}

/// Makes text of a recipe fit for the pusher's terminal, the log and the report, which others read than who wrote it.
fn shown(text: &str) -> String {
    mask(text).lines().map(|line| text::clean(line, usize::MAX)).collect::<Vec<_>>().join("\n")
}

/// Makes the report of a deployment that could not begin.
pub fn refused(
    name: &ProjectName,
    what: &str,
    who: &str,
    error: &ProjectError,
    busy: Option<LockOwner>,
) -> DeployReport {
    DeployReport {
        project: name.to_string(),
        what: what.to_owned(),
        who: who.to_owned(),
        started: chrono::now(),
        comment: error.text(),
        summary: error.message.clone(),
        failed: Some(FailedAt { step: "start".into(), comment: error.text(), ..FailedAt::default() }),
        busy,
        ..DeployReport::default()
    }
}

/// Reads an outcome: its records, its text, and where it failed.
fn read(outcome: &Outcome) -> (Option<&RunReport>, String, Option<FailedAt>) {
    match outcome {
        Outcome::Run(report) if report.chunks.is_empty() => (Some(report), "it holds no states".into(), None),
        Outcome::Run(report) => {
            // A state that does not know its result has not succeeded, but in a dry run.
            let bad = |result: Option<bool>| result == Some(false) || result.is_none() && !report.test;
            let failed = report.chunks.iter().find(|chunk| bad(chunk.result)).map(|chunk| FailedAt {
                id: Some(chunk.id.to_string()),
                file: Some(chunk.span.file.to_string()).filter(|file| !file.is_empty()),
                line: Some(chunk.span.line).filter(|line| *line > 0),
                comment: chunk.comment.clone(),
                ..FailedAt::default()
            });
            (Some(report), outline(report), failed)
        }
        Outcome::Compile(errors) => {
            let text: String = errors.iter().map(|error| error.to_text(None)).collect();
            let first = errors.iter().find(|error| error.severity == Severity::Error).or(errors.first());
            let label = first.and_then(|error| error.labels.first());
            let failed = FailedAt {
                file: label.map(|label| label.span.file.to_string()),
                line: label.map(|label| label.span.line),
                comment: text.trim_end().to_owned(),
                ..FailedAt::default()
            };
            (None, text.trim_end().to_owned(), Some(failed))
        }
        Outcome::Failed(failure) => {
            let text = failure.hints.iter().fold(failure.message.clone(), |text, hint| format!("{text}\nhint: {hint}"));
            (None, text.clone(), Some(FailedAt { comment: text, ..FailedAt::default() }))
        }
        Outcome::Value(_) => {
            let text = "the run gave a value instead of states".to_owned();
            (None, text.clone(), Some(FailedAt { comment: text, ..FailedAt::default() }))
        }
    }
}
