//! The initialisation of a project: user, directories, repositories, working copies, links. It may be run again at any
//! time, and makes what is missing. Each part appears whole or not at all.

use crate::owned::{self, Owner};
use crate::repo::{Git, Identity};
use crate::{
    Cx, Layout, Note, Progress, ProjectError, ProjectName, R, bundles, config, lock, push, saved, users, wiring,
};
use corpus_core::{Map, Value, python};
use std::path::Path;

/// The procedures that every project has, and may write anew.
pub const PROCEDURES: &[&str] = &["archive", "fixperms", "notify", "rollback"];

/// What an initialisation made.
#[derive(Clone, Debug, Default)]
pub struct InitReport {
    pub made: Vec<String>,
    pub cfg: Map,
}

/// Initialises a project. Arguments that are keys of the configuration are saved; they override its defaults.
pub fn init_project(cx: &Cx, name: &ProjectName, kwargs: &Map, out: &mut dyn Progress) -> R<InitReport> {
    let layout = cx.layout(name);
    mend(cx, name)?;
    let cfg = config::configuration(cx, name, kwargs)?;
    let mut report = InitReport::default();
    container(cx, &layout, &mut report.made)?;
    let who = std::env::var("SUDO_USER").or_else(|_| std::env::var("USER")).unwrap_or_else(|_| "root".into());
    let _lock = lock::need(&layout, name, &who, "init_project", "")?;
    if let Some(said) = crate::switch::recover(&*cx.fs, &layout)? {
        out.note(Note::Line(&said));
    }
    ensure(cx, name, &cfg, &mut report.made)?;
    let lasting: Map =
        kwargs.iter().filter(|(key, _)| lasting(key)).map(|(key, value)| (key.clone(), value.clone())).collect();
    if !lasting.is_empty() {
        saved::set(&layout, &as_saved(&lasting))?;
    }
    report.cfg = config::configuration(cx, name, kwargs)?;
    saved::remember(&layout, &report.cfg)?;
    for line in &report.made {
        out.note(Note::Line(line));
    }
    Ok(report)
}

/// Repairs the link of the pillar, without which nothing can be computed.
pub fn mend(cx: &Cx, name: &ProjectName) -> R<()> {
    if cx.layout(name).pillar.is_dir() {
        wiring::link_pillar(cx, name, &Map::new())?;
    }
    Ok(())
}

/// Free keys of a call belong into `data`.
pub fn as_saved(kwargs: &Map) -> Map {
    let (mut given, free) = config::arguments(kwargs);
    if !free.is_empty() {
        let mut data = given.get("data").and_then(Value::as_map).cloned().unwrap_or_default();
        corpus_core::merge::update(&mut data, &free, false);
        given.insert("data", data);
    }
    given
}

fn lasting(key: &Value) -> bool {
    let passing =
        ["commit_all", "name", "api_ver", "nodata", "force_reload", "raw_console_return", "only", "only_steps"];
    key.as_str().is_some_and(|key| !passing.contains(&key) && !key.starts_with("__"))
}

/// Makes the directory of the project itself: root's, so that nobody exchanges what lies in it.
pub fn container(cx: &Cx, layout: &Layout, made: &mut Vec<String>) -> R<()> {
    std::fs::create_dir_all(&cx.projects).map_err(|error| ProjectError::io("make", &cx.projects, error))?;
    if !layout.dir.exists() {
        owned::dir(&cx.projects, None, 0o751)?;
        owned::dir(&layout.dir, None, 0o755)?;
        made.push(layout.dir.display().to_string());
    }
    Ok(())
}

/// Makes what is missing. The caller holds the lock.
pub fn ensure(cx: &Cx, name: &ProjectName, cfg: &Map, made: &mut Vec<String>) -> R<Owner> {
    let layout = cx.layout(name);
    container(cx, &layout, made)?;
    made.extend(users::ensure(cx, cfg)?);
    let owner = users::owner(cx, cfg)?;
    made.extend(users::keys(cx, cfg, owner)?);
    directories(&layout, cfg, owner, made)?;
    let remote_less = cfg.get("remote_less").is_some_and(Value::truthy);
    let text = |key: &str| cfg.get(key).filter(|value| value.truthy()).map(python::str);
    let parts = [
        Part {
            bare: &layout.pillar_git,
            copy: &layout.pillar,
            origin: text("pillar_origin"),
            rev: text("pillar_rev"),
            pillar: true,
        },
        Part {
            bare: &layout.project_git,
            copy: &layout.project,
            origin: text("origin"),
            rev: text("origin_rev"),
            pillar: false,
        },
    ];
    for part in parts {
        // A working copy that was there before its remote stays alone.
        let alone = remote_less || part.pillar && part.copy.join("init.sls").exists() && !part.bare.exists();
        repositories(&layout, name, cfg, owner, &part, alone, made)?;
    }
    defaults(&layout.project, name, cfg, owner, made)?;
    pillar_defaults(&layout.pillar, name, owner, made)?;
    made.extend(wiring::link(cx, name, cfg)?);
    if hooks(cx, name, owner)? {
        made.push("hooks and settings of the repositories".into());
    }
    Ok(owner)
}

