//! The renderer `gpg` with the system's gpg and keys of its own; skipped where there is no gpg.

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

    // On the command line, and in the keys that `decrypt_pillar` names.
    let over = format!("pillar={}", serde_json::json!({"two": {"three": ours.replace("  ", "")}}));
    let said = local(&["pillar.get", "two:three", &over, "pillar_enc=gpg", "--out=json"]).expect(0);
    assert_eq!(said.json()["local"], SECRET);
    let said = local(&["pillar.get", "two:three", &over, "pillar_enc=nacl"]);
    assert!(said.code != 0 && said.out.contains("not a valid decryption renderer"), "{}{}", said.out, said.err);
    let minion = std::fs::read_to_string(tree.path().join("etc/minion")).expect("a configuration");
    tree.file("etc/minion", &format!("{minion}decrypt_pillar: ['two:three', {{'four': gpg}}, nothing]\n"));
    let json = serde_json::json!({"two": {"three": ours.replace("  ", "")}, "four": [ours.replace("  ", "")]});
    tree.file("pillar/secrets.sls", &format!("#!json\n{json}\n"));
    let said = local(&["pillar.items", "--out=json"]).expect(0);
    assert_eq!(said.json()["local"], serde_json::json!({"two": {"three": SECRET}, "four": [SECRET]}));
    tree.file("etc/minion", &minion);

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
