//! `lxc.present`

use super::shared::{self, Known};
use corpus_core::plan::{Observed, Settled};
use corpus_core::source::{FileOrigin, FileRequest};
use corpus_core::{Effect, Map, Plan, PlanCx, State, StateError, Value, python};
use corpus_exec::lxc::spec::{self, Spec};
use corpus_exec::lxc::{base, describe};
use serde::Deserialize;

/// Keeps a container: makes it from a base, an image, a template or another container, gives it what is declared,
/// and, with `running`, keeps it running or stopped. What it has is compared each time, so that a declaration that
/// changes is followed: limits and disk at once, addresses and mounts by a restart if it is declared to run.
///
/// ```sls
/// web01:
///   lxc.present:
///     - base: {name: web, suite: bookworm, packages: [nginx-light]}
///     - bridge: lxcbr1
///     - address: 10.5.0.3/16
///     - memory: 512M
///     - cpus: 0.5
///     - authorized_keys: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBsW me]
///     - running: true
/// ```
#[derive(Deserialize)]
pub struct Present {
    /// The container.
    pub name: String,
    /// `true` keeps it running, `false` stopped; without, its state is left alone.
    pub running: Option<bool>,
    /// The container to make it from, which must be stopped.
    pub clone_from: Option<String>,
    /// Share the files of the container that it is made from, until they are changed.
    pub snapshot: Option<bool>,
    /// A container profile, whose values stand for what is not given here.
    pub profile: Option<Value>,
    /// A network profile, or its network cards in place.
    pub network_profile: Option<Value>,
    /// The LXC template to make it with.
    pub template: Option<String>,
    /// The template's options.
    pub options: Option<Value>,
    /// An archive of its file system: a path of the machine or a URL such as `salt://web.tar.gz`.
    pub image: Option<String>,
    /// Its files were brought to the machine (`lxc.receive`) from another, where it was.
    pub received: Option<bool>,
    /// A configuration file for the template.
    pub config: Option<String>,
    /// The file system of an LVM volume.
    pub fstype: Option<String>,
    /// The size of an LVM volume.
    pub size: Option<String>,
    /// What its files lie on: `overlayfs`, `btrfs`, `dir`, or, with a template, another of LXC's.
    pub backing: Option<String>,
    /// The volume group of an LVM volume.
    pub vgname: Option<String>,
    /// The name of an LVM volume.
    pub lvname: Option<String>,
    /// The pool of an LVM volume.
    pub thinpool: Option<String>,
    /// Where containers lie; `/var/lib/lxc` if nothing else is configured.
    pub path: Option<String>,
    /// The base to make it from: a name, or what `lxc.base_present` takes, as a mapping.
    pub base: Option<Value>,
    /// Where bases are kept.
    pub bases: Option<String>,
    /// Its address, with the length of the network: `10.5.0.3/16`.
    pub address: Option<String>,
    /// Its gateway; the bridge if none is given.
    pub gateway: Option<String>,
    /// The address of its network card.
    pub mac: Option<String>,
    /// The bridge that it is plugged into.
    pub bridge: Option<String>,
    /// Its name servers; the machine's own if none are given.
    pub nameservers: Option<Value>,
    /// How much memory it may use: `512M`; 0 lifts the limit.
    pub memory: Option<Value>,
    /// How many processors it may use: `0.5`; 0 lifts the limit.
    pub cpus: Option<Value>,
    /// How much it may hold, on btrfs: `5G`; 0 lifts the limit.
    pub disk: Option<Value>,
    /// Give it ids of its own: `true`, or a range such as `700000:65536`.
    pub idmap: Option<Value>,
    /// Start it with the machine.
    pub autostart: Option<Value>,
    /// Keys that may log in as root.
    pub authorized_keys: Option<Value>,
    /// The name of the machine that it runs on, for its file `/this_host`.
    pub this_host: Option<Value>,
    /// The port that leads to its SSH server, for its file `/this_port`.
    pub this_port: Option<Value>,
    /// Its host name; its own if none is given.
    pub hostname: Option<String>,
    /// Directories of the machine that it sees: `{source, target, readonly}`.
    pub mounts: Option<Value>,
    /// Further settings of its configuration: a list of mappings.
    pub lxc_conf: Option<Value>,
    /// A mark of whom it belongs to.
    pub owner: Option<String>,
}

