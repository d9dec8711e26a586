//! `postgres_group.present`

use crate::postgres_user::shared::{self, Role};
use corpus_core::{Plan, PlanCx, State, StateError, Value};
use serde::Deserialize;

/// Keeps a PostgreSQL group as declared.
///
/// ```sls
/// frank:
///   postgres_group.present:
///     - createdb: True
///     - inherit: True
/// ```
#[derive(Deserialize)]
pub struct Present {
    /// The group's name.
    pub name: String,
    /// It may make databases.
    pub createdb: Option<bool>,
    /// It may make roles.
    pub createroles: Option<bool>,
    /// How the password is kept: `md5` (or True), `scram-sha-256`, or False for the server's own way.
    pub encrypted: Option<String>,
    /// It may do anything.
    pub superuser: Option<bool>,
    /// It has the privileges of its groups.
    pub inherit: Option<bool>,
    /// It may log in.
    pub login: Option<bool>,
    /// It may replicate.
    pub replication: Option<bool>,
    /// The password: clear text, or as the server keeps it.
    pub password: Option<String>,
    /// Set the password each time, where what the server keeps cannot be read.
    #[serde(default)]
    pub refresh_password: bool,
    /// Groups that it is in, as a list or with commas.
    pub groups: Option<Value>,
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
    const NAME: &'static str = "postgres_group.present";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let role = Role {
            name: &self.name,
            what: "Group",
            flags: [self.createdb, self.inherit, self.login, self.createroles, self.replication, self.superuser],
            encrypted: self.encrypted.as_deref(),
            password: self.password.as_deref(),
            default_password: None,
            refresh_password: self.refresh_password,
            valid_until: None,
            groups: self.groups.as_ref(),
        };
        role.plan(cx, &shared::server!(self, cx))
    }
}
