//! The minion's end: answers requests, each in a thread of its own, and carries a run's questions to the
//! master. When the connection breaks, a run goes on to its end; only then does [`serve`] return.

use crate::cache::Cache;
use crate::error::WireError;
use crate::frame::{self, Frame, MAGIC, Sender};
use crate::message::{self, Answer, Down, Op, Question, Reply, Up};
use crate::minion::{Minion, RunRequest, Upstream};
use corpus_core::source::TreeEntry;
use corpus_core::{Call, ChunkReport, Event, ExecError, FileRef, FileRequest, Map, Source, SourceError, Value};
use std::collections::{HashMap, HashSet};
use std::io::{BufReader, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, Scope};
use std::time::{Duration, Instant};

/// How long an event may wait for others that travel in the same frame.
const GATHER: Duration = Duration::from_millis(20);
/// So many events are sent at once.
const MANY: usize = 256;
/// So many pieces of a content wait to be written. What waits in sshd instead costs it dearly: its buffer grows by
/// being copied.
const PIECES: usize = 32;
/// States and templates may nest deeply.
const STACK: usize = 16 * 1024 * 1024;

/// How a minion serves.
#[derive(Clone, Debug)]
pub struct ServeOptions {
    /// Where contents are kept, by digest.
    pub cache: PathBuf,
    /// How often to give a sign of life while something is being done.
    pub beat: Duration,
}

impl ServeOptions {
    /// Makes the usual options for a cache directory.
    pub fn new(cache: impl Into<PathBuf>) -> Self {
        Self { cache: cache.into(), beat: Duration::from_secs(5) }
    }
}

/// Answers a master until it hangs up; a run under way is finished first.
pub fn serve(
    read: Box<dyn Read + Send>,
    write: Box<dyn Write + Send>,
    minion: &dyn Minion,
    options: &ServeOptions,
) -> Result<(), WireError> {
    let server = Server {
        minion,
        sender: Sender::new(write),
        cache: Cache::new(&options.cache),
        beat: options.beat,
        asks: Mutex::default(),
        next: AtomicU32::new(0),
        lost: AtomicBool::new(false),
        cancelled: Mutex::default(),
        told: Mutex::default(),
        work: Mutex::default(),
        bell: Condvar::new(),
    };
    let greeting = server.sender.raw(MAGIC).and_then(|()| server.sender.send(&Up::Hello(minion.hello())));
    greeting.map_err(|error| WireError::Lost { at: Default::default(), why: error.to_string() })?;
    let mut stream = BufReader::with_capacity(64 * 1024, read);
    std::thread::scope(|scope| {
        let ticker = Builder::new().name("ticker".into()).spawn_scoped(scope, || server.tick());
        let end = match ticker {
            Ok(_) => server.listen(&mut stream, scope),
            Err(error) => Err(WireError::Failed(format!("cannot start a thread: {error}"))),
        };
        server.hang_up();
        end
    })
}

/// What comes for a thread that asked.
enum Incoming {
    Piece(Vec<u8>),
    Answer(Answer),
}

struct Server<'a> {
    minion: &'a dyn Minion,
    sender: Sender,
    cache: Cache,
    beat: Duration,
    asks: Mutex<HashMap<u32, SyncSender<Incoming>>>,
    next: AtomicU32,
    /// Nobody listens any more.
    lost: AtomicBool,
    /// The requests whose runs are to stop.
    cancelled: Mutex<HashSet<u32>>,
    /// The grains that the master was told.
    told: Mutex<Map>,
    work: Mutex<Work>,
    bell: Condvar,
}

/// What the ticker looks after.
#[derive(Default)]
struct Work {
    /// Requests in progress; while there are any, the heart beats.
    busy: usize,
    /// Events of each run that wait to be sent.
    events: Vec<(u32, Vec<Event>)>,
    over: bool,
}

