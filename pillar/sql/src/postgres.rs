//! PostgreSQL, and what speaks its language.

use crate::{Database, Table};
use corpus_core::{Diagnostic, Map, Value, python};
use corpus_tls::{Check, Options};
use postgres::config::SslMode;
use postgres::types::{Format, FromSql, IsNull, ToSql, Type, private::BytesMut, to_sql_checked};
use postgres::{Client, Config, NoTls, Row};
use std::error::Error;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio_postgres_rustls::MakeRustlsConnect;

/// Connections that are not at work, with the setting they were made by.
#[derive(Default)]
pub struct Postgres {
    idle: Mutex<Vec<(String, Client)>>,
}

/// How many connections wait for more work.
const IDLE: usize = 8;

const SETTINGS: &[&str] = &["host", "user", "pass", "db", "port", "sslmode", "sslrootcert"];

impl Database for Postgres {
    const NAME: &'static str = "postgres";
    type Connection = Client;

    fn connect(&self, setting: &Map, deadline: Instant) -> Result<Client, Diagnostic> {
        let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        let known = identity(setting);
        let kept = {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            let at = idle.iter().position(|(identity, _)| *identity == known);
            at.map(|at| idle.swap_remove(at).1)
        };
        let kept = kept.filter(|client| !client.is_closed());
        let mut client = match kept.and_then(|mut client| client.is_valid(left).is_ok().then_some(client)) {
            Some(client) => client,
            None => connect(setting, left)?,
        };
        // The server ends what nobody waits for any more.
        let limit = format!("SET statement_timeout = {}", left.as_millis().min(2_000_000_000));
        client.batch_execute(&limit).map_err(|error| fail(setting, &error))?;
        Ok(client)
    }

    fn ask(&self, client: &mut Client, query: &str, id: &str) -> Result<Table, Diagnostic> {
        let (text, placeholders) = placeholders(query);
        let wrong = |error: postgres::Error| wrong(query, &error);
        let id = Id(id);
        let params: Vec<&(dyn ToSql + Sync)> = if placeholders { vec![&id] } else { vec![] };
        let mut statement = client.prepare(&text).map_err(wrong)?;
        let names: Vec<String> = statement.columns().iter().map(|column| column.name().to_owned()).collect();
        let numbers: Vec<bool> = statement.columns().iter().map(|column| *column.type_() == Type::NUMERIC).collect();
        // What is not read here is asked for as text.
        if let Some(wrapped) = as_text(&text, statement.columns()) {
            statement = client.prepare(&wrapped).map_err(wrong)?;
        }
        let rows = client.query(&statement, &params).map_err(wrong)?;
        let mut rows = rows.iter().map(|row| cells(row, &names)).collect::<Result<Vec<_>, _>>()?;
        for cell in rows.iter_mut().flat_map(|row| row.iter_mut().zip(&numbers)).filter_map(|(c, n)| n.then_some(c)) {
            *cell = number(cell);
        }
        Ok((names, rows))
    }

    fn keep(&self, client: Client, setting: &Map) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE {
            idle.push((identity(setting), client));
        }
    }
}

fn identity(setting: &Map) -> String {
    SETTINGS.iter().map(|name| setting.get(name).map(python::repr).unwrap_or_default() + "\n").collect()
}

fn word(setting: &Map, name: &str, default: &str) -> String {
    setting.get(name).filter(|value| !value.is_null()).map_or_else(|| default.to_owned(), python::str)
}

