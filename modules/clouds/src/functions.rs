//! What people and states call: `cloud.*`, `guest.*`, `map.apply`, `reconcile`.

use crate::cloud::{Cloud, CloudError, ROSTER, Settings, Told};
use crate::declare::{self, Clouds, Declared, Source};
use crate::drivers::Drivers;
use crate::drivers::ec2::{Ec2, Means};
use crate::fleet::{Fleet, LOCAL, Note};
use crate::front::{self, Front};
use crate::ledger::Ledger;
use crate::many::World;
use crate::spec::{GuestSpec, Node};
use crate::store::Store;
use crate::{Verb, keys};
use corpus_core::{Call, Data, Diagnostic, Event, Map, Value, python};
use corpus_master::{Config, Corpus, Failure, HostReturn, Kind, Progress};
use corpus_render::RenderCx;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Answers of runners.
pub type Answer = Result<HostReturn, Failure>;

/// Returns the folder of the clouds: the setting `cloud_dir`, or the usual place of root or of a person.
pub fn folder(config: &Config) -> PathBuf {
    if let Some(dir) = config.text("cloud_dir") {
        return dir.into();
    }
    if rustix::process::geteuid().is_root() {
        return PathBuf::from("/var/lib/corpus/cloud");
    }
    let home = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".local/state")));
    home.map_or_else(|| config.cache_dir.join("cloud"), |home| home.join("corpus/cloud"))
}

/// What one call works with.
pub struct At<'a> {
    pub corpus: &'a Arc<Corpus>,
    pub progress: Note<'a>,
    pub store: Store,
    pub drivers: Drivers,
    pub clouds: Clouds,
    pub front: Front,
}

fn failed(error: impl std::fmt::Display) -> Failure {
    Failure::new(Kind::Function, error.to_string())
}

/// Makes a failure of mistakes in files.
pub fn mistakes(errors: Vec<Diagnostic>) -> Failure {
    let text: String = errors.iter().map(|error| error.to_text(None)).collect();
    Failure::new(Kind::Usage, text.trim_end().trim_start_matches("error: "))
}

fn busy(error: CloudError) -> Failure {
    let kind =
        if matches!(error, CloudError::Store(crate::store::StoreError::Busy(_))) { Kind::Busy } else { Kind::Function };
    Failure::new(kind, error.to_string())
}

impl<'a> At<'a> {
    /// Reads the configuration.
    pub fn new(corpus: &'a Arc<Corpus>, progress: Note<'a>) -> Result<Self, Failure> {
        let mut clouds = declare::read(&corpus.config.dir).map_err(mistakes)?;
        let store = Store::new(folder(&corpus.config));
        let ledger: Ledger = store.read("ledger.json").map_err(failed)?;
        clouds.kept = ledger.guests.into_iter().map(|(id, entry)| (id, entry.spec.driver)).collect();
        let front = front::read(&clouds.settings).map_err(mistakes)?;
        let accounts = clouds.accounts().map_err(mistakes)?;
        let drivers = Drivers::default().with(Box::new(Ec2::new(Means::of(accounts, &store))));
        Ok(Self { corpus, progress, store, drivers, clouds, front })
    }

    /// Reads what is declared in the map files, or in those that are named.
    pub fn declared(&self, also: &[PathBuf]) -> Result<Declared, Failure> {
        let config = &self.corpus.config;
        let render = |path: &Path| {
            let file = path.display().to_string();
            let text = std::fs::read_to_string(path)
                .map_err(|error| Diagnostic::error(format!("cannot read {file}: {error}")))?;
            let pipe = match path.extension().and_then(|extension| extension.to_str()) {
                Some("json") => "json",
                _ => "jinja|yaml",
            };
            let opts = Value::map(config.opts.clone());
            let data = Data { id: config.id.as_str().into(), opts, ..Data::default() };
            let cx = RenderCx::new(Arc::new(data), Arc::new(NoFunctions));
            self.corpus.engine.render_source(&text, &file, pipe, &cx).map(Source::rendered)
        };
        self.clouds.declared(also, &self.drivers, &render).map_err(mistakes)
    }

    /// Does something with the clouds.
    pub fn with<T>(
        &self,
        declared: &Declared,
        test: bool,
        what: Option<&str>,
        work: impl FnOnce(&Cloud<'_>) -> T,
    ) -> Result<T, Failure> {
        let fleet = Fleet { corpus: self.corpus, progress: self.progress };
        let note = |id: &str, text: &str| {
            let event = Event::Started { tag: String::new(), id: id.into(), fun: text.to_owned() };
            (self.progress)(Progress::Event { id, event: &event });
        };
        let settings = Settings {
            store: &self.store,
            drivers: &self.drivers,
            hands: &fleet,
            nodes: self.nodes(declared),
            keys: &|id, make| keys::pair(&self.store, id, make),
            random: &keys::random,
            note: &note,
            at_once: self.corpus.config.max_procs,
            test,
        };
        let cloud = match what {
            Some(what) => Cloud::change(settings, what),
            None => Cloud::look(settings),
        };
        Ok(work(&cloud.map_err(busy)?))
    }

    /// The nodes with the addresses that the roster has for them.
    fn nodes(&self, declared: &Declared) -> BTreeMap<String, Node> {
        let mut nodes = declared.nodes.clone();
        nodes.insert(LOCAL.into(), Node::new(LOCAL, "127.0.0.1"));
        let roster =
            if self.corpus.has_roster() { self.corpus.roster().unwrap_or_default() } else { Default::default() };
        for host in roster.hosts {
            let node = nodes.entry(host.id.clone()).or_insert_with(|| Node::new(host.id.clone(), String::new()));
            node.address = host.host;
        }
        for (id, node) in &mut nodes {
            if node.address.is_empty() {
                node.address.clone_from(id);
            }
        }
        nodes
    }
}

/// What a map's template can call: nothing.
struct NoFunctions;

impl corpus_core::Caller for NoFunctions {
    fn call(&self, call: &Call) -> Result<Value, corpus_core::ExecError> {
        Err(corpus_core::ExecError::Failed(format!("{}: a map is read before there is a minion to ask", call.fun)))
    }
    fn has(&self, _: &str) -> bool {
        false
    }
    fn names(&self) -> Vec<String> {
        vec![]
    }
}

/// Whether a call is a dry run.
pub fn is_test(corpus: &Corpus, call: &Call) -> bool {
    call.kwargs.get("test").map_or(corpus.config.flag("test"), Value::truthy)
}

/// Reads names: a list, or text with commas.
pub fn names(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::List(items)) => items.iter().map(python::str).collect(),
        Some(Value::Null) | None => vec![],
        Some(one) => python::str(one).split(',').map(str::trim).filter(|w| !w.is_empty()).map(str::to_owned).collect(),
    }
}

