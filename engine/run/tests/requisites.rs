//! Requisites and run-time keywords, row by row, with the outcomes and comments of Salt 3008.

mod common;
use common::{Chunk, chunk, line, lines, low_state, run, run_with};
use corpus_core::RequisiteKind::{self, *};
use corpus_core::fake::Fake;
use corpus_core::{Data, Event, Map, RunOptions, Value};

fn good(id: &str) -> Chunk {
    chunk(id, "test.succeed_without_changes")
}
fn changes(id: &str) -> Chunk {
    chunk(id, "test.succeed_with_changes")
}
fn fails(id: &str) -> Chunk {
    chunk(id, "test.fail_without_changes")
}

const ONFAIL: &str = "State was not run because onfail req did not change";
const ONCHANGES: &str = "State was not run because none of the onchanges reqs changed";

/// Targets `T1`, `T2`…: `o` succeeds, `c` succeeds with changes, `f` fails, `s` is skipped by `unless`.
fn targets(kinds: &str) -> Vec<Chunk> {
    let make = |(n, kind)| {
        let id = format!("T{}", n + 1);
        match kind {
            'c' => changes(&id),
            'f' => fails(&id),
            'F' => chunk(&id, "test.fail_with_changes"),
            's' => changes(&id).arg("onlyif", "false"),
            _ => good(&id),
        }
    };
    kinds.chars().enumerate().map(make).collect()
}

#[test]
fn truth_table() {
    let failed = "One or more requisite failed: s.T1";
    #[rustfmt::skip]
    let rows: &[(RequisiteKind, &str, &str, &str)] = &[
        (Require, "o", "ok", "True - Success!"),
        (Require, "s", "ok", "True - Success!"),
        (Require, "f", "ok", &format!("False - {failed}")),
        (Require, "fof", "ok", &format!("False - {failed}, s.T3")),
        (RequireAny, "of", "ok", "True - Success!"),
        (RequireAny, "ff", "ok", &format!("False - {failed}, s.T2")),
        (Watch, "c", "ok", "True + Watch statement fired."),
        (Watch, "c", "changes", "True + Success!"),
        (Watch, "o", "ok", "True - Success!"),
        (Watch, "f", "ok", &format!("False - {failed}")),
        (Watch, "c", "skipped", "True - onlyif condition is false"),
        (Watch, "c", "plain", "True - Plain."),
        (Watch, "cf", "ok", "False - One or more requisite failed: s.T2"),
        (WatchAny, "cff", "ok", "True + Watch statement fired."),
        (WatchAny, "off", "ok", "True - Success!"),
        (WatchAny, "ff", "ok", &format!("False - {failed}, s.T2")),
        (WatchAny, "cf", "plain", "True - Plain."),
        (Onchanges, "c", "ok", "True - Success!"),
        (Onchanges, "o", "ok", &format!("True - {ONCHANGES}")),
        (Onchanges, "f", "ok", &format!("True - {ONCHANGES}")),
        (Onchanges, "F", "ok", &format!("True - {ONCHANGES}")),
        (Onchanges, "ocf", "ok", "True - Success!"),
        (OnchangesAny, "oc", "ok", "True - Success!"),
        (OnchangesAny, "oo", "ok", &format!("True - {ONCHANGES}")),
        (Onfail, "f", "ok", "True - Success!"),
        (Onfail, "fo", "ok", "True - Success!"),
        (Onfail, "oc", "ok", &format!("True - {ONFAIL}")),
        (OnfailAny, "fo", "ok", "True - Success!"),
        (OnfailAny, "oo", "ok", &format!("True - {ONFAIL}")),
        (OnfailAll, "ff", "ok", "True - Success!"),
        (OnfailAll, "fo", "ok", &format!("True - {ONFAIL}")),
        (Prereq, "c", "ok", "True - Success!"),
        (Prereq, "o", "ok", "True - No changes detected"),
        (Prereq, "f", "ok", &format!("False - {failed}")),
        (Prereq, "oc", "ok", "True - Success!"),
    ];
    for (kind, kinds, dependent, expected) in rows {
        let d = match *dependent {
            "changes" => changes("D"),
            "skipped" => good("D").arg("onlyif", "false"),
            "plain" => chunk("D", "plain.ok"),
            _ => good("D"),
        };
        let mut chunks = targets(kinds);
        let ids: Vec<_> = (1..=kinds.len()).map(|n| format!("T{n}")).collect();
        let ids: Vec<_> = ids.iter().map(String::as_str).collect();
        let d = d.on(*kind, &ids);
        // `prereq` puts the dependent first.
        if *kind == Prereq {
            chunks.insert(0, d)
        } else {
            chunks.push(d)
        }
        let report = run(&Fake::new(), &chunks, false);
        let record = report.chunks.iter().find(|record| &*record.id == "D").expect("D has a record");
        assert_eq!(line(record), format!("D {expected}"), "{kind:?} {kinds} {dependent}");
        let skipped = [ONFAIL, ONCHANGES, "No changes detected", "One or more"].iter().any(|t| expected.contains(t));
        assert_eq!(record.ran, !skipped, "{kind:?} {kinds}");
    }
}

