//! The sources of pillar against recorded answers: configurations and files, compiled by Salt's own `Pillar`.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use corpus_core::exec::Caller;
use corpus_core::{Call, Data, ExecError, Map, Value};
use corpus_pillar::{Callers, EngineRenderer, PillarRequest, PillarResult, Sources, compile_pillar};
use corpus_render::{Engine, FileRoots};
use serde_json::Value as Json;
use std::path::Path;
use std::sync::Arc;

/// Cases on which we differ, and why.
const DIFFERENCES: &[(&str, &str)] = &[
    ("saltclass caret", "Salt 3007 joins before it looks for `^`, as its templates' __pillar__ shares the lists"),
    ("saltclass lists", "for the same reason Salt 3007 has the second list twice"),
    ("stack do", "a template does not write into the stack itself"),
    ("stack unknown strategy", "the strategies are named without Python's parentheses"),
];

/// Templates here call only this.
struct Echo;

impl Caller for Echo {
    fn call(&self, call: &Call) -> Result<Value, ExecError> {
        call.args.first().cloned().ok_or_else(|| ExecError::NotFound(call.fun.clone()))
    }
    fn has(&self, fun: &str) -> bool {
        fun == "test.echo"
    }
    fn names(&self) -> Vec<String> {
        vec!["test.echo".into()]
    }
}

fn write(dir: &Path, case: &Json) {
    for (name, text) in case["files"].as_object().unwrap() {
        let path = dir.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        match text["link"].as_str() {
            Some(to) => std::os::unix::fs::symlink(there(to, dir), path).unwrap(),
            None => std::fs::write(path, there(text.as_str().unwrap(), dir)).unwrap(),
        }
    }
}

fn there(text: &str, dir: &Path) -> String {
    text.replace("$DIR", dir.to_str().unwrap())
}

fn map(json: &Json, dir: &Path) -> Map {
    if json.is_null() { Map::new() } else { serde_json::from_str(&there(&json.to_string(), dir)).unwrap() }
}

fn compile(dir: &Path, case: &Json, grains: &Json) -> PillarResult {
    write(dir, case);
    let callers: Callers = Arc::new(|_| Arc::new(Echo));
    let roots = FileRoots::base(dir.join("pillar"));
    let renderer = EngineRenderer::new(Engine::new(roots), callers.clone());
    let mut opts = map(&case["opts"], dir);
    opts.insert("id", "master");
    opts.insert("pillarenv", case["pillarenv"].as_str());
    let roots: Map = [("base", Value::from(vec![dir.join("pillar").to_str().unwrap()]))].into_iter().collect();
    opts.insert("pillar_roots", roots);
    let setting: Value = serde_json::from_str(&there(&case["ext_pillar"].to_string(), dir)).unwrap();
    let sources = Sources::of(&setting, &opts, &|entry| corpus_pillar::sources::make(entry));
    let data = Data {
        id: "web01".into(),
        saltenv: case["saltenv"].as_str().unwrap_or("base").into(),
        grains: Value::map(map(grains, dir)),
        pillar: Value::map(Map::new()),
        opts: opts.into(),
        ..Data::default()
    };
    let request = PillarRequest {
        saltenv: data.saltenv.to_string(),
        data: Arc::new(data),
        pillarenv: case["pillarenv"].as_str().map(str::to_owned),
        override_: map(&case["override"], dir),
        sources: &sources,
        callers,
        // The places must not change the answer.
        explain: true,
        trust: Default::default(),
    };
    compile_pillar(&request, &renderer)
}

