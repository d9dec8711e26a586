//! `corpus projects.serve`: the privileged side. It listens on a local socket, knows each peer's user from the kernel,
//! and takes two asks from the user to whom a project belongs: deploy a revision, and show the deployment.

use super::frame::{self, Ask, Order, Tell, VERSION, What};
use super::queue::{Board, Next, Run, Voice, short_id};
use super::worker::{Child, Hands, Sight};
use super::{Conf, Deployer, Kind, Verdict, exe, name, setup, text};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a client may take to say what it wants, and to take what it is told.
const ASKING: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 10 });
const TAKING: Duration = Duration::from_secs(60);
/// How many clients there may be, of one user and at all.
const OF_ONE: usize = 32;
const OF_ALL: usize = 512;

struct Server {
    conf: Conf,
    board: Board,
    hands: Arc<dyn Hands>,
    deployer: Arc<dyn Deployer>,
    clients: Mutex<HashMap<u32, usize>>,
}

/// Serves until told to stop, and then until what is under way has ended.
pub fn serve(conf: Conf, deployer: Arc<dyn Deployer>, stop: &AtomicBool) -> io::Result<()> {
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    let hands = Arc::new(Child { conf: conf.clone() });
    let listener = listen(&conf)?;
    let socket = conf.socket.clone();
    let server = Arc::new(Server::new(conf, deployer, hands)?);
    server.settle_what_was_left();
    server.run(&listener, stop)?;
    let _ = std::fs::remove_file(socket);
    Ok(())
}

/// Makes the socket. Everybody may connect: who may do what is decided by the peer's user.
fn listen(conf: &Conf) -> io::Result<UnixListener> {
    if let Some(folder) = conf.socket.parent() {
        std::fs::DirBuilder::new().recursive(true).mode(0o755).create(folder)?;
    }
    if UnixStream::connect(&conf.socket).is_ok() {
        let what = format!("another program serves {} already", conf.socket.display());
        return Err(io::Error::new(io::ErrorKind::AddrInUse, what));
    }
    match std::fs::remove_file(&conf.socket) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&conf.socket)?;
    std::fs::set_permissions(&conf.socket, std::fs::Permissions::from_mode(0o666))?;
    Ok(listener)
}

