//! PostgreSQL through its own `psql`: where to connect, how SQL is quoted, how answers are read. SQL goes to
//! standard input, because everybody can read an argv.

pub mod password;
pub mod privileges;
pub mod role;

use corpus_core::host::{Command, HostError};
use corpus_core::{Data, Look, Map, Output, Value, python};
use std::path::Path;

/// What a declaration or a call says about the connection; the configuration says the rest.
#[derive(Clone, Debug, Default)]
pub struct Given {
    pub runas: Option<String>,
    pub maintenance_db: Option<String>,
    pub user: Option<String>,
    pub password: Option<String>,
    pub host: Option<String>,
    pub port: Option<String>,
}

/// A way to a server.
#[derive(Clone, Debug)]
pub struct Server {
    program: String,
    runas: Option<String>,
    user: Option<String>,
    password: Option<String>,
    host: Option<String>,
    port: Option<String>,
    /// The database that questions are put to.
    pub database: String,
}

/// Why a server did not answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Refused {
    /// The program, the system's user, the server or its database is not there; an earlier step may bring it.
    #[error("{0}")]
    Missing(String),
    /// The server is there and its database is not: nothing is in it.
    #[error("{0}")]
    NoDatabase(String),
    #[error(transparent)]
    Host(#[from] HostError),
}

/// Quotes an identifier.
pub fn ident(name: &str) -> String {
    format!("\"{}\"", name.replace('\0', "").replace('"', "\"\""))
}

/// Quotes a text, whatever the server makes of backslashes.
pub fn literal(text: &str) -> String {
    let text = text.replace('\0', "").replace('\'', "''");
    if text.contains('\\') { format!(" E'{}'", text.replace('\\', "\\\\")) } else { format!("'{text}'") }
}

/// Finds a program of the server: in `postgres.bins_dir`, on the search path, or where Debian has the newest.
pub fn programs(look: &dyn Look, data: &Data, name: &str) -> Option<String> {
    let key = "postgres.bins_dir";
    let dir = data.opts.get(key).or_else(|| data.pillar.get(key)).filter(|value| value.truthy()).map(python::str);
    if let Some(dir) = dir {
        return Some(Path::new(&dir).join(name).display().to_string());
    }
    if look.which(name).is_some() {
        return Some(name.to_owned());
    }
    let mut versions = look.list(Path::new("/usr/lib/postgresql")).unwrap_or_default();
    versions.sort_by_key(|version| version.parse::<f64>().map_or(0, |version| (version * 100.0) as u64));
    let paths = versions.iter().rev().map(|version| format!("/usr/lib/postgresql/{version}/bin/{name}"));
    paths.into_iter().find(|path| crate::ask::exists(look, path))
}

impl Server {
    /// Fills in what is not given from the configuration and pillar, as Salt does.
    pub fn of(look: &dyn Look, data: &Data, given: Given) -> Self {
        let option = |key: &str| {
            let key = format!("postgres.{key}");
            let value = data.opts.get(&key).or_else(|| data.pillar.get(&key)).filter(|value| value.truthy());
            value.map(python::str)
        };
        let or = |given: Option<String>, key: &str| given.filter(|text| !text.is_empty()).or_else(|| option(key));
        let host = or(given.host, "host");
        // Salt: over a socket, the system's user is who the server takes one for.
        let socket = host.as_ref().is_none_or(|host| host.starts_with('/'));
        let program = match option("bins_dir") {
            Some(dir) if look.which("psql").is_none() => Path::new(&dir).join("psql").display().to_string(),
            _ => "psql".into(),
        };
        Self {
            program,
            runas: given.runas.or_else(|| socket.then(|| "postgres".into())),
            user: or(given.user, "user"),
            password: given.password.or_else(|| option("pass")),
            port: or(given.port, "port"),
            database: or(given.maintenance_db, "maintenance_db").unwrap_or_else(|| "postgres".into()),
            host,
        }
    }

