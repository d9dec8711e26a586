//! `git.latest`

use super::shared::{self, As, sentences};
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
        if self.rev != "HEAD" && (self.bare || self.mirror) {
            return Err(StateError::failed("'rev' is not compatible with the 'mirror' and 'bare' arguments"));
        }
        let git = As { user: self.user.as_deref(), identity: &self.identity.0 };
        let (sha, reference) = git.remote_rev(cx, &self.name, &self.rev)?;
        if self.depth.is_some() && !reference.as_ref().is_some_and(|name| name.starts_with("refs/")) {
            return Err(StateError::failed(
                "When 'depth' is used, 'rev' must be set to the name of a branch or tag on the remote repository",
            ));
        }
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
        let mut plan = Plan::default();
        let (mut would, mut did) = (vec![], vec![]);
        self.remote_plan(cx, &git, &mut plan, &mut would, &mut did)?;
        let same = have.as_deref().is_some_and(|have| have.starts_with(&sha));
        let loc = self.location(&sha, reference.as_deref());
        let dirty = !bare && self.is_dirty(cx, &git)?;
        let reset = self.force || self.force_reset == Value::Bool(true);
        let short = |sha: &str| sha.get(..7).unwrap_or(sha).to_owned();
        plan.unchanged = format!("Repository {target} is up-to-date");
        if bare {
            self.fetch_bare(cx, &git, &mut plan, &mut would, &mut did)?;
        } else if !same && self.update_head {
            let step = Update { have: have.as_deref(), sha: &sha, reference: reference.as_deref(), loc: &loc, dirty };
            self.update(cx, &git, &step, &mut plan, &mut would, &mut did)?;
            return Ok(plan.says(sentences(&would), sentences(&did)));
        } else if !same {
            let have = have.as_deref().map(short).unwrap_or_default();
            plan.unchanged = format!(
                "{loc} is already present and local HEAD ({have}) does not match, but update_head=False. HEAD has not \
                 been updated locally."
            );
        } else if dirty && reset {
            plan.push(Effect::Exec(git.git(["-C", target, "reset", "--hard", &sha])), vec![]);
            plan.changes.insert("forced update", true);
            would.push(format!(
                "{target} is up-to-date, but with uncommitted changes. Since 'force_reset' is set to True, these local \
                 changes would be reset. To only reset when there are changes in the remote repository, set \
                 'force_reset' to 'remote-changes'."
            ));
            did.extend(["Uncommitted changes were discarded".into(), format!("Repository was hard-reset to {loc}")]);
            return Ok(plan.says(sentences(&would), sentences(&did)));
        } else if dirty {
            plan.unchanged += ", but with uncommitted changes. Set 'force_reset' to True to purge uncommitted changes.";
        }
        let also =
            |verb: &str, comments: &[String]| format!("{}\n\nChanges {verb}: {}", plan.unchanged, sentences(comments));
        let (would, did) = (also("that would be made", &would), also("made", &did));
        Ok(plan.says(would, did))
    }
}

/// What an update starts from, and where it goes.
struct Update<'a> {
    have: Option<&'a str>,
    sha: &'a str,
    reference: Option<&'a str>,
    /// The remote revision, as comments name it.
    loc: &'a str,
    dirty: bool,
}

fn change(old: Value, new: Value) -> Value {
    Value::map([("old", old), ("new", new)].into_iter().collect::<Map>())
}

impl Latest {
    fn clone_plan(&self, git: &As<'_>, url: &str, sha: &str, reference: Option<&str>, clear: bool) -> Plan {
        let target = self.target.as_str();
        let kind = match (self.mirror, self.bare) {
            (true, _) => " as mirror",
            (_, true) => " as bare repository",
            _ => "",
        };
        let would = if clear {
            format!(
                "Target directory {target} exists. Since force_clone=True, the contents of {target} would be deleted, \
                 and {url} would be cloned{kind} into this directory."
            )
        } else {
            format!("Repository {url} would be cloned to {target}")
        };
        let mut plan = Plan::default()
            .says(would, format!("{url} cloned to {target}{kind}"))
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
        plan.changes.insert("revision", change(Value::Null, sha.into()));
        if self.bare || self.mirror {
            return plan;
        }
        let branch = self.branch.as_deref().filter(|branch| named != Some(*branch));
        if let Some(branch) = branch {
            plan.push(Effect::Exec(git.git(["-C", target, "checkout", "-B", branch, sha])), vec![]);
        } else if reference.is_none() {
            plan.push(Effect::Exec(git.git(["-C", target, "checkout", sha])), vec![]);
        }
        plan
    }