impl Server {
    fn new(conf: Conf, deployer: Arc<dyn Deployer>, hands: Arc<dyn Hands>) -> io::Result<Self> {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&conf.state)?;
        Ok(Self { conf, board: Board::default(), hands, deployer, clients: Mutex::default() })
    }

    fn run(self: &Arc<Self>, listener: &UnixListener, stop: &AtomicBool) -> io::Result<()> {
        let pause = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };
        while !stop.load(Ordering::Relaxed) {
            match poll(&mut [PollFd::new(listener, PollFlags::IN)], Some(&pause)) {
                Ok(0) | Err(rustix::io::Errno::INTR) => continue,
                Ok(_) => {}
                Err(error) => return Err(error.into()),
            }
            let stream = match listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Out of descriptors, or a client that left at once: neither ends the service.
                    tracing::warn!("accept: {error}");
                    std::thread::sleep(Duration::from_millis(50));
                    continue;
                }
            };
            let server = self.clone();
            let started = std::thread::Builder::new().name("client".into()).spawn(move || server.client(stream));
            if let Err(error) = started {
                tracing::warn!("no thread for a client: {error}");
            }
        }
        while !self.board.idle() {
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    fn client(self: &Arc<Self>, mut stream: UnixStream) {
        let peer = match rustix::net::sockopt::socket_peercred(&stream) {
            Ok(peer) => peer.uid.as_raw(),
            Err(error) => return tracing::warn!("a client without a user: {error}"),
        };
        let _ = stream.set_write_timeout(Some(TAKING));
        let answer = if self.enter(peer) {
            let answer = self.hear(&mut stream, peer);
            self.leave(peer);
            answer
        } else {
            Err("too many clients are connected".into())
        };
        if let Err(why) = answer {
            tracing::info!("user {peer}: {}", text::line(&why).replace('\n', " "));
            let _ = frame::write(&mut stream, &Tell::Refused { why: text::short(&why, 2000) });
        }
    }

    fn enter(&self, peer: u32) -> bool {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let all: usize = clients.values().sum();
        let own = clients.entry(peer).or_default();
        let room = all < OF_ALL && *own < OF_ONE;
        *own += usize::from(room);
        room
    }

    fn leave(&self, peer: u32) {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = clients.get_mut(&peer) {
            *own = own.saturating_sub(1);
        }
        clients.retain(|_, own| *own > 0);
    }

    /// Hears one ask and answers it to the end. An error refuses it.
    fn hear(self: &Arc<Self>, stream: &mut UnixStream, peer: u32) -> Result<(), String> {
        let ask: Option<Ask> =
            frame::read(&mut Patient { stream, until: Instant::now() + ASKING }).map_err(|error| error.to_string())?;
        let Some(ask) = ask else { return Err("nothing was asked".into()) };
        if ask.version != VERSION {
            return Err(format!("version {} is asked for, {VERSION} is spoken: one of the two is old", ask.version));
        }
        match ask.what {
            What::Attach { project } => {
                self.may(peer, &project)?;
                let run = self.board.current(&project);
                let run = run.ok_or_else(|| {
                    format!("no deployment of `{project}` is under way or was since the service started")
                })?;
                self.tell(stream, &run);
            }
            What::Cancel { project, who } => {
                self.may(peer, &project)?;
                let who = some_one(&who, peer);
                let run = self.board.running(&project);
                let run = run.ok_or_else(|| format!("no pushed deployment of `{project}` is under way"))?;
                tracing::info!("user {peer} ({who}) cancels {} of {project}", short_id(&run.order.new));
                run.say(&format!("cancelled by {who}"));
                run.cancelled.by(&who);
                self.tell(stream, &run);
            }
            What::Deploy(order) => {
                self.may(peer, &order.project)?;
                check(&order)?;
                tracing::info!("user {peer} asks for {} of {}", short_id(&order.new), order.project);
                let project = order.project.clone();
                let placed = self.board.submit(order)?;
                if placed.unmanned {
                    let server = self.clone();
                    std::thread::spawn(move || {
                        while let Some(run) = server.board.take(&project) {
                            server.perform(&run);
                        }
                    });
                }
                let told = placed.behind.is_none_or(|behind| frame::write(stream, &Tell::Queued { behind }).is_ok());
                if told {
                    self.tell(stream, &placed.run);
                }
            }
        }
        Ok(())
    }

    /// A project is its owner's, and root's.
    fn may(&self, peer: u32, project: &str) -> Result<(), String> {
        let place = self.conf.place(project)?;
        // One answer for all who may not, so that nobody learns which projects there are.
        let refused = || format!("user {peer} may not deploy `{project}`");
        let (owner, _) = place.owner().map_err(|why| if peer == 0 { why } else { refused() })?;
        if peer == 0 || peer == owner { Ok(()) } else { Err(refused()) }
    }

    /// Tells a client what a run says, until its end or the client's.
    fn tell(&self, stream: &mut UnixStream, run: &Run) {
        let mut cursor = 0;
        loop {
            let tells = match run.next(cursor, Duration::from_secs(self.conf.heartbeat.max(1))) {
                Next::Lines { tells, cursor: now } => {
                    cursor = now;
                    tells
                }
                Next::Silence(beat) => vec![beat],
                Next::End(end) => {
                    let _ = frame::write(stream, &end);
                    return;
                }
            };
            // One write for all of them; a client that is gone, or takes nothing for long, is left.
            let mut bytes = vec![];
            let written = tells.iter().try_for_each(|tell| frame::write(&mut bytes, tell));
            if written.and_then(|()| io::Write::write_all(stream, &bytes)).is_err() {
                return;
            }
        }
    }

    /// Does one deployment.
    fn perform(&self, run: &Run) {
        let order = &run.order;
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.deploy(run)));
        let end = match done {
            Ok(Ok(verdict)) => verdict,
            Ok(Err(why)) => Verdict::failed(why),
            Err(_) => Verdict::failed("corpus broke down here; the log of the service tells where"),
        };
        tracing::info!("{} of {}: {}", short_id(&order.new), order.project, end.summary);
        let (plan, revision) = (order.options.plan, order.new.clone());
        run.end(Tell::Verdict { ok: end.ok, plan, revision, summary: text::short(&end.summary, 2000) });
        if end.ok && !plan {
            self.hands.tidy(order);
        }
    }

    fn deploy(&self, run: &Run) -> Result<Verdict, String> {
        let order = &run.order;
        run.turn_to("push");
        let sight = self.hands.look(order)?;
        if let Some(verdict) = judge(order, &sight)? {
            return Ok(verdict);
        }
        let subject = sight.subject.clone().unwrap_or_default();
        let what = if order.kind == Kind::Pillar { "the pillar of " } else { "" };
        let does = if order.options.plan { "planning" } else { "deploying" };
        run.say(&format!("{does} {what}{} at {} {subject}", order.project, run.described()));
        for module in &sight.submodules {
            run.say(&format!("{module}: a submodule; it stays an empty directory"));
        }
        // Whatever somebody did to the hooks, the next push finds them as they should be.
        let mut changed = vec![];
        setup::sync_hooks(&self.conf, &exe()?, &mut changed)?;
        changed.iter().for_each(|line| run.say(&format!("put right: {line}")));
        if let Some(who) = run.cancelled.who() {
            return Err(format!("cancelled by {who} before it began; nothing was touched"));
        }
        let note = self.note(order, &sight)?;
        let started = Instant::now();
        let mut verdict = self.deployer.deploy(order, &mut Voice(run));
        if verdict.ok && !order.options.plan {
            self.move_branch(order, &sight, &mut verdict);
        }
        verdict.summary = format!("{}, {:.1} s", verdict.summary, started.elapsed().as_secs_f64());
        if let Some(note) = note {
            let _ = std::fs::remove_file(note);
        }
        Ok(verdict)
    }

    fn move_branch(&self, order: &Order, sight: &Sight, verdict: &mut Verdict) {
        let serving = verdict.serving.clone().filter(|_| order.kind == Kind::Project);
        if let Some(serving) = serving.filter(|serving| *serving != order.new) {
            *verdict = Verdict::failed(format!(
                "{}; the steps that ran left {} in place, so the branch stays where it is",
                verdict.summary,
                short_id(&serving)
            ));
        } else if let Err(why) = self.hands.settle(order, sight) {
            *verdict = Verdict::failed(format!(
                "{}; but {} could not be moved ({why}): push again",
                verdict.summary, order.reference
            ));
        }
    }

    /// Writes down what is about to be deployed, for the case that this program ends in between.
    fn note(&self, order: &Order, sight: &Sight) -> Result<Option<PathBuf>, String> {
        if order.options.plan {
            return Ok(None);
        }
        let path = self.conf.state.join(format!("{}.{}", order.project, order.kind.file()));
        let at = |error: io::Error| format!("{}: {error}", path.display());
        let text =
            serde_json::to_vec(&Left { order: order.clone(), sight: sight.clone() }).map_err(|e| at(e.into()))?;
        let mut file = tempfile::NamedTempFile::new_in(&self.conf.state).map_err(at)?;
        io::Write::write_all(&mut file, &text).and_then(|()| file.as_file().sync_data()).map_err(at)?;
        file.persist(&path).map_err(|error| at(error.error))?;
        Ok(Some(path))
    }

    /// A deployment that ended well when this program ended has moved the tree, but not yet the branch.
    fn settle_what_was_left(&self) {
        for entry in std::fs::read_dir(&self.conf.state).into_iter().flatten().flatten() {
            let path = entry.path();
            let left = std::fs::read(&path).ok().and_then(|text| serde_json::from_slice::<Left>(&text).ok());
            if let Some(Left { order, sight }) = left {
                let (project, new) = (&order.project, short_id(&order.new));
                if order.kind == Kind::Project && self.deployer.serving(project).is_some_and(|now| now == order.new) {
                    match self.hands.settle(&order, &sight) {
                        Ok(()) => tracing::warn!(
                            "{project} serves {new} since a deployment that was cut off: its branch follows"
                        ),
                        Err(why) => tracing::warn!("{project} serves {new}, but its branch cannot be moved: {why}"),
                    }
                } else {
                    tracing::warn!("the deployment of {new} of {project} was cut off");
                }
            }
            let _ = std::fs::remove_file(path);
        }
    }
}

