//! A master and a minion with nothing but a pair of sockets between them, which can be cut at any frame.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests count as tests")]

use corpus_core::digest::sha256;
use corpus_core::source::{FileOrigin, TreeEntry, TreeKind};
use corpus_core::{
    Call, ChunkReport, Data, Event, ExecError, FileRef, FileRequest, LowChunk, LowState, Map, ModuleFile,
    ModuleFunction, ModuleInfo, RunOptions, RunReport, Source, SourceError, Value,
};
use corpus_wire::{
    Answered, Busy, Hello, Minion, PROTOCOL, Remote, RemoteOptions, RunRequest, ServeOptions, Upstream, WireError,
    build, serve,
};
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A minion that asks its master everything it can for each chunk.
#[derive(Default)]
struct Eager {
    data: Mutex<Data>,
    /// What [`Minion::keep`] was given and [`Minion::delivered`] has not taken.
    kept: Mutex<Vec<RunReport>>,
    parallel: bool,
    build: Option<String>,
}

fn chunk_report(chunk: &LowChunk, comment: String) -> ChunkReport {
    ChunkReport {
        tag: chunk.tag(),
        id: chunk.id.clone(),
        name: chunk.name.clone(),
        state: chunk.state.clone(),
        fun: chunk.fun.clone(),
        sls: Some(chunk.sls.clone()),
        result: Some(true),
        comment,
        span: chunk.span.clone(),
        ..ChunkReport::default()
    }
}

fn step(chunk: &LowChunk, up: &dyn Upstream) -> ChunkReport {
    up.event(Event::Started { tag: chunk.tag(), id: chunk.id.clone(), fun: chunk.full_name() });
    let asked = || -> Result<String, SourceError> {
        let file = up.resolve(&request(&chunk.id))?;
        let path = up.fetch(&file)?;
        let entries = up.tree("salt://dir", "base")?;
        up.fire("a/tag", &Value::from(1))?;
        Ok(format!("{} {}", std::fs::metadata(path).unwrap().len(), entries.len()))
    };
    let report = chunk_report(chunk, asked().unwrap_or_else(|error| error.to_string()));
    up.event(Event::Finished(Box::new(report.clone())));
    report
}

impl Minion for Eager {
    fn hello(&self) -> Hello {
        Hello { protocol: PROTOCOL, build: self.build.clone().unwrap_or_else(build), ..Hello::default() }
    }
    fn grains(&self) -> Result<Map, WireError> {
        Ok([("id", Value::from("web1")), ("os", Value::from("Debian")), ("gone", Value::from(1))].into_iter().collect())
    }
    fn set_data(&self, data: &Data) -> Result<(), WireError> {
        *self.data.lock().unwrap() = data.clone();
        Ok(())
    }
    fn functions(&self) -> Result<Vec<String>, WireError> {
        Ok(vec!["test.ping".into()])
    }
    fn sync(&self, modules: &[ModuleFile], up: &dyn Upstream) -> Result<Vec<ModuleInfo>, WireError> {
        let taken = modules.iter().map(|module| {
            let place = up.fetch(&module.file).map_err(|error| WireError::Failed(error.to_string()))?;
            let function = ModuleFunction { doc: std::fs::read_to_string(place).unwrap(), ..Default::default() };
            Ok(ModuleInfo { file: module.clone(), functions: Ok(vec![("doc".into(), function)]) })
        });
        taken.collect()
    }
    fn answer(&self, call: &Call) -> Result<Result<Answered, ExecError>, WireError> {
        Ok(match call.fun.as_str() {
            "test.ping" => Ok(Value::from(true).into()),
            "test.data" => {
                let data = self.data.lock().unwrap();
                Ok(Value::from(vec![data.grains.clone(), data.pillar.clone()]).into())
            }
            "test.sleep" => {
                std::thread::sleep(Duration::from_millis(call.args[0].as_int().unwrap() as u64));
                Ok(Answered { retcode: 3, ..Value::from(true).into() })
            }
            "test.panic" => panic!("at the disco"),
            other => Err(ExecError::NotFound(other.to_owned())),
        })
    }
    fn run(&self, request: &RunRequest, up: &dyn Upstream) -> Result<RunReport, WireError> {
        if request.who == "second" {
            let (jid, who, since) = ("1".into(), "anna".into(), "noon".into());
            return Err(WireError::Busy(Busy { jid, who, since, pid: 1 }));
        }
        let low = &request.low.chunks;
        let chunks = if self.parallel {
            std::thread::scope(|scope| {
                let all: Vec<_> = low.iter().map(|chunk| scope.spawn(move || step(chunk, up))).collect();
                all.into_iter().map(|thread| thread.join().unwrap()).collect()
            })
        } else {
            low.iter().map(|chunk| step(chunk, up)).collect()
        };
        Ok(RunReport { jid: request.options.jid.clone(), test: request.options.test, chunks })
    }
    fn collect(&self, jid: &str) -> Result<Option<RunReport>, WireError> {
        Ok(self.kept.lock().unwrap().iter().find(|report| report.jid == jid).cloned())
    }
    fn keep(&self, report: &RunReport) {
        self.kept.lock().unwrap().push(report.clone());
    }
    fn delivered(&self, jid: &str) {
        self.kept.lock().unwrap().retain(|report| report.jid != jid);
    }
}

