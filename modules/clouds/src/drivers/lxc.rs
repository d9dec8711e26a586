//! LXC containers on a compute node. What is done there is done by the states `lxc.*` in the node's minion.

use super::{ask, cores, function, named, one_state, pass, place, text};
use crate::driver::{Asked, Capabilities, DriverError, Field, GuestDriver, GuestPlan, Kind, Reach, Step, Verb};
use crate::hands::{Chunk, Hands, Place};
use crate::spec::{Guest, GuestSpec, Isolation, Node, Status, shown};
use crate::walk::PATIENCE;
use corpus_core::{Call, Map, Value, python};

/// The driver.
pub struct Lxc;

/// The original's network of containers.
pub const NETWORK: &str = "10.5.0.0/16";
/// The original's bridge.
pub const BRIDGE: &str = "lxcbr1";

const FIELDS: &[Field] = &[
    Field { name: "base", kind: Kind::Any, doc: "The base system: a name, or a mapping that builds it." },
    Field { name: "template", kind: Kind::Text, doc: "An LXC template that makes the root file system." },
    Field { name: "template_options", kind: Kind::Map, doc: "Options of the template." },
    Field { name: "snapshot_clone", kind: Kind::Flag, doc: "Clones share what is the same." },
    Field { name: "backing", kind: Kind::Text, doc: "`overlayfs`, `btrfs` or `dir`." },
    Field { name: "network", kind: Kind::Text, doc: "The node's network of guests, `10.5.0.0/16`." },
    Field { name: "netmask", kind: Kind::Text, doc: "Accepted: the network says it." },
    Field { name: "gateway", kind: Kind::Text, doc: "Its address on the bridge, `10.5.0.1`." },
    Field { name: "bridge", kind: Kind::Text, doc: "The bridge, `lxcbr1`." },
    Field { name: "ip", kind: Kind::Text, doc: "An address that is not the book's choice." },
    Field { name: "mac", kind: Kind::Text, doc: "A MAC address that is not the book's choice." },
    Field { name: "idmap", kind: Kind::Any, doc: "Unprivileged: true, or `700000:65536`." },
    Field { name: "mounts", kind: Kind::List, doc: "Folders of the node inside: `source`, `target`, `readonly`." },
    Field { name: "lxc_conf", kind: Kind::List, doc: "Further lines of its configuration." },
    Field { name: "nameservers", kind: Kind::List, doc: "Name servers inside." },
    Field { name: "hostname", kind: Kind::Text, doc: "Its host name; the id otherwise." },
    Field { name: "bases", kind: Kind::Text, doc: "The directory of base systems on the node." },
    Field { name: "packages", kind: Kind::Flag, doc: "Install what the node needs; true otherwise." },
    Field { name: "reach", kind: Kind::Text, doc: "`port`: SSH through a port of the node; `hop`: lxc-attach there." },
    Field { name: "user", kind: Kind::Text, doc: "Who logs in; root otherwise." },
];

