//! The proxy in front of guests: one HAProxy configuration, checked by HAProxy before it takes the old one's place, and
//! reloaded without a lost request.

use crate::book::Allocation;
use crate::hands::Chunk;
use crate::spec::GuestSpec;
use corpus_core::{Map, Value, digest};
use std::collections::BTreeMap;
use std::fmt::Write;

/// What the configuration says of a proxy.
#[derive(Clone, Debug, PartialEq)]
pub struct Proxy {
    /// The minion that it runs on.
    pub minion: String,
    pub config: String,
    pub http: u16,
    pub https: u16,
    /// Further lines of the sections `global` and `defaults`.
    pub global: Vec<String>,
    pub defaults: Vec<String>,
    /// How it is told to read its configuration again; the service is reloaded otherwise.
    pub reload: Option<String>,
    /// Install the package.
    pub packages: bool,
    /// Certificates by which names are answered over TLS here.
    pub tls: Vec<Certificate>,
    /// Where they lie on the minion.
    pub certificates: String,
    /// The port of this machine alone on which TLS ends, where names are passed through on the other, too.
    pub tls_port: u16,
    /// Send who comes without TLS to it.
    pub redirect: bool,
    /// Who may ask for a domain: users with the hashes of their passwords.
    pub auth: BTreeMap<String, BTreeMap<String, String>>,
}

/// A certificate with its chain and its key.
#[derive(Clone, Debug, PartialEq)]
pub enum Certificate {
    /// Files of this machine, joined: the certificate with its chain, and the key, if it is in another file.
    Files { name: String, paths: Vec<String> },
    /// A key of the pillar of the proxy's minion.
    Pillar { name: String, key: String },
}

impl Certificate {
    /// Returns its name: its file is called so.
    pub fn name(&self) -> &str {
        match self {
            Self::Files { name, .. } | Self::Pillar { name, .. } => name,
        }
    }

    /// Plans its file. HAProxy looks whether it takes it, before it takes the old one's place.
    fn chunk(&self, folder: &str) -> Result<Chunk, String> {
        let path = format!("{folder}/{}.pem", self.name());
        let mut args: Map = [("name", path.as_str()), ("mode", "0600"), ("check_cmd", CHECK)].into_iter().collect();
        args.insert("makedirs", true);
        args.insert("dir_mode", "0700");
        args.insert("show_changes", false);
        match self {
            Self::Pillar { key, .. } => _ = args.insert("contents_pillar", key.as_str()),
            Self::Files { paths, .. } => {
                let mut text = String::new();
                for path in paths {
                    let part = std::fs::read_to_string(path).map_err(|error| format!("cannot read {path}: {error}"))?;
                    text += part.trim_end();
                    text.push('\n');
                }
                for word in ["-----BEGIN CERTIFICATE-----", "PRIVATE KEY-----"] {
                    if !text.contains(word) {
                        return Err(format!("{}: there is no `{word}` in it", paths.join(", ")));
                    }
                }
                corpus_core::secret::keep(
                    text.split("-----BEGIN ")
                        .filter(|part| part.contains("PRIVATE KEY"))
                        .map(str::to_owned)
                        .collect::<Vec<_>>(),
                );
                args.insert("contents", text.trim_end());
            }
        }
        Ok(Chunk::new(format!("proxy: certificate {}", self.name()), "file.managed", args))
    }
}

/// A configuration of nothing but the certificate, for HAProxy to look at.
const CHECK: &str = r#"sh -c 'printf "defaults\n mode http\n timeout connect 1s\n timeout client 1s\n timeout server 1s\nfrontend f\n bind 127.0.0.1:1 ssl crt %s\n" "$0" | haproxy -c -q -f /dev/stdin'"#;

impl Proxy {
    /// Makes one with the usual places.
    pub fn new(minion: &str) -> Self {
        Self {
            minion: minion.into(),
            config: "/etc/haproxy/haproxy.cfg".into(),
            http: 80,
            https: 443,
            global: vec![],
            defaults: vec![],
            reload: None,
            packages: true,
            tls: vec![],
            certificates: "/etc/haproxy/certificates".into(),
            tls_port: 10443,
            redirect: false,
            auth: BTreeMap::new(),
        }
    }
}

/// A guest as the proxy sees it.
pub struct Behind<'a> {
    pub spec: &'a GuestSpec,
    pub given: &'a Allocation,
    /// The address of its node.
    pub node: &'a str,
    /// Its own address, if it is reached without a node.
    pub own: Option<&'a str>,
}

