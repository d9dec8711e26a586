//! Over SSH, when things go wrong: keys, rosters, dead hosts, full disks, and killed processes.

use crate::lab_or_skip;
use crate::support::{HOSTS, Said, Tree};
use std::process::Stdio;
use std::time::{Duration, Instant};

#[test]
fn one_dead_host_delays_nobody() {
    let lab = lab_or_skip!();
    let tree = Tree::new();
    // An address of the lab's network where nobody is.
    let mut roster = lab.roster(2) + &lab.roster(3);
    let dead = lab.roster(2).replacen("h2:", "dead:", 1);
    let host = dead.lines().find(|line| line.contains("host:")).expect("a host line").to_owned();
    let nobody = host.rsplit_once('.').expect("an address").0.to_owned() + ".250";
    roster += &dead.replace(&host, &nobody);
    let started = Instant::now();
    let said = lab.ssh(&tree, &roster, &["-t", "3", "*", "test.ping", "--out=json"]);
    assert_eq!(said.code, 1, "{}{}", said.out, said.err);
    let json = said.json();
    assert_eq!((&json["h2"], &json["h3"]), (&true.into(), &true.into()));
    assert!(json["dead"].as_str().is_some_and(|why| why.contains("10.")), "{}", json["dead"]);
    assert!(started.elapsed() < Duration::from_secs(20), "took {:?}", started.elapsed());
}

#[test]
fn an_unknown_host_key_stops_that_host_and_says_how_to_accept_it() {
    let lab = lab_or_skip!();
    let tree = Tree::new();
    tree.file("known", "");
    let known = format!("{}/known", tree.path().display());
    let roster = with_known_hosts(&lab.roster(2), &known);
    let said = lab.ssh(&tree, &roster, &["*", "test.ping"]).expect(1);
    assert!(said.out.contains("ssh-keyscan") && said.out.contains("SHA256:"), "{}", said.out);
    let said = lab.ssh(&tree, &roster, &["--accept-new-host-keys", "*", "test.ping"]).expect(0);
    assert!(said.out.contains("True"), "{}", said.out);
    lab.ssh(&tree, &roster, &["*", "test.ping"]).expect(0);
    // A key that is another than the known one stops the host even with the flag.
    let other = lab.roster(3);
    let address = |roster: &str| {
        roster.lines().find_map(|l| l.trim().strip_prefix("host: ").map(str::to_owned)).expect("an address")
    };
    let swapped =
        std::fs::read_to_string(&known).expect("known hosts").replace(&address(&lab.roster(2)), &address(&other));
    tree.file("known", &swapped);
    let said =
        lab.ssh(&tree, &with_known_hosts(&other, &known), &["--accept-new-host-keys", "*", "test.ping"]).expect(1);
    assert!(said.out.contains("changed"), "{}", said.out);
}

fn with_known_hosts(roster: &str, known: &str) -> String {
    let start = roster.find("ssh_options:").expect("the roster names its known hosts");
    format!("{}ssh_options: [UserKnownHostsFile={known}]\n", &roster[..start])
}

#[test]
fn a_wrong_key_names_what_was_tried() {
    let lab = lab_or_skip!();
    let tree = Tree::new();
    let key = tree.path().join("wrong");
    let made =
        std::process::Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key).status();
    assert!(made.expect("ssh-keygen").success());
    let roster = lab.roster(2);
    let line = roster.lines().find(|line| line.contains("priv:")).expect("a key").to_owned();
    let said =
        lab.ssh(&tree, &roster.replace(&line, &format!("  priv: {}", key.display())), &["*", "test.ping"]).expect(1);
    assert!(said.out.to_lowercase().contains("publickey"), "{}", said.out);
}

#[test]
fn a_bad_roster_is_explained() {
    let lab = lab_or_skip!();
    let tree = Tree::new();
    let said = lab.ssh(&tree, "h1:\n  hsot: 10.0.0.1\n", &["*", "test.ping"]).expect(64);
    assert!(said.err.contains("hsot") && said.err.contains("`host`") && said.err.contains("roster:2"), "{}", said.err);
    let said = lab.ssh(&tree, "h1:\n\thost: 10.0.0.1\n", &["*", "test.ping"]).expect(64);
    assert!(said.err.contains("roster:2:1"), "{}", said.err);
}

#[test]
fn a_full_disk_leaves_the_old_file() {
    let lab = lab_or_skip!();
    let tree = Tree::new();
    lab.inside(4, "mkdir -p /srv/full && mount -t tmpfs -o size=256k full /srv/full && echo old > /srv/full/file")
        .expect(0);
    tree.file("salt/s.sls", "/srv/full/file:\n  file.managed:\n    - source: salt://big\n");
    tree.file("salt/big", &"0123456789abcdef".repeat(64 * 1024));
    let said = lab.ssh(&tree, &lab.roster(4), &["*", "state.apply", "s"]).expect(2);
    assert!(said.out.contains("No space left on device"), "{}", said.out);
    assert_eq!(lab.inside(4, "cat /srv/full/file; ls -A /srv/full").out, "old\nfile\n");
    lab.inside(4, "umount /srv/full");
}

