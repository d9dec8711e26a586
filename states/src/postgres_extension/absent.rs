//! `postgres_extension.absent`

use crate::postgres_user::shared;
use corpus_core::{Plan, PlanCx, State, StateError};
use corpus_exec::postgres::ident;
use serde::Deserialize;

/// Keeps an extension out of a PostgreSQL database.
///
/// ```sls
/// hstore:
///   postgres_extension.absent:
///     - maintenance_db: shop
/// ```
#[derive(Deserialize)]
pub struct Absent {
    /// The extension's name.
    pub name: String,
    /// An extension that is not there is no error. It is none in any case.
    pub if_exists: Option<bool>,
    /// Refuse if something depends on it: the server's own way, unless `cascade`.
    pub restrict: Option<bool>,
    /// Remove what depends on it, too.
    #[serde(default)]
    pub cascade: bool,
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
    const NAME: &'static str = "postgres_extension.absent";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let server = shared::server!(self, cx);
        let fact = server.fact(true, "extension", &self.name);
        let have = shared::look(cx, &fact, &self.name, || shared::or_nothing(server.extensions(cx.host)))?;
        let name = &self.name;
        let cascade = if self.cascade { " CASCADE" } else { "" };
        let sql = format!("DROP EXTENSION {}{cascade}", ident(name));
        Ok(shared::gone(&server, "Extension", name, have.is_some(), &sql, fact))
    }
}
