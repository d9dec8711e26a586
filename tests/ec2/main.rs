//! The driver of EC2 by its real SDK over real HTTP, against moto. Moto's instances have no insides, so a watcher plays
//! Amazon's part: for each that runs it brings up a throw-away host with that address, told by its user data who may log in and
//! what its host key is. What corpus makes is really converged over SSH.

#[path = "../it/support.rs"]
#[allow(dead_code)]
mod support;
mod world;

use serde_json::{Value, json};
use std::time::Instant;
use support::Said;
use world::{Cut, World};

/// Without root there are no hosts; as root all must be there.
macro_rules! world_or_skip {
    () => {
        match World::new() {
            Ok(world) => world,
            Err(why) => {
                assert!(!support::is_root(), "{why}");
                eprintln!("skipped: {why}");
                return;
            }
        }
    };
}

fn told(said: &Said, id: &str) -> Value {
    let all = said.json();
    let all = all.as_object().and_then(|all| all.values().next()).expect("an answer");
    all[id].clone()
}

/// From nothing to a machine that is converged over SSH, and back to nothing.
fn a_life(world: &World, host: &str) {
    let before = world.inventory();
    let start = Instant::now();
    let said = world.corpus(&["map.apply", "test=True"]).expect(0);
    assert_eq!(told(&said, "web1")["comment"], "web1 would be created");
    assert_eq!(world.inventory(), before, "a dry run makes nothing");
    let said = world.corpus(&["map.apply"]).expect(0);
    let web1 = told(&said, "web1");
    assert_eq!((&web1["comment"], &web1["result"]), (&json!("web1 was created"), &json!(true)), "{web1}");
    eprintln!("two machines from nothing to converged: {:.1} s", start.elapsed().as_secs_f64());
    assert_eq!(world.inside("web1", "cat /srv/ec2").out, "web1 is based\n");
    let made = world.inventory();
    assert_eq!(made.instances.len(), before.instances.len() + 2, "{made:?}");
    // They are minions like any other, known by the host keys that they were given.
    let said = world.corpus(&["web*", "test.ping"]).expect(0);
    assert_eq!(said.json(), json!({"web1": true, "web2": true}));
    let known = std::fs::read_to_string(world.tree.path().join("cloud/known_hosts")).expect("host keys");
    assert_eq!(known.lines().count(), 2, "{known}");
    assert!(!world.kept().contains(world::SECRET), "the provider's secret is in none of our files");
    let said = world.corpus(&["map.apply"]).expect(0);
    assert_eq!(told(&said, "web1")["comment"], "web1 is as declared");
    assert_eq!(world.inventory(), made, "a second run changes nothing");
    let list = world.corpus(&["guest.list"]).expect(0);
    assert_eq!((&told(&list, "web1")["status"], &told(&list, "web1")["ours"]), (&json!("running"), &json!(true)));
    // What is not ours is listed, and not ours.
    assert_eq!(
        (&told(&list, &world.foreign)["ours"], &told(&list, &world.foreign)["declared"]),
        (&json!(false), &json!(false))
    );
    row_196_a_host_of_the_api_joins_and_the_provider_lists_it(world, &made);
    row_001_a_box_and_an_instance_are_one_list(world, host);
    drifts(world);
    let said = world.corpus(&["guest.destroy", "web1", "web2"]).expect(0);
    assert_eq!(told(&said, "web1")["comment"], "web1 was destroyed");
    world.hosts_gone();
    assert_eq!(world.inventory(), before, "nothing is left");
}

fn row_196_a_host_of_the_api_joins_and_the_provider_lists_it(world: &World, made: &world::Inventory) {
    let said = world.corpus(&["cloud.full_query"]).expect(0);
    let web1 = &told(&said, "aws")["ec2"]["web1"];
    let (vpc, ip) = (web1["details"]["vpc"].as_str().expect("a VPC"), &web1["details"]["private_ips"][0]);
    assert!(made.vpcs.contains(&vpc.to_owned()), "{web1}");
    assert!(ip.as_str().is_some_and(|ip| ip.starts_with("10.")), "{web1}");
    let said = world.corpus(&["web1", "grains.get", "ipv4"]).expect(0);
    assert!(said.json()["web1"].as_array().expect("addresses").contains(ip), "{}", said.out);
}

