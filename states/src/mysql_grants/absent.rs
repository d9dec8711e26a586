//! `mysql_grants.absent`

use crate::mysql_user::shared;
use corpus_core::plan::{Observed, Settled};
use corpus_core::{Plan, PlanCx, Prediction, State, StateError};
use corpus_exec::mysql::grant::Grant;
use serde::Deserialize;

/// Keeps privileges away from a MySQL account.
///
/// ```sls
/// joe-does-not-drop:
///   mysql_grants.absent:
///     - grant: drop
///     - database: shop.*
///     - user: joe
/// ```
#[derive(Deserialize)]
pub struct Absent {
    /// Any name.
    pub name: String,
    /// Privileges, with commas between.
    pub grant: String,
    /// What they are for: `db.*`, `db.table`, `*.*`.
    pub database: String,
    /// The account's name.
    pub user: String,
    /// Where it connects from.
    #[serde(default = "shared::localhost")]
    pub host: String,
    /// The account may pass them on.
    #[serde(default)]
    pub grant_option: bool,
    /// Quote the names of databases and tables.
    #[serde(default = "crate::file::shared::yes")]
    pub escape: bool,
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
    const NAME: &'static str = "mysql_grants.absent";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let server = shared::server!(self, cx);
        let (grant, database, user, host) = (&self.grant, &self.database, &self.user, &self.host);
        let wanted =
            Grant::of(grant, database, user, host, self.grant_option, self.escape).map_err(StateError::failed)?;
        let fact = server.fact("grant", &wanted.add(""));
        let there = match cx.host.predicted(&fact) {
            Some(known) => known.truthy(),
            None => wanted.listed(&server.grants(cx.host, user, host).map_err(shared::refused)?),
        };
        let mut plan = Plan::unchanged(format!(
            "Grant {grant} on {database} to {user}@{host} is not present, so it cannot be revoked"
        ));
        if !there {
            return Ok(plan);
        }
        plan.exec(server.command(&wanted.revoke()), vec![Prediction::Fact(fact, false.into())]);
        plan.memo = format!("Unable to revoke grant {grant} on {database} for {user}@{host}").into();
        Ok(plan.change(self.name.as_str(), "Absent").says(
            format!("MySQL grant {} is set to be revoked", self.name),
            format!("Grant {grant} on {database} for {user}@{host} has been revoked"),
        ))
    }

    fn settle(&self, plan: &Plan, seen: &[Observed], _: &PlanCx<'_>) -> Result<Settled, StateError> {
        Ok(shared::settle(plan, seen))
    }
}
