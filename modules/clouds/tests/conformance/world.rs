//! A world in memory: nodes with containers, boxes, an API. It runs the states that drivers plan, as the real ones are
//! documented to behave, counts every call, and fails at the one that it is told to.

use crate::ec2;
use corpus_clouds::hands::{Chunk, Hands, HandsError, Place};
use corpus_core::report::ChunkReport;
use corpus_core::{Call, Map, RunReport, Value, python};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How a call goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It fails and has done nothing.
    Before,
    /// It has its effect, and the answer is lost.
    After,
    /// The process dies before it.
    KillBefore,
    /// The process dies after its effect.
    KillAfter,
}

pub const MODES: [Mode; 4] = [Mode::Before, Mode::After, Mode::KillBefore, Mode::KillAfter];

/// One container.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Box_ {
    pub status: String,
    pub args: Map,
    pub based: Vec<String>,
    pub snapshots: Vec<String>,
    /// What it holds.
    pub data: String,
}

/// What there is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Things {
    /// By kind, then by name. What is not on the node `n1` has its node's name with the kind: `lxc@n2`.
    pub guests: BTreeMap<(String, String), Box_>,
    pub bridges: BTreeSet<String>,
    pub packages: BTreeSet<String>,
    pub files: BTreeMap<String, String>,
    /// The rules that are loaded, by node.
    pub rules: BTreeMap<String, String>,
    /// Files that came to a node for a guest that is not made yet.
    pub came: BTreeMap<(String, String), (String, Vec<String>)>,
    /// Base systems with the digests of what they hold, by node; and those that came and are not taken yet.
    pub bases: BTreeMap<(String, String), String>,
    pub coming: BTreeMap<(String, String), String>,
    /// Boxes that answer SSH, with the base systems they got.
    pub boxes: BTreeMap<String, Vec<String>>,
    pub ec2: ec2::Things,
}

#[derive(Default)]
pub struct State {
    pub things: Things,
    pub calls: usize,
    pub writes: usize,
    pub fail: Option<(usize, Mode)>,
    pub nature: ec2::Nature,
    /// This installation has its mark.
    pub marked: bool,
}

/// The world. Clones are the same one.
#[derive(Clone, Default)]
pub struct World(pub Arc<Mutex<State>>);

/// What unwinds when the process is killed.
pub struct Killed;

impl World {
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn things(&self) -> Things {
        let mut state = self.state();
        for _ in 0..10 {
            ec2::tick(&mut state);
        }
        state.things.clone()
    }

    /// One call: counts it, and lets it fail if it is its turn.
    pub fn call_of<T>(&self, effect: impl FnOnce(&mut State) -> Result<T, HandsError>) -> Result<T, HandsError> {
        let mut state = self.state();
        state.calls += 1;
        let mode = state.fail.filter(|(at, _)| *at == state.calls).map(|(_, mode)| mode);
        let lost = || HandsError::Unreachable("the connection was lost".into());
        match mode {
            None => effect(&mut state),
            Some(Mode::Before) => Err(lost()),
            Some(Mode::After) => {
                let _ = effect(&mut state);
                Err(lost())
            }
            Some(Mode::KillBefore) => {
                drop(state);
                std::panic::resume_unwind(Box::new(Killed));
            }
            Some(Mode::KillAfter) => {
                let _ = effect(&mut state);
                drop(state);
                std::panic::resume_unwind(Box::new(Killed));
            }
        }
    }
}

fn changed(args: &[(&str, &str)]) -> Map {
    args.iter().map(|(key, value)| (*key, Value::from(*value))).collect()
}

fn kind_of(fun: &str, at: &Place) -> String {
    let kind = if fun.starts_with("docker") { "docker" } else { "lxc" };
    format!("{kind}{}", suffix(at))
}

fn suffix(at: &Place) -> String {
    match at {
        Place::Minion(id) if id != "n1" => format!("@{id}"),
        _ => String::new(),
    }
}

fn rules_of(files: &BTreeMap<String, String>, at: &Place) -> Option<String> {
    files.get(&(corpus_clouds::net::FILE.to_owned() + &suffix(at))).cloned()
}