/// Puts right what pushes go through, where the project takes pushes: it has a user of its own, and lies where the
/// machine's pushes go.
pub fn hooks(cx: &Cx, name: &ProjectName, owner: Owner) -> R<bool> {
    let told = |error: String| ProjectError::new(format!("the hooks of {name}: {error}"));
    let conf = push::Conf::load().map_err(told)?;
    if owner.is_none() || conf.projects != cx.projects || !cx.layout(name).project_git.exists() {
        return Ok(false);
    }
    let own = std::env::current_exe().map_err(|error| told(error.to_string()))?;
    let mut changed = vec![];
    push::setup::sync_hooks(&conf, &own, &mut changed).map_err(told)?;
    Ok(!changed.is_empty())
}

/// Makes the directories. Archives are root's: what is put back from there must be what was put there.
pub fn directories(layout: &Layout, cfg: &Map, owner: Owner, made: &mut Vec<String>) -> R<()> {
    let group = owner.map(|owner| Identity { uid: 0, ..owner });
    fresh_dir(&layout.data, owner, made)?;
    fresh_dir(&layout.archives, group, made)?;
    match cfg.get("remote_less").is_some_and(Value::truthy) {
        true => Ok(()),
        false => fresh_dir(&layout.git, owner, made),
    }
}

fn fresh_dir(path: &Path, owner: Owner, made: &mut Vec<String>) -> R<()> {
    if !path.exists() {
        owned::dir(path, owner, 0o750)?;
        made.push(path.display().to_string());
    }
    Ok(())
}

struct Part<'a> {
    bare: &'a Path,
    copy: &'a Path,
    origin: Option<String>,
    rev: Option<String>,
    pillar: bool,
}

/// Makes a bare repository with a first commit, and its working copy.
fn repositories(
    layout: &Layout,
    name: &ProjectName,
    cfg: &Map,
    owner: Owner,
    part: &Part<'_>,
    alone: bool,
    made: &mut Vec<String>,
) -> R<()> {
    let git = Git::of(owner, None);
    let what = part.copy.file_name().unwrap_or_default().to_string_lossy();
    if !part.copy.exists() {
        let next = layout.dir.join(format!(".next-{what}"));
        clear(&next)?;
        owned::dir(&next, owner, if part.pillar { 0o750 } else { 0o755 })?;
        if part.bare.exists() && !alone {
            git.init_copy(&next, Some(part.bare))?;
            let branch = git.branch(part.bare, cfg.str("deploy_branch"))?;
            if let Some(tip) = git.tip(part.bare, &branch)? {
                git.bring(&next, part.bare, &branch, &tip, false)?;
            }
        } else {
            match &part.origin {
                Some(origin) => {
                    let git = Git { network: true, ..git.clone() };
                    git.run(&next, &["clone", "--quiet", "--no-hardlinks", "--template=", "--", origin, "."])?;
                    if let Some(rev) = &part.rev {
                        git.run(&next, &["reset", "--quiet", "--hard", "--end-of-options", rev])?;
                    }
                    let _ = git.ask(&next, &["remote", "rename", "origin", "upstream"])?;
                }
                None => git.init_copy(&next, None)?,
            }
        }
        let mut seeded = vec![];
        match part.pillar {
            true => pillar_defaults(&next, name, owner, &mut seeded)?,
            false => defaults(&next, name, cfg, owner, &mut seeded)?,
        }
        if git.head(&next)?.is_none() {
            git.commit_all(&next, "initial")?;
        }
        std::fs::rename(&next, part.copy).map_err(|error| ProjectError::io("make", part.copy, error))?;
        made.push(part.copy.display().to_string());
    }
    if !alone && !part.bare.exists() {
        bare(layout, &git, owner, part)?;
        made.push(part.bare.display().to_string());
    }
    if !alone && part.copy.join(".git").exists() {
        git.init_copy(part.copy, Some(part.bare))?;
    }
    Ok(())
}

