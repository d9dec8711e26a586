//! Machines that are declared: attached boxes for real, and what is said of mistakes in the declarations.

use crate::lab_or_skip;
use crate::support::{Lab, Said, Tree};

/// A tree whose configuration declares two boxes of the lab.
pub fn boxes(lab: &Lab, hosts: &[usize]) -> Tree {
    let tree = Tree::new();
    tree.file("etc/master", "corpus_cachedir: $TREE/cache\ncloud_dir: $TREE/cloud\n");
    let roster = lab.roster(hosts[0]);
    let value = |key: &str| {
        let line = roster.lines().find_map(|line| line.trim().strip_prefix(key)).expect("it is in the roster");
        line.trim().to_owned()
    };
    let known = value("ssh_options:");
    let known = known.trim_matches(['[', ']']).trim_start_matches("UserKnownHostsFile=").to_owned();
    tree.file(
        "etc/cloud.providers.d/boxes.conf",
        &format!("boxes:\n  driver: saltify\n  ssh_keyfile: {}\n  known_hosts: {known}\n", value("priv:")),
    );
    tree.file("etc/cloud.profiles", "metal:\n  provider: boxes\n  base_sls: [base]\n");
    let mut map = String::from("metal:\n");
    for host in hosts {
        let roster = lab.roster(*host);
        let address =
            roster.lines().find_map(|line| line.trim().strip_prefix("host: ")).expect("an address").to_owned();
        map += &format!("  - box{host}:\n      ssh_host: {address}\n");
    }
    tree.file("etc/cloud.maps.d/all.map", &map);
    tree.file("salt/base.sls", "/srv/cloud-base:\n  file.managed:\n    - contents: based\n");
    tree
}

pub fn run(tree: &Tree, words: &[&str]) -> Said {
    Said::of(tree.corpus(words).arg("--out=json").output().expect("the program starts"))
}

pub fn machines(said: &Said) -> serde_json::Value {
    said.json().as_object().and_then(|all| all.values().next().cloned()).expect("an answer")
}

#[test]
fn boxes_are_attached_converged_and_let_go() {
    let lab = lab_or_skip!();
    let tree = boxes(lab, &[13, 14]);
    let told = machines(&run(&tree, &["map.apply", "test=True"]).expect(0));
    assert_eq!(told["box13"]["comment"], "box13 would be created");
    assert!(
        told["box13"]["result"].is_null() && !tree.path().join("cloud").exists(),
        "a dry run keeps nothing: {told}"
    );
    let told = machines(&run(&tree, &["map.apply"]).expect(0));
    assert_eq!(
        (&told["box13"]["result"], &told["box14"]["comment"]),
        (&true.into(), &"box14 was created".into()),
        "{told}"
    );
    assert_eq!(lab.inside(13, "cat /srv/cloud-base").out, "based\n");
    let told = machines(&run(&tree, &["map.apply"]).expect(0));
    assert_eq!(told["box14"]["comment"], "box14 is as declared");
    // They are minions like any other.
    let said = Said::of(tree.corpus(&["box*", "test.ping", "--out=json"]).output().expect("it starts")).expect(0);
    assert_eq!(said.json(), serde_json::json!({"box13": true, "box14": true}));
    let list = machines(&run(&tree, &["guest.list"]).expect(0));
    assert_eq!((&list["box13"]["status"], &list["box13"]["driver"]), (&"running".into(), &"saltify".into()), "{list}");
    let told = machines(&run(&tree, &["guest.stop", "box13"]).expect(1));
    assert!(told["box13"]["comment"].as_str().is_some_and(|why| why.contains("`saltify` cannot stop:")), "{told}");
    // Taken out of the map, it is named, and let go only when that is asked for.
    tree.file("etc/cloud.maps.d/all.map", "");
    let told = machines(&run(&tree, &["reconcile"]).expect(0));
    assert_eq!(told["not declared"]["ghosts"]["box13"]["comment"], "it is no longer declared", "{told}");
    let told = machines(&run(&tree, &["reconcile", "prune=True"]).expect(0));
    assert_eq!(told["box13"]["comment"], "box13 was let go; it goes on running", "{told}");
    assert_eq!(lab.inside(13, "cat /srv/cloud-base").out, "based\n");
    let roster = std::fs::read_to_string(tree.path().join("cloud/roster")).expect("a roster");
    assert!(!roster.contains("box13"), "{roster}");
}

