//! Moto, a proxy before it that counts calls and cuts them off, and the watcher that makes hosts of its instances.

use crate::support::{Said, Tree, is_root, minion};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The provider's secret, which must be nowhere.
pub const SECRET: &str = "wJalrXUtnFEMIsecret";
const IMAGE: &str = r#"[{"ami_id":"ami-00000000000000001","name":"debian-lab","description":"a host of the lab",
"owner_id":"123456789012","public":true,"virtualization_type":"hvm","architecture":"x86_64","state":"available",
"platform":null,"image_type":"machine","hypervisor":"xen","root_device_name":"/dev/sda1","root_device_type":"ebs",
"sriov":"simple","creation_date":"2026-01-01T00:00:00.000Z"}]"#;

/// Where a process is killed: at which call, before it or after its effect.
#[derive(Clone, Copy, Debug)]
pub struct Cut {
    pub at: usize,
    pub after: bool,
}

/// Hosts that stand for instances.
struct Hosts {
    dir: PathBuf,
    net: String,
    tag: String,
    /// By instance: the host's number, and whether it is up.
    known: Mutex<BTreeMap<String, (u8, bool)>>,
}

impl Hosts {
    /// Takes a network that nobody else has: other tests may be under way on this machine.
    fn free() -> Self {
        let first = std::process::id() as usize % 100;
        let n = (0..100)
            .map(|step| 100 + (first + step) % 100)
            .find(|n| std::fs::create_dir(format!("/run/corpus-ec2-{n}")).is_ok());
        let n = n.expect("a network is free");
        Self {
            dir: format!("/run/corpus-ec2-{n}").into(),
            net: format!("10.{n}"),
            tag: format!("cec{n}"),
            known: Mutex::default(),
        }
    }

    fn run(&self, words: &[&str]) -> std::process::Output {
        let mut command = Command::new("bash");
        command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/lab/lab.sh")).args(words);
        command.env("LAB_DIR", &self.dir).env("LAB_NET", &self.net).env("LAB_TAG", &self.tag);
        command.output().expect("bash")
    }

    fn script(&self, words: &[&str]) {
        let done = self.run(words);
        assert!(done.status.success(), "{words:?}: {}", String::from_utf8_lossy(&done.stderr));
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        let _ = self.run(&["down"]);
    }
}

/// Moto, which ends with us.
struct Moto(Child);

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What is in the account, by kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inventory {
    pub instances: Vec<String>,
    pub volumes: Vec<String>,
    pub groups: Vec<String>,
    pub keys: Vec<String>,
    pub addresses: Vec<String>,
    pub vpcs: Vec<String>,
    pub subnets: Vec<String>,
    pub gateways: Vec<String>,
}

impl Inventory {
    /// How many of each.
    pub fn counts(&self) -> [usize; 8] {
        let Self { instances, volumes, groups, keys, addresses, vpcs, subnets, gateways } = self;
        [instances, volumes, groups, keys, addresses, vpcs, subnets, gateways].map(Vec::len)
    }
}

/// The account.
pub struct World {
    pub tree: Tree,
    _moto: Moto,
    port: u16,
    proxy: Arc<Proxy>,
    hosts: Arc<Hosts>,
    stop: Arc<AtomicBool>,
    watcher: Option<std::thread::JoinHandle<()>>,
    /// An instance that somebody else made.
    pub foreign: String,
}

/// A way to moto that counts, and kills at a call.
struct Proxy {
    port: u16,
    calls: AtomicUsize,
    cut: Mutex<Option<Cut>>,
    victim: AtomicU32,
}