fn check(name: &str, chunks: &[Chunk], expected: &[&str]) {
    assert_eq!(lines(&run(&Fake::new(), chunks, false)), expected, "{name}");
}

#[test]
fn several_requisites() {
    check(
        "onfail + require: runs",
        &[fails("A"), good("B"), good("C").on(Onfail, &["A"]).on(Require, &["B"])],
        &["A False - Failure!", "B True - Success!", "C True - Success!"],
    );
    // Issue 46552: a chain of onfail and require, whose onfail is not met, is no failure.
    let chain = [good("A"), good("B").on(Onfail, &["A"]), good("C").on(Onfail, &["A"]).on(Require, &["B"])];
    check("onfail chain", &chain, &["A True - Success!", &format!("B True - {ONFAIL}"), &format!("C True - {ONFAIL}")]);
    let both = [good("A"), good("B"), good("C").on(Onfail, &["A"]).on(Onchanges, &["B"])];
    check(
        "onfail wins over onchanges",
        &both,
        &["A True - Success!", "B True - Success!", &format!("C True - {ONFAIL}")],
    );
    let met = [good("A"), changes("B"), good("C").on(Onfail, &["A"]).on(Onchanges, &["B"])];
    check(
        "unmet onfail wins over met onchanges as well",
        &met,
        &["A True - Success!", "B True + Success!", &format!("C True - {ONFAIL}")],
    );
    check(
        "fail wins",
        &[fails("A"), changes("B"), good("C").on(Require, &["A"]).on(Watch, &["B"])],
        &["A False - Failure!", "B True + Success!", "C False - One or more requisite failed: s.A"],
    );
    check(
        "requires what comes later",
        &[good("A").on(Require, &["B"]), good("B")],
        &["B True - Success!", "A True - Success!"],
    );
    check(
        "a cycle ends",
        &[good("A").on(Require, &["B"]), good("B").on(Require, &["A"])],
        &["A False - Recursive requisite found", "B False - One or more requisite failed: s.A"],
    );
}

#[test]
fn prereq() {
    check(
        "the one before fails: its target keeps its dry run",
        &[fails("D").on(Prereq, &["T"]), changes("T")],
        &["D False - Failure!", "T None - If we weren't testing, this would be successful with changes"],
    );
    let chain = [fails("c"), good("a").on(Prereq, &["b"]), changes("b").on(Require, &["c"])];
    check(
        "issue 46762: the target requires a failed state",
        &chain,
        &[
            "c False - Failure!",
            "b False - One or more requisite failed: s.c",
            "a False - One or more requisite failed: s.b",
        ],
    );
    let tail = [changes("head").on(Prereq, &["mid"]), changes("mid").on(Prereq, &["tail"]), good("tail")];
    check(
        "issue 68438: nothing changes at the tail",
        &tail,
        &["mid True - No changes detected", "head True - No changes detected", "tail True - Success!"],
    );
    let tail = [changes("head").on(Prereq, &["mid"]), changes("mid").on(Prereq, &["tail"]), changes("tail")];
    check("the whole chain runs", &tail, &["head True + Success!", "mid True + Success!", "tail True + Success!"]);
    let erased = [fails("D").on(Prereq, &["T"]), changes("T"), good("O").on(Onchanges, &["T"])];
    check(
        "proposed changes of a failed prereq are erased",
        &erased,
        &[
            "D False - Failure!",
            "T None - If we weren't testing, this would be successful with changes",
            &format!("O True - {ONCHANGES}"),
        ],
    );
    let restart = [changes("W"), good("D").on(Prereq, &["T"]), good("T").on(Watch, &["W"])];
    check(
        "a target that only its mod_watch changes",
        &restart,
        &["W True + Success!", "D True - Success!", "T True + Watch statement fired."],
    );
}