/// Runs one state; returns its changes, or why it failed.
fn state_fun(things: &mut Things, at: &Place, chunk: &Chunk, test: bool) -> Result<Map, String> {
    let name = chunk.args.get("name").map(python::str).unwrap_or_default();
    let key = (kind_of(&chunk.fun, at), name.clone());
    let before = things.clone();
    let mut now = before.clone();
    let set = |now: &mut Things, status: &str| match now.guests.get_mut(&key) {
        Some(guest) => {
            guest.status = status.to_owned();
            Ok(())
        }
        None => Err(format!("Container '{name}' doesn't exist")),
    };
    match chunk.fun.as_str() {
        "pkg.installed" => {
            let pkgs = chunk.args.get("pkgs").and_then(Value::as_list).unwrap_or_default();
            now.packages.extend(pkgs.iter().map(python::str));
        }
        "lxc.base_present" => _ = now.bases.insert((suffix(at), name.clone()), "digest".into()),
        "lxc.bridge_present" => _ = now.bridges.insert(name.clone() + &suffix(at)),
        "lxc.bridge_absent" => _ = now.bridges.remove(&(name.clone() + &suffix(at))),
        "lxc.present" => {
            if let Some(origin) = chunk.args.get("clone_from").map(python::str)
                && !now.guests.contains_key(&("lxc".to_owned(), origin.clone()))
            {
                return Err(format!("there is no {origin} to clone"));
            }
            if !now.packages.contains("lxc") && !test {
                return Err("lxc is not installed".into());
            }
            let fresh = !now.guests.contains_key(&key);
            let base = chunk.args.str("base").filter(|_| fresh && !test);
            if base.is_some_and(|base| !now.bases.contains_key(&(suffix(at), base.to_owned()))) {
                return Err("there is no such base".into());
            }
            let came = now.came.get(&key).cloned().filter(|_| fresh && chunk.args.contains("received"));
            if fresh && !test && chunk.args.contains("received") != came.is_some() {
                return Err(format!("no files came for container '{name}'"));
            }
            now.came.remove(&key);
            let (data, based) = came.unwrap_or_else(|| ("new".into(), vec![]));
            let new = || Box_ { status: "stopped".into(), data, based, ..Box_::default() };
            let guest = now.guests.entry(key.clone()).or_insert_with(new);
            for (key, value) in chunk.args.iter().filter(|(key, _)| !matches!(key.as_str(), Some("received" | "base")))
            {
                guest.args.0.insert(key.clone(), value.clone());
            }
            if chunk.args.get("running") == Some(&Value::Bool(true)) {
                guest.status = "running".into();
            }
        }
        "docker_container.running" => {
            let guest =
                now.guests.entry(key.clone()).or_insert_with(|| Box_ { status: "stopped".into(), ..Box_::default() });
            guest.args = chunk.args.clone();
            if chunk.args.get("start").is_none_or(Value::truthy) {
                guest.status = "running".into();
            }
        }
        "lxc.running" => set(&mut now, "running")?,
        "lxc.stopped" | "docker_container.stopped" => set(&mut now, "stopped")?,
        "lxc.edited_conf" => {
            now.guests.get_mut(&key).into_iter().for_each(|guest| _ = guest.args.insert("autostart", false))
        }
        "lxc.frozen" => set(&mut now, "frozen")?,
        "lxc.absent" | "docker_container.absent" => {
            now.guests.remove(&key);
            now.came.remove(&key);
        }
        "file.managed" => {
            let text = chunk.args.get("contents").map(python::str).unwrap_or_default();
            now.files.insert(name.clone() + &suffix(at), text);
        }
        "file.absent" => _ = now.files.remove(&(name.clone() + &suffix(at))),
        "cmd.run" if name.starts_with("nft -f") => {
            now.rules.extend(rules_of(&now.files, at).map(|text| (suffix(at), text)));
        }
        "cmd.run" if name.starts_with("nft delete") => _ = now.rules.remove(&suffix(at)),
        "module.run" => return module(things, at, chunk, test),
        other => return Err(format!("State '{other}' was not found in this world")),
    }
    let changes = if now == before { Map::new() } else { changed(&[("old", "was"), ("new", "is")]) };
    if !test {
        *things = now;
    }
    Ok(changes)
}

/// `module.run`: it always says that it changed something.
fn module(things: &mut Things, at: &Place, chunk: &Chunk, test: bool) -> Result<Map, String> {
    let (fun, args) = chunk.args.iter().next().ok_or("no function")?;
    let fun = python::str(fun);
    let arg = |key: &str| args.as_list().into_iter().flatten().find_map(|item| item.get(key)).map(python::str);
    let name = arg("name").unwrap_or_default();
    let key = (kind_of(&fun, at), name.clone());
    if test {
        return Ok(changed(&[(&fun, "would run")]));
    }
    if fun == "system.reboot" {
        return Ok(changed(&[(&fun, "ran")]));
    }
    let guest = things.guests.get_mut(&key).ok_or(format!("there is no {name}"))?;
    match fun.as_str() {
        "docker.start" | "docker.restart" => guest.status = "running".into(),
        "docker.kill" => guest.status = "stopped".into(),
        "docker.pause" => guest.status = "frozen".into(),
        "docker.update" => {
            for key in ["memory", "cpus"] {
                if let Some(value) = arg(key) {
                    guest.args.insert(key, value);
                }
            }
        }
        "lxc.snapshot" | "docker.commit" => {
            guest.snapshots.push(arg("comment").or_else(|| arg("tag")).unwrap_or_default())
        }
        "lxc.restore" => {
            let snapshot = arg("snapshot").unwrap_or_default();
            if !guest.snapshots.contains(&snapshot) {
                return Err(format!("no snapshot {snapshot}"));
            }
        }
        other => return Err(format!("'{other}' is not available.")),
    }
    Ok(changed(&[(&fun, "ran")]))
}

