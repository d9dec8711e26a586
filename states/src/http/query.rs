//! `http.query`

use super::shared;
use corpus_core::plan::{Observed, Settled};
use corpus_core::{Plan, PlanCx, State, StateError, Value};
use serde::Deserialize;

/// Asks a web server, and fails unless the answer is as wanted. Any further argument is one of
/// [`http.query`](../functions.md), `method`, `data`, `username`, `password`, `verify_ssl`….
///
/// ```sls
/// http://localhost/health:
///   http.query:
///     - status: 200
///     - match: ok
/// ```
#[derive(Deserialize)]
pub struct Query {
    /// The address.
    pub name: String,
    /// A text that the answer must hold.
    #[serde(default, rename = "match")]
    pub matching: Value,
    /// `string` or `pcre`: how `match` is read.
    pub match_type: Option<String>,
    /// The status that the answer must have, or a list of them.
    #[serde(default)]
    pub status: Value,
    /// `string`, `pcre` or `list`: how `status` is read.
    pub status_type: Option<String>,
    /// Seconds to ask again for.
    pub wait_for: Option<i64>,
    /// Seconds between two questions.
    pub request_interval: Option<i64>,
}

impl State for Query {
    const NAME: &'static str = "http.query";
    const CONVERGES: bool = false;
    const OPEN: bool = true;

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let wanted = shared::wanted(&self.matching, &self.match_type, &self.status, &self.status_type)?;
        match self.wait_for {
            None => shared::plan(cx, &self.name, "http.query", &wanted, &[]),
            Some(_) => {
                let more = [("wait_for", self.wait_for.into()), ("request_interval", self.request_interval.into())];
                shared::plan(cx, &self.name, "http.wait_for_successful_query", &wanted, &more)
            }
        }
    }

    fn settle(&self, _: &Plan, seen: &[Observed], _: &PlanCx<'_>) -> Result<Settled, StateError> {
        let wanted = shared::wanted(&self.matching, &self.match_type, &self.status, &self.status_type)?;
        shared::settle(&wanted, seen)
    }
}
