//! Roles: what they may, and the SQL that makes them so.

use super::{Refused, Server, flag, ident, literal, records};
use corpus_core::{Look, Map, Value};

/// The flags of a role: Salt's argument, its name in Salt's lists, SQL's word.
pub const FLAGS: [(&str, &str, &str); 6] = [
    ("createdb", "can create databases", "CREATEDB"),
    ("inherit", "inherits privileges", "INHERIT"),
    ("login", "can login", "LOGIN"),
    ("createroles", "can create roles", "CREATEROLE"),
    ("replication", "replication", "REPLICATION"),
    ("superuser", "superuser", "SUPERUSER"),
];

/// What a role is to be.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// In the order of [`FLAGS`].
    pub flags: [Option<bool>; 6],
    /// As it is sent to the server.
    pub password: Option<String>,
    pub valid_until: Option<String>,
    pub groups: Vec<String>,
}

impl Wanted {
    /// Returns the SQL that makes or alters the role (`CREATE`, `ALTER`).
    pub fn sql(&self, verb: &str, name: &str) -> String {
        let mut sql = format!("{verb} ROLE {}", ident(name));
        for ((_, _, word), want) in FLAGS.iter().zip(self.flags) {
            match want {
                Some(true) => sql += &format!(" {word}"),
                Some(false) => sql += &format!(" NO{word}"),
                None => {}
            }
        }
        if let Some(password) = &self.password {
            sql += &format!(" PASSWORD {}", literal(password));
        }
        if let Some(until) = &self.valid_until {
            sql += &format!(" VALID UNTIL {}", literal(until));
        }
        for group in &self.groups {
            sql += &format!("; GRANT {} TO {}", ident(group), ident(name));
        }
        // One or all: a role without its groups would be half of what was shown.
        format!("BEGIN; {sql}; COMMIT")
    }
}

impl Server {
    /// Lists roles, as Salt shows them; with the kept password if asked.
    pub fn roles(&self, look: &dyn Look, with_password: bool) -> Result<Map, Refused> {
        let (column, table) = if with_password {
            (", a.rolpassword AS password", " LEFT JOIN pg_authid a ON a.oid = r.oid")
        } else {
            ("", "")
        };
        let rows = self.rows(
            look,
            &format!(
                "SELECT r.rolname AS name, r.rolsuper AS superuser, r.rolinherit AS \"inherits privileges\", \
                 r.rolcreaterole AS \"can create roles\", r.rolcreatedb AS \"can create databases\", \
                 r.rolcanlogin AS \"can login\", r.rolreplication AS replication, r.rolconnlimit AS connections, \
                 (SELECT array_agg(g.rolname) FROM pg_auth_members m JOIN pg_roles g ON m.roleid = g.oid \
                 WHERE m.member = r.oid) AS groups, r.rolvaliduntil::timestamp(0) AS \"expiry time\", \
                 r.rolconfig AS \"defaults variables\"{column} FROM pg_roles r{table}"
            ),
        )?;
        let mut all = Map::new();
        for mut row in rows {
            let Some(name) = row.remove("name") else { continue };
            for (_, key, _) in FLAGS {
                let value = flag(&row, key).map_or(Value::Null, Value::Bool);
                row.insert(key, value);
            }
            let list = row.str("groups").unwrap_or_default().trim_matches(['{', '}']).to_owned();
            row.insert("groups", records(&list).into_iter().next().unwrap_or_default());
            let limit = row.str("connections").and_then(|text| text.parse::<i64>().ok());
            row.insert("connections", limit.map_or(Value::Null, Value::from));
            if row.str("expiry time") == Some("") {
                row.insert("expiry time", Value::Null);
            }
            all.insert(name, row);
        }
        Ok(all)
    }

    /// Tells what the server reads in a time.
    pub fn time(&self, look: &dyn Look, text: &str) -> Result<Value, Refused> {
        let rows = self.rows(look, &format!("SELECT {}::timestamptz::timestamp(0) AS dt", literal(text)))?;
        Ok(rows.first().and_then(|row| row.get("dt")).cloned().unwrap_or_default())
    }
}
