//! `postgres_privileges.absent`

use super::shared;
use crate::postgres_user::shared as postgres;
use corpus_core::{Plan, PlanCx, State, StateError, Value};
use corpus_exec::postgres::privileges::{Found, Privileges};
use serde::Deserialize;

/// Keeps privileges away from a role.
///
/// ```sls
/// frank:
///   postgres_privileges.absent:
///     - object_name: orders
///     - object_type: table
///     - privileges: [SELECT, INSERT]
///     - maintenance_db: shop
/// ```
#[derive(Deserialize)]
pub struct Absent {
    /// The role; `public` is everybody.
    pub name: String,
    /// The object; `ALL` is every table or sequence of the schema.
    pub object_name: String,
    /// `table`, `sequence`, `schema`, `tablespace`, `language`, `database`, `function` or `group`.
    pub object_type: String,
    /// The privileges; none for membership in a group.
    pub privileges: Option<Value>,
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

impl State for Absent {
    const NAME: &'static str = "postgres_privileges.absent";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let server = postgres::server!(self, cx);
        let mut of = Privileges {
            role: self.name.clone(),
            object: self.object_name.clone(),
            kind: self.object_type.clone(),
            privileges: corpus_exec::fns::postgres::words(self.privileges.as_ref()),
            grantable: false,
            schema: self.prepend.clone(),
        };
        of.check().map_err(StateError::failed)?;
        let words = shared::said(&of);
        let found = shared::found(cx, &server, &of, false)?;
        let mut plan = Plan::unchanged("The requested privilege(s) are not set so cannot be revoked");
        if matches!(found, Found::Nothing | Found::None) {
            return Ok(plan);
        }
        shared::step(&mut plan, &server, &of, false);
        Ok(plan.change(self.name.as_str(), "Absent").says(
            format!("The privilege(s): {words} are set to be revoked from {}", self.name),
            format!("The privilege(s): {words} have been revoked from {}", self.name),
        ))
    }
}
