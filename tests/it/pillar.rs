//! Pillar sources from the command line: merge order, failures that are named, explanations.

use crate::support::{Said, Tree};

fn with_sources(setting: &str) -> Tree {
    let tree = Tree::new();
    let minion = std::fs::read_to_string(tree.path().join("etc/minion")).expect("a configuration");
    tree.file("etc/minion", &format!("{minion}{setting}"));
    tree.file("pillar/top.sls", "base:\n  '*': [a]\n");
    tree.file("pillar/a.sls", "role: web\nports:\n  http: 80\n  https: 443\n");
    tree
}

#[test]
fn sources_are_merged_and_explained() {
    let tree =
        with_sources("ext_pillar:\n  - cmd_yaml: 'echo \"ports: {http: 8080}\"'\n  - stack: $TREE/stack/stack.cfg\n");
    tree.file("stack/stack.cfg", "{{ pillar.role }}.yml\n");
    tree.file("stack/web.yml", "{% set up = true %}\nports:\n  admin: {{ 9000 + 1 }}\nup: {{ up }}\n");
    let said = tree.local(&["pillar.items", "--out=json"]).expect(0);
    let expected = serde_json::json!({
        "role": "web", "ports": {"http": 8080, "https": 443, "admin": 9001}, "up": true,
    });
    assert_eq!(said.json()["local"], expected);

    let explain = |key: &str| tree.local(&["pillar.explain", key, "--out=json"]).expect(0).json()["local"].clone();
    let told = explain("ports:http");
    assert_eq!(told["value"], 8080);
    assert_eq!(told["from"][0], "cmd_yaml at the output of `echo`:1:9");
    assert_eq!(told["overrode"], serde_json::json!([{"pillar SLS a (base) at a.sls:3:3": 80}]));
    let stack = format!("stack at {}/stack/web.yml:3:3", tree.path().display());
    assert_eq!(explain("ports:admin")["from"][0], stack);
    let told = explain("ports");
    assert_eq!(told["from"].as_array().expect("a list").len(), 3);
    assert_eq!(told["parts"]["ports:https"]["from"][0], "pillar SLS a (base) at a.sls:4:3");
    assert_eq!(explain("nope")["why"], "no source gives this key");
    // As a runner has it: the minion is the last word.
    let told = Said::of(tree.corpus(&["pillar.explain", "role", "db01", "--out=json"]).output().expect("it starts"));
    assert_eq!(told.expect(0).json()["local"]["value"], "web");
}

#[test]
fn a_source_that_fails_is_named_with_its_place() {
    let tree = with_sources("ext_pillar:\n  - cmd_yaml: 'echo fine: 1'\n  - cmd_json: 'echo broken; exit 4'\n");
    let said = tree.local(&["pillar.items", "--out=json"]).expect(0);
    let pillar = &said.json()["local"];
    assert_eq!(pillar["fine"], 1, "the others are there");
    let errors = pillar["_errors"][0].as_str().expect("a text");
    assert!(errors.starts_with("Failed to load ext_pillar cmd_json: the command failed"), "{errors}");
    assert!(said.err.contains("etc/minion:5:5"), "{}", said.err);
    // States do not run with a part of their pillar.
    tree.file("salt/s.sls", "x:\n  test.nop: []\n");
    let said = tree.local(&["state.apply", "s"]).expect(5);
    assert!(said.out.contains("cmd_json"), "{}", said.out);
    // By setting nothing does.
    let minion = std::fs::read_to_string(tree.path().join("etc/minion")).expect("a configuration");
    tree.file("etc/minion", &format!("{minion}corpus_pillar_errors: stop\n"));
    assert_ne!(tree.local(&["pillar.get", "fine"]).code, 0);
}

#[test]
fn answers_are_kept_for_their_lifetime() {
    let tree = with_sources(
        "pillar_cache: True\npillar_cache_ttl: 600\next_pillar:\n  - cmd_yaml: 'echo x >> $TREE/asked; echo n: 1'\n  \
         - stack: $TREE/stack/stack.cfg\n",
    );
    tree.file("stack/stack.cfg", "web.yml\n").file("stack/web.yml", "s: 1\n");
    let asked = || std::fs::read_to_string(tree.path().join("asked")).expect("it was asked").lines().count();
    for _ in 0..2 {
        assert_eq!(tree.local(&["pillar.get", "n", "--out=json"]).expect(0).json()["local"], 1);
    }
    assert_eq!(asked(), 1);
    // Content that changed is read, whatever the lifetime.
    tree.file("stack/web.yml", "s: 22\n");
    assert_eq!(tree.local(&["pillar.get", "s", "--out=json"]).expect(0).json()["local"], 22);
    assert_eq!(asked(), 1);
    tree.local(&["saltutil.refresh_pillar"]).expect(0);
    tree.local(&["pillar.get", "n"]).expect(0);
    assert!(asked() > 1);
}