#[test]
fn gives_what_salt_gives() {
    let table: Json = serde_json::from_str(include_str!("sources.json")).unwrap();
    let mut wrong = Vec::new();
    for case in table["cases"].as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let result = compile(dir.path(), case, &table["grains"]);
        let ours: Json = serde_json::to_value(&result.pillar).unwrap();
        let salt: Json = serde_json::from_str(&there(&case["pillar"].to_string(), dir.path())).unwrap();
        match (ours == salt, DIFFERENCES.iter().any(|(known, _)| *known == name)) {
            (false, false) => wrong.push(format!("{name}\n   salt {salt}\n   ours {ours}\n   {:?}", result.errors)),
            (true, true) => wrong.push(format!("{name}: no difference any more")),
            _ => {}
        }
        // What was explained leads to the same values, but for those that are computed of several.
        let computed = ["stack merge-first", "saltclass refs", "saltclass"].contains(&name);
        for (key, value) in &result.pillar {
            let last = result.origins.of(std::slice::from_ref(key)).from.pop().map(|origin| origin.value);
            let plain = value.as_map().is_none() && value.as_list().is_none() && key.as_str() != Some("_errors");
            if plain && !computed && last.as_ref() != Some(value) {
                wrong.push(format!("{name}: {key:?} is {value:?}, explained as {last:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Compiles with an `ext_pillar` and returns the messages.
fn messages(ext_pillar: Json, files: Json) -> String {
    let dir = tempfile::tempdir().unwrap();
    let case = serde_json::json!({"files": files, "opts": {}, "ext_pillar": ext_pillar});
    let result = compile(dir.path(), &case, &serde_json::json!({"os": "Debian"}));
    result.errors.iter().map(|error| error.to_text(None)).collect()
}

#[test]
fn says_what_is_wrong() {
    use serde_json::json;
    let stack = |f: &str| json!({"stack/stack.cfg": "f.yml\n", "stack/f.yml": f});
    let cfg = || json!([{"stack": "$DIR/stack/stack.cfg"}]);
    for (ext, files, expected) in [
        (json!([{"file_tree": null, "root_dir": "/x"}]), json!({}), "indent the arguments of `file_tree`"),
        (json!([{"cmd_jsn": "x"}]), json!({}), "the source 'cmd_jsn' is not built\nhint: did you mean `cmd_json`?"),
        (json!([{"reclass_adapter": {}}]), json!({}), "reclass --nodeinfo"),
        (json!([{"makostack": "x"}]), json!({}), "`stack` does the same with Jinja"),
        (json!([{"my_own": "x"}]), json!({}), "become programs for `cmd_json`"),
        (json!([{"file_tree": {"root": "/x"}}]), json!({}), "its arguments are: root_dir, "),
        (json!([{"file_tree": {"root_dir": "/nowhere"}}]), json!({}), "root_dir /nowhere does not exist"),
        (json!([{"cmd_yaml": "echo oops >&2; exit 3"}]), json!({}), "ended with exit status: 3: oops"),
        (json!([{"cmd_yaml": "echo 'a: ['"}]), json!({}), "the output of `echo` cannot be read"),
        (json!([{"cmd_json": "echo '[1]'"}]), json!({}), "is a list, not a mapping"),
        (json!([{"cmd_yamlex": "echo 'a: !aggregate 1'"}]), json!({}), "!aggregate and !reset of yamlex are not built"),
        (json!([{"stack": {"role:x": {}}}]), json!({}), "Unknown traverse option \"role\""),
        (cfg(), stack("a: 1\nb: [\n"), "stack/f.yml:2:4"),
        (cfg(), stack("a: 1\nb: {{ x.y.z }}\n"), "stack/f.yml:2"),
        (cfg(), stack("__: nope\na: 1\n"), "Unknown strategy \"nope\""),
        (
            json!([{"saltclass": [{"path": "$DIR/sc"}]}]),
            json!({"sc/nodes/web01.yml": "pillars: [1]\n"}),
            "sc/nodes/web01.yml:1:10",
        ),
    ] {
        let said = messages(ext, files);
        assert!(said.contains(expected), "{expected}\n{said}");
    }
}

#[test]
fn a_command_that_hangs_is_ended_with_its_children() {
    let dir = tempfile::tempdir().unwrap();
    let mark = dir.path().join("mark");
    let command = format!("(sleep 2; touch {}) & sleep 60", mark.display());
    let setting: Value = serde_json::from_value(serde_json::json!([{"cmd_yaml": command}])).unwrap();
    let opts: Map = [("corpus_pillar_timeout", 1)].into_iter().collect();
    let sources = Sources::of(&setting, &opts, &|entry| corpus_pillar::sources::make(entry));
    let callers: Callers = Arc::new(|_| Arc::new(Echo));
    let renderer = EngineRenderer::new(Engine::new(FileRoots::base(dir.path())), callers.clone());
    let request = PillarRequest {
        data: Arc::new(Data { id: "web01".into(), ..Data::default() }),
        pillarenv: None,
        saltenv: "base".into(),
        override_: Map::new(),
        sources: &sources,
        callers,
        explain: false,
        trust: Default::default(),
    };
    let began = std::time::Instant::now();
    let result = compile_pillar(&request, &renderer);
    assert!(began.elapsed().as_secs() < 2);
    assert!(result.errors[0].message.contains("ext_pillar cmd_yaml"), "{:?}", result.errors);
    std::thread::sleep(std::time::Duration::from_millis(1600));
    assert!(!mark.exists(), "the command's child went on");
}
