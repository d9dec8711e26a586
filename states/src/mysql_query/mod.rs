//! What `mysql_query.*` share: whether a query is to be put, and where its answer goes.

use corpus_core::plan::{Observed, Settled};
use corpus_core::{Call, Effect, Map, Plan, PlanCx, StateError, Value, python};
use corpus_exec::ask;
use corpus_exec::mysql::Server;

/// Where an answer goes.
pub struct Keep<'a> {
    pub output: Option<&'a str>,
    pub grain: Option<&'a str>,
    pub key: Option<&'a str>,
    pub overwrite: bool,
}

impl Keep<'_> {
    /// Names the place, with what stands there already.
    fn place(&self, cx: &PlanCx<'_>) -> Result<(String, bool), StateError> {
        match (self.output, self.grain, self.key) {
            (None, ..) => Ok((String::new(), false)),
            (Some("grain"), None, _) => {
                Err(StateError::failed("Error: output type 'grain' needs the grain parameter\n"))
            }
            (Some("grain"), Some(grain), key) => {
                let have = cx.caller.call(&Call::new("grains.get", vec![grain.into()]))?;
                let there = match key {
                    None => have.truthy(),
                    Some(key) => have.get(key).is_some(),
                };
                let key = key.map(|key| format!(":{key}")).unwrap_or_default();
                Ok((format!("Grain {grain}{key}"), there))
            }
            (Some(path), ..) => Ok((format!("File {path}"), ask::exists(cx.host, path))),
        }
    }

    /// Plans the query.
    pub fn plan(
        &self,
        cx: &PlanCx<'_>,
        server: &Server,
        database: &str,
        sql: &str,
        checked: bool,
    ) -> Result<Plan, StateError> {
        if checked && server.database(cx.host, database).map_err(crate::mysql_user::shared::refused)?.is_none() {
            return Err(StateError::missing(format!("Database {database} is not present")));
        }
        let (place, there) = self.place(cx)?;
        if there && !self.overwrite {
            return Ok(Plan::unchanged(format!("No execution needed. {place} already set")));
        }
        let storing = match place.split_once(' ') {
            None => "not storing result".to_owned(),
            Some((kind, rest)) => format!("storing result in {}: {rest}", kind.to_lowercase()),
        };
        let told = match place.split_once(' ') {
            None => "Executed".to_owned(),
            Some(("Grain", rest)) => format!("Executed. Output into grain: {rest}"),
            Some((_, rest)) => format!("Executed. Output into {rest}"),
        };
        let mut plan = Plan::default().says(format!("Query would execute, {storing}"), "").change("query", told);
        let mut kwargs: Vec<(String, Value)> = connection(cx);
        let mut ask: Map = [("database", database), ("query", sql)].into_iter().collect();
        for (name, value) in [("output", self.output), ("grain", self.grain), ("key", self.key)] {
            ask.insert(name, value.map(Value::from).unwrap_or_default());
        }
        kwargs.extend(ask.into_iter().map(|(key, value)| (python::str(&key), value)));
        plan.push(Effect::Call { fun: "mysql.query_kept".into(), args: vec![], kwargs }, vec![]);
        Ok(plan)
    }
}

/// Returns the arguments of the connection, for the function that asks.
fn connection(cx: &PlanCx<'_>) -> Vec<(String, Value)> {
    let all = corpus_core::state::arguments(cx.low).into_iter();
    let named = all.filter_map(|(key, value)| Some((key.as_str()?.to_owned(), value)));
    named.filter(|(key, _)| key.starts_with("connection_")).collect()
}

/// Tells what the query answered.
pub fn settle(plan: &Plan, seen: &[Observed]) -> Settled {
    let answer = seen.iter().find_map(|seen| if let Observed::Returned(value) = seen { Some(value) } else { None });
    Settled { comment: answer.map(python::str).unwrap_or_default(), ..Settled::as_planned(plan) }
}
