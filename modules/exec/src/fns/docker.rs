//! `docker.*`: containers, images, networks and volumes of a Docker daemon, through its socket.

use crate::ask;
use crate::docker::calls::{read, write};
use crate::docker::client::escaped;
use crate::docker::container::{self, Wanted};
use crate::docker::{Docker, image};
use corpus_core::{Act, Call, Command, Data, Effect, ExecDef, ExecError, Look, Map, Value, python};

const CREATE: &str = "(image, name=None, start=False, networks=None, url=None, **kwargs)";
const EXEC: &str = "(name, cmd, user=None, workdir=None, env=None, stdin=None, url=None)";

/// The functions of this module.
pub const FNS: &[ExecDef] = &[
    read!("docker.version", "(url=None)", "Returns the versions of the daemon.", |_, docker, _, _| docker
        .get("/version")),
    read!("docker.info", "(url=None)", "Describes the daemon.", |_, docker, _, _| docker.get("/info")),
    read!(
        "docker.ps",
        "(filters=None, all=False, verbose=False, host=False, url=None)",
        "Describes the containers, by number.",
        ps
    ),
    read!(
        "docker.list_containers",
        "(all=False, url=None)",
        "Lists the names of the containers.",
        |call, docker, _, _| {
            let all = container::all(docker, call.flag(99, "all", false), None)?;
            let mut names: Vec<String> = all.iter().flat_map(container::names).collect();
            names.sort();
            Ok(names.into())
        }
    ),
    read!("docker.exists", "(name, url=None)", "Tells whether there is such a container.", |call, docker, _, _| {
        Ok(container::find(docker, &call.need(0, "name")?)?.is_some().into())
    }),
    read!("docker.state", "(name, url=None)", "Returns the state of a container.", |call, docker, _, _| {
        Ok(container::state(&container::inspect(docker, &call.need(0, "name")?)?).into())
    }),
    read!(
        "docker.pid",
        "(name, url=None)",
        "Returns the number of a container's first process.",
        |call, docker, _, _| {
            let container = container::inspect(docker, &call.need(0, "name")?)?;
            Ok(container.get("State").and_then(|state| state.get("Pid")).cloned().unwrap_or_default())
        }
    ),
    read!(
        "docker.inspect",
        "(name, url=None)",
        "Describes a container, image, volume or network.",
        |call, docker, _, _| {
            let name = escaped(&call.need(0, "name")?);
            for path in [
                format!("/containers/{name}/json"),
                format!("/images/{name}/json"),
                format!("/volumes/{name}"),
                format!("/networks/{name}"),
            ] {
                if let Some(found) = docker.find(&path)? {
                    return Ok(found);
                }
            }
            Err(ExecError::failed(format!("Error 404: No such image/container/volume/network: {name}")))
        }
    ),
    read!("docker.inspect_container", "(name, url=None)", "Describes a container.", |call, docker, _, _| {
        container::inspect(docker, &call.need(0, "name")?)
    }),
    read!(
        "docker.port",
        "(name, private_port=None, url=None)",
        "Returns the published ports of a container.",
        |call, docker, _, _| {
            let container = container::inspect(docker, &call.need(0, "name")?)?;
            let ports = container
                .get("NetworkSettings")
                .and_then(|settings| settings.get("Ports"))
                .and_then(Value::as_map)
                .cloned()
                .unwrap_or_default();
            let wanted =
                call.text(1, "private_port").map(|port| if port.contains('/') { port } else { format!("{port}/tcp") });
            Ok(ports
                .into_iter()
                .filter(|(port, _)| wanted.as_ref().is_none_or(|wanted| port.as_str() == Some(wanted)))
                .collect::<Map>()
                .into())
        }
    ),
    read!(
        "docker.logs",
        "(name, tail=None, timestamps=False, stdout=True, stderr=True, url=None)",
        "Returns what a container wrote.",
        |call, docker, _, _| { logs(docker, &call.need(0, "name")?, call).map(Value::from) }
    ),
    read!("docker.top", "(name, url=None)", "Lists the processes of a container.", |call, docker, _, _| {
        let top = docker.get(&format!("/containers/{}/top", escaped(&call.need(0, "name")?)))?;
        let titles: Vec<String> =
            top.get("Titles").and_then(Value::as_list).unwrap_or_default().iter().map(python::str).collect();
        let rows = top.get("Processes").and_then(Value::as_list).unwrap_or_default().iter().map(|row| {
            let cells = row.as_list().unwrap_or_default().iter().map(python::str);
            Value::from(titles.iter().map(|title| title.to_lowercase()).zip(cells).collect::<Map>())
        });
        Ok(rows.collect::<Vec<_>>().into())
    }),
    read!("docker.diff", "(name, url=None)", "Tells which files a container changed.", |call, docker, _, _| {
        let rows = docker.get(&format!("/containers/{}/changes", escaped(&call.need(0, "name")?)))?;
        let mut out = Map::new();
        for (kind, word) in ["Changed", "Added", "Deleted"].iter().enumerate() {
            let of = |row: &&Value| row.get("Kind").and_then(Value::as_int) == Some(kind as i64);
            let paths: Vec<String> = rows
                .as_list()
                .unwrap_or_default()
                .iter()
                .filter(of)
                .filter_map(|row| row.get("Path").map(python::str))
                .collect();
            if !paths.is_empty() {
                out.insert(*word, paths);
            }
        }
        Ok(out.into())
    }),
    read!(
        "docker.differences",
        CREATE,
        "Tells how a container differs from these arguments of `docker.create`.",
        |call, docker, _, _| {
            let (name, wanted) = (call.need(99, "name")?, asked(call)?);
            Ok(container::differences(docker, &container::inspect(docker, &name)?, &wanted)?.into())
        }
    ),
    write!("docker.create", CREATE, "Makes a container.", |call, docker, _, _| {
        let made = container::create(docker, call.text(1, "name").as_deref(), &asked(call)?)?;
        started(docker, made, call.flag(99, "start", false))
    }),
    write!(
        "docker.replace",
        CREATE,
        "Makes a container in the place of one of its name, which is stopped and removed.",
        |call, docker, _, _| {
            let timeout = number(call, 99, "shutdown_timeout")?;
            let made = container::replace(docker, &call.need(1, "name")?, &asked(call)?, timeout)?;
            started(docker, made, call.flag(99, "start", false))
        }
    ),
    write!(
        "docker.run_container",
        "(image, name=None, bg=False, replace=False, force=False, networks=None, url=None, **kwargs)",
        "Makes a container, starts it, and returns what it wrote when it has ended.", run_container
    ),
    write!("docker.start", "(name, url=None)", "Starts a container.", |call, docker, _, _| {
        let name = call.need(0, "name")?;
        if container::state(&container::inspect(docker, &name)?) == "paused" {
            let state: Map = [("old", "paused"), ("new", "paused")].into_iter().collect();
            let out: Map = [
                ("result", Value::Bool(false)),
                ("state", state.into()),
                ("comment", format!("Container '{name}' is paused, cannot start").into()),
            ]
            .into_iter()
            .collect();
            return Ok(out.into());
        }
        Ok(container::change(docker, &name, "start", "running", None)?.into())
    }),
    write!(
        "docker.stop",
        "(name, timeout=None, unpause=False, url=None)",
        "Stops a container.",
        |call, docker, _, _| {
            let name = call.need(0, "name")?;
            let paused = container::state(&container::inspect(docker, &name)?) == "paused";
            if paused && call.flag(99, "unpause", false) {
                container::change(docker, &name, "unpause", "running", None)?;
            }
            Ok(container::change(docker, &name, "stop", "stopped", number(call, 1, "timeout")?)?.into())
        }
    ),
    write!(
        "docker.restart",
        "(name, timeout=10, url=None)",
        "Stops a container and starts it.",
        |call, docker, _, _| {
            let mut out =
                container::change(docker, &call.need(0, "name")?, "restart", "running", number(call, 1, "timeout")?)?;
            out.insert("restarted", true);
            Ok(out.into())
        }
    ),
    write!("docker.kill", "(name, url=None)", "Kills a container.", |call, docker, _, _| {
        Ok(container::change(docker, &call.need(0, "name")?, "kill", "stopped", None)?.into())
    }),
    write!("docker.signal", "(name, signal, url=None)", "Sends a signal to a container.", |call, docker, _, _| {
        let path = format!(
            "/containers/{}/kill?signal={}",
            escaped(&call.need(0, "name")?),
            escaped(&call.need(1, "signal")?)
        );
        docker.post(&path, None).map(|_| true.into())
    }),
    write!("docker.pause", "(name, url=None)", "Freezes a container.", |call, docker, _, _| {
        Ok(container::change(docker, &call.need(0, "name")?, "pause", "paused", None)?.into())
    }),
    write!("docker.freeze", "(name, url=None)", "Freezes a container.", |call, docker, _, _| {
        Ok(container::change(docker, &call.need(0, "name")?, "pause", "paused", None)?.into())
    }),
    write!("docker.unpause", "(name, url=None)", "Lets a frozen container go on.", |call, docker, _, _| {
        Ok(container::change(docker, &call.need(0, "name")?, "unpause", "running", None)?.into())
    }),
    write!("docker.unfreeze", "(name, url=None)", "Lets a frozen container go on.", |call, docker, _, _| {
        Ok(container::change(docker, &call.need(0, "name")?, "unpause", "running", None)?.into())
    }),
    write!("docker.rename", "(name, new_name, url=None)", "Renames a container.", |call, docker, _, _| {
        let path = format!(
            "/containers/{}/rename?name={}",
            escaped(&call.need(0, "name")?),
            escaped(&call.need(1, "new_name")?)
        );
        docker.post(&path, None).map(|_| true.into())
    }),
    write!(
        "docker.rm",
        "(name, force=False, volumes=False, stop=False, timeout=None, url=None)",
        "Removes a container.",
        |call, docker, _, _| {
            let (name, force) = (call.need(0, "name")?, call.flag(1, "force", false));
            let found = container::inspect(docker, &name)?;
            let stop = call.flag(99, "stop", false);
            if container::state(&found) == "running" && !force {
                if !stop {
                    return Err(ExecError::failed(format!(
                        "Container '{name}' is running, use force=True to forcibly remove this container"
                    )));
                }
                container::change(docker, &name, "stop", "stopped", number(call, 99, "timeout")?)?;
            }
            // One that removes itself is gone by now.
            if container::find(docker, &name)?.is_some() {
                container::remove(docker, &name, force, call.flag(2, "volumes", false))?;
            }
            Ok(vec![found.get("Id").cloned().unwrap_or_default()].into())
        }
    ),
    write!(
        "docker.wait",
        "(name, url=None)",
        "Waits until a container has ended, and returns its exit status.",
        |call, docker, _, _| {
            let name = call.need(0, "name")?;
            let old = container::state(&container::inspect(docker, &name)?);
            let code = wait(docker, &name)?;
            let state: Map = [("old", old), ("new", "stopped")].into_iter().collect();
            let out: Map =
                [("result", Value::Bool(true)), ("state", state.into()), ("exit_status", code)].into_iter().collect();
            Ok(out.into())
        }
    ),
    write!(
        "docker.update",
        "(name, memory=None, cpus=None, restart_policy=None, url=None)",
        "Changes the limits of a container, at once.", update
    ),
    write!(
        "docker.run",
        EXEC,
        "Runs a command in a container and returns its output, errors included.",
        |call, docker, _, _| {
            let (out, err, _) = exec(call, docker)?;
            Ok([out, err].iter().filter(|text| !text.is_empty()).cloned().collect::<Vec<_>>().join("\n").into())
        }
    ),
    write!(
        "docker.run_stdout",
        EXEC,
        "Runs a command in a container and returns its standard output.",
        |call, docker, _, _| Ok(exec(call, docker)?.0.into())
    ),
    write!(
        "docker.run_stderr",
        EXEC,
        "Runs a command in a container and returns its standard error.",
        |call, docker, _, _| Ok(exec(call, docker)?.1.into())
    ),
    write!(
        "docker.retcode",
        EXEC,
        "Runs a command in a container and returns its exit status.",
        |call, docker, _, _| Ok(exec(call, docker)?.2)
    ),
    write!(
        "docker.run_all",
        EXEC,
        "Runs a command in a container and returns retcode, stdout and stderr.",
        |call, docker, _, _| {
            let (out, err, code) = exec(call, docker)?;
            let all: Map = [("retcode", code), ("stdout", out.into()), ("stderr", err.into())].into_iter().collect();
            Ok(all.into())
        }
    ),
    write!(
        "docker.export",
        "(name, path, url=None)",
        "Writes a container's files into an archive.",
        |call, docker, act, _| {
            let path = call.need(1, "path")?;
            let bytes = docker.bytes(&format!("/containers/{}/export", escaped(&call.need(0, "name")?)))?;
            let out: Map = [("Path", Value::from(path.as_str())), ("Size", bytes.len().into())].into_iter().collect();
            act.perform(&Effect::text(path, bytes))?;
            Ok(out.into())
        }
    ),
    write!(
        "docker.copy_to",
        "(name, source, dest, url=None)",
        "Copies a file of the machine into a container.", copy_to
    ),
    write!(
        "docker.copy_from",
        "(name, source, dest, url=None)",
        "Copies a file of a container to the machine.", copy_from
    ),
    write!(
        "docker.connect_container_to_network",
        "(container, net_id, ipv4_address=None, ipv6_address=None, aliases=None, links=None, url=None)",
        "Plugs a container into a network.",
        |call, docker, _, _| {
            container::connect(
                docker,
                &call.need(0, "container")?,
                &call.need(1, "net_id")?,
                &call.kwargs.clone().into(),
            )?;
            Ok(true.into())
        }
    ),
    write!(
        "docker.disconnect_container_from_network",
        "(container, network_id, url=None)",
        "Plugs a container out of a network.",
        |call, docker, _, _| {
            container::unplug(docker, &call.need(0, "container")?, &call.need(1, "network_id")?)?;
            Ok(true.into())
        }
    ),
    write!(
        "docker.plug",
        "(name, networks, url=None)",
        "Plugs a container into these networks and out of all others.",
        |call, docker, _, _| {
            let networks = container::networks(call.arg(1, "networks").unwrap_or(&Value::Null))?;
            let wanted =
                Wanted { image: String::new(), config: Map::new(), host: Map::new(), networks: Some(networks) };
            container::plug(docker, &call.need(0, "name")?, &wanted)?;
            Ok(true.into())
        }
    ),
];

