//! `mc_project.*` that run something: single steps, tasks, the way back; and what tells about projects.

use crate::functions::{cx, keys, named, reported, ret, told, who};
use crate::report::DeployReport;
use crate::{DeployRequest, ProjectName, Silent, archive, config, deploy, report, rollback, task, wiring};
use corpus_core::{Call, Data, ExecError, Map, Value, python};
use corpus_master::{MasterDef, Session};
use std::sync::Arc;
use std::time::{Duration, Instant};

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
    archive "(name)" "Archives what runs." => step;
    release_sync "(name, project_rev=None, pillar_rev=None)" "Brings code and pillar to their commits." => step;
    install "(name, only_steps=None)" "Runs the recipes." => step;
    fixperms "(name)" "Sets owners and modes right." => step;
    notify "(name)" "Tells how the last deployment ended." => step;
    rotate_archives "(name)" "Removes all but the newest archives." => step;
    rollback "(name, to=None)" "Puts an archived release back: the newest, or the one named." => roll_back;
    run_task "(name, only_steps)" "Runs tasks, recipes named task_*.sls." => run_task;
    run_sls "(name, sls, test=False)" "Runs one recipe with the context of a deployment." => run_sls;
    sync_modules "(name)" "Links the project's own Salt modules into the state tree." => sync_modules;
    report "()" "Tells how to reach this machine and its projects." => tell;
    deployments "(name, id=None, count=20)"
        "Returns the deployments of a project, the newest first, or one in full." => deployments;
    cancel "(name, timeout=120)" "Ends the deployment that is under way, and waits until its way back is done." => cancel;
    archives "(name)" "Returns the archives of a project, the newest first." => archives;
    serving "(name)" "Returns the commit that a project serves." => serving;
    log "(name, id=None)" "Returns the log of a deployment, the newest or the running one." => log;
}

fn request(call: &Call, name: ProjectName) -> DeployRequest {
    let mut request = DeployRequest::new(name);
    request.who = who();
    request.project_rev = crate::sync::revision(call.kwargs.get("project_rev"));
    request.pillar_rev = crate::sync::revision(call.kwargs.get("pillar_rev"));
    request.force = call.kwargs.get("force").is_some_and(Value::truthy);
    let own = ["name", "only", "only_steps", "project_rev", "pillar_rev", "test", "force", "task_mode", "to", "sls"];
    request.kwargs = keys(call, &own);
    request
}

fn raw(call: &Call) -> bool {
    call.kwargs.get("raw_console_return").is_some_and(Value::truthy)
}

fn step(call: &Call, session: &Arc<Session>, _: &Arc<Data>) -> Answer {
    let name = named(call, "name")?;
    let step = call.fun.trim_start_matches("mc_project.");
    let mut request = request(call, name);
    request.only = vec![step.to_owned()];
    request.only_steps = wiring::list(call.arg(1, "only_steps"));
    let report = deploy(&cx(session), &request, &mut Silent);
    Ok(reported(session, &report, raw(call)))
}

fn roll_back(call: &Call, session: &Arc<Session>, _: &Arc<Data>) -> Answer {
    let name = named(call, "name")?;
    let to = call.text(1, "to");
    let kwargs = request(call, name.clone()).kwargs;
    let report = rollback::rollback(&cx(session), &name, to.as_deref(), &who(), &kwargs, &mut Silent);
    Ok(reported(session, &report, raw(call)))
}

fn run_task(call: &Call, session: &Arc<Session>, _: &Arc<Data>) -> Answer {
    let name = named(call, "name")?;
    let tasks = wiring::list(call.arg(1, "only_steps").or_else(|| call.kwargs.get("task")));
    let kwargs = request(call, name.clone()).kwargs;
    let report = task::run_task(&cx(session), &name, &tasks, &who(), &kwargs, &mut Silent);
    Ok(reported(session, &report, raw(call)))
}

fn run_sls(call: &Call, session: &Arc<Session>, _: &Arc<Data>) -> Answer {
    let name = named(call, "name")?;
    let sls = wiring::list(call.arg(1, "sls"));
    let test = call.flag(2, "test", false);
    let kwargs = request(call, name.clone()).kwargs;
    let report = task::run_sls(&cx(session), &name, &sls, test, &who(), &kwargs, &mut Silent);
    Ok(reported(session, &report, raw(call)))
}

fn sync_modules(call: &Call, session: &Arc<Session>, _: &Arc<Data>) -> Answer {
    let name = named(call, "name")?;
    let cx = cx(session);
    let cfg = config::configuration(&cx, &name, &Map::new()).map_err(told)?;
    let done = crate::modules::sync(&cx, &name, &cfg).map_err(told)?;
    Ok(ret(name.as_str(), true, &done.join("\n")))
}

/// Makes plain data of a report.
fn data(report: &DeployReport) -> Value {
    serde_json::to_value(report).ok().and_then(|json| serde_json::from_value(json).ok()).unwrap_or_default()
}