/// Where a guest's port is reached: on its own node by its address, from elsewhere by the node's port.
fn server(proxy: &Proxy, guest: &Behind<'_>, port: &str) -> Option<String> {
    let given = guest.given.ports.get(port)?;
    if let Some(own) = guest.own {
        return Some(format!("{own}:{}", given.port));
    }
    match guest.given.ip.filter(|_| guest.spec.node == proxy.minion) {
        Some(ip) => Some(format!("{ip}:{}", given.port)),
        None => Some(format!("{}:{}", guest.node, given.host)),
    }
}

/// Servers by domain, for a port's name.
fn domains<'a>(proxy: &Proxy, guests: &'a [Behind<'a>], port: &str) -> BTreeMap<&'a str, Vec<(&'a str, String)>> {
    let mut all: BTreeMap<&str, Vec<(&str, String)>> = BTreeMap::new();
    for guest in guests {
        let Some(server) = server(proxy, guest, port) else { continue };
        for domain in &guest.spec.domains {
            all.entry(domain).or_default().push((&guest.spec.id, server.clone()));
        }
    }
    all
}

/// Writes the configuration.
pub fn config(proxy: &Proxy, guests: &[Behind<'_>]) -> String {
    let mut out = String::from("# Written by corpus.\nglobal\n");
    for line in &proxy.global {
        let _ = writeln!(out, "  {line}");
    }
    out += "\ndefaults\n  mode http\n  balance roundrobin\n  retries 3\n  option redispatch\n  timeout connect 5s\n  timeout \
            client 60s\n  timeout server 60s\n  timeout http-keep-alive 10s\n";
    for line in &proxy.defaults {
        let _ = writeln!(out, "  {line}");
    }
    let http = domains(proxy, guests, "http");
    let https = domains(proxy, guests, "https");
    for (domain, users) in proxy.auth.iter().filter(|(domain, _)| http.contains_key(domain.as_str())) {
        let _ = writeln!(out, "\nuserlist {}", plain(domain));
        for (user, hash) in users {
            let _ = writeln!(out, "  user {user} password {hash}");
        }
    }
    let by_host = |domain: &str| match domain.strip_prefix('*') {
        Some(end) => format!("hdr(host),field(1,:) -m end -i {end}"),
        None => format!("hdr(host),field(1,:) -i {domain}"),
    };
    let head = |kind: &str, bind: &str| {
        let protocol = if kind == "tls" { "https" } else { "http" };
        format!(
            "\nfrontend {kind}\n  bind {bind}\n  option forwardfor\n  http-request set-header X-Forwarded-Proto {protocol}\n"
        )
    };
    out += &head("http", &format!(":{}", proxy.http));
    if proxy.redirect && !proxy.tls.is_empty() {
        out += "  http-request redirect scheme https code 301\n";
    }
    rules(&mut out, "http", &http, by_host);
    if !proxy.tls.is_empty() {
        let mut bind = match https.is_empty() {
            true => format!(":{}", proxy.https),
            false => format!("127.0.0.1:{} accept-proxy", proxy.tls_port),
        };
        bind += " ssl alpn h2,http/1.1";
        for certificate in &proxy.tls {
            let _ = write!(bind, " crt {}/{}.pem", proxy.certificates, certificate.name());
        }
        out += &head("tls", &bind);
        out += "  http-request set-header X-SSL on\n";
        rules(&mut out, "http", &http, by_host);
    }
    if !https.is_empty() {
        let _ = write!(
            out,
            "\nfrontend https\n  mode tcp\n  bind :{}\n  tcp-request inspect-delay 5s\n  tcp-request content accept if {{ \
             req_ssl_hello_type 1 }}\n",
            proxy.https
        );
        rules(&mut out, "https", &https, |domain| match domain.strip_prefix('*') {
            Some(end) => format!("req_ssl_sni -m end -i {end}"),
            None => format!("req_ssl_sni -i {domain}"),
        });
        if !proxy.tls.is_empty() {
            out += "  default_backend tls_here\n";
            let _ = write!(
                out,
                "\nbackend tls_here\n  mode tcp\n  server here 127.0.0.1:{} send-proxy-v2\n",
                proxy.tls_port
            );
        }
    }
    for (kind, all) in [("http", &http), ("https", &https)] {
        for (domain, servers) in all {
            let _ = write!(out, "\nbackend {kind}_{}\n", plain(domain));
            if kind == "https" {
                out += "  mode tcp\n";
            } else if proxy.auth.contains_key(*domain) {
                let list = plain(domain);
                let _ = writeln!(out, "  http-request auth realm protected unless {{ http_auth({list}) }}");
                // Who it was is no matter of the guest's; the password is none at all.
                out += "  http-request del-header Authorization\n";
            }
            for (id, server) in servers {
                let _ = writeln!(out, "  server {id} {server} check inter 1s fall 2 rise 1");
            }
        }
    }
    out
}

/// Exact names first, then wildcards, the longest first.
fn rules(out: &mut String, kind: &str, all: &BTreeMap<&str, Vec<(&str, String)>>, test: impl Fn(&str) -> String) {
    let mut names: Vec<&&str> = all.keys().collect();
    names.sort_by_key(|name| (name.starts_with('*'), std::cmp::Reverse(name.len()), **name));
    for domain in names {
        let _ = writeln!(out, "  use_backend {kind}_{} if {{ {} }}", plain(domain), test(domain));
    }
}

fn plain(domain: &str) -> String {
    domain.chars().map(|c| if c.is_ascii_alphanumeric() || "-._".contains(c) { c } else { '_' }).collect()
}

/// Plans the proxy. HAProxy itself checks the new file before it takes the place of the old one.
pub fn chunks(proxy: &Proxy, guests: &[Behind<'_>]) -> Result<Vec<Chunk>, String> {
    let args = |items: &[(&str, Value)]| -> Map { items.iter().cloned().collect() };
    let mut chunks = vec![];
    if proxy.packages {
        chunks.push(Chunk::new("proxy: package", "pkg.installed", args(&[("name", "haproxy".into())])));
    }
    // Certificates stay only for as long as somebody is served.
    let served = guests.iter().any(|guest| ["http", "https"].iter().any(|port| guest.given.ports.contains_key(*port)));
    let bare = Proxy { tls: vec![], auth: BTreeMap::new(), ..proxy.clone() };
    let text = config(if served { proxy } else { &bare }, guests);
    let mut certificates = vec![];
    for certificate in &proxy.tls {
        let path = format!("{}/{}.pem", proxy.certificates, certificate.name());
        let mut chunk = match served {
            true => certificate.chunk(&proxy.certificates)?,
            false => Chunk::new(
                format!("proxy: no certificate {}", certificate.name()),
                "file.absent",
                args(&[("name", path.into())]),
            ),
        };
        if let Some(package) = chunks.first() {
            chunk = chunk.after(package);
        }
        certificates.push(chunk);
    }
    let mut file = Chunk::new(
        "proxy: configuration",
        "file.managed",
        args(&[
            ("name", Value::str(&proxy.config)),
            ("contents", text.trim_end().into()),
            ("mode", if proxy.auth.is_empty() { "0644" } else { "0600" }.into()),
            ("makedirs", true.into()),
            ("check_cmd", "haproxy -c -q -f".into()),
        ]),
    );
    if let Some(package) = chunks.last() {
        file = file.after(package);
    }
    for certificate in &certificates {
        if served {
            file = file.after(certificate);
        }
    }
    // What is used goes after what uses it; what is to be used comes before.
    if served {
        chunks.extend(certificates.iter().cloned());
    }
    chunks.push(file.clone());
    match &proxy.reload {
        Some(command) => {
            // Level, not event: what was loaded is stamped, in a place that a restart empties.
            let stamp = format!("/run/corpus-proxy-{}", &digest::hex(&digest::sha256(proxy.config.as_bytes()))[..12]);
            let contents: String = certificates.iter().filter_map(|chunk| chunk.args.str("contents")).collect();
            let mark = digest::hex(&digest::sha256((text + &contents).as_bytes()));
            let unless = format!("grep -qs {mark} {stamp}");
            let reload = args(&[("name", Value::str(command)), ("unless", unless.into())]);
            let reload = Chunk::new("proxy: reload", "cmd.run", reload).after(&file);
            let stamped = args(&[("name", stamp.into()), ("contents", mark.into())]);
            chunks.push(reload.clone());
            chunks.push(Chunk::new("proxy: loaded", "file.managed", stamped).after(&reload));
        }
        None => {
            let service = args(&[("name", "haproxy".into()), ("enable", true.into()), ("reload", true.into())]);
            let mut service = Chunk::new("proxy: service", "service.running", service).watching(&file);
            for certificate in certificates.iter().filter(|_| served) {
                service = service.watching(certificate);
            }
            chunks.push(service);
        }
    }
    if !served {
        chunks.extend(certificates);
    }
    Ok(chunks)
}
