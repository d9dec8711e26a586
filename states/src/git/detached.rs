//! `git.detached`

use super::shared::{self, As};
use corpus_core::decode::OneOrMany;
use corpus_core::plan::{Observed, Settled};
use corpus_core::{Effect, Map, Plan, PlanCx, Prediction, State, StateError, Value};
use corpus_exec::ask;
use serde::Deserialize;

/// Keeps one revision of a repository checked out, on no branch.
///
/// ```sls
/// https://git.example.org/tools.git:
///   git.detached:
///     - rev: v1.2
///     - target: /opt/tools
/// ```
#[derive(Deserialize)]
pub struct Detached {
    /// Address of the repository.
    pub name: String,
    /// Commit, tag or branch of the remote.
    pub rev: String,
    /// Directory of the check-out.
    pub target: String,
    /// Name of the remote.
    #[serde(default = "origin")]
    pub remote: String,
    /// User who runs git.
    pub user: Option<String>,
    /// Clone over a directory that is not empty, removing what is there.
    #[serde(default)]
    pub force_clone: bool,
    /// Discard local changes where the check-out needs it.
    #[serde(default)]
    pub force_checkout: bool,
    /// Ask the remote; without it a revision that is known here is enough.
    #[serde(default = "yes")]
    pub fetch_remote: bool,
    /// Discard local changes first.
    #[serde(default)]
    pub hard_reset: bool,
    /// Fetch submodules, too.
    #[serde(default)]
    pub submodules: bool,
    /// Private keys for SSH.
    #[serde(default)]
    pub identity: OneOrMany<String>,
    /// Not built: use a credential helper.
    pub https_user: Option<String>,
    /// Not built, as it would show in the list of processes: use a credential helper.
    pub https_pass: Option<String>,
}

fn origin() -> String {
    "origin".into()
}

fn yes() -> bool {
    true
}

impl Detached {
    fn is_hash(&self) -> bool {
        self.rev.len() <= 40 && self.rev.bytes().all(|byte| byte.is_ascii_hexdigit())
    }

    /// Finds the commit: here, if it is named by its hash, else at the remote.
    fn commit(&self, cx: &PlanCx<'_>, git: &As<'_>, there: bool) -> Result<String, StateError> {
        let here = |name: &str| {
            let name = format!("{name}^{{commit}}");
            let known =
                if there { git.ask(cx, ["-C", &self.target, "rev-parse", "--verify", "-q", &name])? } else { None };
            Ok::<_, StateError>(known)
        };
        if self.is_hash()
            && let Some(known) = here(&self.rev.to_lowercase())?
        {
            return Ok(known);
        }
        if !self.fetch_remote && !self.is_hash() {
            for name in [format!("refs/remotes/{}/{}", self.remote, self.rev), format!("refs/tags/{}", self.rev)] {
                if let Some(known) = here(&name)? {
                    return Ok(known);
                }
            }
            return Err(StateError::failed(format!("Revision '{}' does not exist", self.rev)));
        }
        let missing = |error: StateError| match error.to_string() {
            text if text.starts_with("No revision matching") => {
                StateError::failed(format!("Revision '{}' does not exist", self.rev))
            }
            _ => error,
        };
        Ok(git.remote_rev(cx, &self.name, &self.rev).map_err(missing)?.0)
    }

    fn clone_step(&self, cx: &PlanCx<'_>, git: &As<'_>, plan: &mut Plan) -> Result<String, StateError> {
        let (target, url) = (self.target.as_str(), shared::redact(&self.name));
        let mut would = format!("Repository {url} would be cloned to {target}");
        if ask::is_dir(cx.host, target) && !cx.host.list(target.as_ref())?.is_empty() {
            if !self.force_clone {
                return Err(StateError::failed(format!(
                    "Target '{target}' exists, is non-empty and is not a git repository. Set the 'force_clone' option to \
                     True to remove this directory's contents and proceed with cloning the remote repository"
                )));
            }
            would = format!(
                "Target directory {target} exists. Since force_clone=True, the contents of {target} would be deleted, \
                 and {url} would be cloned into this directory."
            );
            plan.push(Effect::Remove { path: target.into() }, vec![]);
            plan.changes.insert("forced clone", true);
        }
        let mut clone = git.git(["clone", "--no-checkout", "--origin", &self.remote, "--"]);
        clone.argv.extend([self.name.clone(), target.into()]);
        plan.push(Effect::Exec(clone), vec![Prediction::Path(target.into())]);
        Ok(would)
    }