    /// The remote revision, as comments name it.
    fn location(&self, sha: &str, reference: Option<&str>) -> String {
        let short = sha.get(..7).unwrap_or(sha);
        match (self.rev.as_str(), reference) {
            ("HEAD", _) => format!("remote HEAD ({short})"),
            (rev, Some(name)) if name.starts_with("refs/heads/") => format!("{}/{rev} ({short})", self.remote),
            (rev, Some(_)) => format!("{rev} ({short})"),
            (_, None) => short.to_owned(),
        }
    }

    fn is_dirty(&self, cx: &PlanCx<'_>, git: &As<'_>) -> Result<bool, StateError> {
        let status = git.ask(cx, ["-C", &self.target, "status", "--porcelain", "-uno"])?;
        Ok(status.is_some_and(|text| !text.is_empty()))
    }

    /// Plans the remote's address.
    fn remote_plan(
        &self,
        cx: &PlanCx<'_>,
        git: &As<'_>,
        plan: &mut Plan,
        would: &mut Vec<String>,
        did: &mut Vec<String>,
    ) -> Result<(), StateError> {
        let (target, remote, url) = (self.target.as_str(), self.remote.as_str(), shared::redact(&self.name));
        let old = git.ask(cx, ["-C", target, "config", "--get", &format!("remote.{remote}.url")])?;
        if old.as_deref() == Some(&self.name) {
            return Ok(());
        }
        let verb = if old.is_some() { "set-url" } else { "add" };
        plan.push(Effect::Exec(git.git(["-C", target, "remote", verb, remote, &self.name])), vec![]);
        let old = old.map(|old| shared::redact(&old));
        let words = match &old {
            Some(old) => format!("changed from {old} to {url}"),
            None => format!("set to {url}"),
        };
        would.push(format!("Remote '{remote}' would be {words}"));
        did.push(format!("Remote '{remote}' {words}"));
        plan.changes.insert(format!("remotes/{remote}"), change(old.into(), url.into()));
        Ok(())
    }

    /// Plans the fetch of a bare repository whose branches and tags are not those of the remote.
    fn fetch_bare(
        &self,
        cx: &PlanCx<'_>,
        git: &As<'_>,
        plan: &mut Plan,
        would: &mut Vec<String>,
        did: &mut Vec<String>,
    ) -> Result<(), StateError> {
        let target = self.target.as_str();
        let refs = |text: Option<String>, gap: char| -> Vec<String> {
            let text = text.unwrap_or_default();
            let pairs = text.lines().filter_map(|line| line.split_once(gap));
            let mut all: Vec<String> = pairs
                .filter(|(_, name)| name.starts_with("refs/heads/") || name.starts_with("refs/tags/"))
                .filter(|(_, name)| !name.ends_with("^{}"))
                .map(|(sha, name)| format!("{sha} {name}"))
                .collect();
            all.sort();
            all
        };
        let there = refs(git.ask(cx, ["ls-remote", &self.name])?, '\t');
        let here = refs(git.ask(cx, ["-C", target, "for-each-ref", "--format=%(objectname) %(refname)"])?, ' ');
        if there.iter().all(|name| here.contains(name)) {
            return Ok(());
        }
        let mut fetch = git.git(["-C", target, "fetch", "--force", &self.remote]);
        fetch.argv.extend(["refs/heads/*:refs/heads/*".into(), "refs/tags/*:refs/tags/*".into()]);
        plan.push(Effect::Exec(fetch), vec![]);
        would.push(format!("Bare repository at {target} would be fetched"));
        did.push(format!("Bare repository at {target} was fetched, resulting in updated refs"));
        let new: Vec<_> = there.iter().filter(|name| !here.contains(name)).map(String::as_str).collect();
        plan.changes.insert("refs", change(Value::Null, new.join(", ").into()));
        Ok(())
    }

