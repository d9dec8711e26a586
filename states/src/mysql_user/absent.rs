//! `mysql_user.absent`

use super::shared;
use corpus_core::plan::{Observed, Settled};
use corpus_core::{Plan, PlanCx, Prediction, State, StateError};
use corpus_exec::mysql::account;
use serde::Deserialize;

/// Keeps a MySQL account away.
///
/// ```sls
/// joe:
///   mysql_user.absent:
///     - host: '%'
/// ```
#[derive(Deserialize)]
pub struct Absent {
    /// The account's name.
    pub name: String,
    /// Where it connects from.
    #[serde(default = "shared::localhost")]
    pub host: String,
    /// The server's host.
    pub connection_host: Option<String>,
    /// The account to connect as.
    pub connection_user: Option<String>,
    /// Its password.
    pub connection_pass: Option<String>,
    /// The server's port.
    pub connection_port: Option<String>,
    /// The database to connect to.
    pub connection_db: Option<String>,
    /// The server's socket.
    pub connection_unix_socket: Option<String>,
    /// A file of the client's options, instead of the configuration's `mysql.*`.
    pub connection_default_file: Option<String>,
    /// The character set of the connection.
    pub connection_charset: Option<String>,
}

impl State for Absent {
    const NAME: &'static str = "mysql_user.absent";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let (server, who) = (shared::server!(self, cx), format!("{}@{}", self.name, self.host));
        let fact = server.fact("user", &who);
        let there = match cx.host.predicted(&fact) {
            Some(known) => known.truthy(),
            None => server.user(cx.host, &self.name, &self.host).map_err(shared::refused)?.there,
        };
        let mut plan = Plan::unchanged(format!("User {who} is not present, so it cannot be removed"));
        if !there {
            return Ok(plan);
        }
        let gone = vec![Prediction::Fact(fact, false.into())];
        plan.exec(server.command(&format!("DROP USER {}", account(&self.name, &self.host))), gone);
        plan.memo = format!("Failed to remove user {who}").into();
        Ok(plan
            .change(self.name.as_str(), "Absent")
            .says(format!("User {who} is set to be removed"), format!("User {who} has been removed")))
    }

    fn settle(&self, plan: &Plan, seen: &[Observed], _: &PlanCx<'_>) -> Result<Settled, StateError> {
        Ok(shared::settle(plan, seen))
    }
}