impl Hands for World {
    fn call(&self, at: &Place, call: &Call) -> Result<Value, HandsError> {
        self.call_of(|state| match call.fun.as_str() {
            "lxc.list" => {
                let mut out: BTreeMap<String, Map> = BTreeMap::new();
                for ((_, id), guest) in state.things.guests.iter().filter(|((kind, _), _)| *kind == kind_of("lxc", at)) {
                    let mut info = guest.args.clone();
                    for key in ["memory", "disk"] {
                        if let Some(Ok(bytes)) = guest.args.get(key).map(corpus_clouds::spec::size) {
                            info.insert(key, bytes);
                        }
                    }
                    info.insert("snapshots", guest.snapshots.clone());
                    out.entry(guest.status.clone()).or_default().insert(id.as_str(), info);
                }
                Ok(Value::map(out.into_iter().collect()))
            }
            "docker.ps" => {
                let mut out = Map::new();
                for ((_, id), guest) in state.things.guests.iter().filter(|((kind, _), _)| *kind == kind_of("docker", at)) {
                    let info = serde_json::json!({
                        "Name": format!("/{id}"),
                        "HostConfig": {
                            "Memory": guest.args.get("memory").map(python::str).and_then(|n| n.parse::<i64>().ok()),
                            "RestartPolicy": {"Name": guest.args.get("restart_policy").map(python::str)},
                        },
                        "State": {"Status": if guest.status == "stopped" { "exited" } else { &guest.status }},
                        "Config": {"Image": guest.args.get("image").map(python::str), "Labels": {"corpus.owner": "corpus"}},
                    });
                    let info: Value = serde_json::from_value(info).expect("a value");
                    let found: Map = [("Info", info)].into_iter().collect();
                    out.insert(format!("0123{id}"), found);
                }
                Ok(out.into())
            }
            "lxc.snapshots" => {
                let key = (kind_of("lxc", at), call.text(0, "name").unwrap_or_default());
                let names = state.things.guests.get(&key).map(|guest| guest.snapshots.clone()).unwrap_or_default();
                let one = |name: String| [("name", name.clone()), ("comment", name)].into_iter().collect::<Map>().into();
                Ok(Value::list(names.into_iter().map(one).collect()))
            }
            "lxc.run_stdout" | "docker.run_stdout" => Ok("ssh-ed25519 AAAAkey root@guest".into()),
            "lxc.run_all" | "docker.run_all" | "cmd.run_all" => {
                Ok(Value::map([("retcode", Value::from(0)), ("stdout", "hello".into())].into_iter().collect()))
            }
            "lxc.send" | "lxc.receive" => {
                let name = call.text(0, "name").unwrap_or_default();
                let there = state.things.guests.get(&(kind_of("lxc", at), name.clone()));
                match (call.fun.as_str(), there) {
                    ("lxc.send", Some(guest)) if guest.status == "stopped" => Ok(vec!["send", &name].into()),
                    ("lxc.receive", None) => Ok(vec!["receive", &name].into()),
                    _ => Err(HandsError::Failed(format!("{name} cannot {}", call.fun))),
                }
            }
            "lxc.base_digest" => {
                let key = (suffix(at), call.text(0, "name").unwrap_or_default());
                Ok(state.things.bases.get(&key).cloned().into())
            }
            "lxc.base_send" | "lxc.base_receive" => Ok(vec![call.fun.clone(), call.text(0, "name").unwrap_or_default()].into()),
            "lxc.base_received" => {
                let key = (suffix(at), call.text(0, "name").unwrap_or_default());
                let came = state.things.coming.remove(&key);
                match came.filter(|came| Some(came) == call.text(1, "digest").as_ref()) {
                    Some(digest) => _ = state.things.bases.insert(key, digest),
                    None => return Err(HandsError::Failed("something else came".into())),
                }
                Ok(Value::Null)
            }
            "test.ping" => match at {
                Place::Minion(id) if !state.things.boxes.contains_key(id) => {
                    Err(HandsError::Unreachable(format!("{id}: connection refused")))
                }
                _ => Ok(true.into()),
            },
            other => Err(HandsError::Failed(format!("'{other}' is not available."))),
        })
    }

