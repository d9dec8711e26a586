//! `postgres_database.absent`

use crate::postgres_user::shared;
use corpus_core::{Plan, PlanCx, State, StateError};
use corpus_exec::postgres::ident;
use serde::Deserialize;

/// Keeps a PostgreSQL database away.
///
/// ```sls
/// shop:
///   postgres_database.absent
/// ```
#[derive(Deserialize)]
pub struct Absent {
    /// The database's name.
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
    const NAME: &'static str = "postgres_database.absent";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let server = shared::server!(self, cx);
        let fact = server.fact(false, "database", &self.name);
        let have = shared::look(cx, &fact, &self.name, || server.databases(cx.host))?;
        let sql = format!("DROP DATABASE {}", ident(&self.name));
        Ok(shared::gone(&server, "Database", &self.name, have.is_some(), &sql, fact))
    }
}