#[test]
fn run_numbers() {
    let chunks = [changes("A"), good("B").on(Onfail, &["A"]), good("C").on(Watch, &["A"]), good("D")];
    let report = run(&Fake::new(), &chunks, false);
    let numbers: Vec<_> = report.chunks.iter().map(|record| record.run_num).collect();
    // The watcher ran and was then called to watch: it uses two.
    assert_eq!(numbers, [0, 1, 3, 4]);
    let watcher = &report.chunks[2];
    assert_eq!(watcher.changes.get("Requisites with changes"), Some(&vec!["test: A"].into()));
    let text = &report.chunks[0];
    assert_eq!(text.tag, "test_|-A_|-A_|-succeed_with_changes");
    assert_eq!(text.start_time.len(), "14:03:07.123456".len());
}

#[test]
fn listeners() {
    let chunks = [good("A").on(Listen, &["C", "O"]), good("B").on(Listen, &["O"]), good("O"), changes("C")];
    let report = run(&Fake::new(), &chunks, false);
    assert_eq!(report.chunks.last().map(|r| r.tag.as_str()), Some("test_|-listener_A_|-A_|-mod_watch"));
    assert_eq!(lines(&report)[4..], ["listener_A True + Watch statement fired."]);
    check(
        "no mod_watch",
        &[changes("C"), chunk("P", "plain.ok").on(Listen, &["C"])],
        &[
            "C True + Success!",
            "P True - Plain.",
            "listener_P False - State 'plain.mod_watch' was not found in SLS 's'|Reason: 'plain.mod_watch' is not available.|",
        ],
    );
    let report = run(&Fake::new(), &[good("A").missing("pkg", "nope"), good("B").missing("pkg", "nope")], false);
    let record = report.chunks.last().expect("three records");
    assert_eq!(record.tag, "Listen_Error_|-listen_nope_|-listen_pkg_|-Listen_Error");
    assert_eq!((report.chunks.len(), record.result), (3, Some(false)));
    assert_eq!(record.comment, "Referenced state pkg: nope does not exist");
    // Salt: listeners are called even after a hard failure.
    check(
        "after failhard",
        &[changes("C"), good("A").on(Listen, &["C"]), fails("F").arg("failhard", true), good("Z")],
        &["C True + Success!", "A True - Success!", "F False - Failure!", "listener_A True + Watch statement fired."],
    );
}

fn host() -> Fake {
    let host = Fake::new();
    host.answer("/bin/sh -c true", 0, "");
    host.answer("/bin/sh -c false", 1, "");
    host.answer("/bin/sh -c two", 2, "");
    host.answer("/bin/bash -c true", 0, "");
    host.add_file("/there", "x", 0o644);
    host
}

fn dict(entries: &[(&str, Value)]) -> Value {
    Value::map(entries.iter().map(|(k, v)| (*k, v.clone())).collect::<Map>())
}