fn number(call: &Call, place: usize, name: &str) -> Result<Option<i64>, ExecError> {
    call.text(place, name).map(|text| text.parse().map_err(|_| call.invalid(name, "must be a number"))).transpose()
}

/// Reads the arguments of `docker.create`.
fn asked(call: &Call) -> Result<Wanted, ExecError> {
    container::read(&call.need(0, "image")?, &call.kwargs)
}

fn started(docker: &Docker, mut made: Map, start: bool) -> Result<Value, ExecError> {
    if start {
        let name = made.str("Name").unwrap_or_default().to_owned();
        container::change(docker, &name, "start", "running", None)?;
        made.insert("Started", true);
    }
    Ok(made.into())
}

fn ps(call: &Call, docker: &Docker, _: &dyn Look, _: &Data) -> Result<Value, ExecError> {
    let all = container::all(docker, call.flag(99, "all", false), call.arg(0, "filters"))?;
    let mut out = Map::new();
    for found in all {
        let mut row = found.as_map().cloned().unwrap_or_default();
        let id = row.remove("Id").unwrap_or_default();
        if let Some(created) = row.remove("Created") {
            row.insert("Time_Created_Epoch", created);
        }
        if call.flag(99, "verbose", false) {
            row.insert("Info", container::inspect(docker, &python::str(&id))?);
        }
        out.insert(id, row);
    }
    Ok(out.into())
}

