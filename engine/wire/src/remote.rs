//! The master's end: a minion behind a pair of byte streams. A thread reads and sorts what comes; whoever
//! waits for an answer has a queue of its own, so that a run which waits for its master to render a template
//! can be asked something in between, by that very template.

use crate::error::{At, Progress, WireError};
use crate::frame::{self, Frame, Piece, Sender};
use crate::message::{self, Answer, Down, Op, Question, Reply, Up, WireData};
use crate::minion::{Answered, Hello, Minion, RunRequest, Upstream};
use corpus_core::{
    Call, ChunkReport, Data, Event, ExecError, FileRef, Map, ModuleFile, ModuleInfo, RunReport, SourceError,
};
use std::collections::HashMap;
use std::io::{self, BufReader, Read, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How often a waiting run looks whether it is to be stopped.
const GLANCE: Duration = Duration::from_millis(100);

/// How patient a [`Remote`] is.
#[derive(Clone, Debug)]
pub struct RemoteOptions {
    /// How long the first frame may take.
    pub hello: Duration,
    /// How long nothing may be heard while an answer is awaited; the minion's heartbeat comes every few seconds.
    pub silence: Duration,
    /// The build that the other end must be of.
    pub build: String,
}

impl Default for RemoteOptions {
    fn default() -> Self {
        Self { hello: Duration::from_secs(30), silence: Duration::from_secs(60), build: crate::build() }
    }
}

/// A minion at the other end of a pair of byte streams.
pub struct Remote {
    hello: Hello,
    sender: Sender,
    shared: Arc<Shared>,
    silence: Duration,
    /// How many bytes of files were sent.
    content: AtomicU64,
    /// The grains that the minion told in this session.
    told: Mutex<Option<Map>>,
}

/// What the reading thread and those who wait have in common.
struct Shared {
    waiting: Mutex<Waiting>,
    started: Instant,
    /// When the last byte came, in milliseconds after `started`.
    heard: AtomicU64,
    /// How many bytes have come.
    received: AtomicU64,
}

#[derive(Default)]
struct Waiting {
    next: u32,
    queues: HashMap<u32, mpsc::Sender<Up>>,
    /// Why nothing more will come.
    over: Option<WireError>,
}

impl Remote {
    /// Waits for the other end's hello and checks that it is of this build.
    pub fn connect(
        read: Box<dyn Read + Send>,
        write: Box<dyn Write + Send>,
        options: RemoteOptions,
    ) -> Result<Self, WireError> {
        let shared = Arc::new(Shared {
            waiting: Mutex::default(),
            started: Instant::now(),
            heard: AtomicU64::new(0),
            received: AtomicU64::new(0),
        });
        let (tx, greeting) = mpsc::channel();
        let heard = shared.clone();
        std::thread::Builder::new()
            .name("corpus-wire".into())
            .spawn(move || {
                let mut stream = BufReader::with_capacity(64 * 1024, Heard { read, shared: heard.clone() });
                let over = match greet(&mut stream) {
                    Ok(hello) => {
                        let _ = tx.send(Ok(hello));
                        sort(&mut stream, &heard)
                    }
                    Err(error) => {
                        let _ = tx.send(Err(error.clone()));
                        error
                    }
                };
                heard.end(over);
            })
            .map_err(|error| WireError::Failed(format!("cannot start a thread: {error}")))?;
        let hello = match greeting.recv_timeout(options.hello) {
            Ok(hello) => hello?,
            Err(_) => return Err(WireError::Silent { at: At(None), silence: options.hello }),
        };
        if hello.protocol != crate::PROTOCOL || hello.build != options.build {
            return Err(WireError::Build { ours: options.build, theirs: hello.build });
        }
        Ok(Self {
            hello,
            sender: Sender::new(write),
            shared,
            silence: options.silence,
            content: AtomicU64::new(0),
            told: Mutex::default(),
        })
    }

    /// Sends a request and returns where its answers arrive.
    fn ask(&self, op: Op) -> Result<Pending<'_>, WireError> {
        let (tx, queue) = mpsc::channel();
        let id = {
            let mut waiting = self.shared.waiting();
            if let Some(over) = &waiting.over {
                return Err(over.clone());
            }
            waiting.next = waiting.next.wrapping_add(1);
            let id = waiting.next;
            waiting.queues.insert(id, tx);
            id
        };
        let pending = Pending { remote: self, id, queue, at: At(None) };
        // From here on silence counts: nobody had to say anything before.
        self.shared.hear();
        pending.send(&Down::Request { id, op })?;
        Ok(pending)
    }

    fn simple(&self, op: Op) -> Result<Reply, WireError> {
        let pending = self.ask(op)?;
        match pending.next(&|| false)? {
            Some(Up::Reply { reply: Reply::Busy(busy), .. }) => Err(WireError::Busy(busy)),
            Some(Up::Reply { reply: Reply::Failed(why), .. }) => Err(WireError::Failed(why)),
            Some(Up::Reply { reply, .. }) => Ok(reply),
            _ => Err(confused()),
        }
    }
}