/// A box that answers SSH and an instance: attached by the same command, in one list, asked the same.
fn row_001_a_box_and_an_instance_are_one_list(world: &World, host: &str) {
    let said = world.corpus(&["guest.create", "box1", "provider=boxes", &format!("ssh_host={host}")]).expect(0);
    assert_eq!(told(&said, "box1")["comment"], "box1 was created");
    let list = world.corpus(&["guest.list"]).expect(0);
    let (instance, metal) = (told(&list, "web1"), told(&list, "box1"));
    let keys = |one: &Value| one.as_object().expect("a machine").keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&instance), keys(&metal));
    assert_eq!((&instance["isolation"], &metal["isolation"]), (&json!("machine"), &json!("metal")));
    for id in ["web1", "box1"] {
        let said = world.corpus(&["guest.exec", id, "echo", "here"]).expect(0);
        assert_eq!(told(&said, id)["return"]["stdout"], "here");
    }
    world.corpus(&["guest.destroy", "box1"]).expect(0);
}

/// The map that LXC and Docker play in tests/machine/clouds.sh: one command makes two machines with an application behind HAProxy.
fn behind_the_proxy(world: &World, host: &str) {
    let before = world.inventory();
    let map = world.map(&["web1", "web2"]);
    world.tree.file("etc/cloud.map", &format!("metal:\n  - front: {{ssh_host: {host}}}\n{map}"));
    let reload = "p=$(cat /run/haproxy.pid 2>/dev/null) && kill -USR2 $p || haproxy -W -D -p /run/haproxy.pid -f /srv/haproxy.cfg";
    world.tree.file(
        "etc/cloud",
        &format!("proxy:\n  minion: front\n  config: /srv/haproxy.cfg\n  http_port: 8080\n  packages: false\n  reload: '{reload}'\n"),
    );
    let start = Instant::now();
    world.corpus(&["map.apply"]).expect(0);
    let seen = world.answers(&format!("{host}:8080"), "app.example.org", 2);
    assert_eq!(seen, ["from-web1", "from-web2"]);
    eprintln!("two machines with an application behind the proxy: {:.1} s", start.elapsed().as_secs_f64());
    let said = world.corpus(&["map.apply"]).expect(0);
    for id in ["web1", "web2", "front"] {
        assert_eq!(told(&said, id)["comment"], format!("{id} is as declared"), "{}", said.out);
    }
    world.corpus(&["guest.destroy", "web1", "web2"]).expect(0);
    world.corpus(&["guest.destroy", "front"]).expect(0);
    world.tree.file("etc/cloud", "{}\n");
    world.tree.file("etc/cloud.map", &map);
    world.hosts_gone();
    assert_eq!(world.inventory(), before, "nothing is left");
}

/// What is moved behind our back comes back.
fn drifts(world: &World) {
    let old = world.instance_of("web1").expect("it is there");
    world.ask("TerminateInstances", &[("InstanceId.1", &old)]);
    world.hosts_gone_of(&old);
    let said = world.corpus(&["reconcile"]).expect(0);
    let web1 = told(&said, "web1");
    assert_eq!((&web1["differences"]["status"]["cause"], &web1["result"]), (&json!("drifted"), &json!(true)), "{web1}");
    let new = world.instance_of("web1").expect("it is back");
    assert_ne!(old, new);
    assert_eq!(world.inside("web1", "cat /srv/ec2").out, "web1 is based\n", "it is back, whole");
    world.corpus(&["guest.stop", "web1"]).expect(0);
    assert_eq!(told(&world.corpus(&["guest.list"]).expect(0), "web1")["status"], "stopped");
    let said = world.corpus(&["map.apply"]).expect(0);
    assert_eq!(told(&said, "web1")["comment"], "web1 is as declared", "what we stopped stays stopped");
    world.corpus(&["guest.start", "web1"]).expect(0);
    let said = world.corpus(&["guest.exec", "web1", "cat", "/srv/ec2"]).expect(0);
    assert_eq!(told(&said, "web1")["return"]["stdout"], "web1 is based", "{}", said.out);
    let said = world.corpus(&["guest.resize", "web1", "disk=12G"]).expect(0);
    assert_eq!(told(&said, "web1")["changes"]["disk /dev/sda1"]["new"], "12G", "{}", said.out);
    let said = world.corpus(&["guest.freeze", "web1"]).expect(1);
    assert!(told(&said, "web1")["comment"].as_str().is_some_and(|why| why.contains("`ec2` cannot freeze:")));
}