impl State for Present {
    const NAME: &'static str = "lxc.present";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let mut args = corpus_core::state::arguments(cx.low);
        args.remove("name");
        args.remove("running");
        args.0.retain(|key, _| key.as_str().is_some_and(|key| !corpus_core::keywords::is_engine_word(key)));
        let spec = Spec::read(&args, cx.data).map_err(StateError::Failed)?;
        let wanted = spec.wanted().map_err(StateError::Failed)?;
        if spec.base.is_none()
            && spec.template.is_none()
            && spec.image.is_none()
            && spec.clone_from.is_none()
            && !spec.received
        {
            return Err(StateError::failed(
                "No template, image, or clone_from parameter was found in either the state's arguments or the LXC profile",
            ));
        }
        let known = shared::find(cx, &self.name, spec.path.as_deref())?;
        self.sources(cx, &spec, &known)?;
        match known.state.clone() {
            None => self.make(cx, &known, &spec, args, wanted),
            Some(state) => self.follow(cx, &known, &spec, args, wanted, &state),
        }
    }

    fn settle(&self, plan: &Plan, seen: &[Observed], _: &PlanCx<'_>) -> Result<Settled, StateError> {
        let mut settled = Settled::as_planned(plan);
        let answers = seen.iter().rev();
        let last =
            answers.filter_map(|seen| if let Observed::Returned(value) = seen { Some(value) } else { None }).next();
        if let Some(last) = last.filter(|last| last.get("result").is_some_and(|result| !result.truthy())) {
            let verb = if self.running == Some(false) { "stopped" } else { "started" };
            settled.result = false;
            settled.comment = format!("{}, but it could not be {verb}", plan.memo.as_str().unwrap_or_default());
            let new = last.get("state").and_then(|state| state.get("new")).and_then(Value::as_str);
            let old = settled.changes.get("state").and_then(|state| state.get("old")).and_then(Value::as_str);
            let change = shared::change(old, new);
            if old == new {
                settled.changes.remove("state")
            } else {
                settled.changes.insert("state", change)
            };
        }
        Ok(settled)
    }
}

impl Present {
    /// Checks that what it is made from is there, or will be.
    fn sources(&self, cx: &PlanCx<'_>, spec: &Spec, known: &Known) -> Result<(), StateError> {
        if let Some(from) = &spec.clone_from
            && shared::find(cx, from, spec.path.as_deref())?.state.is_none()
        {
            return Err(StateError::missing(format!("Clone source '{from}' does not exist")));
        }
        let named = spec.base.as_ref().filter(|base| base.as_map().is_none());
        if let (Some(name), None) = (named.map(python::str), &known.state) {
            let place = base::place(cx.host, &known.guest.root, spec.bases.as_deref())?;
            let foreseen = cx.host.predicted(&shared::base_fact(&place, &name));
            let there = match foreseen {
                Some(hash) => hash.truthy(),
                None => base::find(cx.host, &place, &name)?.is_some(),
            };
            if !there {
                return Err(StateError::missing(format!("Base '{name}' does not exist in {}", place.display())));
            }
        }
        Ok(())
    }

