//! The master: configuration, roster and targets, what templates may call, the file server, and the
//! sessions in which minions are asked and converged.

mod aftermath;
mod caller;
mod carry;
pub mod config;
mod decrypt_pillar;
mod diagnose;
mod fileserver;
mod fleet;
pub mod functions;
mod git_pillar;
pub mod lint;
mod loader;
mod modules;
mod python;
mod sdb;
mod secret_keys;
mod secrets;
mod session;
mod sources;
mod timings;
mod upstream;

pub use caller::TemplateCaller;
pub use config::{Config, Overrides, read_map};
pub use corpus_exec::real::Real as Machine;
pub use diagnose::{Failure, HostReturn, Kind, Outcome};
pub use fleet::{Progress, Selector};
pub use functions::MasterDef;
pub use functions::runner::RunnerDef;
pub use session::{PillarFailure, Session};

use corpus_core::{Diagnostic, ExecDef, Registry};
use corpus_render::{Decrypt, Engine, FileRoots};
use fileserver::FileServer;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, RwLock};

/// Keeps the kernel from writing this process's memory, which holds pillar, to a core file. Programs that it starts may
/// leave theirs.
pub fn no_core_dumps() {
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
}

/// What lives above the master and answers through it: projects.
#[derive(Clone, Default)]
pub struct Extras {
    /// Functions that the master answers.
    pub functions: Vec<&'static [MasterDef]>,
    /// Runners.
    pub runners: Vec<&'static [RunnerDef]>,
    /// Functions of this machine, which states may call, too.
    pub exec: Vec<ExecDef>,
    /// State trees that come with the program, below those of the configuration.
    pub roots: Vec<PathBuf>,
    /// Rosters below the configuration's, read whenever that is.
    pub rosters: Vec<PathBuf>,
    /// Pillar over that of the configuration's sources.
    pub pillars: Vec<Arc<dyn corpus_pillar::PillarSource>>,
}

impl Extras {
    /// Adds what another brings.
    pub fn and(mut self, other: Self) -> Self {
        self.functions.extend(other.functions);
        self.runners.extend(other.runners);
        self.exec.extend(other.exec);
        self.roots.extend(other.roots);
        self.rosters.extend(other.rosters);
        self.pillars.extend(other.pillars);
        self
    }
}

/// One process of corpus: what it was configured with, and what its sessions share.
pub struct Corpus {
    pub config: Config,
    pub registry: Registry,
    /// State tree: templates, macros and files, parsed once for all hosts.
    pub engine: Engine,
    /// Pillar tree.
    pub pillar_engine: Engine,
    sources: OnceLock<corpus_pillar::Sources>,
    /// Who decrypts what the renderer `gpg` finds.
    pub decrypt: Arc<dyn Decrypt>,
    /// What is answered here, table by table: the master's own functions, and those of what lives above it.
    functions: Vec<&'static [MasterDef]>,
    extras: Extras,
    files: FileServer,
    /// Executable modules of the state tree, by name.
    modules: RwLock<Arc<modules::All>>,
    /// Set when the call is to end early: no host is begun, and each run stops after the state at hand.
    pub interrupt: Arc<AtomicBool>,
}

impl Corpus {
    /// Starts from a configuration.
    pub fn new(config: Config) -> Result<Arc<Self>, Vec<Diagnostic>> {
        Self::extended(config, Extras::default())
    }

