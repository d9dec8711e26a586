//! `mysql_database.present`

use crate::mysql_user::shared;
use corpus_core::plan::{Observed, Settled};
use corpus_core::{Map, Plan, PlanCx, Prediction, State, StateError};
use corpus_exec::mysql::{create_database, ident, literal};
use serde::Deserialize;

/// Keeps a MySQL database.
///
/// ```sls
/// shop:
///   mysql_database.present:
///     - character_set: utf8mb4
/// ```
#[derive(Deserialize)]
pub struct Present {
    /// The database.
    pub name: String,
    /// Its character set.
    pub character_set: Option<String>,
    /// Its collation.
    pub collate: Option<String>,
    /// The server's host.
    pub connection_host: Option<String>,
    /// The account to connect as.
    pub connection_user: Option<String>,
    /// Its password.
    pub connection_pass: Option<String>,
    /// The server's port.
    pub connection_port: Option<String>,
    /// The database to connect to.
    pub connection_db: Option<String>,
    /// The server's socket.
    pub connection_unix_socket: Option<String>,
    /// A file of the client's options, instead of the configuration's `mysql.*`.
    pub connection_default_file: Option<String>,
    /// The character set of the connection.
    pub connection_charset: Option<String>,
}

impl State for Present {
    const NAME: &'static str = "mysql_database.present";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let (server, name) = (shared::server!(self, cx), &self.name);
        let fact = server.fact("database", name);
        let have = match cx.host.predicted(&fact) {
            Some(known) => known.as_map().cloned(),
            None => server.database(cx.host, name).map_err(shared::refused)?,
        };
        let wanted = [("character_set", "character set", &self.character_set), ("collate", "collate", &self.collate)];
        let mut after = have.clone().unwrap_or_default();
        let (mut said, mut changes, mut sql) = (vec![], Map::new(), format!("ALTER DATABASE {}", ident(name)));
        for (key, words, want) in wanted {
            let (Some(want), kept) = (want, after.str(key).unwrap_or_default().to_owned()) else { continue };
            after.insert(key, want.as_str());
            if kept == *want {
                continue;
            }
            said.push(format!("Database {words} {want} != {kept} needs to be updated"));
            sql += &format!(" {} {}", words.to_uppercase(), literal(want));
            let change: Map = [("before", kept.as_str()), ("now", want)].into_iter().collect();
            changes.insert(key, change);
        }
        let mut plan = Plan::unchanged(format!("Database {name} is already present"));
        let becomes = vec![Prediction::Fact(fact, after.into())];
        if have.is_none() {
            let sql = create_database(name, self.character_set.as_deref(), self.collate.as_deref());
            plan.exec(server.command(&sql), becomes);
            plan.memo = format!("Failed to create database {name}").into();
            return Ok(plan.change(name.as_str(), "Present").says(
                format!("Database {name} is not present and needs to be created"),
                format!("The database {name} has been created"),
            ));
        }
        if !changes.is_empty() {
            plan.exec(server.command(&sql), becomes);
            plan.memo = format!("Failed to change database {name}").into();
            plan.changes = changes;
            let text = said.join("\n");
            return Ok(plan.says(format!("{text}\nDatabase {name} is going to be updated"), text));
        }
        Ok(plan)
    }

    fn settle(&self, plan: &Plan, seen: &[Observed], _: &PlanCx<'_>) -> Result<Settled, StateError> {
        Ok(shared::settle(plan, seen))
    }
}
