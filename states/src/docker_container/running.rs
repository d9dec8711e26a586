//! `docker_container.running`

use super::shared::{self, answers, ask, becomes, call, change, fact, find, rest, sentences};
use corpus_core::plan::{Observed, Settled};
use corpus_core::{Map, Plan, PlanCx, State, StateError, Value, python};
use corpus_exec::docker::container;
use serde::Deserialize;

/// Keeps a container of an image, with its configuration, running. What differs from the declaration cannot be changed
/// in a container: it is replaced by another, once that one could be made. An image that is not there is pulled.
///
/// Beside the arguments below it takes those of `docker run` and Salt's names for them: `command`, `entrypoint`,
/// `environment`, `user`, `working_dir`, `hostname`, `labels`, `port_bindings` (`publish`), `ports`, `publish_all_ports`,
/// `binds`, `volumes`, `volumes_from`, `tmpfs`, `devices`, `mem_limit` (`memory`), `memswap_limit`, `cpus`, `cpu_shares`,
/// `cpuset_cpus`, `pids_limit`, `ulimits`, `sysctls`, `restart_policy`, `network_mode`, `links`, `dns`, `dns_search`,
/// `extra_hosts`, `cap_add`, `cap_drop`, `privileged`, `security_opt`, `read_only`, `log_driver`, `log_opt`, `init`, `tty`,
/// `stdin_open`, `stop_signal`, `stop_timeout`, `auto_remove`, `healthcheck` and more. One that nobody knows is refused.
///
/// ```sls
/// web:
///   docker_container.running:
///     - image: nginx:1.25
///     - publish: 127.0.0.1:8080:80
///     - binds: /srv/www:/usr/share/nginx/html:ro
///     - environment: {TZ: UTC}
///     - restart_policy: always
/// ```
#[derive(Deserialize)]
pub struct Running {
    /// The container.
    pub name: String,
    /// Its image: a name with its tag, or a number.
    pub image: Option<String>,
    /// Accepted for Salt's sake.
    pub skip_translate: Option<Value>,
    /// Accepted for Salt's sake.
    pub ignore_collisions: Option<Value>,
    /// Accepted for Salt's sake.
    pub validate_ip_addrs: Option<Value>,
    /// Replace it even if nothing differs.
    #[serde(default)]
    pub force: bool,
    /// What `watch` does: `force` replaces it, anything else is a signal to send.
    #[serde(default = "force")]
    pub watch_action: String,
    /// Start it if it does not run.
    #[serde(default = "yes")]
    pub start: bool,
    /// How many seconds it has to end before it is killed.
    pub shutdown_timeout: Option<i64>,
    /// Accepted for Salt's sake.
    pub client_timeout: Option<Value>,
    /// The networks that it is plugged into, and no others: names, or names with `ipv4_address`, `aliases`, `links`.
    pub networks: Option<Value>,
}

fn force() -> String {
    "force".into()
}

fn yes() -> bool {
    true
}

const OWN: &[&str] = &[
    "name",
    "image",
    "skip_translate",
    "ignore_collisions",
    "validate_ip_addrs",
    "force",
    "watch_action",
    "start",
    "shutdown_timeout",
    "client_timeout",
];

impl State for Running {
    const NAME: &'static str = "docker_container.running";
    const OPEN: bool = true;
    const WATCHES: bool = true;

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        self.keep(cx, self.force, None)
    }

    fn watch(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        match self.watch_action.as_str() {
            "force" => self.keep(cx, true, None),
            signal => self.keep(cx, false, Some(signal)),
        }
    }

    fn settle(&self, plan: &Plan, seen: &[Observed], cx: &PlanCx<'_>) -> Result<Settled, StateError> {
        let mut settled = Settled::as_planned(plan);
        let answers = answers(seen);
        for answer in &answers {
            if let Some(id) = answer.get("Id") {
                let mut ids = Map::new();
                if let Some(removed) = answer.get("removed") {
                    ids.insert("removed", removed.clone());
                }
                ids.insert("added", id.clone());
                settled.changes.insert("container_id", ids);
            }
        }
        addresses(cx, &self.name, &mut settled.changes)?;
        let Some(new) = answers.last().and_then(|last| last.get("state")?.get("new")) else { return Ok(settled) };
        if self.start && new.as_str() != Some("running") {
            settled.result = false;
            let joint = if settled.comment.ends_with('.') { " " } else { ". " };
            settled.comment += &format!("{joint}Container is not running.");
            if let Some(Value::Map(state)) = settled.changes.get("state") {
                let old = state.get("old").cloned().unwrap_or_default();
                let same = old == *new;
                if same {
                    settled.changes.remove("state");
                } else {
                    settled.changes.insert("state", change(old, new.clone()));
                }
            }
        }
        Ok(settled)
    }
}