    /// Starts from a configuration, with what lives above the master.
    pub fn extended(config: Config, extras: Extras) -> Result<Arc<Self>, Vec<Diagnostic>> {
        // Each thread has a heap of its own: in huge pages that is megabytes per host, and clearing them most of the work.
        // Where memory is in pieces, the kernel would moreover stop and tidy it for every page that it is asked for.
        let _ = rustix::thread::disable_transparent_huge_pages(true);
        let secrets: Arc<dyn Decrypt> = Arc::new(secrets::Secrets::new(&config));
        let mut roots = config.file_roots.clone();
        for dirs in roots.values_mut() {
            dirs.extend(extras.roots.iter().cloned());
        }
        let engine = Engine::decrypting(FileRoots::new(roots), secrets.clone());
        let pillar_engine = Engine::decrypting(FileRoots::new(config.pillar_roots.clone()), secrets.clone());
        let files = FileServer::new(config.cache_dir.clone());
        let modules = RwLock::new(Arc::new(modules::find(engine.roots())));
        Ok(Arc::new(Self {
            modules,
            registry: corpus_minion::registry().exec(&extras.exec),
            functions: functions::TABLES.iter().chain(extras.functions.iter()).copied().collect(),
            engine,
            pillar_engine,
            sources: OnceLock::new(),
            decrypt: secrets,
            files,
            interrupt: Arc::default(),
            extras,
            config,
        }))
    }

    /// Returns where else pillar comes from. The first call begins what works in the background.
    pub fn sources(&self) -> &corpus_pillar::Sources {
        self.sources.get_or_init(|| self.over_all(sources::of(&self.config, &self.decrypt)))
    }

    /// Returns the same and one source more, for a call that names it.
    pub fn sources_with(&self, extra: &corpus_core::Value) -> corpus_pillar::Sources {
        self.over_all(sources::with(&self.config, &self.decrypt, extra))
    }

    fn over_all(&self, mut sources: corpus_pillar::Sources) -> corpus_pillar::Sources {
        sources.list.extend(self.extras.pillars.iter().cloned());
        sources
    }

    /// Makes the same again with other directories on top of the base trees: states, pillar.
    pub fn over(&self, states: PathBuf, pillar: PathBuf) -> Result<Arc<Self>, Vec<Diagnostic>> {
        let mut config = self.config.clone();
        for (roots, top) in [(&mut config.file_roots, states), (&mut config.pillar_roots, pillar)] {
            roots.entry("base".into()).or_default().insert(0, top);
        }
        Self::extended(config, self.extras.clone())
    }

    /// Returns the state trees that come with the program.
    pub fn own_roots(&self) -> &[PathBuf] {
        &self.extras.roots
    }

    /// Walks the runners: the master's own, and those of what lives above it.
    pub fn runners(&self) -> impl Iterator<Item = &'static RunnerDef> {
        functions::runner::RUNNERS.iter().chain(self.extras.runners.iter().copied().flatten())
    }

    /// Tells whether there is a roster.
    pub fn has_roster(&self) -> bool {
        self.config.roster_file.exists() || self.extras.rosters.iter().any(|path| path.exists())
    }

    /// Tells whether the call is to end early.
    pub fn interrupted(&self) -> bool {
        self.interrupt.load(Ordering::Relaxed)
    }

    /// Walks the functions that are answered here.
    pub fn master_functions(&self) -> impl Iterator<Item = &'static MasterDef> {
        self.functions.iter().flat_map(|table| table.iter())
    }

    /// Finds a function that is answered here.
    pub fn master_function(&self, fun: &str) -> Option<&'static MasterDef> {
        self.master_functions().find(|def| def.name == fun)
    }

    /// Tells whether a function exists, here or on minions.
    pub fn knows(&self, fun: &str) -> bool {
        self.registry.function(fun).is_some()
            || self.master_function(fun).is_some()
            || self.is_runner(fun)
            || self.has_module(fun)
    }

    /// Tells whether a name is a state function.
    pub fn is_state(&self, fun: &str) -> bool {
        self.registry.state(fun).is_some()
    }

    /// Says why a function is not there, if the tree has a file that would bring it.
    pub fn explain(&self, fun: &str) -> Option<String> {
        python::explain(self.engine.roots(), fun).or_else(|| modules::explain(self, fun))
    }

    /// Returns all function names, sorted.
    pub fn function_names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.registry.all_exec().map(|def| def.name.to_owned()).collect();
        names.extend(self.master_functions().map(|def| def.name.to_owned()));
        names.extend(self.runners().map(|def| def.name.to_owned()));
        names.sort();
        names.dedup();
        names
    }
}