impl Minion for Remote {
    fn hello(&self) -> Hello {
        self.hello.clone()
    }

    fn grains(&self) -> Result<Map, WireError> {
        match self.simple(Op::Grains)? {
            Reply::Grains(grains) => {
                *self.told.lock().unwrap_or_else(PoisonError::into_inner) = Some(grains.clone());
                Ok(grains)
            }
            _ => Err(confused()),
        }
    }

    fn set_data(&self, data: &Data) -> Result<(), WireError> {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let sent = self.sender.send(&Down::Data(Box::new(WireData::pack(data, told.as_ref()))));
        sent.map_err(|error| self.shared.lost(&error, At(None)))
    }

    fn functions(&self) -> Result<Vec<String>, WireError> {
        match self.simple(Op::Functions)? {
            Reply::Functions(names) => Ok(names),
            _ => Err(confused()),
        }
    }

    fn sync(&self, modules: &[ModuleFile], up: &dyn Upstream) -> Result<Vec<ModuleInfo>, WireError> {
        let pending = self.ask(Op::Sync(modules.to_vec()))?;
        loop {
            match pending.next(&|| false)? {
                Some(Up::Ask { ask, question, .. }) => pending.answer(ask, question, up)?,
                Some(Up::Reply { reply: Reply::Synced(modules), .. }) => return Ok(modules),
                Some(Up::Reply { reply: Reply::Failed(why), .. }) => return Err(WireError::Failed(why)),
                _ => return Err(confused()),
            }
        }
    }

    fn answer(&self, call: &Call) -> Result<Result<Answered, ExecError>, WireError> {
        match self.simple(Op::Call(call.clone()))? {
            Reply::Call(answer) => Ok(answer),
            _ => Err(confused()),
        }
    }

    fn run(&self, request: &RunRequest, up: &dyn Upstream) -> Result<RunReport, WireError> {
        let mut pending = self.ask(Op::Run(Box::new(request.clone())))?;
        let of = u32::try_from(request.low.chunks.len()).unwrap_or(u32::MAX);
        let mut sent: Vec<ChunkReport> = Vec::new();
        let mut told = false;
        loop {
            let Some(next) = pending.next(&|| !told && up.cancelled())? else {
                told = true;
                pending.send(&Down::Cancel { id: pending.id })?;
                continue;
            };
            match next {
                Up::Events { events, .. } => {
                    for event in events {
                        match &event {
                            Event::Started { id, fun, .. } => pending.at.advance(id, fun, of),
                            Event::Finished(chunk) => sent.push((**chunk).clone()),
                            _ => {}
                        }
                        up.event(event);
                    }
                }
                Up::Ask { ask, question, .. } => pending.answer(ask, question, up)?,
                Up::Reply { reply, .. } => {
                    return match reply {
                        Reply::Run { jid, test, chunks } => {
                            let chunks = message::join(chunks, sent).ok_or_else(confused)?;
                            // A minion that does not hear it keeps the report, which is only untidy.
                            let _ = self.sender.send(&Down::Got { jid: jid.clone() });
                            Ok(RunReport { jid, test, chunks })
                        }
                        Reply::Busy(busy) => Err(WireError::Busy(busy)),
                        Reply::Failed(why) => Err(WireError::Failed(why)),
                        _ => Err(confused()),
                    };
                }
                Up::Hello(_) | Up::Beat => return Err(confused()),
            }
        }
    }

