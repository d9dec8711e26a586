//! States of the standard library against the real tools: Redis, openssl, git, devices, caches, processes.

use crate::support::{Tree, is_root};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Applies an SLS dry, for real, and again: nothing is done dry, `changed` states change, then none does.
fn converges(tree: &Tree, sls: &str, changed: usize) -> String {
    let dry = tree.local(&["state.apply", sls, "test=True"]).expect(0);
    assert!(dry.out.contains(&format!("changed={changed})")), "{}", dry.out);
    let run = tree.local(&["state.apply", sls]).expect(0);
    assert!(run.out.contains(&format!("(changed={changed})")), "{}", run.out);
    let again = tree.local(&["state.apply", sls]).expect(0);
    assert!(!again.out.contains("changed="), "{}", again.out);
    run.out
}

fn run(program: &str, words: &[&str]) -> String {
    let output = Command::new(program).args(words).output().expect("it starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{program} {words:?}: {}", text(&output.stderr));
    text(&output.stdout) + &text(&output.stderr)
}

/// A child that is gone with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn redis(folder: &Path, port: u16) -> Option<Running> {
    let config =
        format!("port {port}\nrequirepass s3cr\"et\nsave \"\"\nbind 127.0.0.1\n").replace("s3cr\"et", "s3cret");
    std::fs::write(folder.join("redis.conf"), config).expect("a file");
    let mut command = Command::new("redis-server");
    command.arg(folder.join("redis.conf")).current_dir(folder).stdout(Stdio::null());
    let running = Running(command.spawn().ok()?);
    let start = Instant::now();
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(start.elapsed() < Duration::from_secs(10), "Redis did not come up");
        std::thread::sleep(Duration::from_millis(20));
    }
    Some(running)
}

#[test]
fn keeps_what_redis_holds() {
    let tree = Tree::new();
    let (Some(_server), true) = (redis(tree.path(), 56379), is_root()) else {
        assert!(!is_root(), "redis-server is missing; tests/prepare.sh installs it");
        println!("skipped: no Redis here, or not root");
        return;
    };
    tree.file(
        "salt/keys.sls",
        "{% set at = '- port: 56379\n    - password: s3cret' %}\n\
         motd:\n  redis.string:\n    - value: 'Hello, öäü'\n    {{ at }}\n\
         old:\n  redis.absent:\n    - keys: [a, b]\n    {{ at }}\n",
    );
    let at = ["port=56379", "password=s3cret"];
    let ask = |words: &[&str]| tree.local(&[words, &at].concat()).expect(0).out;
    ask(&["redis.set_key", "a", "1"]);
    let said = converges(&tree, "keys", 2);
    assert!(said.contains("Key updated to new value") && said.contains("Keys deleted"), "{said}");
    assert!(!said.contains("s3cret"), "{said}");
    assert!(ask(&["redis.get_key", "motd"]).contains("Hello, öäü"));
    ask(&["redis.hset", "h", "field", "1"]);
    assert!(ask(&["redis.hincrbyfloat", "h", "field", "1.5"]).contains("2.5"));
    assert!(ask(&["redis.hgetall", "h"]).contains("field"));
    assert!(ask(&["redis.config_set", "maxmemory", "10000000"]).contains("True"));
    assert!(ask(&["redis.config_get", "maxmemory"]).contains("10000000"));
    let said = tree.local(&["redis.get_key", "motd", "port=56379", "password=wrong"]);
    assert!(said.out.contains("WRONGPASS"), "{}", said.out);
    assert!(ask(&["redis.shutdown"]).contains("True"));
    assert!(ask(&["redis.ping"]).contains("False"));
    let said = tree.local(&["state.apply", "keys"]);
    assert!(said.out.contains("no server answers at localhost:56379"), "{}", said.out);
}

const AUTHORITY: &str = "\
$TREE/ca.key: {x509.private_key_managed: []}
$TREE/web.key: {x509.private_key_managed: [{algo: ec}]}
$TREE/ca.crt:
  x509.certificate_managed:
    - signing_private_key: $TREE/ca.key
    - CN: ca
    - basicConstraints: critical, CA:true
    - keyUsage: critical, cRLSign, keyCertSign
$TREE/web.csr:
  x509.csr_managed:
    - private_key: $TREE/web.key
    - CN: www.example.org
    - O: Example
    - subjectAltName: DNS:www.example.org
$TREE/web.crt:
  x509.certificate_managed:
    - signing_cert: $TREE/ca.crt
    - csr: $TREE/web.csr
    - signing_policy: web
$TREE/ca.crl:
  x509.crl_managed:
    - signing_private_key: $TREE/ca.key
    - signing_cert: $TREE/ca.crt
    - extensions: {cRLNumber: auto}
    - revoked:
      - serial_number: '0A:1B'
        extensions: {CRLReason: keyCompromise}