/// A client that must have said all by some time, however it spreads its bytes.
struct Patient<'a> {
    stream: &'a UnixStream,
    until: Instant,
}

impl io::Read for Patient<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "the ask took too long"));
        }
        self.stream.set_read_timeout(Some(left))?;
        let mut stream = self.stream;
        stream.read(buffer)
    }
}

#[derive(Serialize, Deserialize)]
struct Left {
    order: Order,
    sight: Sight,
}

/// Names whoever asks for something, in words that a log can hold.
fn some_one(who: &str, peer: u32) -> String {
    let who = text::short(who, 80);
    if who.trim().is_empty() { format!("user {peer}") } else { who }
}

/// Looks at the form of an order, before anything is done with it.
fn check(order: &Order) -> Result<(), String> {
    name(&order.project)?;
    order.options.check()?;
    if let Some(what) = corpus_git::name::pushed_ref(&order.reference) {
        return Err(format!("{}: {what}", text::short(&order.reference, 80)));
    }
    if !order.reference.starts_with("refs/heads/") {
        return Err("only a branch deploys".into());
    }
    let id = |text: &str| text.len() == 40 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    let none = order.new.bytes().all(|b| b == b'0');
    if !id(&order.old) || !id(&order.new) || none {
        return Err("a revision is 40 lower-case hexadecimal digits".into());
    }
    if order.who.len() > 400 || order.who.chars().any(char::is_control) {
        return Err("the pusher's name is too long, or no line of text".into());
    }
    Ok(())
}