#[test]
fn guards() {
    let list = |items: &[&str]| Value::from(items.to_vec());
    let fun = |entries: &[(&str, Value)]| Value::list(vec![dict(entries)]);
    let (onlyif, unless) = ("onlyif condition is false", "unless condition is true");
    #[rustfmt::skip]
    let rows: Vec<(Vec<(&str, Value)>, &str)> = vec![
        (vec![("onlyif", "true".into())], "Success!"),
        (vec![("onlyif", "false".into())], onlyif),
        (vec![("onlyif", list(&["true", "false"]))], onlyif),
        (vec![("onlyif", list(&["true", "true"]))], "Success!"),
        (vec![("onlyif", list(&[]))], "Success!"),
        (vec![("onlyif", "nosuchprogram".into())], onlyif),
        (vec![("onlyif", true.into())], "Success!"),
        (vec![("onlyif", fun(&[]))], "Success!"),
        (vec![("onlyif", fun(&[("fun", "test.true".into())]))], "Success!"),
        (vec![("onlyif", fun(&[("fun", "test.false".into())]))], onlyif),
        (vec![("onlyif", fun(&[("fun", "test.echo".into()), ("args", list(&[""]))]))], onlyif),
        (vec![("onlyif", fun(&[("fun", "test.echo".into()), ("args", list(&["__slot__:salt:test.echo(x)"]))]))], "Success!"),
        (vec![("onlyif", fun(&[("fun", "test.kwargs".into()), ("a", dict(&[("b", 1.into())])), ("get_return", "a:b".into())]))], "Success!"),
        (vec![("onlyif", fun(&[("fun", "test.kwargs".into()), ("a", 1.into()), ("get_return", "b".into())]))], onlyif),
        (vec![("onlyif", fun(&[("fun", "no.such".into())]))], "An exception occurred in this state: 'no.such' is not available."),
        (vec![("unless", "false".into())], "Success!"),
        (vec![("unless", "true".into())], unless),
        (vec![("unless", list(&["true", "false"]))], "Success!"),
        (vec![("unless", list(&["true", "true"]))], unless),
        (vec![("unless", "nosuchprogram".into())], unless),
        (vec![("unless", fun(&[("fun", "test.false".into())]))], "Success!"),
        (vec![("unless", fun(&[("fun", "test.true".into())]))], unless),
        (vec![("unless", 5.into())], "Success!"),
        (vec![("onlyif", "true".into()), ("unless", "true".into())], "onlyif condition is true|unless condition is true"),
        (vec![("onlyif", "false".into()), ("unless", "false".into())], "onlyif condition is false|unless condition is false"),
        (vec![("onlyif", "false".into()), ("unless", "true".into())], "onlyif condition is false|unless condition is true"),
        (vec![("onlyif", "true".into()), ("unless", "false".into())], "Success!"),
        (vec![("creates", "/there".into())], "/there exists"),
        (vec![("creates", "/not".into())], "Success!"),
        (vec![("creates", list(&["/there", "/"]))], "All files in creates exist"),
        (vec![("creates", list(&["/there", "/not"]))], "Success!"),
        (vec![("onlyif", "true".into()), ("shell", "/bin/bash".into())], "Success!"),
        (vec![("onlyif", "false".into()), ("shell", "/bin/bash".into()), ("cmd_opts_exclude", "shell".into())], onlyif),
        (vec![("onlyif", "two".into()), ("success_retcodes", Value::list(vec![2.into()]))], "Success!"),
        (vec![("check_cmd", "true".into())], "check_cmd determined the state succeeded"),
        (vec![("check_cmd", list(&["true", "false"]))], "check_cmd determined the state failed"),
        (vec![("onlyif", "false".into()), ("check_cmd", "false".into())], "check_cmd determined the state failed"),
        (vec![("umask", "abc".into())], "Invalid umask: abc|"),
        (vec![("umask", "022".into())], "Success!"),
        (vec![("name", 8080.into())], "ID '8080' in SLS 's' is not formed as a string, but is a int|"),
    ];
    for (args, expected) in rows {
        let chunk = args.iter().fold(good("A"), |chunk, (key, value)| chunk.arg(key, value.clone()));
        let report = run(&host(), &[chunk], false);
        let record = &report.chunks[0];
        assert_eq!(record.comment.replace('\n', "|"), expected, "{args:?}");
        let skipped = expected.contains("condition is") || expected.ends_with("exist") || expected.ends_with("exists");
        assert_eq!(record.extra.contains("skip_watch"), skipped || args.len() == 2 && expected.contains("check_cmd"));
    }
    let mended = run(&host(), &[fails("A").arg("check_cmd", "true")], false);
    assert_eq!(lines(&mended), ["A True - check_cmd determined the state succeeded"]);
}