";

#[test]
fn signs_requests_and_revokes() {
    let tree = Tree::new();
    let at = |name: &str| tree.path().join(name).display().to_string();
    let policy = "x509_signing_policies:\n  web:\n    - signing_private_key: $TREE/ca.key\n    - days_valid: 200\n    - \
                  basicConstraints: CA:false\n";
    tree.file("pillar/top.sls", "base: {'*': [policies]}\n").file("pillar/policies.sls", policy);
    tree.file("salt/authority.sls", AUTHORITY);
    converges(&tree, "authority", 6);
    run("openssl", &["verify", "-CAfile", &at("ca.crt"), &at("web.crt")]);
    let shown = run("openssl", &["x509", "-in", &at("web.crt"), "-noout", "-text"]);
    assert!(shown.contains("CN = www.example.org") && shown.contains("CA:FALSE"), "{shown}");
    assert!(run("openssl", &["crl", "-in", &at("ca.crl"), "-noout", "-CAfile", &at("ca.crt")]).contains("verify OK"));

    // What is revoked later is added, and counted.
    let more = format!("      - certificate: {}\n", at("web.crt"));
    tree.file("salt/authority.sls", &(AUTHORITY.to_owned() + &more));
    let said = converges(&tree, "authority", 1);
    assert!(said.contains("The certificate revocation list has been recreated"), "{said}");
    let shown = tree.local(&["x509.read_crl", &at("ca.crl")]).expect(0).out;
    assert!(shown.contains("keyCompromise") && shown.contains("0A1B"), "{shown}");
    let command = ["verify", "-crl_check", "-CAfile", &at("ca.crt"), "-CRLfile", &at("ca.crl"), &at("web.crt")];
    let output = Command::new("openssl").args(command).output().expect("openssl starts");
    assert!(String::from_utf8_lossy(&output.stderr).contains("certificate revoked"));
    assert!(tree.local(&["x509.verify_crl", &at("ca.crl"), &at("ca.crt")]).expect(0).out.contains("True"));
    assert!(tree.local(&["x509.verify_private_key", &at("web.key"), &at("web.crt")]).expect(0).out.contains("True"));
    assert!(tree.local(&["x509.verify_private_key", &at("web.key"), &at("ca.crt")]).expect(0).out.contains("False"));

    // Another subject: made anew.
    tree.file("salt/authority.sls", &AUTHORITY.replace("O: Example", "O: Other"));
    let said = tree.local(&["state.apply", "authority"]).expect(0).out;
    assert!(said.contains("The certificate signing request has been recreated"), "{said}");
    assert!(said.contains("O=Other"), "{said}");
}

#[test]
fn keeps_devices_caches_and_schedules() {
    let tree = Tree::new();
    if !is_root() {
        println!("skipped: not root");
        return;
    }
    let sls = "\
$TREE/dev/fifo:
  file.mknod: [{ntype: p}, {mode: '0660'}, {group: daemon}]
$TREE/dev/null:
  file.mknod: [{ntype: c}, {major: 1}, {minor: 3}, {mode: '0666'}]
$TREE/empty:
  file.pruned: [{recurse: True}]
salt://it-library.txt:
  file.cached
salt://it-library-old.txt:
  file.not_cached
$TREE/backups:
  file.retention_schedule:
    - retain: {most_recent: 1, first_of_month: 2}
    - strptime_format: b_%Y%m%d.tar
";
    tree.file("salt/files.sls", sls).file("salt/it-library.txt", "hello\n");
    std::fs::create_dir_all(tree.path().join("empty/a/b")).expect("folders");
    for day in ["20240131", "20240201", "20240228", "20240301", "20240305"] {
        tree.file(&format!("backups/b_{day}.tar"), "x");
    }
    let cache = Path::new("/var/cache/corpus/cp/files/base");
    std::fs::create_dir_all(cache).expect("a folder");
    std::fs::write(cache.join("it-library-old.txt"), "x").expect("a file");
    let _ = std::fs::remove_file(cache.join("it-library.txt"));
    converges(&tree, "files", 6);
    let at = |name: &str| tree.path().join(name).display().to_string();
    let stat = run("stat", &["-c", "%F %a %G %t %T", &at("dev/fifo"), &at("dev/null")]);
    assert_eq!(stat, "fifo 660 daemon 0 0\ncharacter special file 666 root 1 3\n");
    assert!(!tree.path().join("empty").exists());
    assert_eq!(std::fs::read_to_string(cache.join("it-library.txt")).ok().as_deref(), Some("hello\n"));
    assert!(!cache.join("it-library-old.txt").exists());
    let mut kept: Vec<_> = std::fs::read_dir(tree.path().join("backups")).expect("it is there").flatten().collect();
    kept.sort_by_key(std::fs::DirEntry::file_name);
    let kept: Vec<_> = kept.iter().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    assert_eq!(kept, ["b_20240201.tar", "b_20240301.tar", "b_20240305.tar"]);
    let _ = std::fs::remove_file(cache.join("it-library.txt"));
}