#[test]
fn row_118_a_machine_finds_its_declaration_in_its_pillar() {
    let lab = lab_or_skip!();
    let tree = boxes(lab, &[19]);
    tree.file(
        "salt/base.sls",
        "/srv/told:\n  file.managed:\n    - contents: {{ pillar['dns'] }} {{ pillar['cloud']['machine']['node'] }}\n",
    );
    let map = std::fs::read_to_string(tree.path().join("etc/cloud.maps.d/all.map")).expect("a map");
    let pillar = "      default_env: preprod\n      pillar: {dns: 192.0.2.53, firewall: {open: [22]}}\n      domains: [shop.test]\n";
    tree.file("etc/cloud.maps.d/all.map", &format!("{map}{pillar}"));
    run(&tree, &["map.apply"]).expect(0);
    // It is there already while the machine is made.
    assert_eq!(lab.inside(19, "cat /srv/told").out, "192.0.2.53 boxes\n");
    let told = run(&tree, &["box19", "pillar.items"]).expect(0).json()["box19"].take();
    assert_eq!((&told["default_env"], &told["firewall"]["open"][0]), (&"preprod".into(), &22.into()), "{told}");
    assert_eq!(told["cloud"]["machine"]["domains"], serde_json::json!(["box19", "shop.test"]), "{told}");
    // Another value reaches it without its being made anew; who is not declared gets nothing.
    tree.file("etc/cloud.maps.d/all.map", &format!("{map}{}", pillar.replace("preprod", "prod")));
    run(&tree, &["map.apply"]).expect(0);
    let told = run(&tree, &["box19", "pillar.get", "default_env"]).expect(0).json()["box19"].take();
    assert_eq!(told, "prod");
    run(&tree, &["guest.destroy", "box19"]).expect(0);
}

#[test]
fn rows_33_and_117_nodes_have_passwords_and_go_only_when_they_carry_nobody() {
    let lab = lab_or_skip!();
    let tree = boxes(lab, &[15]);
    tree.file("salt/base.sls", "{}\n");
    let map = std::fs::read_to_string(tree.path().join("etc/cloud.maps.d/all.map")).expect("a map");
    tree.file("etc/cloud.maps.d/all.map", &(map + "      root_password: true\n"));
    let told = machines(&run(&tree, &["map.apply"]).expect(0));
    let secret = run(&tree, &["guest.password", "box15"]).expect(0);
    let secret = machines(&secret).as_str().expect("a password").to_owned();
    assert!(secret.len() == 32 && !told.to_string().contains(&secret), "{told}");
    let check = format!("perl -e 'my $h = (getpwnam(\"root\"))[1]; exit(crypt(\"{secret}\", $h) ne $h)'");
    lab.inside(15, &check).expect(0);
    let told = machines(&run(&tree, &["map.apply"]).expect(0));
    assert_eq!(told["box15"]["comment"], "box15 is as declared", "{told}");
    // What somebody changed is put right.
    lab.inside(15, "echo root:other | chpasswd").expect(0);
    run(&tree, &["reconcile"]).expect(0);
    lab.inside(15, &check).expect(0);
    let shown = machines(&run(&tree, &["node.show", "box15"]).expect(0));
    assert!(
        shown["memory"].as_u64() > shown["memory_free"].as_u64() && shown["disks"]["/"]["size"].is_u64(),
        "{shown}"
    );
    // A node that carries guests is not let go.
    let ledger = tree.path().join("cloud/ledger.json");
    let before = std::fs::read_to_string(&ledger).expect("a ledger");
    let mut lines: serde_json::Value = serde_json::from_str(&before).expect("JSON");
    let mut guest = lines["guests"]["box15"].clone();
    for (key, value) in [("id", "web1"), ("driver", "lxc"), ("node", "box15")] {
        guest["spec"][key] = value.into();
    }
    lines["guests"]["web1"] = guest;
    std::fs::write(&ledger, lines.to_string()).expect("a ledger");
    let list = machines(&run(&tree, &["node.list"]).expect(0));
    assert_eq!(list["box15"], serde_json::json!({"drivers": ["lxc"], "guests": ["web1"]}));
    let told = machines(&run(&tree, &["guest.destroy", "box15"]).expect(1));
    assert_eq!(told["box15"]["comment"], "box15 carries web1: end them or move them to another node first");
    std::fs::write(&ledger, before).expect("a ledger");
    run(&tree, &["guest.destroy", "box15"]).expect(0);
    assert!(!tree.path().join("cloud/passwords/box15").exists(), "the password goes with it");
}

#[test]
fn a_box_that_does_not_answer_fails_alone() {
    let lab = lab_or_skip!();
    let tree = boxes(lab, &[15]);
    let map = std::fs::read_to_string(tree.path().join("etc/cloud.maps.d/all.map")).expect("a map");
    tree.file("etc/cloud.maps.d/all.map", &(map + "  - nobody: {ssh_host: 127.0.0.1, ssh_port: 1}\n"));
    tree.file("salt/base.sls", "{}\n");
    let said = run(&tree, &["map.apply"]).expect(1);
    let told = machines(&said);
    assert_eq!((&told["nobody"]["result"], &told["box15"]["result"]), (&false.into(), &true.into()), "{told}");
    assert!(told["nobody"]["comment"].as_str().is_some_and(|why| why.contains("refused the connection")), "{told}");
}