    /// Makes the command that runs some SQL.
    pub fn command(&self, sql: &str) -> Command {
        let mut argv: Vec<String> =
            ["--no-align", "--no-readline", "--no-psqlrc", "--no-password", "--quiet"].map(str::to_owned).to_vec();
        argv.insert(0, self.program.clone());
        argv.extend(["--set".into(), "ON_ERROR_STOP=1".into()]);
        for (flag, value) in [("--username", &self.user), ("--host", &self.host), ("--port", &self.port)] {
            if let Some(value) = value {
                argv.extend([flag.into(), value.clone()]);
            }
        }
        argv.extend(["--dbname".into(), self.database.clone()]);
        let mut command = Command::new(argv).stdin(format!("{sql};\n")).env("LC_ALL", "C");
        if let Some(password) = &self.password {
            // For whatever server the program turns to; colons and backslashes are escaped in it.
            let line = format!("*:*:*:*:{}\n", password.replace('\\', "\\\\").replace(':', "\\:"));
            let file = command.hand_over(line);
            command = command.env("PGPASSFILE", &file);
            command.secret = true;
        }
        command.runas.clone_from(&self.runas);
        // Where the caller stands may be closed to that user.
        command.cwd = Some("/".into());
        command
    }

    /// Names a fact about this server, or about its database `within`.
    pub fn fact(&self, within: bool, kind: &str, name: &str) -> String {
        let mut words = vec!["postgres"];
        words.extend(self.host.as_deref());
        words.extend(self.port.as_deref());
        if within {
            words.push(&self.database);
        }
        words.extend([kind, name]);
        words.join(":")
    }

    /// Puts a question, and returns its rows by name of column; null is empty text.
    pub fn rows(&self, look: &dyn Look, query: &str) -> Result<Vec<Map>, Refused> {
        let query = query.trim().trim_end_matches(';');
        let output = self.ask(look, &format!("COPY ({query}) TO STDOUT WITH CSV HEADER"))?;
        if output.ok() {
            return Ok(table(&output.stdout_text()));
        }
        Err(HostError::other("ask PostgreSQL", crate::ask::said(&output)).into())
    }

    fn ask(&self, look: &dyn Look, sql: &str) -> Result<Output, Refused> {
        if look.which(&self.program).is_none() {
            return Err(Refused::Missing(format!("The program {} is not available", self.program)));
        }
        if let Some(user) = &self.runas
            && look.user(user)?.is_none()
        {
            return Err(Refused::Missing(format!("User '{user}' is not available")));
        }
        let output = look.query(&self.command(sql))?;
        // psql: 2 is a connection that failed.
        if output.code != 2 {
            return Ok(output);
        }
        let said = crate::ask::said(&output);
        // Its words are in the server's language: whether it is the database that is missing, the server says.
        let main = Self { database: "postgres".into(), ..self.clone() };
        if self.database != main.database && main.databases(look).is_ok_and(|all| !all.contains(&self.database)) {
            return Err(Refused::NoDatabase(said));
        }
        Err(Refused::Missing(said))
    }

    /// Returns the rows of a question as a mapping by their column `Name`.
    pub fn named(&self, look: &dyn Look, query: &str) -> Result<Map, Refused> {
        let mut all = Map::new();
        for mut row in self.rows(look, query)? {
            if let Some(name) = row.remove("Name") {
                all.insert(name, row);
            }
        }
        Ok(all)
    }

    /// Lists databases, as Salt shows them.
    pub fn databases(&self, look: &dyn Look) -> Result<Map, Refused> {
        self.named(
            look,
            "SELECT datname AS \"Name\", pga.rolname AS \"Owner\", pg_encoding_to_char(encoding) AS \"Encoding\", \
             datcollate AS \"Collate\", datctype AS \"Ctype\", datacl AS \"Access privileges\", \
             spcname AS \"Tablespace\" FROM pg_database pgd, pg_roles pga, pg_tablespace pgts \
             WHERE pga.oid = pgd.datdba AND pgts.oid = pgd.dattablespace",
        )
    }

