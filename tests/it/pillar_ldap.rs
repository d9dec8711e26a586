//! The pillar source `pillar_ldap` through the whole program, with a real slapd: what it gives, what `pillar.explain` tells
//! of it, and that neither its secrets nor the right to ask are shown.

use crate::support::{Said, Tree};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const CONF: &str = "include /etc/ldap/schema/core.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile $TREE/slapd.pid
database mdb
maxsize 8388608
suffix dc=x
rootdn cn=root,dc=x
rootpw c4nary-bind
directory $TREE/db
access to * by * none
";

const ENTRIES: &str = "dn: dc=x
objectClass: dcObject
objectClass: organization
dc: x
o: x

dn: cn=it,dc=x
objectClass: device
cn: it
description: db_password=c4nary-of-it
serialNumber: plain=1

dn: cn=other,dc=x
objectClass: device
cn: other
description: db_password=c4nary-of-another
";

struct Slapd(Child);

impl Drop for Slapd {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(tree: &Tree, port: u16) -> Option<Slapd> {
    let program = Path::new("/usr/sbin/slapd");
    if !program.exists() {
        return None;
    }
    tree.file("slapd.conf", CONF).file("entries.ldif", ENTRIES).file("db/.keep", "");
    let conf = tree.path().join("slapd.conf");
    let added = Command::new("/usr/sbin/slapadd")
        .arg("-q")
        .arg("-f")
        .arg(&conf)
        .arg("-l")
        .arg(tree.path().join("entries.ldif"))
        .output();
    let added = added.expect("slapadd starts");
    assert!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
    let mut command = Command::new(program);
    command.arg("-f").arg(conf).args(["-h", &format!("ldap://127.0.0.1:{port}/"), "-d", "0"]).stderr(Stdio::null());
    let (slapd, since) = (Slapd(command.spawn().expect("slapd starts")), Instant::now());
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(since.elapsed() < Duration::from_secs(10), "slapd does not start");
        std::thread::sleep(Duration::from_millis(20));
    }
    Some(slapd)
}

#[test]
fn a_directory_gives_pillar_and_shows_no_secret() {
    let tree = Tree::new();
    let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port();
    let Some(slapd) = start(&tree, port) else {
        println!("skipped: there is no slapd on this machine (package slapd)");
        return;
    };
    tree.file(
        "etc/minion",
        "id: it\ncorpus_cachedir: $TREE/cache\npillar.secret_keys: '*_password'\next_pillar:\n  - pillar_ldap: $TREE/ldap.yaml\n",
    );
    let search = |password: &str| {
        tree.file(
            "ldap.yaml",
            &format!(
                "own: {{server: 127.0.0.1, port: {port}, binddn: 'cn=root,dc=x', bindpw: {password}, dn: dc=x, \
                 filter: '(cn={{{{ id }}}})', attrs: [description, serialNumber]}}\nsearch_order: [own]\n"
            ),
        );
    };
    let ask = |words: &[&str]| {
        let said = tree.local(&[&["-l", "debug"], words, &["--out=json"]].concat());
        for secret in ["c4nary-bind", "c4nary-wrong", "c4nary-of-another", "YzRuYXJ5"] {
            assert!(!said.out.contains(secret) && !said.err.contains(secret), "{words:?}: {}{}", said.out, said.err);
        }
        said
    };
    search("c4nary-bind");
    let hidden = ask(&["pillar.items"]).expect(0);
    assert_eq!(hidden.json()["local"], serde_json::json!({"db_password": "***", "plain": "1"}));
    let shown = ask(&["--show-secrets", "pillar.get", "db_password"]).expect(0);
    assert_eq!(shown.json()["local"], "c4nary-of-it");
    // Where it came from is told, what it is is not: by key, by the whole, and for what was overridden.
    for key in ["db_password", "plain"] {
        let told = ask(&["pillar.explain", key]).expect(0);
        assert!(!told.out.contains("c4nary") && !told.err.contains("c4nary"), "{}{}", told.out, told.err);
        assert_eq!(told.json()["local"]["from"][0], "pillar_ldap at own: cn=it,dc=x");
    }
    tree.file("pillar/top.sls", "base: {'*': [a]}\n").file("pillar/a.sls", "db_password: c4nary-first\n");
    let told = ask(&["pillar.explain", "db_password"]).expect(0);
    assert_eq!(told.json()["local"]["overrode"][0]["pillar SLS a (base) at a.sls:1:1"], "***", "{}", told.out);

    search("c4nary-wrong");
    let said = ask(&["pillar.items"]).expect(0);
    let error = said.json()["local"]["_errors"][0].as_str().expect("an error").to_owned();
    assert!(error.starts_with("Failed to load ext_pillar pillar_ldap:") && error.contains("nvalid"), "{error}");
    drop(slapd);
    let error = ask(&["pillar.items"]).expect(0).json()["local"]["_errors"][0].to_string();
    assert!(error.contains("refused") && error.contains(&port.to_string()), "{error}");
    let said = Said::of(tree.corpus(&["--local", "state.apply"]).output().expect("it starts"));
    assert_ne!(said.code, 0, "states do not run with a part of their pillar");
}