fn connect(setting: &Map, left: Duration) -> Result<Client, Diagnostic> {
    for key in setting.keys().map(python::str) {
        if !SETTINGS.contains(&key.as_str()) {
            let hint = corpus_core::suggest::did_you_mean(&key, SETTINGS.iter().copied());
            tracing::warn!(
                "the setting `postgres: {key}` is not known{}",
                hint.map_or(String::new(), |h| format!("; {h}"))
            );
        }
    }
    let host = word(setting, "host", "localhost");
    let port = word(setting, "port", "5432");
    let Ok(port) = port.parse::<u16>() else {
        return Err(Diagnostic::error(format!("`postgres: port` must be a number, found '{port}'")));
    };
    let mut config = Config::new();
    config
        .host(&host)
        .port(port)
        .user(&word(setting, "user", "salt"))
        .password(word(setting, "pass", "salt"))
        .dbname(&word(setting, "db", "salt"))
        .application_name("corpus pillar")
        .connect_timeout(left);
    let mode = word(setting, "sslmode", "prefer");
    let roots = setting.get("sslrootcert").filter(|value| !value.is_null()).map(python::str);
    let (mode, check) = match mode.as_str() {
        "disable" | "allow" => (SslMode::Disable, Check::Nothing),
        "prefer" => (SslMode::Prefer, Check::Nothing),
        "require" if roots.is_some() => (SslMode::Require, Check::Authority),
        "require" => (SslMode::Require, Check::Nothing),
        "verify-ca" => (SslMode::Require, Check::Authority),
        "verify-full" => (SslMode::Require, Check::Everything),
        other => {
            return Err(Diagnostic::error(format!("`postgres: sslmode` cannot be '{other}'"))
                .hint("it is disable, prefer, require, verify-ca or verify-full"));
        }
    };
    config.ssl_mode(mode);
    // A socket of this machine has no TLS.
    let made = if mode == SslMode::Disable || host.starts_with('/') {
        config.ssl_mode(SslMode::Disable).connect(NoTls)
    } else {
        let options = Options { check, authorities: roots.map(Into::into), identity: None };
        let tls = corpus_tls::client(&options).map_err(|error| {
            Diagnostic::error(format!("TLS: {error}"))
                .hint("`postgres: sslrootcert` names a file of authorities in PEM")
        })?;
        config.connect(MakeRustlsConnect::new(tls))
    };
    made.map_err(|error| fail(setting, &error))
}

/// All reasons of an error; none of them holds the password.
fn reasons(error: &postgres::Error) -> String {
    let mut text = match error.as_db_error() {
        Some(db) => db.message().to_owned(),
        None => error.to_string(),
    };
    let mut inner = error.source();
    while let Some(error) = inner.filter(|error| !error.is::<postgres::error::DbError>()) {
        let more = error.to_string();
        if !text.contains(&more) {
            text += &format!(": {more}");
        }
        inner = error.source();
    }
    text
}

fn fail(setting: &Map, error: &postgres::Error) -> Diagnostic {
    let at = format!("{}:{}", word(setting, "host", "localhost"), word(setting, "port", "5432"));
    let db = word(setting, "db", "salt");
    Diagnostic::error(format!("PostgreSQL {at}, database {db}: {}", reasons(error)))
        .hint("`postgres: {host: …, port: …, user: …, pass: …, db: …}` in the configuration says where it is")
}

fn wrong(query: &str, error: &postgres::Error) -> Diagnostic {
    let text = query.split_whitespace().collect::<Vec<_>>().join(" ");
    Diagnostic::error(format!("the query `{text}` failed: {}", reasons(error)))
}

/// Replaces psycopg2's `%s` by a bound parameter, and its `%%` by a percent sign.
fn placeholders(query: &str) -> (String, bool) {
    let mut out = String::new();
    let mut found = false;
    let mut rest = query.trim().trim_end_matches(';');
    while let Some(at) = rest.find('%') {
        out += &rest[..at];
        let two = rest.get(at..at + 2).unwrap_or("%");
        match two {
            "%s" => {
                out += "$1";
                found = true;
            }
            "%%" => out.push('%'),
            other => out += other,
        }
        rest = &rest[at + two.len()..];
    }
    (out + rest, found)
}

/// The id, sent as text for whatever type the query compares it with.
#[derive(Debug)]
struct Id<'a>(&'a str);

impl ToSql for Id<'_> {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.extend_from_slice(self.0.as_bytes());
        Ok(IsNull::No)
    }
    fn accepts(_: &Type) -> bool {
        true
    }
    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }
    to_sql_checked!();
}

/// Tells whether [`cell`] reads a type.
fn is_read(ty: &Type) -> bool {
    [
        Type::BOOL,
        Type::INT2,
        Type::INT4,
        Type::INT8,
        Type::FLOAT4,
        Type::FLOAT8,
        Type::OID,
        Type::JSON,
        Type::JSONB,
        Type::TEXT_ARRAY,
        Type::VARCHAR_ARRAY,
        Type::INT4_ARRAY,
        Type::INT8_ARRAY,
        Type::BOOL_ARRAY,
        Type::FLOAT8_ARRAY,
    ]
    .contains(ty)
        || <&str as FromSql>::accepts(ty)
}

