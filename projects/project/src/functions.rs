//! `mc_project.*` as execution functions: of the command line, and of templates.

use crate::report::DeployReport;
use crate::{Cx, DeployRequest, ProjectError, ProjectName, Silent, api, config, deploy, init, saved, wiring};
use corpus_core::{Call, Data, ExecError, Map, Value, python};
use corpus_master::{MasterDef, Session};
use std::sync::Arc;

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
    get_configuration "(name, nodata=False, force_reload=False, remote_host=None, **kwargs)"
        "Returns the configuration of a project, `cfg`: all its layers on each other." => get_configuration;
    get_project "(name, **kwargs)" "Returns the configuration of a project." => get_configuration;
    get_configuration_item "(project, item=None)"
        "Returns one item of a project's configuration, or of its `data`." => get_configuration_item;
    set_configuration "(name, cfg=None, **kwargs)"
        "Saves keys of a project's configuration; null forgets one." => set_configuration;
    load_sample "(name)" "Returns the defaults of a project's PILLAR.sample." => load_sample;
    init_project "(name, **kwargs)"
        "Makes what a project needs: user, directories, repositories, working copies, links." => init_project;
    deploy "(name, only=None, only_steps=None, project_rev=None, pillar_rev=None, test=False, force=False, **kwargs)"
        "Deploys a project, or only some steps of a deployment." => run_deploy;
    deploy_project "(name, only=None, only_steps=None, **kwargs)" "Deploys a project." => run_deploy;
    list_projects "()" "Returns the configurations of the projects that are whole." => list_projects;
    sync_hooks "(name, api_version=None)" "Puts right what pushes to a project go through." => sync_hooks;
    sync_hooks_for_all "()" "Puts right what pushes to all projects go through." => sync_hooks;
    link "(names, *more)" "Ties projects into the state tree and the pillar tree." => link;
    unlink "(names, *more)" "Takes the ties of projects away; their files stay." => unlink;
    link_salt "(names, *more)" "Links the recipes of projects into the state tree." => link;
    unlink_salt "(names, *more)" "Takes the links of recipes away." => unlink;
    link_pillar "(names, *more)" "Links the pillars of projects into the pillar tree." => link;
    unlink_pillar "(names, *more)" "Takes the links of pillars away." => unlink;
    link_projects "(projects=None)" "Ties all projects, or those of a list, in." => link;
}

/// Who calls.
pub fn who() -> String {
    std::env::var("SUDO_USER").or_else(|_| std::env::var("USER")).unwrap_or_else(|_| "root".into())
}

pub(crate) fn cx(session: &Arc<Session>) -> Cx {
    Cx::new(session.corpus.clone())
}

/// Makes an execution function's error.
pub(crate) fn told(error: ProjectError) -> ExecError {
    ExecError::Failed(error.text())
}

/// Reads the project's name from a call.
pub(crate) fn named(call: &Call, key: &str) -> Result<ProjectName, ExecError> {
    let name = call.text(0, key).or_else(|| call.text(0, "name")).ok_or_else(|| call.missing(key))?;
    ProjectName::parse(&name).map_err(|error| call.invalid(key, error))
}

