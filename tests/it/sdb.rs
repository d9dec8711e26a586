//! Key stores: `sdb://` in the configuration, in templates and by call; each driver with what it really reads.

use crate::support::{Said, Tree};
use crate::vault::Vault;
use std::process::Command;

fn configured(setting: &str) -> Tree {
    let tree = Tree::new();
    tree.file("etc/minion", &format!("id: it\ncorpus_cachedir: $TREE/cache\n{setting}"));
    tree
}

fn shown(tree: &Tree, words: &[&str]) -> serde_json::Value {
    let words = [&["--show-secrets"], words, &["--out=json"]].concat();
    tree.local(&words).expect(0).json()["local"].clone()
}

#[test]
fn each_driver_has_its_values() {
    let tree = configured(
        "env: {driver: env}\ndocs: {driver: yaml, files: [$TREE/a.yml, $TREE/b.yml]}\nmounted: {driver: file, dir: $TREE/run}\n\
         pass: {driver: cmd, command: [$TREE/store, get, '{key}'], set_command: [$TREE/store, set, '{key}'], \
         delete_command: [rm, '$TREE/kept-{key}']}\nlite: {driver: sqlite3, database: $TREE/keys.db}\n\
         db_password: sdb://docs/db:main:password\nnested: {list: [{pin: sdb://mounted/pin}]}\n\
         circle: {driver: yaml, files: [sdb://circle/x]}\nnope: {driver: nope}\nbroken: {driver: yaml, files: [$TREE/bad.yml]}\n",
    );
    tree.file("a.yml", "db: {main: {password: c4nary-one, user: frank}}\n");
    tree.file("b.yml", "db: {main: {password: c4nary-two}}\n").file("bad.yml", "a: c4nary-bad\n  b: [\n");
    tree.file("run/pin", "c4nary-pin\n");
    tree.program("store", "#!/bin/sh\ncase $1 in get) cat \"$TREE/kept-$2\";; set) cat > \"$TREE/kept-$2\";; esac\n");
    let get = |uri: &str| shown(&tree, &["sdb.get", uri]);

    // As Salt does when it reads its configuration, which templates see as `opts`.
    assert_eq!(shown(&tree, &["config.get", "db_password"]), "c4nary-two");
    assert_eq!(shown(&tree, &["config.get", "nested"]), serde_json::json!({"list": [{"pin": "c4nary-pin"}]}));
    assert_eq!(get("sdb://docs/db:main"), serde_json::json!({"password": "c4nary-two", "user": "frank"}));
    assert_eq!(get("sdb://docs/db:none"), serde_json::Value::Null);
    assert_eq!(get("sdb://mounted/pin"), "c4nary-pin");
    assert_eq!(get("no address"), "no address");
    let said =
        tree.corpus(&["--local", "--show-secrets", "sdb.get", "sdb://env/C4", "--out=json"]).env("C4", "x y").output();
    assert_eq!(Said::of(said.expect("it starts")).expect(0).json()["local"], "x y");

    for profile in ["pass", "lite"] {
        let uri = format!("sdb://{profile}/k1");
        assert_eq!(shown(&tree, &["sdb.set", &uri, "c4nary 'new'"]), true);
        assert_eq!(get(&uri), "c4nary 'new'");
        assert_eq!(shown(&tree, &["sdb.delete", &uri]), true);
        assert!(!tree.local(&["--show-secrets", "sdb.get", &uri]).out.contains("c4nary"));
    }
    let made = shown(&tree, &["sdb.get_or_set_hash", "sdb://lite/made", "20"]);
    assert_eq!(made.as_str().expect("a text").len(), 20);
    assert_eq!(shown(&tree, &["sdb.get_or_set_hash", "sdb://lite/made", "20"]), made);
    let mode = std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(tree.path().join("keys.db")).expect("a file"));
    assert_eq!(mode & 0o777, 0o600);

    for (uri, why) in [
        ("sdb://none/x", "SDB profile \"none\" wasnt found"),
        ("sdb://docs", "names no key"),
        ("sdb://nope/x", "the sdb driver `nope` is not built into this corpus; there are: cmd, env"),
        ("sdb://circle/x", "needs a value of its own"),
        ("sdb://broken/a", "bad.yml:2:"),
        ("sdb://mounted/../a.yml", "leaves the folder"),
    ] {
        let said = tree.local(&["sdb.get", uri]);
        assert!(said.code != 0 && said.out.contains(why), "{uri}: {}{}", said.out, said.err);
        assert!(!said.out.contains("c4nary") && !said.err.contains("c4nary"), "{uri}: {}{}", said.out, said.err);
    }
}

