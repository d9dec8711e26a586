//! `mc_project.*` of projects that other machines have: they are prepared here, sent over the roster's SSH, and deployed
//! there by the corpus of that machine.

use crate::functions::{cx, ret, told};
use crate::repo::{Git, Identity};
use crate::{Cx, ProjectError, ProjectName, R, config, disk, init, users, wiring};
use corpus_core::target::TargetKind;
use corpus_core::{Call, Caller, Data, ExecError, Map, Value, digest, python};
use corpus_master::{MasterDef, Outcome, Selector, Session, TemplateCaller};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

type Answer = Result<Value, ExecError>;

macro_rules! table {
    ($($name:ident $args:literal $doc:literal => $run:expr;)*) => {
        /// The functions.
        pub const FNS: &[MasterDef] = &[$(MasterDef {
            name: concat!("mc_project.", stringify!($name)),
            args: $args,
            doc: $doc,
            run: $run,
        },)*];
    };
}

table! {
    remote_deploy "(host, project, only=None, only_steps=None)" "Deploys a project of a machine of the roster." => remote;
    remote_run_task "(host, project, only_steps)" "Runs a task of a project of a machine of the roster." => remote;
    remote_task "(host, project, only_steps)" "Runs a task of a project of a machine of the roster." => remote;
    orchestrate "(host, project, origin=None, rev=None, pillar_origin=None, pillar_rev=None, init=True, sync=True, refresh=True, deploy=True)"
        "Prepares a project here, sends it to a machine of the roster, and deploys it there." => orchestrate;
    orchestrate_task "(host, project, only_steps)"
        "Sends a project to a machine of the roster, and runs a task of it there." => orchestrate;
    init_remote_structure "(host, project, **kwargs)" "Makes the project on a machine of the roster, where it is not." => structure;
    init_local_remote_project "(host, project, origin=None, rev=None)"
        "Makes the working copy here from which a machine gets its project." => prepare;
    init_local_remote_pillar "(host, project, pillar_origin=None, pillar_rev=None)"
        "Makes the working copy here from which a machine gets its project's pillar." => prepare;
    sync_remote_project "(host, project, refresh=True)" "Sends the working copy of a project to its machine." => send;
    sync_remote_pillar "(host, project, refresh=True)" "Sends the working copy of a project's pillar to its machine." => send;
    remote_project_hook "(hook, host, project, opts=None)" "Calls a hook of a remote deployment: a function by its name." => hook;
    take_bundle "(name, kind)" "Takes commits that another machine sent: a git bundle in hexadecimal, on standard input." => take;
}

/// Which of the two repositories of a project.
#[derive(Clone, Copy, PartialEq)]
enum Part {
    Project,
    Pillar,
}

impl Part {
    fn word(self) -> &'static str {
        if self == Self::Project { "project" } else { "pillar" }
    }
}

fn addressed(call: &Call) -> Result<(String, ProjectName), ExecError> {
    let host = call.need(0, "host")?;
    let plain = !host.is_empty() && !host.starts_with('.') && !host.contains('/');
    if !plain {
        return Err(call.invalid("host", "a machine's name is no path"));
    }
    let project = call.text(1, "project").ok_or_else(|| call.missing("project"))?;
    Ok((host, ProjectName::parse(&project).map_err(|error| call.invalid("project", error))?))
}

fn flag(call: &Call, key: &str) -> bool {
    call.kwargs.get(key).is_none_or(Value::truthy)
}

/// Calls a function of a machine of the roster.
fn on(session: &Arc<Session>, host: &str, call: &Call) -> Answer {
    let selector = Selector { text: host.to_owned(), kind: TargetKind::List, batch: None, subset: None };
    let answers =
        session.corpus.fleet(&selector, call, &|_| {}).map_err(|failure| ExecError::Failed(failure.message))?;
    let answer = answers.into_iter().next().ok_or_else(|| ExecError::failed(format!("{host} did not answer")))?;
    match answer.outcome {
        Outcome::Value(value) => Ok(value),
        Outcome::Failed(failure) => Err(ExecError::failed(format!("{host}: {}", failure.message))),
        _ => Err(ExecError::failed(format!("{host}: it gave no value"))),
    }
}

