//! From layers of keys to a typed guest.

use super::source::{Item, Layers, Source};
use super::{COMMON, IDLE, Read};
use crate::drivers::{Drivers, check_options};
use crate::spec::{self, GuestSpec, Password, Port, Protocol, Status};
use corpus_core::{Diagnostic, Map, Pos, Value, python, suggest};

/// What Docker users write to wire a port to a container.
const WIRED: &[&str] = &["port_bindings", "ports_bindings", "publish", "publish_all_ports", "expose"];
const TWO_WAYS: &str =
    "no port is wired directly to a guest: the node maps its `ports`, the proxy serves its `domains`";

/// Where a guest was declared.
pub struct At<'a> {
    pub source: &'a Source,
    pub pos: Pos,
}

/// Builds a guest of all that was said of it.
pub fn guest(id: &str, mut layers: Layers, drivers: &Drivers, at: &At<'_>) -> Read<GuestSpec> {
    let mut wrong = vec![];
    let here = |message: String| at.source.wrong(at.pos, message);
    if let Err(why) = spec::check_id(id) {
        wrong.push(here(why));
    }
    let mut want = GuestSpec {
        id: id.to_owned(),
        autostart: true,
        place: at.source.span(at.pos).to_string(),
        ..GuestSpec::default()
    };
    let driver = layers.take("driver");
    want.driver = match &driver {
        Some(driver) => python::str(&driver.value),
        None => return Err(vec![here(format!("{id}: no driver is named; a provider names one"))]),
    };
    let provider = layers.take("provider").map(|item| python::str(&item.value));
    layers.take("profile");
    // The two words for the node: Salt's and ours.
    let node = [layers.take("node"), layers.take("target")].into_iter().flatten().next();
    let driver = match drivers.get(&want.driver) {
        Ok(known) => known,
        Err(error) => {
            return Err(vec![driver.map_or_else(|| here(error.to_string()), |item| item.wrong(error.to_string()))]);
        }
    };
    // What is idle elsewhere may mean something to a driver: `ssh_interface` to ec2, whose `size` is no disk's.
    let own = |key: &str| driver.schema().iter().any(|field| field.name == key);
    for key in IDLE.iter().filter(|key| !own(key)) {
        layers.take(key);
    }
    let on_node = ["lxc", "docker"].contains(&driver.kind());
    want.node = match node {
        Some(item) => python::str(&item.value),
        None if on_node => {
            wrong.push(
                here(format!("{id}: a guest of the driver `{}` needs a `node`", driver.kind()))
                    .hint("name the compute node's minion id: `node: NODE` in the provider, the profile or the map"),
            );
            String::new()
        }
        None => provider.unwrap_or_else(|| driver.kind().to_owned()),
    };
    let mut read = Reader { wrong: &mut wrong };
    want.image = layers.take("image").map(|item| python::str(&item.value));
    want.clone_from = layers.take("clone_from").map(|item| python::str(&item.value));
    want.memory = read.of(layers.take("memory"), spec::size);
    if !own("size") {
        want.disk = read.of(layers.take("size"), spec::disk);
    }
    if let Some(disk) = read.of(layers.take("disk"), spec::disk) {
        want.disk = Some(disk);
    }
    for key in ["cpus", "cpu"] {
        want.cpu = read.of(layers.take(key), cpu).or(want.cpu);
    }
    if let Some(autostart) = layers.take("autostart") {
        want.autostart = autostart.value.truthy();
    }
    if let Some(status) = read.of(layers.take("status"), status) {
        want.status = status;
    }
    want.ports = read.of(layers.take("ports"), ports).unwrap_or_default();
    if driver.kind() == "lxc" && !want.ports.iter().any(|port| port.name == "ssh") {
        want.ports.insert(0, Port::ssh());
    }
    want.domains = vec![id.to_owned()];
    for domain in read.of(layers.take("domains"), words).unwrap_or_default() {
        if !want.domains.contains(&domain) {
            want.domains.push(domain);
        }
    }
    want.root_password = read.of(layers.take("root_password"), password).flatten();
    want.base = read.of(layers.take("base_sls"), words).unwrap_or_default();
    let minion = [("minion", "minion_opts"), ("grains", "grains")];
    let minion: Vec<(&str, Item)> = minion.into_iter().filter_map(|(key, to)| Some((to, layers.take(key)?))).collect();
    for (to, item) in minion {
        match item.value.as_map() {
            Some(map) => _ = want.roster.insert(to, map.clone()),
            None => wrong.push(item.wrong(format!("`{to}` must be a mapping, found {}", item.value.type_name()))),
        }
    }
    want.default_env = layers.take("default_env").map(|item| python::str(&item.value));
    want.pillar = read_pillar(layers.take("pillar"), &mut wrong);
    want.options = layers.0.iter().map(|(key, item)| (key.as_str(), item.value.clone())).collect();
    want.options.0.retain(|_, value| !value.is_null());
    for (key, why) in check_options(driver, &want.options) {
        let error = layers.get(&key).map_or_else(|| here(why.clone()), |item| item.wrong(why.clone()));
        wrong.push(match suggest::nearest(&key, COMMON.iter().copied()) {
            _ if WIRED.contains(&key.as_str()) => error.hint(TWO_WAYS),
            Some(near) if !why.contains("did you mean") => error.hint(format!("did you mean `{near}`?")),
            _ => error,
        });
    }
    if let Some(item) = layers.get("network_mode").filter(|item| item.value.as_str() == Some("host")) {
        wrong.push(item.wrong("the network of the node would wire every port to the guest").hint(TWO_WAYS));
    }
    for key in ["password", "sudo_password"] {
        if let Some(secret) = want.options.get(key).map(python::str) {
            corpus_core::secret::keep(vec![secret]);
        }
    }
    if wrong.is_empty() { Ok(want) } else { Err(wrong) }
}

