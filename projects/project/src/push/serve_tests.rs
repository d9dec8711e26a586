//! The privileged side with a repository and a deployer that do as told.

use super::*;
use crate::push::{Options, Out};
use std::io::Write;
use std::sync::atomic::AtomicUsize;
use std::sync::mpsc;

const OLD: &str = "0000000000000000000000000000000000000000";

#[derive(Default)]
struct FakeHands {
    at: Mutex<Option<String>>,
    descends: AtomicBool,
    settled: Mutex<Vec<String>>,
}

impl Hands for FakeHands {
    fn look(&self, _: &Order) -> Result<Sight, String> {
        let at = self.at.lock().expect("whole").clone();
        let head = "refs/heads/main".to_owned();
        let contains = self.descends.load(Ordering::Relaxed) || at.is_none();
        Ok(Sight { head, born: at.is_some(), at, commit: true, contains, ..Sight::default() })
    }
    fn settle(&self, order: &Order, _: &Sight) -> Result<(), String> {
        *self.at.lock().expect("whole") = Some(order.new.clone());
        self.settled.lock().expect("whole").push(order.new[..1].to_owned());
        Ok(())
    }
    fn tidy(&self, _: &Order) {}
}

/// Waits for a word before each end, where there is a channel.
struct FakeDeployer {
    gate: Mutex<Option<mpsc::Receiver<bool>>>,
    began: AtomicUsize,
    serving: Option<String>,
}

impl Deployer for FakeDeployer {
    fn deploy(&self, order: &Order, out: &mut dyn Out) -> Verdict {
        self.began.fetch_add(1, Ordering::SeqCst);
        out.step("install");
        out.line("hello\x1b[2J");
        let ok = self.gate.lock().expect("whole").as_ref().is_none_or(|gate| gate.recv().expect("a word"));
        assert!(order.new.as_bytes()[0] != b'f', "this revision breaks down");
        for n in 0..if order.new.starts_with('e') { 20_000 } else { 0 } {
            out.line(&format!("{n} {}", "x".repeat(300)));
        }
        Verdict { ok, summary: "it ended".into(), serving: self.serving.clone() }
    }
    fn serving(&self, _: &str) -> Option<String> {
        self.serving.clone()
    }
}

struct Fixture {
    dir: tempfile::TempDir,
    hands: Arc<FakeHands>,
    deployer: Arc<FakeDeployer>,
    gate: mpsc::Sender<bool>,
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Fixture {
    fn start(gated: bool, serving: Option<&str>, prepare: impl Fn(&Conf, &FakeHands)) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let at = |name: &str| dir.path().join(name);
        std::fs::create_dir_all(at("projects/foo/git")).expect("a project");
        let conf =
            Conf { projects: at("projects"), socket: at("s"), state: at("state"), heartbeat: 1, ..Conf::default() };
        let (gate, wait) = mpsc::channel();
        let hands = Arc::new(FakeHands::default());
        let deployer = Arc::new(FakeDeployer {
            gate: Mutex::new(gated.then_some(wait)),
            began: AtomicUsize::new(0),
            serving: serving.map(str::to_owned),
        });
        prepare(&conf, &hands);
        let server = Arc::new(Server::new(conf.clone(), deployer.clone(), hands.clone()).expect("a server"));
        let stop = Arc::new(AtomicBool::new(false));
        server.settle_what_was_left();
        let (listener, told) = (listen(&conf).expect("a socket"), stop.clone());
        let thread = std::thread::spawn(move || server.run(&listener, &told).expect("it serves"));
        Self { dir, hands, deployer, gate, stop, thread: Some(thread) }
    }

    fn connect(&self) -> UnixStream {
        let stream = UnixStream::connect(self.dir.path().join("s")).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a limit");
        stream
    }

    fn ask(&self, what: What) -> UnixStream {
        let mut stream = self.connect();
        // One that is refused at once may be closed before it is heard; what it is told can be read all the same.
        let _ = frame::write(&mut stream, &Ask { version: VERSION, what });
        stream
    }

