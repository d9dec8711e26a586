//! `postgres_tablespace.present`

use crate::postgres_user::shared;
use corpus_core::{Map, Plan, PlanCx, State, StateError, Value, python};
use corpus_exec::postgres::{ident, literal, records};
use serde::Deserialize;

/// Keeps a PostgreSQL table space.
///
/// ```sls
/// fast:
///   postgres_tablespace.present:
///     - directory: /srv/fast
///     - owner: frank
/// ```
#[derive(Deserialize)]
pub struct Present {
    /// The table space's name.
    pub name: String,
    /// Where it lies: a directory that is there, empty, and the server's own.
    pub directory: String,
    /// Its options, as a mapping.
    pub options: Option<Value>,
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
    const NAME: &'static str = "postgres_tablespace.present";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let server = shared::server!(self, cx);
        let fact = server.fact(false, "tablespace", &self.name);
        let have = shared::look(cx, &fact, &self.name, || server.tablespaces(cx.host))?;
        let (name, space) = (&self.name, ident(&self.name));
        let mut plan = Plan::unchanged(format!("Tablespace {name} is already present"));
        let mut after = have.clone().unwrap_or_else(Map::new);
        if let Some(owner) = &self.owner {
            after.insert("Owner", owner.as_str());
        }
        let kept = have.as_ref().and_then(|row| row.str("Opts")).unwrap_or_default();
        let kept = records(kept.trim_matches(['{', '}'])).into_iter().next().unwrap_or_default();
        let wanted = self.options.as_ref().and_then(Value::as_map).into_iter().flatten();
        let wanted: Vec<_> = wanted.map(|(key, value)| (python::str(key), python::str(value))).collect();
        let missing: Vec<_> = wanted.iter().filter(|(key, value)| !kept.contains(&format!("{key}={value}"))).collect();
        let options: Vec<_> =
            missing.iter().map(|(key, value)| format!("{} = {}", ident(key), literal(value))).collect();
        if !wanted.is_empty() {
            let all: Vec<_> = wanted.iter().map(|(key, value)| format!("{key}={value}")).collect();
            after.insert("Opts", format!("{{{}}}", all.join(",")));
        }
        let Some(have) = have else {
            after.insert("Location", self.directory.as_str());
            let mut sql = format!("CREATE TABLESPACE {space}");
            if let Some(owner) = &self.owner {
                sql += &format!(" OWNER {}", ident(owner));
            }
            sql += &format!(" LOCATION {}", literal(&self.directory));
            if !options.is_empty() {
                sql += &format!(" WITH ({})", options.join(", "));
            }
            shared::run(&mut plan, &server, &sql, vec![shared::becomes(fact, Some(after))]);
            return Ok(plan.change(name.as_str(), "Present").says(
                format!("Tablespace {name} is set to be created"),
                format!("The tablespace {name} has been created"),
            ));
        };
        if have.str("Location") != Some(&self.directory) {
            return Ok(Plan::failed(format!(
                "Tablespace {name} is not at the right location. This is unfixable without dropping and recreating the tablespace."
            )));
        }
        let (mut sql, mut changes) = (vec![], Map::new());
        if let Some(owner) = self.owner.as_ref().filter(|owner| have.str("Owner") != Some(owner)) {
            sql.push(format!("ALTER TABLESPACE {space} OWNER TO {}", ident(owner)));
            changes.insert("owner", owner.as_str());
        }
        if !options.is_empty() {
            sql.push(format!("ALTER TABLESPACE {space} SET ({})", options.join(", ")));
            changes.insert("options", missing.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>());
        }
        if sql.is_empty() {
            return Ok(plan);
        }
        let sql = format!("BEGIN; {}; COMMIT", sql.join("; "));
        shared::run(&mut plan, &server, &sql, vec![shared::becomes(fact, Some(after))]);
        // Salt's words, the later of two changes over the earlier.
        let (would, did) = match options.is_empty() {
            true => ("owner to be altered", "owner changed"),
            false => ("options to be altered", "opts changed"),
        };
        Ok(plan
            .change(name.as_str(), changes)
            .says(format!("Tablespace {name} {would}"), format!("Tablespace {name} {did}")))
    }
}
