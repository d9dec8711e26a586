//! The environments, repositories and directories of projects: rows 37 to 57 of the list of capabilities.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use common::{FAILS, Place, git, tree, writes};
use corpus_core::{Map, Value};

fn data(cfg: &Map, key: &str) -> Option<Value> {
    cfg.get("data").and_then(|data| data.get(key)).cloned()
}

#[test]
fn row_037_three_environments_have_values_of_their_own() {
    let place = Place::new("prod");
    let sample = "makina-projects.projectname:\n  data: {domain: www, keep: 1}\n  env_defaults:\n    dev:\n      domain: localhost\n    staging:\n      domain: staging.{name}\n";
    place.push(&[(".salt/PILLAR.sample", sample)]);
    place.good();
    for (env, domain) in [("prod", "www"), ("dev", "localhost"), ("staging", "staging.foo")] {
        let cfg = place.cfg_with(&[("default_env", env.into())]);
        assert_eq!((cfg.str("default_env"), data(&cfg, "domain")), (Some(env), Some(domain.into())));
        assert_eq!(data(&cfg, "keep"), Some(1.into()));
    }
}

#[test]
fn row_038_a_failed_deployment_is_rolled_back_and_names_the_failing_step() {
    let place = Place::new("prod");
    place.push(&[("app", "one"), (".salt/100_app.sls", &writes("made", "one"))]);
    place.good();
    let before = tree(&place.layout().project);
    let bad = place.push(&[("app", "two"), (".salt/200_bad.sls", FAILS)]);
    let report = place.bad();
    let failed = report.failed.clone().unwrap();
    assert_eq!((failed.step.as_str(), failed.id.as_deref()), ("install", Some("broken")));
    assert_eq!((failed.file.as_deref(), failed.line), (Some("makina-projects/foo/200_bad.sls"), Some(2)));
    assert!(report.comment.contains("this is the failing state"), "{}", report.comment);
    assert!(report.summary.contains("200_bad"), "{}", report.summary);
    assert!(report.rolled_back);
    assert_eq!(tree(&place.layout().project), before);
    assert_ne!(report.serving, Some(bad));
    place.push(&[(".salt/200_bad.sls", &writes("repaired", "now"))]);
    place.good();
    assert_eq!((place.read("project/app"), place.read("project/repaired")), ("two".into(), "now\n".into()));
}

#[test]
fn row_039_the_newest_archives_are_kept() {
    let place = Place::new("staging");
    place.init(&[("keep_archives", 2.into())]);
    let ids: Vec<String> = (0..4)
        .map(|n| {
            place.push(&[("n", &n.to_string())]);
            place.good().id
        })
        .collect();
    assert_eq!(place.archives(), ids[2..]);
    // The archive of a deployment is what ran before it.
    assert_eq!(place.read(&format!("archives/{}/project/n", ids[3])), "2");
}

#[test]
fn row_040_edits_of_a_dev_tree_stay() {
    let place = Place::new("dev");
    place.push(&[("a", "one"), ("b", "one")]);
    place.good();
    std::fs::write(place.layout().project.join("a"), "edited").unwrap();
    place.push(&[("b", "two"), (".salt/900_bad.sls", FAILS)]);
    let report = place.bad();
    assert!(!report.rolled_back);
    assert!(report.comment.contains("local edits are kept: a"), "{}", report.comment);
    assert_eq!(report.failed.clone().unwrap().step, "install", "{}", report.comment);
    assert_eq!((place.read("project/a"), place.read("project/b")), ("edited".into(), "two".into()));
    place.push(&[("a", "pushed"), ("b", "three"), (".salt/900_bad.sls", "")]);
    let report = place.bad();
    assert!(report.comment.contains("would overwrite local edits in a"), "{}", report.comment);
    assert_eq!(place.read("project/a"), "edited");
    let mut request = place.request();
    request.force = true;
    assert!(place.deploy_as(&request).ok());
    assert_eq!(place.read("project/a"), "pushed");
    std::fs::write(place.layout().project.join("a"), "again").unwrap();
    let mut request = place.request();
    request.only = vec!["install".into()];
    assert!(place.deploy_as(&request).ok());
    assert_eq!(place.read("project/a"), "again");
}

#[test]
fn row_041_staging_overwrites_local_edits_and_keeps_them_in_the_archive() {
    let place = Place::new("staging");
    place.push(&[("a", "one")]);
    place.good();
    std::fs::write(place.layout().project.join("a"), "edited").unwrap();
    let report = place.good();
    assert_eq!(place.read("project/a"), "one");
    assert_eq!(place.read(&format!("archives/{}/project/a", report.id)), "edited");
    let names: Vec<&str> = report.steps.iter().map(|step| step.name.as_str()).collect();
    assert_eq!(names, ["archive", "release_sync", "install", "fixperms", "rotate_archives", "notify"]);
}