#[test]
fn errors_of_a_chunk() {
    for (full, expected) in [
        (
            "test.sucseed_without_changes",
            "State 'test.sucseed_without_changes' was not found in SLS 's'|Reason: 'test.sucseed_without_changes' is not built into this corpus; did you mean `test.succeed_without_changes`?|",
        ),
        (
            "zpool.present",
            "State 'zpool.present' was not found in SLS 's'|Reason: 'zpool' is not built into this corpus|",
        ),
        ("test.boom", "An exception occurred in this state: boom"),
        ("test.error", "It is broken."),
        ("test.lies", "Success!|did not converge: after the change, these still differ: testing"),
        ("file.link", "Missing parameter target for state file.link|"),
    ] {
        let report = run(&Fake::new(), &[chunk("A", full), good("B")], false);
        assert_eq!(report.chunks[0].comment.replace('\n', "|"), expected);
        assert_eq!((report.chunks[0].result, report.chunks[1].result), (Some(false), Some(true)));
    }
    let lies = low_state(&[chunk("A", "test.lies")]);
    let options = RunOptions { skip_verify: true, ..RunOptions::default() };
    assert!(run_with(&Fake::new(), &lies, options, &Data::default()).0.ok());
}

#[test]
fn commands_that_fail() {
    let host = Fake::new();
    host.answer("/bin/sh -c broken", 3, "out\nwhy");
    let report =
        run(&host, &[chunk("broken", "cmd.go"), chunk("b", "cmd.go").arg("name", "broken").arg("secret", true)], false);
    assert_eq!(
        lines(&report),
        [
            "broken False - Command \"broken\" failed with return code 3|out|why",
            "b False - Command \"***\" failed with return code 3",
        ]
    );
}

#[test]
fn retries() {
    let retry = |n: i64| dict(&[("attempts", n.into()), ("interval", 0.into())]);
    common::countdown(2);
    let chunks = [chunk("A", "test.countdown").arg("retry", retry(5)), good("B")];
    let report = run(&Fake::new(), &chunks, false);
    let attempt = |n| format!("Attempt {n}: Returned a result of \"False\", with the following comment: \"Not yet.\"");
    assert_eq!(report.chunks[0].comment, format!("{}\n{}\nNow.", attempt(1), attempt(2)));
    assert_eq!((report.chunks[0].run_num, report.chunks[1].run_num), (2, 3));
    let report = run(&Fake::new(), &[fails("A").arg("retry", retry(2))], false);
    assert!(report.chunks[0].comment.ends_with("\nFailure!") && report.chunks[0].result == Some(false));
    let report = run(&Fake::new(), &[changes("A").arg("retry", true)], true);
    assert_eq!(
        report.chunks[0].comment,
        "If we weren't testing, this would be successful with changes  The state would be retried every 30 seconds \
         (with a splay of up to 0 seconds) a maximum of 2 times or until a result of True is returned"
    );
}

#[test]
fn failhard() {
    let hard = [good("A"), fails("B").arg("failhard", true), good("C")];
    check("keyword", &hard, &["A True - Success!", "B False - Failure!"]);
    // Issue 38683: reached through a requisite.
    let through = [good("A").on(Require, &["B"]), fails("B").arg("failhard", true), good("C")];
    check("through a requisite", &through, &["B False - Failure!"]);
    let low = low_state(&[fails("A"), good("B")]);
    let options = RunOptions { failhard: true, ..RunOptions::default() };
    assert_eq!(lines(&run_with(&Fake::new(), &low, options.clone(), &Data::default()).0), ["A False - Failure!"]);
    let test = RunOptions { test: true, ..options };
    assert_eq!(run_with(&Fake::new(), &low, test, &Data::default()).0.chunks.len(), 2, "ignored in test mode");
    let soft = low_state(&[fails("A").arg("failhard", false), good("B")]);
    let options = RunOptions { failhard: true, ..RunOptions::default() };
    assert_eq!(run_with(&Fake::new(), &soft, options, &Data::default()).0.chunks.len(), 2);
}

#[test]
fn parallel() {
    let sleep = |id: &str| chunk(id, "test.sleep").arg("ms", 400).arg("parallel", true);
    let chunks = [sleep("A"), sleep("B"), sleep("C").on(Require, &["A"]), good("D"), good("E").on(Require, &["B"])];
    let begin = std::time::Instant::now();
    let report = run(&Fake::new(), &chunks, false);
    let took = begin.elapsed().as_millis();
    assert!((800..1190).contains(&took), "A beside B, then C: {took} ms");
    assert_eq!(report.chunks.len(), 5);
    assert!(report.ok());
    let flagged: Vec<_> = report.chunks.iter().filter(|r| r.extra.contains("__parallel__")).map(|r| &*r.id).collect();
    assert_eq!(flagged, ["A", "B", "C"]);
    let failing = [fails("A").arg("parallel", true), good("B").on(Require, &["A"])];
    check(
        "a parallel failure is seen",
        &failing,
        &["A False - Failure!", "B False - One or more requisite failed: s.A"],
    );
}

