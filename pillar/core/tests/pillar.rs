//! Pillar compilation against recorded answers: small trees, compiled by Salt 3007.17's `Pillar` for one minion.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use corpus_core::exec::Caller;
use corpus_core::{Call, Data, Diagnostic, ExecError, Map, Value};
use corpus_pillar::{EngineRenderer, PillarRequest, PillarResult, PillarSource, compile_pillar};
use corpus_render::{Engine, FileRoots};
use serde_json::Value as Json;
use std::path::Path;
use std::sync::Arc;

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

fn map(json: &Json) -> Map {
    serde_json::from_value(json.clone()).unwrap()
}

fn compile(dir: &Path, case: &Json, grains: &Json, sources: &[&dyn PillarSource]) -> PillarResult {
    for (path, text) in case["files"].as_object().unwrap() {
        let path = dir.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text.as_str().unwrap()).unwrap();
    }
    let envs = case["envs"].as_array().unwrap().iter().map(|env| {
        let env = env.as_str().unwrap();
        (env.to_owned(), vec![dir.join(env)])
    });
    let renderer = EngineRenderer::new(Engine::new(FileRoots::new(envs)), Arc::new(Nothing));
    let data = Data {
        id: "web01".into(),
        saltenv: "base".into(),
        grains: Value::map(map(grains)),
        pillar: Value::map(Map::new()),
        opts: Value::map(map(&case["opts"])),
        ..Data::default()
    };
    let request = PillarRequest {
        data: Arc::new(data),
        pillarenv: case["pillarenv"].as_str().map(str::to_owned),
        saltenv: case["saltenv"].as_str().unwrap().to_owned(),
        override_: map(&case["override"]),
        sources,
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
        let result = compile(dir.path(), case, &table["grains"], &[]);
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
            "a.sls:3",
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
        let result = compile(dir.path(), &case(files), &serde_json::json!({"os": "Debian"}), &[]);
        let text = result.errors.iter().map(|e| e.to_text(None)).collect::<String>();
        assert!(text.contains(message) && text.contains(place), "{message} at {place}:\n{text}");
    }
    let dir = tempfile::tempdir().unwrap();
    let files = serde_json::json!({"base/top.sls": "base:\n  '*':\n    - usres\n", "base/users.sls": "x: 1\n"});
    let result = compile(dir.path(), &case(files), &serde_json::json!({}), &[]);
    assert!(result.errors[0].hints.contains(&"did you mean `users`?".to_owned()), "{:?}", result.errors);
}

struct Fixed(Result<Map, Diagnostic>);

impl PillarSource for Fixed {
    fn name(&self) -> &str {
        "fixed"
    }
    fn load(&self, _: &Data, _: &Map) -> Result<Map, Diagnostic> {
        self.0.clone()
    }
}

#[test]
fn merges_other_sources_over_the_files() {
    let files = serde_json::json!({"base/top.sls": "base:\n  '*':\n    - a\n", "base/a.sls": "x: {p: 1}\ny: 1\n"});
    let good = Fixed(Ok(map(&serde_json::json!({"x": {"q": 2}, "y": 2}))));
    let bad = Fixed(Err(Diagnostic::error("the server is away")));
    let dir = tempfile::tempdir().unwrap();
    let result = compile(dir.path(), &case(files), &serde_json::json!({}), &[&good, &bad]);
    assert_eq!(
        serde_json::to_string(&result.pillar).unwrap(),
        r#"{"x":{"p":1,"q":2},"y":2,"_errors":["Failed to load ext_pillar fixed: the server is away"]}"#
    );
}
