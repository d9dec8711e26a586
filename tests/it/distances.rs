//! The same states by a function call, through a pipe, and over SSH: the results must be equal to the byte.

use crate::lab_or_skip;
use crate::support::{HOSTS, Lab, Said, Tree, minion};
use serde_json::Value;
use std::path::Path;

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
    (
        "more files",
        r"
$PLACE/m:
  file.directory: []
$PLACE/m/conf:
  file.managed:
    - contents: |
        # old
        port = 80
        host = a
        #user = x
    - replace: False
replace:
  file.replace:
    - name: $PLACE/m/conf
    - pattern: 'port = \d+'
    - repl: port = 8080
line:
  file.line:
    - name: $PLACE/m/conf
    - content: line = 1
    - mode: ensure
    - after: 'port.*'
block:
  file.blockreplace:
    - name: $PLACE/m/conf
    - marker_start: '# start'
    - marker_end: '# end'
    - content: in the block
    - append_if_not_found: True
key:
  file.keyvalue:
    - name: $PLACE/m/conf
    - key: host
    - value: b
    - separator: ' = '
uncommented:
  file.uncomment:
    - name: $PLACE/m/conf
    - regex: user
$PLACE/m/json:
  file.serialize:
    - dataset: {b: 1, a: [x, 2]}
    - serializer: json
$PLACE/m/yaml:
  file.serialize:
    - dataset: {b: 1, a: [x, 'yes']}
    - serializer: yaml
accumulated:
  file.accumulated:
    - filename: $PLACE/m/list
    - text: [one, two]
    - require_in: [{file: $PLACE/m/list}]
$PLACE/m/list:
  file.managed:
    - source: salt://t/list.jinja
    - template: jinja
touched:
  file.touch:
    - name: $PLACE/m/touched
copied:
  file.copy:
    - name: $PLACE/m/copy
    - source: $PLACE/m/conf
prepended:
  file.prepend:
    - name: $PLACE/m/copy
    - text: first
",
    ),
    (
        "engine words",
        "
$PLACE:
  file.directory: []
names:
  file.managed:
    - names: [$PLACE/n1, {$PLACE/n2: [{contents: two}]}]
    - contents: one
    - order: 1
    - makedirs: True
told:
  test.succeed_with_changes: []
heard:
  test.nop:
    - listen: [{test: told}]
before:
  cmd.run:
    - name: echo before
    - prereq: [{file: $PLACE/later}]
$PLACE/later:
  file.managed:
    - contents: later
tried:
  cmd.run:
    - name: exit 1
    - retry: {attempts: 2, interval: 0}
checked:
  cmd.run:
    - name: echo checked
    - check_cmd: ['true']
refused:
  cmd.run:
    - name: echo refused
    - check_cmd: ['false']
notified:
  test.show_notification:
    - text: __slot__:salt:test.echo(slot)
side1:
  cmd.run:
    - name: echo side
    - parallel: True
guarded:
  cmd.run:
    - name: echo guarded
    - unless: test -e $PLACE/later
    - require: [{file: $PLACE/later}]
first:
  test.nop:
    - order: first
stop:
  test.fail_without_changes:
    - failhard: True
    - order: last
",
    ),
    (
        "data",
        "
{% import_yaml 'm/defaults.yaml' as defaults %}
{% set map = salt['grains.filter_by'](defaults, default='one', merge=salt['pillar.get']('over', {})) %}
{% from 'm/macros.jinja' import keep with context %}
{{ keep(map.path, map) }}
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
    (
        "modules",
        "
{% set said = salt['probe.say']('a word') %}
$PLACE/said:
  file.managed:
    - contents: '{{ said }} {{ 'probe.none' in salt }}'
    - makedirs: True
touched:
  module.run:
    - probe.touch:
      - $PLACE/touched
fails:
  module.run:
    - probe.fail: []
asked:
  test.nop:
    - unless: [{fun: probe.say, args: [x]}]
slot:
  test.show_notification:
    - text: __slot__:salt:probe.say(slot)
",
    ),
];

