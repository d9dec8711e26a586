//! Which crate may name which, read from `cargo metadata`.

use anyhow::{Context, Result};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

/// A crate of ours, and the crates of ours that it may name.
const MAY: &[(&str, &[&str])] = &[
    ("corpus-core", &[]),
    ("corpus-render", &["corpus-core"]),
    ("corpus-compile", &["corpus-core", "corpus-render"]),
    ("corpus-run", &["corpus-core"]),
    ("corpus-wire", &["corpus-core"]),
    ("corpus-exec", &["corpus-core"]),
    ("corpus-states", &["corpus-core", "corpus-exec"]),
    ("corpus-minion", &["corpus-core", "corpus-wire", "corpus-run", "corpus-exec", "corpus-states"]),
    ("corpus-ssh", &["corpus-core", "corpus-wire"]),
    ("corpus-pillar", &["corpus-core", "corpus-render"]),
    ("corpus-tls", &[]),
    ("corpus-pillar-sql", &["corpus-core", "corpus-pillar", "corpus-tls"]),
    ("corpus-pillar-http", &["corpus-core", "corpus-pillar", "corpus-render", "corpus-tls"]),
    ("corpus-ldap", &["corpus-core", "corpus-pillar", "corpus-render", "corpus-tls"]),
    ("corpus-git", &["corpus-core"]),
    ("corpus-clouds", &["corpus-core", "corpus-render", "corpus-master", "corpus-pillar"]),
    ("corpus-ec2-sdk", &["corpus-clouds"]),
    ("corpus-project", &["corpus-core", "corpus-render", "corpus-exec", "corpus-git", "corpus-master"]),
    (
        "corpus-master",
        &[
            "corpus-core",
            "corpus-render",
            "corpus-compile",
            "corpus-wire",
            "corpus-ssh",
            "corpus-pillar",
            "corpus-pillar-sql",
            "corpus-pillar-http",
            "corpus-ldap",
            "corpus-git",
            "corpus-exec",
            "corpus-minion",
        ],
    ),
];

/// Crates that may look at everything: the program, and what checks it.
const FREE: &[&str] = &["corpus", "corpus-tidy", "corpus-it"];

/// What must never be reachable, however many steps away, and why.
const NEVER: &[(&str, &[&str], &str)] = &[
    (
        "corpus-core",
        &["tokio", "russh", "minijinja", "postcard", "rustix"],
        "everything waits for core to compile, and it touches no machine",
    ),
    (
        "corpus-states",
        &["tokio", "russh", "minijinja", "corpus-run", "corpus-wire", "corpus-render"],
        "law 1: a state has no hands",
    ),
    ("corpus-exec", &["tokio", "corpus-states", "minijinja"], "it runs in the agent, and is called by states"),
    (
        "corpus-minion",
        &[
            "tokio",
            "russh",
            "minijinja",
            "saphyr-parser",
            "petgraph",
            "corpus-render",
            "corpus-compile",
            "corpus-master",
        ],
        "the thin stays thin and holds no secrets it was not sent",
    ),
    ("corpus-render", &["corpus-states", "corpus-exec", "tokio"], "it knows functions by name only"),
    ("corpus-compile", &["corpus-states", "corpus-exec", "tokio"], "it knows functions by name only"),
    ("corpus-run", &["corpus-states", "corpus-exec", "tokio"], "it knows functions by name only"),
    ("corpus-ssh", &["corpus-compile", "corpus-run", "corpus-states"], "a transport carries bytes"),
    (
        "corpus-pillar",
        &["corpus-wire", "corpus-ssh", "corpus-minion", "tokio", "rusqlite", "ldap3", "ureq", "git2"],
        "pillar is computed from grains and asks no machine; clients of servers are leaves",
    ),
];

