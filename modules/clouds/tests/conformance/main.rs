//! The contract of guest drivers, run against each: what is declared comes to be, a second time changes nothing, a dry run
//! touches nothing, the end leaves nothing, what cannot be done is refused with a reason. And every call fails once, in
//! each of four ways: the next run converges, with no duplicate and no ghost.

mod ec2;
mod ec2_cases;
mod moves;
mod world;

use corpus_clouds::cloud::{Cloud, Settings};
use corpus_clouds::driver::Verb;
use corpus_clouds::spec::{GuestSpec, Image, Node, Port, Status};
use corpus_clouds::store::Store;
use corpus_clouds::{Drivers, Guest, Told};
use corpus_core::Map;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU8, Ordering};
use world::{Killed, MODES, Things, World};

/// A driver under test.
struct Case {
    kind: &'static str,
    spec: GuestSpec,
    /// What the world has before anything was declared.
    start: Things,
}

fn cases() -> Vec<Case> {
    let spec = |kind: &str, id: &str| GuestSpec {
        id: id.into(),
        driver: kind.into(),
        node: if kind == "saltify" || kind == "ec2" { "provider".into() } else { "n1".into() },
        autostart: true,
        ..GuestSpec::default()
    };
    let lxc = GuestSpec {
        memory: Some(256 << 20),
        ports: vec![
            Port::ssh(),
            Port { name: "http".into(), port: 80, count: 1, host: None, protocols: vec![Default::default()] },
        ],
        base: vec!["base".into()],
        ..spec("lxc", "web1")
    };
    // Of an image that another node builds.
    let image = Image { name: "web".into(), node: "n2".into(), ..Image::default() };
    let of_image = GuestSpec {
        built: Some(image),
        options: [("base", "web")].into_iter().collect(),
        ports: vec![Port::ssh()],
        base: vec!["base".into()],
        ..spec("lxc", "web2")
    };
    let docker = GuestSpec {
        image: Some("debian:12".into()),
        ports: vec![Port { name: "http".into(), port: 80, count: 1, host: None, protocols: vec![Default::default()] }],
        ..spec("docker", "app1")
    };
    let saltify = GuestSpec { base: vec!["base".into()], ..spec("saltify", "box1") };
    let options = serde_json::json!({
        "size": "t3.micro",
        "subnet": {"cidr": "10.0.1.0/24", "internet": true, "vpc": {"cidr": "10.0.0.0/16"}},
        "securitygroup": [{"name": "web", "ingress": [{"port": 22, "cidr": "0.0.0.0/0"}, {"port": 80, "cidr": "0.0.0.0/0"}]}],
        "elastic_ip": true,
        "volumes": [{"device": "/dev/sdf", "size": 4}],
        "tag": {"stage": "test"},
    });
    let ec2 = GuestSpec {
        image: Some("debian-12".into()),
        disk: Some(10 << 30),
        base: vec!["base".into()],
        options: serde_json::from_value(options).expect("options"),
        ..spec("ec2", "vm1")
    };
    let boxes = [("box1".to_owned(), vec![])].into();
    vec![
        Case { kind: "lxc", spec: lxc, start: Things::default() },
        Case { kind: "lxc", spec: of_image, start: Things::default() },
        Case { kind: "docker", spec: docker, start: Things::default() },
        Case { kind: "saltify", spec: saltify, start: Things { boxes, ..Things::default() } },
        Case { kind: "ec2", spec: ec2, start: Things { ec2: ec2_cases::foreign(), ..Things::default() } },
    ]
}

/// One installation: a world and the folder of the clouds.
struct Installation {
    world: World,
    drivers: Drivers,
    store: Store,
    _place: tempfile::TempDir,
}

impl Installation {
    fn new(start: &Things) -> Self {
        let world = World::default();
        world.state().things = start.clone();
        // Thousands of small records are synced: to memory, where there is such a folder.
        let memory = std::path::Path::new("/dev/shm");
        let place = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        let place = place.expect("a folder");
        let store = Store::new(place.path().join("cloud"));
        Self { drivers: Drivers::default().with(Box::new(world.ec2())), world, store, _place: place }
    }