#[test]
fn mistakes_name_their_place() {
    let tree = Tree::new();
    tree.file("etc/master", "corpus_cachedir: $TREE/cache\ncloud_dir: $TREE/cloud\n");
    let cases = [
        ("cloud.providers", "p:\n  drivr: lxc\n", "cloud.providers:1:1", "names no `driver`"),
        ("cloud.providers", "p:\n  driver: lcx\n  node: n\n", "cloud.providers:2:3", "did you mean `lxc`"),
        ("cloud.providers", "p: [\n", "cloud.providers:", "error"),
        ("cloud.profiles", "web:\n  provider: q\n", "cloud.profiles:2:3", "no provider `q`"),
        ("cloud.profiles", "web:\n  provider: p\n  memroy: 1G\n", "cloud.profiles:3:3", "did you mean `memory`"),
        ("cloud.profiles", "web:\n  provider: p\n  memory: lots\n", "cloud.profiles:3:3", "`lots` is no size"),
        (
            "cloud.profiles",
            "web:\n  provider: p\n  ports: [{name: x}]\n",
            "cloud.profiles:3:3",
            "`port` or `portRange`",
        ),
        ("cloud.maps.d/a.map", "wbe:\n  - web1\n", "a.map:1", "did you mean `web`"),
        ("cloud.maps.d/a.map", "web:\n  - a/b\n", "a.map:2:5", "cannot name a machine"),
        ("cloud.maps.d/a.map", "web:\n  - web1\n  - web1\n", "a.map:3:5", "declared twice"),
        ("cloud.maps.d/a.map", "vms:\n  lcx:\n    n: [web1]\n", "a.map:2:3", "did you mean `lxc`"),
    ];
    for (file, text, place, word) in cases {
        for (name, good) in [
            ("cloud.providers", "p:\n  driver: lxc\n  node: n\n"),
            ("cloud.profiles", "web:\n  provider: p\n"),
            ("cloud.maps.d/a.map", "web:\n  - web1\n"),
        ] {
            tree.file(&format!("etc/{name}"), if name == file { text } else { good });
        }
        let said = run(&tree, &["map.apply", "test=True"]).expect(64);
        assert!(said.err.contains(place) && said.err.contains(word), "{file}: {text}\n{}", said.err);
    }
}

#[test]
fn an_orchestration_makes_and_ends_machines() {
    let lab = lab_or_skip!();
    let tree = boxes(lab, &[9]);
    let map = std::fs::read_to_string(tree.path().join("etc/cloud.maps.d/all.map")).expect("a map");
    let address = map.split("ssh_host: ").nth(1).expect("an address").trim().to_owned();
    tree.file("etc/cloud.maps.d/all.map", "").file("salt/base.sls", "{}\n");
    let made = format!("attached:\n  cloud.profile:\n    - profile: metal\n    - ssh_host: {address}\n");
    tree.file("salt/orch.sls", &made);
    let comment = |said: &Said| {
        let all = machines(said);
        let record = all.as_object().and_then(|all| all.values().next().cloned()).expect("a record");
        record["comment"].as_str().unwrap_or_default().to_owned()
    };
    let would = run(&tree, &["state.orchestrate", "orch", "test=True"]).expect(0);
    assert_eq!(comment(&would), "Instance attached needs to be created");
    let did = run(&tree, &["state.orchestrate", "orch"]).expect(0);
    assert_eq!(comment(&did), "Created instance attached using profile metal");
    let again = run(&tree, &["state.orchestrate", "orch"]).expect(0);
    assert_eq!(comment(&again), "Already present instance attached");
    // What was made by a command is declared by it: reconciling leaves it, and names no ghost.
    let told = machines(&run(&tree, &["reconcile"]).expect(0));
    assert_eq!(told["attached"]["comment"], "attached is as declared", "{told}");
    assert!(told.get("not declared").is_none(), "{told}");
    tree.file("salt/orch.sls", "attached:\n  cloud.absent: []\n");
    let gone = run(&tree, &["state.orchestrate", "orch"]).expect(0);
    assert_eq!(comment(&gone), "Destroyed instance attached");
    let again = run(&tree, &["state.orchestrate", "orch"]).expect(0);
    assert_eq!(comment(&again), "Already absent instance attached");
}

/// Without Amazon's SDK the driver says how to get it, and touches nothing.
#[cfg(not(feature = "ec2"))]
#[test]
fn ec2_says_that_it_was_not_built_in() {
    let tree = Tree::new();
    tree.file("etc/master", "corpus_cachedir: $TREE/cache\ncloud_dir: $TREE/cloud\n");
    tree.file("etc/cloud.providers", "aws:\n  driver: ec2\n  location: eu-west-1\n");
    tree.file("etc/cloud.profiles", "web:\n  provider: aws\n  image: ami-1\n  size: t3.micro\n");
    tree.file("etc/cloud.map", "web: [web1]\n");
    let told = machines(&run(&tree, &["map.apply"]).expect(1));
    let why = told["web1"]["comment"].as_str().expect("a comment");
    assert!(why.contains("`cargo build --release --features ec2`"), "{why}");
}
