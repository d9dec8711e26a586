//! `mysql_query.run`

use super::shared::{self, Keep};
use crate::mysql_user::shared::server;
use corpus_core::plan::{Observed, Settled};
use corpus_core::{Plan, PlanCx, State, StateError};
use serde::Deserialize;

/// Puts a query to a MySQL server, in each run unless its answer is kept and `overwrite` is false.
///
/// ```sls
/// count customers:
///   mysql_query.run:
///     - database: shop
///     - query: SELECT count(*) AS n FROM customers
///     - output: /var/lib/customers
///     - overwrite: False
/// ```
#[derive(Deserialize)]
pub struct Run {
    /// Only a name.
    pub name: String,
    /// The database.
    pub database: String,
    /// The query.
    pub query: String,
    /// A file for the answer, or `grain`.
    pub output: Option<String>,
    /// The grain for the answer.
    pub grain: Option<String>,
    /// A key of the grain, for the answer.
    pub key: Option<String>,
    /// Ask again where an answer is kept already.
    #[serde(default = "yes")]
    pub overwrite: bool,
    /// Refuse where the database is not there.
    #[serde(default = "yes")]
    pub check_db_exists: bool,
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

fn yes() -> bool {
    true
}

impl State for Run {
    const NAME: &'static str = "mysql_query.run";
    const CONVERGES: bool = false;

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let server = server!(self, cx);
        let keep = Keep {
            output: self.output.as_deref(),
            grain: self.grain.as_deref(),
            key: self.key.as_deref(),
            overwrite: self.overwrite,
        };
        keep.plan(cx, &server, &self.database, &self.query, self.check_db_exists)
    }

    fn settle(&self, plan: &Plan, seen: &[Observed], _: &PlanCx<'_>) -> Result<Settled, StateError> {
        Ok(shared::settle(plan, seen))
    }
}
