//! Privileges: who may do what to which object.

use super::{Refused, Server, flag, ident, literal};
use corpus_core::{Look, Map};

/// Privileges on one object, or on all tables or sequences of a schema.
#[derive(Clone, Debug)]
pub struct Privileges {
    pub role: String,
    /// The object's name; `ALL` is every table or sequence of the schema.
    pub object: String,
    /// `table`, `sequence`, `schema`, `tablespace`, `language`, `database`, `function` or `group`.
    pub kind: String,
    /// Upper case; `ALL` is everything that the kind of object knows.
    pub privileges: Vec<String>,
    pub grantable: bool,
    pub schema: String,
}

const KINDS: &[(&str, &[&str])] = &[
    ("table", &["INSERT", "SELECT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER"]),
    ("sequence", &["SELECT", "UPDATE", "USAGE"]),
    ("schema", &["USAGE", "CREATE"]),
    ("tablespace", &["CREATE"]),
    ("language", &["USAGE"]),
    ("database", &["CREATE", "TEMPORARY", "CONNECT"]),
    ("function", &["EXECUTE"]),
    ("group", &[]),
];

/// What there is of privileges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// The object is not there.
    Nothing,
    /// None of them.
    None,
    /// Some of them.
    Some,
    /// All of them.
    All,
}

impl Privileges {
    /// Says what is wrong with the words, in Salt's.
    pub fn check(&mut self) -> Result<(), String> {
        self.kind = self.kind.to_lowercase();
        let Some((_, known)) = KINDS.iter().find(|(kind, _)| *kind == self.kind) else {
            return Err(format!("Invalid object_type: {} provided", self.kind));
        };
        if self.kind == "group" {
            return match self.privileges.is_empty() {
                true => Ok(()),
                false => Err("Privileges should not be set when granting group membership".into()),
            };
        }
        for word in &mut self.privileges {
            *word = word.trim().to_uppercase();
            if word == "TEMP" {
                *word = "TEMPORARY".into();
            }
            if word != "ALL" && !known.contains(&word.as_str()) {
                return Err(format!("Invalid privilege(s): {word} provided for object {}", self.object));
            }
        }
        match self.privileges.is_empty() {
            true => Err("Privileges should be set".into()),
            false => Ok(()),
        }
    }

    fn all_of_schema(&self) -> bool {
        self.object.eq_ignore_ascii_case("all") && matches!(&*self.kind, "table" | "sequence")
    }

    fn wanted(&self) -> Vec<&str> {
        if self.privileges.iter().any(|word| word == "ALL") {
            let known = KINDS.iter().find(|(kind, _)| *kind == self.kind);
            return known.map(|(_, all)| all.to_vec()).unwrap_or_default();
        }
        self.privileges.iter().map(String::as_str).collect()
    }

    fn grantee(&self) -> String {
        if self.role.eq_ignore_ascii_case("public") { "PUBLIC".into() } else { ident(&self.role) }
    }

    fn on(&self) -> String {
        let schema = ident(&self.schema);
        let kind = self.kind.to_uppercase();
        match &*self.kind {
            "table" | "sequence" if self.all_of_schema() => format!("ALL {kind}S IN SCHEMA {schema}"),
            "table" | "sequence" => format!("{kind} {schema}.{}", ident(&self.object)),
            // A function is named with the types of its arguments.
            "function" => match self.object.split_once('(') {
                Some((name, types)) => format!("FUNCTION {schema}.{}({types}", ident(name)),
                None => format!("FUNCTION {schema}.{}", ident(&self.object)),
            },
            _ => format!("{kind} {}", ident(&self.object)),
        }
    }

    /// Returns the SQL that grants them.
    pub fn grant(&self) -> String {
        if self.kind == "group" {
            let admin = if self.grantable { " WITH ADMIN OPTION" } else { "" };
            return format!("GRANT {} TO {}{admin}", ident(&self.object), self.grantee());
        }
        let option = if self.grantable { " WITH GRANT OPTION" } else { "" };
        format!("GRANT {} ON {} TO {}{option}", self.privileges.join(","), self.on(), self.grantee())
    }

    /// Returns the SQL that takes them away.
    pub fn revoke(&self) -> String {
        if self.kind == "group" {
            return format!("REVOKE {} FROM {}", ident(&self.object), self.grantee());
        }
        format!("REVOKE {} ON {} FROM {}", self.privileges.join(","), self.on(), self.grantee())
    }

