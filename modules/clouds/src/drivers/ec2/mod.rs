//! Instances of Amazon's EC2, or of what speaks its language. All that is decided is here, against [`Ec2Api`]; the crate that
//! really calls it costs minutes to compile and is there only when corpus is built with the feature `ec2`.

pub mod api;
mod end;
mod look;
mod make;
mod mark;
mod net;
mod user_data;
mod wants;

pub use api::{Account, Ec2Api};

use super::text;
use crate::driver::{Asked, Capabilities, DriverError, Field, GuestDriver, GuestPlan, Kind, Reach, Step, Verb};
use crate::hands::{Hands, Place};
use crate::spec::{Guest, GuestSpec, Isolation, Node, Status};
use crate::store::{Store, StoreError};
use api::{Instance, Query};
use corpus_core::{Map, Value, python};
use look::{Ec2Work, is_dead};
use make::{Changes, Given};
use mark::Mark;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use wants::{Elastic, Group, Wants};

/// The tag that says which device a volume was made for.
const DEVICE: &str = "corpus:device:";
/// How many seconds a new instance may take to let us in.
const BOOTS: u64 = 300;

const FIELDS: &[Field] = &[
    Field { name: "size", kind: Kind::Text, doc: "The instance type, `t3.micro`." },
    Field { name: "location", kind: Kind::Text, doc: "The region; the provider's." },
    Field { name: "owner", kind: Kind::Text, doc: "Whose image it is, where `image` is a name." },
    Field { name: "availability_zone", kind: Kind::Text, doc: "The zone in the region." },
    Field {
        name: "keyname",
        kind: Kind::Text,
        doc: "A key pair that is there; otherwise the guest's own is imported.",
    },
    Field { name: "private_key", kind: Kind::Text, doc: "The private key file of `keyname`." },
    Field { name: "ssh_username", kind: Kind::Text, doc: "Who logs in; root otherwise, whom the user data lets in." },
    Field { name: "ssh_port", kind: Kind::Number, doc: "The port of SSH, 22 otherwise." },
    Field { name: "ssh_interface", kind: Kind::Text, doc: "public_ips or private_ips; public if there is one." },
    Field { name: "sudo", kind: Kind::Flag, doc: "Become root by sudo; so it is for another user than root." },
    Field { name: "ssh_gateway", kind: Kind::Text, doc: "A host to go through." },
    Field { name: "ssh_gateway_port", kind: Kind::Number, doc: "Its port, 22 otherwise." },
    Field { name: "ssh_gateway_username", kind: Kind::Text, doc: "Who logs in there, root otherwise." },
    Field {
        name: "securitygroup",
        kind: Kind::Any,
        doc: "Security groups by name, or {name:, description:, ingress: [{protocol:, port:, to_port:, cidr:}]} to be made.",
    },
    Field { name: "securitygroupname", kind: Kind::Any, doc: "The same, by name." },
    Field { name: "securitygroupid", kind: Kind::Any, doc: "The same, by id." },
    Field { name: "subnetid", kind: Kind::Text, doc: "The subnet's id." },
    Field { name: "subnetname", kind: Kind::Text, doc: "The subnet's tag Name." },
    Field {
        name: "subnet",
        kind: Kind::Map,
        doc: "A subnet to be made: {cidr:, availability_zone:, internet:, vpc: ID or {cidr:}}.",
    },
    Field {
        name: "network_interfaces",
        kind: Kind::List,
        doc: "One: SubnetId, PrivateIpAddress, AssociatePublicIpAddress, SecurityGroupId.",
    },
    Field { name: "elastic_ip", kind: Kind::Any, doc: "True for one of its own, or an address that is there." },
    Field { name: "tag", kind: Kind::Map, doc: "Tags; Name is the id unless it says otherwise." },
    Field {
        name: "block_device_mappings",
        kind: Kind::List,
        doc: "Disks: DeviceName, Ebs.VolumeSize, Ebs.VolumeType, …",
    },
    Field { name: "volumes", kind: Kind::List, doc: "Disks: device, size, type, iops, snapshot, encrypted." },
    Field { name: "del_root_vol_on_destroy", kind: Kind::Flag, doc: "Its first disk ends with it; true." },
    Field { name: "del_all_vols_on_destroy", kind: Kind::Flag, doc: "Its other disks end with it; true." },
    Field { name: "iam_profile", kind: Kind::Text, doc: "The instance profile, by name or ARN." },
    Field { name: "tenancy", kind: Kind::Text, doc: "default, dedicated or host." },
    Field { name: "placementgroup", kind: Kind::Text, doc: "The placement group." },
    Field { name: "ebs_optimized", kind: Kind::Flag, doc: "As EC2 has it." },
    Field { name: "termination_protection", kind: Kind::Flag, doc: "EC2 refuses to end it." },
    Field { name: "userdata", kind: Kind::Text, doc: "What else it is told at its first boot." },
    Field { name: "userdata_file", kind: Kind::Text, doc: "A file of that." },
    Field { name: "may_stop", kind: Kind::Flag, doc: "It may be stopped to change its `size`; false." },
    Field { name: "spot_config", kind: Kind::Any, doc: "Refused: what is declared is to stay." },
];