/// Killed at a call, before or after its effect: the next run converges, with one machine and nothing beside it.
fn kills(world: &World) {
    let before = world.inventory();
    world.tree.file("etc/cloud.map", &world.map(&["web1"]));
    let whole = world.count(&["map.apply"]);
    let wanted = world.inventory();
    world.corpus(&["guest.destroy", "web1"]).expect(0);
    world.hosts_gone();
    let mut killed = 0;
    for (at, after) in (2..whole).step_by(usize::max(1, whole / 5)).zip([true, false].into_iter().cycle()) {
        // Each life has an address of its own, so no host can be taken for the one before it.
        world.tree.file("etc/cloud.map", &world.map_at("web1", 20 + killed));
        world.cut(Cut { at, after }, &["map.apply"]);
        let said = world.corpus(&["map.apply"]);
        if said.code != 0 {
            eprintln!("killed at call {at}, after: {after}\n{}\n{}", world.kept(), world.ask("DescribeInstances", &[]));
        }
        let said = said.expect(0);
        assert_eq!(told(&said, "web1")["result"], json!(true), "killed at call {at} of {whole}: {}", said.out);
        assert_eq!(world.inventory().counts(), wanted.counts(), "killed at call {at} of {whole}, after: {after}");
        let said = world.corpus(&["map.apply"]).expect(0);
        assert_eq!(told(&said, "web1")["comment"], "web1 is as declared");
        // And its end.
        world.cut(Cut { at: 2 + killed, after }, &["guest.destroy", "web1"]);
        world.corpus(&["guest.destroy", "web1"]).expect(0);
        world.hosts_gone();
        assert_eq!(world.inventory(), before, "killed at call {} of its end", 2 + killed);
        killed += 1;
    }
    eprintln!("killed {killed} times of {whole} calls");
    assert!(killed >= 5);
}

#[test]
fn instances_are_made_converged_and_ended() {
    let world = world_or_skip!();
    let host = world.spare_host();
    a_life(&world, &host);
    behind_the_proxy(&world, &host);
    kills(&world);
    // Whoever was there before is there still, and as it was.
    let foreign = world.ask("DescribeInstances", &[("InstanceId.1", &world.foreign)]);
    assert!(foreign.contains("<name>running</name>") && foreign.contains("<key>Name</key>"), "{foreign}");
}

#[test]
fn what_the_api_refuses_is_told() {
    let Ok(world) = World::new() else { return };
    world.tree.file("etc/cloud.profiles", "web:\n  provider: aws\n  image: ami-nobody\n  size: t3.micro\n");
    world.tree.file("etc/cloud.map", "web: [web1]\n");
    let said = world.corpus(&["map.apply"]).expect(1);
    let why = told(&said, "web1")["comment"].as_str().expect("a comment").to_owned();
    assert!(why.contains("there is no image `ami-nobody` here"), "{why}");
    // Without an endpoint nothing answers, and no secret is told.
    world.tree.file("etc/cloud.providers", &world.provider("http://127.0.0.1:9"));
    let said = world.corpus(&["map.apply", "-l", "debug"]).expect(1);
    assert!(!said.out.contains(world::SECRET) && !said.err.contains(world::SECRET), "{}", said.err);
    assert!(said.out.contains("EC2: lost"), "{}", said.out);
}