#[test]
fn checks_out_one_revision() {
    let tree = Tree::new();
    let at = |name: &str| tree.path().join(name).display().to_string();
    let origin = at("origin");
    let git = |words: &[&str]| {
        let who = ["-c", "user.name=x", "-c", "user.email=x@x", "-C", origin.as_str()];
        run("git", &[&who, words].concat())
    };
    run("git", &["init", "--quiet", &origin]);
    for text in ["one", "two"] {
        tree.file("origin/file", text);
        git(&["add", "."]);
        git(&["commit", "--quiet", "-m", text]);
        git(&["tag", text]);
    }
    let sls = "\
$TREE/bare.git: git.present
checkout:
  git.detached:
    - name: $TREE/origin
    - target: $TREE/checkout
    - rev: one
";
    tree.file("salt/code.sls", sls);
    converges(&tree, "code", 2);
    assert!(tree.path().join("bare.git/HEAD").exists());
    let text = || std::fs::read_to_string(tree.path().join("checkout/file")).unwrap_or_default();
    assert_eq!(text(), "one");
    tree.file("salt/code.sls", &sls.replace("rev: one", "rev: two"));
    converges(&tree, "code", 1);
    assert_eq!(text(), "two");
    // A commit that came later, by a short hash.
    tree.file("origin/file", "three");
    git(&["commit", "--quiet", "-am", "three"]);
    let hash = git(&["rev-parse", "--short=10", "HEAD"]);
    tree.file("salt/code.sls", &sls.replace("rev: one", &format!("rev: '{}'", hash.trim())));
    converges(&tree, "code", 1);
    assert_eq!(text(), "three");
}

#[test]
fn waits_for_functions_and_ends_processes() {
    let tree = Tree::new();
    let mark = format!("314.{}", std::process::id());
    let mut child = Command::new("sleep").arg(&mark).spawn().expect("sleep starts");
    let sls = format!("sleep {mark}:\n  process.absent: []\n");
    tree.file("salt/gone.sls", &sls);
    tree.local(&["state.apply", "gone", "test=True"]).expect(0);
    assert_eq!(child.try_wait().ok().flatten(), None, "a dry run ends nothing");
    let said = tree.local(&["state.apply", "gone"]).expect(0).out;
    assert!(said.contains("Killed 1 processes"), "{said}");
    assert!(!child.wait().expect("it ended").success());
    let said = tree.local(&["state.apply", "gone"]).expect(0).out;
    assert!(said.contains("No matching processes running"), "{said}");

    let wait = "\
file.file_exists:
  loop.until_no_eval: [{expected: True}, {args: [$TREE/there]}, {period: 0.05}, {timeout: 5}]
never:
  loop.until_no_eval: [{name: test.echo}, {expected: no}, {args: ['yes']}, {period: 0.05}, {timeout: 0.2}]
";
    tree.file("salt/wait.sls", wait).file("there", "");
    let said = tree.local(&["state.apply", "wait"]).out;
    assert!(said.contains("Call provided the expected results in 1 attempts"), "{said}");
    assert!(said.contains("Call did not produce the expected result after"), "{said}");
}

#[test]
fn runs_runners_at_the_same_time() {
    let tree = Tree::new();
    let runner = |name: &str| {
        format!("        {name}:\n          - name: state.orchestrate\n          - kwarg: {{mods: {name}}}\n")
    };
    let step = |name: &str| format!("{name}:\n  cmd.run:\n    - name: sleep 1.5; touch $TREE/{name}\n");
    tree.file("salt/one.sls", &step("one")).file("salt/two.sls", &step("two"));
    let both = format!("both:\n  salt.parallel_runners:\n    - runners:\n{}{}", runner("one"), runner("two"));
    tree.file("salt/both.sls", &both);
    tree.corpus(&["state.orchestrate", "both", "test=True"]).output().expect("it starts");
    assert!(!tree.path().join("one").exists(), "a dry run does nothing");
    let start = Instant::now();
    let output = tree.corpus(&["state.orchestrate", "both"]).output().expect("it starts");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("All runner functions executed successfully."), "{said}");
    assert!(tree.path().join("one").exists() && tree.path().join("two").exists());
    assert!(start.elapsed() < Duration::from_millis(2900), "one after the other: {:?}", start.elapsed());
    let missing = format!("both:\n  salt.parallel_runners:\n    - runners:\n{}{}", runner("one"), runner("three"));
    tree.file("salt/both.sls", &missing);
    let output = tree.corpus(&["state.orchestrate", "both"]).output().expect("it starts");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("Runner three failed."), "{said}");
}