/// Keys of a provider that say how its API is reached. They are nobody's but the driver's: no guest has them, no ledger.
pub const ACCOUNT: &[&str] = &["id", "key", "role_arn", "aws_profile", "endpoint", "service_url"];

/// What connects to an account.
pub type Connects = dyn Fn(&Account) -> Result<Arc<dyn Ec2Api>, String> + Send + Sync;

/// The function that does, of the crate that is built in.
pub type Connect = fn(&Account) -> Result<Arc<dyn Ec2Api>, String>;

static CONNECT: OnceLock<Connect> = OnceLock::new();

/// Says what connects; the program does, if it was built with the SDK.
pub fn install(connect: Connect) {
    let _ = CONNECT.set(connect);
}

/// Connects, or says how to get what does.
fn connect(account: &Account) -> Result<Arc<dyn Ec2Api>, String> {
    match CONNECT.get() {
        Some(connect) => connect(account),
        None => Err("the driver `ec2` is not built into this corpus, for its SDK takes 8 GiB to compile; \
                     build it with `cargo build --release --features ec2`"
            .into()),
    }
}

/// What the driver is given.
pub struct Means {
    /// The accounts by provider.
    pub accounts: BTreeMap<String, Account>,
    pub connect: Box<Connects>,
    /// The installation's own word, which is made if it may be.
    pub mark: Box<dyn Fn(bool) -> Result<Option<String>, String> + Send + Sync>,
    /// Makes a host key: private and public half.
    pub host_key: Box<dyn Fn() -> Result<(String, String), String> + Send + Sync>,
    pub pause: Box<dyn Fn(Duration) + Send + Sync>,
}

impl Means {
    /// The real ones; the mark of the installation lies in the folder of the clouds.
    pub fn of(accounts: BTreeMap<String, Account>, store: &Store) -> Self {
        let (marks, keys) = (store.clone(), store.clone());
        let mark = move |make: bool| -> Result<Option<String>, StoreError> {
            const FILE: &str = "installation.json";
            let mark: Option<String> = marks.read(FILE)?;
            if mark.is_some() || !make {
                return Ok(mark);
            }
            let mark = crate::keys::word(2);
            marks.write(FILE, &mark)?;
            Ok(Some(mark))
        };
        Self {
            accounts,
            connect: Box::new(connect),
            mark: Box::new(move |make| mark(make).map_err(|error| error.to_string())),
            host_key: Box::new(move || crate::keys::host_pair(&keys)),
            pause: Box::new(std::thread::sleep),
        }
    }
}

/// The driver.
pub struct Ec2 {
    means: Means,
    open: Mutex<BTreeMap<String, Arc<dyn Ec2Api>>>,
    /// What is made for all guests is made by one at a time.
    shared: Mutex<()>,
}

