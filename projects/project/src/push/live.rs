//! corpus itself as what deploys a push.

use super::{Deployer, Kind, Options, Order, Out, Verdict};
use crate::lock::Lock;
use crate::repo::{Git, Identity};
use crate::{Cx, DeployRequest, Note, Progress, ProjectName, configuration, deploy, stop, switch};
use corpus_core::{Map, Value};
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

/// Deploys with the configuration as it is at that time.
pub struct Live<F>(pub F);

/// How long a deployment that somebody started by hand is waited for, and how often it is looked at.
const PATIENCE: Duration = Duration::from_secs(3600);
const PAUSE: Duration = Duration::from_millis(500);

impl<F: Fn() -> Result<Cx, String> + Send + Sync + 'static> Deployer for Live<F> {
    fn deploy(&self, order: &Order, out: &mut dyn Out) -> Verdict {
        self.try_deploy(order, out).unwrap_or_else(Verdict::failed)
    }

    fn serving(&self, project: &str) -> Option<String> {
        let name = ProjectName::parse(project).ok()?;
        let cx = (self.0)().ok()?;
        let layout = cx.layout(&name);
        let lock = Lock::take(&layout, "corpus", "recover", "");
        if lock.is_ok()
            && let Ok(Some(said)) = switch::recover(&*cx.fs, &layout)
        {
            tracing::warn!("{project}: {said}");
        }
        let meta = std::fs::metadata(&layout.project).ok()?;
        let identity = Some(Identity { uid: meta.uid(), gid: meta.gid() }).filter(|_| cx.is_root());
        Git::of(identity, None).head(&layout.project).ok().flatten()
    }
}

impl<F: Fn() -> Result<Cx, String>> Live<F> {
    fn try_deploy(&self, order: &Order, out: &mut dyn Out) -> Result<Verdict, String> {
        let name = ProjectName::parse(&order.project).map_err(|error| error.to_string())?;
        let cx = (self.0)()?;
        let Options { plan, verbose, only, only_steps } = order.options.clone();
        let who = if order.who.is_empty() { format!("push to {name}") } else { order.who.clone() };
        let mut request = DeployRequest { plan, verbose, only, only_steps, who, ..DeployRequest::new(name) };
        let revision = Some(order.new.clone());
        match order.kind {
            Kind::Project => request.project_rev = revision,
            Kind::Pillar => {
                request.pillar_rev = revision;
                let all = configuration(&cx, &request.project, &Map::new()).map_err(|error| error.to_string())?;
                let redeploys = all.get("deploy_on_pillar_push").is_some_and(Value::truthy);
                if !redeploys && request.only.is_empty() {
                    request.only = vec!["release_sync".into()];
                    out.line(
                        "the pillar is brought up to date; the project is not deployed again (deploy_on_pillar_push)",
                    );
                }
            }
        }
        request.cancel = out.cancelled();
        let mut waited = Duration::ZERO;
        let report = loop {
            let report = deploy(&cx, &request, &mut Teller { out, verbose });
            let Some(owner) = report.busy.as_ref().filter(|_| waited < PATIENCE) else { break report };
            if waited.is_zero() {
                out.line(&format!("waiting for {owner}"));
                out.at("the queue");
            }
            if let Some(who) = request.cancel.who() {
                return Err(format!("cancelled by {who} while it waited; nothing was touched"));
            }
            std::thread::sleep(PAUSE);
            waited += PAUSE;
        };
        let summary = match &report.failed {
            Some(failed) => {
                let line = failed.line.map(|line| format!(":{line}")).unwrap_or_default();
                let place = failed.file.as_ref().map(|file| format!(" at {file}{line}")).unwrap_or_default();
                let serving = report.serving.as_deref().and_then(|id| id.get(..8)).unwrap_or("nothing");
                match ended_by(&failed.comment) {
                    Some(why) => format!("{why}, in {}{place}; project/ is at {serving}", failed.step),
                    None => format!("failed in {}{place}; project/ is at {serving}", failed.step),
                }
            }
            None => report.summary.clone(),
        };
        Ok(Verdict { ok: report.ok(), summary, serving: report.serving.clone() })
    }
}

/// Returns why a deployment was ended from outside, if it was.
fn ended_by(comment: &str) -> Option<&str> {
    let outside = comment.starts_with(stop::CANCELLED) || comment.starts_with(stop::LATE);
    comment.lines().next().filter(|_| outside)
}

/// Hands on what the deployment says.
struct Teller<'a> {
    out: &'a mut dyn Out,
    verbose: bool,
}

impl Progress for Teller<'_> {
    fn note(&mut self, note: Note<'_>) {
        match note {
            Note::Step(step) => self.out.step(step),
            Note::Line(line) => self.out.line(line),
            Note::State { sls, id, fun } => {
                self.out.at(&format!("{sls}: {fun} {id}"));
                if self.verbose {
                    self.out.line(&format!("… {fun} {id}"));
                }
            }
            Note::Decided(_) => {}
        }
    }
}
