//! One minion and what its master knows of it: grains and pillar, each worked out when first needed.

use crate::diagnose::{Failure, Kind};
use crate::fileserver::lock;
use crate::timings::Timings;
use crate::{Corpus, TemplateCaller, config};
use corpus_core::secret::Masked as _;
use corpus_core::{Data, Diagnostic, LowState, Map, ModuleInfo, Severity, Shared, Value, python, secret};
use corpus_pillar::{ByGrain, Callers, EngineRenderer, PillarRequest, PillarResult, Sources, Trust};
use corpus_wire::Minion;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Arc, Mutex};

/// A minion at work.
pub struct Session {
    pub corpus: Arc<Corpus>,
    pub id: String,
    pub minion: Box<dyn Minion>,
    /// Each question costs a round trip.
    pub far: bool,
    /// The master itself, whose states may call minions.
    pub orchestrates: bool,
    /// The roster's `grains` and `minion_opts`.
    host_grains: Map,
    host_opts: Map,
    grains_file: Option<PathBuf>,
    grains: Mutex<Option<Value>>,
    pub warnings: Mutex<Vec<Diagnostic>>,
    /// The exit status that the answered call left beside its value.
    pub retcode: AtomicI32,
    pub timings: Timings,
    /// The mapping that the templates of a deployment share.
    pub shared: Option<Arc<Shared>>,
    /// What is done to low state before it runs; it says what it did.
    revise: Option<Revise>,
    until: Option<Arc<AtomicBool>>,
    /// The data that was worked out for all that this session does.
    pinned: Option<Data>,
    /// A dry run is under way: what templates would write is told, not written.
    pub dry: AtomicBool,
    /// What the executable modules of the tree have on the minion, once it was asked.
    pub synced: Mutex<Option<Arc<Vec<ModuleInfo>>>>,
    /// The data that the minion was given last, and whether for a dry run.
    pub told: Mutex<Option<(Arc<Data>, bool)>>,
}

/// Changes low state before it runs, and says what it changed.
pub type Revise = fn(&mut LowState) -> Vec<Diagnostic>;

impl Session {
    /// Begins a session with a minion that answers.
    pub fn new(corpus: Arc<Corpus>, id: String, minion: Box<dyn Minion>) -> Self {
        Self {
            timings: Timings::new(corpus.config.timings),
            corpus,
            id,
            minion,
            far: false,
            orchestrates: false,
            host_grains: Map::new(),
            host_opts: Map::new(),
            grains_file: None,
            grains: Mutex::default(),
            warnings: Mutex::default(),
            retcode: AtomicI32::default(),
            shared: None,
            revise: None,
            until: None,
            pinned: None,
            dry: AtomicBool::default(),
            synced: Mutex::default(),
            told: Mutex::default(),
        }
    }

    /// Says that the minion is behind a pipe or a network.
    pub fn far(mut self, far: bool) -> Self {
        self.far = far;
        self
    }

    /// Says that the states of this session may call minions.
    pub fn orchestrating(mut self) -> Self {
        self.orchestrates = true;
        self
    }

    /// Adds what the roster says of the minion.
    pub fn with_roster(mut self, grains: Map, opts: Map) -> Self {
        (self.host_grains, self.host_opts) = (grains, opts);
        self
    }

    /// Takes the grains from a file instead of asking the machine.
    pub fn with_grains_file(mut self, path: Option<PathBuf>) -> Self {
        self.grains_file = path;
        self
    }

    /// Takes grains that are known already.
    pub fn with_grains(self, grains: Value) -> Self {
        *lock(&self.grains) = Some(grains);
        self
    }

    /// Lets the templates share a mapping, and fixes grains, pillar and configuration for the whole session.
    pub fn with_shared(mut self, shared: Arc<Shared>, data: Data) -> Self {
        self.grains = Mutex::new(Some(data.grains.clone()));
        (self.shared, self.pinned) = (Some(shared), Some(data));
        self
    }

    /// Ends runs of this session once a flag is set: one that waits for another, and one that is between two states.
    pub fn until(mut self, flag: Option<Arc<AtomicBool>>) -> Self {
        self.until = flag;
        self
    }