impl World {
    /// Starts it all.
    pub fn new() -> Result<Self, String> {
        if !is_root() {
            return Err("the hosts need root".into());
        }
        let venv = std::env::var("CORPUS_MOTO").map_err(|_| "CORPUS_MOTO names no moto; run tests/ec2/run.sh")?;
        let tree = Tree::new();
        tree.file("amis.json", IMAGE);
        let hosts = Arc::new(Hosts::free());
        // The number that nobody else has, and below the ports that the kernel gives to whoever asks.
        let port = 15_000 + hosts.net["10.".len()..].parse::<u16>().expect("a number");
        let log = std::fs::File::create(tree.path().join("moto.log")).expect("a log");
        let moto = Command::new(Path::new(&venv).join("bin/moto_server"))
            .args(["-H", "127.0.0.1", "-p", &port.to_string()])
            .env("MOTO_AMIS_PATH", tree.path().join("amis.json"))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .map_err(|error| format!("moto: {error}"))?;
        let moto = Moto(moto);
        let until = Instant::now() + Duration::from_secs(30);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < until, "moto does not start");
            std::thread::sleep(Duration::from_millis(50));
        }
        hosts.script(&["up", "0"]);
        let proxy = Proxy::start(port);
        let mut world =
            Self { tree, _moto: moto, port, proxy, hosts, stop: Arc::default(), watcher: None, foreign: String::new() };
        let made = world.ask(
            "RunInstances",
            &[
                ("ImageId", "ami-00000000000000001"),
                ("MinCount", "1"),
                ("MaxCount", "1"),
                ("TagSpecification.1.ResourceType", "instance"),
                ("TagSpecification.1.Tag.1.Key", "Name"),
                ("TagSpecification.1.Tag.1.Value", "web1"),
            ],
        );
        world.foreign = fields(&made, "instanceId").remove(0);
        world.declare();
        world.watch();
        Ok(world)
    }

    /// The provider, at an endpoint.
    pub fn provider(&self, endpoint: &str) -> String {
        format!("aws:\n  driver: ec2\n  id: AKIATEST\n  key: {SECRET}\n  location: eu-west-1\n  endpoint: {endpoint}\n")
    }

    fn declare(&self) {
        let net = &self.hosts.net;
        self.tree.file("etc/master", "corpus_cachedir: $TREE/cache\ncloud_dir: $TREE/cloud\n");
        self.tree.file("etc/cloud.providers", &self.provider(&format!("http://127.0.0.1:{}", self.proxy.port)));
        self.tree.file(
            "etc/cloud.profiles",
            &format!(
                "web:\n  provider: aws\n  image: debian-lab\n  size: t3.micro\n  disk: 10G\n  ssh_interface: private_ips\n  \
                 subnet: {{cidr: {net}.1.0/24, internet: True, vpc: {{cidr: {net}.0.0/16}}}}\n  securitygroup:\n    - name: web\n      ingress:\n        \
                 - {{port: 22, cidr: 0.0.0.0/0}}\n        - {{port: 80, cidr: 0.0.0.0/0}}\n  elastic_ip: True\n  \
                 volumes: [{{device: /dev/sdf, size: 4}}]\n  tag: {{stage: test}}\n  ports: {{http: 80}}\n  domains: [app.example.org]\n  \
                 base_sls: [base]\nmetal: {{provider: boxes}}\n"
            ),
        );
        self.tree.file("etc/cloud.map", &self.map(&["web1", "web2"]));
        let application = "/srv/ec2:\n  file.managed:\n    - contents: {{ grains.id }} is based\n/srv/www/index.html:\n  file.managed:\n    - makedirs: \
                           True\n    - contents: from-{{ grains.id }}\nbusybox httpd -p 80 -h /srv/www:\n  cmd.run:\n    - onchanges: [{file: \
                           /srv/www/index.html}]\n";
        self.tree.file("salt/base.sls", application);
    }

    /// A map of guests. The second has an address that was chosen; moto gives no such address twice.
    pub fn map(&self, ids: &[&str]) -> String {
        let net = &self.hosts.net;
        let one = |id: &&str| match *id {
            "web2" => format!("  - web2: {{network_interfaces: [{{DeviceIndex: 0, PrivateIpAddress: {net}.1.99}}]}}\n"),
            other => format!("  - {other}\n"),
        };
        "web:\n".to_owned() + &ids.iter().map(one).collect::<String>()
    }

    /// A map of one guest with an address.
    pub fn map_at(&self, id: &str, last: usize) -> String {
        let net = &self.hosts.net;
        format!("web:\n  - {id}: {{network_interfaces: [{{DeviceIndex: 0, PrivateIpAddress: {net}.1.{last}}}]}}\n")
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = self.tree.corpus(words);
        command.arg("--out=json").env("CORPUS_MINION", minion());
        command
    }

    /// Runs the program.
    pub fn corpus(&self, words: &[&str]) -> Said {
        Said::of(self.command(words).output().expect("the program starts"))
    }

    /// Counts the calls of a run.
    pub fn count(&self, words: &[&str]) -> usize {
        self.proxy.calls.store(0, Ordering::SeqCst);
        self.corpus(words).expect(0);
        self.proxy.calls.load(Ordering::SeqCst)
    }

    /// Runs the program, and kills it at a call.
    pub fn cut(&self, cut: Cut, words: &[&str]) {
        self.proxy.calls.store(0, Ordering::SeqCst);
        let mut armed = self.proxy.cut.lock().unwrap_or_else(PoisonError::into_inner);
        let mut child = self.command(words).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
        self.proxy.victim.store(child.id(), Ordering::SeqCst);
        *armed = Some(cut);
        drop(armed);
        let _ = child.wait();
        let left = self.proxy.cut.lock().unwrap_or_else(PoisonError::into_inner).take();
        assert!(left.is_none(), "there was no call {cut:?}");
    }

    /// Asks moto, past the proxy.
    pub fn ask(&self, action: &str, args: &[(&str, &str)]) -> String {
        ask(self.port, action, args)
    }

    /// Everything that costs something, or could be left.
    pub fn inventory(&self) -> Inventory {
        let list = |action: &str, field: &str| {
            let mut all = fields(&self.ask(action, &[]), field);
            all.sort();
            all.dedup();
            all
        };
        let mut instances: Vec<String> = self.instances().into_iter().map(|one| one.id).collect();
        instances.sort();
        Inventory {
            instances,
            volumes: list("DescribeVolumes", "volumeId"),
            groups: list("DescribeSecurityGroups", "groupId"),
            keys: list("DescribeKeyPairs", "keyName"),
            addresses: list("DescribeAddresses", "allocationId"),
            vpcs: list("DescribeVpcs", "vpcId"),
            subnets: list("DescribeSubnets", "subnetId"),
            gateways: list("DescribeInternetGateways", "internetGatewayId"),
        }
    }

    fn instances(&self) -> Vec<Found> {
        instances(self.port)
    }

    /// The living instance of a guest.
    pub fn instance_of(&self, guest: &str) -> Option<String> {
        let mut all = self.instances().into_iter();
        all.find(|one| one.text.contains(&format!("<key>corpus:guest</key><value>{guest}</value>"))).map(|one| one.id)
    }

    /// Runs a line in the host of a guest.
    pub fn inside(&self, guest: &str, line: &str) -> Said {
        let id = self.instance_of(guest).expect("it is there");
        let known = self.hosts.known.lock().unwrap_or_else(PoisonError::into_inner);
        let number = known[&id].0.to_string();
        Said::of(self.hosts.run(&["exec", &number, "sh", "-c", line]))
    }

    /// Makes a host that is nobody's instance, and a provider for it; returns its address.
    pub fn spare_host(&self) -> String {
        self.hosts.script(&["add", "200"]);
        let (dir, address) = (self.hosts.dir.display(), format!("{}.1.200", self.hosts.net));
        let key = std::fs::read_to_string(self.hosts.dir.join("host_key_200.pub")).expect("a host key");
        self.tree.file("boxes", &format!("{address} {key}"));
        let boxes = format!("boxes:\n  driver: saltify\n  ssh_keyfile: {dir}/key\n  known_hosts: $TREE/boxes\n");
        self.tree.file("etc/cloud.providers.d/boxes.conf", &boxes);
        address
    }

    /// Asks the proxy for a name until so many different machines have answered; returns what they said.
    pub fn answers(&self, at: &str, name: &str, machines: usize) -> Vec<String> {
        let request = format!("GET / HTTP/1.0\r\nHost: {name}\r\n\r\n");
        let get = || -> Option<String> {
            let mut stream = TcpStream::connect(at).ok()?;
            stream.write_all(request.as_bytes()).ok()?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).ok()?;
            answer.starts_with("HTTP/1.1 200").then(|| answer.lines().last().unwrap_or_default().to_owned())
        };
        let until = Instant::now() + Duration::from_secs(20);
        let mut seen = std::collections::BTreeSet::new();
        while seen.len() < machines && Instant::now() < until {
            seen.extend(get());
            std::thread::sleep(Duration::from_millis(20));
        }
        seen.into_iter().collect()
    }

    /// Waits until no host stands for an instance.
    pub fn hosts_gone(&self) {
        self.wait(|known| known.is_empty());
    }

    /// Waits until the host of an instance is gone.
    pub fn hosts_gone_of(&self, id: &str) {
        self.wait(|known| !known.contains_key(id));
    }

    fn wait(&self, done: impl Fn(&BTreeMap<String, (u8, bool)>) -> bool) {
        let until = Instant::now() + Duration::from_secs(30);
        while !done(&self.hosts.known.lock().unwrap_or_else(PoisonError::into_inner)) {
            assert!(Instant::now() < until, "the hosts do not follow");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// All that corpus keeps of its clouds, in one text.
    pub fn kept(&self) -> String {
        let folder = std::fs::read_dir(self.tree.path().join("cloud")).expect("a folder");
        folder.filter_map(|entry| std::fs::read_to_string(entry.ok()?.path()).ok()).collect()
    }

    /// Amazon's part: hosts for instances.
    fn watch(&mut self) {
        let (hosts, stop, port) = (self.hosts.clone(), self.stop.clone(), self.port);
        self.watcher = Some(std::thread::spawn(move || {
            while !stop.load(Ordering::SeqCst) {
                let found = instances(port);
                let gone: Vec<(String, u8)> = {
                    let known = hosts.known.lock().unwrap_or_else(PoisonError::into_inner);
                    let gone = known.iter().filter(|(id, _)| !found.iter().any(|one| one.id == **id));
                    gone.map(|(id, (number, _))| (id.clone(), *number)).collect()
                };
                for (id, number) in gone {
                    hosts.script(&["drop", &number.to_string()]);
                    hosts.known.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
                }
                for one in &found {
                    host(&hosts, port, one);
                }
                std::thread::sleep(Duration::from_millis(50));
            }
        }));
    }
}

/// Makes the host of an instance be as the instance is.
fn host(hosts: &Hosts, port: u16, one: &Found) {
    let prefix = format!("{}.1.", hosts.net);
    let Some(number) = one.address.strip_prefix(&prefix).and_then(|number| number.parse::<u8>().ok()) else { return };
    let known = hosts.known.lock().unwrap_or_else(PoisonError::into_inner).get(&one.id).copied();
    let runs = one.state == "running";
    let word = number.to_string();
    match known {
        None if runs => {
            let told = user_data(port, &one.id);
            let lines: Vec<&str> = told.lines().collect();
            let private: Vec<&str> = lines.iter().filter_map(|line| line.strip_prefix("    ")).collect();
            let allowed: Vec<&str> = lines.iter().filter_map(|line| line.strip_prefix("  - ssh-")).collect();
            let allowed: String = allowed.iter().map(|key| format!("ssh-{key}\n")).collect();
            let key = hosts.dir.join(format!("host_key_{number}"));
            std::fs::write(&key, private.join("\n") + "\n").expect("a key");
            use std::os::unix::fs::PermissionsExt;
            std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).expect("a mode");
            std::fs::write(hosts.dir.join(format!("authorized_{number}")), allowed).expect("keys");
            hosts.script(&["add", &word]);
        }
        Some((_, true)) if !runs => hosts.script(&["kill", &word]),
        Some((_, false)) if runs => hosts.script(&["start", &word]),
        _ => return,
    }
    hosts.known.lock().unwrap_or_else(PoisonError::into_inner).insert(one.id.clone(), (number, runs));
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(watcher) = self.watcher.take() {
            let _ = watcher.join();
        }
    }
}