/// Decides from what the repository shows whether to deploy; a verdict says that there is nothing to do.
fn judge(order: &Order, sight: &Sight) -> Result<Option<Verdict>, String> {
    let branch = order.reference.trim_start_matches("refs/heads/");
    let usual = ["refs/heads/main", "refs/heads/master"].contains(&order.reference.as_str());
    if order.reference != sight.head && (sight.born || !usual) {
        return Err(format!("this project deploys `{}`, not `{branch}`", sight.head.trim_start_matches("refs/heads/")));
    }
    if !sight.commit {
        return Err(format!("{} is no commit that is in the repository", short_id(&order.new)));
    }
    if !sight.complaints.is_empty() {
        return Err(format!("this is not taken: {}", sight.complaints.join("; ")));
    }
    let (plan, partly) = (order.options.plan, !order.options.only.is_empty() || !order.options.only_steps.is_empty());
    if sight.at.as_ref() == Some(&order.new) && !plan && !partly {
        let summary = format!("{} is deployed already", short_id(&order.new));
        return Ok(Some(Verdict { ok: true, summary, serving: None }));
    }
    let known = Some(&order.old).filter(|old| old.bytes().any(|b| b != b'0'));
    if sight.at.as_ref() != known && !sight.contains {
        let now = sight.at.as_deref().map_or("gone", short_id);
        return Err(format!("`{branch}` is at {now} since this was pushed: fetch, merge, and push again"));
    }
    Ok(None)
}

#[cfg(test)]
#[path = "serve_tests.rs"]
mod tests;
