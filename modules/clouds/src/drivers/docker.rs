//! Docker containers on a compute node, by the states `docker_container.*` in the node's minion. A published port is the
//! node's NAT: the book says which.

use super::{ask, cores, function, named, one_state, pass, place, text};
use crate::driver::{Asked, Capabilities, DriverError, Field, GuestDriver, GuestPlan, Kind, Reach, Step, Verb};
use crate::hands::{Chunk, Hands, Place};
use crate::spec::{Guest, GuestSpec, Isolation, Node, Status};
use corpus_core::{Call, Map, Value, python};

/// The driver.
pub struct Docker;

/// The label by which a container is known to be ours.
pub const OWNER: &str = "corpus.owner";

const FIELDS: &[Field] = &[
    Field { name: "command", kind: Kind::Any, doc: "What it runs, as text or a list." },
    Field { name: "entrypoint", kind: Kind::Any, doc: "Its entry point." },
    Field { name: "environment", kind: Kind::Any, doc: "Variables of its environment." },
    Field { name: "binds", kind: Kind::List, doc: "Folders of the node and volumes inside: `source:target[:ro]`." },
    Field { name: "networks", kind: Kind::List, doc: "Docker networks." },
    Field { name: "network_mode", kind: Kind::Text, doc: "`bridge`, `host`, `none` or a network." },
    Field { name: "hostname", kind: Kind::Text, doc: "Its host name; the id otherwise." },
    Field { name: "restart_policy", kind: Kind::Text, doc: "`always`, `unless-stopped`, `on-failure:5`, `no`." },
    Field { name: "healthcheck", kind: Kind::Map, doc: "`test`, `interval`, `timeout`, `retries`." },
    Field { name: "labels", kind: Kind::Map, doc: "Labels beside the mark of ownership." },
    Field { name: "cap_add", kind: Kind::List, doc: "Capabilities beside Docker's." },
    Field { name: "cap_drop", kind: Kind::List, doc: "Capabilities to take away." },
    Field { name: "security_opt", kind: Kind::List, doc: "Docker's security options." },
    Field { name: "tmpfs", kind: Kind::Any, doc: "Folders in memory." },
    Field { name: "dns", kind: Kind::List, doc: "Name servers inside." },
    Field { name: "extra_hosts", kind: Kind::Any, doc: "Further lines of /etc/hosts inside." },
    Field { name: "user", kind: Kind::Text, doc: "Who runs the command inside." },
    Field { name: "working_dir", kind: Kind::Text, doc: "Where it runs." },
    Field {
        name: "url",
        kind: Kind::Text,
        doc: "Docker's socket, for `docker exec` on the node; for all else it is the node's setting `docker.url`.",
    },
    Field { name: "reach", kind: Kind::Text, doc: "`hop`: docker exec on the node; `port`: SSH that runs inside." },
];