    fn run(&self, at: &Place, chunks: &[Chunk], test: bool) -> Result<RunReport, HandsError> {
        let mut report = RunReport { test, ..RunReport::default() };
        let mut failed: BTreeSet<String> = BTreeSet::new();
        for (place, chunk) in chunks.iter().enumerate() {
            let blocked = chunk.require.iter().any(|(_, id)| failed.contains(id));
            let mut record = ChunkReport {
                id: chunk.id.as_str().into(),
                state: chunk.fun.split('.').next().unwrap_or_default().into(),
                fun: chunk.fun.split('.').nth(1).unwrap_or_default().into(),
                ran: !blocked,
                run_num: place as u32,
                ..ChunkReport::default()
            };
            let guarded = guard(&self.things(), at, chunk);
            let outcome = if blocked {
                Err("One or more requisite failed".to_owned())
            } else if guarded {
                Ok(Map::new())
            } else {
                self.call_of(|state| {
                    let outcome = state_fun(&mut state.things, at, chunk, test);
                    if !test {
                        state.writes += 1;
                    }
                    Ok(outcome)
                })?
            };
            match outcome {
                Ok(changes) => {
                    record.result = if test && !changes.is_empty() { None } else { Some(true) };
                    record.changes = changes.into();
                }
                Err(why) => {
                    failed.insert(chunk.id.clone());
                    (record.result, record.comment) = (Some(false), why);
                }
            }
            report.chunks.push(record);
        }
        Ok(report)
    }

    fn apply(&self, at: &Place, sls: &[String], test: bool) -> Result<RunReport, HandsError> {
        self.call_of(|state| {
            let Place::Minion(id) = at else { return Err(HandsError::Failed("not here".into())) };
            if !test {
                let instance = instance(&state.things, id);
                let based = match (state.things.boxes.get_mut(id), instance) {
                    (Some(based), _) => based,
                    (_, Some(instance)) => state.things.ec2.based.entry(instance).or_default(),
                    (None, None) => {
                        let found = state.things.guests.iter_mut().find(|((_, name), _)| name == id);
                        &mut found.ok_or(HandsError::Unreachable(format!("{id} is not there")))?.1.based
                    }
                };
                *based = sls.to_vec();
            }
            let record = ChunkReport {
                id: "base".into(),
                result: Some(true),
                changes: Value::map(changed(&[("base", "installed")])),
                ran: true,
                ..ChunkReport::default()
            };
            Ok(RunReport { test, chunks: vec![record], ..RunReport::default() })
        })
    }

    fn carry(&self, (from, send): (&Place, &[String]), (to, receive): (&Place, &[String])) -> Result<(), HandsError> {
        self.call_of(|state| {
            if send[0] == "lxc.base_send" {
                let whole = state.things.bases[&(suffix(from), send[1].clone())].clone();
                state.things.coming.insert((suffix(to), receive[1].clone()), whole);
                return Ok(());
            }
            assert_eq!((send[0].as_str(), receive[0].as_str()), ("send", "receive"));
            let guest = &state.things.guests[&(kind_of("lxc", from), send[1].clone())];
            let whole = (guest.data.clone(), guest.based.clone());
            state.things.came.insert((kind_of("lxc", to), receive[1].clone()), whole);
            Ok(())
        })
    }

    fn answers(&self, id: &str, _: Duration) -> Result<(), HandsError> {
        self.call_of(|state| {
            let things = &state.things;
            let runs = things.guests.iter().any(|((_, name), guest)| name == id && guest.status == "running");
            let runs = runs || things.boxes.contains_key(id) || instance(things, id).is_some();
            if runs { Ok(()) } else { Err(HandsError::Unreachable(format!("{id}: connection refused"))) }
        })
    }
}

/// The running instance of a guest.
fn instance(things: &Things, guest: &str) -> Option<String> {
    let tagged = |key: &str, value: &str| {
        let runs = things.ec2.instances.values().filter(|one| one.state == "running");
        let mut runs = runs.filter(|one| one.tags.get("corpus:guest").is_some_and(|id| id == guest));
        runs.find(|one| one.tags.get(key).is_some_and(|have| have == value)).map(|one| one.id.clone())
    };
    tagged("corpus:owner", "mark")
}

/// `unless` and `onlyif` of the rules.
fn guard(things: &Things, at: &Place, chunk: &Chunk) -> bool {
    let loaded = things.rules.get(&suffix(at));
    if chunk.args.contains("unless") {
        return loaded.is_some() && rules_of(&things.files, at).as_ref() == loaded;
    }
    chunk.args.contains("onlyif") && loaded.is_none()
}
