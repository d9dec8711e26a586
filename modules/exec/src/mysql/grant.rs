//! Grants: written for the server, and found again in what it lists.

use super::{account, ident, literal};
use corpus_core::Value;

/// A grant as it is declared.
#[derive(Clone, Debug)]
pub struct Grant {
    /// Privileges, in capitals but for columns.
    privileges: Vec<String>,
    database: String,
    table: String,
    escape: bool,
    grant_option: bool,
    user: String,
    host: String,
}

/// A line of `SHOW GRANTS`.
struct Listed {
    privileges: Vec<String>,
    object: String,
    grant_option: bool,
}

/// Parts privileges at commas outside of parentheses.
fn parted(text: &str) -> Vec<String> {
    let (mut out, mut word, mut depth) = (vec![], String::new(), 0);
    for c in text.chars() {
        match c {
            ',' if depth == 0 => out.push(std::mem::take(&mut word)),
            c => {
                depth += i32::from(c == '(') - i32::from(c == ')');
                word.push(c);
            }
        }
    }
    out.push(word);
    out.iter().map(|word| word.trim().to_owned()).filter(|word| !word.is_empty()).collect()
}

/// Writes a privilege the one way in which it is compared.
fn normal(privilege: &str) -> String {
    let (name, columns) = match privilege.split_once('(') {
        Some((name, columns)) => (name, columns.trim_end_matches(')')),
        None => (privilege, ""),
    };
    let name = name.split_whitespace().collect::<Vec<_>>().join(" ").to_uppercase();
    let name = match name.as_str() {
        "ALL" => "ALL PRIVILEGES",
        // Names that MariaDB lists for those that it takes.
        "REPLICATION CLIENT" => "BINLOG MONITOR",
        "REPLICATION REPLICA" => "REPLICATION SLAVE",
        "REPLICATION REPLICA ADMIN" => "REPLICATION SLAVE ADMIN",
        "SLAVE MONITOR" => "REPLICA MONITOR",
        "DELETE VERSIONING ROWS" => "DELETE HISTORY",
        other => other,
    };
    let columns: Vec<String> =
        columns.split(',').map(|c| c.trim().replace('`', "")).filter(|c| !c.is_empty()).collect();
    if columns.is_empty() { name.to_owned() } else { format!("{name} ({})", columns.join(", ")) }
}

fn bare(object: &str) -> String {
    object.replace(['`', '\\', '"'], "")
}

impl Listed {
    fn parse(line: &str) -> Option<Self> {
        let rest = line.strip_prefix("GRANT ")?;
        let (privileges, rest) = rest.split_once(" ON ")?;
        let (object, rest) = rest.split_once(" TO ")?;
        Some(Self {
            privileges: parted(privileges).iter().map(|p| normal(p)).collect(),
            object: bare(object.trim_start_matches("TABLE ")),
            grant_option: rest.contains("WITH GRANT OPTION"),
        })
    }
}

impl Grant {
    /// Reads a declaration; an error says what cannot be granted.
    pub fn of(
        grant: &str,
        database: &str,
        user: &str,
        host: &str,
        grant_option: bool,
        escape: bool,
    ) -> Result<Self, String> {
        let privileges = parted(grant);
        let plain = |c: char| c.is_alphanumeric() || " _".contains(c);
        for privilege in &privileges {
            let (name, columns) = privilege.split_once('(').unwrap_or((privilege, ")"));
            let columns = columns.strip_suffix(')').unwrap_or("(");
            if !name.chars().all(plain) || !columns.chars().all(|c| plain(c) || "`,$".contains(c)) {
                return Err(format!("Invalid grant : '{privilege}'"));
            }
        }
        let (database, table) = database.rsplit_once('.').unwrap_or(("", database));
        let upper = |privilege: &String| match privilege.split_once('(') {
            Some((name, columns)) => format!("{} ({columns}", name.trim().to_uppercase()),
            None => privilege.to_uppercase(),
        };
        Ok(Self {
            privileges: privileges
                .iter()
                .map(upper)
                .map(|p| if p == "ALL" { "ALL PRIVILEGES".into() } else { p })
                .collect(),
            database: database.into(),
            table: table.into(),
            escape,
            grant_option,
            user: user.into(),
            host: host.into(),
        })
    }