impl<'a> Server<'a> {
    fn listen<'s>(&'s self, stream: &mut impl Read, scope: &'s Scope<'s, '_>) -> Result<(), WireError> {
        let failed = |error: std::io::Error| WireError::Protocol(error.to_string());
        loop {
            match frame::read(stream) {
                Ok(None) => return Ok(()),
                Ok(Some(Frame::Content(ask, bytes))) => self.hand(ask, Incoming::Piece(bytes)),
                Ok(Some(Frame::Message(body))) => match frame::decode(&body).map_err(failed)? {
                    Down::Request { id, op } => self.start(id, op, scope)?,
                    Down::Data(data) => {
                        let data = data.unpack(&lock(&self.told));
                        self.minion.set_data(&data)?;
                    }
                    Down::Answer { ask, answer } => self.hand(ask, Incoming::Answer(answer)),
                    Down::Cancel { id } => _ = lock(&self.cancelled).insert(id),
                    Down::Got { jid } => self.minion.delivered(&jid),
                },
                Err(error) if error.kind() == std::io::ErrorKind::InvalidData => return Err(failed(error)),
                Err(error) => return Err(WireError::Lost { at: Default::default(), why: error.to_string() }),
            }
        }
    }

    /// Gives a thread what it asked for. One that gave up has taken its queue away.
    fn hand(&self, ask: u32, incoming: Incoming) {
        let queue = lock(&self.asks).get(&ask).cloned();
        if let Some(queue) = queue {
            let _ = queue.send(incoming);
        }
    }

    fn start<'s>(&'s self, id: u32, op: Op, scope: &'s Scope<'s, '_>) -> Result<(), WireError> {
        lock(&self.work).busy += 1;
        self.bell.notify_all();
        let worker = Builder::new().name(format!("request-{id}")).stack_size(STACK);
        let spawned = worker.spawn_scoped(scope, move || {
            let reply = catch_unwind(AssertUnwindSafe(|| self.reply(id, op)))
                .unwrap_or_else(|panic| Reply::Failed(format!("the minion failed inside: {}", words(&*panic))));
            self.flush();
            self.send(&Up::Reply { id, reply });
            lock(&self.work).busy -= 1;
        });
        spawned.map(drop).map_err(|error| WireError::Failed(format!("cannot start a thread: {error}")))
    }

    fn reply(&self, id: u32, op: Op) -> Reply {
        let reply = match op {
            Op::Grains => self.minion.grains().map(|grains| {
                *lock(&self.told) = grains.clone();
                Reply::Grains(grains)
            }),
            Op::Functions => self.minion.functions().map(Reply::Functions),
            Op::Sync(modules) => {
                let asker = Asker { server: self, id, known: HashMap::new(), sent: Mutex::default() };
                self.minion.sync(&modules, &asker).map(Reply::Synced)
            }
            Op::Call(call) => self.minion.answer(&call).map(Reply::Call),
            Op::Collect(jid) => self.minion.collect(&jid).map(Reply::Collect),
            Op::Run(request) => {
                let asker = Asker { server: self, id, known: known(&request), sent: Mutex::default() };
                self.minion.run(&request, &asker).map(|report| {
                    self.minion.keep(&report);
                    let sent = asker.sent.into_inner().unwrap_or_else(PoisonError::into_inner);
                    let (jid, test) = (report.jid.clone(), report.test);
                    Reply::Run { jid, test, chunks: message::pieces(report, &sent) }
                })
            }
        };
        reply.unwrap_or_else(|error| match error {
            WireError::Busy(busy) => Reply::Busy(busy),
            other => Reply::Failed(other.to_string()),
        })
    }

    /// Sends, or learns that there is nobody to send to.
    fn send(&self, message: &Up) {
        if !self.lost.load(Ordering::Relaxed) && self.sender.send(message).is_err() {
            self.lost.store(true, Ordering::Relaxed);
        }
    }

    /// Sends the events that wait. The lock is held meanwhile, so that they stay in order.
    fn flush(&self) {
        let mut work = lock(&self.work);
        for (id, events) in std::mem::take(&mut work.events) {
            self.send(&Up::Events { id, events });
        }
    }

    fn queue(&self, id: u32, event: Event) {
        let mut work = lock(&self.work);
        let first = work.events.is_empty();
        let many = match work.events.iter_mut().find(|(of, _)| *of == id) {
            Some((_, events)) => {
                events.push(event);
                events.len() >= MANY
            }
            None => {
                work.events.push((id, vec![event]));
                false
            }
        };
        drop(work);
        if many {
            self.flush();
        } else if first {
            self.bell.notify_all();
        }
    }

    /// Sends gathered events a moment after the first, and beats while there is work.
    fn tick(&self) {
        let mut last = Instant::now();
        let mut work = lock(&self.work);
        while !work.over {
            if !work.events.is_empty() {
                drop(work);
                std::thread::sleep(GATHER);
                self.flush();
                last = Instant::now();
                work = lock(&self.work);
                continue;
            }
            if work.busy > 0 && last.elapsed() >= self.beat {
                drop(work);
                self.send(&Up::Beat);
                last = Instant::now();
                work = lock(&self.work);
                continue;
            }
            let wait = self.beat.saturating_sub(last.elapsed()).max(Duration::from_millis(1));
            work = if work.busy > 0 {
                self.bell.wait_timeout(work, wait).unwrap_or_else(PoisonError::into_inner).0
            } else {
                self.bell.wait(work).unwrap_or_else(PoisonError::into_inner)
            };
        }
    }

    /// Lets those who wait for the master know that nothing will come.
    fn hang_up(&self) {
        self.lost.store(true, Ordering::Relaxed);
        lock(&self.asks).clear();
        lock(&self.work).over = true;
        self.bell.notify_all();
        // A master that still reads sees the end.
        if lock(&self.work).busy == 0 {
            self.sender.close();
        }
    }
}

