//! An EC2 in memory: it throttles, forgets client tokens, knows of things only after a while, lists in small pages, and
//! takes its time to start and stop. Like all of this world it fails at the call that it is told to.

use crate::world::{State, World};
use corpus_clouds::drivers::ec2::api::{
    Address, ApiError, Change, Disk, Ec2Api, Image, Instance, Kind, Launch, Named, Page, Query, Tags, Volume,
};
use corpus_clouds::drivers::ec2::{Ec2, Means};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What is there.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Things {
    pub instances: BTreeMap<String, Instance>,
    pub volumes: BTreeMap<String, Volume>,
    pub addresses: BTreeMap<String, Address>,
    pub named: BTreeMap<(Kind, String), Named>,
    /// Volumes that end with their instance.
    pub ending: BTreeSet<String>,
    /// The base systems of instances.
    pub based: BTreeMap<String, Vec<String>>,
}

/// How it behaves, and what it remembers.
#[derive(Default)]
pub struct Nature {
    ticks: usize,
    /// For how much longer than usual a new instance or address is not seen.
    pub slow: usize,
    next: usize,
    /// Client tokens, with what was asked; none where they are forgotten.
    pub tokens: Option<BTreeMap<String, (String, Launch)>>,
    /// When each thing begins to be seen.
    seen: BTreeMap<String, usize>,
    moves: BTreeMap<String, (usize, &'static str)>,
    /// Ended instances are listed for a while.
    pub gone: BTreeMap<String, Instance>,
}

/// After how many calls and pauses a new thing is seen, and a move is over.
const LATE: usize = 4;
const MOVE: usize = 3;
const PAGE: usize = 2;
/// Each so manieth call is throttled.
const THROTTLE: usize = 6;

impl World {
    /// Lets time pass.
    pub fn tick(&self) {
        tick(&mut self.state());
    }