impl GuestDriver for Docker {
    fn kind(&self) -> &'static str {
        "docker"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            isolation: Isolation::Container,
            verbs: &[
                "create", "start", "stop", "restart", "freeze", "destroy", "snapshot", "clone", "move", "resize",
                "exec",
            ],
            not: &[(
                "restore",
                "a container is made anew from the image that `snapshot` committed: declare it as `image`",
            )],
            allocates: false,
        }
    }

    fn schema(&self) -> &'static [Field] {
        FIELDS
    }

    fn inspect(&self, node: &Node, known: &[String], hands: &dyn Hands) -> Result<Vec<Guest>, DriverError> {
        let _ = known;
        let at = Place::Minion(node.id.clone());
        let mut call = Call::new("docker.ps", vec![]);
        for key in ["all", "verbose"] {
            call.kwargs.insert(key, true);
        }
        let listed = hands.call(&at, &call)?;
        let mut guests: Vec<Guest> =
            listed.as_map().into_iter().flatten().filter_map(|(_, found)| read(&node.id, found)).collect();
        guests.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(guests)
    }

    fn plan(&self, verb: &Verb, asked: &Asked<'_>) -> Result<GuestPlan, DriverError> {
        self.capabilities().allow(self.kind(), verb)?;
        let at = place(asked);
        let want = asked.want;
        match verb {
            Verb::Present | Verb::Clone { .. } => present(asked, at.clone()),
            Verb::Move { from } => moved(asked, at.clone(), from),
            Verb::Start => function(asked, "docker.start", &[]),
            Verb::Restart => function(asked, "docker.restart", &[]),
            Verb::Stop { kill: true } => function(asked, "docker.kill", &[]),
            Verb::Stop { kill: false } => one_state(asked, stopped(want)),
            Verb::Freeze => function(asked, "docker.pause", &[]),
            Verb::Destroy => {
                let args = named(want, &[("force", true.into())]);
                one_state(asked, Chunk::new(format!("docker: {}", want.id), "docker_container.absent", args))
            }
            Verb::Snapshot { name: to } => {
                let repository = format!("corpus/{}", want.id);
                function(asked, "docker.commit", &[("repository", repository.into()), ("tag", to.as_str().into())])
            }
            Verb::Resize { disk: Some(_), .. } => Err(DriverError::Refused(format!(
                "the disk of {} cannot be resized: a container's layer has no size of its own; give it a volume",
                want.id
            ))),
            Verb::Resize { memory, cpu, .. } => {
                let mut args = vec![];
                args.extend(memory.map(|bytes| ("memory", bytes.into())));
                args.extend(cpu.map(|millis| ("cpus", cores(millis))));
                function(asked, "docker.update", &args)
            }
            Verb::Exec { argv } => ask(asked, "docker.run_all", argv),
            Verb::Restore { .. } => Err(DriverError::Refused("docker cannot restore".into())),
        }
    }

    fn reach(&self, asked: &Asked<'_>) -> Reach {
        match asked.given.ports.get("ssh") {
            Some(given) if text(asked.want, "reach").as_deref() == Some("port") => {
                Reach::Port { host: asked.node.address.clone(), port: given.host }
            }
            _ if asked.node.id == crate::fleet::LOCAL => Reach::None(
                "its node is this machine, which is not reached by SSH; `corpus guest.exec` runs commands in it".into(),
            ),
            _ => {
                let mut argv = vec!["docker".to_owned()];
                if let Some(url) = text(asked.want, "url") {
                    argv.extend(["-H".to_owned(), url]);
                }
                argv.extend(["exec", "-i", "-u", "0", &asked.want.id].map(str::to_owned));
                Reach::Hop { node: asked.node.id.clone(), argv }
            }
        }
    }

    fn login(&self, want: &GuestSpec, key: Option<&str>) -> Map {
        // Of a hop the node's entry says who logs in.
        match (text(want, "reach").as_deref(), key) {
            (Some("port"), Some(key)) => [("user", "root"), ("priv", key)].into_iter().collect(),
            _ => Map::new(),
        }
    }
}

fn stopped(want: &GuestSpec) -> Chunk {
    Chunk::new(format!("docker: {} stopped", want.id), "docker_container.stopped", named(want, &[]))
}

/// A container is its image and what is declared: it is made anew, unless there is more of it.
fn moved(asked: &Asked<'_>, at: Place, from: &str) -> Result<GuestPlan, DriverError> {
    if asked.want.options.contains("binds") {
        return Err(DriverError::Refused(format!(
            "the data of {id} (`binds`) would stay on {from}: bring them over, end it there (`corpus guest.destroy {id}`), \
             and it is made anew where it is declared",
            id = asked.want.id,
        )));
    }
    present(asked, at)
}

