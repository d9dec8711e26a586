//! `lxc.*`: Linux containers. Salt's functions, and those that a compute node needs beyond them: bases, bridges,
//! snapshots, the limits of memory, processor and disk.

use crate::lxc::spec::Spec;
use crate::lxc::{self, Guest, Verb, base, bridge, cgroup, describe, disk, guest, moving, snapshot, spec};
use crate::{ask, lxc::config::Config};
use corpus_core::host::Command;
use corpus_core::{Act, Call, Data, Effect, ExecDef, ExecError, ExecFn, Look, Map, Output, Value, python};
use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

const SPEC: &str = "(name, base=None, bases=None, clone_from=None, snapshot=False, image=None, received=False, template=None, \
    options=None, profile=None, network_profile=None, config=None, backing=None, path=None, address=None, gateway=None, \
    mac=None, bridge=None, nameservers=None, memory=None, cpus=None, disk=None, idmap=None, autostart=None, \
    authorized_keys=None, this_host=None, this_port=None, hostname=None, mounts=None, lxc_conf=None, owner=None)";

const RUN: &str = "(name, cmd, path=None, stdin=None, env=None, timeout=None)";

const fn read(
    name: &'static str,
    args: &'static str,
    doc: &'static str,
    run: fn(&Call, &dyn Look, &Data) -> Result<Value, ExecError>,
) -> ExecDef {
    ExecDef { name, args, doc, run: ExecFn::Read(run) }
}

const fn write(
    name: &'static str,
    args: &'static str,
    doc: &'static str,
    run: fn(&Call, &dyn Act, &Data) -> Result<Value, ExecError>,
) -> ExecDef {
    ExecDef { name, args, doc, run: ExecFn::Write(run) }
}

