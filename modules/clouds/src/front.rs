//! What stands before the guests, settled after them: names and the proxy. Read from `dns` and `proxy` of the file `cloud`.

use crate::cloud::{Cloud, Told};
use crate::declare::{Layers, Read, Source};
use crate::hands::Place;
use crate::ledger::{Entry, Phase};
use crate::names::{Addresses, Bind, Hosts, Names, PowerDns, Settled, Written, settle};
use crate::proxy::{self, Behind, Certificate, Proxy};
use crate::spec::Status;
use crate::walk;
use corpus_core::{Diagnostic, Map, Value, python, suggest};
use std::collections::BTreeMap;
use std::net::{IpAddr, ToSocketAddrs};

const WRITTEN: &str = "names.json";
const PROXIES: &str = "proxies.json";

/// What was declared.
#[derive(Default)]
pub struct Front {
    pub names: Vec<Box<dyn Names>>,
    pub proxies: Vec<Proxy>,
}

/// Reads the settings.
pub fn read(settings: &Layers) -> Read<Front> {
    let mut front = Front::default();
    let mut wrong: Vec<Diagnostic> = vec![];
    let entries = |key: &str| {
        let item = settings.get(key).filter(|item| !item.value.is_null())?;
        let list = match &item.value {
            Value::List(list) => list.to_vec(),
            one => vec![one.clone()],
        };
        Some((item, list))
    };
    if let Some((item, list)) = entries("dns") {
        for entry in list {
            match one_names(&entry) {
                Ok(names) => front.names.extend(names),
                Err(why) => wrong.push(item.wrong(format!("dns: {why}"))),
            }
        }
    }
    if let Some((item, list)) = entries("proxy") {
        for entry in list {
            match one_proxy(&entry) {
                Ok(proxy) => front.proxies.push(proxy),
                Err(why) => wrong.push(item.wrong(format!("proxy: {why}"))),
            }
        }
    }
    if wrong.is_empty() { Ok(front) } else { Err(wrong) }
}

/// The keys of a mapping, each of which must be known.
struct Keys<'a> {
    map: &'a Map,
}

impl<'a> Keys<'a> {
    fn of(entry: &'a Value, known: &[&str]) -> Result<Self, String> {
        let map = entry.as_map().ok_or_else(|| format!("expected a mapping, found {}", entry.type_name()))?;
        for key in map.keys().map(python::str) {
            if !known.contains(&key.as_str()) {
                let hint = suggest::did_you_mean(&key, known.iter().copied())
                    .unwrap_or_else(|| format!("there are: {}", known.join(", ")));
                return Err(format!("`{key}` is not known; {hint}"));
            }
        }
        Ok(Self { map })
    }

    fn text(&self, key: &str) -> Option<String> {
        self.map.get(key).filter(|value| !value.is_null()).map(python::str)
    }

    fn need(&self, key: &str) -> Result<String, String> {
        self.text(key).ok_or_else(|| format!("`{key}` is missing"))
    }

    fn number<T: std::str::FromStr>(&self, key: &str, or: T) -> Result<T, String> {
        match self.text(key) {
            None => Ok(or),
            Some(text) => text.parse().map_err(|_| format!("`{key}` must be a number, found `{text}`")),
        }
    }

    fn list(&self, key: &str) -> Vec<String> {
        match self.map.get(key) {
            Some(Value::List(items)) => items.iter().map(python::str).collect(),
            Some(Value::Null) | None => vec![],
            Some(one) => vec![python::str(one)],
        }
    }
}