fn logs(docker: &Docker, name: &str, call: &Call) -> Result<String, ExecError> {
    let on = |key: &str, default| u8::from(call.flag(99, key, default));
    let mut path = format!(
        "/containers/{}/logs?stdout={}&stderr={}&timestamps={}",
        escaped(name),
        on("stdout", true),
        on("stderr", true),
        on("timestamps", false)
    );
    if let Some(tail) = call.text(99, "tail") {
        path += &format!("&tail={}", escaped(&tail));
    }
    let (mut out, err) = crate::docker::client::streams(&docker.bytes(&path)?);
    out.extend(err);
    Ok(String::from_utf8_lossy(&out).into_owned())
}

fn wait(docker: &Docker, name: &str) -> Result<Value, ExecError> {
    let answer = docker.post_slow(&format!("/containers/{}/wait", escaped(name)), None)?.json()?;
    Ok(answer.get("StatusCode").cloned().unwrap_or_default())
}

fn run_container(call: &Call, docker: &Docker, _: &dyn Act, _: &Data) -> Result<Value, ExecError> {
    let (name, wanted) = (call.text(1, "name"), asked(call)?);
    if image::find(docker, &wanted.image)?.is_none() {
        image::pull(docker, &wanted.image)?;
    }
    if let Some(name) = &name
        && container::find(docker, name)?.is_some()
    {
        if !call.flag(99, "replace", false) {
            return Err(ExecError::failed(format!(
                "Encountered error running container: container '{name}' exists. Run with replace=True to replace it."
            )));
        }
        container::remove(docker, name, call.flag(99, "force", false), false)?;
    }
    let mut out = container::create(docker, name.as_deref(), &wanted)?;
    let id = out.str("Id").unwrap_or_default().to_owned();
    container::change(docker, &id, "start", "running", None)?;
    if call.flag(99, "bg", false) {
        return Ok(out.into());
    }
    out.insert("ExitCode", wait(docker, &id)?);
    out.insert("Logs", logs(docker, &id, &Call::default())?);
    Ok(out.into())
}