/// Reads an account from a provider's keys.
pub fn account(said: &Map) -> Result<Account, String> {
    let text = |key: &str| said.get(key).filter(|value| !value.is_null()).map(python::str);
    for key in ["id", "key"] {
        if text(key).is_some_and(|value| value.starts_with("sdb://")) {
            return Err(format!("`{key}`: an address of a key store is not read here; name an `aws_profile`"));
        }
    }
    const ROLE: &str = "use-instance-role-credentials";
    let keys = match (text("id"), text("key")) {
        (None, None) => None,
        (Some(id), Some(key)) if id == ROLE && key == ROLE => None,
        (Some(id), Some(key)) => {
            corpus_core::secret::keep([&key]);
            Some((id, key))
        }
        _ => return Err("`id` and `key` belong together: either both or none".into()),
    };
    if let Some(url) = text("service_url").filter(|url| url != "amazonaws.com") {
        return Err(format!("`service_url: {url}` is not built; say the whole `endpoint`"));
    }
    let endpoint = text("endpoint").map(|url| if url.contains("://") { url } else { format!("https://{url}") });
    Ok(Account { region: text("location"), endpoint, keys, profile: text("aws_profile"), role: text("role_arn") })
}

impl Ec2 {
    /// Makes the driver.
    pub fn new(means: Means) -> Self {
        Self { means, open: Mutex::default(), shared: Mutex::default() }
    }

    fn api(&self, provider: &str) -> Result<Arc<dyn Ec2Api>, DriverError> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(api) = open.get(provider) {
            return Ok(api.clone());
        }
        let account = self.means.accounts.get(provider).cloned().unwrap_or_default();
        let api = (self.means.connect)(&account).map_err(|why| DriverError::Refused(format!("{provider}: {why}")))?;
        open.insert(provider.to_owned(), api.clone());
        Ok(api)
    }

    fn mark(&self, make: bool) -> Result<Option<Mark>, DriverError> {
        (self.means.mark)(make).map(|mark| mark.map(Mark)).map_err(DriverError::Refused)
    }
}

/// Reads an instance and its volumes into a guest. One that is not ours has its instance's id for its own.
fn guest(node: &Node, instance: &Instance, ours: bool, volumes: &[api::Volume], elastic: bool) -> Guest {
    let tag = |key: &str| instance.tags.get(key).cloned();
    let mut details = Map::new();
    details.insert("instance", instance.id.as_str());
    details.insert("size", instance.kind.as_str());
    details.insert("vpc", instance.vpc.as_str());
    details.insert("subnet", instance.subnet.as_str());
    details.insert("private_ips", instance.private.iter().cloned().collect::<Vec<_>>());
    details.insert("public_ips", instance.public.iter().cloned().collect::<Vec<_>>());
    let groups = instance.groups.iter().map(|(id, name)| (id.as_str(), name.as_str())).collect::<Map>();
    details.insert("securitygroups", groups);
    details.insert("tags", instance.tags.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect::<Map>());
    let mine = volumes.iter().filter(|volume| volume.instance.as_ref() == Some(&instance.id));
    let disks: Map = mine.filter_map(|volume| Some((volume.device.as_deref()?, volume.gib))).collect();
    details.insert("elastic", elastic);
    details.insert("ready", instance.tags.contains_key(mark::READY));
    if instance.tags.contains_key(mark::OWNER) {
        details.insert("owner", "corpus");
    }
    let root = disks.get(instance.root.as_str()).and_then(Value::as_int).and_then(|gib| u64::try_from(gib).ok());
    details.insert("disks", disks);
    if let Some(key) = tag(mark::HOST_KEY).filter(|_| ours) {
        details.insert("host_keys", vec![key]);
    }
    Guest {
        id: tag(mark::GUEST).filter(|_| ours).unwrap_or_else(|| instance.id.clone()),
        driver: "ec2".into(),
        node: node.id.clone(),
        status: match instance.state.as_str() {
            "running" | "pending" => Status::Running,
            _ => Status::Stopped,
        },
        image: Some(instance.image.clone()),
        disk: root.map(|gib| gib << 30),
        addresses: instance.public.iter().chain(&instance.private).cloned().collect(),
        details,
        ..Guest::default()
    }
}

/// The address by which it is reached.
fn host(want: &GuestSpec, public: Option<String>, private: Option<String>) -> Option<String> {
    match text(want, "ssh_interface").as_deref() {
        Some("private_ips") => private,
        Some("public_ips") => public,
        _ => public.or(private),
    }
}

