//! Release-sync: the next release is prepared beside the running one, proven to have a configuration, and put in its
//! place.

use crate::deploy::DeployRequest;
use crate::fs::Fs;
use crate::journal::Journal;
use crate::owned::{self, Owner};
use crate::repo::Git;
use crate::run::Run;
use crate::{Layout, ProjectError, ProjectName, R, archive, config, init, steps, stop, switch, users, wiring};
use corpus_core::{Map, Value};
use std::path::{Path, PathBuf};

/// Returns the commit that `project/` is at.
pub fn serving(run: &Run<'_>) -> Option<String> {
    let identity = users::owner(run.cx, &run.cfg()).ok().flatten();
    run.layout
        .project
        .join(".git")
        .exists()
        .then(|| Git::of(identity, None).head(&run.layout.project).ok().flatten())?
}

/// Brings code and pillar to their commits.
pub fn step(run: &mut Run<'_>, journal: &mut Journal, request: &DeployRequest, kwargs: &Map) -> R<String> {
    let cfg = run.cfg();
    let mut made = vec![];
    let owner = init::ensure(run.cx, run.name, &cfg, &mut made)?;
    for line in &made {
        run.say(&format!("    made {line}"));
    }
    let git = Git::of(owner, run.stopping());
    let keep = run.report.env == "dev" && !request.force;
    let layout = run.layout.clone();
    let spare = layout.archive(&journal.id).join(".pillar");
    let pillar = wanted(&git, &layout.pillar, &layout.pillar_git, &cfg, request.pillar_rev.as_deref(), keep)?;
    let code = wanted(&git, &layout.project, &layout.project_git, &cfg, request.project_rev.as_deref(), keep)?;
    if let Some(code) = &code {
        run.report.project_rev = Some(code.commit.clone());
        told_edits(run, code, keep);
    }
    let mut said = vec![];
    if let Some(goal) = &pillar {
        archive::directory(run, &journal.id)?;
        let fs = &*run.cx.fs;
        fs.remove(&spare)?;
        fs.copy_tree(&layout.pillar, &spare, git.stop.as_deref())?;
        bring(fs, &git, &spare, &layout.pillar_git, goal, keep)?;
        init::pillar_defaults(&spare, run.name, owner, &mut vec![])?;
        said.push(format!("pillar/ is at {}", short(&goal.commit)));
    }
    if let Some(goal) = &code {
        archive::directory(run, &journal.id)?;
        stage(run, &git, journal, goal, owner, &cfg, keep)?;
        said.push(format!("project/ is at {}", short(&goal.commit)));
    }
    if pillar.is_none() && code.is_none() {
        said.push("everything is at its commit already".into());
    }
    stop::check(git.stop.as_deref())?;
    prove(run, kwargs, pillar.as_ref().map(|_| &*spare), code.as_ref().map(|_| switch::spare(&layout, &journal.id)))?;
    let fs = &*run.cx.fs;
    if pillar.is_some() {
        fs.sync_all(&spare)?;
        fs.exchange(&layout.pillar, &spare)?;
        fs.sync_dir(&layout.dir)?;
    }
    if code.is_some() {
        switch::forward(fs, &layout, journal)?;
    }
    wiring::link(run.cx, run.name, &run.cfg())?;
    if !crate::modules::sync(run.cx, run.name, &run.cfg())?.is_empty() {
        run.cx.corpus.find_modules();
    }
    if pillar.is_some() || code.is_some() {
        reload(run, kwargs)?;
    }
    Ok(said.join("\n"))
}

/// Where a working copy is to go.
struct Goal {
    branch: String,
    commit: String,
    edited: Vec<String>,
}

/// Finds out where a working copy is to go; `None` if it is there, or has no repository.
fn wanted(git: &Git, copy: &Path, bare: &Path, cfg: &Map, rev: Option<&str>, keep: bool) -> R<Option<Goal>> {
    if !bare.exists() || !copy.join(".git").exists() {
        return match rev {
            Some(_) => Err(ProjectError::new(format!("there is no {}", bare.display()))
                .hint("a project without remotes (`remote_less`) is deployed as it lies there")),
            None => Ok(None),
        };
    }
    let branch = git.branch(bare, cfg.str("deploy_branch").filter(|branch| !branch.is_empty()))?;
    let commit = match rev {
        Some(rev) => commit_id(rev)?,
        None => match git.tip(bare, &branch)? {
            Some(tip) => tip,
            None => return Ok(None),
        },
    };
    let edited = git.edited(copy)?;
    let there = git.head(copy)?.as_deref() == Some(&commit);
    if there && (keep || edited.is_empty()) {
        return Ok(None);
    }
    Ok(Some(Goal { branch, commit, edited }))
}

