//! What only EC2 can do wrong: it forgets tokens and answers late, its things are many, and most of them are not ours.

use crate::ec2::{self, Things};
use crate::world::Mode;
use crate::{Case, Installation, cases, no_ghost, without_macs};
use corpus_clouds::driver::Verb;
use corpus_clouds::drivers::ec2::api::{Address, Instance, Kind, Named, Tags, Volume};
use corpus_clouds::spec::{GuestSpec, Status};
use corpus_core::{Map, Value};

fn case() -> Case {
    cases().into_iter().find(|case| case.kind == "ec2").expect("the case")
}

fn with(spec: &GuestSpec, options: serde_json::Value) -> GuestSpec {
    let mut spec = spec.clone();
    let more: Map = serde_json::from_value(options).expect("options");
    spec.options.0.extend(more);
    spec
}

/// The answer is lost and the instance is not seen for long: whether tokens are heeded or not, there is one in the end.
#[test]
fn a_lost_answer_makes_no_second_machine() {
    let case = case();
    for heeds in [true, false] {
        let whole = Installation::new(&case.start);
        let calls = whole.calls(|| whole.present(&case.spec, false));
        let wanted = without_macs(whole.world.things());
        let mut twice = 0;
        for at in 1..=calls {
            for mode in [Mode::After, Mode::KillAfter] {
                let all = Installation::new(&case.start);
                all.world.state().nature.slow = 40;
                all.world.state().nature.tokens = heeds.then(Default::default);
                let what = format!("call {at} of {calls}, {mode:?}, tokens heeded: {heeds}");
                let _ = all.failing(at, mode, || all.present(&case.spec, false));
                let told = all.present(&case.spec, false);
                assert_eq!(told.result, Some(true), "{what}: {}", told.comment);
                twice += usize::from(told.changes.contains("duplicate"));
                // What was not seen yet is seen now, and put right by the next run.
                all.world.things();
                (0..60).for_each(|_| all.world.tick());
                let told = all.present(&case.spec, false);
                assert_eq!(told.result, Some(true), "{what}: {}", told.comment);
                twice += usize::from(told.changes.contains("duplicate"));
                let things = all.world.things();
                let ours = things
                    .ec2
                    .instances
                    .values()
                    .filter(|one| one.tags.get("corpus:owner").is_some_and(|o| o == "mark"));
                assert_eq!(ours.count(), 1, "{what}");
                assert_eq!(without_macs(things), wanted, "{what}");
                no_ghost(&all, &case.spec, &what);
            }
        }
        assert_eq!(
            twice > 0,
            !heeds,
            "tokens alone keep EC2 from making two; without them two are made and one is ended"
        );
    }
}

#[test]
fn what_drifted_comes_back() {
    let case = case();
    let all = Installation::new(&case.start);
    all.present(&case.spec, false);
    let made = without_macs(all.world.things());
    // Ended by hand.
    let id = ours(&all);
    ec2::end_by_hand(&mut all.world.state(), &id);
    let told = all.present(&case.spec, false);
    assert_eq!((told.result, told.differences[0].cause.words()), (Some(true), "drifted"), "{}", told.comment);
    assert_eq!(without_macs(all.world.things()), made, "it is back, whole");
    assert_eq!(all.present(&case.spec, false).comment, "vm1 is as declared");
    // Everything that can be moved by hand.
    let id = ours(&all);
    {
        let mut state = all.world.state();
        let things = &mut state.things.ec2;
        let instance = things.instances.get_mut(&id).expect("it");
        instance.tags.remove("stage");
        instance.groups = vec![("sg-f".into(), "default".into())];
        things.addresses.values_mut().for_each(|address| address.instance = None);
    }
    let told = all.present(&case.spec, true);
    let causes: Vec<(&str, &str)> = told.differences.iter().map(|one| (one.key.as_str(), one.cause.words())).collect();
    assert_eq!(causes, [("tag", "drifted"), ("elastic_ip", "drifted"), ("securitygroup", "drifted")]);
    all.present(&case.spec, false);
    assert_eq!(without_macs(all.world.things()), made);
}