/// The functions of this module.
pub const FNS: &[ExecDef] = &[
    read("lxc.version", "()", "Returns the version of LXC.", |_, look, _| {
        lxc::need(look)?;
        Ok(ask::output(look, &Command::new(["lxc-info", "--version"]))?.trim().into())
    }),
    read("lxc.ls", "(active=None, path=None)", "Lists the containers.", |call, look, data| {
        let mut out = vec![];
        for guest in guests(call, 1, look, data)? {
            if !call.flag(0, "active", false) || guest.state(look)?.as_deref() != Some("stopped") {
                out.push(Value::from(guest.name));
            }
        }
        Ok(out.into())
    }),
    read("lxc.list", "(extra=False, limit=None, path=None)", "Lists the containers by their state.", list),
    read("lxc.exists", "(name, path=None)", "Tells whether there is such a container.", |call, look, data| {
        Ok(named(call, 1, data)?.exists(look)?.into())
    }),
    read("lxc.state", "(name, path=None)", "Returns the state of a container, or None.", |call, look, data| {
        Ok(named(call, 1, data)?.state(look)?.into())
    }),
    read("lxc.info", "(name, path=None)", "Describes a container.", |call, look, data| {
        Ok(describe::info(&there(call, 1, look, data)?, look)?.into())
    }),
    read("lxc.get_ip", "(name, path=None)", "Returns the address of a container.", |call, look, data| {
        Ok(describe::address(&there(call, 1, look, data)?, look)?.into())
    }),
    read(
        "lxc.get_pid",
        "(name, path=None)",
        "Returns the number of a container's first process.",
        |call, look, data| Ok(there(call, 1, look, data)?.pid(look)?.into()),
    ),
    write("lxc.create", SPEC, "Makes a container from a base, an image or a template.", |call, act, data| {
        Ok(guest::create(&named(call, 99, data)?, act, &declared(call, data)?, data)?.into())
    }),
    write(
        "lxc.clone",
        "(name, orig, snapshot=False, backing=None, path=None, **kwargs)",
        "Makes a container from another.",
        |call, act, data| {
            let mut spec = declared(call, data)?;
            spec.clone_from = Some(call.need(1, "orig")?);
            Ok(guest::create(&named(call, 99, data)?, act, &spec, data)?.into())
        },
    ),
    read(
        "lxc.send",
        "(name, path=None)",
        "Returns the program that writes the files of a stopped container, for another machine to read.",
        |call, look, data| Ok(moving::send(&there(call, 1, look, data)?, look)?.into()),
    ),
    write(
        "lxc.receive",
        "(name, path=None)",
        "Makes room for a container's files, and returns the program that reads them; `lxc.create` with `received` makes it.",
        |call, act, data| Ok(moving::receive(&named(call, 1, data)?, act)?.into()),
    ),
    write(
        "lxc.reconfigure",
        SPEC,
        "Changes a container that is there; tells what, and whether it must start again.",
        |call, act, data| {
            Ok(guest::reconfigure(&there(call, 99, act.as_look(), data)?, act, &declared(call, data)?)?.into())
        },
    ),
    read("lxc.differences", SPEC, "Tells what `lxc.reconfigure` would change.", |call, look, data| {
        Ok(describe::differences(&there(call, 99, look, data)?, look, &declared(call, data)?)?.into())
    }),
    write("lxc.start", "(name, path=None)", "Starts a container.", |call, act, data| {
        change(call, 1, act, data, Verb::Start)
    }),
    write("lxc.stop", "(name, kill=False, path=None)", "Stops a container.", |call, act, data| {
        change(call, 2, act, data, Verb::Stop { kill: call.flag(1, "kill", false) })
    }),
    write(
        "lxc.restart",
        "(name, path=None, lxc_config=None, force=False)",
        "Stops a container and starts it.",
        |call, act, data| change(call, 1, act, data, Verb::Restart { force: call.flag(3, "force", false) }),
    ),
    write("lxc.reboot", "(name, path=None)", "Stops a container and starts it.", |call, act, data| {
        change(call, 1, act, data, Verb::Restart { force: false })
    }),
    write("lxc.freeze", "(name, start=False, path=None)", "Freezes a container.", |call, act, data| {
        change(call, 2, act, data, Verb::Freeze { start: call.flag(1, "start", false) })
    }),
    write("lxc.unfreeze", "(name, path=None)", "Lets a frozen container go on.", |call, act, data| {
        change(call, 1, act, data, Verb::Unfreeze)
    }),
    write("lxc.destroy", "(name, stop=False, path=None)", "Destroys a container and its snapshots.", destroy),
    write("lxc.remove", "(name, stop=False, path=None)", "Destroys a container and its snapshots.", destroy),
    write("lxc.snapshot", "(name, comment='', path=None)", "Takes a snapshot of a container.", |call, act, data| {
        let comment = call.text(1, "comment").unwrap_or_default();
        Ok(snapshot::take(&there(call, 2, act.as_look(), data)?, act, &comment)?.into())
    }),
    read(
        "lxc.snapshots",
        "(name, path=None)",
        "Describes a container's snapshots, oldest first.",
        |call, look, data| Ok(snapshot::list(&there(call, 1, look, data)?, look)?.into()),
    ),
    write("lxc.restore", "(name, snapshot, path=None)", "Brings a container back to a snapshot.", |call, act, data| {
        Ok(snapshot::restore(&there(call, 2, act.as_look(), data)?, act, &call.need(1, "snapshot")?)?.into())
    }),
    write("lxc.snapshot_remove", "(name, snapshot, path=None)", "Removes a snapshot.", |call, act, data| {
        Ok(snapshot::remove(&there(call, 2, act.as_look(), data)?, act, &call.need(1, "snapshot")?)?.into())
    }),
    write("lxc.run", RUN, "Runs a command in a container and returns its output, errors included.", all_output),
    write("lxc.cmd_run", RUN, "Runs a command in a container and returns its output, errors included.", all_output),
    write(
        "lxc.run_stdout",
        RUN,
        "Runs a command in a container and returns its standard output.",
        |call, act, data| Ok(trimmed(&run(call, act, data, false)?.stdout).into()),
    ),
    write("lxc.run_stderr", RUN, "Runs a command in a container and returns its standard error.", |call, act, data| {
        Ok(trimmed(&run(call, act, data, false)?.stderr).into())
    }),
    write("lxc.retcode", RUN, "Runs a command in a container and returns its exit status.", |call, act, data| {
        Ok(run(call, act, data, false)?.code.into())
    }),
    write(
        "lxc.run_all",
        RUN,
        "Runs a command in a container and returns pid, retcode, stdout and stderr.",
        |call, act, data| {
            let output = run(call, act, data, false)?;
            let out: Map = [
                ("pid", Value::from(output.pid)),
                ("retcode", output.code.into()),
                ("stdout", trimmed(&output.stdout).into()),
                ("stderr", trimmed(&output.stderr).into()),
            ]
            .into_iter()
            .collect();
            Ok(out.into())
        },
    ),
    read(
        "lxc.get_parameter",
        "(name, parameter, path=None)",
        "Returns a parameter of a container's control group.",
        |call, look, data| {
            let (guest, key) = (there(call, 2, look, data)?, call.need(1, "parameter")?);
            let why = || ExecError::failed(format!("Unable to retrieve value for '{key}'"));
            Ok(guest.parameter(look, &key).ok_or_else(why)?.into())
        },
    ),
    write(
        "lxc.set_parameter",
        "(name, parameter, value, path=None)",
        "Sets a parameter of a container's control group.",
        |call, act, data| {
            let guest = named(call, 3, data)?;
            if !guest.exists(act.as_look())? {
                return Ok(Value::Null);
            }
            let (key, value) = (call.need(1, "parameter")?, call.need(2, "value")?);
            Ok(ask::run(act, guest.command_of("lxc-cgroup", ["--", key.as_str(), value.as_str()]))?.ok().into())
        },
    ),
    read(
        "lxc.limits",
        "(name, path=None)",
        "Returns what limits a running container: memory in bytes, processors.",
        |call, look, data| {
            let guest = there(call, 1, look, data)?;
            let (limits, get) = (cgroup::of(look), |key: &str| guest.parameter(look, key));
            let out: Map = [("memory", Value::from(limits.read_memory(&get))), ("cpus", limits.read_cpus(&get).into())]
                .into_iter()
                .collect();
            Ok(out.into())
        },
    ),
    read(
        "lxc.disk",
        "(name, path=None)",
        "Returns how much a container may hold and holds, in bytes.",
        |call, look, data| Ok(disk::describe(&there(call, 1, look, data)?, look)?.into()),
    ),
    write("lxc.resize", "(name, size, path=None)", "Sets how much a container may hold.", |call, act, data| {
        let size = call.arg(1, "size").ok_or_else(|| call.missing("size"))?;
        let size = spec::limit("size", size).map_err(ExecError::Failed)?;
        let size = size.as_int().and_then(|size| u64::try_from(size).ok());
        Ok(disk::resize(&there(call, 2, act.as_look(), data)?, act, size)?.into())
    }),
    write(
        "lxc.set_password",
        "(name, users, password, encrypted=True, path=None)",
        "Sets the password of users in a container.",
        set_password,
    ),
    write(
        "lxc.set_pass",
        "(name, users, password, encrypted=True, path=None)",
        "Sets the password of users in a container.",
        set_password,
    ),
    read(
        "lxc.read_conf",
        "(conf_file, out_format='simple')",
        "Reads a container's configuration file.",
        |call, look, _| {
            let text = look.read(call.need(0, "conf_file")?.as_ref())?;
            Ok(read_conf(&String::from_utf8_lossy(&text), &call.text(1, "out_format").unwrap_or("simple".into())))
        },
    ),
    write("lxc.write_conf", "(conf_file, conf)", "Writes a container's configuration file.", |call, act, _| {
        let conf = call.arg(1, "conf").and_then(Value::as_list);
        let conf = conf.ok_or_else(|| ExecError::failed("Configuration must be passed as a list"))?;
        act.perform(&Effect::text(call.need(0, "conf_file")?, conf_text(conf)))?;
        Ok(Map::new().into())
    }),
    write(
        "lxc.edit_conf",
        "(conf_file, out_format='simple', read_only=False, lxc_config=None, **kwargs)",
        "Sets keys of a container's configuration file.",
        edit_conf,
    ),
    write(
        "lxc.update_lxc_conf",
        "(name, lxc_conf, lxc_conf_unset, path=None)",
        "Sets and removes keys of a container's configuration.",
        |call, act, data| {
            let guest = there(call, 3, act.as_look(), data)?;
            let (changes, config) = lxc::edit::edited(
                &guest.config(act.as_look())?,
                call.arg(1, "lxc_conf"),
                call.arg(2, "lxc_conf_unset"),
            );
            if !changes.is_empty() {
                act.perform(&Effect::text(guest.config_file(), config.text()))?;
            }
            let comment = if changes.is_empty() { "lxc.conf is up to date" } else { "Updated" };
            let out: Map = [("changes", Value::from(changes)), ("result", true.into()), ("comment", comment.into())]
                .into_iter()
                .collect();
            Ok(out.into())
        },
    ),
    read("lxc.wait_ssh", "(name, timeout=30, port=22, path=None)", "Waits until a container answers by SSH.", wait_ssh),
    read("lxc.templates", "()", "Lists LXC's templates.", |_, look, _| {
        let all = look.list("/usr/share/lxc/templates".as_ref()).unwrap_or_default();
        Ok(all.iter().filter_map(|name| name.strip_prefix("lxc-")).collect::<Vec<_>>().into())
    }),
    write(
        "lxc.base",
        "(name='default', suite='bookworm', mirror=None, packages=[], includes={}, variant='minbase', components=None, script=None, bases=None, path=None)",
        "Keeps a base: a file system that containers start from.",
        |call, act, data| {
            let (start, name) = (Instant::now(), call.text(0, "name").unwrap_or("default".into()));
            let place = place(call, act.as_look(), data)?;
            let base =
                base::keep(act, &place, &name, &base::Declaration::read(&call.kwargs).map_err(ExecError::Failed)?)?;
            let out: Map = [
                ("name", Value::from(base.name)),
                ("hash", base.hash.into()),
                ("rootfs", base.rootfs.display().to_string().into()),
                ("built", base.built.into()),
                ("seconds", start.elapsed().as_secs_f64().into()),
            ]
            .into_iter()
            .collect();
            Ok(out.into())
        },
    ),
    read("lxc.bases", "(bases=None, path=None)", "Describes the bases.", |call, look, data| {
        Ok(base::list(look, &place(call, look, data)?, &[root(call, 1, data)])?.into())
    }),
    write(
        "lxc.base_remove",
        "(name, bases=None, path=None)",
        "Removes a base that no container stands on.",
        |call, act, data| {
            let place = place(call, act.as_look(), data)?;
            Ok(base::remove(act, &place, &call.need(0, "name")?, &[root(call, 2, data)])?.into())
        },
    ),
    write(
        "lxc.base_digest",
        "(name, bases=None, path=None)",
        "Returns the digest of what a base holds; None if it is not there.",
        |call, act, data| {
            let place = place(call, act.as_look(), data)?;
            Ok(moving::digest(act, &place, &call.need(0, "name")?)?.into())
        },
    ),
    read(
        "lxc.base_send",
        "(name, bases=None, path=None)",
        "Returns the program that writes the files of a base, for another machine to read.",
        |call, look, data| Ok(moving::send_base(look, &place(call, look, data)?, &call.need(0, "name")?)?.into()),
    ),
    write(
        "lxc.base_receive",
        "(name, bases=None, path=None)",
        "Makes room for a base, and returns the program that reads its files; `lxc.base_received` takes it.",
        |call, act, data| {
            let place = place(call, act.as_look(), data)?;
            Ok(moving::receive_base(act, &place, &call.need(0, "name")?)?.into())
        },
    ),
    write(
        "lxc.base_received",
        "(name, digest, bases=None, path=None)",
        "Takes a base that came, if its digest is this one.",
        |call, act, data| {
            let (name, digest) = (call.need(0, "name")?, call.need(1, "digest")?);
            Ok(moving::received_base(act, &place(call, act.as_look(), data)?, &name, &digest)?.into())
        },
    ),
    write("lxc.bridge", "(name, address='10.5.0.1/16', nat=True)", "Keeps a bridge for containers.", |call, act, _| {
        let address = call.text(1, "address").unwrap_or("10.5.0.1/16".into());
        let changes = bridge::keep(act, &call.need(0, "name")?, &address, call.flag(2, "nat", true))?;
        Ok([("changes", changes)].into_iter().collect::<Map>().into())
    }),
    write("lxc.bridge_remove", "(name)", "Removes a bridge and its firewall table.", |call, act, _| {
        Ok(bridge::remove(act, &call.need(0, "name")?)?.into())
    }),
    read("lxc.bridges", "()", "Describes the bridges.", |_, look, _| Ok(bridge::list(look)?.into())),
];