/// Starts corpus there, where its projects are; returns its exit code and what it answered.
fn there(
    session: &Arc<Session>,
    host: &str,
    words: &[String],
    input: Option<String>,
) -> Result<(i32, Value), ExecError> {
    let mut all: Vec<String> = ["corpus", "--local", "--out=json"].map(str::to_owned).to_vec();
    all.extend(words.iter().cloned());
    let mut run = Call::new("cmd.run_all", vec![Value::from(all)]);
    run.kwargs.insert("python_shell", false);
    if let Some(input) = input {
        run.kwargs.insert("stdin", input);
    }
    let value = on(session, host, &run)?;
    let text = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let code = value.get("retcode").and_then(Value::as_int).and_then(|code| i32::try_from(code).ok()).unwrap_or(1);
    let answer: Option<Value> = serde_json::from_str(&text("stdout")).ok();
    match answer.as_ref().and_then(|all| all.get("local")) {
        Some(answer) => Ok((code, answer.clone())),
        None => {
            let said = format!("{}{}", text("stdout"), text("stderr"));
            Err(ExecError::failed(format!("{host}: corpus exited with {code}: {}", said.trim())))
        }
    }
}

/// The same, where anything but success is an error.
fn good(session: &Arc<Session>, host: &str, words: &[String], input: Option<String>) -> Answer {
    match there(session, host, words, input)? {
        (0, answer) => Ok(answer),
        (_, answer) => Err(ExecError::failed(format!("{host}: {}", python::str(&answer)))),
    }
}

fn remote(call: &Call, session: &Arc<Session>, _: &Arc<Data>) -> Answer {
    let (host, project) = addressed(call)?;
    let verb = if call.fun.ends_with("deploy") { "deploy" } else { "run_task" };
    let mut words = vec![format!("mc_project.{verb}"), project.to_string()];
    let places = if verb == "deploy" { ["only", "only_steps"] } else { ["only_steps", "task"] };
    for (at, key) in places.into_iter().enumerate() {
        let list = wiring::list(call.arg(at + 2, key));
        if !list.is_empty() {
            words.push(format!("{}={}", if key == "task" { "only_steps" } else { key }, list.join(",")));
        }
    }
    let (code, answer) = there(session, &host, &words, None)?;
    session.retcode.store(code, Ordering::Relaxed);
    Ok(answer)
}

/// Where a machine's project, or its pillar, is prepared.
fn stage(cx: &Cx, host: &str, project: &ProjectName, part: Part) -> PathBuf {
    let own = cx.corpus.config.text("remote_projects_dir").map(PathBuf::from);
    let all = own.unwrap_or_else(|| cx.projects.with_file_name("remote_projects"));
    all.join(host).join(project.as_str()).join(part.word())
}

/// Git on this machine, which may speak to others: the addresses are an operator's.
fn git() -> Git {
    Git { network: true, ..Git::default() }
}

fn part_of(call: &Call) -> Part {
    if call.fun.ends_with("pillar") { Part::Pillar } else { Part::Project }
}

fn prepare(call: &Call, session: &Arc<Session>, _: &Arc<Data>) -> Answer {
    let (host, project) = addressed(call)?;
    let part = part_of(call);
    let made = prepared(&cx(session), call, &host, &project, part).map_err(told)?;
    let path = stage(&cx(session), &host, &project, part);
    Ok(ret(project.as_str(), true, &format!("{} {}", path.display(), if made { "was made" } else { "is there" })))
}

/// Makes a working copy: of the repository that is named, else with what a new project has.
fn prepared(cx: &Cx, call: &Call, host: &str, project: &ProjectName, part: Part) -> R<bool> {
    let path = stage(cx, host, project, part);
    if path.join(".git").exists() {
        return Ok(false);
    }
    let folder = path.parent().unwrap_or(Path::new("/")).to_owned();
    let above = folder.parent().unwrap_or(Path::new("/"));
    std::fs::create_dir_all(above).map_err(|error| ProjectError::io("make", above, error))?;
    disk::private_dir(&folder)?;
    let key = if part == Part::Project { "origin" } else { "pillar_origin" };
    let text = |key: &str| call.kwargs.get(key).filter(|value| value.truthy()).map(python::str);
    if let Some(origin) = text(key) {
        git().run(&folder, &["clone", "--quiet", "--template=", "--", &origin, &path.to_string_lossy()])?;
        renewed(&path, text(if part == Part::Project { "rev" } else { "pillar_rev" }).as_deref())?;
        return Ok(true);
    }
    std::fs::create_dir_all(&path).map_err(|error| ProjectError::io("make", &path, error))?;
    git().init_copy(&path, None)?;
    let made = &mut vec![];
    match part {
        Part::Pillar => init::pillar_defaults(&path, project, None, made)?,
        Part::Project => init::defaults(&path, project, &config::configuration(cx, project, &Map::new())?, None, made)?,
    }
    git().commit_all(&path, "initial")?;
    Ok(true)
}