fn ours(all: &Installation) -> String {
    let state = all.world.state();
    let mut ours = state.things.ec2.instances.values().filter(|one| one.state == "running");
    ours.find(|one| one.tags.get("corpus:owner").is_some_and(|owner| owner == "mark")).expect("ours").id.clone()
}

#[test]
fn types_change_standing_and_disks_only_grow() {
    let case = case();
    let all = Installation::new(&case.start);
    all.present(&case.spec, false);
    let bigger = with(&case.spec, serde_json::json!({"size": "t3.large"}));
    let told = all.present(&bigger, false);
    assert_eq!(told.result, Some(false));
    assert!(told.comment.contains("say `may_stop: True`, or stop it"), "{}", told.comment);
    let bigger = with(&bigger, serde_json::json!({"may_stop": true}));
    let told = all.present(&bigger, false);
    assert_eq!(told.result, Some(true), "{}", told.comment);
    assert_eq!(told.differences[0].cause.words(), "declared by you");
    let found = all.world.things().ec2.instances[&ours(&all)].clone();
    assert_eq!((found.kind.as_str(), found.state.as_str()), ("t3.large", "running"));
    let small = GuestSpec { disk: Some(5 << 30), ..bigger.clone() };
    assert!(all.present(&small, false).comment.contains("has 10 GiB and cannot shrink to 5"));
    let more = with(
        &bigger,
        serde_json::json!({"volumes": [{"device": "/dev/sdf", "size": 6}, {"device": "/dev/sdg", "size": 1}]}),
    );
    let told = all.present(&more, false);
    assert_eq!(told.result, Some(true), "{}", told.comment);
    let mut sizes: Vec<u64> =
        all.world.things().ec2.volumes.values().filter(|one| one.instance.is_some()).map(|one| one.gib).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [1, 6, 10]);
    assert_eq!(all.present(&more, false).comment, "vm1 is as declared");
}

#[test]
fn what_cannot_be_is_refused_with_the_reason() {
    let case = case();
    let plain = |change: &dyn Fn(&mut GuestSpec)| {
        let mut spec = case.spec.clone();
        change(&mut spec);
        spec
    };
    let option = |key: &'static str, value: Value| plain(&move |spec| _ = spec.options.insert(key, value.clone()));
    let one = |key: &str| Value::map([(key, Value::from("x"))].into_iter().collect());
    for (spec, why) in [
        (option("spot_config", one("spot_price")), "a spot instance ends when Amazon wants it back"),
        (plain(&|spec| spec.memory = Some(1 << 30)), "declare `size`"),
        (plain(&|spec| spec.status = Status::Frozen), "EC2 cannot freeze"),
        (plain(&|spec| spec.image = None), "an `image` is needed"),
        (plain(&|spec| spec.disk = Some(1000)), "whole GiB"),
        (plain(&|spec| spec.clone_from = Some("x".into())), "EC2 copies by images only"),
        (plain(&|spec| spec.image = Some("ami-9".into())), "there is no image `ami-9`"),
        (option("securitygroup", "nobody".into()), "there is no security group `nobody`"),
        (option("tag", one("corpus:owner")), "the tag `corpus:owner` is not yours to set"),
        (option("ssh_interface", "eth0".into()), "private_ips or public_ips"),
        (option("elastic_ip", "192.0.2.9".into()), "there is no elastic address `192.0.2.9`"),
        (option("userdata", "hello".into()), "`userdata` must begin with"),
        (option("network_interfaces", Value::list(vec![one("NetworkInterfaceId")])), "is not built"),
        (option("securitygroup", Value::list(vec![one("nam")])), "did you mean `name`?"),
        (plain(&|spec| spec.id = "i-0abc".into()), "cannot be named like an instance"),
    ] {
        let all = Installation::new(&case.start);
        let told = all.present(&spec, false);
        assert_eq!(told.result, Some(false), "{why}");
        assert!(told.comment.contains(why), "{}", told.comment);
    }
}