    /// Plans to fetch from the declared address where the commit is not here yet.
    fn fetch_steps(
        &self,
        cx: &PlanCx<'_>,
        git: &As<'_>,
        sha: &str,
        plan: &mut Plan,
    ) -> Result<(String, Vec<String>), StateError> {
        let (target, remote) = (self.target.as_str(), self.remote.as_str());
        let (mut would, mut said) = (String::new(), vec![]);
        let url = git.ask(cx, ["-C", target, "remote", "get-url", remote])?;
        if !self.is_hash() && url.as_ref() != Some(&self.name) {
            let verb = if url.is_some() { "set-url" } else { "add" };
            plan.push(Effect::Exec(git.git(["-C", target, "remote", verb, remote, &self.name])), vec![]);
            let old = url.as_deref().map_or("None".into(), shared::redact);
            would = format!("Remote {remote} would be set to {}", shared::redact(&self.name));
            said.push(format!("Remote {remote} updated from '{old}' to '{}'", shared::redact(&self.name)));
        }
        let known = git.ask(cx, ["-C", target, "cat-file", "-t", sha])?;
        if known.as_deref() != Some("commit") {
            let heads = format!("refs/heads/*:refs/remotes/{remote}/*");
            let fetch = git.git(["-C", target, "fetch", "--force", remote, &heads, "+refs/tags/*:refs/tags/*"]);
            plan.push(Effect::Exec(fetch), vec![]);
            if would.is_empty() {
                would = format!("Repository remote {remote} would be fetched");
            }
            said.push(format!("Remote {remote} was fetched, resulting in updated refs"));
        }
        Ok((would, said))
    }
}

impl State for Detached {
    const NAME: &'static str = "git.detached";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let target = self.target.as_str();
        if self.rev.is_empty() {
            return Err(StateError::failed(format!("'{}' is not a valid value for the 'rev' argument", self.rev)));
        }
        if !target.starts_with('/') {
            return Err(StateError::failed(format!("Target '{target}' is not an absolute path")));
        }
        if self.https_user.is_some() || self.https_pass.is_some() {
            return Err(StateError::failed(
                "arguments `https_user` and `https_pass` are not built, as they would show in the list of processes; use a \
                 credential helper",
            ));
        }
        if cx.host.stat(target.as_ref())?.is_some_and(|meta| meta.is_file()) {
            return Err(StateError::failed(format!("Target '{target}' exists and is a regular file, cannot proceed")));
        }
        let git = As { user: self.user.as_deref(), identity: &self.identity.0 };
        let there = ask::exists(cx.host, format!("{target}/.git"));
        let sha = self.commit(cx, &git, there)?;
        let head = if there { git.ask(cx, ["-C", target, "rev-parse", "--verify", "-q", "HEAD"])? } else { None };
        let branch = if there { git.ask(cx, ["-C", target, "symbolic-ref", "-q", "HEAD"])? } else { None };
        let mut plan = Plan::default();
        let (mut would, mut said) = if there {
            self.fetch_steps(cx, &git, &sha, &mut plan)?
        } else {
            let would = self.clone_step(cx, &git, &mut plan)?;
            (would, vec![format!("{} cloned to {target}", shared::redact(&self.name))])
        };
        let dirty = self.hard_reset && there && {
            let changed = git.ask(cx, ["-C", target, "status", "--porcelain", "--untracked-files=no"])?;
            changed.is_some_and(|text| !text.is_empty())
        };
        if dirty {
            plan.push(Effect::Exec(git.git(["-C", target, "reset", "--hard", "HEAD"])), vec![]);
            plan.changes.insert("forced update", true);
            said.push("Repository was reset to HEAD before checking out revision".into());
            if would.is_empty() {
                would = format!("Hard reset to HEAD would be performed on {target}");
            }
        }
        // A clone without a check-out has a branch, even where its commit is the right one.
        if head.as_deref() != Some(&*sha) || !there {
            let mut checkout = git.git(["-C", target, "checkout", "--detach"]);
            if self.force_checkout {
                checkout.argv.push("--force".into());
            }
            checkout.argv.push(sha.clone());
            plan.push(Effect::Exec(checkout), vec![]);
            let change: Map = [("old", Value::from(head)), ("new", sha.as_str().into())].into_iter().collect();
            plan.changes.insert("HEAD", change);
            said.push(format!("Commit ID {sha} was checked out at {target}"));
            if would.is_empty() {
                would = format!("Commit ID {sha} would be checked out at {target}");
            }
        } else if branch.is_some() && plan.steps.is_empty() {
            // Salt: the right commit is enough, even on a branch.
            said.clear();
        }
        if self.submodules && !plan.steps.is_empty() {
            plan.push(Effect::Exec(git.git(["-C", target, "submodule", "update", "--init", "--recursive"])), vec![]);
            said.push("Submodules were updated".into());
        }
        if !plan.changes.contains("HEAD") {
            said.push("Already checked out at correct revision".into());
        }
        plan.unchanged.clone_from(&said.join(""));
        Ok(plan.says(would, shared::sentences(&said)))
    }

    fn settle(&self, plan: &Plan, _: &[Observed], cx: &PlanCx<'_>) -> Result<Settled, StateError> {
        let mut settled = Settled::as_planned(plan);
        // A hash may have been short: only the repository knows the whole.
        let git = As { user: self.user.as_deref(), identity: &self.identity.0 };
        let now = git.ask(cx, ["-C", &self.target, "rev-parse", "--verify", "-q", "HEAD"])?;
        if let (Some(Value::Map(change)), Some(now)) = (plan.changes.get("HEAD"), now) {
            let mut change = (**change).clone();
            change.insert("new", now);
            settled.changes.insert("HEAD", change);
        }
        Ok(settled)
    }
}