    /// Lists the schemas of the server's database: owner and privileges.
    pub fn schemas(&self, look: &dyn Look) -> Result<Map, Refused> {
        self.named(
            look,
            "SELECT n.nspname AS \"Name\", r.rolname AS owner, n.nspacl AS acl \
             FROM pg_namespace n JOIN pg_roles r ON r.oid = n.nspowner",
        )
    }

    /// Lists the extensions of the server's database: version and schema.
    pub fn extensions(&self, look: &dyn Look) -> Result<Map, Refused> {
        self.named(
            look,
            "SELECT e.extname AS \"Name\", e.extversion AS version, n.nspname AS schema \
             FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace",
        )
    }

    /// Lists table spaces, as Salt shows them.
    pub fn tablespaces(&self, look: &dyn Look) -> Result<Map, Refused> {
        self.named(
            look,
            "SELECT spcname AS \"Name\", r.rolname AS \"Owner\", spcacl AS \"ACL\", spcoptions AS \"Opts\", \
             pg_tablespace_location(t.oid) AS \"Location\" \
             FROM pg_tablespace t JOIN pg_roles r ON r.oid = t.spcowner",
        )
    }

    /// Returns the version.
    pub fn version(&self, look: &dyn Look) -> Result<Value, Refused> {
        let rows = self.rows(look, "SELECT current_setting('server_version') AS version")?;
        Ok(rows.first().and_then(|row| row.get("version")).cloned().unwrap_or_default())
    }
}

/// Returns what an earlier step makes of a thing, if one does: `Some(None)` is "not there".
pub fn foretold(look: &dyn Look, fact: &str) -> Option<Option<Map>> {
    let value = look.predicted(fact)?;
    Some(value.as_map().cloned().or_else(|| value.truthy().then(Map::new)))
}

/// Returns a flag of an answer.
pub fn flag(row: &Map, key: &str) -> Option<bool> {
    match row.get(key)? {
        Value::Bool(yes) => Some(*yes),
        Value::Str(text) if &**text == "t" => Some(true),
        Value::Str(text) if &**text == "f" => Some(false),
        _ => None,
    }
}

/// Reads CSV with a header.
fn table(text: &str) -> Vec<Map> {
    let mut rows = records(text).into_iter();
    let Some(header) = rows.next() else { return vec![] };
    rows.map(|row| header.iter().zip(row).map(|(key, value)| (key.as_str(), Value::from(value))).collect()).collect()
}

/// Reads CSV.
pub fn records(text: &str) -> Vec<Vec<String>> {
    let (mut rows, mut row, mut field, mut quoted) = (vec![], vec![], String::new(), false);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                field.push('"');
            }
            '"' => quoted = !quoted,
            c if quoted => field.push(c),
            ',' => row.push(std::mem::take(&mut field)),
            '\n' => {
                row.push(std::mem::take(&mut field));
                rows.push(std::mem::take(&mut row));
            }
            c => field.push(c),
        }
    }
    if !field.is_empty() || !row.is_empty() {
        row.push(field);
        rows.push(row);
    }
    rows
}

/// Turns a refusal into the host's own kind, for callers that do not tell them apart.
impl From<Refused> for HostError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Missing(why) | Refused::NoDatabase(why) => Self::other("ask PostgreSQL", why),
            Refused::Host(error) => error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_what_must_not_end_early() {
        assert_eq!(ident("a\"b"), "\"a\"\"b\"");
        assert_eq!(literal("o'clock"), "'o''clock'");
        assert_eq!(literal("\\'; DROP"), " E'\\\\''; DROP'");
    }

    #[test]
    fn reads_csv() {
        let rows = records("a,b\n\"x,\"\"y\"\"\nz\",\n");
        assert_eq!(rows, [vec!["a", "b"], vec!["x,\"y\"\nz", ""]]);
    }
}
