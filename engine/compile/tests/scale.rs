//! The order is the same whatever the order of the files, and large trees compile in near linear time.

mod support;

use corpus_compile::{CompileOptions, Compiled, compile_high, compile_low, compile_single, compile_sls};
use corpus_core::{Map, RequisiteKind, Value};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::{Duration, Instant};
use support::{Tree, registry};

fn tree(files: &[(&str, &str)]) -> BTreeMap<(String, String), String> {
    files.iter().map(|(path, text)| (("base".to_owned(), (*path).to_owned()), (*text).to_owned())).collect()
}

fn compile(files: &[(&str, &str)], names: &[&str]) -> Compiled {
    let files = tree(files);
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    compile_sls(&names, "base", &Tree(&files), &registry(), &CompileOptions::default())
        .unwrap_or_else(|found| panic!("{}", support::shown(&found)))
}

fn ids(compiled: &Compiled) -> Vec<&str> {
    compiled.low.chunks.iter().map(|chunk| &*chunk.id).collect()
}

/// A debug build on a busy machine is slow: the limits catch what is quadratic, not what is slow.
const LIMIT: Duration = Duration::from_secs(8);

#[test]
fn a_chain_of_a_thousand_runs_from_its_end() {
    let mut text = String::new();
    for i in 0..1000 {
        let _ = writeln!(text, "s{i}:\n  test.nop:\n    - require: [{{test: s{}}}]", i + 1);
    }
    text += "s1000: test.nop\n";
    let start = Instant::now();
    let compiled = compile(&[("a.sls", &text)], &["a"]);
    assert!(start.elapsed() < LIMIT, "{:?}", start.elapsed());
    let expected: Vec<String> = (0..=1000).rev().map(|i| format!("s{i}")).collect();
    assert_eq!(ids(&compiled), expected);
}

#[test]
fn a_cycle_of_a_thousand_is_found_and_cut_short() {
    let mut text = String::new();
    for i in 0..1000 {
        let _ = writeln!(text, "s{i}:\n  test.nop:\n    - require: [{{test: s{}}}]", (i + 1) % 1000);
    }
    let files = tree(&[("a.sls", &text)]);
    let found = compile_sls(&["a".into()], "base", &Tree(&files), &registry(), &CompileOptions::default()).unwrap_err();
    assert_eq!(found.len(), 1);
    assert!(found[0].message.starts_with("Recursive requisites were found: "));
    assert_eq!(found[0].labels.len(), 12);
}

#[test]
fn ten_thousand_chunks_are_no_matter() {
    let mut clean = String::new();
    for i in 0..10_000 {
        let _ = writeln!(
            clean,
            "/etc/app/{i}.conf:\n  file.managed:\n    - source: salt://app/x\n    - user: root\n    - mode: '0644'"
        );
        if i % 100 != 0 {
            let _ = writeln!(clean, "    - require: [{{file: /etc/app/{}.conf}}]", i - i % 100);
        }
        let _ = writeln!(clean, "    - watch_in: [{{service: app}}]");
    }
    clean += "app: service.running\n";
    let files = tree(&[("a.sls", &clean)]);
    let parsed = Tree(&files);
    let node = corpus_compile::SlsLoader::load(&parsed, "a", "base").unwrap();
    let loader = Once(node);
    let start = Instant::now();
    let compiled = compile_sls(&["a".into()], "base", &loader, &registry(), &CompileOptions::default()).unwrap();
    let took = start.elapsed();
    assert!(took < LIMIT, "{took:?}");
    assert_eq!(compiled.low.chunks.len(), 10_001);
    let last = &compiled.low.chunks[10_000];
    assert_eq!(
        (&*last.id, last.requisites[0].kind, last.requisites[0].targets.len()),
        ("app", RequisiteKind::Watch, 10_000)
    );
    if std::env::var_os("TIMES").is_some() {
        panic!("10,000 chunks: {took:?}");
    }
}

/// One file, read before the clock starts.
struct Once(corpus_compile::Loaded);