#[test]
fn row_043_both_repositories_take_a_push() {
    let place = Place::new("prod");
    place.push(&[("x", "y")]);
    place.push_to("pillar", &[("extra.sls", "a: 1\n")]);
    place.good();
    assert_eq!((place.read("project/x"), place.read("pillar/extra.sls")), ("y".into(), "a: 1\n".into()));
}

#[test]
fn row_044_a_project_has_all_procedures_and_gets_missing_ones_back() {
    let place = Place::new("prod");
    let salt = place.layout().project.join(".salt");
    for file in ["notify.sls", "PILLAR.sample", "rollback.sls", "archive.sls", "fixperms.sls"] {
        assert!(salt.join(file).is_file(), "{file}");
        std::fs::remove_file(salt.join(file)).unwrap();
        place.init(&[]);
        assert!(salt.join(file).is_file(), "{file} again");
    }
}

#[test]
fn row_045_recipes_run_in_the_order_of_their_names() {
    let place = Place::new("prod");
    let recipe = |n: &str| format!("r{n}:\n  cmd.run:\n    - name: echo {n} >> {}\n", place.path("log").display());
    place.push(&[(".salt/100_c.sls", &recipe("100")), (".salt/010_b.sls", &recipe("010"))]);
    place.push(&[(".salt/000_a.sls", &recipe("000"))]);
    place.good();
    assert_eq!(std::fs::read_to_string(place.path("log")).unwrap(), "000\n010\n100\n");
}

#[test]
fn row_046_the_pillar_of_a_push_is_seen_by_the_recipes_of_the_same_deployment() {
    let place = Place::new("prod");
    let recipe = "{% set cfg = opts['ms_project'] %}\nx:\n  file.managed:\n    - name: {{ cfg.project_root }}/seen\n    - contents: {{ cfg.data.secret }} {{ pillar['makina-projects.foo'].data.secret }}\n";
    place.push(&[(".salt/100_x.sls", recipe)]);
    place.push_to("pillar", &[("init.sls", "makina-projects.foo:\n  data: {secret: tower}\n")]);
    place.good();
    assert_eq!(place.read("project/seen"), "tower tower\n");
}

#[test]
fn row_047_rewritten_history_deploys() {
    let place = Place::new("prod");
    place.push(&[("a", "one")]);
    place.good();
    let work = place.path("work-project");
    git(&work, &["checkout", "-q", "--orphan", "new"]);
    git(&work, &["rm", "-q", "-r", "-f", "."]);
    std::fs::create_dir_all(work.join(".salt")).unwrap();
    std::fs::write(work.join(".salt/100_x.sls"), writes("b", "two")).unwrap();
    git(&work, &["add", "-A"]);
    git(&work, &["commit", "-q", "-m", "anew"]);
    git(&work, &["push", "-q", "-f", "origin", "HEAD:master"]);
    place.good();
    assert_eq!((place.read("project/a"), place.read("project/b")), (String::new(), "two\n".into()));
}

#[test]
fn row_048_and_050_data_outlives_deployments_rollbacks_and_initialisations() {
    let place = Place::new("prod");
    let file = place.layout().data.join("db");
    std::fs::write(&file, "rows").unwrap();
    place.push(&[("a", "one")]);
    place.good();
    place.push(&[(".salt/200_bad.sls", FAILS)]);
    place.bad();
    place.init(&[]);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "rows");
}

#[test]
fn row_051_and_067_the_pillar_is_linked_and_repaired() {
    let place = Place::new("prod");
    let link = place.path("pillar/makina-projects/foo");
    assert_eq!(std::fs::read_link(&link).unwrap(), place.layout().pillar);
    std::fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink("/nowhere", &link).unwrap();
    place.init(&[]);
    assert_eq!(std::fs::read_link(&link).unwrap(), place.layout().pillar);
}

#[test]
fn row_052_recipes_of_an_environment_are_preferred() {
    let place = Place::new("prod");
    place.push(&[(".salt/prod/100_x.sls", &writes("from", "prod")), (".salt/100_x.sls", &writes("from", "all"))]);
    place.good();
    assert_eq!(place.read("project/from"), "prod\n");
    let link = place.path("salt/makina-projects/foo");
    assert_eq!(std::fs::read_link(link).unwrap(), place.layout().project.join(".salt/prod"));
}

#[test]
fn row_057_a_project_deploys_from_its_own_recipes_alone() {
    let place = Place::new("prod");
    place.push(&[(".salt/100_x.sls", &writes("made", "alone"))]);
    place.good();
    assert_eq!(place.read("project/made"), "alone\n");
}