fn update(call: &Call, docker: &Docker, _: &dyn Act, _: &Data) -> Result<Value, ExecError> {
    let name = call.need(0, "name")?;
    let own = [
        "memory",
        "memory_swap",
        "mem_limit",
        "memswap_limit",
        "cpus",
        "cpu_shares",
        "cpuset_cpus",
        "restart_policy",
        "pids_limit",
    ];
    let mut args = Map::new();
    for (place, key) in own.iter().enumerate() {
        if let Some(value) = call.kwargs.get(key).or_else(|| if place == 0 { call.args.get(1) } else { None }) {
            args.insert(*key, value.clone());
        }
    }
    let (_, mut host) = crate::docker::body::wanted(&args)?;
    let have = container::inspect(docker, &name)?;
    let old = |key: &str| have.get("HostConfig").and_then(|host| host.get(key)).cloned().unwrap_or_default();
    let mut changes = Map::new();
    for (key, new) in &host {
        let key = python::str(key);
        if old(&key) != *new {
            changes.insert(key.as_str(), [("old", old(&key)), ("new", new.clone())].into_iter().collect::<Map>());
        }
    }
    // A limit above that of memory and swap together is refused; twice the memory is what the daemon sets by itself.
    if let (Some(memory), false) = (host.get("Memory").and_then(Value::as_int), host.contains("MemorySwap")) {
        host.insert("MemorySwap", memory * 2);
    }
    docker.post(&format!("/containers/{}/update", escaped(&name)), Some(host.into()))?;
    let out: Map = [("changes", changes)].into_iter().collect();
    Ok(out.into())
}

