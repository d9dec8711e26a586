//! `corpus_db`: the infrastructure database, one file that says which machines there are, which guests run where, their
//! names, addresses, ports and certificates; and what each machine's pillar is by it.

mod cloud;
mod database;
mod dns;
mod ssl;

use super::plain::fingerprint;
use crate::arguments::{Arguments, need};
use crate::source::{Ask, Given, Piece, PillarSource, Place, Secret, Sees};
use corpus_core::{Diagnostic, Map, Node, Pos, Value};
use corpus_render::{Engine, FileRoots, RenderCx};
use database::{Database, Machine};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

struct CorpusDb {
    path: PathBuf,
    engine: Engine,
    /// What was read last, with the stamp of its folder.
    read: Mutex<Option<(String, Arc<Database>)>>,
}

/// The names that are looked for, in this order.
const FILES: &[&str] = &["database.sls", "database.yaml", "database.json"];

/// Makes the source; its argument is the file, or the folder that has it.
pub fn make(args: Arguments) -> Result<Arc<dyn PillarSource>, Diagnostic> {
    let path = PathBuf::from(need(&args.named(&["path"])?, "path")?);
    let root = if path.is_dir() { path.clone() } else { path.parent().map(PathBuf::from).unwrap_or_default() };
    Ok(Arc::new(CorpusDb { path, engine: Engine::new(FileRoots::base(root)), read: Mutex::default() }))
}

impl PillarSource for CorpusDb {
    fn name(&self) -> &str {
        "corpus_db"
    }

    fn identity(&self) -> String {
        self.path.display().to_string()
    }

    fn sees(&self) -> Sees {
        Sees::ID
    }

    fn is_local(&self) -> bool {
        true
    }

    fn load(&self, ask: &Ask) -> Result<Given, Diagnostic> {
        let database = self.database(ask)?;
        let mut given = Given::default();
        let Some(machine) = database.machine(&ask.data.id) else { return Ok(given) };
        let mut own = Map::new();
        cloud::pillar(&database, &machine, &mut own, &mut given.problems);
        if machine.managed {
            if database.manages(&machine.id, "manage_dns_server") {
                dns::pillar(&database, &machine, &mut own, &mut given.problems);
            }
            if database.manages(&machine.id, "manage_ssl") {
                given.secret = Secret::Below(ssl::pillar(&database, &machine, &mut own));
            }
        }
        if ask.explain {
            given.pieces = vec![Piece {
                node: Node::from_value(&Value::map(own.clone()), Pos::default()),
                under: vec![Value::str("makina-states")],
                place: Place::Thing(database.file.clone()),
            }];
        }
        given.pillar.insert("makina-states", own);
        Ok(given)
    }
}

impl CorpusDb {
    fn stamp_now(&self) -> String {
        let folder = if self.path.is_dir() { Some(self.path.clone()) } else { self.path.parent().map(PathBuf::from) };
        fingerprint(&folder.into_iter().collect::<Vec<_>>())
    }

    /// Reads the database, once for all machines as long as its folder is as it was.
    fn database(&self, ask: &Ask) -> Result<Arc<Database>, Diagnostic> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let stamp = self.stamp_now();
        if let Some((_, database)) = read.as_ref().filter(|(known, _)| *known == stamp) {
            return Ok(database.clone());
        }
        let path = if self.path.is_dir() {
            let found = FILES.iter().map(|name| self.path.join(name)).find(|path| path.is_file());
            found
                .ok_or_else(|| Diagnostic::error(format!("{} has none of {}", self.path.display(), FILES.join(", "))))?
        } else {
            self.path.clone()
        };
        // The same for all machines: a template sees the configuration and no grains.
        let data = corpus_core::Data { opts: ask.data.opts.clone(), saltenv: "base".into(), ..Default::default() };
        let cx = RenderCx::new(Arc::new(data), ask.caller.clone());
        let file = path.display().to_string();
        let text = std::fs::read_to_string(&path)
            .map_err(|error| Diagnostic::error(format!("cannot read {file}: {error}")))?;
        let pipe = match path.extension().and_then(|extension| extension.to_str()) {
            Some("sls") => "jinja|yaml",
            Some("json") => "json",
            _ => "yaml",
        };
        let rendered = self.engine.render_source(&text, &file, pipe, &cx)?;
        let database = Arc::new(Database::check(&rendered, &file)?);
        *read = Some((stamp, database.clone()));
        Ok(database)
    }
}
