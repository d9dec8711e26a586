//! YAML against recorded answers: what Salt 3007.17's loader (PyYAML with libyaml) read from each text or why it
//! refused it and where, and what `salt.utils.yaml.safe_dump` wrote for each value.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use corpus_core::yaml::{self, EmitOptions, Flow};
use corpus_core::{Map, Node, NodeKind, Pos, Value};
use serde_json::Value as Json;

/// Texts on which we differ from Salt, and why.
const DIFFERENCES: &[(&str, &str)] =
    &[("a: &a [*a]", "Python builds a list that holds itself; low state cannot be sent anywhere with one")];

fn table(text: &str) -> Vec<Json> {
    serde_json::from_str(text).unwrap()
}

/// Reads the recorder's form: `{"float": …}`, `{"map": [[key, value], …]}`.
fn value(json: &Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(b) => Value::Bool(*b),
        Json::Number(n) => Value::Int(n.as_i64().unwrap()),
        Json::String(s) => Value::str(s),
        Json::Array(items) => Value::list(items.iter().map(value).collect()),
        Json::Object(o) => match (o.get("float"), o.get("map")) {
            (Some(float), _) => Value::Float(float.as_str().unwrap().parse().unwrap()),
            (_, Some(map)) => {
                let pairs = map.as_array().unwrap().iter().map(|pair| (value(&pair[0]), value(&pair[1])));
                Value::map(pairs.collect::<Map>())
            }
            _ => panic!("{json}"),
        },
    }
}

