//! `mysql_query.run_file`

use super::shared::{self, Keep};
use crate::mysql_user::shared::server;
use corpus_core::plan::{Observed, Settled};
use corpus_core::source::{FileOrigin, FileRequest};
use corpus_core::{Plan, PlanCx, State, StateError};
use corpus_exec::ask;
use serde::Deserialize;

/// Puts the queries of a file to a MySQL server, in each run unless their answer is kept and `overwrite` is false.
///
/// ```sls
/// fill the shop:
///   mysql_query.run_file:
///     - database: shop
///     - query_file: salt://shop/fill.sql
///     - output: /var/lib/shop-filled
///     - overwrite: False
/// ```
#[derive(Deserialize)]
pub struct RunFile {
    /// Only a name.
    pub name: String,
    /// The database.
    pub database: String,
    /// The file: `salt://…`, or a path of this machine.
    pub query_file: String,
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

impl State for RunFile {
    const NAME: &'static str = "mysql_query.run_file";
    const CONVERGES: bool = false;

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let server = server!(self, cx);
        let file = &self.query_file;
        let sql = if file.contains("://") {
            let origin = FileOrigin::Urls(vec![file.clone()]);
            let found = cx.resolve(&FileRequest { origin, saltenv: cx.saltenv(), template: None })?;
            String::from_utf8_lossy(&cx.read_source(&found)?).into_owned()
        } else {
            ask::text(cx.host, file)?.ok_or_else(|| StateError::missing(format!("File {file} does not exist")))?
        };
        let keep = Keep {
            output: self.output.as_deref(),
            grain: self.grain.as_deref(),
            key: self.key.as_deref(),
            overwrite: self.overwrite,
        };
        keep.plan(cx, &server, &self.database, &sql, self.check_db_exists)
    }

    fn settle(&self, plan: &Plan, seen: &[Observed], _: &PlanCx<'_>) -> Result<Settled, StateError> {
        Ok(shared::settle(plan, seen))
    }
}
