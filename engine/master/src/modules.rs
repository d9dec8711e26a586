//! Executable modules of the state tree, `_modules/NAME` with the run bit: found here, brought to the minion by their
//! digest, and called there. `docs/guide/modules.md` has the protocol.

use crate::Corpus;
use crate::fileserver::lock;
use crate::session::Session;
use crate::upstream::RunSource;
use corpus_core::module::FOLDER;
use corpus_core::{
    Call, Data, Event, ExecError, FileOrigin, FileRequest, Map, ModuleFile, ModuleInfo, Source, Value, suggest,
};
use corpus_render::FileRoots;
use corpus_wire::{Answered, WireError};
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

/// A file of `_modules` whose name could be a module's.
pub struct Found {
    pub path: PathBuf,
    pub env: String,
    /// It has the run bit.
    pub runs: bool,
}

/// Modules by their names.
pub type All = BTreeMap<String, Found>;

/// Finds the files that are, or could be made, executable modules, by their names; `base` comes first. A name with a dot
/// is none: `roles.py` is Salt's.
pub fn find(roots: &FileRoots) -> All {
    let mut envs: Vec<String> = roots.envs().map(str::to_owned).collect();
    envs.sort_by_key(|env| env != "base");
    let mut found = BTreeMap::new();
    for env in envs {
        for root in roots.roots(&env) {
            let entries = std::fs::read_dir(root.join(FOLDER)).into_iter().flatten().flatten();
            for path in entries.map(|entry| entry.path()) {
                let Some(name) = path.file_name().and_then(|name| name.to_str()).filter(|name| is_name(name)) else {
                    continue;
                };
                let Ok(meta) = std::fs::metadata(&path) else { continue };
                if meta.is_file() {
                    let runs = meta.permissions().mode() & 0o111 != 0;
                    let name = name.to_owned();
                    found.entry(name).or_insert_with(|| Found { path, env: env.clone(), runs });
                }
            }
        }
    }
    found
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

impl Corpus {
    /// Returns the executable modules of the tree, as they were last looked for.
    pub(crate) fn modules(&self) -> Arc<All> {
        self.modules.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Looks for executable modules again: the tree has changed while this program runs.
    pub fn find_modules(&self) {
        *self.modules.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(find(self.engine.roots()));
    }

    /// Tells whether the tree has an executable module of the function's name. Whether it has the function, only it knows.
    pub fn has_module(&self, fun: &str) -> bool {
        let module = fun.split_once('.').map(|(module, _)| module);
        module.is_some_and(|module| self.modules().get(module).is_some_and(|found| found.runs))
    }
}

impl Session {
    /// Brings the tree's modules to the minion, once, and returns what each has there.
    pub fn modules(self: &Arc<Self>) -> Result<Arc<Vec<ModuleInfo>>, WireError> {
        let mut synced = lock(&self.synced);
        if let Some(known) = &*synced {
            return Ok(known.clone());
        }
        let corpus = self.corpus.clone();
        let events = |_: Event| {};
        // Nothing is rendered for it, so it needs none of the minion's data.
        let source = RunSource::new(self, Arc::default(), &events);
        let (mut files, mut broken) = (vec![], vec![]);
        for (name, found) in corpus.modules().iter().filter(|(_, found)| found.runs) {
            let path = format!("{FOLDER}/{name}");
            let url = format!("salt://{path}");
            let request =
                FileRequest { origin: FileOrigin::Urls(vec![url]), saltenv: found.env.clone(), template: None };
            match source.resolve(&request) {
                Ok(file) => files.push(ModuleFile { name: name.clone(), path, file }),
                Err(error) => broken.push((name.clone(), error.to_string())),
            }
        }
        for (name, why) in broken {
            tracing::warn!("the module `{name}` cannot be read: {why}");
        }
        let infos = if files.is_empty() { vec![] } else { self.minion.sync(&files, &source)? };
        let infos = Arc::new(infos);
        *synced = Some(infos.clone());
        Ok(infos)
    }

    /// Names the functions of the tree's modules, with what they say of themselves.
    pub fn module_functions(self: &Arc<Self>) -> Result<Vec<(String, String, String)>, WireError> {
        let modules = self.modules()?;
        let mut all = vec![];
        for module in modules.iter() {
            match &module.functions {
                Ok(functions) => all.extend(functions.iter().map(|(name, function)| {
                    let args = if function.args.is_empty() { "()".to_owned() } else { function.args.clone() };
                    (format!("{}.{name}", module.file.name), args, function.doc.clone())
                })),
                Err(why) => tracing::warn!("{why}"),
            }
        }
        Ok(all)
    }

    /// Tells whether a module has a function, or cannot say; the call tells why, then.
    pub fn has_function(self: &Arc<Self>, fun: &str) -> bool {
        let Some((module, name)) = fun.split_once('.').filter(|_| self.corpus.has_module(fun)) else { return false };
        self.modules().map_or(true, |modules| modules.iter().any(|known| known.file.name == module && known.has(name)))
    }

    /// Calls a function of a module on the minion.
    pub fn call_module(self: &Arc<Self>, call: &Call, data: &Arc<Data>) -> Result<Answered, ExecError> {
        let wire = |error: WireError| ExecError::Failed(error.to_string());
        self.modules().map_err(wire)?;
        self.tell(data).map_err(wire)?;
        let answered = self.minion.answer(call).map_err(wire)??;
        if !answered.log.is_empty() {
            tracing::info!("{} on {}: {}", call.fun, self.id, answered.log);
        }
        Ok(answered)
    }

    /// Gives the minion its data, unless it has just these; in a dry run they say that it is one.
    pub fn tell(&self, data: &Arc<Data>) -> Result<(), WireError> {
        let dry = self.dry.load(Ordering::Relaxed);
        let mut told = lock(&self.told);
        if told.as_ref().is_some_and(|(known, was)| *was == dry && Arc::ptr_eq(known, data)) {
            return Ok(());
        }
        if dry || self.far {
            let mut opts: Map = data.opts.as_map().cloned().unwrap_or_default();
            if self.far {
                opts.0.retain(|key, value| !is_masters_own(key, value));
            }
            if dry {
                opts.insert("test", true);
            }
            self.minion.set_data(&Data { opts: Value::map(opts), ..(**data).clone() })?;
        } else {
            self.minion.set_data(data)?;
        }
        *told = Some((data.clone(), dry));
        Ok(())
    }
}

/// Tells whether a setting is no minion's business: where pillar and secrets come from, and the rights to ask there.
fn is_masters_own(key: &Value, value: &Value) -> bool {
    const NAMES: [&str; 8] =
        ["ext_pillar", "vault", "roster_defaults", "age_identities", "gpg_keydir", "postgres", "mysql", "sqlite3"];
    const FAMILIES: [&str; 4] = ["git_pillar", "gitfs", "ssh_", "ldap."];
    let Some(name) = key.as_str() else { return false };
    let of_family = FAMILIES.iter().any(|family| name.starts_with(family));
    NAMES.contains(&name) || of_family || value.as_map().is_some_and(|map| map.contains("driver"))
}

/// Says why a function is not there, if a file of `_modules` has its name.
pub fn explain(corpus: &Corpus, fun: &str) -> Option<String> {
    let name = fun.split('.').next()?;
    let modules = corpus.modules();
    let Some(found) = modules.get(name) else {
        let near = suggest::nearest(name, modules.keys().map(String::as_str))?;
        return Some(format!("did you mean the module `{near}` of {FOLDER}?"));
    };
    let file = found.path.display();
    if found.runs {
        return Some(format!("{file} has no such function: `corpus sys.list_functions {name}` lists what it has"));
    }
    Some(format!("{file} would bring it, but has no run bit: `chmod +x` makes it an executable module"))
}
