//! `postgres_privileges.present`

use super::shared;
use crate::postgres_user::shared as postgres;
use corpus_core::{Plan, PlanCx, State, StateError, Value};
use corpus_exec::postgres::privileges::{Found, Privileges};
use serde::Deserialize;

/// Keeps privileges granted to a role.
///
/// ```sls
/// frank:
///   postgres_privileges.present:
///     - object_name: orders
///     - object_type: table
///     - privileges: [SELECT, INSERT]
///     - maintenance_db: shop
/// ```
#[derive(Deserialize)]
pub struct Present {
    /// The role; `public` is everybody.
    pub name: String,
    /// The object; `ALL` is every table or sequence of the schema.
    pub object_name: String,
    /// `table`, `sequence`, `schema`, `tablespace`, `language`, `database`, `function` or `group`.
    pub object_type: String,
    /// The privileges; none for membership in a group.
    pub privileges: Option<Value>,
    /// The role may grant them to others.
    #[serde(default)]
    pub grant_option: Option<bool>,
    /// The schema of a table, sequence or function.
    #[serde(default = "public")]
    pub prepend: String,
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

fn public() -> String {
    "public".into()
}

impl State for Present {
    const NAME: &'static str = "postgres_privileges.present";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let server = postgres::server!(self, cx);
        let mut of = Privileges {
            role: self.name.clone(),
            object: self.object_name.clone(),
            kind: self.object_type.clone(),
            privileges: corpus_exec::fns::postgres::words(self.privileges.as_ref()),
            grantable: self.grant_option == Some(true),
            schema: self.prepend.clone(),
        };
        of.check().map_err(StateError::failed)?;
        let words = shared::said(&of);
        let found = shared::found(cx, &server, &of, true)?;
        let mut plan = Plan::unchanged("The requested privilege(s) are already set");
        if found == Found::All {
            return Ok(plan);
        }
        if found == Found::Nothing {
            return Err(StateError::missing(format!("The {} {} does not exist", of.kind, of.object)));
        }
        shared::step(&mut plan, &server, &of, true);
        Ok(plan.change(self.name.as_str(), "Present").says(
            format!("The privilege(s): {words} are set to be granted to {}", self.name),
            format!("The privilege(s): {words} have been granted to {}", self.name),
        ))
    }
}