    /// Returns the question for the objects: name and access list, that of a new object if none is set.
    fn objects(&self) -> String {
        let name = literal(&self.object);
        let schema = literal(&self.schema);
        let of = |table: &str, prefix: &str, owner: &str, kind: char| {
            format!(
                "SELECT x.{prefix}name AS name, COALESCE(x.{prefix}acl, acldefault('{kind}', x.{owner})) AS acl \
                 FROM {table} x WHERE x.{prefix}name = {name}"
            )
        };
        let in_schema = |kinds: &str, kind: char| {
            let which = if self.all_of_schema() { String::new() } else { format!(" AND x.relname = {name}") };
            format!(
                "SELECT x.relname AS name, COALESCE(x.relacl, acldefault('{kind}', x.relowner)) AS acl \
                 FROM pg_class x JOIN pg_namespace n ON n.oid = x.relnamespace \
                 WHERE n.nspname = {schema} AND x.relkind IN ({kinds}){which}"
            )
        };
        match &*self.kind {
            "table" => in_schema("'r','v','m','f','p'", 'r'),
            "sequence" => in_schema("'S'", 's'),
            "schema" => of("pg_namespace", "nsp", "nspowner", 'n'),
            "tablespace" => of("pg_tablespace", "spc", "spcowner", 't'),
            "language" => of("pg_language", "lan", "lanowner", 'l'),
            "function" => {
                let full = literal(self.on().trim_start_matches("FUNCTION "));
                let find = if self.object.contains('(') { "to_regprocedure" } else { "to_regproc" };
                format!(
                    "SELECT x.proname AS name, COALESCE(x.proacl, acldefault('f', x.proowner)) AS acl \
                     FROM pg_proc x WHERE x.oid = {find}({full})::oid"
                )
            }
            _ => of("pg_database", "dat", "datdba", 'd'),
        }
    }
}

impl Server {
    /// Asks how many of the privileges are there.
    pub fn privileges(&self, look: &dyn Look, of: &Privileges) -> Result<Found, Refused> {
        if of.kind == "group" {
            let rows = self.rows(
                look,
                &format!(
                    "SELECT bool_or(m.admin_option) AS admin, count(m.roleid) AS n FROM pg_roles g \
                     LEFT JOIN pg_auth_members m ON m.roleid = g.oid AND m.member = \
                     (SELECT oid FROM pg_roles WHERE rolname = {}) WHERE g.rolname = {} GROUP BY g.oid",
                    literal(&of.role),
                    literal(&of.object)
                ),
            )?;
            let Some(row) = rows.first() else { return Ok(Found::Nothing) };
            return Ok(match (row.str("n"), flag(row, "admin")) {
                (Some("0") | None, _) => Found::None,
                (_, Some(true)) => Found::All,
                _ if of.grantable => Found::Some,
                _ => Found::All,
            });
        }
        let grantee = if of.role.eq_ignore_ascii_case("public") {
            "0".to_owned()
        } else {
            format!("(SELECT oid FROM pg_roles WHERE rolname = {})", literal(&of.role))
        };
        let rows = self.rows(
            look,
            &format!(
                "SELECT o.name, a.privilege_type AS privilege, a.is_grantable AS grantable FROM ({}) o \
                 LEFT JOIN LATERAL (SELECT * FROM aclexplode(o.acl) e WHERE e.grantee = {grantee}) a ON true",
                of.objects()
            ),
        )?;
        Ok(judge(&rows, of))
    }
}

fn judge(rows: &[Map], of: &Privileges) -> Found {
    let mut names: Vec<&str> = rows.iter().filter_map(|row| row.str("name")).collect();
    names.sort_unstable();
    names.dedup();
    if names.is_empty() {
        // A schema without tables has all that `ALL` asks for.
        return if of.all_of_schema() { Found::All } else { Found::Nothing };
    }
    let (mut all, mut any) = (true, false);
    for name in names {
        for privilege in of.wanted() {
            let row = rows.iter().find(|row| row.str("name") == Some(name) && row.str("privilege") == Some(privilege));
            any |= row.is_some();
            all &= row.is_some_and(|row| !of.grantable || flag(row, "grantable") == Some(true));
        }
    }
    match (all, any) {
        (true, _) => Found::All,
        (_, true) => Found::Some,
        _ => Found::None,
    }
}
