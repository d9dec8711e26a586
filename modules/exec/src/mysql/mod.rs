//! MySQL and MariaDB through their own client: where to connect, how SQL is quoted, how answers are read. SQL goes
//! to standard input and the password into the environment, because everybody can read an argv.

pub mod grant;

use crate::ask;
use corpus_core::host::{Command, HostError, HostErrorKind, HostResult};
use corpus_core::{Data, Look, Map, Output, Value, digest, python};
use sha1::{Digest, Sha1};

/// What a declaration or a call says about the connection; the configuration says the rest.
#[derive(Clone, Debug, Default)]
pub struct Given {
    pub host: Option<String>,
    pub user: Option<String>,
    pub pass: Option<String>,
    pub port: Option<String>,
    pub db: Option<String>,
    pub unix_socket: Option<String>,
    pub default_file: Option<String>,
    pub charset: Option<String>,
}

/// A way to a server.
#[derive(Clone, Debug)]
pub struct Server {
    pub program: &'static str,
    given: Given,
}

/// Quotes an identifier.
pub fn ident(name: &str) -> String {
    format!("`{}`", name.replace('\0', "").replace('`', "``"))
}

/// Quotes a text.
pub fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\0', "").replace('\\', "\\\\").replace('\'', "''"))
}

/// Writes an account, `'joe'@'localhost'`.
pub fn account(user: &str, host: &str) -> String {
    format!("{}@{}", literal(user), literal(host))
}

/// Returns how `mysql_native_password` keeps a password.
pub fn native(password: &str) -> String {
    if password.is_empty() {
        return String::new();
    }
    format!("*{}", digest::hex(&Sha1::digest(Sha1::digest(password.as_bytes()))).to_uppercase())
}

impl Server {
    /// Fills in what is not given from the configuration and pillar (`mysql.host`…), as Salt does.
    pub fn of(look: &dyn Look, data: &Data, mut given: Given) -> Self {
        let option = |key: &str| {
            let key = format!("mysql.{key}");
            let value = data.opts.get(&key).or_else(|| data.pillar.get(&key)).filter(|value| value.truthy());
            value.map(python::str)
        };
        // Salt: a file of options that is named says everything.
        if given.default_file.is_none() {
            for (slot, key) in [
                (&mut given.host, "host"),
                (&mut given.user, "user"),
                (&mut given.pass, "pass"),
                (&mut given.port, "port"),
                (&mut given.db, "db"),
                (&mut given.unix_socket, "unix_socket"),
                (&mut given.default_file, "default_file"),
                (&mut given.charset, "charset"),
            ] {
                if slot.is_none() {
                    *slot = option(key);
                }
            }
        }
        let program =
            if look.which("mysql").is_none() && look.which("mariadb").is_some() { "mariadb" } else { "mysql" };
        Self { program, given }
    }

    /// Makes the command that runs some SQL.
    pub fn command(&self, sql: &str) -> Command {
        let mut command = Command::new([self.program]);
        let given = &self.given;
        // A file of options has to come first; the password is in one of its own, over those that are read anyway.
        match (&given.pass, &given.default_file) {
            (Some(pass), file) => {
                let pass = pass.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
                let other = file.as_ref().map(|file| format!("!include {file}\n")).unwrap_or_default();
                let handed = command.hand_over(format!("{other}[client]\npassword=\"{pass}\"\n"));
                let flag = if file.is_some() { "--defaults-file" } else { "--defaults-extra-file" };
                command.argv.push(format!("{flag}={handed}"));
                command.secret = true;
            }
            (None, Some(file)) => command.argv.push(format!("--defaults-file={file}")),
            (None, None) => {}
        }
        for (flag, value) in [
            ("--host", &given.host),
            ("--user", &given.user),
            ("--port", &given.port),
            ("--socket", &given.unix_socket),
            ("--database", &given.db),
            ("--default-character-set", &given.charset),
        ] {
            if let Some(value) = value {
                command.argv.push(format!("{flag}={value}"));
            }
        }
        command.argv.push("--batch".into());
        command.stdin(format!("{sql};\n"))
    }