impl Running {
    fn keep(&self, cx: &PlanCx<'_>, force: bool, signal: Option<&str>) -> Result<Plan, StateError> {
        let name = &self.name;
        let image = self.image.as_deref().filter(|image| !image.is_empty());
        let image = image.ok_or_else(|| StateError::failed("The 'image' argument is required"))?;
        let mut args = rest(cx, OWN);
        let wanted = container::read(image, &args)?;
        if let Some(networks) = &wanted.networks {
            need_networks(cx, networks)?;
            args.insert("networks", networks.clone());
        }
        let mut plan = Plan::default();
        let image_id = self.image_id(cx, image, &mut plan)?;
        let foreseen = cx.host.predicted(&fact("container", name));
        let have = match &foreseen {
            Some(known) => Some(known.clone()).filter(|known| !known.is_null()),
            None => find(cx, "docker.inspect_container", name)?,
        };
        let declared: Map = [("image", Value::from(image)), ("args", args.clone().into())].into_iter().collect();
        let Some(have) = have else { return Ok(self.create(plan, image, &args, declared, wanted.networks.as_ref())) };
        let is_foreseen = foreseen.is_some();
        let state = match is_foreseen {
            true => have.get("state").map(python::str).unwrap_or_default(),
            false => shared::state(&have).to_owned(),
        };
        let old_id = have.get("Image").cloned().unwrap_or_default();
        let newer = !is_foreseen && Some(&old_id) != image_id.as_ref();
        let mut differ = match (is_foreseen, newer || force) {
            (_, true) => Map::new(),
            (true, false) if have.get("declared") == Some(&declared.clone().into()) => Map::new(),
            (true, false) => {
                [("declaration", change(have.get("declared").cloned().unwrap_or_default(), declared.clone()))]
                    .into_iter()
                    .collect()
            }
            (false, false) => {
                let mut asked = args.clone();
                asked.insert("name", name.as_str());
                let found = ask(cx, "docker.differences", vec![image.into()], asked)?;
                found.and_then(|found| found.as_map().cloned()).unwrap_or_default()
            }
        };
        let only_networks = differ.len() == 1 && differ.contains("Networks");
        let (mut would, mut did) = (vec![], vec![]);
        let after = |state: &str| -> Map {
            [("state", Value::from(state)), ("declared", declared.clone().into())].into_iter().collect()
        };
        let mut ends = state.as_str();
        if force || newer || !differ.is_empty() && !only_networks {
            let mut kwargs = args.clone();
            kwargs.insert("name", name.as_str());
            if let Some(timeout) = self.shutdown_timeout {
                kwargs.insert("shutdown_timeout", timeout);
            }
            plan.push(call("replace", vec![image.into()], &kwargs), becomes("container", name, after("stopped")));
            would.push(format!("Container '{name}' would be replaced"));
            did.push(format!("Replaced container '{name}'"));
            ends = "stopped";
            if force {
                plan.changes.insert("forced_update", true);
                plan.repeats = true;
            }
        } else if only_networks {
            let networks = wanted.networks.clone().unwrap_or_default();
            let kwargs: Map = [("networks", networks)].into_iter().collect();
            plan.push(call("plug", vec![name.as_str().into()], &kwargs), becomes("container", name, after(&state)));
            let same = format!("Container '{name}' is already configured as specified");
            would.extend([same.clone(), "Network configuration would be updated".into()]);
            did.push(same);
            did.extend(plugged(differ.get("Networks"), &wanted.networks.clone().unwrap_or_default()));
        } else if let Some(signal) = signal {
            plan.push(call("signal", vec![name.as_str().into(), signal.into()], &Map::new()), vec![]);
            plan.changes.insert("signal", signal);
            would.push(format!("Signal {signal} would be sent to container"));
            did.push(format!("Sent signal {signal} to container"));
        } else {
            let same = format!("Container '{name}' is already configured as specified");
            plan.unchanged = same.clone();
            would.push(same.clone());
            did.push(same);
        }
        if !differ.is_empty() {
            plan.changes.insert("container", std::mem::take(&mut differ));
        }
        if self.start && ends != "running" {
            plan.push(
                call("start", vec![name.as_str().into()], &Map::new()),
                becomes("container", name, after("running")),
            );
            ends = "running";
            // Salt says so only where it looked at a container that does not run.
            if state != "running" && !force && !newer {
                would.push("Container would be started".into());
            }
        }
        if ends != state {
            plan.changes.insert("state", change(state.as_str(), ends));
            did.push(format!("State changed from '{state}' to '{ends}'"));
        }
        if newer {
            did.push("Container has a new image".into());
            let new = image_id.unwrap_or_else(|| image.into());
            plan.changes.insert("image", change(old_id, new));
        }
        Ok(plan.says(sentences(&would), sentences(&did)))
    }

