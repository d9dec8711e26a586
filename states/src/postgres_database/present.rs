//! `postgres_database.present`

use crate::postgres_user::shared;
use corpus_core::{Map, Plan, PlanCx, Prediction, State, StateError};
use corpus_exec::fns::postgres::create_database;
use corpus_exec::postgres::ident;
use serde::Deserialize;

/// Keeps a PostgreSQL database.
///
/// ```sls
/// shop:
///   postgres_database.present:
///     - owner: frank
///     - encoding: UTF8
/// ```
#[derive(Deserialize)]
pub struct Present {
    /// The database's name.
    pub name: String,
    /// The table space that it is in.
    pub tablespace: Option<String>,
    /// The encoding of its texts.
    pub encoding: Option<String>,
    /// The order of its texts.
    pub lc_collate: Option<String>,
    /// The classes of its characters.
    pub lc_ctype: Option<String>,
    /// Who owns it.
    pub owner: Option<String>,
    /// The database that a new one is a copy of.
    pub template: Option<String>,
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
    const NAME: &'static str = "postgres_database.present";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let server = shared::server!(self, cx);
        let fact = server.fact(false, "database", &self.name);
        let have = shared::look(cx, &fact, &self.name, || server.databases(cx.host))?;
        let wanted = [
            ("Encoding", &self.encoding),
            ("Collate", &self.lc_collate),
            ("Ctype", &self.lc_ctype),
            ("Tablespace", &self.tablespace),
            ("Owner", &self.owner),
        ];
        let mut after = have.clone().unwrap_or_else(Map::new);
        let mut differs = vec![];
        for (key, want) in wanted {
            if let Some(want) = want
                && have.as_ref().is_none_or(|row| !same(key, row.str(key).unwrap_or_default(), want))
            {
                differs.push(key);
                after.insert(key, want.as_str());
            }
        }
        let name = &self.name;
        let mut plan = Plan::unchanged(format!("Database {name} is already present"));
        if have.is_none() {
            let names = [self.tablespace.clone(), self.owner.clone(), self.template.clone()];
            let texts = [self.encoding.clone(), self.lc_collate.clone(), self.lc_ctype.clone()];
            // What a new database holds is its template's: until then it cannot be asked.
            let predicts = vec![shared::becomes(fact, Some(after)), Prediction::Opaque];
            shared::run(&mut plan, &server, &create_database(name, &names, &texts), predicts);
            return Ok(plan.change(name.as_str(), "Present").says(
                format!("Database {name} is set to be created"),
                format!("The database {name} has been created"),
            ));
        }
        if differs.iter().any(|key| ["Encoding", "Collate", "Ctype"].contains(key)) {
            return Ok(Plan::failed(format!("Database {name} has wrong parameters which couldn't be changed on fly.")));
        }
        if differs.is_empty() {
            return Ok(plan);
        }
        let database = ident(name);
        for (key, verb, to) in [("Owner", "OWNER TO", &self.owner), ("Tablespace", "SET TABLESPACE", &self.tablespace)]
        {
            if let Some(to) = to.as_ref().filter(|_| differs.contains(&key)) {
                let predicts = vec![shared::becomes(fact.clone(), Some(after.clone()))];
                shared::run(&mut plan, &server, &format!("ALTER DATABASE {database} {verb} {}", ident(to)), predicts);
            }
        }
        Ok(plan.change(name.as_str(), "Parameters changed").says(
            format!("Database {name} exists, but parameters need to be changed"),
            format!("Parameters for database {name} have been changed"),
        ))
    }
}

/// Tells whether the server's word and the declaration's are the same: encodings have several spellings.
fn same(key: &str, have: &str, want: &str) -> bool {
    let plain = |text: &str| text.to_lowercase().replace(['-', '_'], "");
    if key == "Encoding" { plain(have) == plain(want) } else { have == want }
}