fn root(call: &Call, place: usize, data: &Data) -> std::path::PathBuf {
    lxc::root(call.text(place, "path").as_deref(), data)
}

fn place(call: &Call, look: &dyn Look, data: &Data) -> Result<std::path::PathBuf, ExecError> {
    base::place(look, &root(call, 99, data), call.text(99, "bases").as_deref())
}

fn named(call: &Call, place: usize, data: &Data) -> Result<Guest, ExecError> {
    Guest::new(root(call, place, data), &call.need(0, "name")?)
}

fn there(call: &Call, place: usize, look: &dyn Look, data: &Data) -> Result<Guest, ExecError> {
    let guest = named(call, place, data)?;
    if guest.exists(look)? { Ok(guest) } else { Err(guest.missing()) }
}

fn guests(call: &Call, place: usize, look: &dyn Look, data: &Data) -> Result<Vec<Guest>, ExecError> {
    lxc::need(look)?;
    let root = root(call, place, data);
    Ok(lxc::names(look, &root)?.into_iter().map(|name| Guest { root: root.clone(), name }).collect())
}

fn declared(call: &Call, data: &Data) -> Result<Spec, ExecError> {
    let mut args = call.kwargs.clone();
    args.remove("name");
    args.remove("orig");
    Spec::read(&args, data).map_err(ExecError::Failed)
}