/// Starts a run that waits in its second state, and calls `then` once it is there.
fn mid_run(host: usize, tree: &Tree, then: impl FnOnce(&mut std::process::Child)) -> Said {
    let lab = crate::support::lab().expect("the caller has looked");
    lab.inside(host, "rm -rf /srv/mid; mkdir -p /srv/mid");
    tree.file("salt/s.sls", "first:\n  file.managed:\n    - name: /srv/mid/first\n    - contents: one\nwaits:\n  cmd.run:\n    - name: touch /srv/mid/started; sleep 3; touch /srv/mid/slept\nlast:\n  file.managed:\n    - name: /srv/mid/last\n    - contents: three\n");
    tree.file("etc/roster", &lab.roster(host));
    let mut child = tree
        .corpus(&["*", "state.apply", "s"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let deadline = Instant::now() + Duration::from_secs(30);
    while lab.inside(host, "test -e /srv/mid/started").code != 0 {
        assert!(Instant::now() < deadline, "the run does not come to its second state");
        std::thread::sleep(Duration::from_millis(50));
    }
    then(&mut child);
    Said::of(child.wait_with_output().expect("the program ends"))
}

#[test]
fn a_killed_minion_is_reported_with_the_state_it_was_in() {
    let lab = lab_or_skip!();
    let tree = Tree::new();
    let said = mid_run(5, &tree, |_| {
        lab.inside(5, "pkill -9 corpus-minion");
    });
    assert_eq!(said.code, 1, "{}{}", said.out, said.err);
    assert!(said.out.contains("lost the connection mid-run at state 2 of 3: waits"), "{}", said.out);
    assert_eq!(lab.inside(5, "ls /srv/mid").out, "first\nstarted\n");
    // The lock of a dead owner frees itself, and the next run finishes the work.
    lab.ssh(&tree, &lab.roster(5), &["*", "state.apply", "s"]).expect(0);
    assert_eq!(lab.inside(5, "ls /srv/mid").out, "first\nlast\nslept\nstarted\n");
}

#[test]
fn a_run_outlives_its_master() {
    let lab = lab_or_skip!();
    let tree = Tree::new();
    mid_run(6, &tree, |child| child.kill().expect("the master can be killed"));
    let deadline = Instant::now() + Duration::from_secs(30);
    while lab.inside(6, "test -e /srv/mid/last").code != 0 {
        assert!(Instant::now() < deadline, "the minion did not finish: {}", lab.inside(6, "ls /srv/mid; ps ax").out);
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(lab.inside(6, "cat /srv/mid/last").out, "three\n");
    let _ = HOSTS;
}

#[test]
fn an_orchestration_converges_hosts_in_order() {
    let lab = lab_or_skip!();
    let tree = Tree::new();
    let roster = lab.roster(11) + &lab.roster(12);
    tree.file("salt/web.sls", "/srv/orchestrated:\n  file.managed:\n    - contents: {{ pillar['word'] }}\n");
    tree.file(
        "salt/orch.sls",
        "first:\n  salt.state:\n    - tgt: 'h1?'\n    - sls: web\n    - pillar: {word: hello}\n    - batch: 1\n\
         second:\n  salt.function:\n    - name: cmd.run\n    - tgt: 'h1?'\n    - arg: [cat /srv/orchestrated]\n    \
         - require: [{salt: first}]\n\
         third:\n  salt.state:\n    - tgt: 'h1?'\n    - sls: not_there\n    - require: [{salt: second}]\n\
         fourth:\n  salt.function:\n    - name: test.ping\n    - tgt: '*'\n    - require: [{salt: third}]\n",
    );
    let run = |words: &[&str]| lab.ssh(&tree, &roster, &[&["--out=json", "state.orchestrate", "orch"], words].concat());
    let of = |said: &Said, tag: &str| {
        let records = said.json();
        let (_, records) = records.as_object().and_then(|all| all.iter().next()).expect("one minion: the master");
        let found = records.as_object().and_then(|all| all.iter().find(|(key, _)| key.contains(tag)));
        found.map(|(_, record)| record.clone()).unwrap_or_else(|| panic!("{tag} in {records}"))
    };
    let said = run(&["test=True"]);
    let first = of(&said, "first");
    assert_eq!(first["result"], serde_json::Value::Null, "{first}");
    assert_eq!(first["changes"]["ret"].as_object().map(serde_json::Map::len), Some(2), "{first}");
    assert_ne!(lab.inside(11, "cat /srv/orchestrated").code, 0, "a dry run changes nothing");
    let said = run(&[]).expect(2);
    let comment = of(&said, "first")["comment"].as_str().expect("a comment").to_owned();
    assert!(comment.starts_with("States ran successfully. Updating "), "{comment}");
    let second = of(&said, "second");
    let answers: Vec<_> = second["changes"]["ret"].as_object().expect("answers").values().collect();
    assert_eq!(answers, ["hello", "hello"], "{second}");
    assert!(of(&said, "third")["comment"].as_str().is_some_and(|text| text.contains("not_there")), "{said:?}");
    assert_eq!(of(&said, "fourth")["comment"], "One or more requisite failed: orch.third");
}

#[test]
fn grains_that_people_put_down_count() {
    let lab = lab_or_skip!();
    let tree = Tree::new();
    let roster = lab.roster(12);
    lab.inside(12, "mkdir -p /etc/salt; printf '# By hand.\\nroles: [web, db]\\n' > /etc/salt/grains").expect(0);
    let of = |said: Said| said.json()["h12"].clone();
    let run = |words: &[&str]| lab.ssh(&tree, &roster, &[&["--out=json"], words].concat());
    assert_eq!(of(run(&["-G", "roles:web", "grains.get", "roles:1"]).expect(0)), "db");
    run(&["*", "grains.setval", "tier", "front"]).expect(0);
    assert_eq!(of(run(&["-G", "tier:front", "grains.get", "tier"]).expect(0)), "front");
    assert_eq!(lab.inside(12, "cat /etc/salt/grains").out, "# By hand.\nroles:\n- web\n- db\ntier: front\n");
    lab.inside(12, "printf 'roles: [web\\n' > /etc/salt/grains").expect(0);
    let said = run(&["*", "grains.get", "roles"]).expect(1);
    assert!(said.out.contains("/etc/salt/grains:1:8: "), "{}", said.out);
    lab.inside(12, "rm /etc/salt/grains").expect(0);
}