    /// Tells whether runs are to end.
    pub fn interrupted(&self) -> bool {
        let flag = self.until.as_ref().is_some_and(|flag| flag.load(Ordering::Relaxed));
        flag || self.corpus.interrupted()
    }

    /// Has low state revised before it runs.
    pub fn revising(mut self, revise: Revise) -> Self {
        self.revise = Some(revise);
        self
    }

    /// Takes the warnings that came so far, secrets masked.
    pub fn take_warnings(&self) -> Vec<Diagnostic> {
        std::mem::take(&mut *lock(&self.warnings)).masked()
    }

    /// Revises low state, if somebody wants to.
    pub fn revise(&self, low: &mut LowState) -> Vec<Diagnostic> {
        self.revise.map_or_else(Vec::new, |revise| revise(low))
    }

    /// Returns the minion's configuration: the master's, and what the roster adds.
    pub fn opts(&self) -> Map {
        let mut opts = self.corpus.config.opts.clone();
        opts.insert("id", self.id.as_str());
        for (key, value) in &self.host_opts {
            opts.0.insert(key.clone(), value.clone());
        }
        opts
    }

    /// Returns the grains: the machine's, under those of the roster.
    pub fn grains(&self) -> Result<Value, Failure> {
        let mut kept = lock(&self.grains);
        if let Some(grains) = &*kept {
            return Ok(grains.clone());
        }
        let mut grains = match &self.grains_file {
            Some(path) => config::read_map(path).map_err(|errors| {
                let message = errors.iter().map(|e| e.to_text(None)).collect::<String>();
                Failure::new(Kind::Usage, message.trim_end())
            })?,
            None => self.minion.grains().map_err(|error| lost(&error))?,
        };
        for (key, value) in self.opts().get("grains").and_then(Value::as_map).into_iter().flatten() {
            grains.0.insert(key.clone(), value.clone());
        }
        for (key, value) in &self.host_grains {
            grains.0.insert(key.clone(), value.clone());
        }
        grains.insert("id", self.id.as_str());
        let grains = Value::map(grains);
        *kept = Some(grains.clone());
        Ok(grains)
    }

    /// Returns what the minion is before its pillar is known.
    pub fn bare_data(&self, saltenv: &str) -> Result<Data, Failure> {
        Ok(Data {
            id: self.id.as_str().into(),
            saltenv: saltenv.into(),
            grains: self.grains()?,
            pillar: Value::map(Map::new()),
            opts: Value::map(self.opts()),
            secrets: vec![],
        })
    }

    /// Compiles the pillar, with what the command line lays over it, and returns all data of the minion.
    pub fn data(self: &Arc<Self>, saltenv: &str, pillarenv: Option<&str>, over: &Map) -> Result<Data, PillarFailure> {
        if let Some(pinned) = &self.pinned {
            let mut data = pinned.clone();
            if let Some(pillar) = data.pillar.as_map_mut() {
                corpus_core::merge::update(pillar, over, false);
            }
            return Ok(data);
        }
        let bare = self.bare_data(saltenv)?;
        let PillarResult { pillar, errors, .. } = self.compile(&bare, pillarenv, over, self.corpus.sources(), false);
        let pillar = Value::map(pillar);
        let secrets = secret::within([&pillar]);
        let data = Data { pillar, secrets, ..bare };
        let (errors, warnings): (Vec<_>, Vec<_>) = errors.into_iter().partition(|e| e.severity == Severity::Error);
        lock(&self.warnings).extend(warnings);
        if errors.is_empty() { Ok(data) } else { Err(PillarFailure::Errors(Box::new(data), errors)) }
    }

    /// Returns which grains may decide on the pillar: those that the operator trusts, and those that the master has from
    /// its own roster and configuration.
    fn trust(&self) -> Trust {
        let setting = self.corpus.config.opts.get("pillar_trusted_grains").filter(|setting| !setting.is_null());
        // A machine that reads its own files has nobody to deceive.
        if setting.is_none() && !self.far {
            return Trust::default();
        }
        let mut names = vec!["id".to_owned()];
        match setting {
            Some(Value::List(list)) => names.extend(list.iter().map(python::str)),
            Some(one) => names.push(python::str(one)),
            None => {}
        }
        names.extend(self.host_grains.keys().map(python::str));
        let opts = self.opts();
        names.extend(opts.get("grains").and_then(Value::as_map).into_iter().flat_map(Map::keys).map(python::str));
        Trust { names: Some(names), strict: setting.is_some() }
    }