fn commit_id(rev: &str) -> R<String> {
    let good = (rev.len() == 40 || rev.len() == 64) && rev.bytes().all(|byte| byte.is_ascii_hexdigit());
    match good {
        true => Ok(rev.to_ascii_lowercase()),
        false => Err(ProjectError::new(format!("`{}` is no commit id", rev.escape_debug()))
            .hint("a deployment is asked for by the full id of a commit")),
    }
}

fn told_edits(run: &mut Run<'_>, goal: &Goal, keep: bool) {
    if !goal.edited.is_empty() {
        let what = if keep { "kept" } else { "overwritten; the archive has them" };
        run.say(&format!("    local edits are {what}: {}", goal.edited.join(", ")));
    }
}

fn bring(fs: &dyn Fs, git: &Git, tree: &Path, bare: &Path, goal: &Goal, keep: bool) -> R<()> {
    fs.work(tree, &mut || {
        git.bring(tree, bare, &goal.branch, &goal.commit, keep).map_err(|error| match keep && !goal.edited.is_empty() {
            true => ProjectError::new(format!(
                "the new release would overwrite local edits in {}: {}",
                goal.edited.join(", "),
                error.message
            ))
            .hint("commit and push them, put them aside with `git stash`, or deploy with force=True"),
            false => error,
        })
    })
}

/// Prepares the next release beside the running one.
fn stage(run: &Run<'_>, git: &Git, journal: &Journal, goal: &Goal, owner: Owner, cfg: &Map, keep: bool) -> R<()> {
    let (fs, layout) = (&*run.cx.fs, &run.layout);
    let next = switch::spare(layout, &journal.id);
    if !next.exists() {
        fs.copy_tree(&layout.project, &next, git.stop.as_deref())?;
    }
    // Defaults that nobody has changed must not stand in the way of the same names in the new release.
    for procedure in init::PROCEDURES {
        let relative = format!(".salt/{procedure}.sls");
        let path = next.join(&relative);
        let plain = init::procedure_text(procedure, cfg.str("api_version").unwrap_or_default());
        let ours = std::fs::read_to_string(&path).is_ok_and(|text| text == plain);
        if ours && git.ask(&next, &["ls-files", "--error-unmatch", &relative])?.is_none() {
            fs.remove(&path)?;
        }
    }
    bring(fs, git, &next, &layout.project_git, goal, keep)?;
    fs.work(&next, &mut || init::defaults(&next, run.name, cfg, owner, &mut vec![]))
}

/// Computes the configuration of what is prepared, while it can still be thrown away: a sample or a pillar that does
/// not render is found here.
fn prove(run: &mut Run<'_>, kwargs: &Map, pillar: Option<&Path>, code: Option<PathBuf>) -> R<()> {
    if pillar.is_none() && code.is_none() {
        return Ok(());
    }
    let top = Overlay::new(run.name, &run.layout, &run.report.env, pillar, code.as_deref())?;
    let cx = run.cx.over(top.states(), top.pillar())?;
    let facts = cx.facts()?;
    config::compute_in(&cx, &facts, run.name, kwargs, code.as_deref()).map(|_| ())
}

/// Computes the configuration again, from the new code and pillar.
pub fn reload(run: &mut Run<'_>, kwargs: &Map) -> R<()> {
    run.facts = run.cx.facts()?;
    let cfg = config::compute(run.cx, &run.facts, run.name, kwargs)?;
    run.report.env = cfg.str("default_env").unwrap_or_default().to_owned();
    run.shared.set(cfg.into());
    Ok(())
}

/// Two trees in which a prepared release has the place of the running one.
struct Overlay {
    folder: tempfile::TempDir,
}

impl Overlay {
    fn new(name: &ProjectName, layout: &Layout, env: &str, pillar: Option<&Path>, code: Option<&Path>) -> R<Self> {
        let fail = |error| ProjectError::io("make a directory in", &layout.corpus, error);
        let folder = tempfile::Builder::new().prefix("overlay-").tempdir_in(&layout.corpus).map_err(fail)?;
        let salt = crate::layout::recipes(code.unwrap_or(&layout.project), env);
        for (tree, target) in [("states", &*salt), ("pillar", pillar.unwrap_or(&layout.pillar))] {
            let at = folder.path().join(tree).join("makina-projects");
            std::fs::create_dir_all(&at).map_err(fail)?;
            std::os::unix::fs::symlink(target, at.join(name)).map_err(fail)?;
        }
        Ok(Self { folder })
    }

