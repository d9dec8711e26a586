//! This machine, as a minion: the registry, the walker and the machine put together.

use crate::caller::LocalCaller;
use crate::journal::{self, Journal, Journaled};
use crate::lock::{self, RunLock};
use crate::modules::Modules;
use crate::{disk, registry};
use corpus_core::host::Watched;
use corpus_core::secret::{self, Masked};
use corpus_core::{Act, Call, Data, Event, ExecError, Map, ModuleFile, ModuleInfo, Registry, RunReport, Value};
use corpus_exec::{real::Real, retcode};
use corpus_run::Runner;
use corpus_wire::{Answered, Hello, Minion, PROTOCOL, RunRequest, Upstream, WireError};
use std::path::PathBuf;
use std::sync::{PoisonError, RwLock};

/// Where a [`Local`] keeps what it keeps.
#[derive(Clone, Debug)]
pub struct LocalOptions {
    /// Cached files, spooled reports, journals.
    pub cache: PathBuf,
    /// The file whose lock a writing run holds.
    pub lock: PathBuf,
}

impl LocalOptions {
    /// Makes the usual options for a cache directory.
    pub fn new(cache: impl Into<PathBuf>) -> Self {
        let cache = cache.into();
        Self { lock: lock::place(&cache), cache }
    }

    fn spool(&self) -> PathBuf {
        self.cache.join("spool")
    }

    fn journal(&self) -> PathBuf {
        self.cache.join("journal")
    }
}

/// This machine, as a minion.
pub struct Local {
    options: LocalOptions,
    registry: Registry,
    modules: Modules,
    host: Box<dyn Act>,
    data: RwLock<Data>,
}

impl Local {
    /// Makes the minion with all states and execution functions that this build has.
    pub fn new(options: LocalOptions) -> Self {
        Self::with(options, registry(), Box::new(Real::new()))
    }

    /// Makes the minion with other functions, or another machine.
    pub fn with(options: LocalOptions, registry: Registry, host: Box<dyn Act>) -> Self {
        Self { modules: Modules::new(&options.cache), options, registry, host, data: RwLock::default() }
    }

    /// Returns the functions that it has.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Returns the machine.
    pub fn host(&self) -> &dyn Act {
        &*self.host
    }

    fn data(&self) -> Data {
        self.data.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Minion for Local {
    fn hello(&self) -> Hello {
        Hello {
            protocol: PROTOCOL,
            build: corpus_wire::build(),
            pid: std::process::id(),
            uid: rustix::process::geteuid().as_raw(),
            arch: format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS),
            spooled: disk::names(&self.options.spool(), ".report"),
            interrupted: journal::interrupted(&self.options.journal()),
            running: RunLock::holder(&self.options.lock),
        }
    }

    fn grains(&self) -> Result<Map, WireError> {
        let look = self.host.as_look();
        let stored = corpus_exec::fns::grains::stored(look).map_err(|why| WireError::Failed(why.to_string()))?;
        Ok(corpus_exec::grains::collect(look, &stored.grains))
    }

    fn set_data(&self, data: &Data) -> Result<(), WireError> {
        secret::keep(&data.secrets);
        *self.data.write().unwrap_or_else(PoisonError::into_inner) = data.clone();
        Ok(())
    }

    fn functions(&self) -> Result<Vec<String>, WireError> {
        Ok(self.registry.all_exec().map(|def| def.name.to_owned()).collect())
    }

    fn sync(&self, modules: &[ModuleFile], up: &dyn Upstream) -> Result<Vec<ModuleInfo>, WireError> {
        Ok(self.modules.sync(modules, up, &*self.host))
    }

    fn answer(&self, call: &Call) -> Result<Result<Answered, ExecError>, WireError> {
        let data = self.data();
        retcode::take();
        let test = data.opts.get("test").is_some_and(Value::truthy);
        let (registry, modules, host) = (&self.registry, &self.modules, &*self.host);
        let caller = LocalCaller { registry, modules, host, data: &data, master: None, test };
        let value = caller.call_told(call);
        Ok(value.map(|(value, log)| Answered { value, retcode: retcode::take(), log }))
    }

    fn run(&self, request: &RunRequest, up: &dyn Upstream) -> Result<RunReport, WireError> {
        let RunRequest { low, options, who, queue, .. } = request;
        if let Some(busy) = RunLock::holder(&self.options.lock).filter(|_| *queue && !options.test) {
            let message = format!("waiting for another run on this machine, by {} since {}", busy.who, busy.since);
            up.event(Event::Log { level: 3, message });
        }
        // A dry run changes nothing, so it disturbs nobody.
        let lock = (!options.test).then(|| RunLock::take(&self.options.lock, options, who, *queue, &|| up.cancelled()));
        let lock = lock.transpose()?;
        let data = self.data();
        let journal = Journal::new(&self.options.journal(), &options.jid);
        let host = Watched(Journaled { host: &*self.host, journal: &journal });
        let caller = LocalCaller {
            registry: &self.registry,
            modules: &self.modules,
            host: &host,
            data: &data,
            master: Some(up),
            test: options.test,
        };
        let events = |event: Event| {
            let event = event.masked();
            journal.note(&event);
            up.event(event);
        };
        let runner = Runner {
            registry: &self.registry,
            host: &host,
            source: up,
            caller: &caller,
            data: &data,
            options,
            events: &events,
        };
        let mut report = runner.run(low).masked();
        if report.jid.is_empty() {
            report.jid.clone_from(&options.jid);
        }
        journal.close();
        drop(lock);
        Ok(report)
    }

    fn collect(&self, jid: &str) -> Result<Option<RunReport>, WireError> {
        let path = disk::of_job(&self.options.spool(), jid, ".report");
        match std::fs::read(&path) {
            Ok(bytes) => corpus_wire::unpack(&bytes).map(Some).map_err(|_| {
                WireError::Failed(format!("the report in {} was left by another build of corpus", path.display()))
            }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(WireError::Failed(format!("read {}: {error}", path.display()))),
        }
    }

    fn keep(&self, report: &RunReport) {
        if report.test {
            return;
        }
        let path = disk::of_job(&self.options.spool(), &report.jid, ".report");
        let kept = corpus_wire::pack(report).and_then(|bytes| disk::write(&path, &bytes));
        if let Err(error) = kept {
            tracing::warn!(path = %path.display(), %error, "Cannot keep the report.");
        }
    }

    fn delivered(&self, jid: &str) {
        let _ = std::fs::remove_file(disk::of_job(&self.options.spool(), jid, ".report"));
        journal::forget(&self.options.journal(), jid);
    }
}