/// A module in shell: what it says depends on its arguments, pillar and grains, which come on its standard input.
const PROBE: &str = r#"#!/bin/sh
request=$(cat)
case $request in
    *'"describe":true'*)
        echo '{"functions": {"say": {"reads": true, "pillar": true}, "touch": {}, "fail": {}}}' ;;
    *'"fun":"say","args":["'*'"pillar":{"name":"world"'*)
        word=${request#*'"args":["'}
        echo "{\"result\": \"${word%%\"*} of $# arguments in $(pwd)\"}" ;;
    *'"fun":"touch","args":["'*)
        path=${request#*'"args":["'}
        : > "${path%%\"*}" && echo '{"result": "touched"}' ;;
    *) echo 'it cannot be helped' >&2; exit 3 ;;
esac
"#;

/// What changes the system: only ever done on throw-away hosts.
const ON_HOSTS: &[(&str, &str)] = &[
    (
        "people",
        "
corpustest-g:
  group.present:
    - gid: 7461
corpustest-u:
  user.present:
    - uid: 7462
    - gid: 7461
    - home: /home/corpustest-u
    - shell: /bin/sh
    - fullname: Ada
    - require: [{group: corpustest-g}]
/home/corpustest-u/notes:
  file.managed:
    - contents: mine
    - user: corpustest-u
    - group: corpustest-g
    - require: [{user: corpustest-u}]
as-her:
  cmd.run:
    - name: id -un; pwd
    - runas: corpustest-u
    - cwd: /home/corpustest-u
    - require: [{user: corpustest-u}]
key:
  ssh_auth.present:
    - user: corpustest-u
    - enc: ssh-ed25519
    - name: AAAAC3NzaC1lZDI1NTE5AAAAIJ9m0Qk7nq0sXW3oV5B0K1uF6cQ8m1kq2yS0r3h4v5w6
    - comment: ada@example
    - require: [{user: corpustest-u}]
names:
  host.present:
    - ip: 192.0.2.7
    - names: [corpustest.example, corpustest]
",
    ),
    (
        "people leave",
        "
corpustest-u:
  user.absent:
    - purge: True
corpustest-g:
  group.absent:
    - require: [{user: corpustest-u}]
",
    ),
    ("no such package and service", "corpustest-nopkg:\n  pkg.removed: []\ncorpustest-nosrv:\n  service.dead: []\n"),
];

#[test]
fn results_are_equal_on_hosts_of_their_own() {
    let lab = lab_or_skip!();
    let hosts = [HOSTS - 2, HOSTS - 1, HOSTS];
    for (name, sls) in ON_HOSTS {
        let tree = tree(sls);
        for host in &hosts[..2] {
            install(lab, *host, &tree);
        }
        for words in [
            &["state.apply", "s", "test=True", "--out=json"][..],
            &["state.apply", "s", "--out=json"],
            &["state.apply", "s", "--out=json"],
        ] {
            let call = inside(lab, hosts[0], &tree, words, "");
            let pipe = inside(lab, hosts[1], &tree, words, "--pipe");
            let mut all = vec!["*"];
            all.extend(words);
            let ssh = lab.ssh(&tree, &lab.roster(hosts[2]), &all);
            let expected = result(&call);
            assert_eq!(expected, result(&pipe), "{name}, {words:?}: call and pipe differ");
            assert_eq!(expected, result(&ssh), "{name}, {words:?}: call and SSH differ");
            assert_eq!((call.code, call.code), (pipe.code, ssh.code), "{name}, {words:?}: exit codes differ");
        }
    }
}