/// Brings a working copy to what its origin has; one that was edited is left alone, and that is an error.
fn renewed(path: &Path, rev: Option<&str>) -> R<()> {
    let edited = git().run(path, &["status", "--porcelain"])?;
    if !edited.is_empty() {
        return Err(ProjectError::new(format!("{} has changes that are not committed", path.display()))
            .hint("commit them, or take them back"));
    }
    if git().ask(path, &["remote", "get-url", "origin"])?.is_none() {
        return Ok(());
    }
    git().run(path, &["fetch", "--quiet", "--tags", "--force", "origin"])?;
    let upstream = git().ask(path, &["rev-parse", "--abbrev-ref", "@{upstream}"])?;
    let wanted = match rev {
        Some(rev) => {
            let branch = format!("refs/remotes/origin/{rev}");
            if git().ask(path, &["rev-parse", "--verify", "--quiet", &branch])?.is_some() {
                branch
            } else {
                rev.to_owned()
            }
        }
        None => upstream.unwrap_or_else(|| "HEAD".to_owned()),
    };
    git().run(path, &["reset", "--quiet", "--hard", &wanted, "--"]).map(drop)
}

fn send(call: &Call, session: &Arc<Session>, _: &Arc<Data>) -> Answer {
    let (host, project) = addressed(call)?;
    let commit = sent(call, session, &host, &project, part_of(call))?;
    Ok(ret(project.as_str(), true, &format!("{host} has {commit}")))
}

fn sent(
    call: &Call,
    session: &Arc<Session>,
    host: &str,
    project: &ProjectName,
    part: Part,
) -> Result<String, ExecError> {
    let path = stage(&cx(session), host, project, part);
    if !path.join(".git").exists() {
        let hint = format!("`corpus mc_project.init_local_remote_{} {host} {project}` makes it", part.word());
        return Err(told(ProjectError::new(format!("there is no {}", path.display())).hint(hint)));
    }
    if flag(call, "refresh") && flag(call, &format!("refresh_{}", part.word())) {
        let rev = call.kwargs.get(if part == Part::Project { "rev" } else { "pillar_rev" }).filter(|rev| rev.truthy());
        renewed(&path, rev.map(python::str).as_deref()).map_err(told)?;
    }
    let bundle = tempfile::NamedTempFile::new().map_err(ExecError::failed)?;
    git().run(&path, &["bundle", "create", "--quiet", &bundle.path().to_string_lossy(), "HEAD"]).map_err(told)?;
    let bytes = std::fs::read(bundle.path()).map_err(ExecError::failed)?;
    let words = ["mc_project.take_bundle".to_owned(), project.to_string(), part.word().to_owned()];
    good(session, host, &words, Some(digest::hex(&bytes)))?;
    git().head(&path).map_err(told)?.ok_or_else(|| ExecError::failed(format!("{} has no commit", path.display())))
}

/// The other end of `send`: the branch that deploys is moved to what was sent, as its user.
fn take(call: &Call, session: &Arc<Session>, _: &Arc<Data>) -> Answer {
    let name = crate::functions::named(call, "name")?;
    let kind = call.need(1, "kind")?;
    let cx = cx(session);
    let layout = cx.layout(&name);
    let bare = match kind.as_str() {
        "project" => &layout.project_git,
        "pillar" => &layout.pillar_git,
        _ => return Err(call.invalid("kind", "it is `project` or `pillar`")),
    };
    let text = std::io::read_to_string(std::io::stdin()).map_err(ExecError::failed)?;
    let bytes = unhex(text.trim()).ok_or_else(|| call.invalid("stdin", "it is no hexadecimal"))?;
    let cfg = config::configuration(&cx, &name, &Map::new()).map_err(told)?;
    let owner = users::owner(&cx, &cfg).map_err(told)?;
    let folder = tempfile::tempdir().map_err(ExecError::failed)?;
    let bundle = folder.path().join("bundle");
    std::fs::write(&bundle, bytes).map_err(ExecError::failed)?;
    if let Some(Identity { uid, gid }) = owner {
        for path in [folder.path(), &bundle] {
            std::os::unix::fs::chown(path, Some(uid), Some(gid)).map_err(ExecError::failed)?;
        }
    }
    let git = Git::of(owner, None);
    let wanted = cfg.get("deploy_branch").filter(|branch| branch.truthy() && kind == "project").map(python::str);
    let branch = git.branch(bare, wanted.as_deref()).map_err(told)?;
    let words =
        ["fetch", "--quiet", "--no-tags", "--", &bundle.to_string_lossy(), &format!("+HEAD:refs/heads/{branch}")];
    git.run(bare, &words).map_err(told)?;
    Ok(ret(name.as_str(), true, &format!("{kind} is at {}", git.tip(bare, &branch).map_err(told)?.unwrap_or_default())))
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    rest.is_empty()
        .then(|| pairs.iter().map(|[a, b]| Some(digit(*a)? << 4 | digit(*b)?)).collect::<Option<Vec<u8>>>())?
}