fn one_names(entry: &Value) -> Result<Vec<Box<dyn Names>>, String> {
    let driver = entry.get("driver").map(python::str).unwrap_or_default();
    match driver.as_str() {
        "hosts" => {
            let keys = Keys::of(entry, &["driver", "minions"])?;
            let minions = keys.list("minions");
            let minions = if minions.is_empty() { vec![crate::fleet::LOCAL.to_owned()] } else { minions };
            let at = |id: String| if id == crate::fleet::LOCAL { Place::Here } else { Place::Minion(id) };
            Ok(minions.into_iter().map(|id| Box::new(Hosts { at: at(id) }) as Box<dyn Names>).collect())
        }
        "bind" => {
            const KNOWN: &[&str] =
                &["driver", "server", "port", "zone", "key_name", "key_algorithm", "key_secret", "ttl"];
            let keys = Keys::of(entry, KNOWN)?;
            let secret = keys.need("key_secret")?;
            corpus_core::secret::keep([&secret]);
            Ok(vec![Box::new(Bind {
                server: keys.text("server").unwrap_or_else(|| "127.0.0.1".into()),
                port: keys.number("port", 53)?,
                zone: keys.need("zone")?,
                key: keys.need("key_name")?,
                algorithm: keys.text("key_algorithm").unwrap_or_else(|| "hmac-sha256".into()),
                secret,
                ttl: keys.number("ttl", 330)?,
            })])
        }
        "powerdns" => {
            let keys = Keys::of(entry, &["driver", "url", "zone", "api_key", "ttl"])?;
            let key = keys.need("api_key")?;
            corpus_core::secret::keep([&key]);
            let (url, zone, ttl) = (keys.need("url")?, keys.need("zone")?, keys.number("ttl", 330)?);
            Ok(vec![Box::new(PowerDns { url, zone, key, ttl })])
        }
        other => Err(format!("the driver `{other}` is not known; there are: hosts, bind, powerdns")),
    }
}

fn one_proxy(entry: &Value) -> Result<Proxy, String> {
    const KNOWN: &[&str] = &[
        "minion",
        "config",
        "http_port",
        "https_port",
        "global",
        "defaults",
        "reload",
        "packages",
        "tls",
        "tls_port",
        "certificates",
        "redirect",
        "auth",
    ];
    let keys = Keys::of(entry, KNOWN)?;
    let usual = Proxy::new(&keys.need("minion")?);
    Ok(Proxy {
        config: keys.text("config").unwrap_or_else(|| usual.config.clone()),
        http: keys.number("http_port", usual.http)?,
        https: keys.number("https_port", usual.https)?,
        global: keys.list("global"),
        defaults: keys.list("defaults"),
        reload: keys.text("reload"),
        packages: keys.map.get("packages").is_none_or(Value::truthy),
        tls: certificates(keys.map.get("tls"))?,
        certificates: keys.text("certificates").unwrap_or_else(|| usual.certificates.clone()),
        tls_port: keys.number("tls_port", usual.tls_port)?,
        redirect: keys.map.get("redirect").is_some_and(Value::truthy),
        auth: auth(keys.map.get("auth"))?,
        ..usual
    })
}

/// Reads certificates: a path, a list of paths to join, or `name` with `pillar` or `paths`.
fn certificates(said: Option<&Value>) -> Result<Vec<Certificate>, String> {
    let mut all: Vec<Certificate> = vec![];
    let entries = match said {
        None | Some(Value::Null) => vec![],
        Some(Value::List(entries)) => entries.to_vec(),
        Some(one) => vec![one.clone()],
    };
    for entry in entries {
        let (named, pillar, paths) = match &entry {
            Value::Map(_) => {
                let keys = Keys::of(&entry, &["name", "pillar", "paths"])?;
                (keys.text("name"), keys.text("pillar"), keys.list("paths"))
            }
            Value::List(paths) => (None, None, paths.iter().map(python::str).collect()),
            path => (None, None, vec![python::str(path)]),
        };
        let stem = |path: &String| Some(std::path::Path::new(path).file_stem()?.to_string_lossy().into_owned());
        let name =
            named.or_else(|| paths.first().and_then(stem)).ok_or("tls: a certificate of the pillar needs a `name`")?;
        crate::spec::check_id(&name)?;
        if all.iter().any(|other| other.name() == name) {
            return Err(format!("tls: `{name}` is there twice; give each certificate a `name`"));
        }
        all.push(match (pillar, paths.is_empty()) {
            (Some(key), true) => Certificate::Pillar { name, key },
            (None, false) => Certificate::Files { name, paths },
            _ => return Err(format!("tls: `{name}` needs either `pillar` or `paths`")),
        });
    }
    Ok(all)
}