#[test]
fn a_vault_gives_values_and_pillar() {
    let vault = Vault::start();
    let tree = configured(&format!(
        "vault: {{server: {{url: '{}'}}, auth: {{method: approle, role_id: role, secret_id: sdb://docs/id}}}}\n\
         docs: {{driver: yaml, files: [$TREE/a.yml]}}\nmine: {{driver: vault, patch: True}}\nfrom_vault: sdb://mine/kv/app/password\n\
         ext_pillar:\n  - vault: path=kv/minions/{{minion}}\n  - vault: {{conf: 'path=kv/roles/{{pillar[roles]}}', nesting_key: roles_of}}\n\
         \x20 - vault: path=old/plain\n",
        vault.url()
    ));
    tree.file("a.yml", "id: the-secret-id\n")
        .file("pillar/top.sls", "base: {'*': [a]}\n")
        .file("pillar/a.sls", "roles: [web, db]\n");
    vault.put("kv/app", serde_json::json!({"password": "c4nary-app", "other": "c4nary-other"}));
    vault.put("kv/minions/it", serde_json::json!({"tls_key": "c4nary-minion"}));
    vault.put("kv/minions/another", serde_json::json!({"theirs": "c4nary-another"}));
    vault.put("kv/roles/web", serde_json::json!({"web": "c4nary-web"}));
    vault.put("kv/roles/db", serde_json::json!({"db": "c4nary-db"}));
    vault.put("old/plain", serde_json::json!({"plain": "c4nary-v1"}));

    let expected = serde_json::json!({
        "roles": ["web", "db"], "tls_key": "c4nary-minion", "roles_of": {"web": "c4nary-web", "db": "c4nary-db"},
        "plain": "c4nary-v1",
    });
    assert_eq!(shown(&tree, &["pillar.items"]), expected);
    assert_eq!(vault.logins(), 1, "one login for the settings and three sources");
    assert_eq!(shown(&tree, &["config.get", "from_vault"]), "c4nary-app");

    assert_eq!(
        shown(&tree, &["vault.read_secret", "kv/app"]),
        serde_json::json!({"password": "c4nary-app", "other": "c4nary-other"})
    );
    assert_eq!(shown(&tree, &["vault.read_secret", "kv/app", "password"]), "c4nary-app");
    assert_eq!(shown(&tree, &["vault.read_secret", "kv/none", "default=d"]), "d");
    assert_eq!(shown(&tree, &["sdb.get", "sdb://mine/kv/app?other"]), "c4nary-other");
    assert_eq!(shown(&tree, &["sdb.set", "sdb://mine/kv/app/password", "c4nary-set"]), true);
    assert_eq!(
        shown(&tree, &["vault.read_secret", "kv/app"]),
        serde_json::json!({"password": "c4nary-set", "other": "c4nary-other"})
    );
    assert_eq!(shown(&tree, &["vault.write_secret", "kv/new/x", "a=c4nary-a"])["version"], 1);
    assert_eq!(shown(&tree, &["vault.list_secrets", "kv/new", "keys_only=True"]), serde_json::json!(["x"]));
    assert_eq!(shown(&tree, &["vault.delete_secret", "kv/new/x"]), true);
    let said = tree.local(&["vault.read_secret", "kv/new/x"]);
    assert!(said.out.contains("Failed to read secret! VaultNotFoundError"), "{}", said.out);
    assert_eq!(shown(&tree, &["sdb.delete", "sdb://mine/kv/app/password"]), true);
    assert_eq!(shown(&tree, &["vault.read_secret", "kv/app"]), serde_json::json!({"other": "c4nary-other"}));

    // Nothing of it is shown: of the pillar, of a template's own look-up, of the setting; near and at a distance.
    tree.file(
        "salt/s.sls",
        "$TREE/out:\n  file.managed:\n    - contents: |\n        {{ salt['vault.read_secret']('kv/app', 'other') }}\n        \
         {{ pillar['tls_key'] }} {{ opts['from_vault'] | default('') }}\n",
    );
    vault.put("kv/app", serde_json::json!({"password": "c4nary-app", "other": "c4nary-other"}));
    for distance in [&["--local"][..], &["--local", "--pipe"]] {
        for words in
            [&["pillar.items"][..], &["config.get", "vault"], &["state.apply", "s", "queue=True", "-l", "debug"]]
        {
            let _ = std::fs::remove_file(tree.path().join("out"));
            let said = Said::of(tree.corpus(&[distance, words].concat()).output().expect("it starts")).expect(0);
            for secret in ["c4nary", "the-secret-id", "token-of"] {
                assert!(
                    !said.out.contains(secret) && !said.err.contains(secret),
                    "{words:?}: {}{}",
                    said.out,
                    said.err
                );
            }
        }
        let text = std::fs::read_to_string(tree.path().join("out")).expect("it was written");
        assert_eq!(text, "c4nary-other\nc4nary-minion c4nary-app\n");
        let kept = Command::new("grep")
            .args(["-rlE", "c4nary|the-secret-id|token-of"])
            .arg(tree.path().join("cache"))
            .output();
        assert_eq!(String::from_utf8_lossy(&kept.expect("grep").stdout), "", "what runs keep");
    }
    // What the master is configured with is none of a minion's business.
    tree.file("salt/opts.sls", "opts:\n  module.run:\n    - test.get_opts: []\n");
    let words = ["--local", "--pipe", "state.apply", "opts", "queue=True", "--out=json"];
    let told = Said::of(tree.corpus(&words).output().expect("it starts")).expect(0).out;
    assert!(!told.contains("ext_pillar") && !told.contains("secret_id") && told.contains("from_vault"), "{told}");

    // The token's day is over, or the server goes away.
    vault.forget_tokens();
    assert_eq!(shown(&tree, &["pillar.get", "plain"]), "c4nary-v1");
    vault.deny(true);
    let said = tree.local(&["vault.read_secret", "kv/app"]);
    let why = "the setting `from_vault`: sdb://mine/kv/app/password: Vault http://127.0.0.1:";
    assert!(said.code != 0 && said.err.contains(why) && said.err.contains("invalid role or secret ID"), "{}", said.err);
    assert!(!said.out.contains("the-secret-id") && !said.err.contains("the-secret-id"), "{}", said.out);
}
