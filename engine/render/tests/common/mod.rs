//! What the suites share: an engine, and a context with a few functions.

use corpus_core::Value;
use corpus_core::exec::{Call, Caller, Data, ExecError};
use corpus_render::{Engine, FileRoots, RenderCx};
use std::path::Path;
use std::sync::Arc;

struct Functions(Value, Value);

impl Caller for Functions {
    fn call(&self, call: &Call) -> Result<Value, ExecError> {
        let from = match call.fun.as_str() {
            "pillar.get" => &self.0,
            "grains.get" => &self.1,
            "test.echo" => return Ok(call.args[0].clone()),
            // As the data function does: the merged copy.
            "defaults.merge" => {
                let (mut dest, src) = (call.args[0].clone(), call.args[1].clone());
                merge(&mut dest, &src);
                return Ok(dest);
            }
            "test.fail" => return Err(ExecError::failed("it failed")),
            other => return Err(ExecError::NotFound(other.into())),
        };
        let key = call.need(0, "key")?;
        Ok(from.traverse(&key, ":").cloned().unwrap_or_else(|| call.arg(1, "default").cloned().unwrap_or("".into())))
    }
    fn has(&self, fun: &str) -> bool {
        self.names().iter().any(|name| name == fun)
    }
    fn names(&self) -> Vec<String> {
        ["defaults.merge", "grains.get", "pillar.get", "test.echo", "test.fail"].map(str::to_owned).to_vec()
    }
}

fn merge(dest: &mut Value, src: &Value) {
    match (dest.as_map_mut(), src.as_map()) {
        (Some(dest), Some(src)) => {
            for (key, value) in src {
                merge(dest.0.entry(key.clone()).or_default(), value);
            }
        }
        _ => *dest = src.clone(),
    }
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("good JSON")
}

/// Makes the context of a rendering.
pub fn context() -> RenderCx {
    let pillar = json(
        r#"{"web":{"port":80,"names":["a","b"],"on":true,"none":null},
            "users":[{"name":"bob","uid":1000},{"name":"al","uid":5}],
            "txt":"line1\nline2","f":1.5,"list":[3,1,2],"empty":{}}"#,
    );
    let grains = json(r#"{"os":"Debian","os_family":"Debian","id":"m1","num_cpus":4,"roles":["web","db"]}"#);
    let data = Data {
        id: "m1".into(),
        saltenv: "base".into(),
        grains: grains.clone(),
        pillar: pillar.clone(),
        ..Data::default()
    };
    RenderCx::new(Arc::new(data), Arc::new(Functions(pillar, grains)))
}

#[allow(dead_code, reason = "not every suite uses it")]
/// Makes an engine over a directory of this crate.
pub fn engine_of(dir: &str) -> Engine {
    Engine::new(FileRoots::base(Path::new(env!("CARGO_MANIFEST_DIR")).join(dir)))
}
