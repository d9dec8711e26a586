//! Rows 80 to 85 and 98: what a deployment runs, and the way back.

use super::steps;
use crate::common::{FAILS, Place, tree, writes};
use std::os::unix::fs::PermissionsExt;

#[test]
fn row_080_notify_tells_success_and_failure() {
    let place = Place::new("prod");
    let report = place.good();
    assert_eq!(report.steps.last().unwrap().name, "notify");
    assert!(report.comment.trim_end().ends_with("0 failed"), "{}", report.comment);
    assert!(report.comment.matches("of foo succeeded").count() == 2, "{}", report.comment);
    place.push(&[(".salt/200_bad.sls", FAILS)]);
    assert!(place.bad().comment.matches("of foo failed in install").count() == 2);
    let mut request = place.request();
    request.skip = vec!["notify".into()];
    assert!(!steps(&place.deploy_as(&request)).contains(&"notify"));
}

#[test]
fn a_failing_notify_changes_nothing_and_a_failing_fixperms_rolls_back() {
    let place = Place::new("prod");
    place.push(&[(".salt/notify.sls", FAILS)]);
    let report = place.good();
    assert!(report.comment.contains("this is the failing state"));
    let before = tree(&place.layout().project);
    place.push(&[(".salt/fixperms.sls", FAILS), ("a", "new")]);
    let report = place.bad();
    assert!(report.rolled_back);
    assert_eq!(report.failed.unwrap().step, "fixperms");
    assert_eq!(tree(&place.layout().project), before);
}

#[test]
fn row_081_to_083_rollback_keeps_the_failed_tree_and_brings_the_previous_one_back() {
    let place = Place::new("prod");
    place.push(&[("a", "one"), (".salt/100_x.sls", &writes("made", "one"))]);
    assert!(!steps(&place.good()).contains(&"rollback"));
    let before = tree(&place.layout().project);
    place.push(&[("a", "two"), (".salt/100_x.sls", &writes("made", "two")), (".salt/200_bad.sls", FAILS)]);
    let report = place.bad();
    let failed = format!("archives/{}/project.failed", report.id);
    assert_eq!(
        (place.read(&format!("{failed}/a")), place.read(&format!("{failed}/made"))),
        ("two".into(), "two\n".into())
    );
    assert_eq!(tree(&place.layout().project), before);
    // The same commit again fails again, and leaves the same.
    place.bad();
    assert_eq!(tree(&place.layout().project), before);
}

#[test]
fn row_082_recipes_that_change_a_tree_of_the_same_commit_are_rolled_back_too() {
    let place = Place::new("prod");
    let recipe =
        format!("{{% if salt['file.file_exists']('{}') %}}\n{FAILS}{{% endif %}}\n", place.path("fail").display());
    place.push(&[(".salt/100_x.sls", &writes("made", "x")), (".salt/200_y.sls", &recipe)]);
    place.good();
    let before = tree(&place.layout().project);
    std::fs::write(place.path("fail"), "").unwrap();
    let mut request = place.request();
    request.kwargs.insert("x", "y");
    let project = place.layout().project;
    std::fs::remove_file(project.join("made")).unwrap();
    let without = tree(&project);
    let report = place.deploy_as(&request);
    assert!(report.rolled_back, "{}", report.comment);
    assert_eq!(tree(&project), without);
    assert_ne!(without, before);
}

#[test]
fn row_084_own_rollback_recipes_run_after_the_tree_is_back() {
    let place = Place::new("prod");
    let hook = "{% set cfg = opts['ms_project'] %}\nreload:\n  file.managed:\n    - name: {{ cfg.data_root }}/reloaded\n    - contents: {{ salt['cp.get_file_str'](cfg.project_root ~ '/a') or salt['file.read'](cfg.project_root ~ '/a') }} {{ cfg.rollback }}\n";
    place.push(&[("a", "one"), (".salt/rollback.sls", hook)]);
    place.good();
    place.push(&[("a", "two"), (".salt/200_bad.sls", FAILS)]);
    place.bad();
    assert_eq!(place.read("data/reloaded"), "one True\n");
}

#[test]
fn host_files_of_a_failed_deployment_are_put_back() {
    let place = Place::new("prod");
    let (etc, new) = (place.path("service.conf"), place.path("new/dir/file"));
    std::fs::write(&etc, "old\n").unwrap();
    std::fs::set_permissions(&etc, std::fs::Permissions::from_mode(0o604)).unwrap();
    let recipe = format!(
        "conf:\n  file.managed:\n    - name: {}\n    - contents: new\n    - mode: '0600'\nnew:\n  file.managed:\n    - name: {}\n    - contents: x\n    - makedirs: True\nlink:\n  file.symlink:\n    - name: {}\n    - target: /nowhere\n",
        etc.display(),
        new.display(),
        place.path("link").display()
    );
    place.push(&[(".salt/100_x.sls", &recipe), (".salt/200_bad.sls", FAILS)]);
    let report = place.bad();
    assert!(report.comment.contains("put back on the host"), "{}", report.comment);
    assert_eq!(std::fs::read_to_string(&etc).unwrap(), "old\n");
    assert_eq!(std::fs::metadata(&etc).unwrap().permissions().mode() & 0o777, 0o604);
    assert!(!place.path("new").exists() && std::fs::symlink_metadata(place.path("link")).is_err());
    place.push(&[(".salt/PILLAR.sample", "makina-projects.x:\n  rollback_host: false\n")]);
    place.bad();
    assert_eq!(std::fs::read_to_string(&etc).unwrap(), "new\n");
}