fn request(id: &str) -> FileRequest {
    FileRequest { origin: FileOrigin::Urls(vec![format!("salt://{id}")]), saltenv: "base".into(), template: None }
}

fn content(id: &str) -> Vec<u8> {
    format!("content of {id}\n").repeat(50).into_bytes()
}

/// A master whose files are made up; it may ask the minion while it answers.
struct Master<'a> {
    minion: Option<&'a dyn Minion>,
    resolved: AtomicUsize,
    fetched: AtomicUsize,
    events: Mutex<Vec<Event>>,
    /// The size of a file that is sent from nowhere.
    big: u64,
}

impl<'a> Master<'a> {
    fn new(minion: Option<&'a dyn Minion>) -> Self {
        Self { minion, resolved: AtomicUsize::new(0), fetched: AtomicUsize::new(0), events: Mutex::default(), big: 0 }
    }
}

impl Source for Master<'_> {
    fn resolve(&self, request: &FileRequest) -> Result<FileRef, SourceError> {
        self.resolved.fetch_add(1, Ordering::Relaxed);
        if let Some(minion) = self.minion {
            // As a template does: `{{ salt['test.ping']() }}`, while the run waits.
            let pong = minion.call(&Call::new("test.ping", vec![])).map_err(|e| SourceError::Render(e.to_string()))?;
            assert_eq!(pong.unwrap(), Value::from(true));
        }
        let FileOrigin::Urls(urls) = &request.origin else { unreachable!() };
        if self.big > 0 {
            return Ok(FileRef { url: urls[0].clone(), sha256: zeros(self.big), size: self.big, mode: 0o644 });
        }
        let bytes = content(urls[0].strip_prefix("salt://").unwrap());
        Ok(FileRef { url: urls[0].clone(), sha256: sha256(&bytes), size: bytes.len() as u64, mode: 0o644 })
    }
    fn fetch(&self, _: &FileRef) -> Result<PathBuf, SourceError> {
        unreachable!("`open` is our own")
    }
    fn tree(&self, _: &str, _: &str) -> Result<Vec<TreeEntry>, SourceError> {
        Ok(vec![TreeEntry { path: "a".into(), kind: TreeKind::File, mode: 0o644 }])
    }
    fn fire(&self, _: &str, _: &Value) -> Result<(), SourceError> {
        Ok(())
    }
}

impl Upstream for Master<'_> {
    fn event(&self, event: Event) {
        self.events.lock().unwrap().push(event);
    }
    fn open(&self, file: &FileRef) -> Result<Box<dyn Read + Send>, SourceError> {
        self.fetched.fetch_add(1, Ordering::Relaxed);
        match file.url.as_str() {
            _ if self.big > 0 => Ok(Box::new(io::repeat(0).take(self.big))),
            "salt://liar" => Ok(Box::new(io::Cursor::new(b"something else".repeat(3)))),
            url => Ok(Box::new(io::Cursor::new(content(url.strip_prefix("salt://").unwrap())))),
        }
    }
}