fn read_pillar(item: Option<Item>, wrong: &mut Vec<Diagnostic>) -> Map {
    let Some(item) = item else { return Map::new() };
    let Some(map) = item.value.as_map() else {
        wrong.push(item.wrong(format!("`pillar` must be a mapping, found {}", item.value.type_name())));
        return Map::new();
    };
    map.clone()
}

struct Reader<'a> {
    wrong: &'a mut Vec<Diagnostic>,
}

impl Reader<'_> {
    fn of<T>(&mut self, item: Option<Item>, read: impl FnOnce(&Value) -> Result<T, String>) -> Option<T> {
        let item = item?;
        match read(&item.value) {
            Ok(value) => Some(value),
            Err(why) => {
                self.wrong.push(item.wrong(why));
                None
            }
        }
    }
}

/// Reads processors: `2`, `0.5`.
pub fn cpu(value: &Value) -> Result<u32, String> {
    let text = python::str(value);
    match text.trim().parse::<f64>() {
        Ok(cores) if cores > 0.0 && cores <= 4096.0 => Ok((cores * 1000.0).round() as u32),
        _ => Err(format!("`{text}` is no number of processors; write `2` or `0.5`")),
    }
}

fn status(value: &Value) -> Result<Status, String> {
    match value.as_str() {
        Some("running") => Ok(Status::Running),
        Some("stopped") => Ok(Status::Stopped),
        Some("frozen") => Ok(Status::Frozen),
        _ => Err(format!("`status` is running, stopped or frozen, not {}", python::repr(value))),
    }
}

fn password(value: &Value) -> Result<Option<Password>, String> {
    match (value, value.as_str()) {
        (Value::Null | Value::Bool(false), _) => Ok(None),
        (Value::Bool(true), _) => Ok(Some(Password::Generated)),
        (_, Some(hash)) if hash.starts_with('$') && !hash.contains([':', '\n']) => {
            Ok(Some(Password::Hash(hash.into())))
        }
        _ => Err("`root_password` is true (one is made and kept: `corpus guest.password`) or a hash, as `mkpasswd -m \
                  sha-512` writes it"
            .into()),
    }
}

fn words(value: &Value) -> Result<Vec<String>, String> {
    match value {
        Value::List(items) => Ok(items.iter().map(python::str).collect()),
        Value::Str(text) => Ok(text.split([',', ' ']).filter(|word| !word.is_empty()).map(str::to_owned).collect()),
        other => Err(format!("expected a list of names, found {}", other.type_name())),
    }
}