    /// Names a fact about this server.
    pub fn fact(&self, kind: &str, name: &str) -> String {
        let place = [&self.given.host, &self.given.port, &self.given.unix_socket, &self.given.default_file];
        let place: Vec<&str> = place.into_iter().flatten().map(String::as_str).collect();
        format!("mysql:{}:{kind}:{name}", place.join(":"))
    }

    /// Puts a question, and returns its rows by name of column.
    pub fn rows(&self, look: &dyn Look, sql: &str) -> HostResult<Vec<Map>> {
        let output = look.query(&self.command(sql))?;
        if output.ok() { Ok(table(&output.stdout_text())) } else { Err(refusal(&output)) }
    }

    /// Returns the version that the server names.
    pub fn version(&self, look: &dyn Look) -> HostResult<String> {
        let rows = self.rows(look, "SELECT VERSION() AS version")?;
        Ok(rows.first().and_then(|row| row.str("version")).unwrap_or_default().to_owned())
    }

    /// Describes a database: `character_set` and `collate`; `None` if there is none.
    pub fn database(&self, look: &dyn Look, name: &str) -> HostResult<Option<Map>> {
        let sql = format!(
            "SELECT DEFAULT_CHARACTER_SET_NAME AS `character_set`, DEFAULT_COLLATION_NAME AS `collate` \
             FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = {}",
            literal(name)
        );
        Ok(self.rows(look, &sql)?.into_iter().next())
    }

    /// Describes an account, with the server's `version` beside it; the `User` is null if there is none.
    pub fn user(&self, look: &dyn Look, user: &str, host: &str) -> HostResult<User> {
        let sql = format!(
            "SELECT VERSION() AS version, u.* FROM (SELECT 1) AS one LEFT JOIN mysql.user AS u \
             ON u.User = {} AND u.Host = {}",
            literal(user),
            literal(host)
        );
        let row = self.rows(look, &sql)?.into_iter().next().unwrap_or_default();
        let text = |key: &str| row.str(key).unwrap_or_default().to_owned();
        let kept = ["authentication_string", "Password"].map(text).into_iter().find(|kept| !kept.is_empty());
        Ok(User {
            mariadb: text("version").contains("MariaDB"),
            there: row.str("User").is_some(),
            plugin: text("plugin"),
            kept: kept.filter(|kept| kept != "invalid").unwrap_or_default(),
        })
    }

    /// Lists the grants of an account as the server writes them; none if there is no such account.
    pub fn grants(&self, look: &dyn Look, user: &str, host: &str) -> HostResult<Vec<String>> {
        let output = look.query(&self.command(&format!("SHOW GRANTS FOR {}", account(user, host))))?;
        if !output.ok() {
            let error = refusal(&output);
            return if error.why.starts_with("MySQL Error 1141:") { Ok(vec![]) } else { Err(error) };
        }
        Ok(output.stdout_text().lines().skip(1).map(unescape).collect())
    }
}

/// An account as the server keeps it.
#[derive(Clone, Debug)]
pub struct User {
    pub mariadb: bool,
    pub there: bool,
    pub plugin: String,
    /// What is kept of the password.
    pub kept: String,
}

impl User {
    /// Tells whether who connects is known by the system's user.
    pub fn by_socket(&self) -> bool {
        ["unix_socket", "auth_socket"].contains(&self.plugin.as_str())
    }
}