fn zeros(size: u64) -> [u8; 32] {
    use sha2::{Digest, Sha256};
    let mut digest = Sha256::new();
    (0..size / 65_536).for_each(|_| digest.update([0; 65_536]));
    digest.update(vec![0; (size % 65_536) as usize]);
    digest.finalize().into()
}

/// Counts frames (each is one write) and the bytes in them; cuts the line after so many, or in the middle of one.
struct Cutter {
    stream: UnixStream,
    left: Option<usize>,
    torn: bool,
    bytes: Arc<AtomicUsize>,
}

impl Write for Cutter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(left) = &mut self.left {
            if *left == 0 {
                if self.torn {
                    let _ = self.stream.write_all(&bytes[..bytes.len() / 2]);
                }
                let _ = self.stream.shutdown(Shutdown::Both);
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            *left -= 1;
        }
        self.bytes.fetch_add(bytes.len(), Ordering::Relaxed);
        self.stream.write_all(bytes)?;
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Cutter {
    fn drop(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }
}

#[derive(Clone, Copy, Default)]
struct Cuts {
    up: Option<usize>,
    down: Option<usize>,
    torn: bool,
}

struct Session {
    remote: Result<Remote, WireError>,
    served: std::thread::JoinHandle<Result<(), WireError>>,
    _cache: Arc<tempfile::TempDir>,
}

fn options() -> RemoteOptions {
    RemoteOptions { hello: Duration::from_secs(5), silence: Duration::from_secs(5), ..RemoteOptions::default() }
}

fn session(minion: &Arc<Eager>, cuts: Cuts, cache: &Arc<tempfile::TempDir>, options: RemoteOptions) -> Session {
    let (here, there) = UnixStream::pair().unwrap();
    let (up, down) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let cutter = |stream: &UnixStream, left, bytes: &Arc<AtomicUsize>| {
        Box::new(Cutter { stream: stream.try_clone().unwrap(), left, torn: cuts.torn, bytes: bytes.clone() })
    };
    let (above, below) = (cutter(&here, cuts.down, &down), cutter(&there, cuts.up, &up));
    let serving = ServeOptions { beat: Duration::from_millis(200), ..ServeOptions::new(cache.path()) };
    let minion = minion.clone();
    let served = std::thread::spawn(move || serve(Box::new(there), below, &*minion, &serving));
    Session { remote: Remote::connect(Box::new(here), above, options), served, _cache: cache.clone() }
}

fn plain(minion: Eager) -> (Arc<Eager>, Session) {
    let minion = Arc::new(minion);
    let cache = Arc::new(tempfile::tempdir().unwrap());
    let session = session(&minion, Cuts::default(), &cache, options());
    (minion, session)
}

fn run_of(ids: &[&str]) -> RunRequest {
    let chunk = |id: &&str| LowChunk {
        state: "file".into(),
        fun: "managed".into(),
        id: (*id).into(),
        name: (*id).into(),
        sls: "web".into(),
        ..LowChunk::default()
    };
    RunRequest {
        low: Arc::new(LowState { chunks: ids.iter().map(chunk).collect() }),
        options: RunOptions { jid: "20261121".into(), ..RunOptions::default() },
        ..RunRequest::default()
    }
}

#[test]
fn a_session_from_hello_to_report() {
    let (minion, session) = plain(Eager::default());
    let remote = session.remote.unwrap();
    let mut grains = remote.grains().unwrap();
    assert_eq!(remote.functions().unwrap(), ["test.ping"]);
    // The grains go back as a difference, and arrive whole.
    grains.remove("gone");
    grains.insert("id", "other");
    grains.insert("role", "web");
    let data = Data { grains: grains.clone().into(), pillar: "secret".into(), ..Data::default() };
    remote.set_data(&data).unwrap();
    let seen = remote.call(&Call::new("test.data", vec![])).unwrap().unwrap();
    assert_eq!(seen, vec![Value::from(grains), "secret".into()].into());
    assert_eq!(
        remote.call(&Call::new("no.such", vec![])).unwrap(),
        Err(ExecError::NotFound("no.such".into())).into_same()
    );
    let error = remote.call(&Call::new("test.panic", vec![])).unwrap_err();
    assert_eq!(error, WireError::Failed("the minion failed inside: at the disco".into()));
    let master = Master::new(Some(&remote));
    let report = remote.run(&run_of(&["one", "two", "three"]), &master).unwrap();
    assert!(report.chunks.iter().all(|chunk| chunk.comment.ends_with(" 1")), "{report:?}");
    let events = master.events.lock().unwrap();
    let started: Vec<_> = events.iter().filter(|event| matches!(event, Event::Started { .. })).collect();
    let finished: Vec<_> =
        events.iter().filter_map(|e| if let Event::Finished(c) = e { Some(&**c) } else { None }).collect();
    assert_eq!((started.len(), finished), (3, report.chunks.iter().collect()));
    let busy = remote.run(&RunRequest { who: "second".into(), ..RunRequest::default() }, &master).unwrap_err();
    assert_eq!(busy.to_string(), "busy: run 1 by anna since noon");
    drop(events);
    drop(master);
    // Its master has the report, so the minion does not keep it; and it ends when the master does.
    drop(remote);
    session.served.join().unwrap().unwrap();
    assert!(minion.kept.lock().unwrap().is_empty());
}

/// `ExecError` has no `PartialEq`; its words do.
trait IntoSame {
    fn into_same(self) -> Same;
}
impl IntoSame for Result<Value, ExecError> {
    fn into_same(self) -> Same {
        Same(self.map_err(|e| e.to_string()))
    }
}
#[derive(Debug)]
struct Same(Result<Value, String>);
impl PartialEq<Same> for Result<Value, ExecError> {
    fn eq(&self, other: &Same) -> bool {
        self.clone().map_err(|e| e.to_string()) == other.0
    }
}

#[test]
fn parallel_states_ask_side_by_side() {
    let (_minion, session) = plain(Eager { parallel: true, ..Eager::default() });
    let remote = session.remote.unwrap();
    let names: Vec<String> = (0..40).map(|i| format!("f{i}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let master = Master::new(Some(&remote));
    let report = remote.run(&run_of(&names), &master).unwrap();
    assert_eq!(report.chunks.len(), 40);
    for (name, chunk) in names.iter().zip(&report.chunks) {
        assert_eq!(chunk.comment, format!("{} 1", content(name).len()));
    }
}

#[test]
fn what_is_known_or_cached_is_not_asked_for() {
    let (minion, first) = plain(Eager::default());
    let remote = first.remote.unwrap();
    let master = Master::new(None);
    let mut request_with = run_of(&["one", "two"]);
    request_with.known = ["one", "two"].map(|id| (request(id), master.resolve(&request(id)))).into();
    master.resolved.store(0, Ordering::Relaxed);
    remote.run(&request_with, &master).unwrap();
    assert_eq!((master.resolved.load(Ordering::Relaxed), master.fetched.load(Ordering::Relaxed)), (0, 2));
    // Another connection, the same machine: the contents are there.
    let again = session(&minion, Cuts::default(), &first._cache, options());
    again.remote.unwrap().run(&request_with, &master).unwrap();
    assert_eq!((master.resolved.load(Ordering::Relaxed), master.fetched.load(Ordering::Relaxed)), (0, 2));
    // A content that was damaged on the disk is fetched again.
    let place = corpus_wire::Cache::new(first._cache.path()).place(&sha256(&content("one")));
    std::fs::write(&place, vec![b'x'; content("one").len()]).unwrap();
    let again = session(&minion, Cuts::default(), &first._cache, options());
    again.remote.unwrap().run(&request_with, &master).unwrap();
    assert_eq!(master.fetched.load(Ordering::Relaxed), 3);
    assert_eq!(std::fs::read(&place).unwrap(), content("one"));
}

#[test]
fn modules_bring_their_contents_once() {
    let (minion, first) = plain(Eager::default());
    let master = Master::new(None);
    let file = master.resolve(&request("_modules/roles")).unwrap();
    let modules = [ModuleFile { name: "roles".into(), path: "_modules/roles".into(), file }];
    let synced = first.remote.unwrap().sync(&modules, &master).unwrap();
    let said = &synced[0].function("doc").unwrap().doc;
    assert_eq!((said.as_bytes(), &synced[0].file), (&*content("_modules/roles"), &modules[0]));
    let again = session(&minion, Cuts::default(), &first._cache, options());
    again.remote.unwrap().sync(&modules, &master).unwrap();
    assert_eq!(master.fetched.load(Ordering::Relaxed), 1);
}

#[test]
fn a_content_that_changed_under_way_is_refused() {
    let (_minion, session) = plain(Eager::default());
    let report = session.remote.unwrap().run(&run_of(&["liar"]), &Master::new(None)).unwrap();
    let comment = &report.chunks[0].comment;
    assert!(comment.starts_with("salt://liar: the content that came (42 bytes"), "{comment}");
    let left = walk(session._cache.path());
    assert!(left.iter().all(|path| !path.is_file()), "{left:?}");
}

fn walk(folder: &std::path::Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.flat_map(|path| std::iter::once(path.clone()).chain(walk(&path))).collect()
}

/// The whole session, with the line cut after each frame in turn, either way, and within the frame after it.
#[test]
fn every_cut_ends_with_an_error_and_a_kept_report() {
    let names = ["one", "two", "three"];
    let complete = |cuts: Cuts| {
        let minion = Arc::new(Eager::default());
        let session = session(&minion, cuts, &Arc::new(tempfile::tempdir().unwrap()), options());
        let since = Instant::now();
        let result = session.remote.and_then(|remote| {
            remote.grains()?;
            remote.set_data(&Data::default())?;
            remote.run(&run_of(&names), &Master::new(Some(&remote)))
        });
        let _ = session.served.join().unwrap();
        assert!(since.elapsed() < Duration::from_secs(4), "hung");
        let kept = minion.kept.lock().unwrap().clone();
        (result, kept)
    };
    assert!(complete(Cuts::default()).0.is_ok());
    for torn in [false, true] {
        for upward in [true, false] {
            let mut cuts = 0;
            let mut mid_run = 0;
            for n in 0.. {
                let way = if upward {
                    Cuts { up: Some(n), down: None, torn }
                } else {
                    Cuts { up: None, down: Some(n), torn }
                };
                let (result, kept) = complete(way);
                let Err(error) = result else { break };
                cuts += 1;
                assert!(error.is_lost(), "{n}: {error}");
                mid_run += usize::from(error.to_string().contains("mid-run at state"));
                // Once the run had begun, it went on to its end, and its report waits.
                if error.to_string().contains("mid-run") {
                    assert_eq!(kept.len(), 1, "{n}: {error}");
                    assert_eq!(kept[0].chunks.len(), 3);
                }
            }
            assert!(cuts > 15 && mid_run > 8, "cut {cuts} times, {mid_run} of them in the run");
        }
    }
}

#[test]
fn silence_is_noticed_and_slowness_is_not_silence() {
    // Slow, but its heart beats.
    let (_minion, session) = plain(Eager::default());
    let remote = session.remote.unwrap();
    drop(remote);
    let minion = Arc::new(Eager::default());
    let cache = Arc::new(tempfile::tempdir().unwrap());
    let quick = RemoteOptions { silence: Duration::from_millis(600), ..options() };
    let slow = self::session(&minion, Cuts::default(), &cache, quick.clone()).remote.unwrap();
    assert_eq!(slow.call(&Call::new("test.sleep", vec![1500.into()])).unwrap().unwrap(), Value::from(true));
    // Greets, and then nothing. Its own hello is replayed, with nobody behind it.
    let (here, mut there) = UnixStream::pair().unwrap();
    let (mut from, to) = UnixStream::pair().unwrap();
    std::thread::spawn(move || {
        let cutter = Cutter { stream: to, left: None, torn: false, bytes: Arc::default() };
        let _ = serve(Box::new(io::empty()), Box::new(cutter), &Eager::default(), &ServeOptions::new("/nonexistent"));
    });
    let mut greeting = Vec::new();
    from.read_to_end(&mut greeting).unwrap();
    there.write_all(&greeting).unwrap();
    let mute = Remote::connect(Box::new(here.try_clone().unwrap()), Box::new(here), quick).unwrap();
    let since = Instant::now();
    let error = mute.grains().unwrap_err();
    assert!(matches!(error, WireError::Silent { .. }), "{error}");
    assert!(since.elapsed() < Duration::from_secs(3));
    assert!(mute.grains().unwrap_err().is_lost());
}

#[test]
fn other_ends_are_told_apart() {
    let (_, session) = plain(Eager { build: Some("0.0.1-old".into()), ..Eager::default() });
    assert_eq!(session.remote.err(), Some(WireError::Build { ours: build(), theirs: "0.0.1-old".into() }));
    let answer = |bytes: &[u8]| {
        let (here, mut there) = UnixStream::pair().unwrap();
        there.write_all(bytes).unwrap();
        drop(there);
        Remote::connect(Box::new(here.try_clone().unwrap()), Box::new(here), options()).err().unwrap().to_string()
    };
    assert_eq!(
        answer(b"This account is not available.\n"),
        "no minion answered; the machine said: This account is not available."
    );
    assert_eq!(answer(b""), "the minion ended before it said anything");
    let garbage = answer(b"Welcome!\n\0corpus-wire\n\xff\xff\xff\xff\0junk");
    assert!(garbage.contains("damaged"), "{garbage}");
    // A small frame that claims to unpack into a gigabyte.
    let bomb = answer(b"\0corpus-wire\n\x0a\0\0\0\x01\0\0\0\x0fabcde");
    assert!(bomb.contains("a message of 251658240 bytes"), "{bomb}");
    // Lists in lists without end, two bytes a level: an error, not an exhausted stack.
    let mut deep = vec![1, 1, 0, 2, 0];
    (0..100_000).for_each(|_| deep.extend([5, 1]));
    deep.push(0);
    let mut frames = b"\0corpus-wire\n".to_vec();
    frames.extend(u32::try_from(deep.len() + 1).unwrap().to_le_bytes());
    frames.push(0);
    frames.extend(deep);
    let deep = answer(&frames);
    assert!(deep.contains("a message that cannot be read"), "{deep}");
    let (here, _there) = UnixStream::pair().unwrap();
    let hasty = RemoteOptions { hello: Duration::from_millis(200), ..options() };
    let error = Remote::connect(Box::new(here.try_clone().unwrap()), Box::new(here), hasty).err().unwrap();
    assert!(matches!(error, WireError::Silent { .. }), "{error}");
}

#[test]
fn a_large_file_streams_with_flat_memory() {
    const SIZE: u64 = 100 << 20;
    // Alone in a process, or the other tests' memory would count.
    if std::env::var_os("ALONE").is_none() {
        let mut again = std::process::Command::new(std::env::current_exe().unwrap());
        again.args(["--exact", "a_large_file_streams_with_flat_memory"]).env("ALONE", "1");
        let output = again.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        return;
    }
    let (_minion, session) = plain(Eager::default());
    let remote = session.remote.unwrap();
    let mut master = Master::new(None);
    master.big = SIZE;
    let before = peak();
    let report = remote.run(&run_of(&["big"]), &master).unwrap();
    assert_eq!(report.chunks[0].comment, format!("{SIZE} 1"));
    let grown = peak() - before;
    // Both ends are in this process: the socket's buffers, eight pieces in a queue, one in each hand.
    assert!(grown < 8 << 10, "memory grew by {grown} KiB");
}

/// Returns the largest resident size so far, in KiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn fifty_states_without_change_are_small() {
    let chunk = |i: usize| LowChunk {
        state: "file".into(),
        fun: "managed".into(),
        id: format!("/etc/corpus-bench/part-{i}/settings.conf").into(),
        name: format!("/etc/corpus-bench/part-{i}/settings.conf").into(),
        sls: "bench.files".into(),
        saltenv: "base".into(),
        order: 10_000 + i as i64,
        args: [
            ("source", Value::from(format!("salt://bench/files/settings-{i}.conf.j2"))),
            ("template", "jinja".into()),
            ("user", "root".into()),
            ("mode", "0644".into()),
            ("context", [("port", 8000 + i as i64)].into_iter().collect::<Map>().into()),
        ]
        .into_iter()
        .collect(),
        span: corpus_core::Span { file: "bench/files.sls".into(), line: 3 + 7 * i as u32, col: 3 },
        ..LowChunk::default()
    };
    struct Still;
    impl Minion for Still {
        fn hello(&self) -> Hello {
            Hello { protocol: PROTOCOL, build: build(), ..Hello::default() }
        }
        fn grains(&self) -> Result<Map, WireError> {
            Ok((0..80).map(|i| (format!("grain-{i}"), Value::from(format!("value of grain {i}")))).collect())
        }
        fn set_data(&self, _: &Data) -> Result<(), WireError> {
            Ok(())
        }
        fn functions(&self) -> Result<Vec<String>, WireError> {
            Ok(vec![])
        }
        fn sync(&self, _: &[ModuleFile], _: &dyn Upstream) -> Result<Vec<ModuleInfo>, WireError> {
            Ok(vec![])
        }
        fn answer(&self, _: &Call) -> Result<Result<Answered, ExecError>, WireError> {
            Ok(Ok(Value::Null.into()))
        }
        fn run(&self, request: &RunRequest, up: &dyn Upstream) -> Result<RunReport, WireError> {
            let mut chunks = vec![];
            for chunk in &request.low.chunks {
                up.event(Event::Started { tag: chunk.tag(), id: chunk.id.clone(), fun: chunk.full_name() });
                chunks.push(chunk_report(chunk, format!("File {} is in the correct state", chunk.id)));
                up.event(Event::Finished(Box::new(chunks[chunks.len() - 1].clone())));
            }
            Ok(RunReport { jid: request.options.jid.clone(), test: false, chunks })
        }
        fn collect(&self, _: &str) -> Result<Option<RunReport>, WireError> {
            Ok(None)
        }
    }
    let (here, there) = UnixStream::pair().unwrap();
    let (up, down) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let below = Cutter { stream: there.try_clone().unwrap(), left: None, torn: false, bytes: up.clone() };
    let above = Cutter { stream: here.try_clone().unwrap(), left: None, torn: false, bytes: down.clone() };
    std::thread::spawn(move || serve(Box::new(there), Box::new(below), &Still, &ServeOptions::new("/nonexistent")));
    let remote = Remote::connect(Box::new(here), Box::new(above), options()).unwrap();
    let grains = remote.grains().unwrap();
    remote.set_data(&Data { grains: grains.into(), ..Data::default() }).unwrap();
    let before = down.load(Ordering::Relaxed);
    let low = Arc::new(LowState { chunks: (0..50).map(chunk).collect() });
    let report = remote.run(&RunRequest { low, ..RunRequest::default() }, &Master::new(None)).unwrap();
    assert_eq!(report.chunks.len(), 50);
    let (sent, received) = (down.load(Ordering::Relaxed), up.load(Ordering::Relaxed));
    println!("before the states {before}, sent {sent}, received {received}");
    assert!(before < 200, "{before} bytes before the states");
    assert!(sent < 16 << 10, "{sent} bytes sent");
    assert!(received < 16 << 10, "{received} bytes received");
}