#[test]
fn slots_and_events_and_options() {
    let slot = chunk("A", "file.write").arg("name", "__slot__:salt:test.echo(/f) ~ ile").arg("content", "x");
    let fake = Fake::new();
    assert!(run(&fake, &[slot], false).ok());
    assert_eq!(corpus_core::Look::read(&fake, "/file".as_ref()), Ok(b"x".to_vec()));
    let writes = chunk("A", "file.write").arg("content", "__slot__:salt:test.write(x)").arg("name", "/g");
    let report = run(&fake, &[writes], true);
    assert_eq!(lines(&report), ["A None - not known before the run, depends on changes of what test.write returns"]);

    let data = Data { id: "web".into(), ..Data::default() };
    let low = low_state(&[good("A").arg("fire_event", true), good("B").arg("fire_event", "my/tag"), good("C")]);
    let options = RunOptions { jid: "77".into(), ..RunOptions::default() };
    let (_, events) = run_with(&Fake::new(), &low, options, &data);
    let tags: Vec<_> = events
        .iter()
        .filter_map(|e| if let Event::Fired { tag, .. } = e { Some(tag.as_str()) } else { None })
        .collect();
    assert_eq!(tags, ["salt/state_result/77/web/A", "salt/state_result/77/web/my/tag"]);

    let low = low_state(&[fails("A"), good("B").on(Require, &["A"])]);
    let options = RunOptions { disabled_requisites: vec!["require".into()], ..RunOptions::default() };
    assert_eq!(run_with(&Fake::new(), &low, options, &data).0.chunks[1].result, Some(true));

    let grains = dict(&[("state_runs_disabled", vec!["test.*"].into())]);
    let (report, _) = run_with(&Fake::new(), &low, RunOptions::default(), &Data { grains, ..Data::default() });
    assert_eq!(
        report.chunks[0].comment,
        "The state function \"test.fail_without_changes\" is currently disabled by \"test.*\", to re-enable, run state.enable test.*."
    );
    let opts = dict(&[("global_state_conditions", dict(&[("*", vec!["no"].into())]))]);
    let (report, _) = run_with(&Fake::new(), &low, RunOptions::default(), &Data { opts, ..Data::default() });
    assert_eq!(lines(&report)[0], "A None - Failed to meet global state conditions. State not called.");
}

#[test]
fn aggregates_packages() {
    let pkg = |id: &str| chunk(id, "pkg.installed");
    let chunks = [
        pkg("a"),
        good("repo"),
        pkg("b").arg("version", "1"),
        pkg("c").on(Require, &["repo"]),
        pkg("d").arg("onlyif", "true"),
        pkg("e").arg("fromrepo", "x"),
        pkg("f").arg("pkgs", vec!["g", "h"]),
    ];
    let options = RunOptions { aggregate: true, ..RunOptions::default() };
    let (report, _) = run_with(&host(), &low_state(&chunks), options, &Data::default());
    assert_eq!(report.chunks[0].comment, "['a', {'b': '1'}, 'g', 'h']");
    assert_eq!(report.chunks[3].comment, "c", "what it requires had not run yet");
    let plain = run(&host(), &chunks, false);
    assert_eq!(plain.chunks[0].comment, "a");
}