/// Makes an error of what the client said, in the words that Salt has for it.
pub fn refusal(output: &Output) -> HostError {
    let said = ask::said(output);
    let line = said.lines().find(|line| line.starts_with("ERROR ")).unwrap_or(&said);
    let number: String = line.trim_start_matches("ERROR ").chars().take_while(char::is_ascii_digit).collect();
    let why = match line.split_once(": ") {
        Some((_, words)) if !number.is_empty() => format!("MySQL Error {number}: {words}"),
        _ => line.to_owned(),
    };
    // What an earlier step may change: no server, no way in, no such thing.
    let missing = ["2002", "2003", "2005", "1044", "1045", "1049", "1698"].contains(&number.as_str());
    let kind = if missing { HostErrorKind::Missing } else { HostErrorKind::Other };
    HostError { what: "ask MySQL".into(), why, kind }
}

/// Takes the client's escapes out of a field.
fn unescape(field: &str) -> String {
    let (mut out, mut chars) = (String::with_capacity(field.len()), field.chars());
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('n') => out.push('\n'),
                Some('t') => out.push('\t'),
                Some('0') => out.push('\0'),
                Some(other) => out.push(other),
                None => out.push('\\'),
            },
            c => out.push(c),
        }
    }
    out
}

/// Reads what `--batch` prints: names, then rows, with tabs between.
fn table(text: &str) -> Vec<Map> {
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next().unwrap_or_default().split('\t').collect();
    let value = |field: &str| if field == "NULL" { Value::Null } else { unescape(field).into() };
    lines.map(|line| names.iter().copied().zip(line.split('\t').map(value)).collect()).collect()
}

/// Returns the SQL that makes a database.
pub fn create_database(name: &str, character_set: Option<&str>, collate: Option<&str>) -> String {
    let charset = character_set.map(|text| format!(" CHARACTER SET {}", literal(text))).unwrap_or_default();
    let collate = collate.map(|text| format!(" COLLATE {}", literal(text))).unwrap_or_default();
    format!("CREATE DATABASE IF NOT EXISTS {}{charset}{collate}", ident(name))
}

/// How an account is to log in.
#[derive(Clone, Copy, Debug, Default)]
pub struct Login<'a> {
    pub password: Option<&'a str>,
    pub password_hash: Option<&'a str>,
    pub unix_socket: bool,
    pub auth_plugin: &'a str,
}

impl Login<'_> {
    /// Writes the `IDENTIFIED` part; nothing where nothing is asked for.
    pub fn sql(&self, mariadb: bool) -> String {
        let native = ["", "mysql_native_password"].contains(&self.auth_plugin);
        match (self.password, self.password_hash) {
            _ if self.unix_socket && mariadb => " IDENTIFIED VIA unix_socket".into(),
            _ if self.unix_socket => " IDENTIFIED WITH auth_socket".into(),
            (Some(password), _) if mariadb && native => format!(" IDENTIFIED BY {}", literal(password)),
            (Some(password), _) if mariadb => {
                format!(" IDENTIFIED VIA {} USING PASSWORD({})", ident(self.auth_plugin), literal(password))
            }
            (Some(password), _) => format!(" IDENTIFIED WITH {} BY {}", ident(self.plugin()), literal(password)),
            (None, Some(hash)) if mariadb && native => format!(" IDENTIFIED BY PASSWORD {}", literal(hash)),
            (None, Some(hash)) if mariadb => {
                format!(" IDENTIFIED VIA {} USING {}", ident(self.auth_plugin), literal(hash))
            }
            (None, Some(hash)) => format!(" IDENTIFIED WITH {} AS {}", ident(self.plugin()), literal(hash)),
            (None, None) => String::new(),
        }
    }

    fn plugin(&self) -> &str {
        if self.auth_plugin.is_empty() { "mysql_native_password" } else { self.auth_plugin }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_reads() {
        assert_eq!(literal("o'c\\k"), "'o''c\\\\k'");
        assert_eq!(ident("a`b"), "`a``b`");
        assert_eq!(native("password"), "*2470C0C06DEE42FD1618BB99005ADCA2EC9D1E19");
        let rows = table("a\tb\nx\\ty\tNULL\n");
        assert_eq!((rows[0].str("a"), rows[0].get("b")), (Some("x\ty"), Some(&Value::Null)));
    }
}