    fn collect(&self, jid: &str) -> Result<Option<RunReport>, WireError> {
        match self.simple(Op::Collect(jid.to_owned()))? {
            Reply::Collect(report) => {
                let _ = self.sender.send(&Down::Got { jid: jid.to_owned() });
                Ok(report)
            }
            _ => Err(confused()),
        }
    }

    fn delivered(&self, jid: &str) {
        // A minion that does not hear it tells of the run again, which is only untidy.
        let _ = self.sender.send(&Down::Got { jid: jid.to_owned() });
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        let (content, sent) = (self.content.load(Ordering::Relaxed), self.sender.sent());
        let received = self.shared.received.load(Ordering::Relaxed);
        tracing::debug!(sent, content, received, "The minion was talked to.");
    }
}

/// A request whose answers are still to come.
struct Pending<'a> {
    remote: &'a Remote,
    id: u32,
    queue: Receiver<Up>,
    at: At,
}

impl Pending<'_> {
    fn send(&self, message: &Down) -> Result<(), WireError> {
        self.remote.sender.send(message).map_err(|error| self.remote.shared.lost(&error, self.at.clone()))
    }

    /// Waits for what comes next, as long as there are signs of life; `None` when `stop` says so.
    fn next(&self, stop: &dyn Fn() -> bool) -> Result<Option<Up>, WireError> {
        let shared = &self.remote.shared;
        loop {
            if stop() {
                return Ok(None);
            }
            let left = self.remote.silence.saturating_sub(shared.silence());
            match self.queue.recv_timeout(left.clamp(Duration::from_millis(10), GLANCE)) {
                Ok(message) => return Ok(Some(message)),
                Err(RecvTimeoutError::Disconnected) => {
                    let over = shared.waiting().over.clone().unwrap_or_else(confused);
                    return Err(over.with(self.at.clone()));
                }
                Err(RecvTimeoutError::Timeout) if shared.silence() >= self.remote.silence => {
                    let over = WireError::Silent { at: At(None), silence: self.remote.silence };
                    shared.end(over.clone());
                    self.remote.sender.close();
                    return Err(over.with(self.at.clone()));
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    /// Answers what the run needs to know; this thread may ask the minion something else meanwhile.
    fn answer(&self, ask: u32, question: Question, up: &dyn Upstream) -> Result<(), WireError> {
        let answer = match question {
            Question::Resolve(request) => Answer::Resolve(up.resolve(&request)),
            Question::Tree { url, saltenv } => Answer::Tree(up.tree(&url, &saltenv)),
            Question::Fire { tag, data } => Answer::Fire(up.fire(&tag, &data)),
            Question::Knows(fun) => Answer::Knows(up.knows(&fun)),
            Question::Call(call) => Answer::Called(up.call(&call)),
            Question::Fetch(files) => Answer::Fetched(self.stream(ask, &files, up)?),
        };
        // Rendering may have taken long, and the minion had nothing to say.
        self.remote.shared.hear();
        self.send(&Down::Answer { ask, answer })
    }

    /// Sends contents without a seam, the small ones together. The outer error is the wire's, the inner one a file's.
    fn stream(&self, ask: u32, files: &[FileRef], up: &dyn Upstream) -> Result<Result<(), SourceError>, WireError> {
        let mut piece = Piece::new(ask, files.iter().fold(0, |all: u64, file| all.saturating_add(file.size)));
        for file in files {
            match self.one(file, up, &mut piece)? {
                Ok(true) => {}
                // What follows would not be where the minion expects it: that sees what is missing.
                Ok(false) => break,
                Err(error) => return Ok(Err(error)),
            }
        }
        if piece.any() {
            self.send_piece(&mut piece)?;
        }
        Ok(Ok(()))
    }

    /// Sends a content as far as it was promised; tells whether all of it was there.
    fn one(
        &self,
        file: &FileRef,
        up: &dyn Upstream,
        piece: &mut Piece,
    ) -> Result<Result<bool, SourceError>, WireError> {
        let mut left = file.size;
        let mut content = match up.open(file) {
            Ok(content) => content,
            Err(error) => return Ok(Err(error)),
        };
        while left > 0 {
            if piece.room().is_empty() {
                self.send_piece(piece)?;
            }
            let room = piece.room();
            let most = room.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            match content.read(&mut room[..most]) {
                Ok(0) => return Ok(Ok(false)),
                Ok(n) => {
                    piece.grow(n);
                    left -= n as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Ok(Err(SourceError::Failed(format!("read {}: {error}", file.url)))),
            }
        }
        Ok(Ok(true))
    }

    fn send_piece(&self, piece: &mut Piece) -> Result<(), WireError> {
        let sent = self.remote.sender.content(piece);
        let n = sent.map_err(|error| self.remote.shared.lost(&error, self.at.clone()))?;
        self.remote.content.fetch_add(n as u64, Ordering::Relaxed);
        self.remote.shared.hear();
        Ok(())
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        self.remote.shared.waiting().queues.remove(&self.id);
    }
}

impl Shared {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hear(&self) {
        let now = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.heard.store(now, Ordering::Relaxed);
    }

    fn silence(&self) -> Duration {
        self.started.elapsed().saturating_sub(Duration::from_millis(self.heard.load(Ordering::Relaxed)))
    }

    /// Ends all waiting. The first reason stands.
    fn end(&self, over: WireError) {
        let mut waiting = self.waiting();
        waiting.over.get_or_insert(over);
        waiting.queues.clear();
    }

    /// Makes the error for a failed write: the reader may know better why the other end is gone.
    fn lost(&self, error: &io::Error, at: At) -> WireError {
        let known = self.waiting().over.clone();
        known.unwrap_or_else(|| WireError::Lost { at: At(None), why: error.to_string() }).with(at)
    }
}

/// Reads up to and including the hello.
fn greet(stream: &mut impl Read) -> Result<Hello, WireError> {
    frame::skip_chatter(stream).map_err(|chatter| {
        WireError::Protocol(match chatter.as_str() {
            "" => "the minion ended before it said anything".to_owned(),
            chatter => format!("no minion answered; the machine said: {chatter}"),
        })
    })?;
    match next(stream) {
        Ok(Some(Up::Hello(hello))) => Ok(hello),
        Ok(Some(_)) => Err(confused()),
        Ok(None) => Err(WireError::Lost { at: At(None), why: "the minion ended at once".into() }),
        // Another build may greet in another form: that is for the caller to say.
        Err(error) => Err(WireError::Protocol(error.to_string())),
    }
}

/// Hands each message to who waits for it, until the stream ends; returns why it did.
fn sort(stream: &mut impl Read, shared: &Shared) -> WireError {
    loop {
        let message = match next(stream) {
            Ok(Some(message)) => message,
            Ok(None) => return WireError::Lost { at: At(None), why: "the minion ended".into() },
            Err(error) if error.kind() == io::ErrorKind::InvalidData => return WireError::Protocol(error.to_string()),
            Err(error) => return WireError::Lost { at: At(None), why: error.to_string() },
        };
        let id = match &message {
            Up::Reply { id, .. } | Up::Ask { id, .. } | Up::Events { id, .. } => *id,
            Up::Beat => continue,
            Up::Hello(_) => return confused(),
        };
        // Who gave up waiting has taken the queue away.
        if let Some(queue) = shared.waiting().queues.get(&id) {
            let _ = queue.send(message);
        }
    }
}

fn next(stream: &mut impl Read) -> io::Result<Option<Up>> {
    match frame::read(stream)? {
        None => Ok(None),
        Some(Frame::Message(body)) => frame::decode(&body).map(Some),
        Some(Frame::Content(..)) => Err(io::Error::new(io::ErrorKind::InvalidData, "a minion sends no files")),
    }
}

fn confused() -> WireError {
    WireError::Protocol("the minion answered something that was not asked".into())
}

impl At {
    fn advance(&mut self, id: &str, fun: &str, of: u32) {
        let number = self.0.as_ref().map_or(0, |progress| progress.number) + 1;
        self.0 = Some(Progress { number, of, id: id.to_owned(), fun: fun.to_owned() });
    }
}

/// A stream that notes when something came.
struct Heard {
    read: Box<dyn Read + Send>,
    shared: Arc<Shared>,
}

impl Read for Heard {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.read.read(buffer)?;
        self.shared.received.fetch_add(n as u64, Ordering::Relaxed);
        self.shared.hear();
        Ok(n)
    }
}