fn port(want: &GuestSpec) -> u16 {
    text(want, "ssh_port").and_then(|port| port.parse().ok()).unwrap_or(22)
}

impl GuestDriver for Ec2 {
    fn kind(&self) -> &'static str {
        "ec2"
    }

    fn capabilities(&self) -> Capabilities {
        const IMAGES: &str =
            "EC2 copies a machine only as an image, which is not built; images are declared by `image`";
        Capabilities {
            isolation: Isolation::Machine,
            verbs: &["create", "start", "stop", "restart", "destroy", "resize", "exec"],
            not: &[
                ("freeze", "EC2 has no call that holds an instance where it is"),
                ("snapshot", IMAGES),
                ("restore", IMAGES),
                ("clone", IMAGES),
            ],
            allocates: false,
        }
    }

    fn schema(&self) -> &'static [Field] {
        FIELDS
    }

    fn inspect(&self, node: &Node, _: &[String], _: &dyn Hands) -> Result<Vec<Guest>, DriverError> {
        let api = self.api(&node.id)?;
        let mark = self.mark(false)?.unwrap_or_else(|| Mark(String::new()));
        let work = Ec2Work { api: &*api, mark, pause: &*self.means.pause };
        let mut found = work.all(|query| api.instances(query), Query::all())?;
        found.retain(|instance| !is_dead(instance));
        found.sort_by_key(look::rank);
        let ours = |tags| !work.mark.0.is_empty() && work.mark.has(tags);
        let marked = || Query::all().by(&format!("tag:{}", mark::OWNER), &work.mark.0);
        let (mut volumes, mut addresses) = (vec![], vec![]);
        if found.iter().any(|instance| ours(&instance.tags)) {
            volumes = work.all(|query| api.volumes(query), marked())?;
            addresses = work.all(|query| api.addresses(query), Query::all())?;
        }
        let mut guests: Vec<Guest> = vec![];
        for instance in &found {
            let elastic = addresses.iter().any(|address| address.instance.as_ref() == Some(&instance.id));
            let one = guest(node, instance, ours(&instance.tags), &volumes, elastic);
            match guests.iter_mut().find(|other| other.id == one.id) {
                // Made twice: the first is kept, the next run ends the other.
                Some(first) => _ = first.details.insert("ready", false),
                None => guests.push(one),
            };
        }
        for guest in &mut guests {
            if addresses.iter().filter(|address| work.mark.of(&address.tags, &guest.id)).count() > 1 {
                guest.details.insert("ready", false);
            }
        }
        Ok(guests)
    }

    fn plan(&self, verb: &Verb, asked: &Asked<'_>) -> Result<GuestPlan, DriverError> {
        self.capabilities().allow(self.kind(), verb)?;
        let want = asked.want;
        let wants = match verb {
            // An end must be possible whatever the declaration has become.
            Verb::Present | Verb::Resize { .. } => Wants::read(want).map(Some)?,
            _ => None,
        };
        let mut args: Map = [("node", want.node.as_str()), ("request", asked.request)].into_iter().collect();
        let spec = serde_json::to_value(want).and_then(serde_json::from_value::<Value>);
        args.insert("guest", spec.map_err(|error| DriverError::Declaration(error.to_string()))?);
        args.insert("keys", asked.keys.to_vec());
        let answers = |patience| Step::Answers { id: want.id.clone(), patience };
        let steps = match verb {
            Verb::Present => {
                let wants = wants.as_ref();
                let made = self.needs(wants, asked)?;
                let runs = want.status == Status::Running;
                let mut steps = vec![];
                if made {
                    steps.push(Step::Operation { name: "make".into(), args });
                }
                if runs {
                    steps.push(answers(if made { BOOTS } else { 30 }));
                }
                steps
            }
            Verb::Resize { memory: Some(_), .. } | Verb::Resize { cpu: Some(_), .. } => {
                return Err(DriverError::Refused(format!(
                    "{}: memory and processors are the instance type's: declare another `size`",
                    want.id
                )));
            }
            Verb::Resize { disk, .. } => {
                args.insert("bytes", disk.unwrap_or_default());
                vec![Step::Operation { name: "grow".into(), args }]
            }
            Verb::Exec { argv } => vec![Step::Ask {
                at: Place::Minion(want.id.clone()),
                fun: "cmd.run_all".into(),
                args: vec![argv.clone().into()],
                kwargs: [("python_shell", false)].into_iter().collect(),
            }],
            Verb::Stop { kill } => {
                args.insert("force", *kill);
                vec![Step::Operation { name: "stop".into(), args }]
            }
            Verb::Start | Verb::Restart => vec![Step::Operation { name: verb.word().into(), args }, answers(BOOTS)],
            other => vec![Step::Operation { name: other.word().into(), args }],
        };
        Ok(GuestPlan { steps })
    }

    fn reach(&self, asked: &Asked<'_>) -> Reach {
        let ips = |key: &str| {
            let found = asked.have.and_then(|have| have.details.get(key)).and_then(Value::as_list);
            found.and_then(<[Value]>::first).map(python::str)
        };
        match host(asked.want, ips("public_ips"), ips("private_ips")) {
            Some(host) => Reach::Direct { host, port: port(asked.want) },
            None => Reach::None("it has no such address".into()),
        }
    }

    fn login(&self, want: &GuestSpec, key: Option<&str>) -> Map {
        let user = text(want, "ssh_username").unwrap_or_else(|| "root".into());
        let mut login = Map::new();
        if want.options.get("sudo").map_or(user != "root", Value::truthy) {
            login.insert("sudo", true);
        }
        login.insert("user", user);
        if let Some(key) = text(want, "private_key").or_else(|| key.map(str::to_owned)) {
            login.insert("priv", key);
        }
        if let Some(gateway) = text(want, "ssh_gateway") {
            let user = text(want, "ssh_gateway_username").unwrap_or_else(|| "root".into());
            let port = text(want, "ssh_gateway_port").map_or(String::new(), |port| format!(":{port}"));
            login.insert("ssh_options", vec![format!("ProxyJump={user}@{gateway}{port}")]);
        }
        login
    }

    fn perform(&self, name: &str, args: &Map) -> Result<Value, DriverError> {
        let spec = args.get("guest").cloned().unwrap_or_default();
        let spec: GuestSpec = serde_json::to_value(&spec)
            .and_then(serde_json::from_value)
            .map_err(|error| DriverError::Declaration(error.to_string()))?;
        let api = self.api(&spec.node)?;
        let Some(mark) = self.mark(true)? else { return make::failed("this installation has no mark") };
        let work = Ec2Work { api: &*api, mark, pause: &*self.means.pause };
        let mut changes = Changes::default();
        let instance = match name {
            "make" => {
                let wants = Wants::read(&spec)?;
                let keys: Vec<String> =
                    args.get("keys").and_then(Value::as_list).unwrap_or_default().iter().map(python::str).collect();
                let request = args.str("request").unwrap_or_default();
                let place = {
                    let _one = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
                    work.place(&wants)?
                };
                let given = Given { request, keys: &keys, host_key: &*self.means.host_key };
                let made = work.make(&wants, &given, &place, &mut changes)?;
                let _one = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
                work.tidy(&wants, &place)?;
                Some(made)
            }
            "grow" => {
                let bytes = args.get("bytes").and_then(Value::as_int).and_then(|n| u64::try_from(n).ok());
                work.grow_root(&Wants::read(&spec)?, bytes.unwrap_or_default(), &mut changes)?;
                None
            }
            "destroy" => {
                let _one = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
                work.finish(&spec.id, wants::stays(&spec), &mut changes)?;
                None
            }
            "start" | "stop" | "restart" => {
                let force = args.get("force").is_some_and(Value::truthy);
                Some(work.act(&spec.id, name, force)?)
            }
            other => return make::failed(format!("the driver `ec2` has no operation `{other}`")),
        };
        Ok(told(&spec, instance, changes))
    }

    fn differs(&self, want: &GuestSpec, have: &Guest) -> Vec<(String, Value, Value)> {
        let Ok(wants) = Wants::read(want) else { return vec![] };
        differences(&wants, have)
    }
}