/// Wraps a query so that the columns of other types come as text.
fn as_text(query: &str, columns: &[postgres::Column]) -> Option<String> {
    if columns.iter().all(|column| is_read(column.type_())) {
        return None;
    }
    let names: Vec<String> = (0..columns.len()).map(|i| format!("c{i}")).collect();
    let cast = |(column, name): (&postgres::Column, &String)| match is_read(column.type_()) {
        true => name.clone(),
        false => format!("{name}::text"),
    };
    let chosen: Vec<String> = columns.iter().zip(&names).map(cast).collect();
    Some(format!("SELECT {} FROM ({query}) AS q({})", chosen.join(", "), names.join(", ")))
}

/// A number of any size, as text, becomes one of ours where there is one.
fn number(cell: &Value) -> Value {
    let Some(text) = cell.as_str() else { return cell.clone() };
    let whole = text.parse().map(Value::Int).ok();
    whole.or_else(|| text.parse::<f64>().ok().filter(|x| x.is_finite()).map(Value::Float)).unwrap_or(cell.clone())
}

fn cells(row: &Row, names: &[String]) -> Result<Vec<Value>, Diagnostic> {
    (0..names.len())
        .map(|i| {
            cell(row, i).map_err(|error| Diagnostic::error(format!("the column `{}`: {}", names[i], reasons(&error))))
        })
        .collect()
}

fn cell(row: &Row, i: usize) -> Result<Value, postgres::Error> {
    fn array<T: Into<Value>>(found: Option<Vec<Option<T>>>) -> Value {
        found.map(|items| items.into_iter().map(Value::from).collect::<Vec<_>>()).map_or(Value::Null, Value::list)
    }
    let ty = row.columns()[i].type_();
    Ok(match *ty {
        Type::BOOL => row.try_get::<_, Option<bool>>(i)?.into(),
        Type::INT2 => row.try_get::<_, Option<i16>>(i)?.map(i64::from).into(),
        Type::INT4 => row.try_get::<_, Option<i32>>(i)?.into(),
        Type::INT8 => row.try_get::<_, Option<i64>>(i)?.into(),
        Type::OID => row.try_get::<_, Option<u32>>(i)?.into(),
        Type::FLOAT4 => row.try_get::<_, Option<f32>>(i)?.map(f64::from).into(),
        Type::FLOAT8 => row.try_get::<_, Option<f64>>(i)?.into(),
        Type::JSON | Type::JSONB => row.try_get::<_, Option<Json>>(i)?.map_or(Value::Null, |json| json.0),
        Type::INT4_ARRAY => array(row.try_get::<_, Option<Vec<Option<i32>>>>(i)?),
        Type::INT8_ARRAY => array(row.try_get::<_, Option<Vec<Option<i64>>>>(i)?),
        Type::BOOL_ARRAY => array(row.try_get::<_, Option<Vec<Option<bool>>>>(i)?),
        Type::FLOAT8_ARRAY => array(row.try_get::<_, Option<Vec<Option<f64>>>>(i)?),
        Type::TEXT_ARRAY | Type::VARCHAR_ARRAY => array(row.try_get::<_, Option<Vec<Option<String>>>>(i)?),
        _ => row.try_get::<_, Option<&str>>(i)?.into(),
    })
}

/// A document, of either JSON type.
struct Json(Value);

impl<'a> FromSql<'a> for Json {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        let text = if *ty == Type::JSONB { raw.strip_prefix(b"\x01").unwrap_or(raw) } else { raw };
        Ok(Self(serde_json::from_slice(text)?))
    }
    fn accepts(ty: &Type) -> bool {
        matches!(*ty, Type::JSON | Type::JSONB)
    }
}

#[cfg(test)]
mod tests {
    use super::placeholders;

    #[test]
    fn placeholders_become_parameters() {
        for (query, expected) in [
            ("SELECT a FROM t WHERE id = %s;", ("SELECT a FROM t WHERE id = $1", true)),
            (
                "SELECT a FROM t WHERE n LIKE 'x%%' AND id LIKE %s",
                ("SELECT a FROM t WHERE n LIKE 'x%' AND id LIKE $1", true),
            ),
            ("SELECT 1 % 2", ("SELECT 1 % 2", false)),
            ("SELECT 'é%", ("SELECT 'é%", false)),
            ("%s%s", ("$1$1", true)),
        ] {
            assert_eq!(placeholders(query), (expected.0.to_owned(), expected.1), "{query}");
        }
    }
}
