//! Canaries: secrets in the pillar, every way out forced, and no canary found outside.

use crate::postgres::Server;
use crate::support::{Said, Tree};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

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

/// A MariaDB of its own, whose `root` has the first canary as its password; gone with the value.
struct Maria(Child);

impl Maria {
    fn start(tree: &Tree) -> Option<Self> {
        let at = |name: &str| tree.path().join(name).display().to_string();
        let program = ["/usr/sbin/mariadbd", "/usr/sbin/mysqld"].into_iter().find(|path| Path::new(path).exists())?;
        let made = Command::new("mariadb-install-db")
            .args(["--no-defaults", "--user=root", "--skip-test-db", "--auth-root-authentication-method=normal"])
            .arg(format!("--datadir={}", at("maria")))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        if !made.is_ok_and(|status| status.success()) {
            return None;
        }
        tree.file("init.sql", &format!("ALTER USER root@localhost IDENTIFIED BY '{PLAIN}';\n"));
        let options = [
            format!("--datadir={}", at("maria")),
            format!("--socket={}", at("maria.sock")),
            format!("--init-file={}", at("init.sql")),
        ];
        let child = Command::new(program)
            .args(["--no-defaults", "--user=root", "--skip-networking", "--innodb-fast-shutdown=2"])
            .args(options)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let (server, since) = (Self(child), Instant::now());
        while std::os::unix::net::UnixStream::connect(tree.path().join("maria.sock")).is_err() {
            assert!(since.elapsed() < Duration::from_secs(30), "MariaDB does not start");
            std::thread::sleep(Duration::from_millis(50));
        }
        Some(server)
    }
}

impl Drop for Maria {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Puts a program before each of these that writes down its arguments and environment, and then is what it stands for.
fn watched(tree: &Tree) -> String {
    let path = std::env::var("PATH").unwrap_or_default();
    for name in ["psql", "mysql", "mariadb", "openssl", "htpasswd", "curl", "gpg", "git", "sh"] {
        let real = std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.exists());
        let Some(real) = real else { continue };
        let text = format!(
            "#!/bin/dash\n{{ echo started {name}; cat /proc/$$/cmdline /proc/$$/environ; }} >> $TREE/seen\nexec {} \"$@\"\n",
            real.display()
        );
        tree.program(&format!("bin/{name}"), &text);
    }
    tree.file("seen", "");
    Command::new("chmod").arg("666").arg(tree.path().join("seen")).status().expect("chmod starts");
    format!("{}:{path}", tree.path().join("bin").display())
}

#[test]
fn children_are_started_without_secrets() {
    let tree = tree();
    let rules = "local all postgres trust\nlocal all all scram-sha-256\n";
    let server = Server::start_with(tree.path().join("pg"), "-c listen_addresses=", |data| {
        std::fs::write(data.join("pg_hba.conf"), rules).expect("a file");
    });
    let maria = Maria::start(&tree);
    let mut states = "\
{% set one, two = pillar['db']['main']['password'], pillar['db']['spare']['password'] %}
$TREE/locked.key:
  x509.private_key_managed: [{keysize: 2048}, {passphrase: {{ two | json }}}]
$TREE/signed.crt:
  x509.certificate_managed:
    - private_key: $TREE/locked.key
    - private_key_passphrase: {{ two | json }}
    - signing_private_key: $TREE/locked.key
    - signing_private_key_passphrase: {{ two | json }}
    - CN: canary.example
fetched:
  file.managed: [{name: $TREE/fetched}, {source: 'http://joe:{{ one }}@127.0.0.1:9/x'}, {skip_verify: True}]
asked:
  module.run: [{http.query: [{url: 'http://127.0.0.1:9/'}, {username: joe}, {password: {{ one }}}]}]
"
    .to_owned();
    if let Some(server) = &server {
        server.ask("postgres", &format!("CREATE ROLE boss SUPERUSER LOGIN PASSWORD '{}'", QUOTED.replace('\'', "''")));
        states += "\
frank:
  postgres_user.present:
    - {password: {{ one }}, db_user: boss, db_password: {{ two | json }}, db_host: $TREE/pg/, db_port: 5599}
";
    }
    if maria.is_some() {
        states += "\
joe:
  mysql_user.present:
    - {password: {{ two | json }}, connection_user: root, connection_pass: {{ one }}, connection_unix_socket: $TREE/maria.sock}
as joe:
  mysql_database.present:
    - {name: test_joe, connection_user: joe, connection_pass: {{ two | json }}, connection_unix_socket: $TREE/maria.sock}
";
    }
    tree.file("salt/app.sls", &states);
    let path = watched(&tree);
    let words = ["--local", "-l", "debug", "state.apply", "app", "queue=True", "--out=json"];
    let said = Said::of(tree.corpus(&words).env("PATH", path).output().expect("the program starts"));
    quiet("a run with databases", &said);
    let records = said.json()["local"].clone();
    let record = |id: &str| {
        let all = records.as_object().expect("records");
        all.values().find(|record| record["__id__"] == id).unwrap_or_else(|| panic!("{id}: {said:?}")).clone()
    };
    assert_eq!(record(&format!("{}/signed.crt", tree.path().display()))["result"], true, "{said:?}");
    if let Some(server) = &server {
        assert_eq!(record("frank")["result"], true, "{said:?}");
        assert_eq!(server.ask("postgres", "SELECT count(*) FROM pg_roles WHERE rolname = 'frank'"), "1");
    } else {
        println!("skipped in part: no PostgreSQL server here, or not root");
    }
    if maria.is_some() {
        assert_eq!(record("joe")["result"], true, "{said:?}");
        // The server let joe in by a password full of quotes: what he may do there is another matter.
        let comment = record("as joe")["comment"].as_str().expect("a comment").to_owned();
        assert!(comment.contains("1044") || record("as joe")["result"] == true, "{comment}");
    } else {
        println!("skipped in part: no MariaDB server here");
    }
    let seen = std::fs::read(tree.path().join("seen")).expect("what children were started with");
    let seen = String::from_utf8_lossy(&seen);
    for (name, there) in [("openssl", true), ("psql", server.is_some()), ("mysql", maria.is_some()), ("curl", true)] {
        assert!(!there || seen.contains(&format!("started {name}\n")), "{name} was not seen: {seen}");
    }
    clean("what children are started with", &seen);
}
