//! A fleet's pillar by five sources, as many minions at once as a call has threads. With `BENCH_PILLAR` it is the
//! workload of `tests/bench/pillar.py`: that many minions, and the figures are printed.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests count as tests")]

use corpus_core::exec::Caller;
use corpus_core::{Call, Data, ExecError, Map, Value};
use corpus_pillar::{Callers, EngineRenderer, PillarCache, PillarRequest, Sources, compile_pillar};
use corpus_render::{Engine, FileRoots};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

struct Nothing;

impl Caller for Nothing {
    fn call(&self, call: &Call) -> Result<Value, ExecError> {
        Err(ExecError::NotFound(call.fun.clone()))
    }
    fn has(&self, _: &str) -> bool {
        false
    }
    fn names(&self) -> Vec<String> {
        vec![]
    }
}

const THREADS: usize = 25;

fn write(dir: &Path, name: &str, text: &str) {
    let path = dir.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

/// Writes the files that `tests/bench/pillar.py` gives to Salt, too.
fn tree(dir: &Path, minions: usize) {
    write(dir, "pillar/top.sls", "base:\n  '*': [common]\n");
    let users: String = (0..50).map(|n| format!("  u{n}: {{uid: {n}, groups: [a, b]}}\n")).collect();
    write(
        dir,
        "pillar/common.sls",
        &format!("role: {{{{ 'web' if grains.os == 'Debian' else 'db' }}}}\nusers:\n{users}"),
    );
    write(dir, "stack/stack.cfg", "common/*.yml\nroles/{{ pillar.role }}.yml\nminions/{{ minion_id }}.yml\n");
    for n in 0..10 {
        write(dir, &format!("stack/common/{n}.yml"), &format!("stack: {{s{n}: {{{{ {n} + 1 }}}}, l: [{n}]}}\n"));
    }
    write(dir, "stack/roles/web.yml", "stack: {web: true}\n");
    for n in 0..minions {
        write(dir, &format!("tree/hosts/m{n}/motd"), &format!("this is {n}\n"));
        write(dir, &format!("tree/hosts/m{n}/app/port"), "80\n");
    }
}

fn setting(dir: &Path) -> Value {
    let at = |name: &str| dir.join(name).display().to_string();
    serde_json::from_value(serde_json::json!([
        {"stack": at("stack/stack.cfg")},
        {"file_tree": {"root_dir": at("tree")}},
        {"nodegroups": {}},
        {"cmd_json": "echo '{\"from_json\": \"%s\"}'"},
        {"cmd_yaml": "echo 'from_yaml: %s'"},
    ]))
    .unwrap()
}

/// Compiles the pillar of all minions; returns how long that took.
fn compile(dir: &Path, minions: usize, sources: &Sources, opts: &Map) -> Duration {
    let callers: Callers = Arc::new(|_| Arc::new(Nothing));
    let engine = Engine::new(FileRoots::base(dir.join("pillar")));
    let next = AtomicUsize::new(0);
    let began = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..THREADS.min(minions) {
            scope.spawn(|| {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= minions {
                        return;
                    }
                    let id = format!("m{n}");
                    let grains: Map = [("os", "Debian"), ("id", &id)].into_iter().collect();
                    let (grains, opts) = (grains.into(), opts.clone().into());
                    let data = Data { id: id.as_str().into(), grains, opts, ..Data::default() };
                    let request = PillarRequest {
                        data: Arc::new(data),
                        pillarenv: None,
                        saltenv: "base".into(),
                        override_: Map::new(),
                        sources,
                        callers: callers.clone(),
                        explain: false,
                        trust: Default::default(),
                    };
                    let renderer = EngineRenderer::new(engine.clone(), callers.clone());
                    let result = compile_pillar(&request, &renderer);
                    assert!(result.errors.is_empty(), "{:?}", result.errors);
                    let whole = Value::map(result.pillar);
                    let get = |key: &str| whole.traverse(key, ":").cloned();
                    assert_eq!(get("from_json"), Some(id.as_str().into()), "nobody has another's pillar");
                    assert_eq!(get("from_yaml"), Some(id.as_str().into()));
                    assert_eq!(get("motd"), Some(format!("this is {n}").into()));
                    assert_eq!(get("stack:s9"), Some(10.into()));
                    assert_eq!(get("nodegroups"), Some(vec!["all", "deb"].into()));
                }
            });
        }
    });
    began.elapsed()
}

#[test]
fn each_minion_has_its_own() {
    let asked: Option<usize> = std::env::var("BENCH_PILLAR").ok().and_then(|n| n.parse().ok());
    let minions = asked.unwrap_or(40);
    let dir = tempfile::tempdir().unwrap();
    tree(dir.path(), minions);
    let groups: Map = [("all", "*"), ("deb", "G@os:Debian"), ("none", "x*")].into_iter().collect();
    let opts: Map = [("nodegroups", groups)].into_iter().collect();
    let mut sources = Sources::of(&setting(dir.path()), &opts, &|entry| corpus_pillar::sources::make(entry));
    let plain = compile(dir.path(), minions, &sources, &opts);
    let cache = PillarCache::new(Some(dir.path().join("cache")), Duration::from_secs(600));
    sources.cache = Some(Arc::new(cache));
    let filling = compile(dir.path(), minions, &sources, &opts);
    let kept = compile(dir.path(), minions, &sources, &opts);
    sources.cache = Some(Arc::new(PillarCache::new(Some(dir.path().join("cache")), Duration::from_secs(600))));
    let disk = compile(dir.path(), minions, &sources, &opts);
    if asked.is_some() {
        for (name, took) in [("no cache", plain), ("filling", filling), ("memory", kept), ("disk", disk)] {
            println!("corpus\t{name}\t{:.2}\t{:.2}", took.as_secs_f64(), took.as_secs_f64() * 1000.0 / minions as f64);
        }
    }
}
