//! Containers: made, replaced, started, stopped, removed; in Salt's form.

use super::client::{Docker, escaped};
use super::{body, compare, image};
use corpus_core::{ExecError, Map, Value, python};

/// Stands behind the name of a container that is about to take another's place.
const NEXT: &str = ".corpus-next";

/// What of `docker.create` is no argument of the API.
const OWN: &[&str] = &[
    "name",
    "image",
    "start",
    "networks",
    "url",
    "skip_translate",
    "ignore_collisions",
    "validate_ip_addrs",
    "client_timeout",
    "detach",
    "bg",
    "replace",
    "force",
    "shutdown_timeout",
];

/// Describes a container; `None` if there is none.
pub fn find(docker: &Docker, name: &str) -> Result<Option<Value>, ExecError> {
    docker.find(&format!("/containers/{}/json", escaped(name)))
}

/// Describes a container that must be there.
pub fn inspect(docker: &Docker, name: &str) -> Result<Value, ExecError> {
    docker.get(&format!("/containers/{}/json", escaped(name)))
}

/// Returns Salt's word for the state of a container.
pub fn state(container: &Value) -> &'static str {
    let is = |key: &str| container.get("State").and_then(|state| state.get(key)).is_some_and(Value::truthy);
    match () {
        () if is("Paused") => "paused",
        () if is("Running") => "running",
        () => "stopped",
    }
}

/// Lists containers, as the API does.
pub fn all(docker: &Docker, stopped: bool, filters: Option<&Value>) -> Result<Vec<Value>, ExecError> {
    let mut path = format!("/containers/json?all={}", u8::from(stopped));
    if let Some(filters) = filters.filter(|filters| filters.truthy()) {
        path += &format!("&filters={}", escaped(&self::filters(filters)));
    }
    Ok(docker.get(&path)?.as_list().unwrap_or_default().to_vec())
}

/// Writes filters as the API reads them: lists of texts.
pub fn filters(filters: &Value) -> String {
    let mut out = Map::new();
    for (key, value) in filters.as_map().into_iter().flatten() {
        out.insert(key.clone(), crate::fns::lvm::listed(Some(value)));
    }
    serde_json::to_string(&Value::from(out)).unwrap_or_default()
}

/// Returns the names of a container of a list.
pub fn names(container: &Value) -> Vec<String> {
    let names = container.get("Names").and_then(Value::as_list).unwrap_or_default();
    names.iter().map(|name| python::str(name).trim_start_matches('/').to_owned()).collect()
}

/// Reads networks: a name, a list of names or of mappings with options, or a mapping.
pub fn networks(value: &Value) -> Result<Map, ExecError> {
    let mut out = Map::new();
    let mut put = |name: String, options: &Value| {
        let mut all = Map::new();
        match options {
            Value::Map(map) => all = (**map).clone(),
            Value::List(items) => items.iter().filter_map(Value::as_map).for_each(|map| all.0.extend(map.0.clone())),
            Value::Null => {}
            _ => {
                return Err(ExecError::failed(format!(
                    "Invalid configuration for network '{name}' (see documentation)"
                )));
            }
        }
        out.insert(name, all);
        Ok(())
    };
    match value {
        Value::Map(map) => {
            for (name, options) in &**map {
                put(python::str(name), options)?;
            }
        }
        Value::List(items) => {
            for item in &**items {
                match item {
                    Value::Map(map) => {
                        for (name, options) in &**map {
                            put(python::str(name), options)?;
                        }
                    }
                    name => put(python::str(name), &Value::Null)?,
                }
            }
        }
        text => {
            for name in crate::fns::lvm::listed(Some(text)) {
                put(name, &Value::Null)?;
            }
        }
    }
    Ok(out)
}

/// What is asked for.
pub struct Wanted {
    pub image: String,
    pub config: Map,
    pub host: Map,
    /// `None`: networks are not managed.
    pub networks: Option<Map>,
}

/// Reads the arguments of `docker.create`.
pub fn read(image: &str, args: &Map) -> Result<Wanted, ExecError> {
    let own = |key: &Value| key.as_str().is_some_and(|key| OWN.contains(&key));
    let rest: Map = args.iter().filter(|(key, _)| !own(key)).map(|(k, v)| (k.clone(), v.clone())).collect();
    let (config, host) = body::wanted(&rest)?;
    let networks = args.get("networks").filter(|value| !value.is_null()).map(networks).transpose()?;
    Ok(Wanted { image: image.into(), config, host, networks })
}

/// Makes a container; it is plugged into its networks, and removed again if that fails.
pub fn create(docker: &Docker, name: Option<&str>, wanted: &Wanted) -> Result<Map, ExecError> {
    let start = std::time::Instant::now();
    let mut body = wanted.config.clone();
    body.insert("Image", wanted.image.as_str());
    body.insert("HostConfig", wanted.host.clone());
    let query = name.map(|name| format!("?name={}", escaped(name))).unwrap_or_default();
    let made = docker.post(&format!("/containers/create{query}"), Some(body.into()))?;
    let id = made.get("Id").map(python::str).unwrap_or_default();
    if let Err(error) = plug(docker, &id, wanted) {
        let _ = remove(docker, &id, true, true);
        return Err(error);
    }
    let real = inspect(docker, &id)?.get("Name").map(python::str).unwrap_or_default();
    let warnings = made.get("Warnings").cloned().filter(Value::truthy).unwrap_or_else(|| Vec::<Value>::new().into());
    Ok([
        ("Id", Value::from(id)),
        ("Warnings", warnings),
        ("Name", real.trim_start_matches('/').into()),
        ("Time_Elapsed", start.elapsed().as_secs_f64().into()),
    ]
    .into_iter()
    .collect())
}

