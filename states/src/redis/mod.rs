//! What `redis.*` share: the server that is meant, questions to it and calls that change it.

use crate::docker_container::shared::rest;
use corpus_core::{Call, Effect, ExecError, Map, PlanCx, Prediction, StateError, Value};
use corpus_exec::redis::Redis;

/// A server, as a declaration names it.
pub struct Server {
    given: Map,
    redis: Redis,
}

impl Server {
    /// Reads what a declaration gives beyond the state's own arguments.
    pub fn of(cx: &PlanCx<'_>, own: &[&str]) -> Result<Self, StateError> {
        let given = rest(cx, own);
        let redis = Redis::of(&given, cx.data)?;
        Ok(Self { given, redis })
    }

    /// Asks something; a server that is not there may be brought by an earlier step.
    pub fn ask(&self, cx: &PlanCx<'_>, fun: &str, args: Vec<Value>) -> Result<Value, StateError> {
        ask(cx, fun, args, self.given.clone())
    }

    /// Returns the value of a key; null if there is none.
    pub fn get(&self, cx: &PlanCx<'_>, key: &str) -> Result<Value, StateError> {
        match cx.host.predicted(&self.redis.fact(key)) {
            Some(known) => Ok(known),
            None => self.ask(cx, "redis.get_key", vec![key.into()]),
        }
    }

    /// Tells whether a key is there, whatever it holds.
    pub fn has(&self, cx: &PlanCx<'_>, key: &str) -> Result<bool, StateError> {
        match cx.host.predicted(&self.redis.fact(key)) {
            Some(known) => Ok(!known.is_null()),
            None => Ok(self.ask(cx, "redis.exists", vec![key.into()])?.truthy()),
        }
    }

    /// Returns what an earlier step of a dry run makes of a fact.
    pub fn predicted(&self, cx: &PlanCx<'_>, key: &str) -> Option<Value> {
        cx.host.predicted(&self.redis.fact(key))
    }

    /// Makes the call that changes something.
    pub fn call(&self, fun: &str, args: Vec<Value>) -> Effect {
        let named = self.given.iter();
        let kwargs = named.filter_map(|(key, value)| Some((key.as_str()?.to_owned(), value.clone()))).collect();
        Effect::Call { fun: fun.into(), args, kwargs }
    }

    /// Tells what a key will hold.
    pub fn becomes(&self, key: &str, value: impl Into<Value>) -> Vec<Prediction> {
        vec![Prediction::Fact(self.redis.fact(key), value.into())]
    }
}

/// Asks a server something.
pub fn ask(cx: &PlanCx<'_>, fun: &str, args: Vec<Value>, kwargs: Map) -> Result<Value, StateError> {
    match cx.caller.call(&Call { fun: fun.into(), args, kwargs }) {
        Err(ExecError::Failed(why)) if why.contains("no server answers") => Err(StateError::Missing(why)),
        other => Ok(other?),
    }
}
