//! Rows 59 to 78: what a project is made of, and what is archived of it.

use super::steps;
use crate::common::{FAILS, Place, git, tree, writes};
use std::os::unix::fs::PermissionsExt;

#[test]
fn row_059_a_procedure_of_the_project_replaces_that_step_alone() {
    let place = Place::new("prod");
    place.push(&[(".salt/notify.sls", "mine:\n  test.show_notification:\n    - text: my own words\n")]);
    let report = place.good();
    assert!(report.comment.contains("my own words"), "{}", report.comment);
    assert_eq!(steps(&report), ["archive", "release_sync", "install", "fixperms", "rotate_archives", "notify"]);
}

#[test]
fn row_062_and_063_repositories_and_working_copies_are_made_once() {
    let place = Place::new("prod");
    let layout = place.layout();
    let before = tree(&layout.git);
    for (copy, bare) in [(&layout.project, &layout.project_git), (&layout.pillar, &layout.pillar_git)] {
        assert_eq!(git(copy, &["remote", "get-url", "origin"]), bare.display().to_string());
        assert_eq!(git(copy, &["rev-parse", "HEAD"]), git(bare, &["rev-parse", "HEAD"]));
    }
    let made = place.init(&[]);
    assert!(made.is_empty(), "{made:?}");
    assert_eq!(tree(&layout.git), before);
}

#[test]
fn row_064_a_project_without_recipes_gets_them() {
    let place = Place::new("prod");
    git(place.dir.path(), &["clone", "-q", place.layout().project_git.to_str().unwrap(), "work-project"]);
    std::fs::remove_dir_all(place.path("work-project/.salt")).unwrap();
    place.push(&[("index", "hello")]);
    place.good();
    assert!(place.layout().project.join(".salt/notify.sls").is_file());
}

#[test]
fn row_065_only_what_is_missing_is_written() {
    let place = Place::new("prod");
    let salt = place.layout().project.join(".salt");
    std::fs::write(salt.join("archive.sls"), "# mine\n").unwrap();
    std::fs::remove_file(salt.join("rollback.sls")).unwrap();
    let made = place.init(&[]);
    assert_eq!(made, [salt.join("rollback.sls").display().to_string()]);
    assert_eq!(std::fs::read_to_string(salt.join("archive.sls")).unwrap(), "# mine\n");
}

#[test]
fn row_066_and_105_a_project_starts_from_a_source() {
    let place = Place::empty();
    let source = place.path("source");
    std::fs::create_dir_all(source.join(".salt")).unwrap();
    std::fs::write(source.join(".salt/100_x.sls"), writes("made", "here")).unwrap();
    git(&source, &["init", "-q", "-b", "main"]);
    git(&source, &["add", "-A"]);
    git(&source, &["commit", "-q", "-m", "one"]);
    place.init(&[("default_env", "dev".into()), ("origin", source.display().to_string().into())]);
    place.good();
    assert_eq!(place.read("project/made"), "here\n");
    assert_eq!(git(&place.layout().project_git, &["symbolic-ref", "HEAD"]), "refs/heads/main");
}

#[test]
fn row_068_the_pillar_top_file_names_the_project_once() {
    let place = Place::new("prod");
    place.init(&[]);
    let top = std::fs::read_to_string(place.path("pillar/top.sls")).unwrap();
    assert_eq!(top.matches("makina-projects.foo").count(), 1, "{top}");
    corpus_project::wiring::unlink_pillar(&place.cx(), &place.name).unwrap();
    let top = std::fs::read_to_string(place.path("pillar/top.sls")).unwrap();
    assert!(!top.contains("foo"), "{top}");
    assert!(place.layout().pillar.join("init.sls").is_file());
    place.init(&[]);
    place.good();
}

#[test]
fn row_069_the_recipes_are_linked_and_repaired() {
    let place = Place::new("prod");
    let link = place.path("salt/makina-projects/foo");
    std::fs::remove_file(&link).unwrap();
    place.init(&[]);
    assert_eq!(std::fs::read_link(&link).unwrap(), place.layout().project.join(".salt"));
}

#[test]
fn row_071_a_full_disk_is_refused_before_anything_is_touched() {
    let place = Place::new("prod");
    place.good();
    // A file with a hole takes no room: what it would take is not asked for.
    let file = std::fs::File::create(place.layout().project.join("hole")).unwrap();
    file.set_len(1 << 40).unwrap();
    let (before, archives) = (tree_names(&place), place.archives());
    let mut request = place.request();
    request.kwargs.insert("archive_margin", 1i64 << 50);
    let report = place.deploy_as(&request);
    assert!(!report.ok());
    assert!(report.comment.contains("there is no room to archive"), "{}", report.comment);
    assert_eq!((tree_names(&place), place.archives()), (before, archives));
}

