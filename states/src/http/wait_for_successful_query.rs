//! `http.wait_for_successful_query`

use super::shared;
use corpus_core::plan::{Observed, Settled};
use corpus_core::{Plan, PlanCx, State, StateError, Value};
use serde::Deserialize;

/// Asks a web server again and again until the answer is as wanted, and fails if that is never so.
///
/// ```sls
/// http://localhost:8080/health:
///   http.wait_for_successful_query:
///     - status: 200
///     - wait_for: 60
///     - request_interval: 2
/// ```
#[derive(Deserialize)]
pub struct WaitForSuccessfulQuery {
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

impl State for WaitForSuccessfulQuery {
    const NAME: &'static str = "http.wait_for_successful_query";
    const CONVERGES: bool = false;
    const OPEN: bool = true;

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let wanted = shared::wanted(&self.matching, &self.match_type, &self.status, &self.status_type)?;
        let word = |word: &Option<String>| Value::from(word.clone());
        let more = [
            ("wait_for", self.wait_for.unwrap_or(300).into()),
            ("request_interval", self.request_interval.into()),
            ("match", self.matching.clone()),
            ("match_type", word(&self.match_type)),
            ("status_type", word(&self.status_type)),
            ("status", self.status.clone()),
        ];
        shared::plan(cx, &self.name, "http.wait_for_successful_query", &wanted, &more)
    }

    fn settle(&self, _: &Plan, seen: &[Observed], _: &PlanCx<'_>) -> Result<Settled, StateError> {
        let wanted = shared::wanted(&self.matching, &self.match_type, &self.status, &self.status_type)?;
        shared::settle(&wanted, seen)
    }
}
