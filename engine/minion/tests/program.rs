//! The program itself, over a socket for its standard input and output: runs that end well, that are killed,
//! that lose their master, and that meet each other.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests count as tests")]

use corpus_core::source::TreeEntry;
use corpus_core::{
    Call, Data, Event, FileRef, FileRequest, LowChunk, LowState, RunOptions, RunReport, Source, SourceError, Value,
};
use corpus_wire::{Minion, Remote, RemoteOptions, RunRequest, Upstream, WireError};
use std::fs;
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

struct Program {
    child: Child,
    line: UnixStream,
    remote: Arc<Remote>,
}

fn start(dir: &Path) -> Program {
    let (here, there) = UnixStream::pair().unwrap();
    let child = Command::new(env!("CARGO_BIN_EXE_corpus-minion"))
        .args(["serve", "--cache"])
        .arg(dir.join("cache"))
        .arg("--lock")
        .arg(dir.join("lock"))
        .stdin(Stdio::from(OwnedFd::from(there.try_clone().unwrap())))
        .stdout(Stdio::from(OwnedFd::from(there)))
        .spawn()
        .unwrap();
    let (read, write) = (here.try_clone().unwrap(), here.try_clone().unwrap());
    let remote = Remote::connect(Box::new(read), Box::new(write), RemoteOptions::default()).unwrap();
    Program { child, line: here, remote: Arc::new(remote) }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.line.shutdown(Shutdown::Both);
        let _ = self.child.wait();
    }
}

/// A master without files.
struct Bare;

impl Source for Bare {
    fn resolve(&self, _: &FileRequest) -> Result<FileRef, SourceError> {
        Err(SourceError::NotFound("salt://none".into(), "base".into()))
    }
    fn fetch(&self, _: &FileRef) -> Result<PathBuf, SourceError> {
        Err(SourceError::Failed("no files here".into()))
    }
    fn tree(&self, _: &str, _: &str) -> Result<Vec<TreeEntry>, SourceError> {
        Ok(vec![])
    }
    fn fire(&self, _: &str, _: &Value) -> Result<(), SourceError> {
        Ok(())
    }
}

impl Upstream for Bare {
    fn event(&self, _: Event) {}
}

fn chunk(state: &str, fun: &str, id: &str, name: &str, args: &[(&str, Value)]) -> LowChunk {
    LowChunk {
        state: state.into(),
        fun: fun.into(),
        id: id.into(),
        name: name.into(),
        sls: "test".into(),
        saltenv: "base".into(),
        args: args.iter().map(|(key, value)| (*key, value.clone())).collect(),
        ..LowChunk::default()
    }
}

fn request(jid: &str, chunks: Vec<LowChunk>) -> RunRequest {
    RunRequest {
        low: Arc::new(LowState { chunks }),
        options: RunOptions { jid: jid.into(), ..RunOptions::default() },
        who: "anna".into(),
        ..RunRequest::default()
    }
}

/// A file, and then a program that takes its time.
fn slow(dir: &Path, jid: &str, seconds: &str) -> RunRequest {
    let file = dir.join("motd").display().to_string();
    let line = format!("touch {0}/began; sleep {seconds}; touch {0}/ended", dir.display());
    request(
        jid,
        vec![
            chunk("file", "managed", "motd", &file, &[("contents", "hello".into())]),
            chunk("cmd", "run", "slow", &line, &[]),
        ],
    )
}

fn run_beside(program: &Program, request: RunRequest) -> std::thread::JoinHandle<Result<RunReport, WireError>> {
    let remote = program.remote.clone();
    std::thread::spawn(move || remote.run(&request, &Bare))
}

