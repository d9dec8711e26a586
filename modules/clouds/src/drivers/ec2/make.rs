//! Makes an instance as it is declared: each thing is looked for by its mark before it is made, so what a killed run left is
//! taken up and not made again.

use super::api::{Change, Disk, Instance, Kind, Launch, Owned, Query, Tags, Volume};
use super::look::{Ec2Work, MOVES, SETTLES, is_dead};
use super::mark::{GUEST, HOST_KEY, OWNER, READY, REQUEST};
use super::net::Place;
use super::user_data;
use super::wants::{Elastic, Wants, gib};
use crate::driver::DriverError;
use crate::hands::HandsError;
use crate::spec::Status;
use corpus_core::{Map, Value};

/// What a creation is given beside the declaration.
pub struct Given<'a> {
    /// This creation's own word, which stands in the ledger before anything is done.
    pub request: &'a str,
    /// Who may log in.
    pub keys: &'a [String],
    /// Makes a host key: private and public half.
    pub host_key: &'a (dyn Fn() -> Result<(String, String), String> + Sync),
}

/// What was changed.
#[derive(Default)]
pub struct Changes(pub Map);

impl Changes {
    /// Notes one.
    pub fn note(&mut self, key: &str, old: impl Into<Value>, new: impl Into<Value>) {
        let one: Map = [("old", old.into()), ("new", new.into())].into_iter().collect();
        self.0.insert(key, one);
    }
}

pub(super) fn failed<T>(why: impl Into<String>) -> Result<T, DriverError> {
    Err(HandsError::Failed(why.into()).into())
}