fn deployments(call: &Call, session: &Arc<Session>, _: &Arc<Data>) -> Answer {
    let name = named(call, "name")?;
    let cx = cx(session);
    let layout = cx.layout(&name);
    if let Some(id) = call.text(1, "id") {
        let starts: Vec<String> = report::ids(&layout).into_iter().filter(|known| known.starts_with(&id)).collect();
        let id = if let [one] = &starts[..] { one.clone() } else { id };
        return Ok(data(&report::read(&layout, &name, &id).map_err(told)?));
    }
    let count = call.arg(2, "count").and_then(Value::as_int).and_then(|n| usize::try_from(n).ok()).unwrap_or(20);
    let mut out = vec![];
    for id in report::ids(&layout).iter().rev().take(count) {
        let report = report::read(&layout, &name, id).map_err(told)?;
        let mut line = Map::new();
        for (key, value) in [
            ("id", report.id.as_str()),
            ("what", &report.what),
            ("who", &report.who),
            ("started", &report.started),
            ("summary", &report.summary),
        ] {
            line.insert(key, value);
        }
        line.insert("revision", report.project_rev.or(report.serving));
        line.insert("seconds", (report.seconds * 100.0).round() / 100.0);
        line.insert("changes", report.changes);
        line.insert("plan", report.plan);
        line.insert("rolled_back", report.rolled_back);
        // Not `result`: that of the call is good when an old deployment was not.
        line.insert("succeeded", report.result);
        out.push(line.into());
    }
    Ok(Value::list(out))
}

fn cancel(call: &Call, session: &Arc<Session>, _: &Arc<Data>) -> Answer {
    let name = named(call, "name")?;
    let layout = cx(session).layout(&name);
    let Some(owner) = crate::lock::owner(&layout) else {
        return Err(ExecError::failed(format!("no deployment of {name} is under way")));
    };
    if owner.what != "deploy" {
        return Err(ExecError::failed(format!("only a deployment can be cancelled, and this is none: {owner}")));
    }
    crate::stop::ask(&layout, &owner.id, &who()).map_err(told)?;
    let seconds = call.arg(1, "timeout").and_then(Value::as_int).and_then(|n| u64::try_from(n).ok()).unwrap_or(120);
    let until = Instant::now() + Duration::from_secs(seconds);
    while crate::lock::owner(&layout).is_some_and(|now| now.id == owner.id) {
        if Instant::now() >= until {
            let comment = format!("{owner} was asked to end, and has not in {seconds} seconds");
            return Ok(ret(name.as_str(), false, &comment));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let report = report::read(&layout, &name, &owner.id).map_err(told)?;
    // It may have been decided before it was heard.
    Ok(ret(name.as_str(), !report.result, &report.summary))
}

fn archives(call: &Call, session: &Arc<Session>, _: &Arc<Data>) -> Answer {
    let name = named(call, "name")?;
    let layout = cx(session).layout(&name);
    let list = archive::list(&layout).map_err(told)?;
    let lines = list.iter().rev().map(|id| {
        let names: Vec<String> = std::fs::read_dir(layout.archive(id))
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect();
        (id.as_str(), Value::from(names))
    });
    Ok(lines.collect::<Map>().into())
}

fn serving(call: &Call, session: &Arc<Session>, _: &Arc<Data>) -> Answer {
    let name = named(call, "name")?;
    let cx = cx(session);
    let layout = cx.layout(&name);
    let cfg = config::configuration(&cx, &name, &Map::new()).map_err(told)?;
    let identity = crate::users::owner(&cx, &cfg).map_err(told)?;
    let git = crate::repo::Git::of(identity, None);
    let head = if layout.project.join(".git").exists() { git.head(&layout.project).map_err(told)? } else { None };
    Ok(head.map_or(Value::Null, Value::from))
}

fn log(call: &Call, session: &Arc<Session>, _: &Arc<Data>) -> Answer {
    let name = named(call, "name")?;
    let layout = cx(session).layout(&name);
    let running = crate::lock::owner(&layout).map(|owner| owner.id).filter(|id| !id.is_empty());
    let newest = || report::ids(&layout).pop();
    let id = call.text(1, "id").or(running).or_else(newest);
    let Some(id) = id.filter(|id| !id.contains('/')) else {
        return Err(ExecError::failed(format!("the project {name} has no deployment yet")));
    };
    let path = layout.deployments().join(format!("{id}.log"));
    let text = std::fs::read_to_string(&path);
    text.map(Value::from).map_err(|error| ExecError::failed(format!("read {}: {error}", path.display())))
}

fn tell(_: &Call, session: &Arc<Session>, data: &Arc<Data>) -> Answer {
    let cx = cx(session);
    let facts = cx.facts().map_err(told)?;
    let mut out = format!("machine: {}\naddresses:\n", data.id);
    let addresses = data.grains.get("ipv4").and_then(Value::as_list).unwrap_or_default();
    for address in addresses.iter().map(python::str).filter(|address| !address.starts_with("127.")) {
        out += &format!("  {address}\n");
    }
    let mut first = true;
    for name in wiring::all(&cx).map_err(told)? {
        let cfg = config::compute(&cx, &facts, &name, &Map::new()).map_err(told)?;
        let word = |key: &str| cfg.get(key).map(python::str).unwrap_or_default();
        if std::mem::take(&mut first) {
            out += &format!(
                "ssh:\n  Host {0}\n    HostName {0}\n    Port {1}\n    ServerAliveInterval 5\nprojects:\n",
                word("this_host"),
                word("this_port")
            );
        }
        out +=
            &format!("  {name}:\n    pillar:  {}\n    project: {}\n", word("push_pillar_url"), word("push_salt_url"));
    }
    Ok(out.trim_end().into())
}