    fn states(&self) -> PathBuf {
        self.folder.path().join("states")
    }

    fn pillar(&self) -> PathBuf {
        self.folder.path().join("pillar")
    }
}

/// A dry run: the changes of the tree, then the recipes in test mode, all on copies that are thrown away.
pub fn plan(run: &mut Run<'_>, request: &DeployRequest, kwargs: &Map) -> bool {
    run.begin("plan");
    let planned = planned(run, request, kwargs);
    let ok = run.end(planned.map(|()| String::new()));
    let word = if ok { "could be deployed" } else { "would fail" };
    run.report.summary = format!("plan of {}: it {word}; nothing was moved", run.name);
    let summary = run.report.summary.clone();
    run.say(&summary);
    ok
}

fn planned(run: &mut Run<'_>, request: &DeployRequest, kwargs: &Map) -> R<()> {
    let cfg = run.cfg();
    let owner = users::owner(run.cx, &cfg)?;
    let git = Git::of(owner, run.stopping());
    let layout = run.layout.clone();
    let keep = run.report.env == "dev" && !request.force;
    let scratch = layout.archives.join(format!(".plan-{}", run.report.id));
    let _scratch = Scratch(scratch.clone());
    owned::dir(&scratch, owner, 0o700)?;
    let pillar = wanted(&git, &layout.pillar, &layout.pillar_git, &cfg, request.pillar_rev.as_deref(), keep)?;
    let code = wanted(&git, &layout.project, &layout.project_git, &cfg, request.project_rev.as_deref(), keep)?;
    let fresh = |goal: &Option<Goal>, bare: &Path, name: &str| -> R<Option<PathBuf>> {
        let Some(goal) = goal else { return Ok(None) };
        let tree = scratch.join(name);
        owned::dir(&tree, owner, 0o755)?;
        git.init_copy(&tree, Some(bare))?;
        git.bring(&tree, bare, &goal.branch, &goal.commit, false)?;
        Ok(Some(tree))
    };
    let pillar_tree = fresh(&pillar, &layout.pillar_git, "pillar")?;
    let code_tree = fresh(&code, &layout.project_git, "project")?;
    if let (Some(goal), Some(tree)) = (&code, &code_tree) {
        told_edits(run, goal, keep);
        let before = git.head(&layout.project)?;
        if let Some(before) = before {
            if git.ask(tree, &["cat-file", "-e", &before])?.is_none() {
                git.run(tree, &["fetch", "--quiet", "--no-tags", &layout.project.to_string_lossy(), &before])?;
            }
            let stat = git.run(tree, &["diff", "--no-ext-diff", "--no-textconv", "--stat", &before, &goal.commit])?;
            let stat: String = stat.lines().map(|line| format!("    {line}\n")).collect();
            run.say(&format!("    project/ {} -> {}\n{stat}", short(&before), short(&goal.commit)));
        }
        init::defaults(tree, run.name, &cfg, owner, &mut vec![])?;
    }
    let top = Overlay::new(run.name, &layout, &run.report.env, pillar_tree.as_deref(), code_tree.as_deref())?;
    let cx = run.cx.over(top.states(), top.pillar())?;
    let facts = cx.facts()?;
    let cfg = config::compute_in(&cx, &facts, run.name, kwargs, code_tree.as_deref())?;
    let salt = crate::layout::recipes(code_tree.as_deref().unwrap_or(&layout.project), &run.report.env);
    let recipes = steps::chosen(steps::recipes(&salt)?, &request.only_steps, "only_steps")?;
    run.shared.set(cfg.into());
    run.facts = facts;
    run.over = Some(cx);
    // All recipes are asked, so that one look tells all that is wrong.
    let results: Vec<bool> = recipes.iter().map(|recipe| run.sls(recipe, true)).collect();
    run.over = None;
    match results.iter().all(|ok| *ok) {
        true => Ok(()),
        false => Err(ProjectError::new(format!("a recipe of {} would fail", run.name))),
    }
}

/// A directory that goes when it is dropped.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn short(commit: &str) -> &str {
    commit.get(..10).unwrap_or(commit)
}

/// Reads a revision that a call names.
pub fn revision(value: Option<&Value>) -> Option<String> {
    value.filter(|value| value.truthy()).map(corpus_core::python::str)
}
