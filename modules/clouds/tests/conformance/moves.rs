//! Guests that are declared on another node than they are on.

use super::world::{MODES, Mode, Things};
use super::{Case, Installation, cases, no_ghost, without_macs};
use corpus_clouds::GuestSpec;
use corpus_clouds::driver::Verb;

fn movable() -> Vec<(Case, GuestSpec)> {
    let there = |case: Case| {
        let spec = GuestSpec { node: "n2".into(), ..case.spec.clone() };
        (case, spec)
    };
    cases().into_iter().filter(|case| ["lxc", "docker"].contains(&case.kind)).map(there).collect()
}

/// Made on the first node, with something of its own in it.
fn made(case: &Case) -> Installation {
    let all = Installation::new(&case.start);
    all.present(&case.spec, false);
    let key = (case.kind.to_owned(), case.spec.id.clone());
    all.world.state().things.guests.get_mut(&key).expect("it is there").data = "mine".into();
    all
}

/// What is to be after a move: the guest on the second node, whole, and nothing of it on the first.
fn arrived(all: &Installation, case: &Case, what: &str) {
    let things = all.world.things();
    let guests: Vec<_> = things.guests.iter().map(|((kind, id), guest)| (kind.as_str(), id.as_str(), guest)).collect();
    let [(kind, id, guest)] = guests[..] else { panic!("{what}: {guests:?}") };
    assert_eq!((kind, id), (&*format!("{}@n2", case.kind), &*case.spec.id), "{what}");
    assert_eq!(guest.status, "running", "{what}");
    if case.kind == "lxc" {
        assert_eq!((guest.data.as_str(), &guest.based), ("mine", &vec!["base".to_owned()]), "{what}: nothing is lost");
        assert_eq!(things.rules.keys().collect::<Vec<_>>(), ["@n2"], "{what}: ports lead where it is");
        assert!(things.bridges.iter().all(|bridge| bridge.ends_with("@n2")), "{what}: {:?}", things.bridges);
    }
    assert!(things.came.is_empty(), "{what}: {:?}", things.came);
    let ledger = std::fs::read_to_string(all.store.path("ledger.json")).expect("a ledger");
    let book = std::fs::read_to_string(all.store.path("book.json")).expect("a book");
    assert!(!ledger.contains("\"n1\"") && !book.contains("\"n1\""), "{what}: {ledger} {book}");
}

#[test]
fn what_is_declared_elsewhere_is_moved() {
    for (case, there) in movable() {
        let all = made(&case);
        let before = all.world.things();
        let told = all.present(&there, true);
        assert_eq!((told.result, all.world.things()), (None, before), "{}: a dry run touches nothing", case.kind);
        assert_eq!(told.comment, format!("{} would be moved from n1 to n2", case.spec.id));
        let told = all.present(&there, false);
        assert_eq!(told.comment, format!("{} was moved from n1 to n2", case.spec.id));
        assert_eq!((told.result, told.differences[0].cause.words()), (Some(true), "declared by you"));
        arrived(&all, &case, case.kind);
        let told = all.present(&there, false);
        assert_eq!((told.comment, told.changes.len()), (format!("{} is as declared", case.spec.id), 0));
        // And home again.
        all.present(&case.spec, false);
        let things = all.world.things();
        assert_eq!(things.guests.keys().map(|(kind, _)| kind.as_str()).collect::<Vec<_>>(), [case.kind]);
    }
}

#[test]
fn every_call_of_a_move_may_fail() {
    let mut enumerated = 0;
    for (case, there) in movable() {
        let whole = made(&case);
        let calls = whole.calls(|| whole.present(&there, false));
        let wanted = without_macs(whole.world.things());
        for at in 1..=calls {
            for mode in MODES {
                let what = format!("{} at call {at} of {calls}, {mode:?}", case.kind);
                let all = made(&case);
                let told = all.failing(at, mode, || all.present(&there, false));
                let mended = without_macs(all.world.things()) == wanted;
                assert!(told.is_none_or(|told| mended || told.result == Some(false)), "{what}: the failure is told");
                assert_eq!(all.present(&there, false).result, Some(true), "{what}");
                arrived(&all, &case, &what);
                assert_eq!(without_macs(all.world.things()), wanted, "{what}: the next run converges");
                no_ghost(&all, &there, &what);
                enumerated += 1;
                if mode != Mode::KillAfter {
                    continue;
                }
                // Wanted back in the middle: it is whole where it was, or has arrived and comes back.
                let all = made(&case);
                all.failing(at, mode, || all.present(&there, false));
                let told = all.present(&case.spec, false);
                assert_eq!(told.result, Some(true), "{what}, and back: {}", told.comment);
                let things = all.world.things();
                let guests: Vec<_> =
                    things.guests.iter().map(|((kind, _), guest)| (kind.as_str(), &*guest.status)).collect();
                assert_eq!(guests, [(case.kind, "running")], "{what}, and back");
                assert!(things.came.is_empty() && things.rules.keys().all(|node| node.is_empty()), "{what}, and back");
                if case.kind == "lxc" {
                    assert_eq!(things.guests.values().next().map(|guest| guest.data.as_str()), Some("mine"), "{what}");
                }
                // Or at an end.
                let all = made(&case);
                all.failing(at, mode, || all.present(&there, false));
                assert_eq!(all.verb(&case.spec.id, &Verb::Destroy).result, Some(true), "{what}, and gone");
                let mut left = all.world.things();
                left.packages.clear();
                left.bases.clear();
                assert_eq!(left, Things::default(), "{what}, and gone");
            }
        }
    }
    assert!(enumerated >= 60, "only {enumerated}");
}

/// What fails in the middle leaves the guest at work where it was.
#[test]
fn a_move_that_fails_stops_nobody() {
    for (case, there) in movable() {
        let whole = made(&case);
        let calls = whole.calls(|| whole.present(&there, false));
        let mut back = 0;
        for at in 1..=calls {
            let all = made(&case);
            let before = without_macs(all.world.things());
            let told = all.failing(at, Mode::Before, || all.present(&there, false)).expect("it is not killed");
            let things = all.world.things();
            let status: Vec<_> =
                things.guests.iter().map(|((kind, _), guest)| (kind.as_str(), guest.status.as_str())).collect();
            let what = format!("{} at call {at} of {calls}: {}", case.kind, told.comment);
            assert!(status.iter().any(|(_, status)| *status == "running"), "{what}: {status:?}");
            if told.comment.ends_with(&format!("{} goes on on n1", case.spec.id)) {
                let mut now = without_macs(things);
                now.packages.clone_from(&before.packages);
                assert_eq!(now, before, "{what}");
                back += 1;
            }
        }
        assert!(back > 0, "{}: {back}", case.kind);
    }
}

#[test]
fn what_would_be_lost_is_not_moved() {
    for (case, there) in movable() {
        let all = made(&case);
        let mut there = there;
        if case.kind == "lxc" {
            all.verb(&case.spec.id, &Verb::Snapshot { name: "one".into() });
        } else {
            there.options.insert("binds", vec!["data:/data"]);
        }
        let before = all.world.things();
        let told = all.present(&there, false);
        assert_eq!((told.result, all.world.things()), (Some(false), before), "{}", told.comment);
        let why = if case.kind == "lxc" { "has a snapshot on n1" } else { "would stay on n1" };
        assert!(told.comment.contains(why), "{}", told.comment);
    }
}