#[test]
fn dry_runs_see_pending_changes() {
    let chunks = [
        chunk("/d", "file.dir"),
        chunk("/d/f", "file.write").arg("content", "x"),
        good("O").on(Onchanges, &["/d/f"]),
        good("W").on(Watch, &["/d"]),
        good("F").on(Onfail, &["/d"]),
    ];
    let expected = |made: &str, written: &str, fired: &str, result: &str| {
        vec![
            format!("/d {result} + {made}"),
            format!("/d/f {result} + {written}"),
            "O True - Success!".to_owned(),
            format!("W {result} + {fired}"),
            format!("F True - {ONFAIL}"),
        ]
    };
    let fake = Fake::new();
    let dry = run(&fake, &chunks, true);
    assert_eq!(lines(&dry), expected("would be made", "would be updated", "Watch statement would fire.", "None"));
    assert!(fake.performed.lock().expect("no panic").is_empty());
    assert_eq!(lines(&run(&fake, &chunks, false)), expected("Made", "File updated", "Watch statement fired.", "True"));
}

#[test]
fn changes_that_only_the_run_can_tell_count_in_a_dry_run() {
    let chunks = [chunk("go", "cmd.late"), good("O").on(Onchanges, &["go"]), good("L").on(Listen, &["go"])];
    for (test, first, last) in [(true, "go None - would run", "would fire"), (false, "go True + Ran", "fired")] {
        let report = lines(&run(&Fake::new(), &chunks, test));
        assert_eq!(report[..3], [first, "O True - Success!", "L True - Success!"]);
        assert!(report[3].starts_with("listener_L") && report[3].contains(last), "{report:?}");
    }
}

#[test]
fn dry_runs_say_what_they_do_not_know() {
    let missing = |id: &str| chunk(id, "file.write").arg("name", format!("/tree/{id}"));
    let none = "Parent directory /tree not present";
    let dry = |chunks: &[Chunk]| lines(&run(&Fake::new(), chunks, true));
    assert_eq!(dry(&[missing("f")]), [format!("f False - {none}")]);
    let opaque =
        [chunk("clone", "cmd.go"), missing("f"), good("O").on(Onchanges, &["f"]), good("L").on(Listen, &["f"])];
    assert_eq!(
        dry(&opaque),
        [
            "clone None + would run".to_owned(),
            format!("f None - {none}: not known before the run, depends on changes of clone"),
            "O None - not known before the run, depends on changes of f".into(),
            "L True - Success!".into(),
            "listener_L None - not known before the run, depends on changes of f".into(),
        ]
    );
    let required = [changes("pkg"), missing("f").on(Require, &["pkg"])];
    assert_eq!(dry(&required)[1], format!("f None - {none}: not known before the run, depends on changes of pkg"));
    let check = [chunk("clone", "cmd.go"), fails("A")];
    assert_eq!(
        dry(&check)[1],
        "A None - If we weren't testing, this would be a failure!: not known before the run, depends on changes of clone"
    );
}

#[test]
fn long_chains_take_no_time() {
    let id = |n: usize| format!("s{n}");
    for backwards in [false, true] {
        let chain: Vec<_> = (0..1000)
            .map(|n| {
                let target = if backwards { n + 1 } else { n.max(1) - 1 };
                let c = good(&id(n));
                if (backwards && n < 999) || (!backwards && n > 0) { c.on(Require, &[&id(target)]) } else { c }
            })
            .collect();
        let low = low_state(&chain);
        let begin = std::time::Instant::now();
        let (report, _) = run_with(&Fake::new(), &low, RunOptions::default(), &Data::default());
        assert!(report.ok() && report.chunks.len() == 1000);
        assert!(begin.elapsed().as_millis() < 2000, "{:?}", begin.elapsed());
    }
}

#[test]
fn parallel_has_a_limit() {
    let sleep = |n: usize| chunk(&format!("p{n}"), "test.sleep").arg("ms", 60).arg("parallel", true);
    let low = low_state(&(0..6).map(sleep).collect::<Vec<_>>());
    let opts = dict(&[("state_max_parallel", 2.into())]);
    let begin = std::time::Instant::now();
    let (report, _) = run_with(&Fake::new(), &low, RunOptions::default(), &Data { opts, ..Data::default() });
    assert!(report.ok() && begin.elapsed().as_millis() >= 180, "{:?}", begin.elapsed());
}

#[test]
fn an_error_is_not_hidden_by_mod_watch() {
    let host = Fake::new();
    host.add_dir("/a", 0o755);
    host.fail_after(0);
    let report = run(&host, &[changes("W"), chunk("/a/b", "file.dir").on(Watch, &["W"])], false);
    assert_eq!(lines(&report)[1], "/a/b False - perform: no storage space");
}