/// The only crates that may name a heavy dependency.
const OWNERS: &[(&str, &str)] = &[
    ("minijinja", "corpus-render"),
    ("petgraph", "corpus-compile"),
    ("russh", "corpus-ssh"),
    ("tokio", "corpus-ssh"),
    ("tokio", "corpus-ec2-sdk"),
    ("aws-sdk-ec2", "corpus-ec2-sdk"),
    ("postcard", "corpus-wire"),
    ("similar", "corpus-exec"),
    ("git2", "corpus-git"),
    ("rusqlite", "corpus-pillar-sql"),
    ("rmp-serde", "corpus-pillar-sql"),
    ("postgres", "corpus-pillar-sql"),
    ("ldap3", "corpus-ldap"),
    ("rustls", "corpus-tls"),
    ("ureq", "corpus-pillar-http"),
];

/// Native code that the build must not need.
const UNWANTED: &[&str] = &["openssl-sys", "aws-lc-sys", "aws-lc-rs", "cmake", "native-tls"];

/// Returns what breaks the rules.
pub fn check(root: &Path) -> Result<Vec<String>> {
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["metadata", "--format-version", "1", "--locked"])
        .current_dir(root)
        .output()
        .context("run cargo metadata")?;
    anyhow::ensure!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let ours: BTreeSet<&str> = texts(&metadata["workspace_members"]).collect();
    let name_of: BTreeMap<&str, &str> = array(&metadata["packages"])
        .filter_map(|package| Some((package["id"].as_str()?, package["name"].as_str()?)))
        .collect();
    // Development dependencies are no arrows: a test may name more.
    let mut edges: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for node in array(&metadata["resolve"]["nodes"]) {
        let from = name_of[node["id"].as_str().context("a node has an id")?];
        for dependency in array(&node["deps"]) {
            let normal = array(&dependency["dep_kinds"]).any(|kind| kind["kind"].is_null() || kind["kind"] == "build");
            if normal && let Some(to) = dependency["pkg"].as_str().and_then(|id| name_of.get(id)) {
                edges.entry(from).or_default().insert(to);
            }
        }
    }
    let mut complaints = vec![];
    for member in ours.iter().map(|id| name_of[id]).filter(|name| !FREE.contains(name)) {
        let Some((_, may)) = MAY.iter().find(|(name, _)| *name == member) else {
            complaints.push(format!("{member} has no line in tests/tidy/src/arrows.rs: say what it may name"));
            continue;
        };
        for to in edges.get(member).into_iter().flatten().filter(|to| to.starts_with("corpus-")) {
            if !may.contains(to) {
                complaints.push(format!("{member} may not name {to} (it may name {may:?})"));
            }
        }
    }
    for (from, never, because) in NEVER {
        let reached = reach(&edges, from);
        for to in never.iter().filter(|to| reached.contains(**to)) {
            complaints.push(format!("{from} reaches {to}: {because}"));
        }
    }
    for (heavy, owner) in OWNERS {
        for (from, to) in &edges {
            let owns = OWNERS.iter().any(|(other, name)| other == heavy && name == from);
            if to.contains(heavy) && from.starts_with("corpus") && !owns && !FREE.contains(from) {
                complaints.push(format!("{from} names {heavy}, which belongs to {owner}"));
            }
        }
    }
    for name in UNWANTED.iter().filter(|name| edges.contains_key(**name) || name_of.values().any(|n| n == *name)) {
        complaints.push(format!(
            "{name} is in the dependency tree: TLS is rustls with ring, and C needs no more than a compiler"
        ));
    }
    Ok(complaints)
}

fn array(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn texts(value: &Value) -> impl Iterator<Item = &str> {
    array(value).filter_map(Value::as_str)
}

fn reach<'a>(edges: &BTreeMap<&'a str, BTreeSet<&'a str>>, from: &'a str) -> BTreeSet<&'a str> {
    let (mut seen, mut todo) = (BTreeSet::new(), vec![from]);
    while let Some(at) = todo.pop() {
        for to in edges.get(at).into_iter().flatten() {
            if seen.insert(*to) {
                todo.push(to);
            }
        }
    }
    seen
}