impl GuestDriver for Lxc {
    fn kind(&self) -> &'static str {
        "lxc"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            isolation: Isolation::Container,
            verbs: &[
                "create", "start", "stop", "restart", "freeze", "destroy", "snapshot", "restore", "clone", "move",
                "resize", "exec",
            ],
            not: &[],
            allocates: true,
        }
    }

    fn schema(&self) -> &'static [Field] {
        FIELDS
    }

    fn inspect(&self, node: &Node, known: &[String], hands: &dyn Hands) -> Result<Vec<Guest>, DriverError> {
        let _ = known;
        let at = Place::Minion(node.id.clone());
        let mut call = Call::new("lxc.list", vec![]);
        call.kwargs.insert("extra", true);
        let listed = hands.call(&at, &call)?;
        let mut guests = vec![];
        for (status, names) in listed.as_map().into_iter().flatten() {
            for (id, info) in names.as_map().into_iter().flatten() {
                guests.push(read(&node.id, &python::str(id), Status::of(&python::str(status)), info));
            }
        }
        // LXC numbers snapshots; the name of ours is the comment that each was made with.
        for guest in guests.iter_mut().filter(|guest| !guest.snapshots.is_empty()) {
            let listed = hands.call(&at, &Call::new("lxc.snapshots", vec![guest.id.as_str().into()]))?;
            let comments = listed.as_list().unwrap_or_default().iter();
            let comments =
                comments.filter_map(|one| Some((python::str(one.get("name")?), one.get("comment")?.clone())));
            guest.details.insert("snapshot_comments", comments.collect::<Map>());
        }
        guests.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(guests)
    }

    fn plan(&self, verb: &Verb, asked: &Asked<'_>) -> Result<GuestPlan, DriverError> {
        self.capabilities().allow(self.kind(), verb)?;
        let at = place(asked);
        let want = asked.want;
        let run = |fun: &str, args: &[(&str, Value)]| {
            one_state(asked, Chunk::new(format!("{fun} {}", want.id), fun, named(want, args)))
        };
        match verb {
            Verb::Present | Verb::Clone { .. } => Ok(present(asked, at, false)),
            Verb::Move { from } => moved(asked, at, from),
            Verb::Start => run("lxc.running", &[]),
            Verb::Restart => run("lxc.running", &[("restart", true.into())]),
            Verb::Stop { kill } => run("lxc.stopped", &[("kill", (*kill).into())]),
            Verb::Freeze => run("lxc.frozen", &[]),
            Verb::Destroy => run("lxc.absent", &[("stop", true.into())]),
            Verb::Snapshot { name } => function(asked, "lxc.snapshot", &[("comment", name.as_str().into())]),
            Verb::Restore { name } => function(asked, "lxc.restore", &[("snapshot", snapshot(asked, name)?.into())]),
            Verb::Resize { memory, cpu, disk } => {
                let mut want = want.clone();
                want.memory = memory.or(want.memory);
                want.cpu = cpu.or(want.cpu);
                want.disk = disk.or(want.disk);
                want.status = asked.have.map_or(want.status, |have| have.status);
                let mut plan = present(&Asked { want: &want, ..*asked }, at, false);
                // The guest itself, neither where it comes from nor how it is reached.
                let own = |step: &Step| matches!(step, Step::Run { chunks, .. } if chunks.iter().any(|c| c.fun == "lxc.present"));
                plan.steps.retain(own);
                Ok(plan)
            }
            Verb::Exec { argv } => ask(asked, "lxc.run_all", argv),
        }
    }

    fn reach(&self, asked: &Asked<'_>) -> Reach {
        let hop = || {
            let argv = ["lxc-attach", "-n", &asked.want.id, "--clear-env", "--"].map(str::to_owned).to_vec();
            Reach::Hop { node: asked.node.id.clone(), argv }
        };
        if text(asked.want, "reach").as_deref() == Some("hop") {
            return hop();
        }
        match (asked.given.ports.get("ssh"), asked.given.ip) {
            // The bridge is here: a port of this machine would only be a way around.
            (_, Some(ip)) if asked.node.id == crate::fleet::LOCAL => Reach::Direct { host: ip.to_string(), port: 22 },
            (Some(given), _) => Reach::Port { host: asked.node.address.clone(), port: given.host },
            (None, _) => hop(),
        }
    }

    fn login(&self, want: &GuestSpec, key: Option<&str>) -> Map {
        // Of a hop the node's entry says who logs in.
        if text(want, "reach").as_deref() == Some("hop") {
            return Map::new();
        }
        let mut login: Map = [("user", text(want, "user").unwrap_or_else(|| "root".into()))].into_iter().collect();
        if let Some(key) = key {
            login.insert("priv", key);
        }
        login
    }

    fn leave(&self, last: &GuestSpec) -> Vec<Chunk> {
        let bridge = bridge(last);
        let args = [("name", bridge.as_str())].into_iter().collect();
        vec![Chunk::new(format!("lxc: no bridge {bridge}"), "lxc.bridge_absent", args)]
    }
}

/// LXC numbers snapshots; a name of ours is the comment that it was made with.
fn snapshot(asked: &Asked<'_>, name: &str) -> Result<String, DriverError> {
    let have = asked.have.map(|have| have.snapshots.clone()).unwrap_or_default();
    let comments = asked.have.and_then(|have| have.details.get("snapshot_comments").and_then(Value::as_map).cloned());
    let by_comment = comments.iter().flatten().find(|(_, comment)| python::str(comment) == name);
    if let Some((number, _)) = by_comment {
        return Ok(python::str(number));
    }
    if have.iter().any(|known| known == name) {
        return Ok(name.to_owned());
    }
    let known = if have.is_empty() { "it has none".to_owned() } else { format!("there are: {}", have.join(", ")) };
    Err(DriverError::Refused(format!("{} has no snapshot `{name}`; {known}", asked.want.id)))
}

