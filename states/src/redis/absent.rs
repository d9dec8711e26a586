//! `redis.absent`

use super::shared::Server;
use corpus_core::{Plan, PlanCx, State, StateError, Value, python};
use serde::Deserialize;

/// Keeps keys of a Redis server away. `host`, `port`, `db` and `password` say which.
///
/// ```sls
/// old:
///   redis.absent:
///     - keys: [motd, issue]
/// ```
#[derive(Deserialize)]
pub struct Absent {
    /// The key, unless `keys` lists several.
    pub name: String,
    /// Keys.
    #[serde(default)]
    pub keys: Value,
}

impl State for Absent {
    const NAME: &'static str = "redis.absent";
    const OPEN: bool = true;

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let server = Server::of(cx, &["name", "keys"])?;
        let (keys, said) = match &self.keys {
            keys if !keys.truthy() => (vec![self.name.clone()], "Key deleted"),
            Value::List(keys) => (keys.iter().map(python::str).collect(), "Keys deleted"),
            _ => return Err(StateError::failed("`keys` not formed as a list type")),
        };
        let mut there = vec![];
        for key in keys {
            if server.has(cx, &key)? {
                there.push(key);
            }
        }
        let mut plan = Plan::unchanged("Key(s) specified already absent");
        if there.is_empty() {
            return Ok(plan);
        }
        let gone = there.iter().flat_map(|key| server.becomes(key, Value::Null)).collect();
        let names: Vec<Value> = there.iter().map(|key| key.as_str().into()).collect();
        plan.push(server.call("redis.delete", names), gone);
        Ok(plan.change("deleted", there).says(said, said))
    }
}
