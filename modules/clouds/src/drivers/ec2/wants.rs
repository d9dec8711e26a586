//! A declaration in salt-cloud's words, read into what EC2 is asked for.

use super::api::{Disk, Rule, Tags};
use crate::driver::DriverError;
use crate::spec::{GuestSpec, Status};
use corpus_core::{Map, Value, python, suggest};

/// A security group: one that is there, or one that corpus makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Group {
    /// By id or name.
    There(String),
    Made {
        name: String,
        about: String,
        rules: Vec<Rule>,
    },
}

/// A VPC: one that is there, or one that corpus makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Vpc {
    There(String),
    Made { cidr: String },
}

/// Where it is put.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subnet {
    /// EC2's own choice.
    Default,
    /// By id, or by its tag `Name`.
    There(String),
    Made {
        cidr: String,
        zone: Option<String>,
        vpc: Vpc,
        /// A VPC that is made gets a way to the internet.
        internet: bool,
    },
}

/// An elastic address: a new one, or one that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Elastic {
    New,
    There(String),
}

/// What is wanted of an instance.
#[derive(Clone, Debug)]
pub struct Wants {
    pub id: String,
    pub status: Status,
    pub image: String,
    pub image_owner: Option<String>,
    pub kind: String,
    pub keyname: Option<String>,
    pub groups: Vec<Group>,
    pub subnet: Subnet,
    pub zone: Option<String>,
    pub private: Option<String>,
    pub public: Option<bool>,
    /// GiB of the root disk.
    pub root: Option<u64>,
    pub disks: Vec<Disk>,
    pub elastic: Option<Elastic>,
    pub profile: Option<String>,
    pub tenancy: Option<String>,
    pub placement: Option<String>,
    pub optimised: Option<bool>,
    pub protected: bool,
    pub tags: Tags,
    pub user_data: Option<String>,
    /// It may be stopped for what cannot be changed while it runs.
    pub may_stop: bool,
    pub root_ends: bool,
}

const GIB: u64 = 1 << 30;

/// Rounds up to whole GiB.
pub fn gib(bytes: u64) -> u64 {
    bytes.div_ceil(GIB)
}

fn words(value: Option<&Value>) -> Vec<Value> {
    match value {
        None | Some(Value::Null) => vec![],
        Some(Value::List(items)) => items.to_vec(),
        Some(Value::Str(text)) => text.split(',').map(|word| Value::str(word.trim())).collect(),
        Some(one) => vec![one.clone()],
    }
}

struct Reader<'a>(&'a GuestSpec);