/// A group that is there by the name of one that is to be made is somebody's.
#[test]
fn what_is_not_marked_is_left() {
    let case = case();
    let mut start = case.start.clone();
    let group = taken(&mut start.ec2, "web");
    let all = Installation::new(&start);
    let told = all.present(&case.spec, false);
    // In another VPC it is no hindrance.
    assert_eq!(told.result, Some(true), "{}", told.comment);
    all.verb("vm1", &Verb::Destroy);
    assert_eq!(all.world.things(), start);
    let here = with(&case.spec, serde_json::json!({"subnet": null, "subnetid": "subnet-f"}));
    let told = all.present(&here, false);
    assert_eq!(told.result, Some(false));
    assert!(told.comment.contains("does not bear our mark, and is left as it is"), "{}", told.comment);
    assert!(all.world.things().ec2.named.contains_key(&group));
}

/// What is somebody else's.
pub fn foreign() -> Things {
    let mut things = Things::default();
    let tags = Tags::from([("Name".to_owned(), "vm1".to_owned())]);
    for (id, tags) in [
        ("i-f0", tags.clone()),
        // Another installation has a guest of the same name.
        (
            "i-f1",
            Tags::from([
                ("corpus:owner".to_owned(), "other".to_owned()),
                ("corpus:guest".to_owned(), "vm1".to_owned()),
            ]),
        ),
    ] {
        let instance = Instance {
            id: id.into(),
            state: "running".into(),
            kind: "m5.large".into(),
            image: "ami-1".into(),
            tags,
            ..Instance::default()
        };
        things.instances.insert(id.into(), instance);
    }
    things.volumes.insert("vol-f".into(), Volume { id: "vol-f".into(), gib: 8, ..Volume::default() });
    things.addresses.insert("eipalloc-f".into(), Address { id: "eipalloc-f".into(), ..Address::default() });
    for (kind, id, name) in [
        (Kind::Vpc, "vpc-default", "172.31.0.0/16"),
        (Kind::Group, "sg-f", "default"),
        (Kind::Key, "key-f", "somebody"),
        (Kind::Subnet, "subnet-f", "172.31.0.0/20"),
    ] {
        let named = Named { id: id.into(), name: name.into(), vpc: String::new(), ..Named::default() };
        things.named.insert((kind, id.into()), named);
    }
    things
}

/// Adds somebody's security group; returns its key.
pub fn taken(things: &mut Things, name: &str) -> (Kind, String) {
    let key = (Kind::Group, "sg-taken".to_owned());
    let named = Named { id: key.1.clone(), name: name.into(), vpc: String::new(), ..Named::default() };
    things.named.insert(key.clone(), named);
    key
}

/// Things without what is a matter of chance: ids by their order, and no words of a creation.
pub fn plain(things: &Things) -> String {
    let mut things = things.clone();
    for instance in things.instances.values_mut() {
        instance.launched.clear();
        for tag in ["corpus:request", "corpus:host-key"] {
            instance.tags.remove(tag);
        }
        instance.public = instance.public.as_ref().map(|_| "a public address".into());
    }
    for address in things.addresses.values_mut() {
        address.ip.clear();
    }
    let mut ids: Vec<&String> = vec![];
    ids.extend(things.instances.keys());
    ids.extend(things.volumes.keys());
    ids.extend(things.addresses.keys());
    ids.extend(things.named.keys().map(|(_, id)| id));
    let mut text = format!("{things:#?}");
    for (place, id) in ids.into_iter().enumerate() {
        text = text.replace(&format!("\"{id}\""), &format!("\"#{place}\""));
    }
    text
}
