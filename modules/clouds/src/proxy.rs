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
}

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
    let _ = write!(
        out,
        "\nfrontend http\n  bind :{}\n  option forwardfor\n  http-request set-header X-Forwarded-Proto http\n",
        proxy.http
    );
    rules(&mut out, "http", &http, |domain| match domain.strip_prefix('*') {
        Some(end) => format!("hdr(host),field(1,:) -m end -i {end}"),
        None => format!("hdr(host),field(1,:) -i {domain}"),
    });
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
    }
    for (kind, all) in [("http", &http), ("https", &https)] {
        for (domain, servers) in all {
            let _ = write!(out, "\nbackend {kind}_{}\n", plain(domain));
            if kind == "https" {
                out += "  mode tcp\n";
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
pub fn chunks(proxy: &Proxy, guests: &[Behind<'_>]) -> Vec<Chunk> {
    let args = |items: &[(&str, Value)]| -> Map { items.iter().cloned().collect() };
    let mut chunks = vec![];
    if proxy.packages {
        chunks.push(Chunk::new("proxy: package", "pkg.installed", args(&[("name", "haproxy".into())])));
    }
    let text = config(proxy, guests);
    let mut file = Chunk::new(
        "proxy: configuration",
        "file.managed",
        args(&[
            ("name", Value::str(&proxy.config)),
            ("contents", text.trim_end().into()),
            ("mode", "0644".into()),
            ("makedirs", true.into()),
            ("check_cmd", "haproxy -c -q -f".into()),
        ]),
    );
    if let Some(package) = chunks.last() {
        file = file.after(package);
    }
    chunks.push(file.clone());
    match &proxy.reload {
        Some(command) => {
            // Level, not event: what was loaded is stamped, in a place that a restart empties.
            let stamp = format!("/run/corpus-proxy-{}", &digest::hex(&digest::sha256(proxy.config.as_bytes()))[..12]);
            let mark = digest::hex(&digest::sha256(text.as_bytes()));
            let unless = format!("grep -qs {mark} {stamp}");
            let reload = args(&[("name", Value::str(command)), ("unless", unless.into())]);
            let reload = Chunk::new("proxy: reload", "cmd.run", reload).after(&file);
            let stamped = args(&[("name", stamp.into()), ("contents", mark.into())]);
            chunks.push(reload.clone());
            chunks.push(Chunk::new("proxy: loaded", "file.managed", stamped).after(&reload));
        }
        None => {
            let service = args(&[("name", "haproxy".into()), ("enable", true.into()), ("reload", true.into())]);
            chunks.push(Chunk::new("proxy: service", "service.running", service).watching(&file));
        }
    }
    chunks
}
