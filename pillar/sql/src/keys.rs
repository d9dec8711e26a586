//! A table of keys and values in SQLite: Salt's `sdb` driver `sqlite3`, in whose blobs msgpack is.

use corpus_core::{Map, Value, python};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, OptionalExtension, ToSql, named_params};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

/// A database as a profile of the configuration describes it.
pub struct KeyTable {
    database: PathBuf,
    /// The table's name, quoted.
    table: String,
    create: Vec<String>,
    get_query: String,
    set_query: String,
    /// None where the queries are the profile's own.
    delete_query: Option<String>,
}

impl KeyTable {
    /// Reads a profile: `database`, and `table` or queries of one's own.
    pub fn of(profile: &Map) -> Result<Self, String> {
        let word = |key: &str| profile.get(key).filter(|value| value.truthy()).map(python::str);
        let database = word("database").ok_or("the profile has no `database`")?.into();
        let name = word("table").unwrap_or_else(|| "sdb".into());
        if name.contains('\0') {
            return Err("the table's name holds a NUL".into());
        }
        let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
        let table = quoted(&name);
        let own: Option<Vec<String>> =
            profile.get("create_statements").and_then(Value::as_list).map(|all| all.iter().map(python::str).collect());
        let create = match own {
            Some(statements) => statements,
            None if profile.get("create_table").is_none_or(Value::truthy) => vec![
                format!("CREATE TABLE IF NOT EXISTS {table} (key text, value blob)"),
                format!("CREATE UNIQUE INDEX IF NOT EXISTS {} ON {table} (key)", quoted(&format!("{name}_idx"))),
            ],
            None => vec![],
        };
        let simple = word("get_query").is_none() && word("set_query").is_none();
        Ok(Self {
            database,
            create,
            get_query: word("get_query").unwrap_or_else(|| format!("SELECT value FROM {table} WHERE key=:key")),
            set_query: word("set_query")
                .unwrap_or_else(|| format!("INSERT OR REPLACE INTO {table} VALUES (:key, :value)")),
            delete_query: simple.then(|| format!("DELETE FROM {table} WHERE key=:key")),
            table,
        })
    }

    /// Returns a key's value. A database that is not there yet has none.
    pub fn get(&self, key: &str) -> Result<Option<Value>, String> {
        if !self.database.exists() {
            return Ok(None);
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.database, flags).map_err(|error| self.fail(&error))?;
        let fresh = !self.create.is_empty() && !self.has_table(&connection)?;
        if fresh {
            return Ok(None);
        }
        let mut statement = connection.prepare(&self.get_query).map_err(|error| self.fail(&error))?;
        let row = statement.query_row(named_params! {":key": key}, |row| Ok(value(row.get_ref(0)?)));
        row.optional().map_err(|error| self.fail(&error))?.transpose()
    }

    /// Sets a key's value, in a database that only its owner can read.
    pub fn set(&self, key: &str, value: &Value) -> Result<(), String> {
        let mut bytes = Vec::new();
        let mut packer = rmp_serde::Serializer::new(&mut bytes).with_human_readable();
        value.serialize(&mut packer).map_err(|error| error.to_string())?;
        self.change(&self.set_query, &[(":key", &key), (":value", &bytes)])
    }

    /// Takes a key away.
    pub fn delete(&self, key: &str) -> Result<(), String> {
        let query = self.delete_query.as_ref().ok_or("a profile with queries of its own has none that deletes")?;
        self.change(query, &[(":key", &key)])
    }

    fn change(&self, query: &str, parameters: &[(&str, &dyn ToSql)]) -> Result<(), String> {
        if !self.database.exists() {
            use std::os::unix::fs::OpenOptionsExt;
            let made = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&self.database);
            made.map_err(|error| format!("create {}: {error}", self.database.display()))?;
        }
        let connection = Connection::open(&self.database).map_err(|error| self.fail(&error))?;
        connection.busy_timeout(Duration::from_secs(5)).map_err(|error| self.fail(&error))?;
        for statement in &self.create {
            // Salt takes each failure of these for "it is there already"; those that matter come back below.
            let _ = connection.execute(statement, []);
        }
        connection.execute(query, parameters).map(drop).map_err(|error| self.fail(&error))
    }

    fn has_table(&self, connection: &Connection) -> Result<bool, String> {
        let found = connection.query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get::<_, i64>(0));
        let any = found.map_err(|error| self.fail(&error))? > 0;
        let named = connection.prepare(&format!("SELECT 1 FROM {}", self.table)).is_ok();
        Ok(named || (any && self.delete_query.is_none()))
    }

    fn fail(&self, error: &rusqlite::Error) -> String {
        format!("SQLite {}: {error}", self.database.display())
    }
}

fn value(cell: ValueRef<'_>) -> Result<Value, String> {
    Ok(match cell {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(i) => Value::Int(i),
        ValueRef::Real(x) => Value::Float(x),
        ValueRef::Text(bytes) => std::str::from_utf8(bytes).map_err(|_| "the value is no UTF-8 text")?.into(),
        ValueRef::Blob(bytes) => {
            let mut reader = rmp_serde::Deserializer::from_read_ref(bytes).with_human_readable();
            Value::deserialize(&mut reader).map_err(|_| "the value is no msgpack")?
        }
    })
}
