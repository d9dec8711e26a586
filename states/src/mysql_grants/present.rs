//! `mysql_grants.present`

use crate::mysql_user::shared;
use corpus_core::plan::{Observed, Settled};
use corpus_core::{Plan, PlanCx, Prediction, State, StateError, Value};
use corpus_exec::mysql::grant::{self, Grant};
use serde::Deserialize;

/// Keeps privileges granted to a MySQL account.
///
/// ```sls
/// joe-reads-shop:
///   mysql_grants.present:
///     - grant: select, insert
///     - database: shop.*
///     - user: joe
///     - host: localhost
/// ```
#[derive(Deserialize)]
pub struct Present {
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
    /// Revoke first what the account has on the same object.
    #[serde(default)]
    pub revoke_first: bool,
    /// What its connections must have: `SSL`, `X509`, `CIPHER`…
    #[serde(default)]
    pub ssl_option: Value,
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

impl State for Present {
    const NAME: &'static str = "mysql_grants.present";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let server = shared::server!(self, cx);
        let (grant, database, user, host) = (&self.grant, &self.database, &self.user, &self.host);
        let wanted =
            Grant::of(grant, database, user, host, self.grant_option, self.escape).map_err(StateError::failed)?;
        let fact = server.fact("grant", &wanted.add(""));
        let lines = match cx.host.predicted(&server.fact("user", &format!("{user}@{host}"))) {
            // The account comes with this run: what it has is what the run grants.
            Some(_) if server.grants(cx.host, user, host).is_err() => vec![],
            _ => server.grants(cx.host, user, host).map_err(shared::refused)?,
        };
        let there = match cx.host.predicted(&fact) {
            Some(known) => known.truthy(),
            None => wanted.listed(&lines),
        };
        let mut plan = Plan::unchanged(format!("Grant {grant} on {database} to {user}@{host} is already present"));
        if there {
            return Ok(plan);
        }
        let requires = grant::requires(&self.ssl_option).map_err(StateError::failed)?;
        let mut sql = if self.revoke_first { wanted.revoke_listed(&lines) } else { vec![] };
        sql.push(wanted.add(&requires));
        plan.exec(server.command(&sql.join(";\n")), vec![Prediction::Fact(fact, true.into())]);
        plan.memo = format!("Failed to execute: \"GRANT {grant} ON {database} TO {user}@{host}\"").into();
        Ok(plan.change(self.name.as_str(), "Present").says(
            format!("MySQL grant {} is set to be created", self.name),
            format!("Grant {grant} on {database} to {user}@{host} has been added"),
        ))
    }

    fn settle(&self, plan: &Plan, seen: &[Observed], _: &PlanCx<'_>) -> Result<Settled, StateError> {
        Ok(shared::settle(plan, seen))
    }
}
