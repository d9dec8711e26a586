//! `postgres_tablespace.absent`

use crate::postgres_user::shared;
use corpus_core::{Plan, PlanCx, State, StateError};
use corpus_exec::postgres::ident;
use serde::Deserialize;

/// Keeps a PostgreSQL table space away.
///
/// ```sls
/// fast:
///   postgres_tablespace.absent
/// ```
#[derive(Deserialize)]
pub struct Absent {
    /// The table space's name.
    pub name: String,
    /// The system user to act as.
    pub user: Option<String>,
    /// The database to connect to.
    pub maintenance_db: Option<String>,
    /// The password of the connection.
    pub db_password: Option<String>,
    /// The server's host, or the directory of its socket.
    pub db_host: Option<String>,
    /// The server's port.
    pub db_port: Option<String>,
    /// The role to connect as.
    pub db_user: Option<String>,
}

impl State for Absent {
    const NAME: &'static str = "postgres_tablespace.absent";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let server = shared::server!(self, cx);
        let fact = server.fact(false, "tablespace", &self.name);
        let have = shared::look(cx, &fact, &self.name, || server.tablespaces(cx.host))?;
        let sql = format!("DROP TABLESPACE {}", ident(&self.name));
        Ok(shared::gone(&server, "Tablespace", &self.name, have.is_some(), &sql, fact))
    }
}