    /// The driver over this world.
    pub fn ec2(&self) -> Ec2 {
        let (api, clock, marks, keys) = (self.clone(), self.clone(), self.clone(), self.clone());
        Ec2::new(Means {
            accounts: BTreeMap::new(),
            connect: Box::new(move |_| Ok(Arc::new(Fake(api.clone())))),
            mark: Box::new(move |make| {
                let mut state = marks.state();
                state.marked |= make;
                Ok(state.marked.then(|| "mark".to_owned()))
            }),
            host_key: Box::new(move || {
                let mut state = keys.state();
                state.nature.next += 1;
                Ok(("PRIVATE".into(), format!("ssh-ed25519 AAAA{}", state.nature.next)))
            }),
            pause: Box::new(move |_| clock.tick()),
        })
    }
}

/// Lets time pass, and what was begun come to its end.
pub fn tick(state: &mut State) {
    state.nature.ticks += 1;
    let now = state.nature.ticks;
    let due: Vec<(String, &str)> = {
        let due = state.nature.moves.iter().filter(|(_, (at, _))| *at <= now);
        due.map(|(id, (_, to))| (id.clone(), *to)).collect()
    };
    for (id, to) in due {
        state.nature.moves.remove(&id);
        let ec2 = &mut state.things.ec2;
        let Some(instance) = ec2.instances.get_mut(&id) else { continue };
        instance.state = to.into();
        if to == "stopped" {
            instance.public = None;
        }
        if to != "terminated" {
            continue;
        }
        if let Some(instance) = ec2.instances.remove(&id) {
            state.nature.gone.insert(id.clone(), instance);
        }
        ec2.based.remove(&id);
        let ending = ec2.ending.clone();
        ec2.volumes.retain(|volume, found| found.instance.as_ref() != Some(&id) || !ending.contains(volume));
        ec2.ending.retain(|volume| ec2.volumes.contains_key(volume));
        for volume in ec2.volumes.values_mut().filter(|volume| volume.instance.as_ref() == Some(&id)) {
            (volume.instance, volume.device, volume.state) = (None, None, "available".into());
        }
        for address in ec2.addresses.values_mut().filter(|address| address.instance.as_ref() == Some(&id)) {
            address.instance = None;
        }
    }
}

struct Fake(World);

fn missing(what: &str, id: &str) -> ApiError {
    ApiError::new(format!("Invalid{what}.NotFound"), format!("{id} does not exist"))
}

fn tagged(tags: &Tags, name: &str) -> Option<Vec<String>> {
    Some(tags.get(name.strip_prefix("tag:")?).cloned().into_iter().collect())
}

/// Filters, and cuts into pages; what is too new is not seen.
fn list<T: Clone>(
    state: &State,
    all: Vec<(String, T)>,
    query: &Query,
    field: impl Fn(&T, &str) -> Vec<String>,
) -> Page<T> {
    let is_seen = |id: &str| state.nature.seen.get(id).is_none_or(|at| *at <= state.nature.ticks);
    let met = |thing: &T| {
        query.filters.iter().all(|(name, values)| field(thing, name).iter().any(|have| values.contains(have)))
    };
    let found: Vec<T> = all.into_iter().filter(|(id, thing)| is_seen(id) && met(thing)).map(|(_, t)| t).collect();
    let from: usize = query.next.as_ref().map_or(0, |next| next.parse().expect("a page"));
    let next = (found.len() > from + PAGE).then(|| (from + PAGE).to_string());
    Page { items: found.into_iter().skip(from).take(PAGE).collect(), next }
}

fn pairs<K: Clone, T: Clone>(map: &BTreeMap<K, T>, id: impl Fn(&K) -> String) -> Vec<(String, T)> {
    map.iter().map(|(key, thing)| (id(key), thing.clone())).collect()
}

impl Fake {
    fn call<T>(&self, effect: impl FnOnce(&mut State) -> Result<T, ApiError>) -> Result<T, ApiError> {
        let done = self.0.call_of(|state| {
            tick(state);
            if state.nature.ticks.is_multiple_of(THROTTLE) {
                return Ok(Err(ApiError::new("RequestLimitExceeded", "Request limit exceeded.")));
            }
            Ok(effect(state))
        });
        done.unwrap_or_else(|error| Err(ApiError::new("lost", error.to_string())))
    }
}

impl Ec2Api for Fake {
    fn instances(&self, query: &Query) -> Result<Page<Instance>, ApiError> {
        self.call(|state| {
            let mut all = pairs(&state.things.ec2.instances, String::clone);
            all.extend(pairs(&state.nature.gone, String::clone));
            Ok(list(state, all, query, |one, name| match name {
                "instance-id" => vec![one.id.clone()],
                tag => tagged(&one.tags, tag).expect("a filter"),
            }))
        })
    }

    fn volumes(&self, query: &Query) -> Result<Page<Volume>, ApiError> {
        self.call(|state| {
            let all = pairs(&state.things.ec2.volumes, String::clone);
            Ok(list(state, all, query, |one, name| tagged(&one.tags, name).expect("a filter")))
        })
    }

    fn images(&self, query: &Query) -> Result<Page<Image>, ApiError> {
        self.call(|state| {
            let image = |id: &str, created: &str| Image {
                id: id.into(),
                name: "debian-12".into(),
                created: created.into(),
                root: "/dev/xvda".into(),
            };
            let all = [image("ami-1", "2026-01-01"), image("ami-2", "2026-06-01"), image("ami-3", "2025-01-01")];
            let all = all.into_iter().map(|image| (image.id.clone(), image)).collect();
            Ok(list(state, all, query, |one, name| match name {
                "image-id" => vec![one.id.clone()],
                "name" => vec![one.name.clone()],
                other => panic!("{other}"),
            }))
        })
    }

