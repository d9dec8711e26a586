//! The infrastructure database: its format, and the pillar of nodes and guests by it.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use corpus_core::exec::Caller;
use corpus_core::{Call, Data, Diagnostic, ExecError, Value};
use corpus_pillar::arguments::Entry;
use corpus_pillar::{Ask, Given, Secret, sources};
use serde_json::{Value as Json, json};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

struct Nothing;

impl Caller for Nothing {
    fn call(&self, call: &Call) -> Result<Value, ExecError> {
        Err(ExecError::NotFound(call.fun.clone()))
    }
    fn has(&self, _: &str) -> bool {
        false
    }
    fn names(&self) -> Vec<String> {
        vec![]
    }
}

fn load(path: &Path, id: &str) -> Result<Given, Diagnostic> {
    let entry = Entry { index: 0, name: "corpus_db".into(), value: path.to_str().unwrap().into() };
    let ask = Ask {
        data: Arc::new(Data { id: id.into(), ..Data::default() }),
        saltenv: "base".into(),
        pillarenv: None,
        caller: Arc::new(Nothing),
        explain: true,
        trust: Default::default(),
        deadline: Instant::now() + Duration::from_secs(5),
    };
    sources::make(&entry).unwrap()?.load(&ask)
}

const DATABASE: &str = "\
{% set node = 'n1.x.org' %}
format: 1
configurations:
  default: {default_env: prod}
  ctl.x.org: {cloud_master: true}
  bare.x.org: {manage_ssl: false, manage_dns_server: false}
baremetal_hosts: [{{ node }}, ctl.x.org, bare.x.org]
non_managed_hosts: [old.x.org]
vms:
  lxc: {{ '{' }}{{ node }}: [g1.x.org, g2.x.org]}
  kvm: {n2.x.org: []}
cloud_settings:
  lxc: {image: base, size: small}
  compute_node: {port_range_start: 41000}
cloud_vm_attrs:
  default: {memory: 1g}
  g1.x.org:
    domains: [www.y.org, g1.x.org]
    memory: 2g
    ports:
    - {name: db, port: 5432, protocol: tcp, hostPort: 45000}
    - {name: rtp, portRange: '100:110'}
cloud_cn_attrs:
  n1.x.org: {excluded_ports: [41001]}
ips:
  n1.x.org: [192.0.2.1]
  g2.x.org: [192.0.2.22]
  mail.x.org: [192.0.2.30]
ipsfo: {fo.x.org: 192.0.2.99}
ipsfo_map: {n1.x.org: [fo.x.org]}
ips_map: {alias.x.org: [second.x.org], second.x.org: [mail.x.org, n1.x.org]}
ip6s: {mail.x.org: ['2001:db8::1']}
cnames: {w.x.org: g1.x.org., mail.x.org: n1.x.org., away.x.org: other.example.}
mx_map: {x.org: [{priority: 10, name: mail.x.org}]}
managed_dns_zones: [x.org, y.org]
dns_servers:
  default: {master: ctl.x.org, slaves: [n1.x.org]}
dns_serials: {x.org: 2024010101}
ssl: {g1.x.org: [shop.z.org]}
ssl_certs:
  '*.x.org': [CERT, KEY-CANARY]
  www.y.org: [CERT2, KEY2-CANARY]
";

fn given(id: &str) -> Given {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("database.sls"), DATABASE).unwrap();
    load(dir.path(), id).unwrap()
}

fn own(given: &Given) -> Json {
    serde_json::to_value(&given.pillar).unwrap()["makina-states"].clone()
}

#[test]
fn a_node_knows_its_guests() {
    let given = given("n1.x.org");
    assert!(given.problems.is_empty(), "{:?}", given.problems);
    let own = own(&given);
    let is = &own["cloud"]["is"];
    assert_eq!((&is["compute_node"], &is["lxc_compute_node"], &is["vm"]), (&json!(true), &json!(true), &json!(false)));
    let node = &own["cloud"]["compute_node"];
    assert_eq!(node["domains"], json!(["n1.x.org", "g1.x.org", "www.y.org", "g2.x.org"]));
    assert_eq!((&node["port_range_start"], &node["port_range_end"]), (&json!(41000), &json!(60000)));
    assert_eq!((&node["excluded_ports"], &node["vts"]), (&json!([41001]), &json!(["lxc"])));
    let guest = &own["cloud"]["vms"]["g1.x.org"];
    assert_eq!((&guest["memory"], &guest["image"], &guest["bridge"]), (&json!("2g"), &json!("base"), &json!("lxcbr1")));
    assert_eq!(guest["domains"], json!(["g1.x.org", "www.y.org"]));
    let expected = json!([
        {"name": "ssh", "port": 22, "hostPort": null, "protocols": ["tcp", "udp"]},
        {"name": "db", "port": 5432, "hostPort": 45000, "protocols": ["tcp"]},
        {"name": "rtp", "hostPortRange": "100:110", "portRange": "100:110", "protocols": ["tcp", "udp"]},
    ]);
    assert_eq!(guest["ports"], expected);
    assert_eq!(own["cloud"]["vms"]["g2.x.org"]["memory"], "1g");
    // It is the slave of all zones.
    assert_eq!(own["dns"]["ips"], json!(["192.0.2.1", "192.0.2.99"]));
    let zone = &own["dns"]["zones"]["x.org"];
    assert_eq!((&zone["master"], &zone["serial"]), (&json!("ctl.x.org"), &json!(2_024_010_101)));
    let expected = json!({
        "A": {
            "alias": ["192.0.2.30", "192.0.2.1", "192.0.2.99"],
            "failover.n1": ["192.0.2.99"],
            "fo": ["192.0.2.99"],
            "g1": ["192.0.2.1", "192.0.2.99"],
            "g2": ["192.0.2.22"],
            "mail": ["192.0.2.30"],
            "n1": ["192.0.2.1", "192.0.2.99"],
            "n1.fo": ["192.0.2.99"],
            "second": ["192.0.2.30", "192.0.2.1", "192.0.2.99"],
        },
        "AAAA": {"mail": ["2001:db8::1"]},
        // A name with an address is no alias.
        "CNAME": {"away": "other.example.", "w": "g1.x.org."},
        "MX": {"@": [{"priority": 10, "name": "mail.x.org"}]},
    });
    assert_eq!(zone["records"], expected);
}