/// What the walk learns of an operation.
fn told(spec: &GuestSpec, instance: Option<Instance>, changes: Changes) -> Value {
    let mut out = Map::new();
    out.insert("changes", changes.0);
    if let Some(instance) = instance {
        let keys: Vec<String> = instance.tags.get(mark::HOST_KEY).cloned().into_iter().collect();
        out.insert("host_keys", keys);
        if let Some(host) = host(spec, instance.public, instance.private) {
            out.insert("host", host);
            out.insert("port", i64::from(port(spec)));
        }
    }
    out.into()
}

fn differences(wants: &Wants, have: &Guest) -> Vec<(String, Value, Value)> {
    let mut all = vec![];
    let details = &have.details;
    if details.str("size") != Some(&wants.kind) {
        all.push(("size".to_owned(), wants.kind.as_str().into(), details.get("size").cloned().unwrap_or_default()));
    }
    let tags = details.get("tags").and_then(Value::as_map).cloned().unwrap_or_default();
    let missing: Map = wants
        .tags
        .iter()
        .filter(|(key, value)| tags.str(key) != Some(value))
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .collect();
    if !missing.is_empty() {
        let old: Map = tags
            .iter()
            .filter(|(key, _)| key.as_str().is_some_and(|key| missing.contains(key)))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        all.push(("tag".to_owned(), missing.into(), old.into()));
    }
    if wants.elastic.is_some() && details.get("elastic") != Some(&Value::Bool(true)) {
        all.push(("elastic_ip".to_owned(), true.into(), false.into()));
    }
    if let Some(Elastic::There(said)) = &wants.elastic
        && !said.starts_with("eipalloc-")
        && !have.addresses.contains(said)
        && details.get("elastic") == Some(&Value::Bool(true))
    {
        all.push(("elastic_ip".to_owned(), said.as_str().into(), have.addresses.clone().into()));
    }
    let groups = details.get("securitygroups").and_then(Value::as_map).cloned().unwrap_or_default();
    let names: Vec<&str> = wants
        .groups
        .iter()
        .map(|group| match group {
            Group::There(name) | Group::Made { name, .. } => name.as_str(),
        })
        .collect();
    let met = |name: &str| groups.iter().any(|(id, other)| id.as_str() == Some(name) || other.as_str() == Some(name));
    if !names.is_empty() && (!names.iter().all(|name| met(name)) || groups.len() != names.len()) {
        all.push(("securitygroup".to_owned(), names.into(), groups.into()));
    }
    let disks = details.get("disks").and_then(Value::as_map).cloned().unwrap_or_default();
    for disk in &wants.disks {
        let have = disks.get(disk.device.as_str()).and_then(Value::as_int);
        let gib = disk.gib.and_then(|gib| i64::try_from(gib).ok());
        if have.is_none() || gib.is_some() && gib != have {
            all.push((format!("disk {}", disk.device), gib.into(), have.into()));
        }
    }
    all
}