/// Plugs a container into its networks, and out of those that are not its own.
pub fn plug(docker: &Docker, id: &str, wanted: &Wanted) -> Result<(), ExecError> {
    let Some(networks) = &wanted.networks else { return Ok(()) };
    let differ = compare::networks(Some(&inspect(docker, id)?), networks);
    for name in differ.keys().map(python::str) {
        let declared = networks.get(&name);
        let now = inspect(docker, id)?;
        let plugged = now.get("NetworkSettings").and_then(|all| all.get("Networks")?.get(&name)).is_some();
        if plugged {
            unplug(docker, id, &name)?;
        }
        if let Some(options) = declared {
            connect(docker, id, &name, options)?;
        }
    }
    Ok(())
}

/// Plugs a container into a network.
pub fn connect(docker: &Docker, id: &str, network: &str, options: &Value) -> Result<(), ExecError> {
    let mut ipam = Map::new();
    for (key, api) in [("ipv4_address", "IPv4Address"), ("ipv6_address", "IPv6Address")] {
        if let Some(address) = options.get(key).filter(|value| value.truthy()) {
            ipam.insert(api, python::str(address));
        }
    }
    let mut endpoint = Map::new();
    if !ipam.is_empty() {
        endpoint.insert("IPAMConfig", ipam);
    }
    for (key, api) in [("aliases", "Aliases"), ("links", "Links")] {
        let words = crate::fns::lvm::listed(options.get(key));
        if !words.is_empty() {
            endpoint.insert(api, words);
        }
    }
    let body: Map = [("Container", Value::from(id)), ("EndpointConfig", endpoint.into())].into_iter().collect();
    docker.post(&format!("/networks/{}/connect", escaped(network)), Some(body.into())).map(|_| ())
}

/// Plugs a container out of a network.
pub fn unplug(docker: &Docker, id: &str, network: &str) -> Result<(), ExecError> {
    let body: Map = [("Container", Value::from(id)), ("Force", true.into())].into_iter().collect();
    docker.post(&format!("/networks/{}/disconnect", escaped(network)), Some(body.into())).map(|_| ())
}

/// Makes a container in the place of one of its name: made and plugged first, so that what cannot be made costs
/// nothing. What a killed replacement left is cleared away.
pub fn replace(docker: &Docker, name: &str, wanted: &Wanted, timeout: Option<i64>) -> Result<Map, ExecError> {
    let next = format!("{name}{NEXT}");
    if find(docker, &next)?.is_some() {
        remove(docker, &next, true, true)?;
    }
    let Some(old) = find(docker, name)? else { return create(docker, Some(name), wanted) };
    let mut made = create(docker, Some(&next), wanted)?;
    if state(&old) != "stopped" {
        change(docker, name, "stop", "stopped", timeout)?;
    }
    // One that removes itself is gone by now.
    if find(docker, name)?.is_some() {
        remove(docker, name, true, false)?;
    }
    docker.post(&format!("/containers/{}/rename?name={}", escaped(&next), escaped(name)), None)?;
    made.insert("Name", name);
    made.insert("removed", vec![old.get("Id").cloned().unwrap_or_default()]);
    Ok(made)
}

/// Removes a container.
pub fn remove(docker: &Docker, name: &str, force: bool, volumes: bool) -> Result<(), ExecError> {
    let path = format!("/containers/{}?force={}&v={}", escaped(name), u8::from(force), u8::from(volumes));
    docker.delete(&path).map(|_| ())
}

/// Changes the state of a container; Salt's answer: nothing to do is `result: false` with a comment.
pub fn change(docker: &Docker, name: &str, verb: &str, wanted: &str, timeout: Option<i64>) -> Result<Map, ExecError> {
    let old = state(&inspect(docker, name)?);
    let states = |old: &str, new: Value| -> Map { [("old", Value::from(old)), ("new", new)].into_iter().collect() };
    if verb != "restart" && old == wanted {
        let comment = format!("Container '{name}' already {wanted}");
        return Ok([
            ("result", Value::Bool(false)),
            ("state", states(old, wanted.into()).into()),
            ("comment", comment.into()),
        ]
        .into_iter()
        .collect());
    }
    let query = timeout.map(|seconds| format!("?t={seconds}")).unwrap_or_default();
    docker.post_slow(&format!("/containers/{}/{verb}{query}", escaped(name)), None)?;
    let new = find(docker, name)?.map(|container| state(&container));
    Ok([("result", Value::Bool(new == Some(wanted))), ("state", states(old, new.into()).into())].into_iter().collect())
}

/// Returns what differs between a container and what is asked for; the image that it stands on included.
pub fn differences(docker: &Docker, container: &Value, wanted: &Wanted) -> Result<Map, ExecError> {
    let image = image::inspect(docker, &wanted.image)?;
    let mut out = compare::differences(container, &image, &wanted.config, &wanted.host);
    if let Some(networks) = &wanted.networks {
        let differ = compare::networks(Some(container), networks);
        if !differ.is_empty() {
            out.insert("Networks", differ);
        }
    }
    Ok(out)
}