#[test]
fn a_guest_has_its_certificates_and_they_are_secret() {
    let given = given("g1.x.org");
    let own = own(&given);
    assert_eq!((&own["cloud"]["is"]["lxc_vm"], &own["cloud"]["vm"]["target"]), (&json!(true), &json!("n1.x.org")));
    assert!(own["cloud"].get("vms").is_none() && own["dns"].get("zones").is_none());
    let expected = json!({
        "certs": {
            "*.x.org": {"names": ["g1.x.org"], "cert": "CERT", "key": "KEY-CANARY"},
            "www.y.org": {"names": ["www.y.org"], "cert": "CERT2", "key": "KEY2-CANARY"},
        },
        "selfsigned": {"*.z.org": {"names": ["shop.z.org"]}},
    });
    assert_eq!(own["ssl"], expected);
    let paths = ["*.x.org", "www.y.org"].map(|name| format!("makina-states:ssl:certs:{name}:key"));
    assert_eq!(given.secret, Secret::Below(paths.to_vec()));
}

#[test]
fn others_get_what_they_are() {
    assert_eq!(own(&given("ctl.x.org"))["cloud"]["is"]["controller"], true);
    assert_eq!(own(&given("n2.x.org"))["cloud"]["is"]["kvm_compute_node"], true);
    let bare = own(&given("bare.x.org"));
    assert!(bare.get("ssl").is_none() && bare.get("dns").is_none(), "a feature that is off is not there: {bare}");
    assert_eq!(
        own(&given("old.x.org")).as_object().unwrap().len(),
        1,
        "of a machine that is not managed little is said"
    );
    for id in ["unknown.x.org", "default", ""] {
        assert!(given(id).pillar.is_empty(), "{id}");
    }
}

#[test]
fn a_wrong_file_is_refused_as_a_whole() {
    let dir = tempfile::tempdir().unwrap();
    let said = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        load(&path, "a").err().map(|why| why.to_text(None)).unwrap_or_default()
    };
    for (text, expected) in [
        ("ips: {}\n", "`format: 1` is missing"),
        ("format: '1'\n", "`format` must be the number 1"),
        ("format: true\n", "`format` must be the number 1"),
        ("format: 2\n", "database.yaml:1:9"),
        ("format: 1\nips: x\n", "the section `ips` must be a mapping or a list"),
        ("format: 1\nvms: {xen: {a: [b]}}\n", "guests of the kind 'xen' are not supported"),
        ("format: 1\nvms: {lxc: {a: [g], b: [g]}}\n", "the guest g is on two nodes: a (lxc) and b"),
        ("- 1\n", "expected a mapping of sections"),
        ("format: 1\nips: [\n", "database.yaml:2:6"),
    ] {
        let said = said("database.yaml", text);
        assert!(said.contains(expected), "{expected}\n{said}");
    }
    assert!(said("database.json", "{\"format\": 1, \"ips\": {}}").is_empty());
    let empty = tempfile::tempdir().unwrap();
    assert!(load(empty.path(), "a").unwrap_err().message.contains("has none of database.sls"));
}

#[test]
fn what_does_not_fit_together_is_a_problem() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("database.yaml");
    let problems = |text: &str| {
        std::fs::write(&path, format!("format: 1\nvms: {{lxc: {{n: [g, h]}}}}\n{text}")).unwrap();
        load(&path, "n").unwrap().problems.iter().map(|p| p.message.clone()).collect::<Vec<_>>().join("\n")
    };
    for (text, expected) in [
        ("ips_map: {a: [b], b: [c], c: [a]}\n", "a loop: a -> b -> c -> a"),
        ("ips_map: {a: [nowhere]}\n", "nowhere has no address"),
        ("ipsfo_map: {n: [fo]}\n", "fo is not in ipsfo"),
        ("cloud_vm_attrs: {g: {ports: [{name: x}]}}\n", "g: ports: x: either `port` or `portRange`"),
        ("cloud_vm_attrs: {g: {ports: [{name: x, port: 70000}]}}\n", "`port` must be a port, found 70000"),
        ("cloud_vm_attrs: {g: {ports: [{name: x, portRange: '9:1'}]}}\n", "must be `first:last`"),
        (
            "cloud_vm_attrs: {default: {ports: [{name: x, port: 1, hostPort: 40001, protocol: udp}]}}\n",
            "the port 40001/udp of n is claimed by g/x and h/x",
        ),
        (
            "managed_dns_zones: [x.org]\ndns_servers: {default: {master: n}}\ncnames: {a.x.org: b.x.org.}\n",
            "b.x.org is in a managed zone and has no address",
        ),
    ] {
        let said = problems(text);
        assert!(said.contains(expected), "{expected}\n{said}");
    }
    assert_eq!(problems(""), "");
}