/// Reads who may ask for which domain. A password is never in a file that is not hashed.
fn auth(said: Option<&Value>) -> Result<BTreeMap<String, BTreeMap<String, String>>, String> {
    let mut all = BTreeMap::new();
    let domains = match said {
        None | Some(Value::Null) => return Ok(all),
        Some(said) => said.as_map().ok_or("auth is a mapping of domains, each with users and hashes of passwords")?,
    };
    for (domain, users) in domains {
        let domain = python::str(domain);
        let users = users.as_map().ok_or_else(|| format!("auth: {domain}: expected users with hashes of passwords"))?;
        let mut known = BTreeMap::new();
        for (user, hash) in users {
            let (user, hash) = (python::str(user), python::str(hash));
            let plain =
                |text: &str| !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c == '#' || c == '"');
            if user == "mode" || user == "auth_mode" {
                return Err(format!(
                    "auth: {domain}: only basic authentication is there: HAProxy has no digest; put TLS before it"
                ));
            }
            if !plain(&user) || !plain(&hash) || !["$5$", "$6$"].iter().any(|kind| hash.starts_with(kind)) {
                return Err(format!(
                    "auth: {domain}: the password of `{user}` must be a hash that begins with $5$ or $6$: \
                     `mkpasswd -m sha-512` or `openssl passwd -6` writes one"
                ));
            }
            known.insert(user, hash);
        }
        all.insert(domain, known);
    }
    Ok(all)
}

/// An address that a record may hold: a node may be known by its name.
fn numeric(host: &str) -> Option<String> {
    if host.parse::<IpAddr>().is_ok() {
        return Some(host.to_owned());
    }
    let found = (host, 0).to_socket_addrs().ok()?.map(|address| address.ip());
    found.filter(|ip| !ip.is_loopback()).min().map(|ip| ip.to_string())
}