impl Reader<'_> {
    fn wrong<T>(&self, why: impl std::fmt::Display) -> Result<T, DriverError> {
        Err(DriverError::Declaration(format!("{}: {why}", self.0.id)))
    }

    fn get(&self, key: &str) -> Option<&Value> {
        self.0.options.get(key).filter(|value| !value.is_null())
    }

    fn text(&self, key: &str) -> Option<String> {
        self.get(key).map(python::str)
    }

    fn flag(&self, key: &str, or: bool) -> bool {
        self.get(key).map_or(or, Value::truthy)
    }

    /// Refuses keys of a mapping that mean nothing.
    fn known(&self, what: &str, map: &Map, known: &[&str]) -> Result<(), DriverError> {
        for key in map.keys().map(python::str) {
            if !known.contains(&key.as_str()) {
                let hint = suggest::did_you_mean(&key, known.iter().copied())
                    .unwrap_or_else(|| format!("there are: {}", known.join(", ")));
                return self.wrong(format!("`{what}` has an unknown key `{key}`; {hint}"));
            }
        }
        Ok(())
    }

    fn need(&self, what: &str, map: &Map, key: &str) -> Result<String, DriverError> {
        match map.get(key).filter(|value| !value.is_null()) {
            Some(value) => Ok(python::str(value)),
            None => self.wrong(format!("`{what}` needs a `{key}`")),
        }
    }

    fn number<T: std::str::FromStr>(&self, what: &str, value: Option<&Value>) -> Result<Option<T>, DriverError> {
        match value.filter(|value| !value.is_null()) {
            None => Ok(None),
            Some(value) => match python::str(value).parse() {
                Ok(number) => Ok(Some(number)),
                Err(_) => self.wrong(format!("`{what}` must be a number, found {}", python::repr(value))),
            },
        }
    }

    fn groups(&self) -> Result<Vec<Group>, DriverError> {
        let mut groups = vec![];
        for key in ["securitygroup", "securitygroupname", "securitygroupid"] {
            for item in words(self.get(key)) {
                match item.as_map() {
                    Some(map) => groups.push(self.group(map)?),
                    None => groups.push(Group::There(python::str(&item))),
                }
            }
        }
        Ok(groups)
    }

    fn group(&self, map: &Map) -> Result<Group, DriverError> {
        self.known("securitygroup", map, &["name", "description", "ingress"])?;
        let name = self.need("securitygroup", map, "name")?;
        let about = map.get("description").map_or_else(|| "made by corpus".to_owned(), python::str);
        let mut rules = vec![];
        for item in words(map.get("ingress")) {
            let Some(rule) = item.as_map() else {
                return self.wrong(format!("a rule of `{name}` is a mapping, found {}", python::repr(&item)));
            };
            self.known("ingress", rule, &["protocol", "port", "to_port", "cidr"])?;
            let protocol = rule.get("protocol").map_or_else(|| "tcp".to_owned(), python::str);
            let from = self.number("port", rule.get("port"))?;
            let (from, to) = match (protocol.as_str(), from) {
                ("tcp" | "udp", Some(from)) => (from, self.number("to_port", rule.get("to_port"))?.unwrap_or(from)),
                ("tcp" | "udp", None) => return self.wrong(format!("a rule of `{name}` needs a `port`")),
                (_, from) => (from.unwrap_or(-1), self.number("to_port", rule.get("to_port"))?.unwrap_or(-1)),
            };
            for cidr in words(rule.get("cidr")) {
                rules.push(Rule { protocol: protocol.clone(), from, to, cidr: python::str(&cidr) });
            }
            if rule.get("cidr").is_none_or(|cidr| !cidr.truthy()) {
                return self.wrong(format!("a rule of `{name}` needs a `cidr`: who may come in"));
            }
        }
        rules.sort();
        rules.dedup();
        Ok(Group::Made { name, about, rules })
    }

    fn subnet(&self, interface: &Map) -> Result<Subnet, DriverError> {
        if let Some(made) = self.get("subnet") {
            let Some(map) = made.as_map() else {
                return self.wrong("`subnet` says one that is to be made: {cidr: …, vpc: …}; `subnetid` names one");
            };
            self.known("subnet", map, &["cidr", "availability_zone", "vpc", "internet"])?;
            let vpc = match map.get("vpc") {
                Some(Value::Map(vpc)) => {
                    self.known("vpc", vpc, &["cidr"])?;
                    Vpc::Made { cidr: self.need("vpc", vpc, "cidr")? }
                }
                Some(value) if value.truthy() => Vpc::There(python::str(value)),
                _ => return self.wrong("`subnet` needs a `vpc`: an id, or {cidr: …} for one that is to be made"),
            };
            let zone = map.get("availability_zone").map(python::str);
            let internet = map.get("internet").is_some_and(Value::truthy);
            if internet && matches!(vpc, Vpc::There(_)) {
                return self.wrong("`internet` is for a `vpc` that is to be made; one that is there has its own ways");
            }
            return Ok(Subnet::Made { cidr: self.need("subnet", map, "cidr")?, zone, vpc, internet });
        }
        let named = self.text("subnetid").or_else(|| self.text("subnetname"));
        let named =
            named.or_else(|| interface.get("SubnetId").or_else(|| interface.get("subnetname")).map(python::str));
        Ok(named.map_or(Subnet::Default, Subnet::There))
    }

    fn interface(&self) -> Result<Map, DriverError> {
        let all = words(self.get("network_interfaces"));
        if all.len() > 1 {
            return self.wrong("more than one of `network_interfaces` is not built");
        }
        let Some(one) = all.into_iter().next() else { return Ok(Map::new()) };
        let Some(map) = one.as_map() else {
            return self.wrong(format!("`network_interfaces` is a list of mappings, found {}", python::repr(&one)));
        };
        const KNOWN: &[&str] = &[
            "DeviceIndex",
            "SubnetId",
            "subnetname",
            "PrivateIpAddress",
            "AssociatePublicIpAddress",
            "SecurityGroupId",
        ];
        for (key, why) in [
            ("NetworkInterfaceId", "an interface that is there already is not taken"),
            ("allocate_new_eip", "write `elastic_ip: True`"),
            ("associate_eip", "write `elastic_ip: ADDRESS`"),
        ] {
            if map.contains(key) {
                return self.wrong(format!("`network_interfaces`: `{key}` is not built: {why}"));
            }
        }
        self.known("network_interfaces", map, KNOWN)?;
        Ok(map.clone())
    }

    fn disks(&self) -> Result<Vec<Disk>, DriverError> {
        let end = self.flag("del_all_vols_on_destroy", true);
        let mut disks: Vec<Disk> = vec![];
        for (key, names) in [
            ("block_device_mappings", BDM),
            ("volumes", &["device", "size", "type", "iops", "snapshot", "encrypted", ""] as &[&str; 7]),
        ] {
            for item in words(self.get(key)) {
                let Some(map) = item.as_map() else {
                    return self.wrong(format!("`{key}` is a list of mappings, found {}", python::repr(&item)));
                };
                let known: Vec<&str> = names.iter().copied().filter(|name| !name.is_empty()).collect();
                self.known(key, map, &known)?;
                let said = |at: usize| map.get(names[at]).filter(|value| !value.is_null());
                let device = self.need(key, map, names[0])?;
                if disks.iter().any(|disk| disk.device == device) {
                    return self.wrong(format!("the device {device} is declared twice"));
                }
                disks.push(Disk {
                    device,
                    gib: self.number(names[1], said(1))?,
                    kind: said(2).map(python::str),
                    iops: self.number(names[3], said(3))?,
                    snapshot: said(4).map(python::str),
                    encrypted: said(5).map(Value::truthy),
                    ends: said(6).map_or(end, Value::truthy),
                });
            }
        }
        Ok(disks)
    }
}

