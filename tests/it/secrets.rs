//! The renderers `gpg` and `age` with the system's programs and keys of their own; skipped where these are not.

use crate::support::{Said, Tree};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

const SECRET: &str = "s3cr3t-c4n4ry";

/// Makes a key without a passphrase, as Salt's documentation has it.
fn key(home: &Path, name: &str) {
    std::fs::create_dir(home).expect("a folder");
    Command::new("chmod").arg("700").arg(home).status().expect("chmod starts");
    let made = gpg(home, &["--passphrase", "", "--quick-generate-key", name, "default", "default", "never"], "");
    assert_eq!(made.code, 0, "{}", made.err);
}

fn gpg(home: &Path, words: &[&str], input: &str) -> Said {
    let mut child = Command::new("gpg")
        .arg("--homedir")
        .arg(home)
        .args(["--batch", "--no-tty"])
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("gpg starts");
    child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("gpg reads");
    Said::of(child.wait_with_output().expect("gpg ends"))
}

fn encrypted(home: &Path, to: &str, text: &str) -> String {
    let said = gpg(home, &["--armor", "--trust-model", "always", "--encrypt", "-r", to], text);
    assert_eq!(said.code, 0, "{}", said.err);
    said.out.lines().map(|line| format!("  {line}\n")).collect()
}

#[test]
fn encrypted_values_become_what_they_say() {
    if Command::new("gpg").arg("--version").output().is_err() {
        eprintln!("skipped: there is no gpg");
        return;
    }
    let tree = Tree::new();
    let (keys, others) = (tree.path().join("etc/gpgkeys"), tree.path().join("others"));
    key(&keys, "corpus");
    key(&others, "somebody");
    let ours = encrypted(&keys, "corpus", SECRET);
    // Counts how often gpg is asked.
    let counted = tree.path().join("bin");
    let real =
        String::from_utf8(Command::new("sh").args(["-c", "command -v gpg"]).output().expect("sh").stdout).unwrap();
    tree.file("bin/gpg", &format!("#!/bin/sh\necho x >> $TREE/asked\nexec {} \"$@\"\n", real.trim()));
    Command::new("chmod").arg("755").arg(counted.join("gpg")).status().expect("chmod starts");
    let path = format!("{}:{}", counted.display(), std::env::var("PATH").unwrap_or_default());
    let local = |words: &[&str]| {
        let mut all = vec!["--local"];
        all.extend(words);
        Said::of(tree.corpus(&all).env("PATH", &path).output().expect("corpus starts"))
    };

    tree.file("pillar/top.sls", "base: {'*': [secrets]}\n");
    tree.file(
        "pillar/secrets.sls",
        &format!("#!jinja|yaml|gpg\none: |\n{ours}two:\n - |\n{}", ours.replace("  ", "   ")),
    );
    let said = local(&["pillar.items", "--out=json"]).expect(0);
    assert_eq!(said.json()["local"], serde_json::json!({"one": "***", "two": ["***"]}));
    std::fs::remove_file(tree.path().join("asked")).expect("gpg was asked");
    let said = local(&["--show-secrets", "pillar.items", "--out=json"]).expect(0);
    assert_eq!(said.json()["local"], serde_json::json!({"one": SECRET, "two": [SECRET]}));
    let asked = std::fs::read_to_string(tree.path().join("asked")).expect("gpg was asked");
    assert_eq!(asked.lines().count(), 1, "two equal messages cost one gpg");

    // In a state tree, and JSON, too.
    tree.file(
        "salt/a.sls",
        &format!(
            "#!yaml|gpg\n$TREE/out:\n  file.managed:\n    - show_changes: False\n    - contents: |\n{}",
            ours.replace("  ", "        ")
        ),
    );
    local(&["state.apply", "a", "queue=True"]).expect(0);
    assert_eq!(std::fs::read_to_string(tree.path().join("out")).expect("the file"), format!("{SECRET}\n"));
    let json = serde_json::json!({"one": ours.replace("  ", "")});
    tree.file("pillar/secrets.sls", &format!("#!json|gpg\n{json}\n"));
    assert_eq!(local(&["--show-secrets", "pillar.get", "one", "--out=json"]).expect(0).json()["local"], SECRET);

    // In a key store.
    let minion = std::fs::read_to_string(tree.path().join("etc/minion")).expect("a configuration");
    tree.file("etc/minion", &format!("{minion}keys: {{driver: yaml, files: [$TREE/keys.yml], gpg: True}}\n"));
    tree.file("keys.yml", &format!("a: |\n{ours}"));
    let found = local(&["--show-secrets", "sdb.get", "sdb://keys/a", "--out=json"]).expect(0).json();
    assert_eq!(found["local"].as_str().map(str::trim_end), Some(SECRET));

    // Before YAML: the text is decrypted, places stay those of the file, and no line of the text is shown.
    tree.file(
        "pillar/secrets.sls",
        &format!("#!jinja|gpg|yaml\n{{% set name = 'one' %}}\n{{{{ name }}}}: |\n{ours}after:\n  - 1\n  two: 2\n"),
    );
    let said = local(&["pillar.items"]).expect(0);
    let line = ours.lines().count() + 6;
    assert!(said.err.contains(&format!("--> secrets.sls:{line}:3")), "{}{}", said.out, said.err);
    tree.file(
        "pillar/secrets.sls",
        &format!("#!gpg|yaml\none:\n{}\ntwo: {{ {}}}: x\n", ours.trim_end(), ours.replace("  ", " ").trim()),
    );
    let said = local(&["pillar.items"]).expect(0);
    let line = 2 * ours.lines().count() + 2;
    assert!(said.err.contains(&format!("--> secrets.sls:{line}:")), "{}{}", said.out, said.err);
    assert!(!said.out.contains(SECRET) && !said.err.contains(SECRET), "{}{}", said.out, said.err);
    tree.file("pillar/secrets.sls", &format!("#!jinja|gpg|yaml\none: |\n{ours}after: 1\n"));
    assert_eq!(
        local(&["--show-secrets", "pillar.items", "--out=json"]).expect(0).json()["local"],
        serde_json::json!({"one": format!("{SECRET}\n"), "after": 1})
    );

    // A message for somebody else: the place is told, the state is not compiled, nothing is written.
    let theirs = encrypted(&others, "somebody", SECRET);
    tree.file("pillar/secrets.sls", &format!("#!yaml|gpg\nfine: 1\none: |\n{theirs}"));
    let said = local(&["state.apply", "a", "queue=True"]).expect(5);
    assert!(said.out.contains("secrets.sls:3:6") && said.out.contains("No secret key"), "{}{}", said.out, said.err);
    assert!(!said.out.contains(SECRET) && !said.err.contains(SECRET));
    // By setting it is left as it is, and told.
    let minion = std::fs::read_to_string(tree.path().join("etc/minion")).expect("a configuration");
    tree.file("etc/minion", &format!("{minion}gpg_decrypt_must_succeed: False\n"));
    let said = local(&["pillar.get", "one", "--out=json"]).expect(0);
    assert!(said.json()["local"].as_str().is_some_and(|text| text.starts_with("-----BEGIN PGP MESSAGE-----")));
    assert!(said.err.contains("cannot decrypt"), "{}", said.err);
    for home in [&keys, &others] {
        Command::new("gpgconf").arg("--homedir").arg(home).args(["--kill", "all"]).status().expect("gpgconf starts");
    }
}