impl Cloud<'_> {
    /// Settles names and proxies for what is there now.
    pub fn settle_front(&self, front: &Front) -> Vec<Told> {
        let ledger = self.ledger();
        // A dry run asks nothing of a machine that is yet to be made.
        let before = &self.began;
        let coming = |id: &str| self.settings.test && ledger.guests.contains_key(id) && !before.guests.contains_key(id);
        let ready: Vec<&Entry> = ledger.guests.values().filter(|entry| entry.phase == Phase::Ready).collect();
        let mut told = vec![];
        for proxy in front.proxies.iter().filter(|proxy| !coming(&proxy.minion)) {
            told.extend(self.settle_proxy(proxy, &ready));
        }
        if front.names.is_empty() {
            return told;
        }
        let store = self.settings.store;
        let mut written: Written = match store.read(WRITTEN) {
            Ok(written) => written,
            Err(error) => return vec![Told { id: "names".into(), ..Told::default() }.fail(error)],
        };
        let gone = |id: &str| {
            id != crate::fleet::LOCAL && !ledger.guests.contains_key(id) && !self.settings.nodes.contains_key(id)
                || before.guests.contains_key(id) && !ledger.guests.contains_key(id)
        };
        for place in front.names.iter().filter(|place| !place.view().is_some_and(coming)) {
            if place.view().is_some_and(gone) {
                // What a machine that was let go has of us stays with it.
                written.0.remove(&place.title());
                continue;
            }
            let wanted = self.addresses(&ready, place.view(), &front.proxies);
            let test = self.settings.test;
            let mut keep = |written: &Written| store.write(WRITTEN, written).map_err(|error| error.to_string());
            let Settled { changes, wrong } =
                settle(&**place, &wanted, &mut written, self.settings.hands, test, &mut keep);
            if changes.is_empty() && wrong.is_empty() {
                continue;
            }
            let result = if !wrong.is_empty() {
                Some(false)
            } else if test {
                None
            } else {
                Some(true)
            };
            let did = if test { "would be changed" } else { "were changed" };
            let comment = if wrong.is_empty() { format!("names {did}") } else { wrong.join("\n") };
            told.push(Told { id: place.title(), driver: "names".into(), result, comment, changes, ..Told::default() });
        }
        told
    }

    /// The addresses of all domains, as seen from a minion or from outside.
    fn addresses(&self, ready: &[&Entry], view: Option<&str>, proxies: &[Proxy]) -> Addresses {
        let mut all = Addresses::new();
        for entry in ready {
            let spec = &entry.spec;
            let node = self.node(&spec.node);
            let given = self.given(&spec.node, &spec.id).unwrap_or_default();
            let inside = given.ip.filter(|_| view == Some(spec.node.as_str())).map(|ip| ip.to_string());
            let own = match &entry.reach {
                crate::driver::Reach::Direct { host, .. } => numeric(host),
                _ => inside.or_else(|| numeric(&node.address)),
            };
            let proxied = ["http", "https"].iter().any(|port| given.ports.contains_key(*port));
            let front =
                proxies.first().filter(|_| proxied).and_then(|proxy| numeric(&self.node(&proxy.minion).address));
            for domain in &spec.domains {
                // The guest's own name is the guest; its other names are what the proxy answers for.
                let address = if *domain == spec.id { own.clone() } else { front.clone().or_else(|| own.clone()) };
                all.entry(domain.clone()).or_default().extend(address);
            }
        }
        all.retain(|_, addresses| !addresses.is_empty());
        all
    }

    fn settle_proxy(&self, proxy: &Proxy, ready: &[&Entry]) -> Option<Told> {
        let told = Told {
            id: format!("proxy on {}", proxy.minion),
            driver: "haproxy".into(),
            node: proxy.minion.clone(),
            ..Told::default()
        };
        let given: Vec<_> =
            ready.iter().map(|entry| self.given(&entry.spec.node, &entry.spec.id).unwrap_or_default()).collect();
        let nodes: Vec<_> = ready.iter().map(|entry| self.node(&entry.spec.node)).collect();
        let running = |entry: &Entry| entry.held.unwrap_or(entry.spec.status) == Status::Running;
        let guests: Vec<Behind<'_>> = (0..ready.len())
            .filter(|i| running(ready[*i]))
            .map(|i| Behind { spec: &ready[i].spec, given: &given[i], node: &nodes[i].address, own: own(ready[i]) })
            .collect();
        let served =
            guests.iter().any(|guest| ["http", "https"].iter().any(|port| guest.given.ports.contains_key(*port)));
        let mut ours: Vec<String> = match self.settings.store.read(PROXIES) {
            Ok(ours) => ours,
            Err(error) => return Some(told.fail(error)),
        };
        // Without a guest that it stands before, only a proxy that was made is emptied.
        if !served && !ours.contains(&proxy.minion) {
            return None;
        }
        let test = self.settings.test;
        if served && !ours.contains(&proxy.minion) && !test {
            ours.push(proxy.minion.clone());
            if let Err(error) = self.settings.store.write(PROXIES, &ours) {
                return Some(told.fail(error));
            }
        }
        let chunks = match proxy::chunks(proxy, &guests) {
            Ok(chunks) => chunks,
            Err(why) => return Some(told.fail(why)),
        };
        let report = match self.settings.hands.run(&place(&proxy.minion), &chunks, test) {
            Ok(report) => report,
            Err(error) => return Some(told.fail(error)),
        };
        if let Some(why) = walk::failure(&report) {
            return Some(told.fail(why));
        }
        if !served && !test {
            ours.retain(|minion| *minion != proxy.minion);
            if let Err(error) = self.settings.store.write(PROXIES, &ours) {
                return Some(told.fail(error));
            }
        }
        let changes: Map = report.chunks.iter().filter(|c| c.changed()).map(|c| (&*c.id, c.changes.clone())).collect();
        let result = if test && !changes.is_empty() { None } else { Some(true) };
        let comment = match (changes.is_empty(), test) {
            (true, _) => "the proxy is as declared",
            (false, true) => "the proxy would be changed",
            (false, false) => "the proxy was changed",
        };
        let reports = vec![(proxy.minion.clone(), report)];
        Some(Told { result, comment: comment.into(), changes, reports, ..told })
    }
}

fn own(entry: &Entry) -> Option<&str> {
    match &entry.reach {
        crate::driver::Reach::Direct { host, .. } => Some(host),
        _ => None,
    }
}

fn place(id: &str) -> Place {
    if id == crate::fleet::LOCAL { Place::Here } else { Place::Minion(id.to_owned()) }
}

/// Reads the settings of a text; for tests.
pub fn parse(text: &str) -> Read<Front> {
    let source = Source::parse(text, "cloud").map_err(|error| vec![error])?;
    let mut layers = Layers::default();
    layers.lay(&source, &source.node);
    read(&layers)
}
