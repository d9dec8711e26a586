//! The same states by a function call, through a pipe, and over SSH: the results must be equal to the byte.

use crate::lab_or_skip;
use crate::support::{Said, Tree};
use serde_json::Value;

/// Where the scenarios work: the same place on this machine and on a host.
const PLACE: &str = "/var/tmp/corpus-distances";

/// What is run at every distance. `$PLACE` is the working directory.
const SCENARIOS: &[(&str, &str)] = &[
    (
        "files",
        "
$PLACE/a/b:
  file.directory:
    - makedirs: True
    - mode: '0750'
$PLACE/a/b/motd:
  file.managed:
    - contents: |
        hello {{ pillar.name }}
    - mode: '0640'
    - require: [{file: $PLACE/a/b}]
$PLACE/a/link:
  file.symlink:
    - target: $PLACE/a/b/motd
appended:
  file.append:
    - name: $PLACE/a/b/motd
    - text: [one, two]
gone:
  file.absent:
    - name: $PLACE/gone
",
    ),
    (
        "templates",
        "
$PLACE/t:
  file.directory: []
{% for n in range(3) %}
$PLACE/t/f{{ n }}:
  file.managed:
    - source: salt://t/item.jinja
    - template: jinja
    - context: {n: {{ n }}}
    - require: [{file: $PLACE/t}]
{% endfor %}
$PLACE/t/raw:
  file.managed:
    - source: salt://t/raw.bin
    - mode: keep
tree:
  file.recurse:
    - name: $PLACE/t/tree
    - source: salt://t
    - file_mode: '0600'
",
    ),
    (
        "requisites",
        "
$PLACE:
  file.directory: []
changed:
  cmd.run:
    - name: echo out; echo err >&2
    - creates: $PLACE/never
after:
  cmd.run:
    - name: echo after > $PLACE/after
    - onchanges: [{cmd: changed}]
    - creates: $PLACE/after
fails:
  cmd.run:
    - name: exit 3
skipped:
  test.nop:
    - require: [{cmd: fails}]
rescue:
  cmd.run:
    - name: 'true'
    - onfail: [{cmd: fails}]
told:
  test.succeed_with_changes: []
listener:
  test.nop:
    - watch: [{test: told}]
guarded:
  test.fail_without_changes:
    - onlyif: 'false'
",
    ),
    ("missing source", "$PLACE/x:\n  file.managed:\n    - source: salt://not/there\n"),
    (
        "calls",
        "
{% set who = salt['cmd.run']('echo caller') %}
$PLACE/who:
  file.managed:
    - contents: '{{ who }} {{ salt['file.directory_exists']('/etc') }}'
    - makedirs: True
",
    ),
];

#[test]
fn results_are_equal_at_all_distances() {
    let lab = lab_or_skip!();
    for (name, sls) in SCENARIOS {
        let tree = tree(sls);
        for words in [&["state.apply", "s", "test=True", "--out=json"][..], &["state.apply", "s", "--out=json"], &["state.apply", "s", "--out=json"]] {
            let call = tree.local(words);
            let mut piped = vec!["--pipe"];
            piped.extend(words);
            let pipe = run_elsewhere(&tree, || tree.local(&piped), &call);
            let mut all = vec!["*"];
            all.extend(words);
            let ssh = lab.ssh(&tree, &lab.roster(1), &all);
            let call_result = result(&call);
            assert_eq!(call_result, result(&pipe), "{name}, {words:?}: call and pipe differ");
            assert_eq!(call_result, result(&ssh), "{name}, {words:?}: call and SSH differ");
            assert_eq!((call.code, call.code), (pipe.code, ssh.code), "{name}, {words:?}: exit codes differ");
        }
        let _ = std::fs::remove_dir_all(PLACE);
        let _ = std::fs::remove_dir_all(format!("{PLACE}.before"));
        lab.inside(1, &format!("rm -rf {PLACE}"));
    }
}

fn tree(sls: &str) -> Tree {
    let tree = Tree::new();
    tree.file("salt/s.sls", &sls.replace("$PLACE", PLACE));
    tree.file("salt/t/item.jinja", "item {{ n }} of {{ pillar.name }}\n");
    tree.file("salt/t/raw.bin", "raw bytes\n");
    tree.file("pillar/top.sls", "base:\n  '*':\n    - p\n");
    tree.file("pillar/p.sls", "name: world\n");
    let _ = std::fs::remove_dir_all(PLACE);
    let _ = std::fs::remove_dir_all(format!("{PLACE}.before"));
    tree
}

/// Runs the second distance on this machine from the same state as the first: the place is put back to what it was
/// before the first call, and left as the second leaves it.
fn run_elsewhere(_tree: &Tree, run: impl FnOnce() -> Said, first: &Said) -> Said {
    let before = format!("{PLACE}.before");
    let _ = std::fs::remove_dir_all(PLACE);
    if std::path::Path::new(&before).exists() {
        copy(&before, PLACE);
    }
    let said = run();
    let _ = std::fs::remove_dir_all(&before);
    if std::path::Path::new(PLACE).exists() {
        copy(PLACE, &before);
    }
    assert!(!first.out.is_empty(), "{}", first.err);
    said
}

fn copy(from: &str, to: &str) {
    let done = std::process::Command::new("cp").args(["-a", from, to]).status().expect("cp");
    assert!(done.success());
}

/// The records without what no two runs share: times, process numbers, and who was asked.
fn result(said: &Said) -> String {
    let mut value = said.json();
    let answers = value.as_object_mut().expect("answers by minion");
    assert_eq!(answers.len(), 1, "{}", said.out);
    let mut one = answers.values_mut().next().expect("one answer").take();
    steady(&mut one);
    serde_json::to_string_pretty(&one).expect("JSON")
}

fn steady(value: &mut Value) {
    match value {
        Value::Object(map) => {
            for key in ["start_time", "duration", "pid"] {
                map.remove(key);
            }
            map.values_mut().for_each(steady);
        }
        Value::Array(items) => items.iter_mut().for_each(steady),
        _ => {}
    }
}
