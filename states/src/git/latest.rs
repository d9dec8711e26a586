//! `git.latest`

use super::shared::{self, As};
use corpus_core::decode::OneOrMany;
use corpus_core::{Effect, Map, Plan, PlanCx, Prediction, State, StateError, Value};
use corpus_exec::ask;
use serde::Deserialize;

/// Keeps a check-out at the newest commit of a revision.
///
/// ```sls
/// https://git.example.org/site.git:
///   git.latest:
///     - target: /srv/site
///     - rev: main
///     - user: www-data
/// ```
#[derive(Deserialize)]
pub struct Latest {
    /// Address of the repository.
    pub name: String,
    /// Directory of the check-out.
    pub target: String,
    /// Commit, tag or branch; the remote's own choice if not given.
    #[serde(default = "head")]
    pub rev: String,
    /// Local branch to check out, if not `rev`.
    pub branch: Option<String>,
    /// User who runs git.
    #[serde(alias = "runas")]
    pub user: Option<String>,
    /// Name of the remote.
    #[serde(default = "origin")]
    pub remote: String,
    /// Private keys for SSH.
    #[serde(default)]
    pub identity: OneOrMany<String>,
    /// How much of the history to fetch.
    pub depth: Option<u32>,
    /// Fetch submodules, too.
    #[serde(default)]
    pub submodules: bool,
    /// Clone without a check-out.
    #[serde(default)]
    pub bare: bool,
    /// Clone all references as they are.
    #[serde(default)]
    pub mirror: bool,
    /// Clone over a directory that is not empty, removing what is there.
    #[serde(default)]
    pub force_clone: bool,
    /// Discard local changes where the check-out needs it.
    #[serde(default)]
    pub force_checkout: bool,
    /// Accepted for Salt's sake: references are fetched by force where `force_reset` is set.
    #[serde(default)]
    pub force_fetch: bool,
    /// Reset to the remote revision where that is no fast-forward.
    #[serde(default)]
    pub force_reset: Value,
    /// Old name of the forces above, all of them.
    #[serde(default)]
    pub force: bool,
    /// Move to the newest revision; else only clone.
    #[serde(default = "yes")]
    pub update_head: bool,
    /// Settings of the repository to use while fetching.
    pub https_user: Option<String>,
    /// Not built, as it would show in the list of processes: use a credential helper.
    pub https_pass: Option<String>,
    /// Accepted for Salt's sake: it is always fetched when the revision differs.
    pub always_fetch: Option<Value>,
    /// Accepted for Salt's sake.
    pub fetch_tags: Option<Value>,
    /// Accepted for Salt's sake.
    pub sync_tags: Option<Value>,
}

fn head() -> String {
    "HEAD".into()
}

fn origin() -> String {
    "origin".into()
}

fn yes() -> bool {
    true
}

