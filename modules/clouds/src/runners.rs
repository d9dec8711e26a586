//! The runners, each what a person types.

use crate::Verb;
use crate::declare::Declared;
use crate::functions::{
    Answer, At, answer, finish, is_test, mistakes, names, names_from, present, said, seen, spec_of, title, verbs,
};
use crate::nodes;
use crate::reconcile;
use crate::spec;
use corpus_core::{Call, Map, Value, python};
use corpus_master::{Corpus, Failure, HostReturn, Kind, Progress, RunnerDef};
use std::path::PathBuf;
use std::sync::Arc;

type Note<'a> = &'a (dyn Fn(Progress<'_>) + Sync);

macro_rules! table {
    ($($name:literal $args:literal $doc:literal => $run:expr;)*) => {
        /// The runners of clouds.
        pub const RUNNERS: &[RunnerDef] = &[$(RunnerDef { name: $name, args: $args, doc: $doc, run: $run },)*];
    };
}

table! {
    "cloud.query" "()" "Lists all machines of the clouds by provider and driver, as they are found." => query;
    "cloud.full_query" "()" "Lists all machines of the clouds with all that is known of them." => full_query;
    "cloud.list_providers" "()" "Lists the providers with their drivers." => providers;
    "cloud.list_profiles" "()" "Lists the profiles with their providers." => profiles;
    "cloud.list_drivers" "()" "Lists the drivers: what each can do, why not what it cannot, and its keys." => drivers;
    "cloud.profile" "(profile, *names, test=False, **keys)" "Makes machines of a profile." => profile;
    "cloud.create" "(provider, *names, test=False, **keys)" "Makes machines of a provider." => create_of;
    "cloud.map_run" "(path=None, test=False)" "Makes all machines of a map file, or of all map files." => map;
    "cloud.map.apply" "(path=None, test=False)" "Makes all machines of a map file, or of all map files." => map;
    "map.apply" "(path=None, test=False)" "Makes all machines of a map file, or of all map files." => map;
    "cloud.destroy" "(*names, test=False)" "Ends machines." => destroy;
    "cloud.action" "(func, *names, test=False, **kwargs)" "Does something with machines: start, stop, restart…" => action;
    "guest.create" "(name, profile=None, test=False, **keys)" "Makes a machine, or makes it again as it is declared." => create;
    "guest.list" "()" "Lists the machines: node, driver, status, address, ports." => list;
    "guest.show" "(name)" "Returns all that is known of a machine." => show;
    "guest.ports" "(node=None)" "Lists which ports of the nodes lead where." => ports;
    "guest.ssh_config" "()" "Returns a block of SSH client configuration for each machine." => ssh_config;
    "guest.password" "(name)" "Returns the password that was made for a machine's root (`root_password: true`)." => password;
    "guest.destroy" "(*names, test=False)" "Ends machines; a saltified one is let go and goes on running." => destroy;
    "guest.start" "(*names, test=False)" "Starts machines." => |c, call, p| plain(c, call, p, Verb::Start);
    "guest.stop" "(*names, kill=False, test=False)" "Stops machines; they stay stopped until they are started." => stop;
    "guest.restart" "(*names, test=False)" "Starts machines anew." => |c, call, p| plain(c, call, p, Verb::Restart);
    "guest.freeze" "(*names, test=False)" "Holds machines where they are; `guest.start` lets them go on." => |c, call, p| plain(c, call, p, Verb::Freeze);
    "guest.snapshot" "(name, snapshot, test=False)" "Keeps what a machine is now, under a name." => snapshot;
    "guest.restore" "(name, snapshot, test=False)" "Makes a machine what it was." => restore;
    "guest.clone" "(name, to, node=None, test=False)" "Copies a machine under another name, to another node if one is named." => clone;
    "guest.move" "(name, node, test=False)" "Brings a machine that a command made to another node; of a declared one, change `node`." => move_to;
    "guest.resize" "(name, memory=None, cpu=None, disk=None, test=False)" "Changes a machine's memory, processors or disk." => resize;
    "guest.enlarge" "(name, size='5G', test=False)" "Gives a machine that much more disk." => |c, call, p| grow(c, call, p, true);
    "guest.trim" "(name, size='5G', test=False)" "Takes that much disk from a machine, unless it holds more." => |c, call, p| grow(c, call, p, false);
    "node.list" "()" "Lists the compute nodes with their guests." => nodes::list;
    "node.show" "(node)" "Returns what a compute node has, what of it is free, and its guests." => nodes::show;
    "guest.exec" "(name, *command)" "Runs a command in a machine, through its node." => exec;
    "reconcile" "(watch=False, interval=30, prune=False, test=False)"
        "Makes the world as it is declared: brings back what is gone, names what nobody declared." => reconcile::run;
}

fn providers(corpus: &Arc<Corpus>, call: &Call, progress: Note<'_>) -> Answer {
    let at = At::new(corpus, progress)?;
    let all: Map = at.clouds.providers().into_iter().collect();
    Ok(finish(&at, call, all.into(), false))
}

fn profiles(corpus: &Arc<Corpus>, call: &Call, progress: Note<'_>) -> Answer {
    let at = At::new(corpus, progress)?;
    let all: Map = at.clouds.profiles().into_iter().collect();
    Ok(finish(&at, call, all.into(), false))
}

fn drivers(corpus: &Arc<Corpus>, call: &Call, progress: Note<'_>) -> Answer {
    let at = At::new(corpus, progress)?;
    let mut all = Map::new();
    for driver in at.drivers.iter() {
        let can = driver.capabilities();
        let mut one = Map::new();
        one.insert("isolation", format!("{:?}", can.isolation).to_lowercase());
        one.insert("verbs", can.verbs.to_vec());
        one.insert("not", can.not.iter().map(|(verb, why)| (*verb, *why)).collect::<Map>());
        one.insert("keys", driver.schema().iter().map(|field| (field.name, field.doc)).collect::<Map>());
        all.insert(driver.kind(), one);
    }
    for kind in at.drivers.not_built() {
        all.insert(kind, "not built");
    }
    Ok(finish(&at, call, all.into(), false))
}

fn query(corpus: &Arc<Corpus>, call: &Call, progress: Note<'_>) -> Answer {
    look(corpus, call, progress, false)
}

fn full_query(corpus: &Arc<Corpus>, call: &Call, progress: Note<'_>) -> Answer {
    look(corpus, call, progress, true)
}

/// Salt's shape: provider, driver, machine.
fn look(corpus: &Arc<Corpus>, call: &Call, progress: Note<'_>, full: bool) -> Answer {
    let at = At::new(corpus, progress)?;
    let (_, world, _) = seen(&at)?;
    let mut out: std::collections::BTreeMap<String, std::collections::BTreeMap<String, Map>> = Default::default();
    for guest in &world.guests {
        let mut one = Map::new();
        one.insert("id", guest.id.as_str());
        one.insert("name", guest.id.as_str());
        one.insert("image", guest.image.clone());
        one.insert("size", guest.memory.map(spec::shown));
        one.insert("state", guest.status.word());
        one.insert("private_ips", guest.addresses.clone());
        one.insert("public_ips", Vec::<String>::new());
        if full {
            let all = serde_json::to_value(guest).ok().and_then(|value| serde_json::from_value::<Map>(value).ok());
            one.0.extend(all.unwrap_or_default());
        }
        out.entry(guest.node.clone())
            .or_default()
            .entry(guest.driver.clone())
            .or_default()
            .insert(guest.id.as_str(), one);
    }
    let out: Map = out.into_iter().map(|(node, drivers)| (node, drivers.into_iter().collect::<Map>())).collect();
    let bad = tell_blind(&world.blind);
    Ok(finish(&at, call, out.into(), bad))
}

/// Says which nodes could not be read.
fn tell_blind(blind: &std::collections::BTreeMap<(String, String), String>) -> bool {
    for ((driver, node), why) in blind {
        tracing::warn!("{driver} on {node} could not be read: {why}");
    }
    !blind.is_empty()
}

fn list(corpus: &Arc<Corpus>, call: &Call, progress: Note<'_>) -> Answer {
    let at = At::new(corpus, progress)?;
    let (declared, world, ledger) = seen(&at)?;
    let book: crate::book::Book =
        at.store.read("book.json").map_err(|error| Failure::new(Kind::Function, error.to_string()))?;
    let mut out = Map::new();
    let found = world.guests.iter().map(|guest| &guest.id);
    let ids: std::collections::BTreeSet<&String> =
        ledger.guests.keys().chain(declared.guests.keys()).chain(found).collect();
    for id in ids {
        let want = declared.guests.get(id).or_else(|| ledger.guests.get(id).map(|entry| &entry.spec));
        let found = want.map_or_else(|| world.guests.iter().find(|guest| guest.id == *id), |want| world.at(want));
        let mut one = Map::new();
        let text = |a: Option<&String>, b: Option<&String>| a.or(b).cloned();
        let node = text(want.map(|want| &want.node), found.map(|found| &found.node)).unwrap_or_default();
        let driver = text(want.map(|want| &want.driver), found.map(|found| &found.driver)).unwrap_or_default();
        let isolation =
            at.drivers.get(&driver).map(|driver| format!("{:?}", driver.capabilities().isolation).to_lowercase());
        let blind = world.blind.contains_key(&(driver.clone(), node.clone()));
        one.insert("node", node.as_str());
        one.insert("driver", driver);
        one.insert("isolation", isolation.ok());
        one.insert("status", found.map_or(if blind { "unknown" } else { "absent" }, |found| found.status.word()));
        one.insert("declared", declared.guests.contains_key(id));
        one.insert("ours", ledger.guests.contains_key(id));
        let given = book.of(&node, id);
        let ip = given.and_then(|given| given.ip).map(|ip| ip.to_string());
        one.insert("address", ip.or_else(|| found.and_then(|found| found.addresses.first().cloned())));
        let ports: Map = given
            .into_iter()
            .flat_map(|given| &given.ports)
            .map(|(name, port)| (name.as_str(), i64::from(port.host)))
            .collect();
        one.insert("ports", ports);
        out.insert(id.as_str(), one);
    }
    let bad = tell_blind(&world.blind);
    Ok(finish(&at, call, out.into(), bad))
}

fn show(corpus: &Arc<Corpus>, call: &Call, progress: Note<'_>) -> Answer {
    let at = At::new(corpus, progress)?;
    let id = one_name(call)?;
    let want = spec_of(&at, &id)?;
    let declared = at.declared(&[])?;
    let (found, ledger, given) = at.with(&declared, false, None, |cloud| {
        let world = cloud.world(&[(want.driver.clone(), want.node.clone())].into());
        (world, cloud.ledger(), cloud.given(&want.node, &id))
    })?;
    let value = |value: serde_json::Result<serde_json::Value>| {
        value.ok().and_then(|value| serde_json::from_value::<Value>(value).ok()).unwrap_or_default()
    };
    let mut out = Map::new();
    let mut shown = want.clone();
    for key in ["password", "sudo_password"] {
        if shown.options.contains(key) {
            shown.options.insert(key, "***");
        }
    }
    out.insert("declared", value(serde_json::to_value(&shown)));
    out.insert("found", value(serde_json::to_value(found.at(&want))));
    out.insert("given", value(serde_json::to_value(&given)));
    if let Some(entry) = ledger.guests.get(&id) {
        out.insert("phase", value(serde_json::to_value(entry.phase)));
        out.insert("reach", value(serde_json::to_value(&entry.reach)));
        out.insert("host_keys", entry.host_keys.clone());
    }
    let bad = tell_blind(&found.blind);
    Ok(finish(&at, call, out.into(), bad))
}

fn ports(corpus: &Arc<Corpus>, call: &Call, progress: Note<'_>) -> Answer {
    let at = At::new(corpus, progress)?;
    let wanted = call.text(0, "node");
    let book: crate::book::Book =
        at.store.read("book.json").map_err(|error| Failure::new(Kind::Function, error.to_string()))?;
    let mut out = Map::new();
    for (node, guests) in book.nodes.iter().filter(|(node, _)| wanted.as_ref().is_none_or(|wanted| wanted == *node)) {
        let mut all: Vec<(u16, Value)> = vec![];
        for (id, given) in guests {
            for (name, port) in &given.ports {
                let mut one = Map::new();
                one.insert("guest", id.as_str());
                one.insert("name", name.as_str());
                one.insert("address", given.ip.map(|ip| ip.to_string()));
                one.insert("port", i64::from(port.port));
                one.insert("count", i64::from(port.count));
                one.insert("protocols", port.protocols.iter().map(|p| p.word()).collect::<Vec<_>>());
                all.push((port.host, one.into()));
            }
        }
        all.sort_by_key(|(host, _)| *host);
        out.insert(node.as_str(), all.into_iter().map(|(host, one)| (i64::from(host), one)).collect::<Map>());
    }
    Ok(finish(&at, call, out.into(), false))
}

fn ssh_config(corpus: &Arc<Corpus>, call: &Call, progress: Note<'_>) -> Answer {
    let at = At::new(corpus, progress)?;
    let text = std::fs::read_to_string(at.store.path("ssh_config")).unwrap_or_default();
    Ok(finish(&at, call, text.into(), false))
}

/// Shown to who may read it in the folder of the clouds.
fn password(corpus: &Arc<Corpus>, call: &Call, progress: Note<'_>) -> Answer {
    let at = At::new(corpus, progress)?;
    let id = one_name(call)?;
    spec_of(&at, &id)?;
    let kept = crate::keys::password(&at.store, &id, false).map_err(|why| Failure::new(Kind::Function, why))?;
    let none = || {
        Failure::new(Kind::Function, format!("no password was made for {id}"))
            .hint("declare it with `root_password: true`, and `corpus map.apply`")
    };
    Ok(finish(&at, call, kept.ok_or_else(none)?.into(), false))
}

fn one_name(call: &Call) -> Result<String, Failure> {
    call.text(0, "name").ok_or_else(|| {
        Failure::new(Kind::Usage, format!("{}: no machine is named", call.fun))
            .hint(format!("`corpus {} NAME`", call.fun))
    })
}

fn make(at: &At<'_>, call: &Call, ids: &[String], profile: Option<&str>, keys: &Map) -> Result<HostReturn, Failure> {
    if ids.is_empty() {
        return Err(Failure::new(Kind::Usage, format!("{}: no machine is named", call.fun)));
    }
    let what = title(call);
    let mut specs = vec![];
    for id in ids {
        specs.push(at.clouds.by_hand(id, profile, keys, &at.drivers, &what).map_err(mistakes)?);
    }
    let refs: Vec<_> = specs.iter().collect();
    let declared = at.declared(&[])?;
    let told = present(at, &declared, &refs, is_test(at.corpus, call), &what)?;
    Ok(answer(at, call, &told, Map::new()))
}

fn profile(corpus: &Arc<Corpus>, call: &Call, progress: Note<'_>) -> Answer {
    let at = At::new(corpus, progress)?;
    let Some(name) = call.text(0, "profile") else {
        return Err(Failure::new(Kind::Usage, "cloud.profile: no profile is named")
            .hint("`corpus cloud.profile PROFILE NAME`; `corpus cloud.list_profiles` lists them"));
    };
    let ids = names_from(call, 1, "names");
    make(&at, call, &ids, Some(&name), &said(call, &["profile", "names"]))
}

fn create_of(corpus: &Arc<Corpus>, call: &Call, progress: Note<'_>) -> Answer {
    let at = At::new(corpus, progress)?;
    let Some(name) = call.text(0, "provider") else {
        return Err(Failure::new(Kind::Usage, "cloud.create: no provider is named")
            .hint("`corpus cloud.create PROVIDER NAME`; `corpus cloud.list_providers` lists them"));
    };
    let ids = names_from(call, 1, "names");
    let mut keys = said(call, &["names"]);
    keys.insert("provider", name);
    make(&at, call, &ids, None, &keys)
}

fn create(corpus: &Arc<Corpus>, call: &Call, progress: Note<'_>) -> Answer {
    let at = At::new(corpus, progress)?;
    let id = one_name(call)?;
    let mut keys = said(call, &["name", "profile"]);
    let profile = call.text(1, "profile");
    if keys.is_empty() && profile.is_none() {
        // Declared already: made as it is declared.
        let spec = spec_of(&at, &id)?;
        let declared = at.declared(&[])?;
        let told = present(&at, &declared, &[&spec], is_test(corpus, call), &title(call))?;
        return Ok(answer(&at, call, &told, Map::new()));
    }
    let default = at.clouds.settings.get("default_driver").is_some();
    if !default && profile.is_none() && !keys.contains("provider") && !keys.contains("driver") {
        keys.insert("driver", "lxc");
    }
    make(&at, call, &[id], profile.as_deref(), &keys)
}

fn map(corpus: &Arc<Corpus>, call: &Call, progress: Note<'_>) -> Answer {
    let at = At::new(corpus, progress)?;
    let also: Vec<PathBuf> = names(call.arg(0, "path")).into_iter().map(PathBuf::from).collect();
    let declared: Declared = at.declared(&also)?;
    if declared.guests.is_empty() {
        let dir = corpus.config.dir.display();
        return Err(Failure::new(Kind::Usage, "no machine is declared")
            .hint(format!("name a map file, or keep them as {dir}/cloud.maps.d/*.map")));
    }
    let refs: Vec<_> = declared.guests.values().collect();
    let told = present(&at, &declared, &refs, is_test(corpus, call), &title(call))?;
    Ok(answer(&at, call, &told, Map::new()))
}

fn plain(corpus: &Arc<Corpus>, call: &Call, progress: Note<'_>, verb: Verb) -> Answer {
    let at = At::new(corpus, progress)?;
    let ids = names_from(call, 0, "name");
    let told = verbs(&at, call, &ids, &verb)?;
    Ok(answer(&at, call, &told, Map::new()))
}

fn destroy(corpus: &Arc<Corpus>, call: &Call, progress: Note<'_>) -> Answer {
    plain(corpus, call, progress, Verb::Destroy)
}

fn stop(corpus: &Arc<Corpus>, call: &Call, progress: Note<'_>) -> Answer {
    let kill = call.kwargs.get("kill").is_some_and(Value::truthy);
    plain(corpus, call, progress, Verb::Stop { kill })
}

fn action(corpus: &Arc<Corpus>, call: &Call, progress: Note<'_>) -> Answer {
    let verb = match call.text(0, "func").as_deref() {
        Some("start") => Verb::Start,
        Some("stop") => Verb::Stop { kill: false },
        Some("restart" | "reboot") => Verb::Restart,
        Some("freeze") => Verb::Freeze,
        Some("destroy") => Verb::Destroy,
        other => {
            let what = format!("cloud.action: `{}` is not known", other.unwrap_or("nothing"));
            return Err(Failure::new(Kind::Usage, what).hint("there are: start, stop, restart, freeze, destroy"));
        }
    };
    let at = At::new(corpus, progress)?;
    let mut ids = names_from(call, 1, "names");
    ids.extend(names(call.kwargs.get("instance")));
    let told = verbs(&at, call, &ids, &verb)?;
    Ok(answer(&at, call, &told, Map::new()))
}

fn second(call: &Call, key: &str) -> Result<String, Failure> {
    call.text(1, key).ok_or_else(|| Failure::new(Kind::Usage, format!("{}: `{key}` is missing", call.fun)))
}

fn one(corpus: &Arc<Corpus>, call: &Call, progress: Note<'_>, verb: Verb) -> Answer {
    let at = At::new(corpus, progress)?;
    let id = one_name(call)?;
    let told = verbs(&at, call, &[id], &verb)?;
    Ok(answer(&at, call, &told, Map::new()))
}

fn snapshot(corpus: &Arc<Corpus>, call: &Call, progress: Note<'_>) -> Answer {
    let name = second(call, "snapshot")?;
    if let Err(why) = spec::check_id(&name) {
        return Err(Failure::new(Kind::Usage, why));
    }
    one(corpus, call, progress, Verb::Snapshot { name })
}

fn restore(corpus: &Arc<Corpus>, call: &Call, progress: Note<'_>) -> Answer {
    let name = second(call, "snapshot")?;
    one(corpus, call, progress, Verb::Restore { name })
}

fn clone(corpus: &Arc<Corpus>, call: &Call, progress: Note<'_>) -> Answer {
    let to = second(call, "to")?;
    let Some(node) = call.kwargs.get("node").map(python::str) else {
        return one(corpus, call, progress, Verb::Clone { to });
    };
    // Copied where it is, and the copy moved.
    let at = At::new(corpus, progress)?;
    let told = verbs(&at, call, &[one_name(call)?], &Verb::Clone { to: to.clone() })?;
    if is_test(corpus, call) || told.iter().any(|told| told.result == Some(false)) {
        return Ok(answer(&at, call, &told, Map::new()));
    }
    let mut spec = spec_of(&at, &to)?;
    spec.node = node;
    let told = present(&at, &at.declared(&[])?, &[&spec], false, &title(call))?;
    Ok(answer(&at, call, &told, Map::new()))
}

fn move_to(corpus: &Arc<Corpus>, call: &Call, progress: Note<'_>) -> Answer {
    let at = At::new(corpus, progress)?;
    let (id, node) = (one_name(call)?, second(call, "node")?);
    let mut spec = spec_of(&at, &id)?;
    let declared = at.declared(&[])?;
    if declared.guests.contains_key(&id) {
        let what = format!("{id} is declared at {}; what is said here would not last", spec.place);
        return Err(Failure::new(Kind::Usage, what).hint(format!("write `node: {node}` there, and `corpus map.apply`")));
    }
    spec.node = node;
    let told = present(&at, &declared, &[&spec], is_test(corpus, call), &title(call))?;
    Ok(answer(&at, call, &told, Map::new()))
}

fn resize(corpus: &Arc<Corpus>, call: &Call, progress: Note<'_>) -> Answer {
    let size = |key: &str, read: fn(&Value) -> Result<u64, String>| match call.kwargs.get(key) {
        None => Ok(None),
        Some(value) => read(value).map(Some).map_err(|why| Failure::new(Kind::Usage, format!("{key}: {why}"))),
    };
    let (memory, disk) = (size("memory", spec::size)?, size("disk", spec::disk)?);
    let cpu = match call.kwargs.get("cpu").or_else(|| call.kwargs.get("cpus")) {
        None => None,
        Some(value) => Some(crate::declare::cpu(value).map_err(|why| Failure::new(Kind::Usage, why))?),
    };
    if memory.is_none() && disk.is_none() && cpu.is_none() {
        return Err(Failure::new(Kind::Usage, "guest.resize: nothing is to change").hint("name memory=, cpu= or disk="));
    }
    one(corpus, call, progress, Verb::Resize { memory, cpu, disk })
}

/// By so much more or less than its limit is now.
fn grow(corpus: &Arc<Corpus>, call: &Call, progress: Note<'_>, more: bool) -> Answer {
    let at = At::new(corpus, progress)?;
    let id = one_name(call)?;
    let size = call.arg(1, "size").cloned().unwrap_or_else(|| "5G".into());
    let size = spec::disk(&size).map_err(|why| Failure::new(Kind::Usage, format!("size: {why}")))?;
    let want = spec_of(&at, &id)?;
    let declared = at.declared(&[])?;
    let places = [(want.driver.clone(), want.node.clone())].into();
    let world = at.with(&declared, false, None, |cloud| cloud.world(&places))?;
    let now = world.at(&want).and_then(|found| found.disk);
    let disk = now.and_then(|now| if more { now.checked_add(size) } else { now.checked_sub(size).filter(|n| *n > 0) });
    let Some(disk) = disk else {
        let what = match now {
            Some(now) => {
                format!("{id} has a disk of {}: {} cannot be taken from it", spec::shown(now), spec::shown(size))
            }
            None => format!("nothing is known of a limit of {id}'s disk"),
        };
        return Err(Failure::new(Kind::Function, what).hint(format!("`corpus guest.resize {id} disk=…` sets one")));
    };
    one(corpus, call, progress, Verb::Resize { memory: None, cpu: None, disk: Some(disk) })
}

fn exec(corpus: &Arc<Corpus>, call: &Call, progress: Note<'_>) -> Answer {
    let argv: Vec<String> = call.args.iter().skip(1).map(python::str).collect();
    let argv = if argv.is_empty() { names(call.kwargs.get("command")) } else { argv };
    // A line in one word is for a shell.
    let argv = match &argv[..] {
        [line] if line.contains(char::is_whitespace) => vec!["/bin/sh".into(), "-c".into(), line.clone()],
        _ => argv,
    };
    if argv.is_empty() {
        return Err(
            Failure::new(Kind::Usage, "guest.exec: no command is given").hint("`corpus guest.exec NAME uname -a`")
        );
    }
    one(corpus, call, progress, Verb::Exec { argv })
}
