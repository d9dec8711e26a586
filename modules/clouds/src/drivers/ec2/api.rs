//! What the driver asks of EC2: a few looks that come in pages, and changes as data. No type of an SDK is here; the crate
//! `corpus-ec2-sdk` has the real one, tests have one that fails when it is told to.

use std::collections::BTreeMap;
use std::fmt;

/// Tags of a thing.
pub type Tags = BTreeMap<String, String>;

/// How a provider's API is reached. Its secret is never printed.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Account {
    pub region: Option<String>,
    /// Another address of the API than Amazon's.
    pub endpoint: Option<String>,
    /// An access key and its secret; without them the usual chain is walked: environment, profiles, the instance's role.
    pub keys: Option<(String, String)>,
    /// A profile of `~/.aws/config`.
    pub profile: Option<String>,
    /// A role that is taken on.
    pub role: Option<String>,
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account")
            .field("region", &self.region)
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

/// Why the API did not do it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("EC2: {code}: {message}")]
pub struct ApiError {
    /// EC2's own word, `InvalidInstanceID.NotFound`; `lost` where no answer came.
    pub code: String,
    pub message: String,
}

impl ApiError {
    /// Makes one.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into() }
    }

    /// It is not there, or not yet.
    pub fn is_missing(&self) -> bool {
        self.code.ends_with(".NotFound") || self.code.ends_with(".Unknown") || self.code == "Gateway.NotAttached"
    }

    /// It was not looked at, there being too many calls.
    pub fn is_throttled(&self) -> bool {
        ["RequestLimitExceeded", "Throttling", "ThrottlingException", "RequestThrottled"].contains(&self.code.as_str())
    }

    /// It is there already.
    pub fn is_duplicate(&self) -> bool {
        self.code.ends_with(".Duplicate") || self.code == "InvalidSubnet.Conflict"
    }

    /// Something still hangs on it, or it is not yet in the state for that.
    pub fn is_in_use(&self) -> bool {
        ["DependencyViolation", "IncorrectState", "IncorrectInstanceState", "VolumeInUse", "InvalidIPAddress.InUse"]
            .contains(&self.code.as_str())
    }
}

/// A page of a listing.
#[derive(Clone, Debug)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// What asks for the next one.
    pub next: Option<String>,
}

/// What is listed: filters by EC2's names, and the page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    pub filters: Vec<(String, Vec<String>)>,
    pub next: Option<String>,
}

impl Query {
    /// Asks for all.
    pub fn all() -> Self {
        Self::default()
    }

    /// Asks for those whose field has a value.
    pub fn by(mut self, name: &str, value: &str) -> Self {
        self.filters.push((name.to_owned(), vec![value.to_owned()]));
        self
    }
}

/// An instance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Instance {
    pub id: String,
    /// `pending`, `running`, `stopping`, `stopped`, `shutting-down`, `terminated`.
    pub state: String,
    /// Why it is in that state, if EC2 says.
    pub reason: String,
    pub kind: String,
    pub image: String,
    pub private: Option<String>,
    pub public: Option<String>,
    pub subnet: String,
    pub vpc: String,
    pub zone: String,
    /// Ids and names.
    pub groups: Vec<(String, String)>,
    pub root: String,
    pub launched: String,
    pub tags: Tags,
}

/// A volume.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Volume {
    pub id: String,
    pub gib: u64,
    /// `available` has no instance.
    pub state: String,
    pub instance: Option<String>,
    pub device: Option<String>,
    pub tags: Tags,
}

/// An image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    pub id: String,
    pub name: String,
    pub created: String,
    /// The name of its first disk.
    pub root: String,
}

/// An elastic address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Address {
    pub id: String,
    pub ip: String,
    pub instance: Option<String>,
    pub tags: Tags,
}

/// A rule of a security group: who may come in where.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rule {
    pub protocol: String,
    pub from: i32,
    pub to: i32,
    pub cidr: String,
}

/// Kinds of things that have little beside a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Vpc,
    Subnet,
    Group,
    Key,
    /// Of a VPC to the internet.
    Gateway,
    /// The main one of a VPC.
    Routes,
}

impl Kind {
    /// Says it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Vpc => "VPC",
            Self::Subnet => "subnet",
            Self::Group => "security group",
            Self::Key => "key pair",
            Self::Gateway => "internet gateway",
            Self::Routes => "route table",
        }
    }
}