    fn push(&self, old: &str, new: &str) -> UnixStream {
        self.ask(What::Deploy(order(old, new)))
    }

    /// Pushes while another deployment is under way, and is told so.
    fn queued(&self, old: &str, new: &str) -> UnixStream {
        let mut stream = self.push(old, new);
        assert!(matches!(frame::read(&mut stream), Ok(Some(Tell::Queued { .. }))));
        stream
    }

    fn wait_for(&self, began: usize) {
        let since = Instant::now();
        while self.deployer.began.load(Ordering::SeqCst) < began {
            assert!(since.elapsed().as_secs() < 20, "it never began");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(std::thread::JoinHandle::join);
    }
}

fn order(old: &str, new: &str) -> Order {
    Order {
        project: "foo".into(),
        kind: Kind::Project,
        reference: "refs/heads/main".into(),
        old: old.into(),
        new: new.repeat(40),
        options: Options::default(),
        who: "w".into(),
    }
}

fn all(mut stream: UnixStream) -> Vec<Tell> {
    std::iter::from_fn(|| frame::read(&mut stream).expect("frames")).collect()
}

fn end(stream: UnixStream) -> (bool, String) {
    match all(stream).pop().expect("an end") {
        Tell::Verdict { ok, summary, .. } => (ok, summary),
        Tell::Refused { why } => (false, why),
        other => panic!("no end: {other:?}"),
    }
}

#[test]
fn a_deployment_tells_and_moves_the_branch() {
    let f = Fixture::start(false, None, |_, _| {});
    let tells = all(f.push(OLD, "a"));
    assert!(
        tells
            .iter()
            .any(|tell| matches!(tell, Tell::Line { step, text } if step == "install" && text == "hello\u{fffd}[2J"))
    );
    assert!(matches!(tells.last(), Some(Tell::Verdict { ok: true, .. })));
    assert_eq!(f.hands.at.lock().expect("whole").as_deref(), Some(&*"a".repeat(40)));
    // The same ask once more does nothing; an old one is not understood any more.
    assert!(end(f.push(OLD, "a")).1.contains("deployed already"));
    assert!(end(f.push(OLD, "b")).1.contains("fetch, merge"));
    assert_eq!(f.deployer.began.load(Ordering::SeqCst), 1);
    // A plan runs, and moves nothing.
    let mut plan = order(&"a".repeat(40), "b");
    plan.options.plan = true;
    assert!(end(f.ask(What::Deploy(plan))).0);
    assert_eq!(*f.hands.settled.lock().expect("whole"), ["a"]);
    // A deployment that panics is a failed one, and the service goes on.
    let (ok, why) = end(f.push(&"a".repeat(40), "f"));
    assert!(!ok && why.contains("broke down"), "{why}");
    assert!(end(f.push(&"a".repeat(40), "b")).0);
}

#[test]
fn a_pusher_who_leaves_does_not_stop_it_and_comes_back() {
    let f = Fixture::start(true, None, |_, _| {});
    drop(f.push(OLD, "a"));
    f.wait_for(1);
    let attached = f.ask(What::Attach { project: "foo".into() });
    let again = f.push(OLD, "a");
    let waiting = f.queued(OLD, "b");
    let newest = f.queued(OLD, "c");
    assert!(end(waiting).1.contains("a newer push"));
    std::thread::sleep(Duration::from_millis(1200));
    f.gate.send(true).expect("it listens");
    let tells = all(attached);
    assert!(tells.iter().any(|tell| matches!(tell, Tell::Beat { step, .. } if step == "install")), "{tells:?}");
    assert!(end(again).0, "the same push sees the same end");
    // `c` does not contain `a`, which was deployed in between.
    assert!(end(newest).1.contains("fetch, merge"));
    assert_eq!(f.deployer.began.load(Ordering::SeqCst), 1);
    // One that does is deployed although its pusher did not know of `b`.
    f.hands.descends.store(true, Ordering::Relaxed);
    let b = f.push(&"a".repeat(40), "b");
    f.wait_for(2);
    let d = f.queued(&"a".repeat(40), "d");
    f.gate.send(true).expect("it listens");
    f.gate.send(true).expect("it listens");
    assert!(end(b).0 && end(d).0);
    assert_eq!(*f.hands.settled.lock().expect("whole"), ["a", "b", "d"]);
}

#[test]
fn a_failed_deployment_leaves_the_branch_for_the_next_in_line() {
    let f = Fixture::start(true, None, |_, _| {});
    let bad = f.push(OLD, "a");
    f.wait_for(1);
    let good = f.queued(OLD, "b");
    f.gate.send(false).expect("it listens");
    f.gate.send(true).expect("it listens");
    assert!(!end(bad).0 && end(good).0);
    assert_eq!(*f.hands.settled.lock().expect("whole"), ["b"]);
}

#[test]
fn a_reader_who_does_not_read_holds_nobody_up() {
    let f = Fixture::start(false, None, |_, _| {});
    let stuck: Vec<UnixStream> = (0..5).map(|_| f.push(OLD, "e")).collect();
    let started = Instant::now();
    let since = Instant::now();
    while f.hands.settled.lock().expect("whole").is_empty() {
        assert!(since.elapsed().as_secs() < 20, "the deployment waits for its readers");
        std::thread::sleep(Duration::from_millis(5));
    }
    // Six megabytes were said; who comes now reads them at leisure.
    let tells = all(f.ask(What::Attach { project: "foo".into() }));
    assert!(tells.len() > 19_000 && started.elapsed().as_secs() < 20, "{}", tells.len());
    drop(stuck);
}

#[test]
fn who_asks_in_drops_is_left_in_time() {
    let f = Fixture::start(false, None, |_, _| {});
    let (mut stream, began) = (f.connect(), Instant::now());
    let mut bytes = vec![];
    frame::write(&mut bytes, &Ask { version: VERSION, what: What::Attach { project: "foo".into() } }).expect("bytes");
    // Each is in time for the one before.
    while bytes.len() > 1 && stream.write_all(&[bytes.remove(0)]).is_ok() {
        std::thread::sleep(Duration::from_millis(200));
        assert!(began.elapsed() < ASKING * 5, "it waits for ever");
    }
    assert!(bytes.len() > 1, "all of it was heard");
}

#[test]
fn nonsense_on_the_socket_is_refused_and_the_service_goes_on() {
    let f = Fixture::start(false, None, |_, _| {});
    let framed = |body: &[u8]| [&(body.len() as u32).to_le_bytes()[..], body].concat();
    for bytes in [
        vec![0; 4],
        vec![0xff; 4],
        b"GET / HTTP/1.0\r\n\r\n".to_vec(),
        framed(b"{}"),
        framed(b"\x00\x01\x02"),
        framed(br#"{"version":2,"what":{"attach":{"project":"foo"}}}"#),
        framed(br#"{"version":1,"what":{"attach":{"project":"../foo"}}}"#),
        framed(br#"{"version":1,"what":{"attach":{"project":"foo\u0000"}}}"#),
        framed(br#"{"version":1,"what":{"run":"id"}}"#),
        framed("[".repeat(60_000).as_bytes()),
    ] {
        let mut stream = f.connect();
        let _ = stream.write_all(&bytes);
        assert!(
            matches!(frame::read(&mut stream), Ok(Some(Tell::Refused { .. }))),
            "{:?}",
            String::from_utf8_lossy(&bytes)
        );
    }
    let changed = |change: &dyn Fn(&mut Order)| {
        let mut bad = order(OLD, "a");
        change(&mut bad);
        end(f.ask(What::Deploy(bad))).1
    };
    for (words, change) in [
        ("no project name", &(|o: &mut Order| o.project = "../../etc".into()) as &dyn Fn(&mut Order)),
        ("no project", &|o| o.project = "bar".into()),
        ("only branches", &|o| o.reference = "refs/replace/x".into()),
        ("only a branch", &|o| o.reference = "refs/tags/x".into()),
        ("deploys `main`", &|o| o.reference = "refs/heads/x".into()),
        ("40 lower-case", &|o| o.new = "HEAD".into()),
        ("40 lower-case", &|o| o.new = "--help".into()),
        ("40 lower-case", &|o| o.new = OLD.into()),
        ("40 lower-case", &|o| o.old = "A".repeat(40)),
        ("no name for", &|o| o.options.only = vec!["$(id)".into()]),
        ("no name for", &|o| o.options.only_steps = vec!["../x".into()]),
        ("too long", &|o| o.who = "x".repeat(500)),
        ("no line of text", &|o| o.who = "a\nJan 1 00:00:00 host sshd: accepted".into()),
        ("no line of text", &|o| o.who = "a\u{9b}2J".into()),
    ] {
        let why = changed(change);
        assert!(why.contains(words), "{words}: {why}");
    }
    assert_eq!(f.deployer.began.load(Ordering::SeqCst), 0);
    // Half a frame, and nothing more: others are served meanwhile.
    let mut half = f.connect();
    half.write_all(&[9, 0]).expect("it is sent");
    assert!(end(f.push(OLD, "a")).0);
}

#[test]
fn one_user_does_not_take_all_connections() {
    let f = Fixture::start(false, None, |_, _| {});
    let idle: Vec<UnixStream> = (0..OF_ONE).map(|_| f.connect()).collect();
    std::thread::sleep(Duration::from_millis(300));
    assert!(end(f.connect()).1.contains("too many"));
    drop(idle);
    let since = Instant::now();
    while !end(f.push(OLD, "a")).0 {
        assert!(since.elapsed().as_secs() < 10, "they are free again");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_branch_follows_a_deployment_that_was_cut_off_after_the_switch() {
    let left = |conf: &Conf, _: &FakeHands| {
        std::fs::create_dir_all(&conf.state).expect("a directory");
        let note = Left { order: order(OLD, "c"), sight: Sight::default() };
        std::fs::write(conf.state.join("foo.project.git"), serde_json::to_vec(&note).expect("json")).expect("a note");
    };
    let served = Fixture::start(false, Some(&"c".repeat(40)), left);
    assert_eq!(*served.hands.settled.lock().expect("whole"), ["c"]);
    assert_eq!(std::fs::read_dir(served.dir.path().join("state")).expect("a directory").count(), 0);
    let not = Fixture::start(false, Some(&"b".repeat(40)), left);
    assert!(not.hands.settled.lock().expect("whole").is_empty());
    // Steps that leave another revision in place do not move the branch.
    let (ok, why) = end(not.push(OLD, "a"));
    assert!(!ok && why.contains("bbbbbbbb in place"), "{why}");
}

#[test]
fn only_the_owner_and_root_may() {
    let f = Fixture::start(false, None, |_, _| {});
    let conf = Conf { projects: f.dir.path().join("projects"), state: f.dir.path().join("s2"), ..Conf::default() };
    let server = Server::new(conf, f.deployer.clone(), f.hands.clone()).expect("a server");
    let me = rustix::process::geteuid().as_raw();
    assert_eq!(server.may(me, "foo"), Ok(()));
    let stranger = server.may(4_242_424, "foo").unwrap_err();
    assert_eq!(stranger, server.may(4_242_424, "bar").unwrap_err().replace("bar", "foo"), "no oracle for names");
    std::os::unix::fs::symlink(f.dir.path().join("projects/foo"), f.dir.path().join("projects/linked"))
        .expect("a link");
    assert!(server.may(me, "linked").is_err() && server.may(0, "linked").is_err());
}