impl Ec2Work<'_> {
    /// Makes it, or makes it as it is to be; returns it as it then is.
    pub fn make(
        &self,
        want: &Wants,
        given: &Given<'_>,
        place: &Place,
        changes: &mut Changes,
    ) -> Result<Instance, DriverError> {
        let found = self.instances_of(&want.id)?.into_iter().find(|found| !is_dead(found));
        let mut instance = match found {
            Some(found) => found,
            None => self.launch(want, given, place, changes)?,
        };
        instance = self.alone(want, &instance.id, changes)?;
        let owned = self.mark.owned(&instance.id, &instance.tags)?;
        instance = self.rests(&instance)?;
        if instance.kind != want.kind {
            if instance.state == "running" && !want.may_stop {
                return Err(DriverError::Refused(format!(
                    "{}: `size` changes from {} to {} only while it is stopped; say `may_stop: True`, or stop it",
                    want.id, instance.kind, want.kind
                )));
            }
            instance = self.stop(&owned, &instance, false)?;
            self.change(&Change::Retype { instance: owned.clone(), kind: want.kind.clone() })?;
            changes.note("size", instance.kind.as_str(), want.kind.as_str());
        }
        self.regroup(want, &owned, &instance, place, changes)?;
        self.disks(want, &owned, &instance, changes)?;
        instance = match want.status {
            Status::Running if instance.state != "running" => {
                changes.note("status", instance.state.as_str(), "running");
                self.start(&owned)?
            }
            Status::Stopped if instance.state == "running" => {
                changes.note("status", "running", "stopped");
                self.stop(&owned, &instance, false)?
            }
            _ => instance,
        };
        self.address(want, &owned, &mut instance, changes)?;
        self.tag(want, &owned, &instance, changes)?;
        Ok(instance)
    }

    fn launch(
        &self,
        want: &Wants,
        given: &Given<'_>,
        place: &Place,
        changes: &mut Changes,
    ) -> Result<Instance, DriverError> {
        let (image, root) = self.image(want)?;
        let key = match &want.keyname {
            Some(name) => Some(name.clone()),
            None => self.key_pair(want, given.keys)?,
        };
        let (private, public) = (given.host_key)().map_err(HandsError::Failed)?;
        let told = user_data::write(given.keys, &private, &public, want.user_data.as_deref());
        let user_data = told.map_err(|why| DriverError::Declaration(format!("{}: {why}", want.id)))?;
        let mut tags = want.tags.clone();
        tags.extend(self.mark.tags(Some(&want.id)));
        tags.insert(REQUEST.into(), given.request.into());
        tags.insert(HOST_KEY.into(), public);
        let mut launch = Launch {
            token: String::new(),
            image,
            kind: want.kind.clone(),
            key,
            subnet: place.subnet.clone(),
            zone: want.zone.clone(),
            groups: place.groups.clone(),
            private: want.private.clone(),
            public: want.public,
            disks: disks(want, &root),
            profile: want.profile.clone(),
            tenancy: want.tenancy.clone(),
            placement: want.placement.clone(),
            optimised: want.optimised,
            protected: want.protected,
            user_data,
            tags,
            volume_tags: self.mark.tags(Some(&want.id)),
        };
        // A token of a dead instance gives that one again.
        let dead = self.dead_of(given.request)?;
        for dead in dead..dead + 8 {
            launch.token = format!("{}-{dead}", given.request);
            let id = match self.change(&Change::Run(Box::new(launch.clone()))) {
                Ok(id) => id,
                // It was made already, by a run whose answer was lost, and is not yet seen: it is waited for.
                Err(error) if error.code == "IdempotentParameterMismatch" => {
                    let what = format!("the instance of {} that an earlier run made", want.id);
                    return self.until(&what, SETTLES, || {
                        Ok(self.instances_of(&want.id)?.into_iter().find(|found| !is_dead(found)))
                    });
                }
                Err(error) => return Err(error.into()),
            };
            let what = format!("{id}, which was just made");
            let made = self.until(&what, SETTLES, || match self.instance(&id) {
                Ok(found) => Ok(found),
                Err(error) if error.is_missing() => Ok(None),
                Err(error) => Err(error.into()),
            })?;
            // It may have died at once, for want of room: that is told, and not tried again and again.
            if is_dead(&made) && made.tags.get(HOST_KEY) == launch.tags.get(HOST_KEY) {
                return failed(format!("EC2 ended {id} at once: {}", made.reason));
            }
            if !is_dead(&made) {
                changes.note("instance", Value::Null, id);
                return Ok(made);
            }
        }
        failed(format!("{}: EC2 gives only instances that are gone", want.id))
    }

    fn dead_of(&self, request: &str) -> Result<usize, DriverError> {
        let query = Query::all().by(&format!("tag:{OWNER}"), &self.mark.0).by(&format!("tag:{REQUEST}"), request);
        let found = self.all(|query| self.api.instances(query), query)?;
        Ok(found.iter().filter(|found| is_dead(found)).count())
    }

    /// Finds the image, and what its first disk is called. Of several with one name the newest is meant.
    fn image(&self, want: &Wants) -> Result<(String, String), DriverError> {
        let mut query = match want.image.starts_with("ami-") {
            true => Query::all().by("image-id", &want.image),
            false => Query::all().by("name", &want.image),
        };
        if let Some(owner) = &want.image_owner {
            query = query.by("owner-id", owner);
        }
        let found = self.all(|query| self.api.images(query), query);
        let found = match found {
            Err(error) if error.code.starts_with("InvalidAMIID") => vec![],
            found => found?,
        };
        let newest = found.into_iter().max_by(|a, b| (&a.created, &a.id).cmp(&(&b.created, &b.id)));
        match newest {
            Some(image) => Ok((image.id, image.root)),
            None => Err(DriverError::Declaration(format!("{}: there is no image `{}` here", want.id, want.image))),
        }
    }

    /// Has EC2 know the guest's public key, for images that ask there. One that is left of an earlier guest is another's.
    fn key_pair(&self, want: &Wants, keys: &[String]) -> Result<Option<String>, DriverError> {
        let Some(public) = keys.first() else { return Ok(None) };
        let name = format!("corpus-{}-{}", self.mark.0, want.id);
        self.until(&format!("the key pair {name}"), SETTLES, || {
            for old in self.all(|query| self.api.named(Kind::Key, query), self.of(&want.id))? {
                self.end("an old key pair", &Change::DeleteKey(self.mark.owned(&old.name, &old.tags)?))?;
            }
            let tags = self.mark.tags(Some(&want.id));
            match self.change(&Change::ImportKey { name: name.clone(), public: public.clone(), tags }) {
                Ok(_) => Ok(Some(())),
                Err(error) if error.is_duplicate() => Ok(None),
                Err(error) => Err(error.into()),
            }
        })?;
        Ok(Some(name))
    }

    /// Waits until the listing has it, and ends those that were made beside it: a lost answer, a token that was not heeded.
    fn alone(&self, want: &Wants, id: &str, changes: &mut Changes) -> Result<Instance, DriverError> {
        let what = format!("{id} among the instances of {}", want.id);
        let all = self.until(&what, SETTLES, || {
            let all = self.instances_of(&want.id)?;
            Ok(all.iter().any(|found| found.id == id).then_some(all))
        })?;
        let mut living = all.into_iter().filter(|found| !is_dead(found));
        let Some(kept) = living.next() else {
            return failed(format!("{id} was ended while it was made"));
        };
        for other in living {
            self.end(&other.id, &Change::Terminate(self.mark.owned(&other.id, &other.tags)?))?;
            changes.note("duplicate", other.id, Value::Null);
        }
        Ok(kept)
    }

    /// Waits until it neither comes nor goes.
    fn rests(&self, instance: &Instance) -> Result<Instance, DriverError> {
        if ["running", "stopped"].contains(&instance.state.as_str()) {
            return Ok(instance.clone());
        }
        self.becomes(&instance.id, &["running", "stopped"])
    }

    fn becomes(&self, id: &str, states: &[&str]) -> Result<Instance, DriverError> {
        self.until(&format!("{id} to be {}", states.join(" or ")), MOVES, || {
            let found = match self.instance(id) {
                Err(error) if error.is_missing() => return Ok(None),
                found => found?,
            };
            match found {
                Some(found) if is_dead(&found) => failed(format!("EC2: {id} was ended: {}", found.reason)),
                found => Ok(found.filter(|found| states.contains(&found.state.as_str()))),
            }
        })
    }

    /// Starts it, and waits until it runs.
    pub fn start(&self, owned: &Owned) -> Result<Instance, DriverError> {
        self.settle(&format!("starting {}", owned.id()), SETTLES, &Change::Start(owned.clone()))?;
        self.becomes(owned.id(), &["running"])
    }

    /// Stops it, and waits until it stands.
    pub fn stop(&self, owned: &Owned, instance: &Instance, force: bool) -> Result<Instance, DriverError> {
        if instance.state == "stopped" {
            return Ok(instance.clone());
        }
        let change = Change::Stop { instance: owned.clone(), force };
        self.settle(&format!("stopping {}", owned.id()), SETTLES, &change)?;
        self.becomes(owned.id(), &["stopped"])
    }

    fn regroup(
        &self,
        want: &Wants,
        owned: &Owned,
        instance: &Instance,
        place: &Place,
        changes: &mut Changes,
    ) -> Result<(), DriverError> {
        if want.groups.is_empty() {
            return Ok(());
        }
        let mut have: Vec<String> = instance.groups.iter().map(|(id, _)| id.clone()).collect();
        let mut wanted = place.groups.clone();
        have.sort();
        wanted.sort();
        if have != wanted {
            self.change(&Change::Regroup { instance: owned.clone(), groups: wanted.clone() })?;
            changes.note("securitygroup", have, wanted);
        }
        Ok(())
    }

    /// The volumes of a guest that bear our mark.
    pub fn volumes_of(&self, guest: &str) -> Result<Vec<Volume>, DriverError> {
        let mut all = self.all(|query| self.api.volumes(query), self.of(guest))?;
        all.retain(|volume| self.mark.of(&volume.tags, guest));
        Ok(all)
    }

    /// Grows disks, and adds those that are missing.
    fn disks(
        &self,
        want: &Wants,
        owned: &Owned,
        instance: &Instance,
        changes: &mut Changes,
    ) -> Result<(), DriverError> {
        let wanted = disks(want, &instance.root);
        if wanted.is_empty() {
            return Ok(());
        }
        let volumes = self.volumes_of(&want.id)?;
        let on = |disk: &Disk| {
            let mut there = volumes.iter().filter(|volume| volume.device.as_ref() == Some(&disk.device));
            there.find(|volume| volume.instance.as_ref() == Some(&instance.id))
        };
        for disk in &wanted {
            match on(disk) {
                Some(volume) => self.grow(want, volume, disk, changes)?,
                None if disk.device == instance.root => {}
                None => {
                    let device = format!("{}{}", super::DEVICE, disk.device);
                    let left =
                        volumes.iter().find(|volume| volume.instance.is_none() && volume.tags.contains_key(&device));
                    let volume = match left {
                        Some(volume) => self.mark.owned(&volume.id, &volume.tags)?,
                        None => {
                            let mut tags = self.mark.tags(Some(&want.id));
                            tags.insert(device, "true".into());
                            let add = Change::AddVolume { disk: disk.clone(), zone: instance.zone.clone(), tags };
                            self.mark.made(&self.change(&add)?)
                        }
                    };
                    let attach =
                        Change::Attach { volume: volume.clone(), instance: owned.clone(), device: disk.device.clone() };
                    self.settle(&format!("attaching {}", volume.id()), SETTLES, &attach)?;
                    changes.note(&format!("volume {}", disk.device), Value::Null, volume.id());
                }
            }
        }
        Ok(())
    }

    fn grow(&self, want: &Wants, volume: &Volume, disk: &Disk, changes: &mut Changes) -> Result<(), DriverError> {
        let Some(size) = disk.gib.filter(|size| *size != volume.gib) else { return Ok(()) };
        if size < volume.gib {
            return Err(DriverError::Refused(format!(
                "{}: the disk {} has {} GiB and cannot shrink to {size}: a volume of EC2 only grows",
                want.id, disk.device, volume.gib
            )));
        }
        let owned = self.mark.owned(&volume.id, &volume.tags)?;
        self.change(&Change::Grow { volume: owned, gib: size })?;
        changes.note(&format!("disk {}", disk.device), format!("{}G", volume.gib), format!("{size}G"));
        Ok(())
    }

    /// Grows the first disk.
    pub fn grow_root(&self, want: &Wants, bytes: u64, changes: &mut Changes) -> Result<(), DriverError> {
        let Some(instance) = self.instances_of(&want.id)?.into_iter().find(|found| !is_dead(found)) else {
            return failed(format!("{} is not there", want.id));
        };
        let volumes = self.volumes_of(&want.id)?;
        let root = volumes.iter().find(|volume| volume.device.as_ref() == Some(&instance.root));
        let Some(root) = root else { return failed(format!("the first disk of {} is not ours", want.id)) };
        let disk = Disk { device: instance.root, gib: Some(gib(bytes)), ..Disk::default() };
        self.grow(want, root, &disk, changes)
    }

    /// Gives it its elastic address.
    fn address(
        &self,
        want: &Wants,
        owned: &Owned,
        instance: &mut Instance,
        changes: &mut Changes,
    ) -> Result<(), DriverError> {
        let Some(elastic) = &want.elastic else { return Ok(()) };
        let address = match elastic {
            Elastic::New => {
                let mut ours = self.all(|query| self.api.addresses(query), self.of(&want.id))?;
                ours.retain(|address| self.mark.of(&address.tags, &want.id));
                // The one it has, and of an allocation whose answer was lost none.
                ours.sort_by_key(|address| (address.instance.is_none(), address.id.clone()));
                for more in ours.iter().skip(1) {
                    let owned = self.mark.owned(&more.id, &more.tags)?;
                    self.end(&format!("the address {}", more.ip), &Change::Release(owned))?;
                    changes.note("duplicate", more.ip.as_str(), Value::Null);
                }
                match ours.into_iter().next() {
                    Some(address) => address,
                    None => {
                        let id = self.change(&Change::Allocate { tags: self.mark.tags(Some(&want.id)) })?;
                        let query = Query::all().by("allocation-id", &id);
                        self.until(&format!("the address {id}"), SETTLES, || {
                            match self.all(|query| self.api.addresses(query), query.clone()) {
                                Err(error) if error.is_missing() => Ok(None),
                                found => Ok(found?.into_iter().next()),
                            }
                        })?
                    }
                }
            }
            Elastic::There(said) => {
                let field = if said.starts_with("eipalloc-") { "allocation-id" } else { "public-ip" };
                let found = self.all(|query| self.api.addresses(query), Query::all().by(field, said))?;
                let Some(found) = found.into_iter().next() else {
                    return Err(DriverError::Declaration(format!("{}: there is no elastic address `{said}`", want.id)));
                };
                if found.instance.as_ref().is_some_and(|other| other != &instance.id) {
                    return Err(DriverError::Refused(format!(
                        "{}: the address {} is in use by {}",
                        want.id,
                        found.ip,
                        found.instance.unwrap_or_default()
                    )));
                }
                found
            }
        };
        if address.instance.as_ref() != Some(&instance.id) {
            let change = Change::Associate {
                address: address.id.clone(),
                instance: owned.clone(),
                ours: self.mark.has(&address.tags),
            };
            self.settle(&format!("giving {} to {}", address.ip, instance.id), SETTLES, &change)?;
            changes.note("elastic_ip", instance.public.clone(), address.ip.as_str());
        }
        instance.public = Some(address.ip);
        Ok(())
    }

    /// Writes the tags that are missing, and last that all is done.
    fn tag(&self, want: &Wants, owned: &Owned, instance: &Instance, changes: &mut Changes) -> Result<(), DriverError> {
        let mut wanted = want.tags.clone();
        wanted.insert(GUEST.into(), want.id.clone());
        wanted.insert(READY.into(), "true".into());
        wanted.retain(|key, value| instance.tags.get(key) != Some(value));
        if wanted.is_empty() {
            return Ok(());
        }
        let shown = |tags: &Tags| tags.iter().filter(|(key, _)| !key.starts_with("corpus:")).map(pair).collect::<Map>();
        let (new, old): (Map, Map) =
            (shown(&wanted), instance.tags.iter().filter(|(key, _)| wanted.contains_key(*key)).map(pair).collect());
        self.settle(&format!("tagging {}", instance.id), SETTLES, &Change::Tag { thing: owned.clone(), tags: wanted })?;
        if !new.is_empty() {
            changes.note("tag", old, new);
        }
        Ok(())
    }
}

fn pair<'a>((key, value): (&'a String, &'a String)) -> (&'a str, &'a str) {
    (key, value)
}

/// All disks, the first one among them if its size or end is declared.
fn disks(want: &Wants, root: &str) -> Vec<Disk> {
    let mut all = want.disks.clone();
    match all.iter_mut().find(|disk| disk.device == root) {
        Some(disk) => disk.gib = want.root.or(disk.gib),
        None if !root.is_empty() => {
            all.push(Disk { device: root.to_owned(), gib: want.root, ends: want.root_ends, ..Disk::default() });
        }
        None => {}
    }
    all
}