/// An instance as moto tells it.
struct Found {
    id: String,
    state: String,
    address: String,
    text: String,
}

/// The texts of an element, wherever it is.
fn fields(xml: &str, name: &str) -> Vec<String> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let parts = xml.split(&open).skip(1).filter_map(|part| part.split_once(&close));
    parts.map(|(text, _)| text.to_owned()).collect()
}

/// The living instances.
fn instances(port: u16) -> Vec<Found> {
    let xml: String = ask(port, "DescribeInstances", &[]).split_whitespace().collect();
    // Each was asked for alone: a reservation has one.
    let all = xml.split("<instancesSet>").skip(1).filter_map(|text| {
        let id = fields(text, "instanceId").into_iter().next()?;
        let state = fields(text.split("<instanceState>").nth(1)?, "name").into_iter().next()?;
        let address = fields(text, "privateIpAddress").into_iter().next().unwrap_or_default();
        Some(Found { id, state, address, text: text.to_owned() })
    });
    all.filter(|one| one.state != "terminated" && one.state != "shutting-down").collect()
}

fn user_data(port: u16, id: &str) -> String {
    let xml = ask(port, "DescribeInstanceAttribute", &[("InstanceId", id), ("Attribute", "userData")]);
    let value = fields(&xml, "value").into_iter().next().expect("user data");
    let mut command = Command::new("base64");
    let mut child =
        command.arg("-d").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("base64 of the base system");
    child.stdin.take().expect("stdin").write_all(value.trim().as_bytes()).expect("written");
    String::from_utf8(child.wait_with_output().expect("base64").stdout).expect("text")
}

