//! Procedures and the project API: rows 58 to 105 of the list of capabilities.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use common::{FAILS, Place, tree, writes};
use corpus_core::Value;
use corpus_project::DeployReport;
use std::os::unix::fs::PermissionsExt;

fn steps(report: &DeployReport) -> Vec<&str> {
    report.steps.iter().map(|step| step.name.as_str()).collect()
}

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
        assert_eq!(common::git(copy, &["remote", "get-url", "origin"]), bare.display().to_string());
        assert_eq!(common::git(copy, &["rev-parse", "HEAD"]), common::git(bare, &["rev-parse", "HEAD"]));
    }
    let made = place.init(&[]);
    assert!(made.is_empty(), "{made:?}");
    assert_eq!(tree(&layout.git), before);
}

#[test]
fn row_064_a_project_without_recipes_gets_them() {
    let place = Place::new("prod");
    common::git(place.dir.path(), &["clone", "-q", place.layout().project_git.to_str().unwrap(), "work-project"]);
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
    common::git(&source, &["init", "-q", "-b", "main"]);
    common::git(&source, &["add", "-A"]);
    common::git(&source, &["commit", "-q", "-m", "one"]);
    place.init(&[("default_env", "dev".into()), ("origin", source.display().to_string().into())]);
    place.good();
    assert_eq!(place.read("project/made"), "here\n");
    assert_eq!(common::git(&place.layout().project_git, &["symbolic-ref", "HEAD"]), "refs/heads/main");
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
fn row_088_a_value_changed_in_one_recipe_is_seen_by_the_next() {
    let place = Place::new("prod");
    let first = "{% do cfg.data.update({'color': 'red'}) %}\n{% do opts['ms_project'].data.setdefault('list', []).append(1) %}\nx:\n  test.nop\n";
    let second = "{% do opts.ms_project.data.list.append(2) %}\nx:\n  file.managed:\n    - name: {{ cfg.project_root }}/seen\n    - contents: {{ opts['ms_project'].data.color }} {{ cfg.data.list | join(',') }}\n";
    place.push(&[(".salt/100_a.sls", first), (".salt/200_b.sls", second)]);
    place.good();
    assert_eq!(place.read("project/seen"), "red 1,2\n");
}

#[test]
fn row_089_the_layers_lie_in_the_order_of_the_rulings() {
    let place = Place::new("prod");
    let sample = "makina-projects.projectname:\n  data: {a: sample, b: sample, c: sample, d: sample, e: sample, l: [1, 2], m: {x: 1, y: 1}}\n  env_defaults:\n    prod: {b: env, c: env, d: env, e: env}\n  os_defaults:\n    Debian: {c: os, d: os, e: os}\n    Ubuntu: {c: os, d: os, e: os}\n";
    place.push(&[(".salt/PILLAR.sample", sample)]);
    place.push_to("pillar", &[("init.sls", "makina-projects.foo:\n  data: {d: pillar, e: pillar, l: [3], m: {y: 2}}\nmakina-projects.foo.data.dotted: yes-too\n")]);
    place.good();
    place.init(&[("e", "saved".into())]);
    let cfg = place.cfg_with(&[("f", "call".into())]);
    let data = |key: &str| cfg.get("data").and_then(|data| data.get(key)).cloned().unwrap();
    for (key, value) in [
        ("a", "sample"),
        ("b", "env"),
        ("c", "os"),
        ("d", "pillar"),
        ("e", "saved"),
        ("f", "call"),
        ("dotted", "yes-too"),
    ] {
        assert_eq!(data(key), value.into(), "{key}");
    }
    assert_eq!(data("l"), Value::list(vec![3.into()]));
    assert_eq!((data("m").get("x").cloned(), data("m").get("y").cloned()), (Some(1.into()), Some(2.into())));
    assert_eq!(place.cfg_with(&[("e", "call".into())]).get("data").unwrap().get("e"), Some(&"call".into()));
}

#[test]
fn row_091_the_configuration_is_saved_and_an_old_project_keeps_its_version() {
    let place = Place::new("prod");
    let saved = place.layout().saved();
    assert_eq!(std::fs::metadata(&saved).unwrap().permissions().mode() & 0o777, 0o600);
    let first = std::fs::read_to_string(&saved).unwrap();
    assert!(first.contains("api_version: '2'") && first.contains("project_root:"), "{first}");
    place.push(&[(".salt/PILLAR.sample", "makina-projects.x:\n  keep_archives: 7\n")]);
    place.good();
    assert!(std::fs::read_to_string(&saved).unwrap().contains("keep_archives: 7"));
    assert_eq!(place.cfg().str("api_version"), Some("2"));
}

#[test]
fn row_092_an_unknown_version_names_those_that_there_are() {
    let place = Place::new("prod");
    let kwargs = [("api_version", Value::from("9"))].into_iter().collect();
    let error = corpus_project::configuration(&place.cx(), &place.name, &kwargs).expect_err("no such version");
    assert!(error.text().contains("there are 1 and 2"), "{}", error.text());
    let mut request = place.request();
    request.kwargs.insert("api_version", "1");
    assert!(place.deploy_as(&request).comment.contains("version 1 of the project API has no `deploy`"));
}

#[test]
fn row_093_arguments_of_init_override_defaults_and_last() {
    let place = Place::empty();
    place.init(&[("default_env", "staging".into()), ("keep_archives", 9.into()), ("domain", "x.org".into())]);
    let cfg = place.cfg();
    assert_eq!((cfg.str("default_env"), cfg.get("keep_archives")), (Some("staging"), Some(&9.into())));
    assert_eq!(cfg.get("data").and_then(|data| data.get("domain")), Some(&"x.org".into()));
}

#[test]
fn row_095_the_configuration_has_every_key_of_the_original() {
    let place = Place::new("prod");
    let cfg = place.cfg();
    for key in [
        "name",
        "api_version",
        "minion_id",
        "fqdn",
        "remote_host",
        "default_env",
        "installer",
        "installer_path",
        "keep_archives",
        "user",
        "groups",
        "group",
        "no_user",
        "no_default_includes",
        "remote_less",
        "only",
        "only_steps",
        "skip_deploy",
        "skip_archive",
        "skip_release_sync",
        "skip_install",
        "skip_rotate_archives",
        "skip_rollback",
        "skip_fixperms",
        "skip_notify",
        "raw_console_return",
        "data",
        "defaults",
        "env_defaults",
        "os_defaults",
        "sls_default_pillar",
        "project_dir",
        "project_root",
        "salt_root",
        "pillar_root",
        "data_root",
        "archives_root",
        "git_root",
        "project_git_root",
        "pillar_git_root",
        "git_deploy_hook",
        "deploy_marker",
        "remote_projects_dir",
        "remote_project_dir",
        "remote_pillar_dir",
        "wired_salt_root",
        "wired_pillar_root",
        "chrono",
        "current_archive_dir",
        "rollback",
        "deploy_summary",
        "deploy_ret",
        "this_host",
        "this_localhost",
        "this_port",
        "push_pillar_url",
        "push_salt_url",
        "cfg_is_prepared",
        "cfg_is_loaded",
        "force_reload",
    ] {
        assert!(cfg.contains(key), "{key}");
    }
    let root = place.path("projects/foo").display().to_string();
    assert_eq!(cfg.str("project_git_root"), Some(format!("{root}/git/project.git").as_str()));
    let id = cfg.str("chrono").unwrap();
    assert_eq!(cfg.str("current_archive_dir"), Some(format!("{root}/archives/{id}").as_str()));
    assert!(cfg.str("push_salt_url").unwrap().ends_with("/git/project.git"));
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
fn row_099_recipes_print_values_of_the_configuration() {
    let place = Place::new("prod");
    place.push(&[(".salt/100_x.sls", "x:\n  test.show_notification:\n    - text: '{{ cfg.name }} {{ opts.ms_project.data_root }} {{ salt['mc_project.get_configuration'](cfg.name).user }}'\n")]);
    let report = place.good();
    let wanted = format!("foo {} foo-user", place.layout().data.display());
    assert!(report.comment.contains(&wanted), "{}", report.comment);
}

#[test]
fn row_101_an_unknown_installer_is_refused_with_the_list() {
    let place = Place::new("prod");
    assert_eq!(place.cfg().str("installer"), Some("generic"));
    let kwargs = [("installer", Value::from("tilestreem"))].into_iter().collect();
    let error = corpus_project::configuration(&place.cx(), &place.name, &kwargs).expect_err("no such installer");
    assert!(error.text().contains("tilestream"), "{}", error.text());
    let kwargs = [("installer", Value::from("../../etc"))].into_iter().collect();
    assert!(corpus_project::configuration(&place.cx(), &place.name, &kwargs).is_err());
}

#[test]
fn row_102_a_generated_procedure_includes_the_installers() {
    let place = Place::new("prod");
    assert!(place.read("project/.salt/notify.sls").contains("makina-states.projects.2.generic.notify"));
    let own = place.path("salt/makina-states/projects/2/mine");
    std::fs::create_dir_all(&own).unwrap();
    for procedure in ["archive", "fixperms", "notify", "rollback"] {
        let text = format!("mine-{procedure}:\n  test.show_notification:\n    - text: {procedure} of mine\n");
        std::fs::write(own.join(format!("{procedure}.sls")), text).unwrap();
    }
    place.init(&[("installer", "mine".into())]);
    let report = place.good();
    assert!(
        report.comment.contains("notify of mine") && report.comment.contains("archive of mine"),
        "{}",
        report.comment
    );
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

#[test]
fn row_103_every_installer_makes_a_project_whose_recipes_compile() {
    for installer in ["generic", "tilestream", "static", "python", "php", "nodejs", "docker-compose"] {
        let place = Place::empty();
        place.init(&[("default_env", "prod".into()), ("installer", installer.into())]);
        for procedure in ["archive", "fixperms", "notify", "rollback"] {
            assert!(place.layout().project.join(format!(".salt/{procedure}.sls")).is_file(), "{installer}");
        }
        // A dry run: the packages of all of these are not for every machine that runs tests.
        let mut request = place.request();
        request.plan = true;
        let report = place.deploy_as(&request);
        let compiled = !report.comment.contains("error:") && !report.comment.contains("Rendering SLS");
        assert!(compiled && !report.steps[0].sls.is_empty(), "{installer}: {}", report.comment);
        for sls in &report.steps[0].sls {
            assert!(sls.states > 0, "{installer}: {}", report.comment);
        }
    }
}

#[test]
fn row_090_macros_in_layers_declare_states_in_order_and_call_modules() {
    let place = Place::new("prod");
    let lower = "{% macro line(cfg, n) %}\nline-{{ n }}:\n  cmd.run:\n    - name: echo {{ n }} {{ salt['mc_utils.uniquify']([n, n]) | length }} >> {{ cfg.data_root }}/log\n{% endmacro %}\n";
    let upper = "{% import 'makina-projects/foo/lower.jinja' as lower with context %}\n{% macro lines(cfg) %}\n{% do cfg.data.update({'seen': 3}) %}\n{% for n in range(cfg.data.seen) %}{{ lower.line(cfg, n) }}{% endfor %}\n{% endmacro %}\n";
    let recipe = "{% import 'makina-projects/foo/upper.jinja' as upper with context %}\n{{ upper.lines(cfg) }}\n";
    let next = "seen:\n  cmd.run:\n    - name: echo seen {{ cfg.data.seen }} >> {{ cfg.data_root }}/log\n";
    place.push(&[
        (".salt/lower.jinja", lower),
        (".salt/upper.jinja", upper),
        (".salt/100_x.sls", recipe),
        (".salt/200_y.sls", next),
    ]);
    place.good();
    assert_eq!(place.read("data/log"), "0 1\n1 1\n2 1\nseen 3\n");
}
