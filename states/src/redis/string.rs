//! `redis.string`

use super::shared::Server;
use corpus_core::{Plan, PlanCx, State, StateError, Value, python};
use serde::Deserialize;

/// Keeps a text under a key of a Redis server. `host`, `port`, `db` and `password` say which; else `redis.host`… of
/// the configuration or the pillar.
///
/// ```sls
/// motd:
///   redis.string:
///     - value: Hello
///     - password: secret
/// ```
#[derive(Deserialize)]
pub struct String {
    /// The key.
    pub name: std::string::String,
    /// The text.
    pub value: Value,
    /// Let it live so many seconds, counted anew in each run.
    #[serde(default)]
    pub expire: Value,
    /// Let it live until this time, in seconds since 1970; it wins over `expire`.
    #[serde(default)]
    pub expireat: Value,
}

impl State for String {
    const NAME: &'static str = "redis.string";
    const OPEN: bool = true;

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let server = Server::of(cx, &["name", "value", "expire", "expireat"])?;
        let (key, value) = (&self.name, python::str(&self.value));
        let mut plan = Plan::unchanged("Key already set to defined value");
        let mut said = plan.unchanged.clone();
        if server.get(cx, key)? != value.as_str().into() {
            let args = vec![key.as_str().into(), value.as_str().into()];
            plan.push(server.call("redis.set_key", args), server.becomes(key, value));
            plan.changes.insert(key.as_str(), "Value updated");
            said = "Key updated to new value".into();
        }
        let expiry = if self.expireat.truthy() {
            let text = format!("Key expires at {}", python::str(&self.expireat));
            Some(("expireat", &self.expireat, text))
        } else if self.expire.truthy() {
            Some(("expire", &self.expire, format!("TTL set to {} seconds", python::str(&self.expire))))
        } else {
            None
        };
        if let Some((fun, when, text)) = expiry {
            plan.push(server.call(&format!("redis.{fun}"), vec![key.as_str().into(), when.clone()]), vec![]);
            plan.changes.insert(fun, text);
            plan.repeats = true;
        }
        Ok(plan.says(said.clone(), said))
    }
}