fn tree_names(place: &Place) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(&place.layout().project)
        .unwrap()
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn row_072_a_pre_archive_hook_runs_before_the_copy_and_can_stop_it() {
    let place = Place::new("prod");
    place.push(&[(".salt/pre_archive.sls", &writes("dump", "rows"))]);
    place.good();
    let report = place.good();
    assert_eq!(place.read(&format!("archives/{}/project/dump", report.id)), "rows\n");
    place.push(&[(".salt/pre_archive.sls", FAILS)]);
    place.good();
    let before = tree(&place.layout().project);
    place.push(&[("new", "code")]);
    let report = place.bad();
    assert_eq!(report.failed.unwrap().step, "archive");
    assert_eq!(tree(&place.layout().project), before);
}

#[test]
fn row_073_the_archive_is_the_same_in_content_modes_and_owners() {
    let place = Place::on_disk("prod");
    let project = place.layout().project;
    std::fs::write(project.join("run.sh"), "#!/bin/sh\n").unwrap();
    std::fs::set_permissions(project.join("run.sh"), std::fs::Permissions::from_mode(0o4750)).unwrap();
    std::os::unix::fs::chown(project.join("run.sh"), Some(12), Some(34)).unwrap();
    std::fs::set_permissions(project.join("run.sh"), std::fs::Permissions::from_mode(0o4750)).unwrap();
    std::os::unix::fs::symlink("/etc/hosts", project.join("link")).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, project.join("pipe"), rustix::fs::FileType::Fifo, 0o640.into(), 0).unwrap();
    rustix::fs::setxattr(project.join("run.sh"), "user.mark", b"yes", rustix::fs::XattrFlags::empty()).unwrap();
    // The pipe cannot be read, only looked at.
    let seen = |path: &std::path::Path| {
        std::fs::symlink_metadata(path.join("pipe")).map(|meta| meta.permissions().mode()).unwrap()
    };
    let pipe = seen(&project);
    std::fs::remove_file(project.join("pipe")).unwrap();
    let before = tree(&project);
    rustix::fs::mknodat(rustix::fs::CWD, project.join("pipe"), rustix::fs::FileType::Fifo, 0o640.into(), 0).unwrap();
    let mut request = place.request();
    request.only = vec!["archive".into()];
    let report = place.deploy_as(&request);
    assert!(report.ok(), "{}", report.comment);
    let copy = place.layout().archive(&report.id).join("project");
    assert_eq!(seen(&copy), pipe);
    std::fs::remove_file(copy.join("pipe")).unwrap();
    assert_eq!(tree(&copy), before);
    let mut value = [0; 8];
    let length = rustix::fs::getxattr(copy.join("run.sh"), "user.mark", &mut value).unwrap();
    assert_eq!(&value[..length], b"yes");
}

#[test]
fn row_074_a_post_archive_hook_adds_to_the_archive_of_the_deployment() {
    let place = Place::new("prod");
    let hook = "{% set cfg = opts['ms_project'] %}\ndump:\n  file.managed:\n    - name: {{ cfg.current_archive_dir }}/dump.sql\n    - contents: rows\n";
    place.push(&[(".salt/post_archive.sls", hook)]);
    place.good();
    let report = place.good();
    assert_eq!(place.read(&format!("archives/{}/dump.sql", report.id)), "rows\n");
}

#[test]
fn row_075_rotation_runs_alone_and_after_a_failure() {
    let place = Place::new("prod");
    place.init(&[("keep_archives", 0.into())]);
    for _ in 0..3 {
        place.good();
    }
    assert_eq!(place.archives().len(), 3, "0 keeps all");
    place.init(&[("keep_archives", 2.into())]);
    let mut request = place.request();
    request.only = vec!["rotate_archives".into()];
    assert!(place.deploy_as(&request).ok());
    assert_eq!(place.archives().len(), 2);
    place.push(&[(".salt/200_bad.sls", FAILS)]);
    let report = place.bad();
    assert_eq!(place.archives().len(), 2);
    assert_eq!(place.archives().last(), Some(&report.id));
}

#[test]
fn row_077_the_working_copy_is_at_the_pushed_head() {
    let place = Place::new("prod");
    let first = place.push(&[("a", "1")]);
    let second = place.push(&[("a", "2")]);
    assert_eq!(place.good().serving.as_deref(), Some(&*second));
    let mut request = place.request();
    request.project_rev = Some(first.clone());
    let report = place.deploy_as(&request);
    assert!(report.ok(), "{}", report.comment);
    assert_eq!((report.serving, place.read("project/a")), (Some(first), "1".into()));
    request.project_rev = Some("--upload-pack=evil".into());
    let report = place.deploy_as(&request);
    assert!(report.comment.contains("is no commit id"), "{}", report.comment);
}

#[test]
fn row_078_install_runs_neither_procedures_nor_tasks() {
    let place = Place::new("prod");
    place.push(&[(".salt/task_x.sls", FAILS), (".salt/100_x.sls", &writes("made", "x"))]);
    let report = place.good();
    let ran: Vec<&str> = report.step("install").unwrap().sls.iter().map(|sls| sls.sls.as_str()).collect();
    assert_eq!(ran, ["makina-projects.foo.000_helloworld", "makina-projects.foo.100_x"]);
}
