//! What stands before machines, with the real servers: names in bind and PowerDNS and /etc/hosts, HAProxy under load.

use crate::clouds::{boxes, machines, run};
use crate::lab_or_skip;
use crate::support::{Lab, Tree};
use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// A server of a test, ended with it.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn free_port() -> u16 {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    socket.local_addr().expect("an address").port()
}

fn wait_for(what: &str, mut good: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(30);
    while !good() {
        assert!(Instant::now() < until, "{what} does not come");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn dig(port: u16, name: &str) -> String {
    let port = port.to_string();
    let args = ["@127.0.0.1", "-p", &port, "+short", "+tries=1", "+time=2", name, "A"];
    let said = Command::new("dig").args(args).output().expect("dig");
    String::from_utf8_lossy(&said.stdout).trim().to_owned()
}

/// Starts bind with a zone that a key may update; returns its port and the key.
fn bind(tree: &Tree) -> (Server, u16, String) {
    let (port, control) = (free_port(), free_port());
    let key = Command::new("tsig-keygen").args(["-a", "hmac-sha256", "corpus"]).output().expect("tsig-keygen");
    let key = String::from_utf8(key.stdout).expect("text");
    let secret = key.split('"').nth(3).expect("a secret").to_owned();
    std::fs::create_dir_all(tree.path().join("bind")).expect("a folder");
    tree.file(
        "bind/zone",
        "$TTL 60\n@ IN SOA ns.example.org. root.example.org. 1 60 60 600 60\n  IN NS ns\nns IN A 127.0.0.1\ntaken IN A 192.0.2.9\n",
    );
    tree.file(
        "bind/named.conf",
        &format!(
            "{key}\noptions {{ directory \"$TREE/bind\"; pid-file \"$TREE/bind/pid\"; session-keyfile \"$TREE/bind/s\"; \
             listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }}; recursion no; dnssec-validation no; }};\n\
             controls {{ inet 127.0.0.1 port {control} allow {{ 127.0.0.1; }} keys {{ corpus; }}; }};\n\
             zone \"example.org\" {{ type primary; file \"zone\"; update-policy {{ grant corpus zonesub ANY; }}; }};\n"
        ),
    );
    let conf = tree.path().join("bind/named.conf");
    let mut command = Command::new("named");
    let child =
        command.arg("-g").arg("-c").arg(conf).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("named");
    let server = Server(child);
    wait_for("bind", || dig(port, "ns.example.org") == "127.0.0.1");
    (server, port, secret)
}

/// Starts PowerDNS with an empty zone; returns its port and that of its API.
fn powerdns(tree: &Tree) -> (Server, u16, u16) {
    let (port, api) = (free_port(), free_port());
    let dir = tree.path().join("pdns");
    std::fs::create_dir_all(dir.join("conf")).expect("a folder");
    let schema = std::fs::File::open("/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql").expect("a schema");
    assert!(Command::new("sqlite3").arg(dir.join("db")).stdin(schema).status().expect("sqlite3").success());
    let path = dir.display();
    let child = Command::new("pdns_server")
        .args([
            format!("--config-dir={path}/conf"),
            format!("--socket-dir={path}"),
            "--launch=gsqlite3".into(),
            format!("--gsqlite3-database={path}/db"),
            "--local-address=127.0.0.1".into(),
            format!("--local-port={port}"),
            "--api=yes".into(),
            "--api-key=opensesame".into(),
            "--webserver=yes".into(),
            "--webserver-address=127.0.0.1".into(),
            format!("--webserver-port={api}"),
            "--daemon=no".into(),
            "--guardian=no".into(),
            "--disable-syslog".into(),
        ])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("pdns_server");
    let server = Server(child);
    let zone = r#"{"name": "example.org.", "kind": "Native", "nameservers": ["ns.example.org."]}"#;
    let url = format!("http://127.0.0.1:{api}/api/v1/servers/localhost/zones");
    wait_for("PowerDNS", || {
        let args = ["-sf", "-o", "/dev/null", "-H", "X-API-Key: opensesame", "-d", zone, url.as_str()];
        Command::new("curl").args(args).status().is_ok_and(|status| status.success())
    });
    (server, port, api)
}

#[test]
fn names_are_kept_in_bind_powerdns_and_hosts() {
    let lab = lab_or_skip!();
    let tree = boxes(lab, &[16]);
    let (_bind, bind_port, secret) = bind(&tree);
    let (_pdns, pdns_port, api) = powerdns(&tree);
    let map = std::fs::read_to_string(tree.path().join("etc/cloud.maps.d/all.map")).expect("a map");
    let address = map.split("ssh_host: ").nth(1).expect("an address").trim().to_owned();
    let with = |domains: &str| tree.file("etc/cloud.maps.d/all.map", &format!("{map}      domains: [{domains}]\n"));
    let dns = |key: &str| {
        tree.file(
            "etc/cloud",
            &format!(
                "dns:\n  - {{driver: hosts, minions: [box16]}}\n  - {{driver: bind, zone: example.org, port: {bind_port}, \
                 key_name: corpus, key_secret: '{secret}'}}\n  - {{driver: powerdns, zone: example.org, url: \
                 'http://127.0.0.1:{api}', api_key: {key}}}\n"
            ),
        );
    };
    dns("opensesame");
    with("app.example.org");
    tree.file("salt/base.sls", "{}\n");
    let told = machines(&run(&tree, &["map.apply", "test=True"]).expect(0));
    assert!(dig(bind_port, "app.example.org").is_empty(), "a dry run writes no name: {told}");
    run(&tree, &["map.apply"]).expect(0);
    assert_eq!(dig(bind_port, "app.example.org"), address);
    assert_eq!(dig(pdns_port, "app.example.org"), address);
    let hosts = lab.inside(16, "cat /etc/hosts").out;
    assert!(hosts.lines().any(|line| line.starts_with(&address) && line.contains("app.example.org")), "{hosts}");
    let again = machines(&run(&tree, &["reconcile"]).expect(0));
    assert_eq!(again.as_object().map(|all| all.len()), Some(1), "nothing is left to do: {again}");
    // A name that is moved away by hand comes back.
    with("other.example.org");
    run(&tree, &["reconcile"]).expect(0);
    assert_eq!((dig(bind_port, "app.example.org"), dig(pdns_port, "app.example.org")), (String::new(), String::new()));
    assert_eq!(dig(bind_port, "other.example.org"), address);
    // What somebody else wrote is left, and told.
    with("taken.example.org");
    let told = machines(&run(&tree, &["reconcile"]).expect(1)).to_string();
    assert!(told.contains("taken.example.org is there already and leads to 192.0.2.9"), "{told}");
    assert_eq!(dig(bind_port, "taken.example.org"), "192.0.2.9");
    with("last.example.org");
    dns("wrong");
    let said = run(&tree, &["reconcile"]).expect(1);
    assert!(said.out.contains("the API key is refused") && !said.out.contains(&secret), "{}", said.out);
    dns("opensesame");
    tree.file("etc/cloud.maps.d/all.map", "");
    run(&tree, &["reconcile", "prune=True"]).expect(0);
    assert_eq!(
        (dig(bind_port, "last.example.org"), dig(pdns_port, "taken.example.org")),
        (String::new(), String::new())
    );
}

/// Asks the proxy once; tells whether the whole answer came.
fn get(address: &str, domain: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    let timeout = Some(Duration::from_secs(10));
    stream.set_read_timeout(timeout).and_then(|()| stream.set_write_timeout(timeout)).ok()?;
    stream.write_all(format!("GET / HTTP/1.1\r\nHost: {domain}\r\nConnection: close\r\n\r\n").as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.starts_with("HTTP/1.1 200").then_some(answer)
}

/// TLS ends at the proxy with a certificate that HAProxy took; a domain can ask who somebody is.
fn tls_ends_at_the_proxy(lab: &Lab, tree: &Tree, address: &str, proxy: &dyn Fn(&str)) {
    let openssl = |words: &[&str]| {
        let said = Command::new("openssl").args(words).output().expect("openssl");
        assert!(said.status.success(), "{words:?}: {}", String::from_utf8_lossy(&said.stderr));
        String::from_utf8(said.stdout).expect("text").trim().to_owned()
    };
    let at = |name: &str| tree.path().join(name).display().to_string();
    let (pem, key, other) = (at("app.pem"), at("app.key"), at("other.key"));
    let names = "subjectAltName=DNS:app.example.org,DNS:other.example.org";
    openssl(&[
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=app",
        "-addext",
        names,
        "-keyout",
        &key,
        "-out",
        &pem,
    ]);
    openssl(&["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", &other]);
    let hash = openssl(&["passwd", "-6", "-salt", "abcdefgh", "opensesame"]);
    let settings = |key: &str| {
        proxy(&format!(
            "  https_port: 8443\n  certificates: /srv/certificates\n  tls: [[{pem}, {key}]]\n  auth:\n    other.example.org: {{ann: '{hash}'}}\n"
        ));
    };
    let ask = |domain: &str, more: &[&str]| {
        let (to, url) = (format!("{domain}:8443:{address}"), format!("https://{domain}:8443/"));
        let words = ["-s", "-m", "5", "-w", "%{http_code}", "--cacert", &pem, "--resolve", &to, &url];
        let said = Command::new("curl").args(words).args(more).output().expect("curl");
        String::from_utf8_lossy(&said.stdout).replace('\n', " ")
    };
    settings(&key);
    let said = run(tree, &["reconcile"]).expect(0);
    let secret = std::fs::read_to_string(&key).expect("a key");
    assert!(!said.out.contains(secret.lines().nth(1).expect("a line")), "the key is shown: {}", said.out);
    wait_for("TLS", || ask("app.example.org", &[]).ends_with("200"));
    assert!(ask("app.example.org", &[]).starts_with("from-1"));
    assert_eq!(ask("other.example.org", &[]).rsplit(' ').next(), Some("401"));
    assert_eq!(ask("other.example.org", &["-u", "ann:opensesame"]), "from-18 200");
    assert!(ask("other.example.org", &["-u", "ann:wrong"]).ends_with("401"));
    assert_eq!(
        lab.inside(17, "stat -c %a /srv/certificates /srv/certificates/app.pem /srv/haproxy.cfg").out,
        "700\n600\n600\n"
    );
    let told = machines(&run(tree, &["reconcile"]).expect(0));
    assert_eq!(told["proxy on box17"]["comment"], "the proxy is as declared", "{told}");
    // A key of another certificate never takes the place of its own.
    settings(&other);
    let told = machines(&run(tree, &["reconcile"]).expect(1));
    assert_eq!(told["proxy on box17"]["result"], false, "{told}");
    assert_eq!(ask("app.example.org", &[]).rsplit(' ').next(), Some("200"));
    settings("/nowhere.key");
    assert!(run(tree, &["reconcile"]).expect(1).out.contains("cannot read /nowhere.key"));
    proxy("  auth: {app.example.org: {ann: opensesame}}\n");
    assert!(run(tree, &["reconcile"]).expect(64).err.contains("must be a hash"));
}

#[test]
fn row_56_names_lead_to_their_guests_and_reloads_lose_no_request() {
    let lab = lab_or_skip!();
    let tree = boxes(lab, &[17, 18]);
    tree.file("salt/base.sls", "{}\n");
    let map = std::fs::read_to_string(tree.path().join("etc/cloud.maps.d/all.map")).expect("a map");
    let address = map.split("ssh_host: ").nth(1).expect("an address").lines().next().expect("a line").trim().to_owned();
    let mut names = ["app.example.org", "app.example.org, other.example.org"].into_iter();
    let mut lines = || {
        let names = names.next().expect("two guests");
        format!("      ports: {{http: 8000}}\n      domains: [{names}]\n")
    };
    let map: String = map
        .lines()
        .map(|line| if line.contains("ssh_host") { format!("{line}\n{}", lines()) } else { format!("{line}\n") })
        .collect();
    tree.file("etc/cloud.maps.d/all.map", &map);
    let reload = "test -s /run/haproxy.pid && kill -USR2 $(cat /run/haproxy.pid) || haproxy -W -D -p /run/haproxy.pid -f /srv/haproxy.cfg";
    let proxy = |more: &str| {
        let text = format!(
            "proxy:\n  minion: box17\n  config: /srv/haproxy.cfg\n  http_port: 8080\n  packages: false\n  reload: '{reload}'\n{more}"
        );
        tree.file("etc/cloud", &text);
    };
    for host in [17, 18] {
        let page =
            format!("mkdir -p /srv/www && echo from-{host} > /srv/www/index.html && busybox httpd -p 8000 -h /srv/www");
        lab.inside(host, &page).expect(0);
    }
    proxy("");
    run(&tree, &["map.apply"]).expect(0);
    let front = format!("{address}:8080");
    wait_for("the proxy", || get(&front, "app.example.org").is_some());
    let seen: std::collections::BTreeSet<bool> =
        (0..8).filter_map(|_| get(&front, "app.example.org")).map(|answer| answer.contains("from-17")).collect();
    assert_eq!(seen.len(), 2, "both guests are asked");
    for _ in 0..4 {
        let other = get(&front, "other.example.org").expect("the other guest answers");
        assert!(other.contains("from-18"), "another name is another guest: {other}");
    }
    assert!(get(&front, "nobody.example.org").is_none(), "a name of nobody is not served");
    // Configurations change under load; no request is lost.
    let (stop, good, lost) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let counter = if get(&front, "app.example.org").is_some() { &good } else { &lost };
                    counter.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for seconds in [31, 32, 33] {
            proxy(&format!("  defaults: ['timeout queue {seconds}s']\n"));
            let told = machines(&run(&tree, &["reconcile"]).expect(0));
            assert_eq!(told["proxy on box17"]["comment"], "the proxy was changed", "{told}");
        }
        stop.store(true, Ordering::Relaxed);
    });
    let (good, lost) = (good.into_inner(), lost.into_inner());
    eprintln!("{good} requests over three reloads, {lost} lost");
    assert!(good > 50 && lost == 0, "{lost} of {} requests were lost", good + lost);
    // What HAProxy does not take never takes the old one's place.
    proxy("  defaults: ['no such words']\n");
    let told = machines(&run(&tree, &["reconcile"]).expect(1));
    assert_eq!(told["proxy on box17"]["result"], false, "{told}");
    assert!(!lab.inside(17, "cat /srv/haproxy.cfg").out.contains("no such words"));
    assert!(get(&front, "app.example.org").is_some());
    tls_ends_at_the_proxy(lab, &tree, &address, &proxy);
    lab.inside(17, "kill $(cat /run/haproxy.pid); pkill busybox");
    lab.inside(18, "pkill busybox");
}
