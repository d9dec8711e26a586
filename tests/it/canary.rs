//! Canaries: secrets in the pillar, every way out forced, and no canary found outside.

use crate::support::{Said, Tree};
use std::path::Path;

/// A plain one, one that every kind of quoting changes, one of several lines, and a number.
const PLAIN: &str = "c4nary-plain-qzplainq";
const QUOTED: &str = "c4nary'zit\"at\\qzquoteq";
const LINES: [&str; 2] = ["c4naryfirstlineqzfirstq", "c4narysecondlineqzsecondq"];
const NUMBER: &str = "77357736";

/// What must be found nowhere: each canary, and the ends that quoting leaves alone.
const TRACES: [&str; 8] = ["c4nary", "qzplainq", "qzquoteq", "qzfirstq", "qzsecondq", NUMBER, "YzRuYXJ5", "zit"];

fn tree() -> Tree {
    let tree = Tree::new();
    let minion = std::fs::read_to_string(tree.path().join("etc/minion")).expect("a configuration");
    tree.file("etc/minion", &format!("{minion}pillar.secret_keys: ['db:*:password', '*_key', pin]\n"));
    tree.file("pillar/top.sls", "base: {'*': [db]}\n");
    tree.file(
        "pillar/db.sls",
        &format!(
            "db:\n  main:\n    password: {PLAIN}\n    user: frank\n  spare:\n    password: {}\n\
             tls_key: |\n  -----BEGIN KEY-----\n  {}\n  {}\n  -----END KEY-----\npin: {NUMBER}\n",
            serde_json::json!(QUOTED),
            LINES[0],
            LINES[1],
        ),
    );
    tree
}

#[track_caller]
fn clean(what: &str, text: &str) {
    for trace in TRACES {
        assert!(!text.contains(trace), "{what} shows {trace}:\n{text}");
    }
}

#[track_caller]
fn quiet(what: &str, said: &Said) {
    clean(&format!("standard output of {what}"), &said.out);
    clean(&format!("standard error of {what}"), &said.err);
}

/// What a run keeps on disk, except the files that it was told to write.
fn search(folder: &Path) {
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_symlink() {
            // To this program itself.
            continue;
        }
        if path.is_dir() {
            search(&path);
        } else if let Ok(bytes) = std::fs::read(&path) {
            clean(&path.display().to_string(), &String::from_utf8_lossy(&bytes));
        }
    }
}

const STATES: &str = r#"
config:
  file.managed:
    - name: $TREE/app.conf
    - contents: |
        user = {{ pillar['db']['main']['user'] }}
        password = {{ pillar['db']['main']['password'] }}
        spare = {{ pillar['db']['spare']['password'] }}
        pin {{ pillar['pin'] }}
key:
  file.managed:
    - name: $TREE/app.key
    - contents_pillar: tls_key
data:
  file.serialize:
    - name: $TREE/app.json
    - serializer: json
    - dataset_pillar: db
echo:
  cmd.run:
    - name: 'echo "said {{ pillar['db']['main']['password'] }}"; cat $TREE/app.json; base64 -w0 $TREE/app.key >&2'
fails:
  cmd.run:
    - name: 'echo "{{ pillar['db']['main']['password'] | upper | lower }}" >&2; false'
named {{ pillar['pin'] }}:
  test.fail_with_changes:
    - name: {{ pillar['db']['main']['password'] }}
unknown:
  file.managed:
    - name: $TREE/x
    - source: salt://{{ pillar['db']['main']['password'] }}
"#;

#[test]
fn runs_show_no_secret() {
    for distance in [&["--local"][..], &["--local", "--pipe"]] {
        let tree = tree();
        tree.file("salt/app.sls", STATES);
        for out in ["highstate", "json", "jsonl", "yaml", "txt", "nested"] {
            for test in ["test=True", "test=False"] {
                let out = format!("--out={out}");
                let words = [distance, &["-l", "all", "state.apply", "app", "queue=True", test, &out]].concat();
                let said = Said::of(tree.corpus(&words).output().expect("the program starts"));
                assert!(out == "--out=txt" || said.out.contains("***"), "{words:?}: {}{}", said.out, said.err);
                quiet(&format!("{words:?}"), &said);
            }
            for file in ["app.conf", "app.key", "app.json"] {
                let text = std::fs::read_to_string(tree.path().join(file)).expect("the run wrote it");
                assert!(text.contains("c4nary"), "{file} must hold the real value: {text}");
                std::fs::remove_file(tree.path().join(file)).expect("a file");
            }
        }
        search(&tree.path().join("cache"));
    }
}

#[test]
fn answers_and_errors_show_no_secret() {
    let tree = tree();
    let cases = [
        ("yaml", "a:\n  {{ pillar['db']['main']['password'] }}: [\n"),
        ("jinja", "{{ pillar['db']['main']['password'] | no_filter }}\n"),
        ("undefined", "{{ pillar['db']['main']['password'].nothing.more }}\n"),
        ("function", "{{ pillar['db']['main']['password'] }}:\n  no.such: []\n"),
        ("argument", "a:\n  file.managed:\n    - name: /x\n    - {{ pillar['db']['main']['password'] }}: 1\n"),
        ("requisite", "a:\n  test.nop:\n    - require: [{test: \"{{ pillar['tls_key'] | replace('\\n', ' ') }}\"}]\n"),
        ("include", "include: [\"{{ pillar['db']['main']['password'] }}\"]\n"),
        ("call", "{{ salt['cmd.run_all']('echo ' ~ pillar['db']['main']['password'] ~ '; false') }}\n"),
        ("raise", "{{ raise(pillar['db']['main']['password']) }}\n"),
        ("log", "{% do salt['log.error'](pillar['db']['main']['password']) %}{{ pillar['pin'] }}: {test.nop: []}\n"),
    ];
    for (name, text) in cases {
        tree.file(&format!("salt/{name}.sls"), text);
        for fun in ["state.apply", "state.show_sls", "state.show_low_sls", "state.show_lowstate_sls"] {
            quiet(&format!("{fun} {name}"), &tree.local(&["-l", "debug", fun, name]));
        }
    }
    for out in ["nested", "json", "yaml", "txt", "newline_values_only"] {
        let out = format!("--out={out}");
        let calls: [&[&str]; 6] = [
            &["pillar.items"],
            &["pillar.get", "db:main:password"],
            &["pillar.get", "pin"],
            &["pillar.raw"],
            &["cmd.run", "echo $TREE"],
            &["slsutil.renderer", "string={{ pillar['db'] }}", "default_renderer=jinja"],
        ];
        for call in calls {
            quiet(&format!("{call:?} {out}"), &tree.local(&[call, &[&out]].concat()));
        }
    }
    let file = tree.path().join("answers");
    tree.local(&["pillar.items", "--out-file", &file.display().to_string()]).expect(0);
    clean("the file of --out-file", &std::fs::read_to_string(&file).expect("it was written"));
    // Who asks for it, gets it; but not in errors.
    let said = tree.local(&["--show-secrets", "pillar.items", "--out=json"]).expect(0);
    assert_eq!(said.json()["local"]["db"]["spare"]["password"], QUOTED);
    quiet(
        "an error in spite of --show-secrets",
        &tree.local(&["--show-secrets", "-l", "debug", "state.apply", "call"]),
    );
}