/// Returns the arguments by name, without those that say what to do.
pub(crate) fn keys(call: &Call, but: &[&str]) -> Map {
    let own =
        |key: &Value| key.as_str().is_some_and(|key| !but.contains(&key) && key != "cfg" && !key.starts_with("__"));
    call.kwargs.iter().filter(|(key, _)| own(key)).map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// Returns the configuration that a running deployment shares, if it is this project's.
fn running(session: &Session, name: &ProjectName) -> Option<Value> {
    let shared = session.shared.as_ref()?.get();
    (shared.get("name").and_then(Value::as_str) == Some(name.as_str())).then_some(shared)
}

fn get_configuration(call: &Call, session: &Arc<Session>, _: &Arc<Data>) -> Answer {
    let name = named(call, "name")?;
    let kwargs = keys(call, &["name", "force_reload"]);
    if let Some(cfg) = running(session, &name).filter(|_| kwargs.is_empty()) {
        return Ok(cfg);
    }
    let cfg = config::configuration(&cx(session), &name, &kwargs).map_err(told)?;
    Ok(cfg.into())
}

fn get_configuration_item(call: &Call, session: &Arc<Session>, data: &Arc<Data>) -> Answer {
    let name = named(call, "project")?;
    let item = call.text(1, "item");
    let cfg = get_configuration(&Call::new("mc_project.get_configuration", vec![name.as_str().into()]), session, data)?;
    let value = match item.as_deref() {
        None => cfg.clone(),
        Some("git_deploy_hook") => {
            let path = cfg.get("git_deploy_hook").map(python::str).unwrap_or_default();
            if std::path::Path::new(&path).exists() { path.into() } else { false.into() }
        }
        Some(item) => {
            cfg.get(item).or_else(|| cfg.get("data").and_then(|data| data.get(item))).cloned().unwrap_or(Value::Null)
        }
    };
    let item = item.map_or(Value::Null, Value::from);
    Ok([("item", item), ("cfg", cfg), ("key", value)].into_iter().collect::<Map>().into())
}

fn set_configuration(call: &Call, session: &Arc<Session>, _: &Arc<Data>) -> Answer {
    let name = named(call, "name")?;
    let cx = cx(session);
    let layout = cx.layout(&name);
    if !layout.dir.exists() {
        let error = ProjectError::new(format!("there is no project {name}"));
        return Err(told(error.hint(format!("`corpus mc_project.init_project {name}` makes it"))));
    }
    let mut kwargs = call.arg(1, "cfg").and_then(Value::as_map).cloned().unwrap_or_default();
    corpus_core::merge::update(&mut kwargs, &keys(call, &["name"]), false);
    if let Some(version) = kwargs.get("api_version").filter(|version| !version.is_null()) {
        api::known(&python::str(version)).map_err(told)?;
    }
    let keys = init::as_saved(&kwargs);
    // What does not compute is not saved.
    config::configuration(&cx, &name, &without_null(&kwargs)).map_err(told)?;
    let _lock = crate::lock::need(&layout, &name, &who(), "set_configuration", "").map_err(told)?;
    saved::set(&layout, &keys).map_err(told)?;
    let cfg = config::configuration(&cx, &name, &Map::new()).map_err(told)?;
    Ok(cfg.into())
}

fn without_null(map: &Map) -> Map {
    map.iter().filter(|(_, value)| !value.is_null()).map(|(key, value)| (key.clone(), value.clone())).collect()
}

fn load_sample(call: &Call, session: &Arc<Session>, _: &Arc<Data>) -> Answer {
    let name = match call.arg(0, "name").or_else(|| call.kwargs.get("cfg")) {
        Some(Value::Map(cfg)) => cfg.get("name").map(python::str).unwrap_or_default(),
        Some(other) => python::str(other),
        None => return Err(call.missing("name")),
    };
    let name = ProjectName::parse(&name).map_err(|error| call.invalid("name", error))?;
    let cfg = config::configuration(&cx(session), &name, &Map::new()).map_err(told)?;
    Ok(cfg.get("sls_default_pillar").cloned().unwrap_or_default())
}

/// Makes Salt's return of what was done.
pub(crate) fn ret(name: &str, result: bool, comment: &str) -> Value {
    let mut ret = Map::new();
    ret.insert("name", name);
    ret.insert("result", result);
    ret.insert("changes", Map::new());
    ret.insert("comment", comment.trim_end());
    ret.into()
}

fn init_project(call: &Call, session: &Arc<Session>, _: &Arc<Data>) -> Answer {
    let name = named(call, "name")?;
    let kwargs = keys(call, &["name"]);
    let done = init::init_project(&cx(session), &name, &kwargs, &mut Silent).map_err(told)?;
    let word = |key: &str| done.cfg.get(key).map(python::str).unwrap_or_default();
    let mut comment = match done.made.is_empty() {
        true => format!("the project {name} is as it should be\n"),
        false => done.made.iter().map(|line| format!("made {line}\n")).collect(),
    };
    if !done.cfg.get("remote_less").is_some_and(Value::truthy) {
        comment += &format!("push to\n  pillar:  {}\n  project: {}\n", word("push_pillar_url"), word("push_salt_url"));
        comment += &format!("let somebody push\n  corpus projects.authorize {name} WHO KEY\n");
    }
    let mut value = ret(name.as_str(), true, &comment);
    if let (Some(map), false) = (value.as_map_mut(), done.made.is_empty()) {
        let changes: Map = [("made", Value::from(done.made.clone()))].into_iter().collect();
        map.insert("changes", changes);
    }
    Ok(value)
}

/// Makes Salt's return of a deployment's report.
pub(crate) fn reported(session: &Session, report: &DeployReport, raw: bool) -> Value {
    let mut value = ret(&report.project, report.result, &report.comment);
    session.retcode.store(i32::from(report.code()), std::sync::atomic::Ordering::Relaxed);
    if let Some(map) = value.as_map_mut() {
        let mut changes = Map::new();
        for sls in report.steps.iter().flat_map(|step| &step.sls).filter(|sls| sls.changes > 0) {
            changes.insert(sls.sls.as_str(), format!("{} states changed", sls.changes));
        }
        map.insert("changes", changes);
        if raw {
            map.insert("raw_comment", report.comment.as_str());
        }
        if !report.id.is_empty() {
            map.insert("deployment", report.id.as_str());
        }
    }
    value
}

fn run_deploy(call: &Call, session: &Arc<Session>, _: &Arc<Data>) -> Answer {
    let name = named(call, "name")?;
    let cx = cx(session);
    let mut request = DeployRequest::new(name);
    request.who = who();
    request.only = wiring::list(call.arg(1, "only"));
    request.only_steps = wiring::list(call.arg(2, "only_steps"));
    request.project_rev = crate::sync::revision(call.kwargs.get("project_rev"));
    request.pillar_rev = crate::sync::revision(call.kwargs.get("pillar_rev"));
    let flag = |key: &str| call.kwargs.get(key).is_some_and(Value::truthy);
    request.plan = flag("test") || flag("plan");
    request.force = flag("force");
    request.verbose = flag("verbose");
    let own = ["name", "only", "only_steps", "project_rev", "pillar_rev", "test", "plan", "force", "verbose", "who"];
    request.kwargs = keys(call, &own);
    let report = deploy(&cx, &request, &mut Silent);
    Ok(reported(session, &report, flag("raw_console_return")))
}

fn sync_hooks(call: &Call, session: &Arc<Session>, _: &Arc<Data>) -> Answer {
    let cx = cx(session);
    let names = match call.fun.ends_with("for_all") {
        true => wiring::all(&cx).map_err(told)?,
        false => vec![named(call, "name")?],
    };
    let mut said = vec![];
    for name in names {
        let cfg = config::configuration(&cx, &name, &Map::new()).map_err(told)?;
        let owner = crate::users::owner(&cx, &cfg).map_err(told)?;
        let done = init::hooks(&cx, &name, owner).map_err(told)?;
        said.push(format!("{name}: {}", if done { "put right" } else { "as they should be" }));
    }
    Ok(ret("sync_hooks", true, &said.join("\n")))
}

fn list_projects(_: &Call, session: &Arc<Session>, _: &Arc<Data>) -> Answer {
    let cx = cx(session);
    let facts = cx.facts().map_err(told)?;
    let mut out = Map::new();
    for name in wiring::complete(&cx).map_err(told)? {
        let cfg = config::compute(&cx, &facts, &name, &Map::new()).map_err(told)?;
        out.insert(name.as_str(), cfg);
    }
    Ok(out.into())
}

/// Reads the names of a call: lists, texts with commas, further arguments; all projects if there is none.
fn names(call: &Call, cx: &Cx) -> Result<Vec<ProjectName>, ExecError> {
    let given = call.kwargs.get("names").or_else(|| call.kwargs.get("projects")).or_else(|| call.kwargs.get("name"));
    let texts: Vec<String> = call.args.iter().chain(given).flat_map(|value| wiring::list(Some(value))).collect();
    if texts.is_empty() && call.fun.ends_with("link_projects") {
        return wiring::complete(cx).map_err(told);
    }
    if texts.is_empty() {
        return Err(call.missing("names"));
    }
    texts.iter().map(|text| ProjectName::parse(text).map_err(|error| call.invalid("names", error))).collect()
}

fn link(call: &Call, session: &Arc<Session>, _: &Arc<Data>) -> Answer {
    let cx = cx(session);
    let mut done = vec![];
    let whole = wiring::complete(&cx).map_err(told)?;
    for name in names(call, &cx)? {
        if !whole.contains(&name) {
            let error = ProjectError::new(format!("the project {name} is not found, or is not whole"));
            return Err(told(error.hint(format!("`corpus mc_project.init_project {name}` makes what is missing"))));
        }
        let cfg = config::configuration(&cx, &name, &Map::new()).map_err(told)?;
        done.extend(match call.fun.as_str() {
            "mc_project.link_salt" => wiring::link_salt(&cx, &name, &cfg).map_err(told)?,
            "mc_project.link_pillar" => wiring::link_pillar(&cx, &name, &cfg).map_err(told)?,
            _ => wiring::link(&cx, &name, &cfg).map_err(told)?,
        });
    }
    Ok(ret("link", true, &done.join("\n")))
}

fn unlink(call: &Call, session: &Arc<Session>, _: &Arc<Data>) -> Answer {
    let cx = cx(session);
    let mut done = vec![];
    for name in names(call, &cx)? {
        if call.fun != "mc_project.unlink_pillar" {
            done.extend(wiring::unlink_salt(&cx, &name).map_err(told)?);
        }
        if call.fun != "mc_project.unlink_salt" {
            done.extend(wiring::unlink_pillar(&cx, &name).map_err(told)?);
        }
    }
    Ok(ret("unlink", true, &done.join("\n")))
}
