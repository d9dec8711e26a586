//! Asking the sources: those that do not see the pillar at once and beside the files, the others in their turn; each
//! with a time limit; merged in the order of the configuration.

use crate::arguments::{Entry, Refused, entries};
use crate::cache::{Kept, PillarCache};
use crate::origin::Layer;
use crate::source::{Ask, Given, PillarSource};
use crate::sources::{NAMES, refusal};
use crate::{PillarRequest, Run};
use corpus_core::{Data, Diagnostic, Label, Map, Value};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

/// How the sources of a configuration are asked.
#[derive(Clone, Default)]
pub struct Sources {
    pub list: Vec<Arc<dyn PillarSource>>,
    /// How long one may take; none means for ever.
    pub timeout: Option<Duration>,
    /// Before the files, so that those see what the sources gave: `ext_pillar_first`.
    pub first: bool,
    pub cache: Option<Arc<PillarCache>>,
    /// What is wrong with the setting as a whole: then there are no sources.
    pub malformed: Option<Diagnostic>,
    /// Tells where the configuration names a source, by its number in the setting.
    pub places: Option<Arc<dyn Fn(usize) -> Option<Label> + Send + Sync>>,
    /// The numbers of the sources in the setting.
    pub numbers: Vec<usize>,
}

impl Sources {
    /// Makes the sources of `ext_pillar`. One that cannot be made is there to say so.
    pub fn of(setting: &Value, opts: &Map, make: Maker<'_>) -> Self {
        let seconds = opts.get("corpus_pillar_timeout").and_then(Value::as_int).unwrap_or(60);
        let timeout = u64::try_from(seconds).ok().filter(|seconds| *seconds > 0).map(Duration::from_secs);
        let first = opts.get("ext_pillar_first").is_some_and(Value::truthy);
        let mut sources = Self { timeout, first, ..Self::default() };
        let excluded = opts.get("exclude_ext_pillar").and_then(Value::as_list).unwrap_or_default();
        match entries(setting) {
            Err(why) => sources.malformed = Some(why),
            Ok(entries) => {
                for entry in entries.iter().filter(|entry| !excluded.contains(&Value::str(&entry.name))) {
                    let made = make(entry).unwrap_or_else(|| Err(refusal(&entry.name, NAMES)));
                    sources.numbers.push(entry.index);
                    sources.list.push(made.unwrap_or_else(|why| Refused::source(&entry.name, why)));
                }
            }
        }
        sources
    }
}

impl Sources {
    fn place(&self, i: usize) -> Option<Label> {
        (self.places.as_ref()?)(*self.numbers.get(i)?)
    }
}

/// Makes the source of an entry; `None` for a name that is not known.
pub type Maker<'a> = &'a dyn Fn(&Entry) -> Option<Result<Arc<dyn PillarSource>, Diagnostic>>;

/// An answer that is under way.
type Coming = Receiver<Result<Given, Diagnostic>>;

/// The answers that were asked for ahead, each in its source's place.
pub(crate) struct Ahead {
    started: Vec<Option<(Coming, Instant)>>,
}

impl Ahead {
    /// Asks every source that can answer without the pillar.
    pub(crate) fn start(request: &PillarRequest<'_>) -> Self {
        let sources = request.sources;
        let many = sources.list.len() > 1 || !sources.first;
        let early = |source: &Arc<dyn PillarSource>| {
            // A single source that comes first anyway gains nothing by a thread ahead.
            (many && !source.sees().pillar).then(|| start(source, ask(request, request.data.clone()), sources))
        };
        Self { started: sources.list.iter().map(early).collect() }
    }
}

fn ask(request: &PillarRequest<'_>, data: Arc<Data>) -> Ask {
    let far = Duration::from_secs(365 * 24 * 3600);
    Ask {
        caller: (request.callers)(&data),
        data,
        saltenv: request.saltenv.clone(),
        pillarenv: request.pillarenv.clone(),
        explain: request.explain,
        trust: request.trust.clone(),
        deadline: Instant::now() + request.sources.timeout.unwrap_or(far),
    }
}