/// Reads ports: the original's list of mappings, or a mapping of names to ports.
pub fn ports(value: &Value) -> Result<Vec<Port>, String> {
    let mut all: Vec<Port> = vec![];
    match value {
        Value::Map(map) => {
            for (name, inside) in &**map {
                let said = match inside {
                    Value::Map(said) => (**said).clone(),
                    number => [("port", number.clone())].into_iter().collect(),
                };
                all.push(port(&python::str(name), &said)?);
            }
        }
        Value::List(items) => {
            for item in &**items {
                let said = item.as_map().ok_or_else(|| format!("a port is a mapping, found {}", python::repr(item)))?;
                let name = said.get("name").map(python::str).ok_or("a port has no `name`")?;
                all.push(port(&name, said)?);
            }
        }
        other => {
            return Err(format!("`ports` is a list of mappings, or a mapping of names, not {}", other.type_name()));
        }
    }
    for (at, port) in all.iter().enumerate() {
        if all[..at].iter().any(|other| other.name == port.name) {
            return Err(format!("the port `{}` is declared twice", port.name));
        }
    }
    Ok(all)
}

fn port(name: &str, said: &Map) -> Result<Port, String> {
    const KEYS: &[&str] = &["name", "port", "protocol", "hostPort", "host_port", "count", "portRange", "hostPortRange"];
    for key in said.keys().map(python::str) {
        if !KEYS.contains(&key.as_str()) {
            let hint =
                suggest::did_you_mean(&key, KEYS.iter().copied()).map_or(String::new(), |hint| format!("; {hint}"));
            return Err(format!("the port `{name}` has an unknown key `{key}`{hint}"));
        }
    }
    let number = |key: &str| match said.get(key).filter(|value| !value.is_null()) {
        None => Ok(None),
        Some(value) => match python::str(value).parse::<u16>() {
            Ok(port) if port > 0 => Ok(Some(port)),
            _ => Err(format!("the port `{name}`: `{key}` must be from 1 to 65535, found {}", python::repr(value))),
        },
    };
    let range = |key: &str| match said.get(key).filter(|value| !value.is_null()).map(python::str) {
        None => Ok(None),
        Some(text) => {
            let ends = text.split_once(':').and_then(|(a, b)| Some((a.parse::<u16>().ok()?, b.parse::<u16>().ok()?)));
            ends.filter(|(a, b)| *a > 0 && a <= b)
                .map(Some)
                .ok_or_else(|| format!("the port `{name}`: `{key}` must be `first:last`, found `{text}`"))
        }
    };
    let protocols = match said.get("protocol") {
        None | Some(Value::Null) => vec![Protocol::Tcp],
        Some(Value::List(items)) => items.iter().map(protocol).collect::<Result<_, _>>()?,
        Some(one) => vec![protocol(one)?],
    };
    let host = number("hostPort")?.or(number("host_port")?);
    match (number("port")?, range("portRange")?) {
        (Some(inside), None) => {
            let count = number("count")?.unwrap_or(1);
            if u32::from(inside) + u32::from(count) > 65_536 {
                return Err(format!("the port `{name}`: {count} ports from {inside} on leave the range"));
            }
            Ok(Port { name: name.into(), port: inside, count, host, protocols })
        }
        (None, Some((first, last))) => {
            // The original: without another range outside, the same.
            let (outside, end) = range("hostPortRange")?.unwrap_or((first, last));
            if end - outside != last - first {
                return Err(format!("the port `{name}`: `portRange` and `hostPortRange` are not of one length"));
            }
            Ok(Port { name: name.into(), port: first, count: last - first + 1, host: Some(outside), protocols })
        }
        _ => Err(format!("the port `{name}`: either `port` or `portRange` must be there")),
    }
}

fn protocol(value: &Value) -> Result<Protocol, String> {
    match value.as_str() {
        Some("tcp") => Ok(Protocol::Tcp),
        Some("udp") => Ok(Protocol::Udp),
        _ => Err(format!("a protocol is tcp or udp, not {}", python::repr(value))),
    }
}
