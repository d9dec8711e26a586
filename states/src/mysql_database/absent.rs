//! `mysql_database.absent`

use crate::mysql_user::shared;
use corpus_core::plan::{Observed, Settled};
use corpus_core::{Plan, PlanCx, Prediction, State, StateError};
use corpus_exec::mysql::ident;
use serde::Deserialize;

/// Keeps a MySQL database away.
///
/// ```sls
/// shop:
///   mysql_database.absent
/// ```
#[derive(Deserialize)]
pub struct Absent {
    /// The database.
    pub name: String,
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
    const NAME: &'static str = "mysql_database.absent";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let (server, name) = (shared::server!(self, cx), &self.name);
        let fact = server.fact("database", name);
        let there = match cx.host.predicted(&fact) {
            Some(known) => known.truthy(),
            None => server.database(cx.host, name).map_err(shared::refused)?.is_some(),
        };
        let mut plan = Plan::unchanged(format!("Database {name} is not present, so it cannot be removed"));
        if !there {
            return Ok(plan);
        }
        let gone = vec![Prediction::Fact(fact, false.into())];
        plan.exec(server.command(&format!("DROP DATABASE {}", ident(name))), gone);
        plan.memo = format!("Unable to remove database {name}").into();
        Ok(plan.change(name.as_str(), "Absent").says(
            format!("Database {name} is present and needs to be removed"),
            format!("Database {name} has been removed"),
        ))
    }

    fn settle(&self, plan: &Plan, seen: &[Observed], _: &PlanCx<'_>) -> Result<Settled, StateError> {
        Ok(shared::settle(plan, seen))
    }
}
