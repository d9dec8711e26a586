//! Top files: merging strategies, matchers and options.

mod support;

use corpus_compile::top::{Merging, TopOptions, top_matches};
use std::collections::BTreeMap;
use support::{Tree, shown};

const BASE: &str = "base:\n  '*': [common]\n  'web*':\n    - match: glob\n    - web\n  'os:Debian':\n    - match: grain\n    - deb\n    - dev: devtool\nprod:\n  '*': [from_base]\n";
const DEV: &str = "dev:\n  '*': [tool]\nbase:\n  '*': [stranger]\n";

fn matches(opts: &TopOptions, files: &[(&str, &str)]) -> Result<Vec<(String, Vec<String>)>, String> {
    let files: BTreeMap<_, _> = files
        .iter()
        .map(|(path, text)| {
            let (env, path) = path.split_once(':').expect("environment and path");
            ((env.to_owned(), path.to_owned()), (*text).to_owned())
        })
        .collect();
    let matcher = |expression: &str, kind: &str| match kind {
        "compound" => Ok(expression == "*" || expression == "web1"),
        "glob" => Ok(expression == "web*"),
        "grain" => Ok(expression == "os:Debian"),
        _ => Ok(false),
    };
    top_matches(&Tree(&files), opts, &matcher).map(|found| found.matches).map_err(|found| shown(&found))
}

fn of(found: &[(&str, &[&str])]) -> Vec<(String, Vec<String>)> {
    let strings = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    found.iter().map(|(env, names)| ((*env).to_owned(), strings(names))).collect()
}

#[test]
fn base_decides_when_merging() {
    let files = [("base:top.sls", BASE), ("dev:top.sls", DEV)];
    let found = matches(&TopOptions::default(), &files).unwrap();
    let expected: &[(&str, &[&str])] =
        &[("base", &["common", "web", "deb"]), ("dev", &["devtool", "tool"]), ("prod", &["from_base"])];
    let mut found = found;
    found.sort();
    assert_eq!(found, of(expected));
}

#[test]
fn each_environment_for_itself_under_same() {
    let opts = TopOptions { merging: Merging::Same, ..TopOptions::default() };
    let files = [("base:top.sls", BASE), ("dev:top.sls", DEV), ("prod:x.sls", "{}")];
    let mut found = matches(&opts, &files).unwrap();
    found.sort();
    let expected: &[(&str, &[&str])] =
        &[("base", &["common", "web", "deb"]), ("dev", &["devtool", "tool"]), ("prod", &["from_base"])];
    assert_eq!(found, of(expected));
}

#[test]
fn all_count_under_merge_all() {
    let opts = TopOptions { merging: Merging::MergeAll, ..TopOptions::default() };
    let files = [("base:top.sls", BASE), ("dev:top.sls", DEV)];
    let found = matches(&opts, &files).unwrap();
    let base = found.iter().find(|(env, _)| env == "base").unwrap();
    assert_eq!(base.1, ["common", "stranger", "web", "deb"]);
}

#[test]
fn one_environment_only() {
    let opts = TopOptions { saltenv: Some("dev".into()), ..TopOptions::default() };
    let files = [("base:top.sls", BASE), ("dev:top.sls", DEV)];
    assert_eq!(matches(&opts, &files).unwrap(), of(&[("dev", &["tool"])]));
}

#[test]
fn a_top_file_includes_others() {
    let files =
        [("base:top.sls", "include: [more.*]\nbase:\n  '*': [a]"), ("base:more/x.sls", "base:\n  web1: ['5', 6]")];
    assert_eq!(matches(&TopOptions::default(), &files).unwrap(), of(&[("base", &["a", "5", "6"])]));
}

#[test]
fn mistakes_have_places() {
    let wrong = |text: &str| matches(&TopOptions::default(), &[("base:top.sls", text)]).unwrap_err();
    assert_eq!(wrong("- x"), "error: Top data was not formed as a dict\n  --> top.sls:1:1\n");
    assert_eq!(
        wrong("base: x"),
        "error: The top file matches for saltenv base are not formatted as a dict\n  --> top.sls:1:1\n"
    );
    assert_eq!(wrong("base:"), "error: Unable to render top file. No targets found.\n  --> top.sls:1:1\n");
    assert_eq!(
        wrong("base:\n  '*':\n    - match:\n    - ''"),
        "error: Improperly formatted top file matcher in saltenv {'match': None}: None file\n  --> top.sls:3:7\n\
         error: Environment base contains an empty sls index\n  --> top.sls:4:7\n"
    );
}

#[test]
fn nothing_matches_nothing() {
    assert_eq!(matches(&TopOptions::default(), &[("base:top.sls", "base:\n  db*: [x]")]).unwrap(), []);
    assert_eq!(matches(&TopOptions::default(), &[]).unwrap(), []);
}