impl corpus_compile::SlsLoader for Once {
    fn load(&self, _: &str, _: &str) -> Result<corpus_compile::Loaded, corpus_compile::LoadError> {
        Ok(self.0.clone())
    }
    fn list(&self, _: &str) -> Vec<String> {
        vec!["a".into()]
    }
    fn envs(&self) -> Vec<String> {
        vec!["base".into()]
    }
}

#[test]
fn names_with_thousands_of_overrides_are_no_matter() {
    let mut text = "d:\n  test.nop:\n    - names:\n".to_owned();
    for i in 0..5000 {
        let _ = writeln!(text, "      - /n{i}:\n        - mode: '{i}'");
    }
    let start = Instant::now();
    let compiled = compile(&[("a.sls", &text)], &["a"]);
    assert!(start.elapsed() < LIMIT, "{:?}", start.elapsed());
    assert_eq!(compiled.low.chunks.len(), 5000);
    assert_eq!(compiled.low.chunks[4999].suborder, 5000);
}

#[test]
fn requisites_decide_whatever_the_order_of_files_and_calls() {
    let files = [
        ("a.sls", "include: [b, c]\na:\n  test.nop:\n    - require: [{test: b}]"),
        ("b.sls", "include: [c]\nb:\n  test.nop:\n    - require: [{test: c}]"),
        ("c.sls", "include: [d]\nc:\n  test.nop:\n    - require: [{test: d}]"),
        ("d.sls", "include: [a]\nd: test.nop"),
    ];
    for names in [["a", "b", "c", "d"], ["d", "c", "b", "a"], ["c", "a", "d", "b"], ["b", "d", "a", "c"]] {
        assert_eq!(ids(&compile(&files, &names)), ["d", "c", "b", "a"], "{names:?}");
    }
}

#[test]
fn the_same_tree_gives_the_same_low_state_every_time() {
    let mut text = String::new();
    for i in 0..200 {
        let _ = writeln!(text, "s{i}:\n  test.nop:\n    - order: {}\n    - onchanges: [{{sls: b*}}]", i % 3 + 1);
    }
    let mut more = String::new();
    for i in 0..50 {
        let _ = writeln!(more, "t{i}:\n  test.nop:\n    - prereq_in: [{{test: u{}}}]\nu{i}: test.nop", i % 7);
    }
    let files = [("a.sls", &*format!("include: [b]\n{text}")), ("b.sls", &*more)];
    let first = compile(&files, &["a"]).lowstate();
    for _ in 0..5 {
        assert_eq!(compile(&files, &["a"]).lowstate(), first);
    }
}

#[test]
fn one_id_keeps_what_it_requires() {
    let text = "a: test.nop\nb:\n  test.nop:\n    - require: [{test: d}]\nc: test.nop\nd:\n  test.nop:\n    - prereq: [{test: e}]\ne: test.nop";
    let compiled = compile(&[("a.sls", text)], &["a"]);
    let kept = compiled.clone().keep_id("b", &["a".into()], "base").unwrap();
    assert_eq!(ids(&kept), ["d", "b", "e"]);
    assert_eq!(kept.low.chunks[1].requisites[0].targets, [0]);
    assert_eq!(kept.low.chunks[0].requisites[0].targets, [2]);
    let wrong = compiled.keep_id("bb", &["a".into()], "base").unwrap_err();
    assert_eq!(wrong.message, "No matches for ID 'bb' found in SLS 'a' within saltenv 'base'");
}

#[test]
fn positions_are_those_of_the_declaration() {
    let text = "x:\n  file.managed:\n    - mode: a\n    - require: [y]\ny: test.nop";
    let compiled = compile(&[("a.sls", text)], &["a"]);
    let x = compiled.low.chunks.iter().find(|chunk| &*chunk.id == "x").unwrap();
    assert_eq!(x.span.to_string(), "a.sls:2:3");
    assert_eq!(x.arg_span("mode").to_string(), "a.sls:3:7");
    assert_eq!(x.arg_span("require").to_string(), "a.sls:4:7");
}