fn change(call: &Call, place: usize, act: &dyn Act, data: &Data, verb: Verb) -> Result<Value, ExecError> {
    Ok(named(call, place, data)?.change(act, &verb)?.into())
}

fn destroy(call: &Call, act: &dyn Act, data: &Data) -> Result<Value, ExecError> {
    Ok(guest::destroy(&named(call, 2, data)?, act, call.flag(1, "stop", false))?.into())
}

fn list(call: &Call, look: &dyn Look, data: &Data) -> Result<Value, ExecError> {
    let extra = call.flag(0, "extra", false);
    let limit = call.text(1, "limit");
    let mut out = Map::new();
    for state in ["running", "stopped", "frozen"] {
        let (mut names, mut infos) = (vec![], Map::new());
        for guest in guests(call, 2, look, data)? {
            if guest.state(look)?.as_deref() == Some(state) {
                if extra {
                    infos.insert(guest.name.as_str(), describe::info(&guest, look)?);
                }
                names.push(guest.name);
            }
        }
        out.insert(state, if extra { Value::from(infos) } else { names.into() });
    }
    match limit {
        None => Ok(out.into()),
        Some(state) => {
            let none = || if extra { Map::new().into() } else { vec![Value::Null; 0].into() };
            Ok(out.get(&state).cloned().unwrap_or_else(none))
        }
    }
}

