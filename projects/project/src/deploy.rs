//! A deployment: archive, release-sync, install, fixperms, rotation; on a failure the way back; notify always.

use crate::journal::{Journal, Phase};
use crate::lock::{Lock, Refused};
use crate::report::DeployReport;
use crate::run::{Run, refused};
use crate::steps::{self, Selection};
use crate::stop::{Cancelled, Stop};
use crate::{
    Cx, Progress, ProjectError, ProjectName, R, api, archive, chrono, config, init, lock, saved, switch, sync,
};
use corpus_core::{Map, Value};
use std::path::Path;

/// What is to be deployed, and how.
#[derive(Clone, Debug)]
pub struct DeployRequest {
    pub project: ProjectName,
    /// Commits whose objects are in the bare repositories; `None`: the head of the branch that deploys.
    pub project_rev: Option<String>,
    pub pillar_rev: Option<String>,
    pub only: Vec<String>,
    pub only_steps: Vec<String>,
    pub skip: Vec<String>,
    pub who: String,
    /// A dry run: tells what would change, and moves nothing.
    pub plan: bool,
    pub verbose: bool,
    /// Overwrites local edits in a dev environment, too.
    pub force: bool,
    /// Keys of the configuration, and free ones for `data`.
    pub kwargs: Map,
    /// By which who asked for the deployment can end it.
    pub cancel: Cancelled,
}

impl DeployRequest {
    /// Makes the request for all steps at the head of the branch.
    pub fn new(project: ProjectName) -> Self {
        Self {
            project,
            project_rev: None,
            pillar_rev: None,
            only: vec![],
            only_steps: vec![],
            skip: vec![],
            who: "root".into(),
            plan: false,
            verbose: false,
            force: false,
            kwargs: Map::new(),
            cancel: Cancelled::default(),
        }
    }
}

/// Stands on a machine that carries guests of the clouds.
const COMPUTE_NODE: &str = "/etc/corpus-compute-node";

/// The rule of the original: a compute node carries guests, and guests carry projects.
fn compute_node(mark: &Path) -> Option<ProjectError> {
    let error = || ProjectError::new("projects are not deployed onto a compute node itself, only onto its guests");
    mark.exists().then(|| error().hint("`corpus guest.create` makes a guest; deploy it there"))
}

/// Deploys. Never waits: if another deployment has the lock, the report says who.
pub fn deploy(cx: &Cx, request: &DeployRequest, out: &mut dyn Progress) -> DeployReport {
    let refuse = |error: ProjectError, busy| refused(&request.project, "deploy", &request.who, &error, busy);
    let select = match Selection::new(&request.only, &request.skip) {
        Ok(select) => select,
        Err(error) => return refuse(error, None),
    };
    if let Some(error) = compute_node(Path::new(COMPUTE_NODE)) {
        return refuse(error, None);
    }
    let layout = cx.layout(&request.project);
    if request.plan && !layout.project.exists() {
        let error = ProjectError::new(format!("there is no project {} yet", request.project));
        return refuse(error.hint(format!("`corpus mc_project.init_project {}` makes it", request.project)), None);
    }
    if let Err(error) = init::container(cx, &layout, &mut vec![]) {
        return refuse(error, None);
    }
    let id = match chrono::id() {
        Ok(id) => id,
        Err(error) => return refuse(error, None),
    };
    let _lock = match Lock::take(&layout, &request.who, "deploy", &id) {
        Ok(lock) => lock,
        Err(Refused::Busy(owner)) => return refuse(lock::busy(&request.project, &owner), Some(owner)),
        Err(Refused::Failed(error)) => return refuse(error, None),
    };
    let recovered = match switch::recover(&*cx.fs, &layout) {
        Ok(said) => said,
        Err(error) => return refuse(error, None),
    };
    let mut kwargs = request.kwargs.clone();
    kwargs.insert("chrono", id.as_str());
    let began = init::mend(cx, &request.project).and_then(|()| cx.facts()).and_then(|facts| {
        let cfg = config::compute(cx, &facts, &request.project, &kwargs)?;
        api::offers(cfg.str("api_version").unwrap_or_default(), "deploy")?;
        Ok((facts, cfg))
    });
    let (facts, cfg) = match began {
        Ok(began) => began,
        Err(error) => return refuse(error, None),
    };
    let mut run = Run::new(cx, &request.project, "deploy", &request.who, facts, cfg, out);
    run.report.plan = request.plan;
    run.report.project_rev.clone_from(&request.project_rev);
    run.report.pillar_rev.clone_from(&request.pillar_rev);
    run.verbose = request.verbose;
    let limit = run.cfg().get("deploy_timeout").and_then(Value::as_int).and_then(|n| u64::try_from(n).ok());
    run.stop = Some(Stop::watch(&layout, &id, limit.unwrap_or(0), &request.cancel));
    if let Some(said) = recovered {
        run.say(&said);
    }
    if run.flag("skip_deploy") && !select.chosen() {
        run.report.summary = "skip_deploy is set: nothing was done".into();
        return run.finish();
    }
    Deployment { request, select, kwargs, journal: Journal::default(), run }.go()
}