impl Ec2 {
    /// Whether there is anything to do, and whether it may be done.
    fn needs(&self, wants: Option<&Wants>, asked: &Asked<'_>) -> Result<bool, DriverError> {
        let (Some(wants), want) = (wants, asked.want) else { return Ok(true) };
        if let Some(said) = text(want, "location") {
            let region = self.means.accounts.get(&want.node).and_then(|account| account.region.clone());
            if region.as_ref().is_some_and(|region| *region != said) {
                return Err(DriverError::Declaration(format!(
                    "{}: `location: {said}` is not the provider's, which is {}: a provider has one region, declare another",
                    want.id,
                    region.unwrap_or_default()
                )));
            }
        }
        let Some(have) = asked.have else { return Ok(true) };
        if wants.image.starts_with("ami-") && have.image.as_ref() != Some(&wants.image) {
            return Err(DriverError::Refused(format!(
                "{} was made from {}; an instance does not change its image: destroy it first (`corpus guest.destroy {}`)",
                want.id,
                have.image.clone().unwrap_or_default(),
                want.id
            )));
        }
        let grows = want.disk.is_some_and(|bytes| have.disk != Some(wants::gib(bytes) << 30));
        Ok(have.details.get("ready") != Some(&Value::Bool(true))
            || have.status != want.status
            || grows
            || !differences(wants, have).is_empty())
    }
}