fn trimmed(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim_end().to_owned()
}

/// `lxc.run` and its other name.
fn all_output(call: &Call, act: &dyn Act, data: &Data) -> Result<Value, ExecError> {
    Ok(trimmed(&run(call, act, data, true)?.stdout).into())
}

/// Runs a command in a container: a text is read by its shell, a list is the program and its words.
fn run(call: &Call, act: &dyn Act, data: &Data, merged: bool) -> Result<Output, ExecError> {
    let guest = there(call, 2, act.as_look(), data)?;
    if guest.state(act.as_look())?.as_deref() != Some("running") {
        return Err(ExecError::failed(format!("Container '{}' is not running", guest.name)));
    }
    let mut words = vec!["--clear-env".to_owned()];
    for (key, value) in call.arg(4, "env").and_then(Value::as_map).into_iter().flatten() {
        words.extend(["-v".into(), format!("{}={}", python::str(key), python::str(value))]);
    }
    words.push("--".into());
    match call.arg(1, "cmd") {
        Some(Value::List(list)) if !list.is_empty() => words.extend(list.iter().map(python::str)),
        Some(text) if text.truthy() => words.extend(["/bin/sh".into(), "-c".into(), python::str(text)]),
        _ => return Err(call.missing("cmd")),
    }
    let mut command = guest.command_of("lxc-attach", words.iter().map(String::as_str));
    command.stdin = call.text(3, "stdin").map(String::into_bytes);
    command.merge_stderr = merged;
    command.timeout_s = call.text(5, "timeout").and_then(|text| text.parse().ok());
    ask::run(act, command)
}