/// Runs a command in a container: a text is read by its shell, a list is the program and its words.
fn exec(call: &Call, docker: &Docker) -> Result<(String, String, Value), ExecError> {
    let name = call.need(0, "name")?;
    let words: Vec<String> = match call.arg(1, "cmd") {
        Some(Value::List(list)) if !list.is_empty() => list.iter().map(python::str).collect(),
        Some(text) if text.truthy() => vec!["/bin/sh".into(), "-c".into(), python::str(text)],
        _ => return Err(call.missing("cmd")),
    };
    let input = call.text(5, "stdin");
    let mut body: Map = [("Cmd", Value::from(words)), ("AttachStdout", true.into()), ("AttachStderr", true.into())]
        .into_iter()
        .collect();
    body.insert("AttachStdin", input.is_some());
    for (place, name, key) in [(2, "user", "User"), (3, "workdir", "WorkingDir")] {
        if let Some(text) = call.text(place, name) {
            body.insert(key, text);
        }
    }
    if let Some(env) = call.arg(4, "env").filter(|env| env.truthy()) {
        let lines: Vec<String> = crate::docker::body::pairs("env", env)?
            .iter()
            .map(|(k, v)| format!("{}={}", python::str(k), python::str(v)))
            .collect();
        body.insert("Env", lines);
    }
    let made = docker.post(&format!("/containers/{}/exec", escaped(&name)), Some(body.into()))?;
    let id = made.get("Id").map(python::str).unwrap_or_default();
    let start: Map = [("Detach", false), ("Tty", false)].into_iter().collect();
    let (out, err) =
        docker.attached(&format!("/exec/{id}/start"), &start.into(), input.as_deref().map(str::as_bytes))?;
    let code = docker.get(&format!("/exec/{id}/json"))?.get("ExitCode").cloned().unwrap_or_default();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).trim_end().to_owned();
    Ok((text(out), text(err), code))
}

