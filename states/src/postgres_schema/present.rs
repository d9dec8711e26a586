//! `postgres_schema.present`

use crate::postgres_user::shared;
use corpus_core::{Map, Plan, PlanCx, State, StateError};
use corpus_exec::postgres::ident;
use serde::Deserialize;

/// Keeps a schema in a PostgreSQL database.
///
/// ```sls
/// stock:
///   postgres_schema.present:
///     - dbname: shop
///     - owner: frank
/// ```
#[derive(Deserialize)]
pub struct Present {
    /// The database that it is in.
    pub dbname: String,
    /// The schema.
    pub name: String,
    /// Who owns it.
    pub owner: Option<String>,
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

impl State for Present {
    const NAME: &'static str = "postgres_schema.present";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let server = shared::with_database(shared::server!(self, cx), Some(&self.dbname));
        let fact = server.fact(true, "schema", &self.name);
        let have = shared::look(cx, &fact, &self.name, || server.schemas(cx.host))?;
        let (name, database) = (&self.name, &self.dbname);
        let mut plan = Plan::unchanged(format!("Schema {name} already exists in database {database}"));
        let mut after = have.clone().unwrap_or_else(Map::new);
        if let Some(owner) = &self.owner {
            after.insert("owner", owner.as_str());
        }
        let (sql, would, did, change) = match (&have, &self.owner) {
            (None, owner) => (
                match owner {
                    Some(owner) => format!("CREATE SCHEMA {} AUTHORIZATION {}", ident(name), ident(owner)),
                    None => format!("CREATE SCHEMA {}", ident(name)),
                },
                format!("Schema {name} is set to be created in database {database}."),
                format!("Schema {name} has been created in database {database}"),
                "Present",
            ),
            (Some(have), Some(owner)) if have.str("owner") != Some(owner) => (
                format!("ALTER SCHEMA {} OWNER TO {}", ident(name), ident(owner)),
                format!("Schema {name} is set to be owned by {owner}"),
                format!("Schema {name} is owned by {owner} now"),
                "Owner changed",
            ),
            _ => return Ok(plan),
        };
        shared::run(&mut plan, &server, &sql, vec![shared::becomes(fact, Some(after))]);
        Ok(plan.change(name.as_str(), change).says(would, did))
    }
}