    fn create(&self, mut plan: Plan, image: &str, args: &Map, declared: Map, networks: Option<&Map>) -> Plan {
        let name = &self.name;
        let after = |state: &str| -> Map {
            [("state", Value::from(state)), ("declared", declared.clone().into())].into_iter().collect()
        };
        let mut kwargs = args.clone();
        kwargs.insert("name", name.as_str());
        plan.push(call("create", vec![image.into()], &kwargs), becomes("container", name, after("stopped")));
        let mut state = "stopped";
        if self.start {
            state = "running";
            plan.push(call("start", vec![name.as_str().into()], &Map::new()), becomes("container", name, after(state)));
        }
        if let Some(networks) = networks.filter(|networks| !networks.is_empty()) {
            // Docker plugs a container into its own network unless it is told not to.
            let usual = r#"{"NetworkSettings": {"Networks": {"bridge": {}}}}"#;
            let differ = corpus_exec::docker::compare::networks(serde_json::from_str(usual).ok().as_ref(), networks);
            if !differ.is_empty() {
                plan.changes.insert("container", [("Networks", differ)].into_iter().collect::<Map>());
            }
        }
        plan.changes.insert("state", change(Value::Null, state));
        plan.says(format!("Container '{name}' would be created"), format!("Created container '{name}'"))
    }

    /// Returns the number of the image; one that is not there is pulled, and has none yet.
    fn image_id(&self, cx: &PlanCx<'_>, image: &str, plan: &mut Plan) -> Result<Option<Value>, StateError> {
        let key = fact("image", image);
        let there = match cx.host.predicted(&key) {
            Some(known) => Some(known).filter(Value::truthy),
            None => find(cx, "docker.resolve_image_id", image)?.filter(Value::truthy),
        };
        if there.is_none() {
            plan.push(call("pull", vec![image.into()], &Map::new()), becomes("image", image, true));
            plan.changes.insert("image", change(Value::Null, image));
        }
        Ok(there)
    }
}

/// Refuses networks that nobody made.
pub fn need_networks(cx: &PlanCx<'_>, wanted: &Map) -> Result<(), StateError> {
    if wanted.is_empty() {
        return Ok(());
    }
    let all = ask(cx, "docker.networks", vec![], Map::new())?.unwrap_or_default();
    let has = |name: &str| match cx.host.predicted(&fact("network", name)) {
        Some(known) => !known.is_null(),
        None => {
            all.as_list().unwrap_or_default().iter().any(|one| one.get("Name").and_then(Value::as_str) == Some(name))
        }
    };
    let mut missing: Vec<String> = wanted.keys().map(python::str).filter(|name| !has(name)).collect();
    missing.sort();
    if missing.is_empty() {
        return Ok(());
    }
    Err(StateError::missing(format!("The following networks are not present: {}", missing.join(", "))))
}

/// Tells what is done to the networks.
fn plugged(differ: Option<&Value>, wanted: &Map) -> Vec<String> {
    let networks = differ.and_then(Value::as_map).cloned().unwrap_or_default();
    let mut names: Vec<String> = networks.keys().map(python::str).collect();
    names.sort();
    let tell = |name: String| {
        let old = networks.get(&name).and_then(|change| change.get("IPConfiguration")?.get("old"));
        match (wanted.contains(&name), old.and_then(Value::as_str)) {
            (false, _) => format!("Disconnected from network '{name}'"),
            (true, Some("not connected")) => format!("Connected to network '{name}'"),
            (true, _) => format!("Reconnected to network '{name}' with updated configuration"),
        }
    };
    names.into_iter().map(tell).collect()
}

/// Puts the addresses that the daemon gave in the place of `automatic`.
fn addresses(cx: &PlanCx<'_>, name: &str, changes: &mut Map) -> Result<(), StateError> {
    let Some(Value::Map(container)) = changes.get("container") else { return Ok(()) };
    let Some(networks) = container.get("Networks").and_then(Value::as_map) else { return Ok(()) };
    let found = find(cx, "docker.inspect_container", name)?.unwrap_or_default();
    let (mut container, mut after) = ((**container).clone(), Map::new());
    for (network, change) in networks {
        let mut change = change.as_map().cloned().unwrap_or_default();
        let automatic = change.get("IPConfiguration").and_then(|all| all.get("new")?.as_str()) == Some("automatic");
        let now = found.get("NetworkSettings").and_then(|all| all.get("Networks")?.as_map()?.get_value(network));
        for key in ["IPAddress", "Gateway"] {
            let given = now.and_then(|now| now.get(key)).filter(|value| automatic && value.truthy());
            if let Some(given) = given {
                change.insert(key, shared::change(Value::Null, given.clone()));
                change.remove("IPConfiguration");
            }
        }
        after.insert(network.clone(), change);
    }
    container.insert("Networks", after);
    changes.insert("container", container);
    Ok(())
}