/// Stops it where it was, and has it brought; it must not start there again by itself.
fn moved(asked: &Asked<'_>, at: Place, from: &str) -> Result<GuestPlan, DriverError> {
    let (want, there) = (asked.want, Place::Minion(from.to_owned()));
    let mut steps = vec![];
    let arrived = asked.have.is_some_and(|have| have.node == asked.node.id);
    if !arrived {
        let snapshots = asked.have.map_or(0, |have| have.snapshots.len());
        if snapshots > 0 {
            return Err(DriverError::Refused(format!(
                "{id} has {snapshots} on {from}, which do not come with it: take them away there first \
                 (`corpus {from} lxc.snapshot_remove {id} snap0`)",
                id = want.id,
                snapshots = if snapshots == 1 { "a snapshot".into() } else { format!("{snapshots} snapshots") },
            )));
        }
        let still = Chunk::new(format!("lxc: {} stopped on {from}", want.id), "lxc.stopped", named(want, &[]));
        let off: Map = [("lxc.start.auto", "0")].into_iter().collect();
        let off = named(want, &[("lxc_conf", vec![Value::from(off)].into())]);
        let off = Chunk::new(format!("lxc: {} not by itself on {from}", want.id), "lxc.edited_conf", off).after(&still);
        steps.push(Step::Run { at: there.clone(), chunks: vec![still, off] });
        steps.push(Step::Run { at: at.clone(), chunks: node(asked) });
        let [send, receive] = ["lxc.send", "lxc.receive"].map(str::to_owned);
        steps.push(Step::Carry { from: there, to: at.clone(), name: want.id.clone(), send, receive });
    }
    steps.extend(present(asked, at, !arrived).steps);
    if want.status == Status::Running {
        steps.push(Step::Answers { id: want.id.clone(), patience: PATIENCE });
    }
    Ok(GuestPlan { steps })
}

/// What a node needs for guests.
fn node(asked: &Asked<'_>) -> Vec<Chunk> {
    let want = asked.want;
    let mut chunks = vec![];
    if want.options.get("packages").is_none_or(Value::truthy) {
        let packages = vec!["lxc", "nftables", "mmdebstrap", "rsync", "uidmap"];
        chunks.push(Chunk::new(
            "lxc: packages of the node",
            "pkg.installed",
            [("pkgs", packages)].into_iter().collect(),
        ));
    }
    if let (Some(gateway), prefix) = (asked.given.gateway, asked.given.prefix) {
        let bridge = bridge(want);
        let mut args: Map = [("name", bridge.as_str())].into_iter().collect();
        args.insert("address", format!("{gateway}/{prefix}"));
        args.insert("nat", true);
        chunks.push(Chunk::new(format!("lxc: bridge {bridge}"), "lxc.bridge_present", args));
    }
    chunks
}

/// Builds the base system where it is built, and brings it.
fn image(asked: &Asked<'_>, at: &Place) -> Vec<Step> {
    let Some(image) = asked.want.built.as_ref().filter(|_| asked.have.is_none()) else { return vec![] };
    let mut args = image.args.clone();
    args.insert("name", image.name.as_str());
    let to_bases = text(asked.want, "bases");
    let from_bases = if image.node == asked.node.id { to_bases.clone() } else { image.bases.clone() };
    args.0.extend(from_bases.as_ref().map(|bases| ("bases".into(), bases.as_str().into())));
    let from = Place::Minion(image.node.clone());
    let build = Chunk::new(format!("lxc: image {}", image.name), "lxc.base_present", args);
    let mut steps = vec![Step::Run { at: from.clone(), chunks: vec![build] }];
    if from != *at {
        let (to, name) = (at.clone(), image.name.clone());
        steps.push(Step::Image { from, to, name, from_bases, to_bases });
    }
    steps
}

fn bridge(want: &GuestSpec) -> String {
    text(want, "bridge").unwrap_or_else(|| BRIDGE.into())
}