fn wait_for(path: &Path) {
    let since = Instant::now();
    while !path.exists() {
        assert!(since.elapsed() < Duration::from_secs(20), "{} did not come", path.display());
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_run_converges_and_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let program = start(dir.path());
    let remote = &program.remote;
    let grains = remote.grains().unwrap();
    assert_eq!(grains.str("kernel"), Some("Linux"));
    remote.set_data(&Data { id: "m".into(), grains: grains.into(), ..Data::default() }).unwrap();
    assert_eq!(remote.call(&Call::new("test.ping", vec![])).unwrap().unwrap(), Value::from(true));
    let request = request("j1", vec![slow(dir.path(), "", "0").low.chunks[0].clone()]);
    let first = remote.run(&request, &Bare).unwrap();
    assert!(first.ok() && first.chunks[0].changed(), "{first:?}");
    assert_eq!(fs::read_to_string(dir.path().join("motd")).unwrap(), "hello\n");
    let second = remote.run(&request, &Bare).unwrap();
    assert!(second.ok() && !second.chunks[0].changed(), "{second:?}");
    drop(program);
    let hello = start(dir.path()).remote.hello();
    assert_eq!((hello.spooled, hello.interrupted, hello.running), (vec![], vec![], None));
}

#[test]
fn a_killed_minion_is_told_then_and_afterwards() {
    let dir = tempfile::tempdir().unwrap();
    let mut program = start(dir.path());
    let running = run_beside(&program, slow(dir.path(), "j2", "600"));
    wait_for(&dir.path().join("began"));
    // The event travels a moment after its state has begun.
    std::thread::sleep(Duration::from_millis(200));
    program.child.kill().unwrap();
    let error = running.join().unwrap().unwrap_err();
    assert_eq!(error.to_string(), "lost the connection mid-run at state 2 of 2: slow (cmd.run): the minion ended");
    let next = start(dir.path());
    let hello = next.remote.hello();
    let found = &hello.interrupted[0];
    assert_eq!((found.jid.as_str(), found.finished, hello.running), ("j2", 1, None));
    let (number, tag) = found.at.clone().unwrap();
    assert!(number == 2 && tag.starts_with("cmd_|-slow_|-touch "), "{tag}");
    assert!(found.effect.as_ref().unwrap().starts_with("run "), "{:?}", found.effect);
    assert_eq!(next.remote.collect("j2").unwrap(), None);
    drop(next);
    assert_eq!(start(dir.path()).remote.hello().interrupted, []);
}

#[test]
fn a_lost_master_finds_the_report_later() {
    let dir = tempfile::tempdir().unwrap();
    let mut program = start(dir.path());
    let running = run_beside(&program, slow(dir.path(), "j3", "1"));
    wait_for(&dir.path().join("began"));
    program.line.shutdown(Shutdown::Both).unwrap();
    let error = running.join().unwrap().unwrap_err();
    assert!(error.is_lost(), "{error}");
    // Meanwhile another connection sees that it goes on.
    let meanwhile = start(dir.path());
    assert_eq!(meanwhile.remote.hello().running.map(|busy| (busy.jid, busy.who)), Some(("j3".into(), "anna".into())));
    drop(meanwhile);
    assert!(program.child.wait().unwrap().success());
    assert!(dir.path().join("ended").exists());
    let next = start(dir.path());
    assert_eq!(next.remote.hello().spooled, ["j3"]);
    let report = next.remote.collect("j3").unwrap().unwrap();
    assert!(report.ok() && report.chunks.len() == 2, "{report:?}");
    drop(next);
    assert_eq!(start(dir.path()).remote.hello().spooled, [""; 0]);
}

#[test]
fn one_writing_run_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (start(dir.path()), start(dir.path()));
    let running = run_beside(&one, slow(dir.path(), "j4", "2"));
    wait_for(&dir.path().join("began"));
    let mut other = request("j5", vec![]);
    let error = two.remote.run(&other, &Bare).unwrap_err().to_string();
    assert!(error.starts_with("busy: run j4 by anna since 20") && error.ends_with(" UTC"), "{error}");
    // A dry run may look meanwhile; a queued run waits.
    other.options.test = true;
    assert!(two.remote.run(&other, &Bare).unwrap().test);
    other.options.test = false;
    other.queue = true;
    two.remote.run(&other, &Bare).unwrap();
    assert!(dir.path().join("ended").exists());
    assert!(running.join().unwrap().unwrap().ok());
}

#[test]
fn the_program_knows_itself() {
    let ask = |args: &[&str]| Command::new(env!("CARGO_BIN_EXE_corpus-minion")).args(args).output().unwrap();
    let digest = String::from_utf8(ask(&["--digest"]).stdout).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    std::fs::copy(env!("CARGO_BIN_EXE_corpus-minion"), at(".up")).unwrap();
    for (name, days) in [("corpus-minion-old", 31), ("corpus-minion-new", 29), ("other", 31)] {
        let file = std::fs::File::create(at(name)).unwrap();
        file.set_modified(std::time::SystemTime::now() - Duration::from_secs(days * 24 * 3600)).unwrap();
    }
    let move_in = |wanted: &str, known: &str| {
        let name = at("corpus-minion-named").display().to_string();
        Command::new(at(".up")).args(["--move-in", &name, wanted, known]).output().unwrap().status.success()
    };
    assert!(!move_in("00", "") && !move_in("00", digest.trim()) && at(".up").exists());
    assert!(move_in(digest.trim(), "") && !at(".up").exists());
    let there =
        ["corpus-minion-named", "corpus-minion-old", "corpus-minion-new", "other"].map(|name| at(name).exists());
    assert_eq!(there, [true, false, true, true]);
    assert!(String::from_utf8(ask(&["--version"]).stdout).unwrap().contains(&corpus_minion::build()));
    assert_eq!(ask(&["--bogus"]).status.code(), Some(2));
}