#[test]
fn single_functions_and_low_data() {
    let args: Map = [("name", Value::from("/x")), ("mode", "0644".into())].into_iter().collect();
    let one = compile_single("file.managed", &args, &registry(), &CompileOptions::default()).unwrap();
    let chunk = &one.low.chunks[0];
    assert_eq!(chunk.tag(), "file_|-/x_|-/x_|-managed");
    assert_eq!(chunk.args.str("mode"), Some("0644"));
    let wrong = compile_single("file", &args, &registry(), &CompileOptions::default()).unwrap_err();
    assert_eq!(wrong[0].message, "Invalid function passed");
    let none = compile_low(&Map::new(), &registry(), &CompileOptions::default()).unwrap_err();
    let messages: Vec<_> = none.iter().map(|diagnostic| &*diagnostic.message).collect();
    assert_eq!(messages, ["Missing \"state\" data", "Missing \"fun\" data", "Missing \"name\" data"]);
    let high = compile_high(&Value::from("x"), &registry(), &CompileOptions::default()).unwrap_err();
    assert_eq!(high[0].message, "High data is not a dictionary and is invalid");
}

#[test]
fn listeners_are_resolved_on_the_side_that_listens() {
    let text = "a:\n  test.nop:\n    - listen_in: [{test: b}]\nb:\n  test.nop:\n    - listen: [{test: c}, {test: gone}]\nc: test.nop";
    let compiled = compile(&[("a.sls", text)], &["a"]);
    let b = &compiled.low.chunks[1];
    assert_eq!(b.requisites.len(), 1);
    assert_eq!(b.requisites[0].kind, RequisiteKind::Listen);
    let mut targets = b.requisites[0].targets.clone();
    targets.sort();
    assert_eq!(targets, [0, 2]);
    assert_eq!(b.requisites[0].missing, [("test".to_owned(), "gone".to_owned())]);
}

#[test]
fn high_data_is_kept_on_demand() {
    let files = tree(&[("a.sls", "extend:\n  x:\n    test:\n      - k: v\nx: test.nop")]);
    let opts = CompileOptions { keep_high: true, ..CompileOptions::default() };
    let compiled = compile_sls(&["a".into()], "base", &Tree(&files), &registry(), &opts).unwrap();
    let expected = support::json(
        r#"{"x": {"__sls__": "a", "__env__": "base", "test": ["nop", {"order": 10000}]},
            "__extend__": [{"x": {"test": [{"k": "v"}], "__sls__": "a", "__env__": "base"}}]}"#,
    );
    assert_eq!(compiled.high, expected);
}

#[test]
fn extend_is_shown_where_salt_has_it() {
    // `a` has no extend, `b` includes `c`, which has one: it stands before the IDs of `b`.
    let files = tree(&[
        ("a.sls", "x: test.nop"),
        ("b.sls", "include: [c]\ny: test.nop"),
        ("c.sls", "extend:\n  x:\n    test:\n      - k: v\nexclude: [{id: z}]\nz: test.nop"),
    ]);
    let opts = CompileOptions { keep_high: true, ..CompileOptions::default() };
    let compiled = compile_sls(&["a".into(), "b".into()], "base", &Tree(&files), &registry(), &opts).unwrap();
    let keys: Vec<&str> = compiled.high.as_map().unwrap().keys().filter_map(|key| key.as_str()).collect();
    assert_eq!(keys, ["x", "__extend__", "__exclude__", "y", "z"]);
}

#[test]
fn high_data_is_shown_whatever_the_requisites_say() {
    let opts = CompileOptions { keep_high: true, ..CompileOptions::default() };
    for (text, shown) in [
        ("x:\n  test.nop:\n    - require: [{pkg: gone}]", true),
        ("x:\n  test.nop:\n    - require_in: [{pkg: gone}]", true),
        ("extend:\n  gone:\n    test:\n      - k: v\nx: test.nop", true),
        ("x:\n  test.nop:\n    - require: [{test: x}]", true),
        ("x:\n  test: [nop]", true),
        ("x:\n  test: [nop, other]", false),
        ("include: [gone]\nx: test.nop", false),
    ] {
        let files = tree(&[("a.sls", text)]);
        let compiled = compile_sls(&["a".into()], "base", &Tree(&files), &registry(), &opts);
        assert_eq!(compiled.is_ok(), shown, "{text}: {compiled:?}");
    }
}