fn present(asked: &Asked<'_>, at: Place) -> Result<GuestPlan, DriverError> {
    let want = asked.want;
    let Some(image) = &want.image else {
        return Err(DriverError::Declaration(format!("{}: a docker guest needs an `image`", want.id)));
    };
    if want.disk.is_some() {
        return Err(DriverError::Declaration(format!(
            "{}: a docker guest has no `disk` of its own; give it a volume by `binds`",
            want.id
        )));
    }
    let mut args = named(want, &[]);
    args.insert("image", image.as_str());
    const SAME: &[&str] = &[
        "command",
        "entrypoint",
        "environment",
        "binds",
        "networks",
        "network_mode",
        "hostname",
        "restart_policy",
        "healthcheck",
        "cap_add",
        "cap_drop",
        "security_opt",
        "tmpfs",
        "dns",
        "extra_hosts",
        "user",
        "working_dir",
    ];
    let same: Vec<(&str, &str)> = SAME.iter().map(|key| (*key, *key)).collect();
    pass(want, &mut args, &same);
    if !args.contains("restart_policy") && want.autostart {
        args.insert("restart_policy", "unless-stopped");
    }
    if let Some(bytes) = want.memory {
        args.insert("memory", bytes);
    }
    if let Some(millis) = want.cpu {
        args.insert("cpus", cores(millis));
    }
    let mut bindings = vec![];
    for given in asked.given.ports.values() {
        for protocol in &given.protocols {
            for step in 0..given.count {
                bindings.push(format!("{}:{}/{}", given.host + step, given.port + step, protocol.word()));
            }
        }
    }
    if !bindings.is_empty() {
        args.insert("port_bindings", bindings);
    }
    let mut labels = want.options.get("labels").and_then(Value::as_map).cloned().unwrap_or_default();
    labels.insert(OWNER, "corpus");
    args.insert("labels", labels);
    let running = want.status == Status::Running;
    args.insert("start", running);
    let present = Chunk::new(format!("docker: {}", want.id), "docker_container.running", args);
    let mut chunks = vec![present.clone()];
    if !running {
        chunks.push(stopped(want).after(&present));
    }
    Ok(GuestPlan { steps: vec![Step::Run { at, chunks }] })
}

/// Reads a container as `docker.ps` with `verbose` tells it: the listing's keys, and below them those of its inspection.
fn read(node: &str, found: &Value) -> Option<Guest> {
    let info = found.get("Info").unwrap_or(found);
    let names =
        found.get("Names").and_then(Value::as_list).map(|names| names.iter().map(python::str).collect::<Vec<_>>());
    let id = info
        .get("Name")
        .map(python::str)
        .or_else(|| names.and_then(|names| names.first().cloned()))
        .map(|name| name.trim_start_matches('/').to_owned())?;
    let status =
        found.get("State").filter(|state| state.as_str().is_some()).or_else(|| info.traverse("State:Status", ":"));
    let number = |path: &str| {
        let found = info.traverse(path, ":").and_then(Value::as_int);
        found.and_then(|n| u64::try_from(n).ok()).filter(|n| *n > 0)
    };
    let policy = info.traverse("HostConfig:RestartPolicy:Name", ":").map(python::str);
    let mut details = Map::new();
    for (key, path) in [("labels", "Config:Labels"), ("health", "State:Health:Status")] {
        if let Some(value) = info.traverse(path, ":").filter(|value| value.truthy()) {
            details.insert(key, value.clone());
        }
    }
    if let Some(owner) = found.get("Labels").or_else(|| info.traverse("Config:Labels", ":")).and_then(|l| l.get(OWNER))
    {
        details.insert("owner", owner.clone());
    }
    let mut addresses = vec![];
    for (_, network) in info.traverse("NetworkSettings:Networks", ":").and_then(Value::as_map).into_iter().flatten() {
        addresses.extend(network.get("IPAddress").map(python::str).filter(|ip| !ip.is_empty()));
    }
    Some(Guest {
        id,
        driver: "docker".into(),
        node: node.to_owned(),
        status: status.map_or(Status::Stopped, |word| Status::of(&python::str(word))),
        image: found.get("Image").or_else(|| info.traverse("Config:Image", ":")).map(python::str),
        memory: number("HostConfig:Memory"),
        cpu: number("HostConfig:NanoCpus").and_then(|nano| u32::try_from(nano / 1_000_000).ok()),
        disk: None,
        autostart: policy.map(|policy| !policy.is_empty() && policy != "no"),
        addresses,
        mac: None,
        snapshots: vec![],
        details,
    })
}