/// Makes the bare repository out of the working copy.
fn bare(layout: &Layout, git: &Git, owner: Owner, part: &Part<'_>) -> R<()> {
    let what = part.bare.file_name().unwrap_or_default().to_string_lossy();
    let next = layout.dir.join(format!(".next-{what}"));
    clear(&next)?;
    owned::dir(&next, owner, 0o750)?;
    git.run(&next, &["init", "--quiet", "--bare", "--template=", "."])?;
    std::fs::create_dir_all(next.join("hooks")).map_err(|error| ProjectError::io("make", &next, error))?;
    if git.head(part.copy)?.is_some() {
        let copy = part.copy.to_string_lossy();
        let branch = git.run(part.copy, &["rev-parse", "--abbrev-ref", "HEAD"])?;
        let refs = format!("+HEAD:refs/heads/{branch}");
        git.run(&next, &["fetch", "--quiet", "--tags", &copy, &refs])?;
        git.run(&next, &["symbolic-ref", "HEAD", &format!("refs/heads/{branch}")])?;
    }
    std::fs::rename(&next, part.bare).map_err(|error| ProjectError::io("make", part.bare, error))
}

fn clear(path: &Path) -> R<()> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(ProjectError::io("remove", path, error)),
        _ => Ok(()),
    }
}

/// Adds the default files that a tree lacks. Each procedure includes the installer's.
pub fn defaults(tree: &Path, name: &ProjectName, cfg: &Map, owner: Owner, made: &mut Vec<String>) -> R<()> {
    let text = |key: &str| cfg.get(key).map(python::str).unwrap_or_default();
    let (api, installer) = (text("api_version"), text("installer"));
    let folder = recipes_of(tree, &text("default_env"));
    let folder: Vec<&str> = folder.iter().map(String::as_str).collect();
    let salt = folder.iter().fold(tree.to_owned(), |path, part| path.join(part));
    let any = std::fs::read_dir(&salt).into_iter().flatten().flatten().any(|entry| {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let own = name.strip_suffix(".sls").is_some_and(|stem| !PROCEDURES.contains(&stem));
        own && !name.starts_with("task_")
    });
    let mut put = |file: &str, text: &str| -> R<()> {
        let path: Vec<&str> = folder.iter().copied().chain([file]).collect();
        if owned::add(tree, &path, text, owner)? {
            made.push(salt.join(file).display().to_string());
        }
        Ok(())
    };
    for procedure in PROCEDURES {
        put(&format!("{procedure}.sls"), &procedure_text(procedure, &api))?;
    }
    let sample = bundles::file(&api, &installer, "PILLAR.sample");
    let sample = sample.or_else(|| bundles::file(&api, "generic", "PILLAR.sample")).unwrap_or_default();
    put("PILLAR.sample", &sample.replace("makina-projects.projectname", &format!("makina-projects.{name}")))?;
    if !any {
        match bundles::file(&api, &installer, "install.sls") {
            Some(_) => put("100_install.sls", &procedure_text("install", &api))?,
            None => put("000_helloworld.sls", HELLO)?,
        }
    }
    Ok(())
}

const HELLO: &str = "\
# Recipes run in the order of their names. This one shows that they do: replace it.
{% set cfg = opts['ms_project'] %}
{{ cfg.name }}-hello:
  test.show_notification:
    - text: hello from {{ cfg.name }} in {{ cfg.default_env }}
";

/// The text of a procedure's file: the installer's procedure, whichever installer it is.
pub fn procedure_text(procedure: &str, api: &str) -> String {
    format!(
        "# Add states of your own below, or replace the include. With the generic installer it is\n\
         # makina-states.projects.{api}.generic.{procedure}\n\
         include:\n  - makina-states.projects.{{{{ opts['ms_project'].api_version }}}}.{{{{ \
         opts['ms_project'].installer }}}}.{procedure}\n"
    )
}

fn recipes_of(tree: &Path, env: &str) -> Vec<String> {
    let found = crate::layout::recipes(tree, env);
    let relative = found.strip_prefix(tree).map(Path::to_owned).unwrap_or_else(|_| ".salt".into());
    relative.components().map(|part| part.as_os_str().to_string_lossy().into_owned()).collect()
}

/// Adds the pillar's `init.sls`, if there is none.
pub fn pillar_defaults(tree: &Path, name: &ProjectName, owner: Owner, made: &mut Vec<String>) -> R<()> {
    let text = format!(
        "# The private settings of {name}. They override the project's .salt/PILLAR.sample.\n\
         makina-projects.{name}:\n  api_version: '2'\n"
    );
    if owned::add(tree, &["init.sls"], &text, owner)? {
        made.push(tree.join("init.sls").display().to_string());
    }
    Ok(())
}