#[test]
fn one_more_source_by_call_needs_leave() {
    let tree = with_sources("on_demand_ext_pillar: [cmd_yaml]\n");
    let said = tree.local(&["pillar.ext", "{cmd_yaml: \"echo extra: 1\"}", "--out=json"]).expect(0);
    assert_eq!(said.json()["local"]["extra"], 1);
    let said = tree.local(&["pillar.ext", "{cmd_json: \"echo 1\"}"]);
    assert!(said.code != 0 && said.out.contains("not allowed for on-demand"), "{}{}", said.out, said.err);
}

#[test]
fn grains_choose_no_secrets_unless_they_are_trusted() {
    let tree = with_sources("");
    tree.file(
        "pillar/top.sls",
        "base:\n  'G@kernel:Linux and *':\n    - match: compound\n    - db\n    - plain\n  '*': [a]\n",
    );
    tree.file("pillar/db.sls", "db_password: c4nary\n").file("pillar/plain.sls", "plain: {{ grains | length > 5 }}\n");
    let ask = |setting: &str| {
        tree.file(
            "etc/minion",
            &format!("id: it\ncorpus_cachedir: $TREE/cache\npillar.secret_keys: '*_password'\n{setting}"),
        );
        let words = ["--local", "--pipe", "pillar.items", "--out=json"];
        let said = Said::of(tree.corpus(&words).output().expect("it starts"));
        (said.json()["local"].clone(), said.err)
    };
    // A minion's lie gets it no secret; what is none it has, as in Salt.
    let (pillar, err) = ask("");
    assert_eq!((&pillar["db_password"], &pillar["plain"]), (&serde_json::Value::Null, &true.into()));
    assert!(pillar["_errors"][0].as_str().is_some_and(|why| why.contains("SLS db (base) holds secrets")), "{pillar}");
    assert!(err.contains("the pillar SLS db (base) holds secrets") && err.contains("`kernel`"), "{err}");
    assert!(err.contains("top.sls:2:3") && !err.contains("SLS plain"), "{err}");
    // Nor by asking anew.
    let words = ["--local", "--pipe", "pillar.items", "pillar={x: 1}", "--out=json"];
    let anew = Said::of(tree.corpus(&words).output().expect("it starts")).json()["local"].clone();
    assert_eq!((&anew["db_password"], &anew["x"]), (&serde_json::Value::Null, &1.into()), "{anew}");
    // So it is with repositories.
    let repo = tree.path().join("repo").display().to_string();
    tree.file("repo/top.sls", "base:\n  'kernel:Linux':\n    - match: grain\n    - kept\n");
    tree.file("repo/kept.sls", "kept_password: c4nary2\nkept: 1\n");
    let identity = ["-c", "user.name=it", "-c", "user.email=it@example.org"];
    for words in [&["init", "-q", "-b", "master"][..], &["add", "."], &["commit", "-q", "-m", "pillar"]] {
        let git = std::process::Command::new("git").args(["-C", &repo]).args(identity).args(words).status();
        assert!(git.is_ok_and(|status| status.success()), "git {words:?}");
    }
    let (pillar, err) = ask(&format!("ext_pillar:\n  - git:\n    - master {repo}\n"));
    assert!(
        pillar["kept_password"].is_null() && err.contains("the pillar SLS kept (base) holds secrets"),
        "{pillar}\n{err}"
    );
    let (pillar, err) = ask(&format!("pillar_trusted_grains: [kernel]\next_pillar:\n  - git:\n    - master {repo}\n"));
    assert_eq!((&pillar["kept_password"], err.as_str()), (&"***".into(), ""));
    ask("");
    let states = Said::of(tree.corpus(&["--local", "--pipe", "state.apply", "test=True"]).output().expect("it starts"));
    assert!(states.code != 0 && states.out.contains("pillar_trusted_grains: [kernel]"), "{}{}", states.out, states.err);
    // Named, or the master's own word: nothing to tell.
    for setting in ["pillar_trusted_grains: [ker*]\n", "pillar_trusted_grains: kernel\n", "grains: {kernel: Linux}\n"] {
        let (pillar, err) = ask(setting);
        assert_eq!((&pillar["db_password"], err.as_str()), (&"***".into(), ""), "{setting}");
    }
    // Others are not seen at all, by targets or templates.
    let (pillar, err) = ask("pillar_trusted_grains: [os]\n");
    assert_eq!(pillar, serde_json::json!({"role": "web", "ports": {"http": 80, "https": 443}}));
    assert!(err.contains("the grain `kernel` is not trusted") && err.contains("top.sls:2:3"), "{err}");
    let (pillar, _) = ask("pillar_trusted_grains: [os]\ngrains: {kernel: Linux}\n");
    assert_eq!(pillar["plain"], false, "templates see three grains: {pillar}");
}