#[test]
fn age_decrypts_with_the_identities_of_the_configuration() {
    if Command::new("age").arg("--version").output().is_err() {
        eprintln!("skipped: there is no age");
        return;
    }
    let tree = Tree::new();
    let made = |name: &str| {
        let path = tree.path().join("etc").join(name);
        let output = Command::new("age-keygen").arg("-o").arg(&path).output().expect("age-keygen starts");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        said.trim().rsplit(' ').next().expect("a recipient").to_owned()
    };
    let (ours, others) = (made("age-identities.txt"), made("others.txt"));
    let encrypted = |to: &str| {
        let mut child = Command::new("age")
            .args(["--armor", "-r", to])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("age starts");
        child.stdin.take().expect("a pipe").write_all(SECRET.as_bytes()).expect("age reads");
        let said = Said::of(child.wait_with_output().expect("age ends"));
        said.out.lines().map(|line| format!("  {line}\n")).collect::<String>()
    };
    tree.file("pillar/top.sls", "base: {'*': [secrets]}\n");
    let secret = encrypted(&ours);
    for (pipe, expected) in
        [("jinja|yaml|age", SECRET.to_owned()), ("yaml|age", SECRET.to_owned()), ("jinja|age|yaml", SECRET.to_owned())]
    {
        tree.file("pillar/secrets.sls", &format!("#!{pipe}\none: |\n{secret}"));
        let said = tree.local(&["pillar.get", "one", "--out=json"]).expect(0);
        assert!(!said.out.contains(SECRET) && said.out.contains("***"), "{pipe}: {}", said.out);
        let said = tree.local(&["--show-secrets", "pillar.get", "one", "--out=json"]).expect(0);
        assert_eq!(said.json()["local"].as_str().map(str::trim_end), Some(&*expected), "{pipe}");
    }
    // For somebody else: told with its place and the files that were tried; another file of the configuration helps.
    tree.file("pillar/secrets.sls", &format!("#!yaml|age\nfine: 1\none: |\n{}", encrypted(&others)));
    tree.file("salt/a.sls", "a: test.nop\n");
    let said = tree.local(&["state.show_sls", "a"]).expect(5);
    assert!(said.out.contains("secrets.sls:3:6") && said.out.contains("no identity matched"), "{}", said.out);
    let minion = std::fs::read_to_string(tree.path().join("etc/minion")).expect("a configuration");
    tree.file("etc/minion", &format!("{minion}age_identities: [age-identities.txt, others.txt]\n"));
    assert_eq!(tree.local(&["--show-secrets", "pillar.get", "one", "--out=json"]).expect(0).json()["local"], SECRET);
    tree.file("etc/minion", &format!("{minion}age_identities: none.txt\n"));
    let said = tree.local(&["state.show_sls", "a"]).expect(5);
    assert!(said.out.contains("there is no age identity file"), "{}", said.out);
    tree.file("pillar/top.sls", "{}\n");
    let said = tree.local(&["state.template_str", "#!age|jinja|yaml\na: test.nop"]).expect(1);
    assert!(said.out.contains("put jinja first: `#!jinja|age|yaml`"), "{}", said.out);
}