    fn addresses(&self, query: &Query) -> Result<Page<Address>, ApiError> {
        self.call(|state| {
            let all = pairs(&state.things.ec2.addresses, String::clone);
            // This listing has no pages.
            let mut items: Vec<Address> = vec![];
            let mut query = query.clone();
            loop {
                let page = list(state, all.clone(), &query, |one, name| match name {
                    "allocation-id" => vec![one.id.clone()],
                    "public-ip" => vec![one.ip.clone()],
                    tag => tagged(&one.tags, tag).expect("a filter"),
                });
                items.extend(page.items);
                query.next = page.next;
                if query.next.is_none() {
                    return Ok(Page { items, next: None });
                }
            }
        })
    }

    fn named(&self, kind: Kind, query: &Query) -> Result<Page<Named>, ApiError> {
        self.call(|state| {
            let mut all = pairs(&state.things.ec2.named, |(_, id)| id.clone());
            let of_kind: BTreeSet<String> =
                state.things.ec2.named.keys().filter(|(other, _)| *other == kind).map(|(_, id)| id.clone()).collect();
            all.retain(|(id, _)| of_kind.contains(id));
            Ok(list(state, all, query, |one, name| match name {
                "group-id" | "subnet-id" => vec![one.id.clone()],
                "vpc-id" if kind == Kind::Vpc => vec![one.id.clone()],
                "vpc-id" => vec![one.vpc.clone()],
                "group-name" | "cidr" | "cidr-block" => vec![one.name.clone()],
                "association.main" => vec!["true".to_owned()],
                "is-default" => vec![(one.id == "vpc-default").to_string()],
                tag => tagged(&one.tags, tag).expect("a filter"),
            }))
        })
    }