    fn with<T>(&self, test: bool, work: impl FnOnce(&Cloud<'_>) -> T) -> T {
        let settings = Settings {
            store: &self.store,
            drivers: &self.drivers,
            hands: &self.world,
            nodes: [("n1", "192.0.2.1"), ("n2", "192.0.2.2")]
                .map(|(id, address)| (id.to_owned(), Node::new(id, address)))
                .into(),
            keys: &|id, _| Ok(Some((format!("/keys/{id}"), "ssh-ed25519 AAAA corpus".into()))),
            random: &|| {
                static NEXT: AtomicU8 = AtomicU8::new(0);
                [1, 2, NEXT.fetch_add(1, Ordering::Relaxed)]
            },
            note: &|_, _| {},
            at_once: 4,
            test,
        };
        let cloud = Cloud::change(settings, "test").expect("the clouds are free");
        work(&cloud)
    }

    fn found(&self, cloud: &Cloud<'_>, spec: &GuestSpec) -> Result<Vec<Guest>, String> {
        let driver = self.drivers.get(&spec.driver).expect("a driver");
        cloud.inspect(driver, &cloud.node(&spec.node)).map_err(|error| error.to_string())
    }

    /// What a user does: look, then make it as declared.
    fn present(&self, spec: &GuestSpec, test: bool) -> Told {
        self.with(test, |cloud| match self.found(cloud, spec) {
            Ok(found) => cloud.present(spec, found.iter().find(|guest| guest.id == spec.id)),
            Err(why) => Told { result: Some(false), comment: why, ..Told::default() },
        })
    }

    fn verb(&self, id: &str, verb: &Verb) -> Told {
        self.with(false, |cloud| cloud.verb(id, verb))
    }

    /// Fails at a call, in a way; a killed process unwinds to here.
    fn failing(&self, at: usize, mode: world::Mode, work: impl FnOnce() -> Told) -> Option<Told> {
        {
            let mut state = self.world.state();
            (state.calls, state.fail) = (0, Some((at, mode)));
        }
        let done = catch_unwind(AssertUnwindSafe(work));
        self.world.state().fail = None;
        match done {
            Ok(told) => Some(told),
            Err(payload) if payload.is::<Killed>() => None,
            Err(payload) => std::panic::resume_unwind(payload),
        }
    }

    fn calls(&self, work: impl FnOnce() -> Told) -> usize {
        self.world.state().calls = 0;
        let told = work();
        assert_eq!(told.result, Some(true), "{}", told.comment);
        self.world.state().calls
    }
}

#[test]
fn what_is_declared_comes_to_be_once() {
    for case in cases() {
        let all = Installation::new(&case.start);
        let told = all.present(&case.spec, true);
        assert_eq!(told.result, None, "{}: {}", case.kind, told.comment);
        assert_eq!(all.world.things(), case.start, "{}: a dry run touches nothing", case.kind);
        assert!(!all.store.path("ledger.json").exists(), "{}: a dry run keeps nothing", case.kind);
        let told = all.present(&case.spec, false);
        assert_eq!(told.result, Some(true), "{}: {}", case.kind, told.comment);
        assert!(told.comment.ends_with("was created"), "{}: {}", case.kind, told.comment);
        let made = all.world.things();
        let writes = all.world.state().writes;
        let told = all.present(&case.spec, false);
        assert_eq!((told.result, told.changes.len()), (Some(true), 0), "{}: {}", case.kind, told.comment);
        assert_eq!(told.comment, format!("{} is as declared", case.spec.id), "{}", case.kind);
        assert_eq!(all.world.things(), made, "{}: a second run changes nothing", case.kind);
        let told = all.present(&case.spec, true);
        assert_eq!(told.result, Some(true), "{}: nothing would change: {:?}", case.kind, told.changes);
        assert!(writes > 0 || case.kind == "saltify");
        let roster = std::fs::read_to_string(all.store.path("roster")).expect("a roster");
        assert!(roster.contains(&format!("{}:", case.spec.id)), "{}: {roster}", case.kind);
    }
}

#[test]
fn the_end_leaves_nothing() {
    for case in cases() {
        let all = Installation::new(&case.start);
        all.present(&case.spec, false);
        let told = all.verb(&case.spec.id, &Verb::Destroy);
        assert_eq!(told.result, Some(true), "{}: {}", case.kind, told.comment);
        let mut left = all.world.things();
        // Packages stay, and what a box was given stays with it.
        left.packages.clear();
        left.bases.clear();
        left.boxes.values_mut().for_each(Vec::clear);
        assert_eq!(left, case.start, "{}", case.kind);
        for (name, empty) in
            [("book.json", "{\n  \"nodes\": {}\n}\n"), ("ledger.json", "{\n  \"guests\": {}\n}\n"), ("known_hosts", "")]
        {
            assert_eq!(std::fs::read_to_string(all.store.path(name)).expect("a record"), empty, "{} {name}", case.kind);
        }
        let told = all.verb(&case.spec.id, &Verb::Destroy);
        assert_eq!(told.result, Some(false), "{}", case.kind);
        assert!(told.comment.contains("there is no machine"), "{}", told.comment);
    }
}

#[test]
fn every_call_of_a_creation_may_fail() {
    let mut enumerated = 0;
    for case in cases() {
        let whole = Installation::new(&case.start);
        let calls = whole.calls(|| whole.present(&case.spec, false));
        let wanted = without_macs(whole.world.things());
        for at in 1..=calls {
            for mode in MODES {
                let all = Installation::new(&case.start);
                let what = format!("{} at call {at} of {calls}, {mode:?}", case.kind);
                let told = all.failing(at, mode, || all.present(&case.spec, false));
                // A question that is asked again is a failure that was mended.
                let mended = without_macs(all.world.things()) == wanted;
                assert!(told.is_none_or(|told| mended || told.result == Some(false)), "{what}: the failure is told");
                let told = all.present(&case.spec, false);
                assert_eq!(told.result, Some(true), "{what}: {}", told.comment);
                assert_eq!(without_macs(all.world.things()), wanted, "{what}: the next run converges");
                let again = all.present(&case.spec, false);
                assert_eq!(again.comment, format!("{} is as declared", case.spec.id), "{what}");
                no_ghost(&all, &case.spec, &what);
                enumerated += 1;
            }
        }
    }
    println!("{enumerated} failures");
    assert!(enumerated >= 60, "only {enumerated}");
}

/// A MAC is a matter of chance.
fn without_macs(mut things: Things) -> Things {
    things.files.insert("the cloud".into(), ec2_cases::plain(&things.ec2));
    things.ec2 = ec2::Things::default();
    for guest in things.guests.values_mut() {
        guest.args.remove("mac");
    }
    things
}

/// Whatever is in the world is in the ledger.
fn no_ghost(all: &Installation, spec: &GuestSpec, what: &str) {
    all.with(false, |cloud| {
        let found = all.found(cloud, spec).expect("the world can be read");
        let ledger = cloud.ledger();
        for guest in &found {
            let foreign = spec.driver == "ec2" && ["i-f0", "i-f1"].contains(&guest.id.as_str());
            assert!(foreign || ledger.guests.contains_key(&guest.id), "{what}: {} is a ghost", guest.id);
        }
        let ours = found.iter().filter(|guest| ledger.guests.contains_key(&guest.id)).count();
        assert!(ours <= 1, "{what}: duplicates");
    });
}

#[test]
fn every_call_of_an_end_may_fail() {
    for case in cases() {
        let whole = Installation::new(&case.start);
        whole.present(&case.spec, false);
        let calls = whole.calls(|| whole.verb(&case.spec.id, &Verb::Destroy));
        let wanted = whole.world.things();
        for at in 1..=calls {
            for mode in MODES {
                let all = Installation::new(&case.start);
                all.present(&case.spec, false);
                let what = format!("{} at call {at} of {calls}, {mode:?}", case.kind);
                let told = all.failing(at, mode, || all.verb(&case.spec.id, &Verb::Destroy));
                assert!(told.is_none_or(|told| told.result == Some(false)), "{what}: the failure is told");
                // The line is there as long as anything may be left.
                let told = all.verb(&case.spec.id, &Verb::Destroy);
                assert_eq!(told.result, Some(true), "{what}: {}", told.comment);
                assert_eq!(all.world.things(), wanted, "{what}");
                assert!(all.with(false, |cloud| cloud.ledger()).guests.is_empty(), "{what}");
            }
        }
    }
}

#[test]
fn verbs_do_what_they_say_or_say_why_not() {
    for case in cases() {
        let all = Installation::new(&case.start);
        let id = case.spec.id.as_str();
        all.present(&case.spec, false);
        let can = all.drivers.get(case.kind).expect("a driver").capabilities().verbs;
        let verbs = [
            (Verb::Freeze, Some(Status::Frozen)),
            (Verb::Start, Some(Status::Running)),
            (Verb::Stop { kill: false }, Some(Status::Stopped)),
            (Verb::Start, Some(Status::Running)),
            (Verb::Stop { kill: true }, Some(Status::Stopped)),
            (Verb::Restart, Some(Status::Running)),
            (Verb::Snapshot { name: "one".into() }, None),
            (Verb::Restore { name: "one".into() }, None),
            (
                if case.kind == "ec2" {
                    Verb::Resize { memory: None, cpu: None, disk: Some(20 << 30) }
                } else {
                    Verb::Resize { memory: Some(128 << 20), cpu: None, disk: None }
                },
                None,
            ),
            (Verb::Exec { argv: vec!["true".into()] }, None),
        ];
        for (verb, status) in verbs {
            let told = all.verb(id, &verb);
            if !can.contains(&verb.word()) {
                assert_eq!(told.result, Some(false), "{}: {}", case.kind, verb.word());
                let start = format!("the driver `{}` cannot {}: ", case.kind, verb.word());
                assert!(told.comment.starts_with(&start) && told.comment.len() > start.len(), "{}", told.comment);
                continue;
            }
            assert_eq!(told.result, Some(true), "{} {}: {}", case.kind, verb.word(), told.comment);
            if let Some(status) = status {
                let found = all.with(false, |cloud| all.found(cloud, &case.spec)).expect("it can be looked at");
                let found = found.iter().find(|guest| guest.id == id).expect("it is there");
                assert_eq!(found.status, status, "{} after {}", case.kind, verb.word());
            }
            if matches!(verb, Verb::Exec { .. }) {
                assert!(told.value.is_some(), "{}", case.kind);
            }
        }
        if can.contains(&"clone") {
            let told = all.verb(id, &Verb::Clone { to: "copy".into() });
            assert_eq!(told.result, Some(true), "{}: {}", case.kind, told.comment);
            let told = all.verb(id, &Verb::Clone { to: "copy".into() });
            assert_eq!(told.comment, "copy is there already");
            let (one, two) = all.with(false, |cloud| (cloud.given("n1", id), cloud.given("n1", "copy")));
            assert!(one.is_some() && one != two, "{}: a copy has ports of its own", case.kind);
        }
        let told = all.verb("nobody", &Verb::Start);
        assert!(told.comment.contains("there is no machine `nobody` of ours"), "{}", told.comment);
    }
}

/// Stopped by us stays stopped; killed behind our back comes back, and is told apart from what is newly declared.
#[test]
fn what_differs_is_told_by_whose_doing() {
    for case in cases().into_iter().filter(|case| case.kind == "lxc" || case.kind == "docker") {
        let all = Installation::new(&case.start);
        let key = (case.kind.to_owned(), case.spec.id.clone());
        all.present(&case.spec, false);
        all.world.state().things.guests.get_mut(&key).expect("it").status = "stopped".into();
        let told = all.present(&case.spec, false);
        let causes: Map = told.differences.iter().map(|one| (one.key.as_str(), one.cause.words())).collect();
        assert_eq!(causes.str("status"), Some("drifted"), "{}", case.kind);
        assert_eq!(all.world.things().guests[&key].status, "running", "{}", case.kind);
        let mut other = case.spec.clone();
        other.memory = Some(512 << 20);
        let told = all.present(&other, false);
        let causes: Map = told.differences.iter().map(|one| (one.key.as_str(), one.cause.words())).collect();
        assert_eq!(causes.str("memory"), Some("declared by you"), "{}: {causes:?}", case.kind);
        all.verb(&case.spec.id, &Verb::Stop { kill: false });
        all.present(&other, false);
        assert_eq!(all.world.things().guests[&key].status, "stopped", "{}: held", case.kind);
        all.verb(&case.spec.id, &Verb::Start);
        all.world.state().things.guests.remove(&key);
        let told = all.present(&other, false);
        assert_eq!(told.differences[0].cause.words(), "drifted", "{}", case.kind);
        let back = all.world.things().guests[&key].clone();
        assert_eq!(
            (back.status.as_str(), &back.based),
            ("running", &case.spec.base),
            "{}: it is back, whole",
            case.kind
        );
    }
}