fn structure(call: &Call, session: &Arc<Session>, _: &Arc<Data>) -> Answer {
    let (host, project) = addressed(call)?;
    let said = structured(call, session, &host, &project)?;
    Ok(ret(project.as_str(), true, &said))
}

/// Makes the project there. What is there stays as it is.
fn structured(call: &Call, session: &Arc<Session>, host: &str, project: &ProjectName) -> Result<String, ExecError> {
    let mut words = vec!["mc_project.init_project".to_owned(), project.to_string()];
    for key in ["default_env", "installer", "no_user", "keep_archives"] {
        if let Some(value) = call.kwargs.get(key).filter(|value| !value.is_null()) {
            words.push(format!("{key}={}", python::str(value)));
        }
    }
    let answer = good(session, host, &words, None)?;
    Ok(answer.get("comment").map(python::str).unwrap_or_default())
}

fn hook(call: &Call, session: &Arc<Session>, data: &Arc<Data>) -> Answer {
    let hook = call.need(0, "hook")?;
    let (host, project) = (call.text(1, "host"), call.text(2, "project"));
    let opts = call.arg(3, "opts").cloned().unwrap_or_else(|| Map::new().into());
    let args = [host, project].into_iter().flatten().map(Value::from).chain([opts]).collect();
    TemplateCaller::new(session.clone(), data.clone()).call(&Call::new(hook, args))
}

/// Everything, in the order of the original; each hook is a function that is called with host, project and options.
fn orchestrate(call: &Call, session: &Arc<Session>, data: &Arc<Data>) -> Answer {
    let (host, project) = addressed(call)?;
    let mut said = vec![];
    let hooks = |point: &str| -> Result<(), ExecError> {
        let Some(fun) = call.kwargs.get(point).filter(|fun| fun.truthy()) else { return Ok(()) };
        let args = vec![fun.clone(), host.as_str().into(), project.as_str().into(), call.kwargs.clone().into()];
        hook(&Call::new("mc_project.remote_project_hook", args), session, data).map(drop)
    };
    let parts = [Part::Pillar, Part::Project];
    let wanted = |what: &str, part: Part| flag(call, what) && flag(call, &format!("{what}_{}", part.word()));
    hooks("pre_init_hook")?;
    for part in parts.into_iter().filter(|part| wanted("init", *part)) {
        if prepared(&cx(session), call, &host, &project, part).map_err(told)? {
            said.push(format!("made {}", stage(&cx(session), &host, &project, part).display()));
        }
    }
    hooks("post_init_hook")?;
    hooks("pre_init_remote_hook")?;
    if flag(call, "init") && flag(call, "init_remote") {
        structured(call, session, &host, &project)?;
    }
    hooks("post_init_remote_hook")?;
    hooks("pre_sync_hook")?;
    for part in parts.into_iter().filter(|part| wanted("sync", *part)) {
        said.push(format!("{} is at {}", part.word(), sent(call, session, &host, &project, part)?));
    }
    hooks("post_sync_hook")?;
    hooks("pre_hook")?;
    if flag(call, "deploy") {
        let fun = if call.fun.ends_with("task") { "mc_project.remote_run_task" } else { "mc_project.remote_deploy" };
        let mut deploy = Call::new(fun, vec![host.as_str().into(), project.as_str().into()]);
        for key in ["only", "only_steps", "task"] {
            if let Some(value) = call.kwargs.get(key) {
                deploy.kwargs.insert(key, value.clone());
            }
        }
        let answer = remote(&deploy, session, data)?;
        hooks("post_hook")?;
        return Ok(answer);
    }
    hooks("post_hook")?;
    Ok(ret(project.as_str(), true, &said.join("\n")))
}
