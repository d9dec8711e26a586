//! Targets against the answers of Salt 3007.17's matchers on one minion.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use corpus_core::target::{Target, TargetKind};
use corpus_core::{Data, Map, Value};

/// Where we differ: kind, text, and why.
const DIFFERENCES: &[(&str, &str)] = &[];

fn minion(table: &serde_json::Value) -> (Data, Map) {
    let read = |name: &str| serde_json::from_value::<Value>(table[name].clone()).unwrap();
    let data =
        Data { id: "web01.example.com".into(), grains: read("grains"), pillar: read("pillar"), ..Data::default() };
    (data, read("nodegroups").as_map().unwrap().clone())
}

#[test]
fn matches_what_salt_matches() {
    let table: serde_json::Value = serde_json::from_str(include_str!("targets.json")).unwrap();
    let (data, nodegroups) = minion(&table);
    let mut wrong = Vec::new();
    for row in table["rows"].as_array().unwrap() {
        let (kind, text, salt) = (row[0].as_str().unwrap(), row[1].as_str().unwrap(), row[2].as_bool().unwrap());
        if DIFFERENCES.contains(&(kind, text)) {
            continue;
        }
        let target = Target::parse(text, TargetKind::of(kind).unwrap(), &nodegroups);
        // Salt logs a bad target and matches nothing.
        let ours = target.as_ref().is_ok_and(|t| t.matches(&data));
        if ours != salt {
            wrong.push(format!("{kind} {text:?}: salt {salt}, ours {target:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn says_what_a_target_needs() {
    for (text, grains, pillar) in [
        ("web*", false, false),
        ("web* and not G@os:Debian", true, false),
        ("( I@a:b or E@x ) and web*", false, true),
        ("S@10.0.0.0/8", true, false),
    ] {
        let target = Target::parse(text, TargetKind::Compound, &Map::new()).unwrap();
        assert_eq!((target.needs_grains(), target.needs_pillar()), (grains, pillar), "{text}");
    }
}

#[test]
fn refuses_what_cannot_be_meant() {
    let groups: Map = [("web", "L@a"), ("loop", "N@loop")].into_iter().collect();
    for (kind, text, message) in [
        (TargetKind::Compound, "web* and", "Invalid compound target: web* and: a target is missing at the end"),
        (TargetKind::Compound, "a b", "Invalid compound target: a b: two targets need `and` or `or` between them"),
        (TargetKind::Compound, "( a", "Invalid compound target: ( a: a `)` is missing"),
        (TargetKind::Nodegroup, "wbe", "unknown nodegroup \"wbe\"; did you mean `web`?"),
        (TargetKind::Nodegroup, "loop", "illegal nested nodegroup \"loop\""),
        (TargetKind::Grain, "os", "Got insufficient arguments for grains match statement from master"),
        (TargetKind::IpCidr, "10.1.2.3/8", "host bits set; write 10.0.0.0/8"),
        (TargetKind::Pcre, "(", "invalid regular expression `(`"),
        (TargetKind::Range, "%web", "range server"),
    ] {
        let error = Target::parse(text, kind, &groups).unwrap_err();
        assert!(error.contains(message), "{text}: {error}");
    }
    let deep = format!("{}a", "( ".repeat(10_000));
    assert!(Target::parse(&deep, TargetKind::Compound, &groups).is_err());
}

#[test]
fn merges_as_dictupdate_does() {
    use corpus_core::merge::{Strategy, merge};
    let read = |text: &str| serde_json::from_str::<Map>(text).unwrap();
    let a = r#"{"x": {"p": 1, "l": [1, 2]}, "l": [1, 2], "s": 1, "only_a": 1}"#;
    let b = r#"{"l": [2, 3], "x": {"q": 2, "l": [2, 3]}, "s": {"n": 1}, "only_b": 2}"#;
    let recursed = r#"{"x":{"p":1,"l":[2,3],"q":2},"l":[2,3],"s":{"n":1},"only_a":1,"only_b":2}"#;
    let joined = r#"{"x":{"p":1,"l":[1,2,3],"q":2},"l":[1,2,3],"s":{"n":1},"only_a":1,"only_b":2}"#;
    let replaced = r#"{"x":{"q":2,"l":[2,3]},"l":[2,3],"s":{"n":1},"only_a":1,"only_b":2}"#;
    let paired = r#"{"x":[{"p":1,"l":[1,2]},{"q":2,"l":[2,3]}],"l":[[1,2],[2,3]],"s":[1,{"n":1}],"only_a":1}"#;
    for (word, lists, answer) in [
        ("recurse", false, recursed),
        ("recurse", true, joined),
        ("overwrite", true, replaced),
        ("aggregate", false, replaced),
        ("smart", false, recursed),
        ("smart", true, joined),
        ("none", true, recursed),
        ("list", false, paired),
    ] {
        let merged = merge(read(a), &read(b), Strategy::of(word).unwrap(), lists);
        assert_eq!(serde_json::to_string(&merged).unwrap(), answer, "{word} {lists}");
    }
}