/// Salt's names, which are EC2's.
const BDM: &[&str; 7] = &[
    "DeviceName",
    "Ebs.VolumeSize",
    "Ebs.VolumeType",
    "Ebs.Iops",
    "Ebs.SnapshotId",
    "Ebs.Encrypted",
    "Ebs.DeleteOnTermination",
];

/// Whether any disk of a guest is declared to outlive it.
pub fn stays(want: &GuestSpec) -> bool {
    let read = Reader(want);
    let disks = read.disks().unwrap_or_default();
    !read.flag("del_root_vol_on_destroy", true)
        || !read.flag("del_all_vols_on_destroy", true)
        || disks.iter().any(|disk| !disk.ends)
}

impl Wants {
    /// Reads a declaration, and refuses what EC2 or corpus cannot.
    pub fn read(want: &GuestSpec) -> Result<Self, DriverError> {
        let read = Reader(want);
        if read.get("spot_config").is_some() {
            return read.wrong(
                "`spot_config` is refused: a spot instance ends when Amazon wants it back, and what is declared is to stay; \
                 declare it without",
            );
        }
        if want.status == Status::Frozen {
            return read.wrong("EC2 cannot freeze; `status` is running or stopped");
        }
        if want.memory.is_some() || want.cpu.is_some() {
            return read.wrong("`memory` and `cpu` are the instance type's: declare `size`");
        }
        if let Some(clone) = &want.clone_from {
            return read.wrong(format!("it cannot be copied from {clone}: EC2 copies by images only, name an `image`"));
        }
        if want.disk.is_some_and(|bytes| !bytes.is_multiple_of(GIB)) {
            return read.wrong("a disk of EC2 is so many whole GiB");
        }
        // Foreign instances are listed by their ids: a guest must not be mistaken for one.
        if want.id.strip_prefix("i-").is_some_and(|rest| rest.chars().all(|c| c.is_ascii_hexdigit())) {
            return read.wrong("a guest cannot be named like an instance of EC2");
        }
        let Some(image) = want.image.clone() else { return read.wrong("an `image` is needed: `ami-…`, or a name") };
        let Some(kind) = read.text("size") else { return read.wrong("a `size` is needed: `t3.micro`") };
        if let Some(interface) = read.text("ssh_interface").filter(|word| word != "private_ips" && word != "public_ips")
        {
            return read.wrong(format!("`ssh_interface` is private_ips or public_ips, not `{interface}`"));
        }
        let interface = read.interface()?;
        let mut groups = read.groups()?;
        groups.extend(words(interface.get("SecurityGroupId")).iter().map(|id| Group::There(python::str(id))));
        let mut tags = Tags::new();
        for (key, value) in read.get("tag").and_then(Value::as_map).into_iter().flatten() {
            let key = python::str(key);
            if key.starts_with("corpus:") || key.starts_with("aws:") {
                return read.wrong(format!("the tag `{key}` is not yours to set"));
            }
            tags.insert(key, python::str(value));
        }
        tags.entry("Name".to_owned()).or_insert_with(|| want.id.clone());
        let elastic = match read.get("elastic_ip") {
            None | Some(Value::Bool(false)) => None,
            Some(Value::Bool(true)) => Some(Elastic::New),
            Some(said) => Some(Elastic::There(python::str(said))),
        };
        let user_data = match (read.text("userdata"), read.text("userdata_file")) {
            (Some(_), Some(_)) => return read.wrong("either `userdata` or `userdata_file`, not both"),
            (text, None) => text,
            (None, Some(path)) => match std::fs::read_to_string(&path) {
                Ok(text) => Some(text),
                Err(error) => return read.wrong(format!("`userdata_file`: cannot read {path}: {error}")),
            },
        };
        Ok(Self {
            id: want.id.clone(),
            status: want.status,
            image,
            image_owner: read.text("owner"),
            kind,
            keyname: read.text("keyname"),
            groups,
            subnet: read.subnet(&interface)?,
            zone: read.text("availability_zone"),
            private: interface.get("PrivateIpAddress").map(python::str),
            public: interface.get("AssociatePublicIpAddress").map(Value::truthy),
            root: want.disk.map(gib),
            disks: read.disks()?,
            elastic,
            profile: read.text("iam_profile"),
            tenancy: read.text("tenancy"),
            placement: read.text("placementgroup"),
            optimised: read.get("ebs_optimized").map(Value::truthy),
            protected: read.flag("termination_protection", false),
            tags,
            user_data,
            may_stop: read.flag("may_stop", false),
            root_ends: read.flag("del_root_vol_on_destroy", true),
        })
    }
}