/// A run's way to its master.
struct Asker<'a> {
    server: &'a Server<'a>,
    id: u32,
    known: HashMap<Vec<u8>, Result<FileRef, SourceError>>,
    /// The records that went up as events.
    sent: Mutex<Vec<ChunkReport>>,
}

/// Makes the answers that came with the request quick to find.
fn known(request: &RunRequest) -> HashMap<Vec<u8>, Result<FileRef, SourceError>> {
    request.known.iter().filter_map(|(file, answer)| Some((key(file)?, answer.clone()))).collect()
}

fn key(request: &FileRequest) -> Option<Vec<u8>> {
    postcard::to_stdvec(request).ok()
}

impl Asker<'_> {
    /// Asks, and returns where the answer arrives.
    fn ask(&self, question: Question) -> Result<Waiting<'_>, SourceError> {
        let ask = self.server.next.fetch_add(1, Ordering::Relaxed);
        let (tx, queue) = mpsc::sync_channel(PIECES);
        {
            // Under this lock `hang_up` either sees the queue or has been here before.
            let mut asks = lock(&self.server.asks);
            if self.server.lost.load(Ordering::Relaxed) {
                return Err(gone());
            }
            asks.insert(ask, tx);
        }
        self.server.flush();
        self.server.send(&Up::Ask { id: self.id, ask, question });
        Ok(Waiting { server: self.server, ask, queue })
    }
}

impl Asker<'_> {
    /// Has contents sent, and keeps them in the cache.
    fn bring(&self, files: &[FileRef]) -> Result<(), SourceError> {
        let waiting = self.ask(Question::Fetch(files.to_vec()))?;
        let (mut piece, mut at) = (Vec::new(), 0);
        for file in files {
            self.server.cache.receive(file, &mut |most| {
                if at == piece.len() {
                    match waiting.next()? {
                        Incoming::Piece(bytes) => (piece, at) = (bytes, 0),
                        Incoming::Answer(Answer::Fetched(answer)) => return answer.map(|()| None),
                        Incoming::Answer(_) => return Err(confused()),
                    }
                }
                let end = piece.len().min(at.saturating_add(usize::try_from(most).unwrap_or(usize::MAX)));
                let start = std::mem::replace(&mut at, end);
                Ok(Some(if end - start < piece.len() {
                    piece[start..end].to_vec()
                } else {
                    at = 0;
                    std::mem::take(&mut piece)
                }))
            })?;
        }
        Ok(())
    }
}