#[test]
fn reads_what_salt_reads() {
    let mut wrong = Vec::new();
    let rows = table(include_str!("yaml_answers.json"));
    assert!(rows.len() > 300);
    for row in &rows {
        let text = row["text"].as_str().unwrap();
        if DIFFERENCES.iter().any(|(t, _)| *t == text) {
            continue;
        }
        let ours = yaml::parse(text);
        match (&ours, row.get("error")) {
            // `repr` tells 1 from 1.0 and from True, which compare equal.
            (Ok(node), None) => {
                let (have, want) =
                    (corpus_core::python::repr(&node.to_value()), corpus_core::python::repr(&value(&row["value"])));
                if have != want {
                    wrong.push(format!("{text:?}\n   salt {want}\n   ours {have}"));
                }
            }
            (Err(e), Some(problem)) => {
                let place = row.get("at").map(|at| (at[0].as_u64().unwrap() as u32, at[1].as_u64().unwrap() as u32));
                if place.is_some_and(|p| p != (e.pos.line, e.pos.col)) || !same(problem.as_str().unwrap(), &e.message) {
                    wrong.push(format!("{text:?}\n   salt {place:?} {problem}\n   ours {e}"));
                }
                if let Some(context) = row.get("context") {
                    let at = (context[1].as_u64().unwrap() as u32, context[2].as_u64().unwrap() as u32);
                    let ours = e.related.first().map(|(pos, text)| (pos.line, pos.col, text.as_str()));
                    if ours != Some((at.0, at.1, context[0].as_str().unwrap())) {
                        wrong.push(format!("{text:?}\n   salt {context}\n   ours {ours:?}"));
                    }
                }
            }
            _ => wrong.push(format!("{text:?}\n   salt {row}\n   ours {ours:?}")),
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
}

/// Compares messages: libyaml leaves out the character or the name that Python's own code puts in.
fn same(salt: &str, ours: &str) -> bool {
    salt == ours
        || (salt == "found character that cannot start any token" && ours.starts_with("found character "))
        || (salt == "found undefined alias" && ours.starts_with(salt))
}

#[test]
fn writes_what_salt_writes() {
    let mut wrong = Vec::new();
    let rows = table(include_str!("yaml_emitted.json"));
    for row in &rows {
        let given = value(&row["value"]);
        let leaves = yaml::emit_with(&given, &EmitOptions { flow: Flow::Leaves, ..Default::default() });
        for (form, ours) in
            [("block", yaml::emit(&given, true)), ("flow", yaml::emit(&given, false)), ("leaves", leaves)]
        {
            if row[form].as_str() != Some(&ours) {
                wrong.push(format!("{} {form}\n   salt {}\n   ours {ours:?}", row["value"], row[form]));
            }
            let again = yaml::parse(&ours).map(|node| corpus_core::python::repr(&sorted(&node.to_value())));
            if again.as_deref() != Ok(&corpus_core::python::repr(&sorted(&given))) {
                wrong.push(format!("{} {form}: {ours:?} reads back as {again:?}", row["value"]));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
}

fn sorted(value: &Value) -> Value {
    match value {
        Value::Map(map) => {
            let mut entries: Vec<_> = map.iter().map(|(k, v)| (k.clone(), sorted(v))).collect();
            entries.sort_by_key(|(k, _)| corpus_core::python::repr(k));
            Value::map(entries.into_iter().collect())
        }
        Value::List(items) => Value::list(items.iter().map(sorted).collect()),
        other => other.clone(),
    }
}

#[test]
fn keeps_the_place_of_every_value() {
    let text = "a:\n  b: [x, {y: z}]\n  é: &m 'q'\nc:\n- *m\n- |\n  t\n";
    let node = yaml::parse(text).unwrap();
    let at = |line, col| Pos::new(line, col);
    let a = node.get("a").unwrap();
    let seq = a.get("b").unwrap().as_seq().unwrap();
    let (y, z) = seq[1].entry("y").unwrap();
    let list = node.get("c").unwrap().as_seq().unwrap();
    for (place, node) in [
        (at(1, 1), &node),
        (at(2, 3), a),
        (at(2, 6), seq.first().map(|_| a.get("b").unwrap()).unwrap()),
        (at(2, 7), &seq[0]),
        (at(2, 11), y),
        (at(2, 14), z),
        (at(3, 6), &a.entry("é").unwrap().1),
        (at(6, 3), &list[1]),
    ] {
        assert_eq!(node.pos, place, "{node:?}");
    }
    assert_eq!(node.entry("c").unwrap().0.pos, at(4, 1));
}

#[test]
fn says_how_to_go_on() {
    for (text, hint) in [
        ("a:\n\tb: 1", "spaces only"),
        ("a: {{ x }}", "`{{`"),
        ("a: {% x %}", "Jinja tag"),
        ("a: @x", "cannot start with `@`"),
        ("a: %x", "cannot start with `%`"),
        ("a: b: c", "must be put in quotes"),
        ("a: 1\n  b: 2", "missing `:`"),
        ("a: 1\nb\nc: 2", "is a `:` missing?"),
        ("a: 1\nb:2\nc: 3", "a space is missing after `b:`"),
        ("a: 1\na: 2", "unique"),
        ("a: 'x", "line 1 is never closed"),
        ("a: *.log", "in quotes"),
        ("a: \"b\" c", "closing quote"),
    ] {
        let error = yaml::parse(text).unwrap_err();
        assert!(error.hints.iter().any(|h| h.contains(hint)), "{text:?}: {error} {:?}", error.hints);
    }
}

#[test]
fn names_both_places_of_a_duplicate_key() {
    let error = yaml::parse("web:\n  pkg.installed: []\n\nweb:\n  service.running: []\n").unwrap_err();
    assert_eq!(error.message, "found conflicting ID 'web'");
    assert_eq!(error.pos, Pos::new(4, 1));
    assert!(error.related.contains(&(Pos::new(1, 1), "first declared here".into())));
    let text = "while constructing a mapping\n  in \"<unicode string>\", line 1, column 1\nfound conflicting ID 'web'\n  \
                in \"<unicode string>\", line 4, column 1";
    assert_eq!(error.salt_text(), text);
}

#[test]
fn bounds_hostile_texts() {
    let deep = [
        "[".repeat(100_000),
        "{a: ".repeat(100_000),
        (0..2_000).map(|i| format!("{}a:\n", " ".repeat(i))).collect::<String>(),
        "- ".repeat(10_000),
    ];
    for text in &deep {
        // The stack of a worker thread, not the larger one of a main thread.
        let text = text.clone();
        let error = std::thread::Builder::new().stack_size(2 << 20).spawn(move || yaml::parse(&text)).unwrap();
        let error = error.join().unwrap().unwrap_err();
        assert!(error.message.contains("nested deeper"), "{error}");
    }
    let near = "[".repeat(95) + &"]".repeat(95);
    assert!(yaml::parse(&near).is_ok());
    let mut bomb = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
    for i in 1..12 {
        bomb += &format!("a{i}: &a{i} [{}]\n", vec![format!("*a{}", i - 1); 10].join(","));
    }
    assert!(yaml::parse(&bomb).unwrap_err().message.contains("aliases expand"));
    let mut chain = String::from("a0: &a0 [x]\n");
    for i in 1..1_000 {
        chain += &format!("a{i}: &a{i} [*a{}]\n", i - 1);
    }
    assert!(yaml::parse(&chain).unwrap_err().message.contains("nested deeper"));
    assert!(yaml::parse("a: &a\n  <<: *a\n").is_err());
}

#[test]
fn survives_any_cut_of_a_text() {
    let text = "a: &x {b: [1, 'é', \"\\u00e9\\\n  z\"], ? c : !!str d}\n? |2-\n    e\n: >+\n  f\n\n  g # h\n-: *x\n%T ---\n...\n";
    for (i, _) in text.char_indices() {
        let _ = yaml::parse(&text[..i]);
        let _ = yaml::parse(&text[i..]);
    }
}

#[test]
fn reads_numbers_beyond_64_bits_as_text() {
    let node = yaml::parse("18446744073709551615").unwrap();
    assert_eq!(node, Node { pos: Pos::new(1, 1), kind: NodeKind::Scalar(Value::str("18446744073709551615")) });
}
