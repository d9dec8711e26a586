//! Databases as pillar sources: Salt's `postgres` and `sqlite3`, with the queries of its `sql_base`. The minion's id is a
//! bound parameter, never a part of the query's text. And SQLite as a key store.

mod keys;
mod postgres;
mod shape;
mod sqlite;

pub use keys::KeyTable;

use corpus_core::{Diagnostic, Map, Node, Pos, Value, python};
use corpus_pillar::arguments::{Arguments, Entry};
use corpus_pillar::{Ask, Given, Piece, PillarSource, Place, Sees};
use shape::{Query, Shape, queries};
use std::sync::Arc;
use std::time::Instant;

/// The names of [`make`].
pub const NAMES: &[&str] = &["postgres", "sqlite3"];

/// Names of columns, and rows.
type Table = (Vec<String>, Vec<Vec<Value>>);

/// A kind of database.
trait Database: Send + Sync {
    const NAME: &'static str;
    /// One connection.
    type Connection;
    /// Connects as the setting of the configuration says.
    fn connect(&self, setting: &Map, deadline: Instant) -> Result<Self::Connection, Diagnostic>;
    /// Asks a query, with the minion's id for each of its placeholders.
    fn ask(&self, connection: &mut Self::Connection, query: &str, id: &str) -> Result<Table, Diagnostic>;
    /// Takes a connection back that is still good.
    fn keep(&self, _connection: Self::Connection, _setting: &Map) {}
    /// Returns a digest of what the database holds, if that is to be had without asking it.
    fn stamp(&self, _setting: &Map) -> Option<String> {
        None
    }
}

struct Sql<D> {
    database: D,
    queries: Vec<Query>,
    identity: String,
}

/// Makes a source of an entry, if its name is one of these.
pub fn make(entry: &Entry) -> Option<Result<Arc<dyn PillarSource>, Diagnostic>> {
    Some(match entry.name.as_str() {
        "postgres" => source(postgres::Postgres::default(), entry),
        "sqlite3" | "sqlite" => source(sqlite::Sqlite, entry),
        _ => return None,
    })
}

fn source<D: Database + 'static>(database: D, entry: &Entry) -> Result<Arc<dyn PillarSource>, Diagnostic> {
    let args = Arguments::of(&entry.value);
    let queries = queries(&args.pos, &args.named)?;
    if queries.is_empty() {
        return Err(Diagnostic::error("there is no query")
            .hint(format!("write a list of queries below `{}`, or a mapping of names to queries", D::NAME)));
    }
    Ok(Arc::new(Sql { database, queries, identity: python::repr(&entry.value) }))
}

impl<D: Database> Sql<D> {
    fn setting(&self, ask: &Ask) -> Map {
        ask.opt(D::NAME).and_then(Value::as_map).cloned().unwrap_or_default()
    }
}

impl<D: Database> PillarSource for Sql<D> {
    fn name(&self) -> &str {
        D::NAME
    }

    fn identity(&self) -> String {
        self.identity.clone()
    }

    fn sees(&self) -> Sees {
        Sees::ID
    }

    fn stamp(&self, ask: &Ask) -> Option<String> {
        self.database.stamp(&self.setting(ask))
    }

    fn load(&self, ask: &Ask) -> Result<Given, Diagnostic> {
        let setting = self.setting(ask);
        let mut connection = self.database.connect(&setting, ask.deadline)?;
        let mut shape = Shape::new();
        let mut pieces = Vec::new();
        for query in &self.queries {
            let (names, rows) = self.database.ask(&mut connection, &query.text, &ask.data.id)?;
            shape.take(query, &names, &rows)?;
            if ask.explain {
                pieces.push(piece(query, &names, &rows)?);
            }
        }
        self.database.keep(connection, &setting);
        Ok(Given { pillar: shape.done(), pieces, ..Given::default() })
    }
}

/// What a query alone gives, with its text as the place.
fn piece(query: &Query, names: &[String], rows: &[Vec<Value>]) -> Result<Piece, Diagnostic> {
    let mut shape = Shape::new();
    shape.take(query, names, rows)?;
    let text = query.text.split_whitespace().collect::<Vec<_>>().join(" ");
    let node = Node::from_value(&Value::map(shape.done()), Pos::default());
    Ok(Piece { node, under: vec![], place: Place::Thing(format!("query `{text}`").into()) })
}
