//! Where an instance is put: its VPC, subnet and security groups, found by what names them, or made where that is declared.
//! What is made is all guests' of one provider, and goes with the last.

use super::api::{Change, Kind, Named, Query, Rule};
use super::look::{Ec2Work, SETTLES, is_dead};
use super::mark::{GUEST, OWNER};
use super::wants::{Group, Subnet, Vpc, Wants};
use crate::driver::DriverError;

/// The place of an instance.
#[derive(Clone, Debug, Default)]
pub struct Place {
    pub vpc: Option<String>,
    pub subnet: Option<String>,
    pub groups: Vec<String>,
}

impl Ec2Work<'_> {
    /// Finds it, or makes it.
    pub fn place(&self, want: &Wants) -> Result<Place, DriverError> {
        let (subnet, vpc) = match &want.subnet {
            Subnet::Default => (None, None),
            Subnet::There(named) => {
                let found = self.find(want, Kind::Subnet, named, None)?;
                (Some(found.id), Some(found.vpc))
            }
            Subnet::Made { cidr, zone, vpc, internet } => {
                let vpc = self.vpc(want, vpc)?;
                if *internet {
                    self.way_out(&vpc)?;
                }
                (Some(self.subnet(cidr, zone.as_ref(), &vpc)?), Some(vpc))
            }
        };
        let vpc = match (vpc, want.groups.is_empty()) {
            (Some(vpc), _) => Some(vpc),
            (None, true) => None,
            (None, false) => Some(self.default_vpc(want)?),
        };
        let mut groups = vec![];
        for group in &want.groups {
            let id = match group {
                Group::There(named) => self.find(want, Kind::Group, named, vpc.as_deref())?.id,
                Group::Made { name, about, rules } => {
                    self.group(name, about, rules, vpc.as_deref().unwrap_or_default())?
                }
            };
            if !groups.contains(&id) {
                groups.push(id);
            }
        }
        Ok(Place { vpc, subnet, groups })
    }

    fn default_vpc(&self, want: &Wants) -> Result<String, DriverError> {
        let found = self.all(|query| self.api.named(Kind::Vpc, query), Query::all().by("is-default", "true"))?;
        found.into_iter().next().map(|vpc| vpc.id).ok_or_else(|| {
            DriverError::Declaration(format!("{}: there is no default VPC here; name a `subnetid`", want.id))
        })
    }

    /// Finds one thing by its id, or its name.
    fn find(&self, want: &Wants, kind: Kind, named: &str, vpc: Option<&str>) -> Result<Named, DriverError> {
        let (prefix, by_id, by_name) = match kind {
            Kind::Group => ("sg-", "group-id", "group-name"),
            Kind::Subnet => ("subnet-", "subnet-id", "tag:Name"),
            _ => ("vpc-", "vpc-id", "tag:Name"),
        };
        let mut query = Query::all().by(if named.starts_with(prefix) { by_id } else { by_name }, named);
        if let Some(vpc) = vpc {
            query = query.by("vpc-id", vpc);
        }
        let found = match self.all(|query| self.api.named(kind, query), query) {
            Err(error) if error.is_missing() => vec![],
            found => found?,
        };
        let wrong = |why: String| Err(DriverError::Declaration(format!("{}: {why}", want.id)));
        let wanted = kind.word();
        match <[Named; 1]>::try_from(found) {
            Ok([one]) => Ok(one),
            Err(none) if none.is_empty() => wrong(format!("there is no {wanted} `{named}` here")),
            Err(many) => {
                let ids: Vec<&str> = many.iter().map(|one| one.id.as_str()).collect();
                wrong(format!("several a {wanted} is named `{named}`: {}; name one by its id", ids.join(", ")))
            }
        }
    }

    /// Finds what an installation made for all, or makes it; what is made is waited for.
    fn made(&self, kind: Kind, query: &Query, change: &Change) -> Result<Named, DriverError> {
        let plain = query;
        let query = query.clone().by(&format!("tag:{OWNER}"), &self.mark.0);
        let look = || -> Result<Option<Named>, DriverError> {
            match self.all(|query| self.api.named(kind, query), query.clone()) {
                Err(error) if error.is_missing() => Ok(None),
                found => {
                    // Of two, the answer to the first being lost, the first is used; both go with the last guest.
                    let ours = found?.into_iter().filter(|found| self.mark.has(&found.tags));
                    Ok(ours.min_by(|a, b| a.id.cmp(&b.id)))
                }
            }
        };
        if let Some(found) = look()? {
            return Ok(found);
        }
        // Something of the name may be there and not ours, or ours and not yet seen.
        let refused = match self.change_new(kind, change) {
            Ok(()) => None,
            Err(error) if error.is_duplicate() => Some(error),
            Err(error) => return Err(error.into()),
        };
        self.until(&format!("a {}", kind.word()), SETTLES, || {
            if let Some(found) = look()? {
                return Ok(Some(found));
            }
            let Some(refused) = &refused else { return Ok(None) };
            let foreign = self.all(|query| self.api.named(kind, query), plain.clone())?;
            match foreign.iter().any(|found| !self.mark.has(&found.tags)) {
                true => {
                    Err(DriverError::Refused(format!("{refused}; it does not bear our mark, and is left as it is")))
                }
                false => Ok(None),
            }
        })
    }

    /// What it is in may not be known yet.
    fn change_new(&self, kind: Kind, change: &Change) -> Result<(), super::api::ApiError> {
        let mut refused = None;
        let done = self.until(kind.word(), SETTLES, || match self.change(change) {
            Ok(_) => Ok(Some(Ok(()))),
            Err(error) if error.is_missing() => {
                refused = Some(error);
                Ok(None)
            }
            Err(error) => Ok(Some(Err(error))),
        });
        match done {
            Ok(answer) => answer,
            Err(error) => Err(refused.unwrap_or_else(|| super::api::ApiError::new("lost", error.to_string()))),
        }
    }

    fn vpc(&self, want: &Wants, vpc: &Vpc) -> Result<String, DriverError> {
        match vpc {
            Vpc::There(named) => Ok(self.find(want, Kind::Vpc, named, None)?.id),
            Vpc::Made { cidr } => {
                let change = Change::CreateVpc { cidr: cidr.clone(), tags: self.mark.tags(None) };
                Ok(self.made(Kind::Vpc, &Query::all().by("cidr", cidr), &change)?.id)
            }
        }
    }

    /// Ends VPCs and gateways of ours that were made beside those in use: of a run whose answer was lost, and that were not
    /// yet seen.
    pub fn tidy(&self, want: &Wants, place: &Place) -> Result<(), DriverError> {
        let Subnet::Made { vpc: Vpc::Made { cidr }, .. } = &want.subnet else { return Ok(()) };
        let ours = || Query::all().by(&format!("tag:{OWNER}"), &self.mark.0);
        let mut idle = vec![];
        for other in self.all(|query| self.api.named(Kind::Vpc, query), ours().by("cidr", cidr))? {
            if place.vpc.as_ref() != Some(&other.id) {
                idle.push(Change::DeleteVpc(self.mark.owned(&other.id, &other.tags)?));
            }
        }
        for other in self.all(|query| self.api.named(Kind::Gateway, query), ours())? {
            if other.vpc.is_empty() {
                idle.push(Change::DeleteGateway(self.mark.owned(&other.id, &other.tags)?));
            }
        }
        for change in &idle {
            match self.change(change) {
                Err(error) if !error.is_in_use() && !error.is_missing() => return Err(error.into()),
                _ => {}
            }
        }
        Ok(())
    }

    /// Gives a VPC of ours its way to the internet.
    fn way_out(&self, vpc: &str) -> Result<(), DriverError> {
        let found = self.all(|query| self.api.named(Kind::Vpc, query), Query::all().by("vpc-id", vpc))?;
        let Some(found) = found.into_iter().next() else { return Ok(()) };
        let owned = self.mark.owned(&found.id, &found.tags)?;
        let ours = || Query::all().by(&format!("tag:{OWNER}"), &self.mark.0);
        let look = || -> Result<Option<Named>, DriverError> {
            let mut all = self.all(|query| self.api.named(Kind::Gateway, query), ours())?;
            // The one that it has, or one that has none: of an attachment that was cut off.
            all.retain(|gateway| gateway.vpc == vpc || gateway.vpc.is_empty());
            all.sort_by_key(|gateway| (gateway.vpc.is_empty(), gateway.id.clone()));
            Ok(all.into_iter().next())
        };
        let gateway = match look()? {
            Some(gateway) => gateway,
            None => {
                self.change(&Change::CreateGateway { tags: self.mark.tags(None) })?;
                self.until("an internet gateway", SETTLES, look)?
            }
        };
        let way = self.mark.owned(&gateway.id, &gateway.tags)?;
        if gateway.vpc.is_empty() {
            let attach = Change::AttachGateway { gateway: way.clone(), vpc: owned.clone() };
            self.settle(&format!("attaching {}", gateway.id), SETTLES, &attach)?;
        }
        let query = Query::all().by("vpc-id", vpc).by("association.main", "true");
        let table = self.until("the route table", SETTLES, || {
            Ok(self.all(|query| self.api.named(Kind::Routes, query), query.clone())?.into_iter().next())
        })?;
        if table.name != gateway.id {
            let route = Change::RouteOut { vpc: owned, table: table.id, gateway: way };
            self.settle("the route to the internet", SETTLES, &route)?;
        }
        Ok(())
    }

    fn subnet(&self, cidr: &str, zone: Option<&String>, vpc: &str) -> Result<String, DriverError> {
        let query = Query::all().by("vpc-id", vpc).by("cidr-block", cidr);
        let change = Change::CreateSubnet {
            vpc: vpc.to_owned(),
            cidr: cidr.to_owned(),
            zone: zone.cloned(),
            tags: self.mark.tags(None),
        };
        Ok(self.made(Kind::Subnet, &query, &change)?.id)
    }

    /// A group of ours has the rules that are declared, and no others.
    fn group(&self, name: &str, about: &str, rules: &[Rule], vpc: &str) -> Result<String, DriverError> {
        let query = Query::all().by("vpc-id", vpc).by("group-name", name);
        let change = Change::CreateGroup {
            name: name.to_owned(),
            about: about.to_owned(),
            vpc: vpc.to_owned(),
            tags: self.mark.tags(None),
        };
        let group = self.made(Kind::Group, &query, &change)?;
        let owned = self.mark.owned(&group.id, &group.tags)?;
        let missing: Vec<Rule> = rules.iter().filter(|rule| !group.rules.contains(rule)).cloned().collect();
        let more: Vec<Rule> = group.rules.iter().filter(|rule| !rules.contains(rule)).cloned().collect();
        if !missing.is_empty() {
            let allow = Change::Allow { group: owned.clone(), rules: missing };
            match self.settle(&format!("the rules of {name}"), SETTLES, &allow) {
                Err(DriverError::Hands(error)) if error.to_string().contains("InvalidPermission.Duplicate") => {}
                done => _ = done?,
            }
        }
        if !more.is_empty() {
            self.settle(&format!("the rules of {name}"), SETTLES, &Change::Forbid { group: owned, rules: more })?;
        }
        Ok(group.id)
    }

    /// Takes away what was made for all, when no guest of ours is left in it.
    pub fn leave(&self) -> Result<(), DriverError> {
        let ours = || Query::all().by(&format!("tag:{OWNER}"), &self.mark.0);
        let instances = self.all(|query| self.api.instances(query), ours())?;
        let living: Vec<_> = instances.iter().filter(|found| self.mark.has(&found.tags) && !is_dead(found)).collect();
        for kind in [Kind::Group, Kind::Subnet, Kind::Gateway, Kind::Vpc] {
            for thing in self.all(|query| self.api.named(kind, query), ours())? {
                let used = living.iter().any(|instance| match kind {
                    Kind::Group => instance.groups.iter().any(|(id, _)| *id == thing.id),
                    Kind::Subnet => instance.subnet == thing.id,
                    Kind::Gateway => instance.vpc == thing.vpc,
                    _ => instance.vpc == thing.id,
                });
                if used || thing.tags.contains_key(GUEST) {
                    continue;
                }
                let owned = self.mark.owned(&thing.id, &thing.tags)?;
                let change = match kind {
                    Kind::Group => Change::DeleteGroup(owned),
                    Kind::Subnet => Change::DeleteSubnet(owned),
                    Kind::Gateway => {
                        if !thing.vpc.is_empty() {
                            let detach = Change::DetachGateway { gateway: owned.clone(), vpc: thing.vpc.clone() };
                            self.end(&format!("the way out of {}", thing.vpc), &detach)?;
                        }
                        Change::DeleteGateway(owned)
                    }
                    _ => Change::DeleteVpc(owned),
                };
                self.end(&format!("the {} {}", kind.word(), thing.id), &change)?;
            }
        }
        Ok(())
    }
}