fn set_password(call: &Call, act: &dyn Act, data: &Data) -> Result<Value, ExecError> {
    let guest = there(call, 4, act.as_look(), data)?;
    let users = crate::fns::lvm::listed(call.arg(1, "users"));
    let password = call.need(2, "password")?;
    if users.is_empty() || users.iter().any(|user| user.contains([':', '\n'])) || password.contains('\n') {
        return Err(ExecError::failed("Invalid input for 'users' parameter"));
    }
    let encrypted: &[&str] = if call.flag(3, "encrypted", true) { &["-e"] } else { &[] };
    let mut failed = vec![];
    for user in users {
        let words = ["--clear-env", "--", "chpasswd"].into_iter().chain(encrypted.iter().copied());
        let mut command = guest.command_of("lxc-attach", words).stdin(format!("{user}:{password}\n"));
        command.secret = true;
        if !ask::run(act, command)?.ok() {
            failed.push(user);
        }
    }
    if failed.is_empty() {
        return Ok(true.into());
    }
    Err(ExecError::failed(format!("Password change failed for the following user(s): {}", failed.join(", "))))
}

fn read_conf(text: &str, format: &str) -> Value {
    let (mut simple, mut all) = (Map::new(), vec![]);
    for line in text.split_inclusive('\n') {
        match line.split_once('=') {
            Some((key, value)) => {
                simple.insert(key.trim(), value.trim());
                all.push([(key.trim(), value.trim())].into_iter().collect::<Map>().into());
            }
            None => all.push(Value::from(line)),
        }
    }
    if format == "simple" { simple.into() } else { all.into() }
}

fn conf_text(conf: &[Value]) -> String {
    let mut out = String::new();
    for line in conf {
        match line {
            Value::Map(pairs) => {
                for (key, value) in &**pairs {
                    let comment =
                        value.get("comment").map(|text| format!(" # {}", python::str(text))).unwrap_or_default();
                    let value = value.get("value").unwrap_or(value);
                    out += &format!("{} = {}{comment}\n", python::str(key), python::str(value));
                }
            }
            text => out += &python::str(text),
        }
    }
    out
}

fn edit_conf(call: &Call, act: &dyn Act, _: &Data) -> Result<Value, ExecError> {
    let file = call.need(0, "conf_file")?;
    let format = call.text(1, "out_format").unwrap_or("simple".into());
    let mut config = Config::parse(&ask::text(act.as_look(), &file)?.unwrap_or_default());
    let given = call.arg(3, "lxc_config").and_then(Value::as_list).unwrap_or_default().iter().filter_map(Value::as_map);
    let own = ["conf_file", "out_format", "read_only", "lxc_config"];
    let more: Map = call
        .kwargs
        .iter()
        .filter(|(key, _)| !key.as_str().is_some_and(|key| own.contains(&key)))
        .map(|(k, v)| (k.clone(), v.clone()))
        .collect();
    for (key, value) in given.chain([&more]).flatten() {
        config.set(&python::str(key), &python::str(value));
    }
    if !call.flag(2, "read_only", false) {
        act.perform(&Effect::text(file, config.text()))?;
        return Ok(read_conf(&config.text(), &format));
    }
    Ok(read_conf(&config.text(), "commented"))
}

/// Waits for the first words of a container's SSH server.
fn wait_ssh(call: &Call, look: &dyn Look, data: &Data) -> Result<Value, ExecError> {
    let guest = there(call, 3, look, data)?;
    let number = |place, name: &str, default: f64| {
        call.text(place, name)
            .map_or(Ok(default), |text| text.parse().map_err(|_| call.invalid(name, "must be a number")))
    };
    let (timeout, port) =
        (Duration::from_secs_f64(number(1, "timeout", 30.0)?.clamp(0.0, 3600.0)), number(2, "port", 22.0)? as u16);
    let start = Instant::now();
    loop {
        let address = describe::address(&guest, look)?;
        let why = match address.as_ref().and_then(|ip| ip.parse().ok()) {
            None => "it has no address".to_owned(),
            Some(ip) => match banner(SocketAddr::new(ip, port)) {
                Ok(()) => {
                    let out: Map = [
                        ("address", Value::from(address)),
                        ("port", i64::from(port).into()),
                        ("seconds", start.elapsed().as_secs_f64().into()),
                    ]
                    .into_iter()
                    .collect();
                    return Ok(out.into());
                }
                Err(error) => error.to_string(),
            },
        };
        if start.elapsed() >= timeout {
            return Err(ExecError::failed(format!("Container '{}' does not answer by SSH: {why}", guest.name)));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn banner(at: SocketAddr) -> std::io::Result<()> {
    let mut stream = TcpStream::connect_timeout(&at, Duration::from_secs(2))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut first = [0; 4];
    stream.read_exact(&mut first)?;
    if &first == b"SSH-" { Ok(()) } else { Err(std::io::Error::other("what answers is no SSH server")) }
}