#[test]
fn row_085_the_whole_order_is_told() {
    let place = Place::new("prod");
    place.push(&[(".salt/200_bad.sls", FAILS)]);
    let report = place.bad();
    assert_eq!(
        steps(&report),
        ["archive", "release_sync", "install", "rollback", "fixperms", "rotate_archives", "notify"]
    );
    place.push(&[(".salt/200_bad.sls", ""), (".salt/PILLAR.sample", "a: [\n")]);
    let report = place.bad();
    assert_eq!(steps(&report), ["archive", "release_sync", "fixperms", "rotate_archives", "notify"]);
    assert!(report.comment.contains("PILLAR.sample:"), "{}", report.comment);
}

#[test]
fn row_098_only_some_steps_run_and_a_failure_of_them_rolls_nothing_back() {
    let place = Place::new("prod");
    place.push(&[("a", "one")]);
    place.good();
    place.push(&[("a", "two")]);
    let mut request = place.request();
    request.only = vec!["install".into(), " fixperms".into()];
    let report = place.deploy_as(&request);
    assert_eq!((report.ok(), steps(&report)), (true, vec!["install", "fixperms"]));
    assert_eq!(place.read("project/a"), "one");
    std::fs::write(place.layout().project.join(".salt/200_bad.sls"), FAILS).unwrap();
    let report = place.deploy_as(&request);
    assert!(!report.ok() && !report.rolled_back);
    request.only = vec!["bogus".into()];
    assert!(place.deploy_as(&request).comment.contains("there is no step `bogus`"));
    request.only = vec!["install".into()];
    request.only_steps = vec!["nothing".into()];
    assert!(place.deploy_as(&request).comment.contains("there is no recipe `nothing`"));
    request.only_steps = vec!["000_helloworld.sls".into()];
    let report = place.deploy_as(&request);
    assert!(report.ok(), "{}", report.comment);
}

#[test]
fn one_deployment_at_a_time_and_a_dead_owner_does_not_matter() {
    let place = Place::new("prod");
    let lock = corpus_project::lock::Lock::take(&place.layout(), "somebody else", "deploy", "x").unwrap();
    let report = place.bad();
    let owner = report.busy.clone().unwrap();
    assert_eq!((owner.who.as_str(), owner.pid, report.code()), ("somebody else", std::process::id(), 75));
    assert!(report.comment.contains("somebody else"), "{}", report.comment);
    drop(lock);
    place.good();
}

#[test]
fn a_plan_tells_and_moves_nothing() {
    let place = Place::new("prod");
    place.push(&[("a", "one"), (".salt/100_x.sls", &writes("made", "one"))]);
    place.good();
    let before = (tree(&place.layout().project), place.archives());
    place.push(&[("a", "two"), (".salt/100_x.sls", &writes("made", "two"))]);
    let mut request = place.request();
    request.plan = true;
    let report = place.deploy_as(&request);
    assert!(report.ok(), "{}", report.comment);
    assert!(report.comment.contains("a         | 2 +-") || report.comment.contains(" a "), "{}", report.comment);
    assert!(report.comment.contains("~ write-made"), "{}", report.comment);
    assert_eq!((tree(&place.layout().project), place.archives()), before);
    place.push(&[(".salt/200_bad.sls", FAILS)]);
    assert!(!place.deploy_as(&request).ok());
    assert_eq!((tree(&place.layout().project), place.archives()), before);
}

#[test]
fn a_rollback_by_hand_takes_the_newest_archive_or_the_one_named_in_every_environment() {
    let place = Place::new("dev");
    let ids: Vec<String> = ["one", "two", "three"]
        .iter()
        .map(|text| {
            place.push(&[("a", text)]);
            place.good().id
        })
        .collect();
    let back = |to: Option<&str>| {
        let report = corpus_project::rollback::rollback(
            &place.cx(),
            &place.name,
            to,
            "tester",
            &corpus_core::Map::new(),
            &mut corpus_project::Silent,
        );
        (report.ok(), report.comment)
    };
    let (ok, said) = back(None);
    assert!(ok, "{said}");
    assert_eq!(place.read("project/a"), "two");
    // What served is the newest archive now: back and forth.
    assert!(back(None).0);
    assert_eq!(place.read("project/a"), "three");
    let (ok, said) = back(Some(&ids[1]));
    assert!(ok, "{said}");
    assert_eq!(place.read("project/a"), "one");
    let (ok, said) = back(Some("2000-01-01"));
    assert!(!ok && said.contains("has no archived release"), "{said}");
    assert_eq!(place.read("project/a"), "one");
    place.good();
    assert_eq!(place.read("project/a"), "three");
}

#[test]
fn tasks_run_by_name_and_alone() {
    let place = Place::new("prod");
    place.push(&[(".salt/task_b.sls", &writes("b", "b")), (".salt/task_a.sls", &writes("a", "a"))]);
    place.good();
    let run = |tasks: &[&str]| {
        let tasks: Vec<String> = tasks.iter().map(|task| (*task).to_owned()).collect();
        let none = corpus_core::Map::new();
        corpus_project::run_task(&place.cx(), &place.name, &tasks, "tester", &none, &mut corpus_project::Silent)
    };
    let report = run(&["task_b.sls", "task_a"]);
    assert!(report.ok(), "{}", report.comment);
    let ran: Vec<&str> = report.steps[0].sls.iter().map(|sls| sls.sls.as_str()).collect();
    assert_eq!(ran, ["makina-projects.foo.task_a", "makina-projects.foo.task_b"]);
    assert!(run(&["task_c"]).comment.contains("there is no recipe `task_c`"));
    assert!(!run(&[]).ok());
    assert!(!run(&["000_helloworld"]).ok());
}