impl State for Latest {
    const NAME: &'static str = "git.latest";
    const OPEN: bool = true;

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let (target, url) = (self.target.as_str(), shared::redact(&self.name));
        if !target.starts_with('/') {
            return Err(StateError::failed(format!("target '{target}' is not an absolute path")));
        }
        if self.https_pass.is_some() {
            return Err(StateError::failed("https_pass is not built: use a credential helper or SSH"));
        }
        if let Some(user) = &self.user
            && cx.host.user(user)?.is_none()
        {
            return Err(StateError::missing(format!("User '{user}' is not available")));
        }
        let git = As { user: self.user.as_deref(), identity: &self.identity.0 };
        let (sha, reference) = git.remote_rev(cx, &self.name, &self.rev)?;
        let there = cx.host.stat(target.as_ref())?;
        if there.is_some_and(|meta| meta.is_file()) {
            return Err(StateError::failed(format!("Target '{target}' exists and is a regular file, cannot proceed")));
        }
        let bare = self.bare || self.mirror;
        let is_repository =
            ask::exists(cx.host, format!("{target}/.git")) || ask::exists(cx.host, format!("{target}/HEAD"));
        if !is_repository {
            let empty = there.is_none() || cx.host.list(target.as_ref())?.is_empty();
            if !empty && !self.force_clone && !self.force {
                return Err(StateError::failed(format!(
                    "Target '{target}' exists, is non-empty and is not a git repository. Set the 'force_clone' option \
                     to True to remove this directory's contents and proceed with cloning the remote repository"
                )));
            }
            return Ok(self.clone_plan(&git, &url, &sha, reference.as_deref(), !empty));
        }
        let have = git.ask(cx, ["-C", target, "rev-parse", "HEAD"])?;
        let current_url = git.ask(cx, ["-C", target, "config", "--get", &format!("remote.{}.url", self.remote)])?;
        let mut plan = Plan::unchanged(format!("Repository {target} is up-to-date"));
        let (mut would, mut did) = (vec![], vec![]);
        if current_url.as_deref() != Some(&self.name) {
            let verb = if current_url.is_some() { "set-url" } else { "add" };
            plan.push(Effect::Exec(git.git(["-C", target, "remote", verb, &self.remote, &self.name])), vec![]);
            let old = current_url.map(|old| shared::redact(&old));
            did.push(match &old {
                Some(old) => format!("Remote '{}' changed from {old} to {url}", self.remote),
                None => format!("Remote '{}' set to {url}", self.remote),
            });
            would.push(match &old {
                Some(old) => format!("Remote '{}' would be changed from {old} to {url}", self.remote),
                None => format!("Remote '{}' would be set to {url}", self.remote),
            });
            plan.changes.insert(format!("remotes/{}", self.remote), change(old.into(), url.clone().into()));
        }
        let same = have.as_deref().is_some_and(|have| have.starts_with(&sha));
        if !same && !bare && self.update_head {
            self.update(cx, &git, have.as_deref(), &sha, reference.as_deref(), &mut plan, &mut did)?;
            would.push(format!(
                "Repository {target} would be updated from {} to {}",
                have.as_deref().map_or("nothing", |sha| sha.get(..7).unwrap_or(sha)),
                sha.get(..7).unwrap_or(&sha)
            ));
        } else if !same && !bare {
            plan.unchanged = format!(
                "Repository {target} is already present and local HEAD does not match, but update_head=False. HEAD has not been updated locally."
            );
        }
        Ok(plan.says(would.join(". "), format!("Repository {target} is up-to-date. {}", did.join(". "))))
    }
}

fn change(old: Value, new: Value) -> Value {
    Value::map([("old", old), ("new", new)].into_iter().collect::<Map>())
}

impl Latest {
    fn clone_plan(&self, git: &As<'_>, url: &str, sha: &str, reference: Option<&str>, clear: bool) -> Plan {
        let target = self.target.as_str();
        let mut plan = Plan::default()
            .says(format!("{url} would be cloned to {target}"), format!("{url} cloned to {target}"))
            .change("new", format!("{url} => {target}"));
        if clear {
            plan.push(Effect::Remove { path: target.into() }, vec![]);
            plan.changes.insert("forced clone", true);
        }
        let mut clone = git.git(["clone", "--origin", &self.remote]);
        if self.mirror {
            clone.argv.push("--mirror".into());
        } else if self.bare {
            clone.argv.push("--bare".into());
        }
        if let Some(depth) = self.depth {
            clone.argv.extend(["--depth".into(), depth.to_string()]);
        }
        if self.submodules {
            clone.argv.push("--recurse-submodules".into());
        }
        // A branch or tag can be asked for at once, which a shallow clone needs.
        let named = reference.and_then(|r| r.strip_prefix("refs/heads/").or_else(|| r.strip_prefix("refs/tags/")));
        if let Some(name) = named.filter(|_| !self.bare && !self.mirror) {
            clone.argv.extend(["--branch".into(), name.into()]);
        }
        clone.argv.extend(["--".into(), self.name.clone(), target.into()]);
        plan.push(Effect::Exec(clone), vec![Prediction::Path(target.into())]);
        if self.bare || self.mirror {
            return plan;
        }
        let branch = self.branch.as_deref().filter(|branch| named != Some(*branch));
        if let Some(branch) = branch {
            plan.push(Effect::Exec(git.git(["-C", target, "checkout", "-B", branch, sha])), vec![]);
        } else if reference.is_none() {
            plan.push(Effect::Exec(git.git(["-C", target, "checkout", sha])), vec![]);
        }
        plan.changes.insert("revision", change(Value::Null, sha.into()));
        plan
    }