/// All names among the positional arguments, from one on.
pub fn names_from(call: &Call, place: usize, key: &str) -> Vec<String> {
    let mut all = names(call.kwargs.get(key));
    for value in call.args.iter().skip(place) {
        all.extend(names(Some(value)));
    }
    all
}

/// Makes the answer of what became of machines.
pub fn answer(at: &At<'_>, call: &Call, told: &[Told], more: Map) -> HostReturn {
    let mut out: Map = told.iter().map(|told| (told.id.as_str(), told.to_value())).collect();
    for (key, value) in more {
        out.0.insert(key, value);
    }
    let bad = told.iter().any(|told| told.result == Some(false));
    finish(at, call, out.into(), bad)
}

/// Makes and prints an answer.
pub fn finish(at: &At<'_>, call: &Call, value: Value, bad: bool) -> HostReturn {
    let mut answer = at.corpus.answered(call, value);
    answer.retcode = i32::from(bad);
    (at.progress)(Progress::Done(&answer));
    answer
}

/// What a command is called in the lock and in what it declares.
pub fn title(call: &Call) -> String {
    let args: Vec<String> = call.args.iter().map(python::str).collect();
    format!("{} {}", call.fun, args.join(" ")).trim().to_owned()
}

/// Makes guests as declared, the world read first.
pub fn present(
    at: &At<'_>,
    declared: &Declared,
    specs: &[&GuestSpec],
    test: bool,
    what: &str,
) -> Result<Vec<Told>, Failure> {
    at.with(declared, test, Some(what), |cloud| {
        let places = specs.iter().map(|spec| (spec.driver.clone(), spec.node.clone())).collect();
        let world = cloud.world(&places);
        let mut told = cloud.all_present(specs, &world);
        told.extend(cloud.settle_front(&at.front));
        told
    })
}

/// Does a verb with each of some machines.
pub fn verbs(at: &At<'_>, call: &Call, ids: &[String], verb: &Verb) -> Result<Vec<Told>, Failure> {
    if ids.is_empty() {
        let what = format!("{}: no machine is named", call.fun);
        return Err(
            Failure::new(Kind::Usage, what).hint(format!("`corpus {} NAME`; `corpus guest.list` lists them", call.fun))
        );
    }
    let test = is_test(at.corpus, call);
    let declared = at.declared(&[])?;
    let told = at.with(&declared, test, Some(&title(call)), |cloud| {
        let mut told: Vec<Told> = ids.iter().map(|id| cloud.verb(id, verb)).collect();
        if *verb == Verb::Destroy || crate::driver::leads_to(verb).is_some() {
            told.extend(cloud.settle_front(&at.front));
        }
        told
    })?;
    if *verb == Verb::Destroy && !test {
        for told in told.iter().filter(|told| told.result == Some(true)) {
            keys::forget(&at.store, &told.id);
        }
    }
    Ok(told)
}

/// Reads the world of everything that is declared or known.
pub fn seen(at: &At<'_>) -> Result<(Declared, World, Ledger), Failure> {
    let declared = at.declared(&[])?;
    let (world, ledger) = at.with(&declared, false, None, |cloud| {
        let world = cloud.world(&cloud.places(&declared));
        (world, cloud.ledger())
    })?;
    Ok((declared, world, ledger))
}

/// Takes out of the arguments what is the call's own, and leaves what is said of the guest.
pub fn said(call: &Call, own: &[&str]) -> Map {
    let mut kwargs = call.kwargs.clone();
    for key in own.iter().chain(&["test", "queue"]) {
        kwargs.remove(key);
    }
    kwargs
}

/// Finds a guest's declaration again: in the maps, else as the ledger has it.
pub fn spec_of(at: &At<'_>, id: &str) -> Result<GuestSpec, Failure> {
    let declared = at.declared(&[])?;
    let ledger: Ledger = at.store.read("ledger.json").map_err(failed)?;
    let known = declared.guests.get(id).or_else(|| ledger.guests.get(id).map(|entry| &entry.spec));
    known.cloned().ok_or_else(|| {
        let names: BTreeSet<&str> = declared.guests.keys().chain(ledger.guests.keys()).map(String::as_str).collect();
        let failure = failed(format!("there is no machine `{id}`"));
        match corpus_core::suggest::did_you_mean(id, names) {
            Some(hint) => failure.hint(hint),
            None => failure.hint("`corpus guest.list` lists them"),
        }
    })
}

/// Returns the roster that the clouds write.
pub fn roster(config: &Config) -> PathBuf {
    folder(config).join(ROSTER)
}