/// One of those.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Named {
    pub id: String,
    /// The name of a group or key pair; the block of a VPC or subnet; of a route table where the internet is.
    pub name: String,
    /// The VPC that it is in, or a gateway is attached to.
    pub vpc: String,
    /// Of a group: who may come in.
    pub rules: Vec<Rule>,
    pub tags: Tags,
}

/// The id of something that bears our mark. There is no other way to one than [`super::mark::Mark::owned`], so what is
/// changed or ended is ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owned(pub(super) String);

impl Owned {
    /// Returns the id.
    pub fn id(&self) -> &str {
        &self.0
    }
}

/// A disk of a new instance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Disk {
    pub device: String,
    pub gib: Option<u64>,
    pub kind: Option<String>,
    pub iops: Option<i32>,
    pub snapshot: Option<String>,
    pub encrypted: Option<bool>,
    /// It ends with the instance.
    pub ends: bool,
}

/// An instance that is to be.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Launch {
    pub token: String,
    pub image: String,
    pub kind: String,
    pub key: Option<String>,
    pub subnet: Option<String>,
    pub zone: Option<String>,
    pub groups: Vec<String>,
    pub private: Option<String>,
    /// Whether it gets a public address; the subnet says otherwise.
    pub public: Option<bool>,
    pub disks: Vec<Disk>,
    pub profile: Option<String>,
    pub tenancy: Option<String>,
    pub placement: Option<String>,
    pub optimised: Option<bool>,
    pub protected: bool,
    /// It has a host key in it: never printed.
    pub user_data: String,
    pub tags: Tags,
    pub volume_tags: Tags,
}

impl fmt::Debug for Launch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Launch").field("token", &self.token).field("image", &self.image).finish_non_exhaustive()
    }
}

/// A change. What already is takes an [`Owned`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    Run(Box<Launch>),
    Start(Owned),
    Stop {
        instance: Owned,
        force: bool,
    },
    Reboot(Owned),
    Terminate(Owned),
    Retype {
        instance: Owned,
        kind: String,
    },
    Regroup {
        instance: Owned,
        groups: Vec<String>,
    },
    Tag {
        thing: Owned,
        tags: Tags,
    },
    Grow {
        volume: Owned,
        gib: u64,
    },
    AddVolume {
        disk: Disk,
        zone: String,
        tags: Tags,
    },
    Attach {
        volume: Owned,
        instance: Owned,
        device: String,
    },
    DeleteVolume(Owned),
    ImportKey {
        name: String,
        public: String,
        tags: Tags,
    },
    /// By its name.
    DeleteKey(Owned),
    CreateGroup {
        name: String,
        about: String,
        vpc: String,
        tags: Tags,
    },
    Allow {
        group: Owned,
        rules: Vec<Rule>,
    },
    Forbid {
        group: Owned,
        rules: Vec<Rule>,
    },
    DeleteGroup(Owned),
    Allocate {
        tags: Tags,
    },
    /// The address may be somebody's who named it, and is taken only if it is free; ours is taken from what goes.
    Associate {
        address: String,
        instance: Owned,
        ours: bool,
    },
    Release(Owned),
    CreateVpc {
        cidr: String,
        tags: Tags,
    },
    DeleteVpc(Owned),
    CreateSubnet {
        vpc: String,
        cidr: String,
        zone: Option<String>,
        tags: Tags,
    },
    DeleteSubnet(Owned),
    CreateGateway {
        tags: Tags,
    },
    AttachGateway {
        gateway: Owned,
        vpc: Owned,
    },
    DetachGateway {
        gateway: Owned,
        vpc: String,
    },
    DeleteGateway(Owned),
    /// The table is the VPC's, which is ours.
    RouteOut {
        vpc: Owned,
        table: String,
        gateway: Owned,
    },
}

/// EC2, or what passes for it.
pub trait Ec2Api: Send + Sync {
    /// Lists instances.
    fn instances(&self, query: &Query) -> Result<Page<Instance>, ApiError>;
    /// Lists volumes.
    fn volumes(&self, query: &Query) -> Result<Page<Volume>, ApiError>;
    /// Lists images.
    fn images(&self, query: &Query) -> Result<Page<Image>, ApiError>;
    /// Lists elastic addresses.
    fn addresses(&self, query: &Query) -> Result<Page<Address>, ApiError>;
    /// Lists things that have little beside a name.
    fn named(&self, kind: Kind, query: &Query) -> Result<Page<Named>, ApiError>;
    /// Changes something; returns the id of what was made.
    fn change(&self, change: &Change) -> Result<String, ApiError>;
}