    fn make(
        &self,
        cx: &PlanCx<'_>,
        known: &Known,
        spec: &Spec,
        mut args: Map,
        wanted: Map,
    ) -> Result<Plan, StateError> {
        let (name, path) = (&self.name, spec.path.as_deref());
        if let Some(url) = spec.image.as_ref().filter(|image| image.contains("://")) {
            let origin = FileOrigin::Urls(vec![url.clone()]);
            let file = cx.resolve(&FileRequest { origin, saltenv: cx.saltenv(), template: None })?;
            args.insert("image", cx.source.fetch(&file)?.display().to_string());
        }
        let kwargs = args.into_iter().filter_map(|(key, value)| Some((key.as_str()?.to_owned(), value))).collect();
        let mut plan = Plan::default();
        let effect = Effect::Call { fun: "lxc.create".into(), args: vec![name.as_str().into()], kwargs };
        plan.push(effect, shared::becomes(known, Some("stopped"), &wanted));
        let (mut would, mut did) = match &spec.clone_from {
            Some(from) => (
                format!("Container '{name}' will be cloned from {from}"),
                format!("Cloned container '{from}' as '{name}'"),
            ),
            None => (format!("Container '{name}' will be created"), format!("Created container '{name}'")),
        };
        plan.memo = did.as_str().into();
        let mut state = "stopped";
        if self.running == Some(true) {
            state = "running";
            plan.push(shared::call(known, "start", path, []), shared::becomes(known, Some(state), &wanted));
            would += " and started";
            did += ", and the container was started";
        }
        plan.changes.insert("state", shared::change(None, Some(state)));
        for (key, new) in &wanted {
            let change: Map = [("old", Value::Null), ("new", new.clone())].into_iter().collect();
            plan.changes.insert(key.clone(), change);
        }
        Ok(plan.says(would, did))
    }

    fn follow(
        &self,
        cx: &PlanCx<'_>,
        known: &Known,
        spec: &Spec,
        args: Map,
        wanted: Map,
        state: &str,
    ) -> Result<Plan, StateError> {
        let (name, path) = (&self.name, spec.path.as_deref());
        let changes = match &known.foreseen {
            Some(foreseen) => differences(foreseen, &wanted),
            None => describe::differences(&known.guest, cx.host, spec)?,
        };
        let mut plan = Plan::unchanged(format!("Container '{name}' already exists"));
        let (mut would, mut did) = (vec![], vec![]);
        if !changes.is_empty() {
            let kwargs = args.into_iter().filter_map(|(key, value)| Some((key.as_str()?.to_owned(), value))).collect();
            let effect = Effect::Call { fun: "lxc.reconfigure".into(), args: vec![name.as_str().into()], kwargs };
            plan.push(effect, shared::becomes(known, Some(state), &wanted));
            would.push(format!("Container '{name}' would be changed"));
            did.push(format!("Container '{name}' was changed"));
        }
        let late: Vec<&str> = spec::AT_START.iter().copied().filter(|key| changes.contains(key)).collect();
        let again = !late.is_empty() && state != "stopped";
        plan.changes = changes;
        let moved = match (self.running, state) {
            (Some(true), "running") if again => Some(("restart", "running", "restarted")),
            (Some(true), "stopped") => Some(("start", "running", "started")),
            (Some(true), "frozen") => Some(("unfreeze", "running", "unfrozen")),
            (Some(false), "running" | "frozen") => Some(("stop", "stopped", "stopped")),
            _ => None,
        };
        if again && moved.is_none() {
            plan = plan.warn(format!("Container '{name}' takes over at its next start: {}", late.join(", ")));
        }
        match moved {
            Some((fun, to, word)) => {
                plan.memo = plan.unchanged.as_str().into();
                plan.push(shared::call(known, fun, path, []), shared::becomes(known, Some(to), &wanted));
                would.push(format!("Container '{name}' would be {word}"));
                did.push(format!("Container '{name}' was {word}"));
                if to == state {
                    plan.changes.insert("restarted", true);
                } else {
                    plan.changes.insert("state", shared::change(Some(state), Some(to)));
                }
            }
            None => match self.running {
                Some(true) => plan.unchanged += " and is running",
                Some(false) => plan.unchanged += " and is stopped",
                None => {}
            },
        }
        Ok(plan.says(would.join("\n"), did.join("\n")))
    }
}

/// Returns what a declaration would change on a container that an earlier step makes.
fn differences(foreseen: &Map, wanted: &Map) -> Map {
    let mut out = Map::new();
    for (key, new) in wanted {
        if let Some(old) = foreseen.get_value(key).filter(|old| *old != new) {
            let change: Map = [("old", old.clone()), ("new", new.clone())].into_iter().collect();
            out.insert(key.clone(), change);
        }
    }
    out
}