    fn change(&self, change: &Change) -> Result<String, ApiError> {
        self.call(|state| {
            state.writes += 1;
            perform(state, change)
        })
    }
}

/// Gives a new thing its id, which is not seen at once.
fn born(state: &mut State, prefix: &str) -> String {
    state.nature.next += 1;
    let id = format!("{prefix}-{:05}", state.nature.next);
    let slow = if ["i", "eipalloc"].contains(&prefix) { state.nature.slow } else { 0 };
    state.nature.seen.insert(id.clone(), state.nature.ticks + LATE + slow);
    id
}

/// Ends an instance behind our back.
pub fn end_by_hand(state: &mut State, id: &str) {
    moves(state, id, "shutting-down", "terminated");
}

fn moves(state: &mut State, id: &str, through: &str, to: &'static str) {
    let at = state.nature.ticks + MOVE;
    if let Some(instance) = state.things.ec2.instances.get_mut(id) {
        instance.state = through.to_owned();
        state.nature.moves.insert(id.to_owned(), (at, to));
    }
}

fn add_named(state: &mut State, kind: Kind, prefix: &str, name: &str, vpc: &str, tags: &Tags) -> String {
    let id = born(state, prefix);
    let named = Named { id: id.clone(), name: name.into(), vpc: vpc.into(), rules: vec![], tags: tags.clone() };
    state.things.ec2.named.insert((kind, id.clone()), named);
    id
}

fn add_volume(state: &mut State, disk: &Disk, instance: Option<&str>, tags: &Tags) -> String {
    let id = born(state, "vol");
    let volume = Volume {
        id: id.clone(),
        gib: disk.gib.unwrap_or(8),
        state: if instance.is_some() { "in-use" } else { "available" }.into(),
        instance: instance.map(str::to_owned),
        device: instance.map(|_| disk.device.clone()),
        tags: tags.clone(),
    };
    state.things.ec2.volumes.insert(id.clone(), volume);
    if disk.ends {
        state.things.ec2.ending.insert(id.clone());
    }
    id
}

fn run(state: &mut State, launch: &Launch) -> Result<String, ApiError> {
    if let Some((id, asked)) = state.nature.tokens.as_ref().and_then(|tokens| tokens.get(&launch.token)) {
        return match asked == launch {
            true => Ok(id.clone()),
            false => Err(ApiError::new("IdempotentParameterMismatch", "the token was used with other parameters")),
        };
    }
    let group = |id: &String| {
        let found = state.things.ec2.named.get(&(Kind::Group, id.clone()));
        found.map(|group| (id.clone(), group.name.clone())).ok_or_else(|| missing("Group", id))
    };
    let groups = launch.groups.iter().map(group).collect::<Result<Vec<_>, _>>()?;
    let id = born(state, "i");
    let instance = Instance {
        id: id.clone(),
        kind: launch.kind.clone(),
        image: launch.image.clone(),
        private: Some("10.0.0.7".into()),
        public: Some("198.51.100.7".into()),
        subnet: launch.subnet.clone().unwrap_or_default(),
        vpc: launch.subnet.as_ref().and_then(|subnet| vpc_of(state, subnet)).unwrap_or_default(),
        zone: "a".into(),
        groups,
        root: "/dev/xvda".into(),
        launched: format!("{:05}", state.nature.ticks),
        tags: launch.tags.clone(),
        ..Instance::default()
    };
    state.things.ec2.instances.insert(id.clone(), instance);
    for disk in &launch.disks {
        add_volume(state, disk, Some(&id), &launch.volume_tags);
    }
    moves(state, &id, "pending", "running");
    if let Some(tokens) = &mut state.nature.tokens {
        tokens.insert(launch.token.clone(), (id.clone(), launch.clone()));
    }
    Ok(id)
}

fn vpc_of(state: &State, subnet: &str) -> Option<String> {
    state.things.ec2.named.get(&(Kind::Subnet, subnet.to_owned())).map(|subnet| subnet.vpc.clone())
}

fn perform(state: &mut State, change: &Change) -> Result<String, ApiError> {
    let done = |id: &str| Ok(id.to_owned());
    // What is too new is not known to changes either.
    let known = |state: &State, id: &str| state.nature.seen.get(id).is_none_or(|at| *at <= state.nature.ticks);
    let state_of = |state: &State, id: &str| state.things.ec2.instances.get(id).map(|found| found.state.clone());
    match change {
        Change::Run(launch) => run(state, launch),
        Change::Start(id) | Change::Stop { instance: id, .. } | Change::Reboot(id) | Change::Terminate(id) => {
            let id = id.id();
            let now = state_of(state, id).filter(|_| known(state, id)).ok_or_else(|| missing("InstanceID", id))?;
            match change {
                Change::Start(_) if now == "stopped" => moves(state, id, "pending", "running"),
                Change::Stop { .. } if now == "running" => moves(state, id, "stopping", "stopped"),
                Change::Terminate(_) => moves(state, id, "shutting-down", "terminated"),
                Change::Reboot(_) if now == "running" => {}
                _ => return Err(ApiError::new("IncorrectInstanceState", now)),
            }
            done(id)
        }
        Change::Retype { instance, kind } => {
            if state_of(state, instance.id()).as_deref() != Some("stopped") {
                return Err(ApiError::new("IncorrectInstanceState", "it is not stopped"));
            }
            state.things.ec2.instances.get_mut(instance.id()).expect("it").kind.clone_from(kind);
            done(instance.id())
        }
        Change::Regroup { instance, groups } => {
            let named = state.things.ec2.named.clone();
            let groups = groups.iter().map(|id| (id.clone(), named[&(Kind::Group, id.clone())].name.clone()));
            state.things.ec2.instances.get_mut(instance.id()).expect("it").groups = groups.collect();
            done(instance.id())
        }
        Change::Tag { thing, tags } => {
            let found = state.things.ec2.instances.get_mut(thing.id());
            found.ok_or_else(|| missing("InstanceID", thing.id()))?.tags.extend(tags.clone());
            done(thing.id())
        }
        Change::Grow { volume, gib } => {
            let found = state.things.ec2.volumes.get_mut(volume.id()).ok_or_else(|| missing("Volume", volume.id()))?;
            assert!(found.gib < *gib, "volumes only grow");
            found.gib = *gib;
            done(volume.id())
        }
        Change::AddVolume { disk, tags, .. } => Ok(add_volume(state, disk, None, tags)),
        Change::Attach { volume, instance, device } => {
            if !known(state, volume.id()) {
                return Err(missing("Volume", volume.id()));
            }
            let found = state.things.ec2.volumes.get_mut(volume.id()).ok_or_else(|| missing("Volume", volume.id()))?;
            found.instance = Some(instance.id().into());
            (found.device, found.state) = (Some(device.clone()), "in-use".into());
            done(volume.id())
        }
        Change::DeleteVolume(volume) => {
            let found = state.things.ec2.volumes.get(volume.id()).ok_or_else(|| missing("Volume", volume.id()))?;
            if found.instance.is_some() {
                return Err(ApiError::new("VolumeInUse", volume.id()));
            }
            state.things.ec2.volumes.remove(volume.id());
            state.things.ec2.ending.remove(volume.id());
            done(volume.id())
        }
        Change::ImportKey { name, tags, .. } => {
            let twice = state.things.ec2.named.iter().any(|((kind, _), key)| *kind == Kind::Key && key.name == *name);
            if twice {
                return Err(ApiError::new("InvalidKeyPair.Duplicate", name));
            }
            Ok(add_named(state, Kind::Key, "key", name, "", tags))
        }
        Change::CreateGroup { name, vpc, tags, .. } => {
            let twice = state
                .things
                .ec2
                .named
                .iter()
                .any(|((kind, _), group)| *kind == Kind::Group && group.name == *name && group.vpc == *vpc);
            if twice {
                return Err(ApiError::new("InvalidGroup.Duplicate", name));
            }
            Ok(add_named(state, Kind::Group, "sg", name, vpc, tags))
        }
        Change::Allow { group, rules } | Change::Forbid { group, rules } => {
            if !known(state, group.id()) {
                return Err(missing("Group", group.id()));
            }
            let key = (Kind::Group, group.id().to_owned());
            let found = state.things.ec2.named.get_mut(&key).ok_or_else(|| missing("Group", group.id()))?;
            if matches!(change, Change::Forbid { .. }) {
                found.rules.retain(|rule| !rules.contains(rule));
                return done(group.id());
            }
            if rules.iter().any(|rule| found.rules.contains(rule)) {
                return Err(ApiError::new("InvalidPermission.Duplicate", "it is there"));
            }
            found.rules.extend(rules.clone());
            done(group.id())
        }
        Change::CreateVpc { cidr, tags } => {
            let vpc = add_named(state, Kind::Vpc, "vpc", cidr, "", tags);
            add_named(state, Kind::Routes, "rtb", "", &vpc, &Tags::new());
            Ok(vpc)
        }
        Change::CreateGateway { tags } => Ok(add_named(state, Kind::Gateway, "igw", "", "", tags)),
        Change::AttachGateway { gateway, vpc } => {
            if !known(state, gateway.id()) || !known(state, vpc.id()) {
                return Err(missing("InternetGatewayID", gateway.id()));
            }
            let named = &mut state.things.ec2.named;
            if named.iter().any(|((kind, _), other)| *kind == Kind::Gateway && other.vpc == vpc.id()) {
                return Err(ApiError::new("Resource.AlreadyAssociated", gateway.id()));
            }
            named.get_mut(&(Kind::Gateway, gateway.id().to_owned())).expect("it").vpc = vpc.id().into();
            done(gateway.id())
        }
        Change::DetachGateway { gateway, vpc } => {
            let found = state.things.ec2.named.get_mut(&(Kind::Gateway, gateway.id().to_owned()));
            let found = found.filter(|found| found.vpc == *vpc);
            found.ok_or_else(|| ApiError::new("Gateway.NotAttached", gateway.id()))?.vpc.clear();
            done(gateway.id())
        }
        Change::DeleteGateway(it) => delete(state, Kind::Gateway, it.id()),
        Change::RouteOut { table, gateway, .. } => {
            let found = state.things.ec2.named.get_mut(&(Kind::Routes, table.clone()));
            found.ok_or_else(|| missing("RouteTableID", table))?.name = gateway.id().into();
            done(table)
        }
        Change::CreateSubnet { vpc, cidr, tags, .. } => {
            if !known(state, vpc) {
                return Err(missing("VpcID", vpc));
            }
            let twice =
                state.things.ec2.named.iter().any(|((kind, _), other)| *kind == Kind::Subnet && other.name == *cidr);
            if twice {
                return Err(ApiError::new("InvalidSubnet.Conflict", cidr));
            }
            Ok(add_named(state, Kind::Subnet, "subnet", cidr, vpc, tags))
        }
        Change::DeleteKey(it) => {
            let mut keys = state.things.ec2.named.iter().filter(|((kind, _), _)| *kind == Kind::Key);
            let found = keys.find(|(_, key)| key.name == it.id()).map(|((_, id), _)| id.clone());
            delete(state, Kind::Key, &found.unwrap_or_default())
        }
        Change::DeleteGroup(it) => {
            let used = |one: &Instance| one.groups.iter().any(|(id, _)| id == it.id());
            if state.things.ec2.instances.values().any(used) {
                return Err(ApiError::new("DependencyViolation", it.id()));
            }
            delete(state, Kind::Group, it.id())
        }
        Change::DeleteSubnet(it) => {
            if state.things.ec2.instances.values().any(|one| one.subnet == it.id()) {
                return Err(ApiError::new("DependencyViolation", it.id()));
            }
            delete(state, Kind::Subnet, it.id())
        }
        Change::DeleteVpc(it) => {
            let holds = |(kind, one): (Kind, &Named)| kind != Kind::Routes && one.vpc == it.id();
            if state.things.ec2.named.iter().any(|((kind, _), one)| holds((*kind, one))) {
                return Err(ApiError::new("DependencyViolation", it.id()));
            }
            state.things.ec2.named.retain(|(kind, _), one| *kind != Kind::Routes || one.vpc != it.id());
            delete(state, Kind::Vpc, it.id())
        }
        Change::Allocate { tags } => {
            let id = born(state, "eipalloc");
            let ip = format!("203.0.113.{}", state.nature.next % 250);
            let address = Address { id: id.clone(), ip, instance: None, tags: tags.clone() };
            state.things.ec2.addresses.insert(id.clone(), address);
            Ok(id)
        }
        Change::Associate { address, instance, ours } => {
            let found = state
                .things
                .ec2
                .addresses
                .get_mut(address)
                .filter(|_| state.nature.seen.get(address).is_none_or(|at| *at <= state.nature.ticks));
            let found = found.ok_or_else(|| missing("AllocationID", address))?;
            if !ours && found.instance.as_ref().is_some_and(|other| other != instance.id()) {
                return Err(ApiError::new("Resource.AlreadyAssociated", address));
            }
            found.instance = Some(instance.id().into());
            let ip = found.ip.clone();
            state.things.ec2.instances.get_mut(instance.id()).expect("it").public = Some(ip);
            done(address)
        }
        Change::Release(it) => {
            let found = state.things.ec2.addresses.get(it.id()).ok_or_else(|| missing("AllocationID", it.id()))?;
            if found.instance.is_some() {
                return Err(ApiError::new("InvalidIPAddress.InUse", it.id()));
            }
            state.things.ec2.addresses.remove(it.id());
            done(it.id())
        }
    }
}

fn delete(state: &mut State, kind: Kind, id: &str) -> Result<String, ApiError> {
    match state.things.ec2.named.remove(&(kind, id.to_owned())) {
        Some(_) => Ok(id.to_owned()),
        None => Err(missing(kind.word(), id)),
    }
}