fn copy_to(call: &Call, docker: &Docker, act: &dyn Act, _: &Data) -> Result<Value, ExecError> {
    let (name, source, dest) = (call.need(0, "name")?, call.need(1, "source")?, call.need(2, "dest")?);
    let (folder, file) = dest.rsplit_once('/').unwrap_or((".", &dest));
    let (from, own) = source.rsplit_once('/').unwrap_or((".", &source));
    let file = if file.is_empty() { own } else { file };
    let from = if from.is_empty() { "/" } else { from };
    let rename = format!("--transform=flags=r;s|^{own}$|{file}|");
    let archive = ask::must(act, Command::new(["tar", "-cf", "-", "-C", from, &rename, own]))?.stdout;
    let path = format!(
        "/containers/{}/archive?path={}",
        escaped(&name),
        escaped(if folder.is_empty() { "/" } else { folder })
    );
    let body = (&mut archive.as_slice() as &mut dyn std::io::Read, archive.len() as u64);
    docker.send("PUT", &path, &[("Content-Type", "application/x-tar")], body, None)?;
    Ok(true.into())
}

fn copy_from(call: &Call, docker: &Docker, act: &dyn Act, _: &Data) -> Result<Value, ExecError> {
    let (name, source, dest) = (call.need(0, "name")?, call.need(1, "source")?, call.need(2, "dest")?);
    let archive = docker.bytes(&format!("/containers/{}/archive?path={}", escaped(&name), escaped(&source)))?;
    ask::must(act, Command::new(["tar", "-xf", "-", "--no-same-owner", "-C", &dest]).stdin(archive))?;
    Ok(true.into())
}