struct Deployment<'a> {
    request: &'a DeployRequest,
    select: Selection,
    kwargs: Map,
    journal: Journal,
    run: Run<'a>,
}

impl Deployment<'_> {
    fn go(mut self) -> DeployReport {
        let result = if self.request.plan { self.plan() } else { self.real() };
        self.run.report.result = result;
        if result && !self.request.plan {
            let cfg = self.run.cfg();
            if let Err(error) = saved::remember(&self.run.layout, &cfg) {
                self.run.say(&error.text());
            }
        }
        self.run.finish()
    }

    /// Tells whether a step is wanted: by the call, else by the configuration.
    fn wants(&self, step: &str) -> bool {
        self.select.wants(step) && (self.select.chosen() || !self.run.flag(&format!("skip_{step}")))
    }

    fn real(&mut self) -> bool {
        let dev = self.run.report.env == "dev";
        self.journal = Journal {
            id: self.run.report.id.clone(),
            who: self.request.who.clone(),
            started: self.run.report.started.clone(),
            env: self.run.report.env.clone(),
            revision: self.request.project_rev.clone(),
            rollback_host: self.run.flag("rollback_host"),
            served: crate::fs::tree_id(&self.run.layout.project),
            ..Journal::default()
        };
        self.run.report.before = sync::serving(&self.run);
        let (ok, moved) = match self.journal.write(&*self.run.cx.fs, &self.run.layout) {
            Ok(()) => self.forward(),
            Err(error) => {
                self.run.begin("start");
                (self.run.end(Err(error)), false)
            }
        };
        self.run.stopped(ok);
        let mut result = ok;
        if !ok && moved && self.wants("rollback") && !dev {
            self.rollback();
        } else if !ok && moved && dev {
            self.run.say("dev environment: project/ keeps the failing code, nothing is rolled back");
        }
        if !ok && self.wants("fixperms") && self.run.report.step("fixperms").is_none_or(|_| moved) {
            // The way back may have brought other owners; the verdict stands already.
            self.fixperms();
        }
        result &= self.rotate();
        self.summary(result);
        self.notify();
        self.close(result);
        result
    }

    /// The way forward. Tells whether it succeeded, and whether something was moved or run that wants undoing.
    fn forward(&mut self) -> (bool, bool) {
        if self.wants("archive") && !archive::step(&mut self.run, &mut self.journal) {
            return (false, false);
        }
        if self.wants("release_sync") {
            self.run.begin("release_sync");
            let synced = sync::step(&mut self.run, &mut self.journal, self.request, &self.kwargs);
            let moved = self.journal.phase != Phase::Preparing;
            if !self.run.end(synced) {
                return (false, moved);
            }
        }
        if self.run.is_stopped() {
            return (false, self.journal.phase != Phase::Preparing);
        }
        if let Err(error) = self.live() {
            self.run.begin("start");
            return (self.run.end(Err(error)), true);
        }
        if self.run.flag("fixperms_before_install") && self.wants("fixperms") && !self.fixperms() {
            return (false, true);
        }
        if self.wants("install") && !self.install(false) {
            return (false, true);
        }
        if self.run.is_stopped() || self.wants("fixperms") && !self.fixperms() {
            return (false, true);
        }
        (true, true)
    }

    /// From here on recipes change things. Without a switch, the archive is what there is to return to.
    fn live(&mut self) -> R<()> {
        self.journal.rollback_host = self.run.flag("rollback_host");
        let (fs, layout) = (&*self.run.cx.fs, &self.run.layout);
        switch::settle(fs, layout, &self.journal.id, self.archived())?;
        if self.journal.previous.is_none() {
            let archive = switch::archived(layout, &self.journal.id);
            let own =
                archive.exists() && self.journal.phase == Phase::Preparing && self.run.report.step("archive").is_some();
            if own {
                self.journal.previous = crate::fs::tree_id(&archive);
                self.journal.next = crate::fs::tree_id(&layout.project);
            }
        }
        self.journal.phase = Phase::Live;
        self.journal.write(fs, layout)
    }

    fn archived(&self) -> bool {
        self.run.report.step("archive").is_some()
    }

    fn install(&mut self, test: bool) -> bool {
        self.run.begin("install");
        let salt = self.run.layout.salt(&self.run.report.env);
        let recipes = steps::recipes(&salt).and_then(|all| {
            if all.is_empty() {
                return Err(ProjectError::new(format!("there is no recipe to install in {}", salt.display()))
                    .hint("add one, `.salt/000_install.sls`"));
            }
            steps::chosen(all, &self.request.only_steps, "only_steps")
        });
        let recipes = match recipes {
            Ok(recipes) => recipes,
            Err(error) => return self.run.end(Err(error)),
        };
        for recipe in recipes {
            if self.run.is_stopped() || !self.run.sls(&recipe, test) {
                return self.run.end(Err(ProjectError::new("the deployment is aborted")));
            }
        }
        self.run.end(Ok(String::new()))
    }

    fn fixperms(&mut self) -> bool {
        self.run.begin("fixperms");
        if !self.has("fixperms") {
            return self.run.end(Ok("there is no fixperms.sls".into()));
        }
        self.run.sls("fixperms", false);
        self.run.end(Ok(String::new()))
    }

    fn has(&self, recipe: &str) -> bool {
        self.run.layout.salt(&self.run.report.env).join(format!("{recipe}.sls")).is_file()
    }

    fn rollback(&mut self) {
        self.run.begin("rollback");
        self.run.set("rollback", true);
        let back = {
            let (fs, layout) = (&*self.run.cx.fs, &self.run.layout);
            switch::back(fs, layout, &mut self.journal)
        };
        let said = match &back {
            Ok(_) => {
                self.run.report.rolled_back = self.journal.previous.is_some();
                match self.journal.previous {
                    Some(_) => "the previous release is back".to_owned(),
                    None => "there is no previous release to go back to".to_owned(),
                }
            }
            Err(error) => error.text(),
        };
        self.run.say(&format!("    {said}"));
        let mut wrong = back.err();
        if self.journal.rollback_host && self.run.report.rolled_back {
            match crate::undo::restore(&self.run.layout, &self.journal.id) {
                Ok(files) if files.is_empty() => {}
                Ok(files) => {
                    let names: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
                    self.run.say(&format!("    put back on the host: {}", names.join(", ")));
                }
                Err(error) => wrong = wrong.or(Some(error)),
            }
        }
        if self.has("rollback") {
            self.run.sls("rollback", false);
        }
        // A recipe of the old kind copies trees of its own accord: the failed one is put where it belongs.
        self.run.end(wrong.map_or(Ok(String::new()), Err));
    }

    fn rotate(&mut self) -> bool {
        if !self.wants("rotate_archives") {
            return true;
        }
        self.run.begin("rotate_archives");
        let keep = self.run.cfg().get("keep_archives").and_then(Value::as_int).unwrap_or(3);
        let removed = archive::rotate(&*self.run.cx.fs, &self.run.layout, keep, &self.journal.id);
        self.run.end(removed.map(|removed| match removed.len() {
            0 => String::new(),
            n => format!("removed {n} of the oldest archives; {keep} are kept"),
        }))
    }

    fn summary(&mut self, result: bool) {
        let report = &self.run.report;
        let word = if result { "succeeded" } else { "failed" };
        let mut text = format!("deployment {} of {} {word}", report.id, report.project);
        if let Some(failed) = &report.failed {
            text += &format!(" in {}", failed.step);
            if let Some(sls) = &failed.sls {
                text += &format!(", {sls}");
            }
            if let (Some(file), Some(line)) = (&failed.file, failed.line) {
                text += &format!(" ({file}:{line})");
            }
        }
        if report.rolled_back {
            let archive = self.run.layout.archive(&report.id);
            text += &format!("; the previous release serves, the failed tree is {}/project.failed", archive.display());
        } else if !result && report.before.is_some() && self.journal.phase == Phase::Preparing {
            text += "; nothing was moved, the previous release serves";
        }
        self.run.report.summary.clone_from(&text);
        self.run.set("deploy_summary", text.as_str());
        let ret: Map = [("result", Value::Bool(result)), ("comment", self.run.report.comment.as_str().into())]
            .into_iter()
            .collect();
        self.run.set("deploy_ret", ret);
        self.run.head("summary");
        self.run.say(&format!("--\n{text}"));
    }

    fn notify(&mut self) {
        if !self.wants("notify") {
            return;
        }
        self.run.begin("notify");
        if self.has("notify") {
            self.run.sls("notify", false);
        }
        let sent = crate::notify::send(&self.run.cfg(), &self.run.report);
        self.run.end(sent);
    }

    /// Puts everything away. The verdict stands; what cannot be tidied up is said.
    fn close(&mut self, result: bool) {
        self.run.report.serving = sync::serving(&self.run);
        let (fs, layout) = (&*self.run.cx.fs, &self.run.layout);
        self.journal.phase = Phase::Ended;
        let id = &self.journal.id;
        let tidied = self
            .journal
            .write(fs, layout)
            .and_then(|()| switch::tidy(fs, layout, id))
            .and_then(|()| crate::undo::forget(layout, id))
            .and_then(|()| Journal::end(fs, layout));
        if let Err(error) = tidied {
            self.run.say(&error.text());
            tracing::warn!(result, "{error}");
        }
    }

    /// A dry run: what the tree and the host would become.
    fn plan(&mut self) -> bool {
        sync::plan(&mut self.run, self.request, &self.kwargs)
    }
}

#[cfg(test)]
mod tests {
    use super::compute_node;

    #[test]
    fn row_6_a_compute_node_carries_no_project() {
        let place = tempfile::tempdir().expect("a folder");
        let mark = place.path().join("mark");
        assert!(compute_node(&mark).is_none());
        std::fs::write(&mark, "").expect("written");
        assert!(
            compute_node(&mark).is_some_and(|error| error.to_string().contains("not deployed onto a compute node"))
        );
    }
}
