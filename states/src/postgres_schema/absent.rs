//! `postgres_schema.absent`

use crate::postgres_user::shared;
use corpus_core::{Plan, PlanCx, State, StateError};
use corpus_exec::postgres::ident;
use serde::Deserialize;

/// Keeps a schema out of a PostgreSQL database.
///
/// ```sls
/// stock:
///   postgres_schema.absent:
///     - dbname: shop
/// ```
#[derive(Deserialize)]
pub struct Absent {
    /// The database that it is in.
    pub dbname: String,
    /// The schema.
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
    const NAME: &'static str = "postgres_schema.absent";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let server = shared::with_database(shared::server!(self, cx), Some(&self.dbname));
        let fact = server.fact(true, "schema", &self.name);
        let have = shared::look(cx, &fact, &self.name, || shared::or_nothing(server.schemas(cx.host)))?;
        let (name, database) = (&self.name, &self.dbname);
        let mut plan =
            Plan::unchanged(format!("Schema {name} is not present in database {database}, so it cannot be removed"));
        if have.is_some() {
            let sql = format!("DROP SCHEMA {}", ident(name));
            shared::run(&mut plan, &server, &sql, vec![shared::becomes(fact, None)]);
            plan = plan.change(name.as_str(), "Absent").says(
                format!("Schema {name} is set to be removed from database {database}"),
                format!("Schema {name} has been removed from database {database}"),
            );
        }
        Ok(plan)
    }
}