/// An ask whose answer is still to come.
struct Waiting<'a> {
    server: &'a Server<'a>,
    ask: u32,
    queue: Receiver<Incoming>,
}

impl Waiting<'_> {
    fn next(&self) -> Result<Incoming, SourceError> {
        self.queue.recv().map_err(|_| gone())
    }

    fn answer(&self) -> Result<Answer, SourceError> {
        match self.next()? {
            Incoming::Answer(answer) => Ok(answer),
            Incoming::Piece(_) => Err(confused()),
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        lock(&self.server.asks).remove(&self.ask);
    }
}

impl Source for Asker<'_> {
    fn resolve(&self, request: &FileRequest) -> Result<FileRef, SourceError> {
        if let Some(answer) = key(request).and_then(|key| self.known.get(&key)) {
            return answer.clone();
        }
        match self.ask(Question::Resolve(request.clone()))?.answer()? {
            Answer::Resolve(answer) => answer,
            _ => Err(confused()),
        }
    }

    fn fetch(&self, file: &FileRef) -> Result<PathBuf, SourceError> {
        if let Some(path) = self.server.cache.find(file) {
            return Ok(path);
        }
        self.bring(std::slice::from_ref(file))?;
        Ok(self.server.cache.place(&file.sha256))
    }

    fn fetch_all(&self, files: &[FileRef]) {
        let mut seen = HashSet::new();
        let lacks = |file: &&FileRef| seen.insert(file.sha256) && self.server.cache.find(file).is_none();
        let files: Vec<FileRef> = files.iter().filter(lacks).cloned().collect();
        // One alone comes when it is asked for.
        if files.len() > 1
            && let Err(error) = self.bring(&files)
        {
            tracing::debug!(%error, "Not all contents came: each is asked for again.");
        }
    }

    fn spare(&self, file: &FileRef) -> bool {
        self.server.cache.spare(file)
    }

    fn tree(&self, url: &str, saltenv: &str) -> Result<Vec<TreeEntry>, SourceError> {
        let question = Question::Tree { url: url.to_owned(), saltenv: saltenv.to_owned() };
        match self.ask(question)?.answer()? {
            Answer::Tree(answer) => answer,
            _ => Err(confused()),
        }
    }

    fn fire(&self, tag: &str, data: &Value) -> Result<(), SourceError> {
        match self.ask(Question::Fire { tag: tag.to_owned(), data: data.clone() })?.answer()? {
            Answer::Fire(answer) => answer,
            _ => Err(confused()),
        }
    }

    fn cancelled(&self) -> bool {
        lock(&self.server.cancelled).contains(&self.id)
    }
}

impl Upstream for Asker<'_> {
    fn event(&self, event: Event) {
        if self.server.lost.load(Ordering::Relaxed) {
            return;
        }
        // One lock over both keeps the records and the events in the same order.
        let mut sent = lock(&self.sent);
        if let Event::Finished(chunk) = &event {
            sent.push((**chunk).clone());
        }
        self.server.queue(self.id, event);
    }

    fn knows(&self, fun: &str) -> bool {
        let answer = self.ask(Question::Knows(fun.to_owned())).and_then(|waiting| waiting.answer());
        matches!(answer, Ok(Answer::Knows(true)))
    }

    fn call(&self, call: &Call) -> Result<Value, ExecError> {
        match self.ask(Question::Call(call.clone())).and_then(|waiting| waiting.answer()) {
            Ok(Answer::Called(answer)) => answer,
            Ok(_) => Err(ExecError::Failed(confused().to_string())),
            Err(error) => Err(ExecError::Failed(error.to_string())),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn gone() -> SourceError {
    SourceError::Failed("the connection to the master was lost, and this needs the master".into())
}

fn confused() -> SourceError {
    SourceError::Failed("the master answered something that was not asked".into())
}

/// Returns what a panic said.
fn words(panic: &(dyn std::any::Any + Send)) -> String {
    match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(text), _) => (*text).to_owned(),
        (_, Some(text)) => text.clone(),
        _ => "a panic without words".to_owned(),
    }
}
