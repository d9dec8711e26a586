//! `postgres_group.absent`

use crate::postgres_user::shared;
use corpus_core::{Plan, PlanCx, State, StateError};
use serde::Deserialize;

/// Keeps a PostgreSQL group away.
///
/// ```sls
/// frank:
///   postgres_group.absent
/// ```
#[derive(Deserialize)]
pub struct Absent {
    /// The group's name.
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
    const NAME: &'static str = "postgres_group.absent";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        shared::no_role(cx, &shared::server!(self, cx), "Group", &self.name)
    }
}