    /// Returns the patterns of keys whose values are secrets: the operator's, and those of the sources.
    fn named(&self, result: &PillarResult) -> Vec<String> {
        [self.corpus.config.secret_keys(), result.secrets.below.clone()].concat()
    }

    /// Compiles the pillar of some sources; `explain` keeps where each value came from.
    pub fn compile(
        self: &Arc<Self>,
        bare: &Data,
        pillarenv: Option<&str>,
        over: &Map,
        sources: &Sources,
        explain: bool,
    ) -> PillarResult {
        let session = self.clone();
        let callers: Callers = Arc::new(move |data| Arc::new(TemplateCaller::new(session.clone(), data.clone())));
        let renderer = EngineRenderer::new(self.corpus.pillar_engine.clone(), callers.clone());
        let trust = self.trust();
        let mut bare = bare.clone();
        if trust.strict
            && let Some(grains) = bare.grains.as_map_mut()
        {
            grains.0.retain(|name, _| trust.of(&python::str(name)));
        }
        let request = PillarRequest {
            data: Arc::new(bare.clone()),
            pillarenv: pillarenv.map(str::to_owned),
            saltenv: bare.saltenv.to_string(),
            override_: over.clone(),
            sources,
            callers,
            explain,
            trust,
        };
        let mut result = corpus_pillar::compile_pillar(&request, &renderer);
        crate::decrypt_pillar::settle(&mut result, &self.corpus);
        // Before anybody shows a part of it.
        let named = self.named(&result);
        secret::keep(crate::secret_keys::named(&Value::map(result.pillar.clone()), &named));
        for part in result.origins.values() {
            secret::keep(crate::secret_keys::named(&part, &named));
        }
        let claimed = claimed(&result.by_grain, &named, &mut result.pillar);
        result.errors.extend(claimed);
        result
    }
}

/// Takes away the secrets that a minion would have because of what it says of itself; returns what to tell of each.
fn claimed(found: &[ByGrain], named: &[String], pillar: &mut Map) -> Vec<Diagnostic> {
    let mut told = vec![];
    for ByGrain { sls, env, grain, place, values } in found {
        let all = Value::map(values.clone());
        if secret::within([&all]).is_empty() && crate::secret_keys::named(&all, named).is_empty() {
            continue;
        }
        without(pillar, values);
        let message = format!(
            "the pillar SLS {sls} ({env}) holds secrets and is chosen by the grain `{grain}`, which the minion tells itself"
        );
        let mut error = Diagnostic::error(message).hint(format!(
            "target ids, or put the grain into the roster; `pillar_trusted_grains: [{grain}]` says that minions are believed"
        ));
        error.labels.extend(place.clone());
        told.push(error);
    }
    let messages = told.iter().map(|error| error.message.as_str().into());
    if !told.is_empty() {
        let before = pillar.get("_errors").and_then(Value::as_list).unwrap_or_default().to_vec();
        let all: Vec<Value> = before.into_iter().chain(messages).collect();
        pillar.insert("_errors", all);
    }
    told
}

/// Removes what a mapping holds from another one.
fn without(from: &mut Map, values: &Map) {
    for (key, value) in values {
        match (from.0.get_mut(key).and_then(Value::as_map_mut), value.as_map()) {
            (Some(inner), Some(values)) => without(inner, values),
            _ => _ = from.0.shift_remove(key),
        }
    }
}

/// Why a minion's data is not whole.
pub enum PillarFailure {
    Failed(Failure),
    /// The pillar has errors; this is what could be made of it.
    Errors(Box<Data>, Vec<Diagnostic>),
}

impl From<Failure> for PillarFailure {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// Makes a failure of what the wire says.
pub fn lost(error: &corpus_wire::WireError) -> Failure {
    if matches!(error, corpus_wire::WireError::Busy(_)) {
        return Failure::new(Kind::Busy, error.to_string()).hint("`queue=True` waits for the other run to end");
    }
    Failure::new(Kind::Host, error.to_string())
}