/// Puts the tree and both programs on a host, where they lie here.
fn install(lab: &Lab, host: usize, tree: &Tree) {
    let root = lab.dir.join(format!("h{host}/root"));
    let below = |path: &Path| root.join(path.strip_prefix("/").expect("an absolute path"));
    let place = below(tree.path());
    std::fs::create_dir_all(place.parent().expect("a folder")).expect("a folder");
    copy(&tree.path().display().to_string(), &place.display().to_string());
    for (from, name) in [(Path::new(env!("CARGO_BIN_EXE_corpus")).to_owned(), "corpus"), (minion(), "corpus-minion")] {
        let to = root.join("opt").join(name);
        std::fs::create_dir_all(root.join("opt")).expect("a folder");
        if !to.exists() {
            std::fs::copy(from, to).expect("a program can be copied");
        }
    }
}

/// Runs the program on a host itself.
fn inside(lab: &Lab, host: usize, tree: &Tree, words: &[&str], how: &str) -> Said {
    let at = tree.path().display();
    let roots = format!("-c {at}/etc --file-root {at}/salt --pillar-root {at}/pillar");
    lab.inside(host, &format!("/opt/corpus --local {how} {roots} {}", words.join(" ")))
}

#[test]
fn results_are_equal_at_all_distances() {
    let lab = lab_or_skip!();
    for (name, sls) in SCENARIOS {
        wipe();
        let tree = tree(sls);
        for words in [
            &["state.apply", "s", "test=True", "--out=json"][..],
            &["state.apply", "s", "--out=json"],
            &["state.apply", "s", "--out=json"],
        ] {
            let call = tree.local(words);
            let mut piped = vec!["--pipe"];
            piped.extend(words);
            let pipe = run_elsewhere(&tree, || tree.local(&piped), &call);
            let mut all = vec!["*"];
            all.extend(words);
            let ssh = lab.ssh(&tree, &lab.roster(1), &all);
            let call_result = result(&call);
            // Equal, and not equally broken.
            let slot = "slot of 0 arguments in /";
            assert_eq!(call_result.contains(slot), *name == "modules", "{name}, {words:?}: {call_result}");
            assert_eq!(call_result, result(&pipe), "{name}, {words:?}: call and pipe differ");
            assert_eq!(call_result, result(&ssh), "{name}, {words:?}: call and SSH differ");
            assert_eq!((call.code, call.code), (pipe.code, ssh.code), "{name}, {words:?}: exit codes differ");
        }
        wipe();
        lab.inside(1, &format!("rm -rf {PLACE}"));
    }
}

/// A macro as formulas have them.
const MACROS: &str = "\
{% macro keep(path, map) -%}
{{ path }}:
  file.managed:
    - makedirs: True
    - mode: '{{ map.mode }}'
    - contents: |
        {{ map.lines | join(' ') }} {{ pillar.name }} {{ saltenv }} {{ sls }}
{%- endmacro %}
";

fn tree(sls: &str) -> Tree {
    let tree = Tree::new();
    tree.file("salt/s.sls", &sls.replace("$PLACE", PLACE));
    tree.file("salt/t/item.jinja", "item {{ n }} of {{ pillar.name }}\n");
    tree.file("salt/t/raw.bin", "raw bytes\n");
    tree.file("salt/t/list.jinja", "{{ accumulator['accumulated'] | join(',') }}\n");
    tree.file("salt/m/defaults.yaml", "one:\n  path: /none\n  mode: '0600'\n  lines: [a, b]\n");
    tree.file("salt/m/macros.jinja", MACROS);
    tree.program("salt/_modules/probe", PROBE);
    tree.file("pillar/top.sls", "base:\n  '*':\n    - p\n    - q\n");
    tree.file("pillar/p.sls", "name: world\nover: {lines: [z]}\n");
    tree.file("pillar/q.sls", &format!("over: {{path: {PLACE}/data/x}}\n"));
    tree
}

/// Empties the place on this machine; only one test works there.
fn wipe() {
    let _ = std::fs::remove_dir_all(PLACE);
    let _ = std::fs::remove_dir_all(format!("{PLACE}.before"));
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