    fn update(
        &self,
        cx: &PlanCx<'_>,
        git: &As<'_>,
        step: &Update<'_>,
        plan: &mut Plan,
        would: &mut Vec<String>,
        did: &mut Vec<String>,
    ) -> Result<(), StateError> {
        let Update { have, sha, reference, loc, dirty } = *step;
        let target = self.target.as_str();
        let forced = self.force || self.force_reset.truthy();
        let named = reference.and_then(|name| name.strip_prefix("refs/heads/"));
        let known = self.is_known(cx, git, sha, named)?;
        if !known {
            self.fetch(git, reference, forced, plan);
            would.push(format!("Remote '{}' would be fetched", self.remote));
            did.push(format!("{} was fetched, resulting in updated refs", shared::redact(&self.name)));
        }
        let current = git.ask(cx, ["-C", target, "symbolic-ref", "--short", "-q", "HEAD"])?;
        let branch = self
            .branch
            .clone()
            .or_else(|| named.map(str::to_owned))
            .or_else(|| current.clone().filter(|_| self.rev == "HEAD"));
        if dirty && !forced && !self.force_checkout {
            let branch = current.unwrap_or_else(|| "HEAD".into());
            return Err(StateError::failed(format!(
                "Local branch '{branch}' has uncommitted changes. Set 'force_checkout' to True to discard them and \
                 proceed."
            )));
        }
        if dirty {
            did.push("Uncommitted changes were discarded".into());
            plan.changes.insert("forced update", true);
        }
        let force: &[&str] = if self.force_checkout || forced { &["--force"] } else { &[] };
        let checkout = |words: &[&str]| {
            let mut command = git.git(["-C", target, "checkout"]);
            command.argv.extend(force.iter().chain(words).map(|word| (*word).to_owned()));
            Effect::Exec(command)
        };
        let short = |sha: &str| sha.get(..7).unwrap_or(sha).to_owned();
        let (from, to) = (have.map_or("nothing".into(), short), short(sha));
        let mut verb = if known { "fast-forwarded" } else { "updated" };
        match branch {
            Some(branch) => {
                let place = format!("refs/heads/{branch}");
                let base = git.ask(cx, ["-C", target, "rev-parse", "--verify", "-q", &place])?;
                if current.as_deref() != Some(&branch) && base.is_some() {
                    plan.push(checkout(&[&branch]), vec![]);
                    did.push(format!("Branch '{branch}' was checked out"));
                } else if base.is_none() {
                    plan.push(checkout(&["-b", &branch, sha]), vec![]);
                    did.push(format!("New branch '{branch}' was checked out, with {loc} as a starting point"));
                }
                let ahead = match &base {
                    Some(base) if known => {
                        !git.query(cx, ["-C", target, "merge-base", "--is-ancestor", base, sha])?.ok()
                    }
                    _ => false,
                };
                if ahead && !forced {
                    return Err(StateError::failed(format!(
                        "Repository would be updated to {to}, but this is not a fast-forward merge. Set 'force_reset' \
                         to True to force this update."
                    )));
                }
                if forced {
                    plan.push(Effect::Exec(git.git(["-C", target, "reset", "--hard", sha])), vec![]);
                    did.push(format!("Repository was hard-reset to {loc}"));
                    verb = if known { "hard-reset" } else { verb };
                } else if base.is_some() {
                    // Refuses by itself what is no fast-forward.
                    plan.push(Effect::Exec(git.git(["-C", target, "merge", "--ff-only", sha])), vec![]);
                    did.push(format!("Repository was fast-forwarded to {loc}"));
                }
            }
            None => {
                plan.push(checkout(&[sha]), vec![]);
                did.push(format!("'{}' was checked out", self.rev));
            }
        }
        would.push(format!("Repository would be {verb} from {from} to {to}"));
        if self.submodules {
            plan.push(
                Effect::Exec(git.git(["-C", target, "submodule", "update", "--init", "--recursive"])),
                vec![Prediction::Path(target.into())],
            );
        }
        plan.changes.insert("revision", change(have.into(), sha.into()));
        Ok(())
    }

    /// Tells whether a commit is here already, and the remote's branch is known to be there.
    fn is_known(&self, cx: &PlanCx<'_>, git: &As<'_>, sha: &str, branch: Option<&str>) -> Result<bool, StateError> {
        let target = self.target.as_str();
        if !git.query(cx, ["-C", target, "cat-file", "-e", &format!("{sha}^{{commit}}")])?.ok() {
            return Ok(false);
        }
        let Some(branch) = branch else { return Ok(true) };
        let place = format!("refs/remotes/{}/{branch}", self.remote);
        Ok(git.ask(cx, ["-C", target, "rev-parse", "--verify", "-q", &place])?.as_deref() == Some(sha))
    }

    fn fetch(&self, git: &As<'_>, reference: Option<&str>, forced: bool, plan: &mut Plan) {
        let mut fetch = git.git(["-C", &self.target, "fetch", "--tags", &self.remote]);
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
    }
}