/// Sends a call by hand; moto looks at no signature.
fn ask(port: u16, action: &str, args: &[(&str, &str)]) -> String {
    let mut body = format!("Action={action}&Version=2016-11-15");
    for (key, value) in args {
        body += &format!("&{key}={value}");
    }
    let request = format!(
        "POST / HTTP/1.1\r\nHost: ec2.eu-west-1.amazonaws.com\r\nConnection: close\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Authorization: AWS4-HMAC-SHA256 Credential=T/20260101/eu-west-1/ec2/aws4_request, SignedHeaders=host, Signature=0\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("moto");
    stream.write_all(request.as_bytes()).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
    assert!(head.starts_with("HTTP/1.1 200"), "{action}: {answer}");
    body.to_owned()
}

impl Proxy {
    fn start(moto: u16) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let proxy =
            Arc::new(Self { port, calls: AtomicUsize::new(0), cut: Mutex::new(None), victim: AtomicU32::new(0) });
        let ours = proxy.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let proxy = ours.clone();
                std::thread::spawn(move || proxy.pass(stream, moto));
            }
        });
        proxy
    }

    /// Passes one call, or cuts it off.
    fn pass(&self, mut stream: TcpStream, moto: u16) -> Option<()> {
        let request = read_request(&mut stream)?;
        let call = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
        let cut = {
            let mut armed = self.cut.lock().unwrap_or_else(PoisonError::into_inner);
            if armed.is_some_and(|cut| cut.at == call) { armed.take() } else { None }
        };
        if cut.is_some_and(|cut| !cut.after) {
            self.kill();
            return None;
        }
        let mut upstream = TcpStream::connect(("127.0.0.1", moto)).ok()?;
        upstream.write_all(&request).ok()?;
        let mut answer = vec![];
        upstream.read_to_end(&mut answer).ok()?;
        if cut.is_some() {
            self.kill();
            return None;
        }
        stream.write_all(&answer).ok()
    }

    fn kill(&self) {
        let victim = self.victim.load(Ordering::SeqCst).to_string();
        let _ = Command::new("kill").args(["-9", &victim]).status();
    }
}

/// Reads a request, and asks for the connection to end with the answer.
fn read_request(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut bytes = vec![];
    let mut buffer = [0; 8192];
    loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
            });
            if bytes.len() >= end + 4 + length.unwrap_or(0) {
                let body = bytes.split_off(end + 4);
                return Some([format!("{head}\r\nConnection: close\r\n\r\n").into_bytes(), body].concat());
            }
        }
        let count = stream.read(&mut buffer).ok().filter(|count| *count > 0)?;
        bytes.extend_from_slice(&buffer[..count]);
    }
}