/// The node's part first, then the guest.
fn present(asked: &Asked<'_>, at: Place, received: bool) -> GuestPlan {
    let want = asked.want;
    let mut chunks = node(asked);
    let mut args = named(want, &[]);
    pass(
        want,
        &mut args,
        &[
            ("base", "base"),
            ("template", "template"),
            ("template_options", "options"),
            ("snapshot_clone", "snapshot"),
            ("backing", "backing"),
            ("idmap", "idmap"),
            ("mounts", "mounts"),
            ("lxc_conf", "lxc_conf"),
            ("nameservers", "nameservers"),
            ("hostname", "hostname"),
            ("bases", "bases"),
        ],
    );
    // A base by its name alone is one that is there; the usual one is made where it is not.
    if args.str("base") == Some("default") && want.built.is_none() {
        args.remove("base");
    }
    if received {
        for other in ["base", "template", "options", "backing"] {
            args.remove(other);
        }
        args.insert("received", true);
    } else if let Some(origin) = &want.clone_from {
        for other in ["base", "template", "options"] {
            args.remove(other);
        }
        args.insert("clone_from", origin.as_str());
    } else if let Some(image) = &want.image {
        args.insert("image", image.as_str());
    } else if !args.contains("base") && !args.contains("template") {
        args.insert("base", [("name", "default")].into_iter().collect::<Map>());
    }
    if let (Some(ip), Some(gateway)) = (asked.given.ip, asked.given.gateway) {
        args.insert("address", format!("{ip}/{}", asked.given.prefix));
        args.insert("gateway", gateway.to_string());
        args.insert("bridge", bridge(want));
    }
    args.insert("mac", asked.given.mac.clone());
    if let Some(bytes) = want.memory {
        args.insert("memory", shown(bytes));
    }
    if let Some(millis) = want.cpu {
        args.insert("cpus", cores(millis));
    }
    if let Some(bytes) = want.disk {
        args.insert("disk", shown(bytes));
    }
    args.insert("autostart", want.autostart);
    args.insert("owner", "corpus");
    if !asked.keys.is_empty() {
        args.insert("authorized_keys", asked.keys.to_vec());
    }
    if let Some(given) = asked.given.ports.get("ssh") {
        args.insert("this_host", asked.node.address.as_str());
        args.insert("this_port", given.host.to_string());
    }
    args.0.retain(|_, value| !value.is_null());
    let running = want.status == Status::Running;
    args.insert("running", if running { Value::Bool(true) } else { Value::Null });
    let mut present = Chunk::new(format!("lxc: {}", want.id), "lxc.present", args);
    for before in &chunks {
        present = present.after(before);
    }
    chunks.push(present.clone());
    if !running {
        let fun = if want.status == Status::Frozen { "lxc.frozen" } else { "lxc.stopped" };
        chunks.push(Chunk::new(format!("lxc: {} {}", want.id, want.status), fun, named(want, &[])).after(&present));
    }
    let mut steps = if received { vec![] } else { image(asked, &at) };
    steps.push(Step::Run { at: at.clone(), chunks });
    if running && asked.given.ports.contains_key("ssh") && text(want, "reach").as_deref() != Some("hop") {
        let key = vec!["cat", "/etc/ssh/ssh_host_ed25519_key.pub"];
        let args = vec![want.id.as_str().into(), key.into()];
        steps.push(Step::HostKey { at, fun: "lxc.run_stdout".into(), args, kwargs: Map::new() });
    }
    GuestPlan { steps }
}

fn read(node: &str, id: &str, status: Status, info: &Value) -> Guest {
    let bytes = |key: &str| info.get(key).and_then(Value::as_int).and_then(|bytes| u64::try_from(bytes).ok());
    let said = |key: &str| info.get(key).filter(|value| !value.is_null()).map(python::str);
    let cpus = match info.get("cpus") {
        Some(Value::Float(cpus)) => Some(*cpus),
        Some(Value::Int(cpus)) => Some(*cpus as f64),
        _ => None,
    };
    let mut addresses: Vec<String> =
        said("address").map(|ip| ip.split('/').next().unwrap_or(&ip).to_owned()).into_iter().collect();
    for ip in info.get("ips").and_then(Value::as_list).unwrap_or_default() {
        let ip = python::str(ip);
        if !addresses.contains(&ip) {
            addresses.push(ip);
        }
    }
    let mut details = Map::new();
    for key in ["backing", "bridge", "gateway", "idmap", "owner", "path", "snapshot_comments"] {
        if let Some(value) = info.get(key).filter(|value| !value.is_null()) {
            details.insert(key, value.clone());
        }
    }
    Guest {
        id: id.to_owned(),
        driver: "lxc".into(),
        node: node.to_owned(),
        status,
        image: said("base"),
        memory: bytes("memory"),
        cpu: cpus.map(|cpus| (cpus * 1000.0).round() as u32),
        disk: bytes("disk"),
        autostart: info.get("autostart").and_then(Value::as_bool),
        addresses,
        mac: said("mac"),
        snapshots: info.get("snapshots").and_then(Value::as_list).unwrap_or_default().iter().map(python::str).collect(),
        details,
    }
}
