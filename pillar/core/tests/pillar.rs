//! Pillar compilation against recorded answers: small trees, compiled by Salt 3008.3's `Pillar` for one minion.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use corpus_core::exec::Caller;
use corpus_core::{Call, Data, Diagnostic, ExecError, Map, Value};
use corpus_pillar::{
    Ask, Callers, EngineRenderer, Given, PillarRequest, PillarResult, PillarSource, Sees, Sources, compile_pillar,
};
use corpus_render::{Engine, FileRoots};
use serde_json::Value as Json;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Cases on which we differ, and why.
const DIFFERENCES: &[(&str, &str)] = &[];

/// Templates here call nothing.
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

fn callers() -> Callers {
    Arc::new(|_| Arc::new(Nothing))
}

fn map(json: &Json) -> Map {
    serde_json::from_value(json.clone()).unwrap()
}

fn compile(dir: &Path, case: &Json, grains: &Json, sources: &Sources) -> PillarResult {
    for (path, text) in case["files"].as_object().unwrap() {
        let path = dir.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text.as_str().unwrap()).unwrap();
    }
    // An environment is a name, which is its folder as well, or a name with folders.
    let envs = case["envs"].as_array().unwrap().iter().map(|env| match env.as_str() {
        Some(env) => (env.to_owned(), vec![dir.join(env)]),
        None => {
            let folders = env[1].as_array().unwrap().iter().map(|folder| dir.join(folder.as_str().unwrap()));
            (env[0].as_str().unwrap().to_owned(), folders.collect())
        }
    });
    let renderer = EngineRenderer::new(Engine::new(FileRoots::new(envs)), callers());
    let mut opts = map(&case["opts"]);
    opts.insert("id", "web01");
    let data = Data {
        id: "web01".into(),
        saltenv: "base".into(),
        grains: Value::map(map(grains)),
        pillar: Value::map(Map::new()),
        opts: Value::map(opts),
        ..Data::default()
    };
    let request = PillarRequest {
        data: Arc::new(data),
        pillarenv: case["pillarenv"].as_str().map(str::to_owned),
        saltenv: case["saltenv"].as_str().unwrap().to_owned(),
        override_: map(&case["override"]),
        sources,
        callers: callers(),
        explain: true,
        trust: Default::default(),
    };
    compile_pillar(&request, &renderer)
}