    #[expect(clippy::too_many_arguments, reason = "one step of a plan, split off for its length")]
    fn update(
        &self,
        cx: &PlanCx<'_>,
        git: &As<'_>,
        have: Option<&str>,
        sha: &str,
        reference: Option<&str>,
        plan: &mut Plan,
        did: &mut Vec<String>,
    ) -> Result<(), StateError> {
        let target = self.target.as_str();
        let forced = self.force || self.force_reset.truthy();
        let mut fetch = git.git(["-C", target, "fetch", "--tags", &self.remote]);
        if let Some(depth) = self.depth {
            fetch.argv.extend(["--depth".into(), depth.to_string()]);
        }
        if self.force_fetch || forced {
            fetch.argv.push("--force".into());
        }
        if let Some(reference) = reference.filter(|_| self.depth.is_some()) {
            fetch.argv.push(reference.into());
        }
        plan.push(Effect::Exec(fetch), vec![]);
        did.push(format!("{} was fetched, resulting in updated refs", shared::redact(&self.name)));
        let current = git.ask(cx, ["-C", target, "symbolic-ref", "--short", "-q", "HEAD"])?;
        let dirty = git.ask(cx, ["-C", target, "status", "--porcelain", "-uno"])?.is_some_and(|text| !text.is_empty());
        let branch = self
            .branch
            .clone()
            .or_else(|| reference.and_then(|r| r.strip_prefix("refs/heads/")).map(str::to_owned))
            .or_else(|| current.clone().filter(|_| self.rev == "HEAD"));
        if dirty && !forced && !self.force_checkout {
            let branch = current.unwrap_or_else(|| "HEAD".into());
            return Err(StateError::failed(format!(
                "Local branch '{branch}' has uncommitted changes. Set 'force_checkout' to True to discard them and proceed."
            )));
        }
        match branch {
            Some(branch) => {
                if current.as_deref() != Some(&branch) {
                    let exists = git
                        .ask(cx, ["-C", target, "rev-parse", "--verify", "-q", &format!("refs/heads/{branch}")])?
                        .is_some();
                    let mut checkout = git.git(["-C", target, "checkout"]);
                    if self.force_checkout || forced {
                        checkout.argv.push("--force".into());
                    }
                    if exists {
                        checkout.argv.push(branch.clone());
                        did.push(format!("'{branch}' was checked out"));
                    } else {
                        checkout.argv.extend(["-b".into(), branch.clone(), sha.into()]);
                        did.push(format!("New branch '{branch}' was checked out, with {sha} as a starting point"));
                    }
                    plan.push(Effect::Exec(checkout), vec![]);
                }
                if forced {
                    plan.push(Effect::Exec(git.git(["-C", target, "reset", "--hard", sha])), vec![]);
                    did.push(format!("Repository was hard-reset to {sha}"));
                    if dirty {
                        plan.changes.insert("forced update", true);
                    }
                } else {
                    // Refuses by itself what is no fast-forward.
                    plan.push(Effect::Exec(git.git(["-C", target, "merge", "--ff-only", sha])), vec![]);
                    did.push(format!("Repository was fast-forwarded to {sha}"));
                }
            }
            None => {
                let mut checkout = git.git(["-C", target, "checkout"]);
                if self.force_checkout || forced {
                    checkout.argv.push("--force".into());
                }
                checkout.argv.push(sha.into());
                plan.push(Effect::Exec(checkout), vec![]);
                did.push(format!("'{}' was checked out", self.rev));
            }
        }
        if self.submodules {
            plan.push(
                Effect::Exec(git.git(["-C", target, "submodule", "update", "--init", "--recursive"])),
                vec![Prediction::Path(target.into())],
            );
        }
        plan.changes.insert("revision", change(have.into(), sha.into()));
        Ok(())
    }
}
