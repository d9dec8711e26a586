//! A deployment that is ended before its time: by its limit, or by somebody.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use common::{Heard, Place, writes};
use corpus_core::{Call, Value};
use corpus_project::{Cancelled, Note, Progress, deploy};
use std::time::{Duration, Instant};

/// A recipe that would take for ever, and another that must not run.
fn endless(place: &Place, text: &str) {
    let sleeps = format!(
        "long:\n  cmd.run:\n    - name: touch {}; sleep 3{} & wait\n",
        place.path("began").display(),
        std::process::id()
    );
    place.push(&[
        (".salt/100_x.sls", &writes("file", text)),
        (".salt/200_long.sls", &sleeps),
        (".salt/300_y.sls", &writes("other", "y")),
    ]);
}

fn nothing_is_left(place: &Place) {
    let text = std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    let ours = format!("sleep\03{}\0", std::process::id());
    assert_eq!(text.filter(|line| *line == ours.as_bytes()).count(), 0, "the program runs on");
    assert_eq!(place.read("project/file"), "one\n");
    assert!(!place.layout().project.join("other").exists());
    assert!(!place.layout().corpus.join("cancel").exists());
}

#[test]
fn a_limit_ends_a_deployment_and_the_previous_release_is_back() {
    let place = Place::new("prod");
    place.push(&[(".salt/100_x.sls", &writes("file", "one"))]);
    place.good();
    endless(&place, "two");
    let mut request = place.request();
    request.kwargs.insert("deploy_timeout", 2);
    let began = Instant::now();
    let report = place.deploy_as(&request);
    assert!(began.elapsed() < Duration::from_secs(12), "{:?}", began.elapsed());
    assert!(!report.result && report.rolled_back, "{}", report.comment);
    let failed = report.failed.unwrap();
    assert!(failed.comment.contains("deploy_timeout allows, 2 seconds") && failed.step == "install", "{failed:?}");
    assert!(failed.sls.is_some_and(|sls| sls.ends_with(".200_long")));
    assert!(report.steps.iter().any(|step| step.name == "notify" && step.result));
    nothing_is_left(&place);
}

/// Hears a step begin, and has the deployment cancelled then.
struct At(&'static str, Cancelled);

impl Progress for At {
    fn note(&mut self, note: Note<'_>) {
        if matches!(note, Note::Step(step) if step == self.0) {
            self.1.by("ann");
            // It is heard by the time that the step has something to do.
            std::thread::sleep(Duration::from_millis(250));
        }
    }
}

#[test]
fn the_copy_of_the_archive_and_git_are_interrupted_and_leave_nothing() {
    let place = Place::new("prod");
    place.push(&[(".salt/100_x.sls", &writes("file", "one"))]);
    place.good();
    place.push(&[(".salt/100_x.sls", &writes("file", "two"))]);
    let names = || {
        let mut all: Vec<_> = walk(&place.layout().dir);
        all.retain(|path| !path.to_string_lossy().contains("/.corpus/deployments/"));
        all.sort();
        all
    };
    let (before, archives) = (names(), std::fs::read_dir(place.layout().archives).unwrap().count());
    for step in ["archive", "release_sync"] {
        let request = place.request();
        let report = deploy(&place.cx(), &request, &mut At(step, request.cancel.clone()));
        assert!(!report.result && !report.rolled_back, "{}", report.comment);
        let failed = report.failed.unwrap();
        assert_eq!((failed.step.as_str(), failed.comment.as_str()), (step, "cancelled by ann"));
        assert!(report.summary.contains("nothing was moved"), "{}", report.summary);
        assert_eq!(names(), before, "{step}");
    }
    assert_eq!(
        (place.read("project/file").as_str(), archives),
        ("one\n", std::fs::read_dir(place.layout().archives).unwrap().count())
    );
    // Neither has left anything that stands in the way.
    place.good();
    assert_eq!(place.read("project/file"), "two\n");
}

fn walk(dir: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(dir).unwrap().flatten().map(|entry| entry.path());
    entries
        .flat_map(|path| {
            if path.is_dir() && !path.is_symlink() { [vec![path.clone()], walk(&path)].concat() } else { vec![path] }
        })
        .collect()
}

#[test]
fn a_deployment_is_cancelled_from_elsewhere() {
    let place = Place::new("prod");
    place.push(&[(".salt/100_x.sls", &writes("file", "one"))]);
    place.good();
    let facts = place.cx().facts().unwrap();
    let cancel =
        corpus_project::FUNCTIONS.iter().copied().flatten().find(|def| def.name == "mc_project.cancel").unwrap();
    let call = Call::new("mc_project.cancel", vec!["foo".into()]);
    let idle = (cancel.run)(&call, &facts.session, &facts.data).unwrap_err();
    assert!(idle.to_string().contains("no deployment of foo is under way"), "{idle}");
    endless(&place, "two");
    let (report, answer) = std::thread::scope(|scope| {
        let deployment = scope.spawn(|| deploy(&place.cx(), &place.request(), &mut Heard::default()));
        while !place.path("began").exists() {
            assert!(!deployment.is_finished(), "it did not begin");
            std::thread::sleep(Duration::from_millis(20));
        }
        let answer = (cancel.run)(&call, &facts.session, &facts.data).unwrap();
        (deployment.join().unwrap(), answer)
    });
    assert_eq!(answer.get("result"), Some(&Value::Bool(true)), "{answer:?}");
    assert!(report.rolled_back && report.summary.contains("the previous release serves"), "{}", report.comment);
    assert!(report.failed.unwrap().comment.starts_with("cancelled by "));
    nothing_is_left(&place);
    place.push(&[(".salt/200_long.sls", "")]);
    place.good();
    assert_eq!(place.read("project/file"), "two\n");
}