#[test]
fn compiles_what_salt_compiles() {
    let table: Json = serde_json::from_str(include_str!("pillars.json")).unwrap();
    let mut wrong = Vec::new();
    for case in table["cases"].as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        if DIFFERENCES.iter().any(|(n, _)| *n == name) {
            continue;
        }
        let dir = tempfile::tempdir().unwrap();
        let result = compile(dir.path(), case, &table["grains"], &Sources::default());
        let (ours, salt) =
            (serde_json::to_string(&result.pillar).unwrap(), serde_json::to_string(&case["pillar"]).unwrap());
        if ours != salt {
            wrong.push(format!("{name}\n   salt {salt}\n   ours {ours}\n   {:?}", result.errors));
        }
        // Every line of `_errors` has its diagnostic.
        let told = result.errors.len();
        let lines = result.pillar.get("_errors").and_then(Value::as_list).map_or(0, <[_]>::len);
        assert!(told >= lines, "{name}: {told} diagnostics for {lines} errors");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn case(files: Json) -> Json {
    serde_json::json!({
        "files": files, "opts": {}, "envs": ["base"], "pillarenv": null, "saltenv": "base", "override": {},
    })
}

#[test]
fn points_at_the_mistake() {
    for (files, message, place) in [
        (
            serde_json::json!({"base/top.sls": "base:\n  '*':\n    - a\n", "base/a.sls": "x: 1\ny: [\n"}),
            "did not find expected node content",
            "a.sls:2:4",
        ),
        (
            serde_json::json!({"base/top.sls": "base:\n  'web* and':\n    - a\n"}),
            "Invalid compound target: web* and: a target is missing at the end",
            "top.sls:2:3",
        ),
        (
            serde_json::json!({"base/top.sls": "base:\n  '*': a\n"}),
            "expected a list of SLS names, found str",
            "top.sls:2:8",
        ),
        (
            serde_json::json!({"base/top.sls": "base:\n  'os:Debian':\n    - match: grian\n    - a\n"}),
            "unknown matcher: grian; did you mean `grain`?",
            "top.sls:3:14",
        ),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let result = compile(dir.path(), &case(files), &serde_json::json!({"os": "Debian"}), &Sources::default());
        let text = result.errors.iter().map(|e| e.to_text(None)).collect::<String>();
        assert!(text.contains(message) && text.contains(place), "{message} at {place}:\n{text}");
    }
    let dir = tempfile::tempdir().unwrap();
    let files = serde_json::json!({"base/top.sls": "base:\n  '*':\n    - usres\n", "base/users.sls": "x: 1\n"});
    let result = compile(dir.path(), &case(files), &serde_json::json!({}), &Sources::default());
    assert!(result.errors[0].hints.contains(&"did you mean `users`?".to_owned()), "{:?}", result.errors);
}

/// A source that answers after a while.
struct Fixed(&'static str, u64, Result<Map, Diagnostic>);

impl PillarSource for Fixed {
    fn name(&self) -> &str {
        self.0
    }
    fn identity(&self) -> String {
        self.0.into()
    }
    fn sees(&self) -> Sees {
        Sees::ID
    }
    fn load(&self, _: &Ask) -> Result<Given, Diagnostic> {
        std::thread::sleep(Duration::from_millis(self.1));
        self.2.clone().map(Given::from)
    }
}

fn sources(list: Vec<Fixed>) -> Sources {
    let list = list.into_iter().map(|source| Arc::new(source) as Arc<dyn PillarSource>).collect();
    Sources { list, timeout: Some(Duration::from_millis(700)), ..Sources::default() }
}

fn two_files() -> Json {
    serde_json::json!({"base/top.sls": "base:\n  '*':\n    - a\n", "base/a.sls": "x: {p: 1}\ny: 1\n"})
}

#[test]
fn merges_other_sources_over_the_files() {
    let good = Fixed("good", 0, Ok(map(&serde_json::json!({"x": {"q": 2}, "y": 2}))));
    let bad = Fixed("bad", 0, Err(Diagnostic::error("the server is away")));
    let dir = tempfile::tempdir().unwrap();
    let result = compile(dir.path(), &case(two_files()), &serde_json::json!({}), &sources(vec![good, bad]));
    assert_eq!(
        serde_json::to_string(&result.pillar).unwrap(),
        r#"{"x":{"p":1,"q":2},"y":2,"_errors":["Failed to load ext_pillar bad: the server is away"]}"#
    );
}

#[test]
fn asks_sources_at_once_and_not_for_ever() {
    let slow = |name, n| Fixed(name, 400, Ok(map(&serde_json::json!({"n": n, name: 1}))));
    let hung = Fixed("hung", 60_000, Ok(Map::new()));
    let dir = tempfile::tempdir().unwrap();
    let began = Instant::now();
    let list = sources(vec![slow("a", 1), slow("b", 2), hung, slow("c", 3)]);
    let result = compile(dir.path(), &case(two_files()), &serde_json::json!({}), &list);
    let took = began.elapsed();
    assert!(took < Duration::from_millis(1500), "one after the other they take longer: {took:?}");
    // The order is the configuration's, whoever answers first.
    assert_eq!(result.pillar.get("n"), Some(&3.into()));
    let errors = result.pillar.get("_errors").unwrap();
    assert_eq!(errors, &Value::from(vec!["Failed to load ext_pillar hung: no answer within 0 seconds"]));
    assert!(result.errors[0].hints[0].contains("corpus_pillar_timeout"));
}

#[test]
fn a_panic_of_a_source_is_its_error() {
    struct Panics;
    impl PillarSource for Panics {
        fn name(&self) -> &str {
            "panics"
        }
        fn identity(&self) -> String {
            String::new()
        }
        fn sees(&self) -> Sees {
            Sees::ALL
        }
        fn load(&self, _: &Ask) -> Result<Given, Diagnostic> {
            panic!("on purpose")
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let list = Sources { list: vec![Arc::new(Panics)], ..Sources::default() };
    let result = compile(dir.path(), &case(two_files()), &serde_json::json!({}), &list);
    assert!(result.errors[0].message.contains("ext_pillar panics: it panicked"), "{:?}", result.errors);
    assert_eq!(result.pillar.get("y"), Some(&1.into()));
}

#[test]
fn tells_where_values_came_from() {
    let files = serde_json::json!({
        "base/top.sls": "base:\n  '*':\n    - a\n    - b\n",
        "base/a.sls": "{% set v = 7 %}\nx:\n  p: 1\n  q: {{ v }}\nl: [1]\n",
        "base/b.sls": "include:\n  - c: {key: deep}\nx:\n  p: 2\n",
        "base/c.sls": "inner: 5\n",
    });
    let over = Fixed("over", 0, Ok(map(&serde_json::json!({"x": {"p": 3}, "l": 1}))));
    let dir = tempfile::tempdir().unwrap();
    let result = compile(dir.path(), &case(files), &serde_json::json!({}), &sources(vec![over]));
    let story = |path: &[&str]| {
        let path: Vec<Value> = path.iter().map(|key| Value::str(*key)).collect();
        let story = result.origins.of(&path);
        let show = |origin: &corpus_pillar::Origin| {
            let place = origin.place.as_ref().map(ToString::to_string).unwrap_or_default();
            format!("{} {place} {}", origin.source, corpus_core::python::repr(&origin.value)).replace("  ", " ")
        };
        (story.from.iter().map(show).collect::<Vec<_>>(), story.overrode.iter().map(show).collect::<Vec<_>>())
    };
    let texts = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
    assert_eq!(
        story(&["x", "p"]),
        (texts(&["over 3"]), texts(&["pillar SLS b (base) b.sls:4:3 2", "pillar SLS a (base) a.sls:3:3 1"]))
    );
    assert_eq!(story(&["x", "q"]), (texts(&["pillar SLS a (base) a.sls:4:3 7"]), vec![]));
    assert_eq!(story(&["deep", "inner"]), (texts(&["pillar SLS b (base) c.sls:1:1 5"]), vec![]));
    assert_eq!(story(&["l"]), (texts(&["over 1"]), texts(&["pillar SLS a (base) a.sls:5:1 [1]"])));
    assert_eq!(story(&["x"]).0.len(), 3, "a mapping has all who put something into it");
    assert_eq!(story(&["nope"]), (vec![], vec![]));
}