/// Starts a thread that asks one source, if that is worth one; nobody has to wait for it.
fn start(source: &Arc<dyn PillarSource>, ask: Ask, sources: &Sources) -> (Coming, Instant) {
    let (send, receive) = sync_channel(1);
    let deadline = ask.deadline;
    if source.is_quick() {
        let _ = send.send(load(&**source, &ask, sources.cache.clone()));
        return (receive, deadline);
    }
    let (thread_source, cache) = (source.clone(), sources.cache.clone());
    let thread_send = send.clone();
    let thread = std::thread::Builder::new().name(format!("pillar {}", source.name()));
    let spawned = thread.spawn(move || {
        let answer = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| load(&*thread_source, &ask, cache)));
        let answer = answer.unwrap_or_else(|_| Err(Diagnostic::error("it panicked: please report this as a bug")));
        let _ = thread_send.send(answer);
    });
    if let Err(error) = spawned {
        let _ = send.send(Err(Diagnostic::error(format!("cannot start a thread: {error}"))));
    }
    (receive, deadline)
}

/// Asks one source, or takes its answer from the cache.
fn load(source: &dyn PillarSource, ask: &Ask, cache: Option<Arc<PillarCache>>) -> Result<Given, Diagnostic> {
    // An explanation needs the places, which are not kept.
    let Some(cache) = cache.filter(|_| !ask.explain && !source.is_local()) else { return source.load(ask) };
    let stamp = source.stamp(ask);
    let key = cache.key(source, ask);
    if let Some(kept) = cache.get(&key, stamp.as_deref()) {
        return Ok(Given { pillar: kept.pillar, secret: kept.secret, ..Given::default() });
    }
    let given = source.load(ask)?;
    // An answer with a warning (the last good one of a server that is away) is not the answer to keep, nor is one in doubt.
    if given.warnings.is_empty() && given.problems.is_empty() && given.by_grain.is_empty() {
        cache.put(&key, Kept { pillar: given.pillar.clone(), secret: given.secret.clone(), stamp });
    }
    Ok(given)
}

impl Run<'_> {
    /// Merges what the sources give over a pillar.
    pub(crate) fn other_sources(&mut self, mut pillar: Map, ahead: Ahead) -> Map {
        let sources = self.request.sources;
        if let Some(why) = &sources.malformed {
            self.fail(why.message.clone(), why.clone());
        }
        for (i, (source, started)) in sources.list.iter().zip(ahead.started).enumerate() {
            let (coming, deadline) = started.unwrap_or_else(|| {
                let mut data = self.request.data.clone();
                if source.sees().pillar {
                    Arc::make_mut(&mut data).pillar = Value::map(pillar.clone());
                }
                start(source, ask(self.request, data), sources)
            });
            let wait = deadline.saturating_duration_since(Instant::now());
            let answer = coming.recv_timeout(wait).unwrap_or_else(|why| Err(lost(why, sources.timeout)));
            match answer {
                Ok(given) => {
                    self.diagnostics.extend(given.warnings.iter().map(|warning| Diagnostic {
                        message: format!("ext_pillar {}: {}", source.name(), warning.message),
                        ..warning.clone()
                    }));
                    for problem in &given.problems {
                        self.fail(problem.message.clone(), problem.clone());
                    }
                    self.secret.extend(&given);
                    self.by_grain.extend(given.by_grain.iter().cloned());
                    pillar = self.merge(pillar, &given.pillar);
                    if self.request.explain {
                        self.layers.push(Layer::of_source(source.name(), given));
                    }
                }
                Err(mut why) => {
                    why.labels.extend(sources.place(i).filter(|_| why.labels.is_empty()));
                    let message = format!("Failed to load ext_pillar {}: {}", source.name(), why.message);
                    self.fail(&message, Diagnostic { message: message.clone(), ..why });
                }
            }
        }
        pillar
    }
}

fn lost(why: RecvTimeoutError, timeout: Option<Duration>) -> Diagnostic {
    match why {
        RecvTimeoutError::Timeout => {
            let seconds = timeout.unwrap_or_default().as_secs();
            Diagnostic::error(format!("no answer within {seconds} seconds"))
                .hint("`corpus_pillar_timeout` sets how many seconds each source may take")
        }
        RecvTimeoutError::Disconnected => Diagnostic::error("its thread ended without an answer"),
    }
}