    fn object(&self) -> String {
        let whole = self.table == "*";
        let database = match self.database.as_str() {
            "*" => "*".to_owned(),
            name if !self.escape => name.to_owned(),
            // `_` and `%` stand for any character where a database is granted.
            name if whole => ident(&name.replace('_', "\\_").replace('%', "\\%")),
            name => ident(name),
        };
        let table = if whole || !self.escape { self.table.clone() } else { ident(&self.table) };
        format!("{database}.{table}")
    }

    /// Writes the SQL that grants.
    pub fn add(&self, requires: &str) -> String {
        let option = if self.grant_option { " WITH GRANT OPTION" } else { "" };
        let to = account(&self.user, &self.host);
        format!("GRANT {} ON {} TO {to}{requires}{option}", self.privileges.join(", "), self.object())
    }

    /// Writes the SQL that revokes.
    pub fn revoke(&self) -> String {
        let option = if self.grant_option { ", GRANT OPTION" } else { "" };
        let from = account(&self.user, &self.host);
        format!("REVOKE {}{option} ON {} FROM {from}", self.privileges.join(", "), self.object())
    }

    /// Writes the SQL that revokes what is listed for the same object.
    pub fn revoke_listed(&self, lines: &[String]) -> Vec<String> {
        let same = self.same(lines);
        let from = account(&self.user, &self.host);
        let granted = same.iter().filter(|listed| listed.privileges != ["USAGE"]);
        granted.map(|l| format!("REVOKE {} ON {} FROM {from}", l.privileges.join(", "), self.object())).collect()
    }

    fn same(&self, lines: &[String]) -> Vec<Listed> {
        let object = bare(&self.object());
        lines.iter().filter_map(|line| Listed::parse(line)).filter(|listed| listed.object == object).collect()
    }

    /// Tells whether all of it is listed.
    pub fn listed(&self, lines: &[String]) -> bool {
        let same = self.same(lines);
        let have: Vec<&String> = same.iter().flat_map(|listed| &listed.privileges).collect();
        let all = have.iter().any(|p| *p == "ALL PRIVILEGES")
            // MySQL 8 lists all of them one by one.
            || ["SELECT", "SHUTDOWN", "SUPER", "CREATE ROLE"].iter().all(|p| have.iter().any(|have| have == p));
        let granted = self.privileges.iter().map(|p| normal(p)).all(|p| all || p == "USAGE" || have.contains(&&p));
        granted && !same.is_empty() && (!self.grant_option || same.iter().any(|listed| listed.grant_option))
    }
}

/// Writes Salt's `ssl_option`, a list of mappings of one entry.
pub fn requires(options: &Value) -> Result<String, String> {
    let mut out = vec![];
    for option in options.as_list().unwrap_or_default() {
        let Some((key, value)) = option.as_map().and_then(|map| map.iter().next()) else { continue };
        let name = corpus_core::python::str(key).trim().to_uppercase();
        match name.as_str() {
            "CIPHER" | "ISSUER" | "SUBJECT" => {
                out.push(format!("{name} {}", literal(&corpus_core::python::str(value))))
            }
            "SSL" | "X509" if value.truthy() => out.push(name),
            "SSL" | "X509" => {}
            _ => return Err(format!("Invalid SSL option : '{}'", corpus_core::python::str(key))),
        }
    }
    Ok(if out.is_empty() { String::new() } else { format!(" REQUIRE {}", out.join(" AND ")) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_and_finds_grants() {
        let grant = Grant::of("select, Insert (a,b)", "my_db.*", "joe", "%", true, true).expect("a good grant");
        assert_eq!(grant.add(""), "GRANT SELECT, INSERT (a,b) ON `my\\_db`.* TO 'joe'@'%' WITH GRANT OPTION");
        let lines = ["GRANT USAGE ON *.* TO `joe`@`%`".to_owned()];
        assert!(!grant.listed(&lines));
        let lines = ["GRANT SELECT, INSERT (`a`, `b`) ON `my\\_db`.* TO `joe`@`%` WITH GRANT OPTION".to_owned()];
        assert!(grant.listed(&lines));
        let all = Grant::of("all", "*.*", "joe", "%", false, true).expect("a good grant");
        assert!(!all.listed(&lines) && all.listed(&["GRANT ALL PRIVILEGES ON *.* TO `joe`@`%`".to_owned()]));
        assert_eq!(all.revoke(), "REVOKE ALL PRIVILEGES ON *.* FROM 'joe'@'%'");
        assert!(Grant::of("SELECT; DROP", "*.*", "joe", "%", false, true).is_err());
    }
}
