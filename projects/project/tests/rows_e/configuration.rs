//! Rows 88 to 103: the configuration, versions and installers.

use crate::common::Place;
use corpus_core::Value;
use std::os::unix::fs::PermissionsExt;

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
