//! `postgres_extension.present`

use crate::postgres_user::shared;
use corpus_core::{Map, Plan, PlanCx, State, StateError};
use corpus_exec::postgres::ident;
use serde::Deserialize;

/// Keeps an extension installed in a PostgreSQL database.
///
/// ```sls
/// hstore:
///   postgres_extension.present:
///     - maintenance_db: shop
/// ```
#[derive(Deserialize)]
pub struct Present {
    /// The extension's name.
    pub name: String,
    /// Say that an extension that is there is to be kept. It is in any case.
    pub if_not_exists: Option<bool>,
    /// The schema that it is in.
    pub schema: Option<String>,
    /// The version; without it any will do.
    pub ext_version: Option<String>,
    /// The version that it is brought from, where it was there without being an extension.
    pub from_version: Option<String>,
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
    const NAME: &'static str = "postgres_extension.present";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let server = shared::server!(self, cx);
        let fact = server.fact(true, "extension", &self.name);
        let have = shared::look(cx, &fact, &self.name, || server.extensions(cx.host))?;
        let name = &self.name;
        let mut plan = Plan::unchanged(format!("Extension {name} is already present"));
        let mut after = have.clone().unwrap_or_else(Map::new);
        for (key, want) in [("version", &self.ext_version), ("schema", &self.schema)] {
            if let Some(want) = want {
                after.insert(key, want.as_str());
            }
        }
        if have.as_ref() == Some(&after) {
            return Ok(plan);
        }
        let predicts = vec![shared::becomes(fact, Some(after))];
        let extension = ident(name);
        let Some(have) = have else {
            let mut sql = format!("CREATE EXTENSION {extension}");
            for (word, value) in
                [("SCHEMA", &self.schema), ("VERSION", &self.ext_version), ("FROM", &self.from_version)]
            {
                if let Some(value) = value {
                    sql += &format!(" {word} {}", ident(value));
                }
            }
            shared::run(&mut plan, &server, &sql, predicts);
            return Ok(plan.change(name.as_str(), "Installed").says(
                format!("Extension {name} is set to be installed"),
                format!("The extension {name} has been installed"),
            ));
        };
        let mut sql = vec![];
        if let Some(version) = self.ext_version.as_ref().filter(|want| have.str("version") != Some(want)) {
            sql.push(format!("ALTER EXTENSION {extension} UPDATE TO {}", ident(version)));
        }
        if let Some(schema) = self.schema.as_ref().filter(|want| have.str("schema") != Some(want)) {
            sql.push(format!("ALTER EXTENSION {extension} SET SCHEMA {}", ident(schema)));
        }
        shared::run(&mut plan, &server, &format!("BEGIN; {}; COMMIT", sql.join("; ")), predicts);
        Ok(plan
            .change(name.as_str(), "Upgraded")
            .says(format!("Extension {name} is set to be upgraded"), format!("The extension {name} has been upgraded")))
    }
}
