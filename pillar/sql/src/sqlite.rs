//! SQLite, read only.

use crate::{Database, Table};
use corpus_core::{Diagnostic, Map, Value, python};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

pub struct Sqlite;

const DATABASE: &str = "/var/lib/salt/pillar.db";

/// The database of the setting `sqlite3`; Salt heeds the setting only if it names one.
fn path(setting: &Map) -> PathBuf {
    setting.get("database").map_or_else(|| DATABASE.to_owned(), python::str).into()
}

impl Database for Sqlite {
    const NAME: &'static str = "sqlite3";
    type Connection = (Connection, PathBuf);

    fn connect(&self, setting: &Map, deadline: Instant) -> Result<Self::Connection, Diagnostic> {
        let path = path(setting);
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&path, flags).map_err(|error| fail(&path, &error))?;
        let seconds = setting.get("timeout").map_or_else(|| "5".into(), python::str).parse::<f64>();
        let seconds = seconds.ok().filter(|n| n.is_finite() && *n >= 0.0).unwrap_or(5.0);
        let wait = Duration::from_secs_f64(seconds).min(deadline.saturating_duration_since(Instant::now()));
        connection.busy_timeout(wait).map_err(|error| fail(&path, &error))?;
        Ok((connection, path))
    }

    fn ask(&self, (connection, path): &mut Self::Connection, query: &str, id: &str) -> Result<Table, Diagnostic> {
        let fail = |error: rusqlite::Error| fail(path, &error);
        let mut statement = connection.prepare(query).map_err(fail)?;
        let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
        for place in 1..=statement.parameter_count() {
            statement.raw_bind_parameter(place, id).map_err(fail)?;
        }
        let mut found = statement.raw_query();
        let mut rows = Vec::new();
        while let Some(row) = found.next().map_err(fail)? {
            let cells = (0..names.len()).map(|i| value(row.get_ref(i).map_err(fail)?, &names[i]));
            rows.push(cells.collect::<Result<Vec<_>, _>>()?);
        }
        Ok((names, rows))
    }

    fn stamp(&self, setting: &Map) -> Option<String> {
        let path = path(setting);
        let beside = |suffix: &str| PathBuf::from(format!("{}{suffix}", path.display()));
        Some(corpus_pillar::sources::fingerprint(&[path.clone(), beside("-wal"), beside("-journal")]))
    }
}

fn fail(path: &Path, error: &rusqlite::Error) -> Diagnostic {
    Diagnostic::error(format!("SQLite {}: {error}", path.display()))
        .hint("`sqlite3: {database: FILE}` in the configuration names the database")
}

fn value(cell: ValueRef<'_>, column: &str) -> Result<Value, Diagnostic> {
    let text = |bytes: &[u8]| {
        let wrong = |_| Diagnostic::error(format!("the column `{column}` holds bytes that are no UTF-8 text"));
        std::str::from_utf8(bytes).map(Value::from).map_err(wrong)
    };
    Ok(match cell {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(i) => Value::Int(i),
        ValueRef::Real(x) => Value::Float(x),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => text(bytes)?,
    })
}
