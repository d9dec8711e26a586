//! Many minions at once: who is meant, and one thread per host under a limit. A slow or dead host delays
//! nobody, and ends in a bounded time with its reason.

use crate::diagnose::{Failure, HostReturn, Kind, Outcome};
use crate::session::{Session, lost};
use crate::{Corpus, functions};
use corpus_core::diagnostic::Severity;
use corpus_core::secret::Masked;
use corpus_core::target::{Target, TargetKind};
use corpus_core::{Act, Call, Caller, Data, Diagnostic, Event, ExecError, Map, Value};
use corpus_exec::real::Real;
use corpus_minion::{Local, LocalOptions};
use corpus_render::RenderCx;
use corpus_ssh::{Host, MinionBinary, Roster, Ssh, SshError, SshOptions};
use corpus_wire::{Minion, Remote, RemoteOptions};
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Which minions are meant.
#[derive(Clone, Debug)]
pub struct Selector {
    pub text: String,
    pub kind: TargetKind,
    /// How many at a time: a number or a percentage of those meant.
    pub batch: Option<String>,
    /// How many of those meant, at random.
    pub subset: Option<usize>,
}

impl Selector {
    /// Makes a selector of all that the text means.
    pub fn new(kind: TargetKind, text: &str) -> Self {
        Self { text: text.into(), kind, batch: None, subset: None }
    }

    /// Returns how many of so many hosts are worked on at once.
    fn at_once(&self, hosts: usize, limit: usize) -> Result<usize, Failure> {
        let Some(batch) = &self.batch else { return Ok(limit.min(hosts)) };
        let wrong = || {
            Failure::new(Kind::Usage, format!("batch: `{batch}` is neither a number nor a percentage"))
                .hint("write `5` or `10%`")
        };
        let size = match batch.strip_suffix('%') {
            Some(percent) => {
                let percent: usize = percent.trim().parse().map_err(|_| wrong())?;
                (hosts * percent / 100).max(1)
            }
            None => batch.trim().parse().map_err(|_| wrong())?,
        };
        if size == 0 { Err(wrong()) } else { Ok(size.min(limit).min(hosts)) }
    }
}

/// What happens during a call.
#[derive(Debug)]
pub enum Progress<'a> {
    Event { id: &'a str, event: &'a Event },
    Done(&'a HostReturn),
}

impl Corpus {
    /// Reads the roster; mistakes stop the call, as a host left out by mistake would be missed by nobody.
    pub fn roster(&self) -> Result<Roster, Vec<Diagnostic>> {
        let more: Vec<&PathBuf> = self.extras.rosters.iter().filter(|path| path.exists()).collect();
        let own = &self.config.roster_file;
        let mut roster = if own.exists() || more.is_empty() { self.read_roster(own)? } else { Roster::default() };
        for path in more {
            roster.join(self.read_roster(path)?);
        }
        Ok(roster)
    }

    /// Reads the roster for a call, which its mistakes end.
    pub(crate) fn read_all(&self) -> Result<Roster, Failure> {
        self.roster().map_err(|errors| {
            let text: String = errors.iter().map(|error| error.to_text(None)).collect();
            Failure::new(Kind::Usage, text.trim_end().trim_start_matches("error: "))
        })
    }

    fn read_roster(&self, path: &Path) -> Result<Roster, Vec<Diagnostic>> {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|error| vec![Diagnostic::error(format!("cannot read the roster {name}: {error}"))])?;
        // Salt renders the roster with Jinja, too: without a minion there are only the master's settings.
        let opts = Value::map(self.config.opts.clone());
        let data = Data { id: self.config.id.as_str().into(), opts, ..Data::default() };
        let cx = RenderCx::new(Arc::new(data), Arc::new(NoFunctions));
        let rendered = self.engine.render_source(&text, &name, "jinja|yaml", &cx).map_err(|error| vec![error])?;
        let defaults = self.config.opts.get("roster_defaults").and_then(Value::as_map).cloned().unwrap_or_default();
        let (roster, mut notes) = Roster::parse(&rendered.node, &name, &defaults);
        for note in &mut notes {
            for label in &mut note.labels {
                label.span = rendered.locate(label.span.pos());
                label.excerpt = rendered.source_line(&label.span.file, label.span.line);
            }
        }
        if notes.iter().any(|note| note.severity == Severity::Error) {
            return Err(notes);
        }
        for note in notes {
            tracing::warn!("{}", note.to_text(None).trim_end().trim_start_matches("warning: "));
        }
        Ok(roster)
    }

    /// Calls a function on this machine.
    pub fn local(
        self: &Arc<Self>,
        call: &Call,
        grains_file: Option<PathBuf>,
        pipe: bool,
        progress: &(dyn Fn(Progress<'_>) + Sync),
    ) -> Result<HostReturn, Failure> {
        self.prepare(call);
        let minion: Box<dyn Minion> = if pipe { Box::new(self.piped()?) } else { self.here(Box::new(Real::new())) };
        let session =
            Session::new(self.clone(), self.config.id.clone(), minion).far(pipe).with_grains_file(grains_file);
        let answer = answer(&Arc::new(session), call, progress);
        progress(Progress::Done(&answer));
        Ok(answer)
    }

    /// Lets pillar sources fetch while hosts are reached.
    fn prepare(&self, call: &Call) {
        if !call.fun.starts_with("sys.") {
            self.sources();
        }
    }

    /// Makes a session with this machine, whose effects go through `host`.
    pub fn session_here(self: &Arc<Self>, host: Box<dyn Act>) -> Session {
        Session::new(self.clone(), self.config.id.clone(), self.here(host))
    }

    /// Makes the minion of this process, whose effects go through `host`.
    pub fn here(&self, host: Box<dyn Act>) -> Box<dyn Minion> {
        Box::new(Local::with(LocalOptions::new(self.config.cache_dir.clone()), self.registry.clone(), host))
    }

    /// Starts the minion as a process of this machine: SSH's distance without SSH.
    fn piped(&self) -> Result<Remote, Failure> {
        // Here it need not be a program that can be sent elsewhere: a script that starts one serves as well.
        let named = std::env::var_os("CORPUS_MINION").map(PathBuf::from).filter(|path| path.is_file());
        let program = named.map_or_else(|| minion_binaries().map(|found| found[0].path.clone()), Ok)?;
        let fail = |error: std::io::Error| Failure::new(Kind::Host, format!("cannot start the minion: {error}"));
        let mut child = std::process::Command::new(&program)
            .arg("serve")
            .arg("--cache")
            .arg(self.config.cache_dir.join("minion"))
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .map_err(fail)?;
        let (Some(read), Some(write)) = (child.stdout.take(), child.stdin.take()) else {
            return Err(Failure::new(Kind::Host, "cannot start the minion: it has no pipes"));
        };
        Remote::connect(Box::new(read), Box::new(write), self.remote_options()).map_err(|error| lost(&error))
    }

    /// Calls a function on all minions of the roster that the selector means.
    pub fn fleet(
        self: &Arc<Self>,
        selector: &Selector,
        call: &Call,
        progress: &(dyn Fn(Progress<'_>) + Sync),
    ) -> Result<Vec<HostReturn>, Failure> {
        let roster = self.read_all()?;
        let target = Target::parse(&selector.text, selector.kind, &self.nodegroups())
            .map_err(|error| Failure::new(Kind::Target, error))?;
        let mut hosts: VecDeque<Host> = roster.hosts.into_iter().filter(|host| self.may_match(&target, host)).collect();
        if let Some(count) = selector.subset.filter(|count| *count < hosts.len()) {
            if target.needs_grains() || target.needs_pillar() {
                return Err(Failure::new(
                    Kind::Usage,
                    "a subset can only be drawn of minions that are meant by their ids",
                ));
            }
            shuffle(&mut hosts).map_err(|error| Failure::new(Kind::Usage, format!("no random numbers: {error}")))?;
            hosts.truncate(count);
        }
        if hosts.is_empty() {
            return Err(Failure::new(Kind::Target, format!("No minions matched the target `{}`.", selector.text))
                .hint(format!("the roster is {}", self.config.roster_file.display())));
        }
        self.prepare(call);
        let binaries = minion_binaries()?;
        let ssh = Ssh::new(self.ssh_options()).map_err(|error| Failure::new(Kind::Host, error.to_string()))?;
        let threads = selector.at_once(hosts.len(), self.config.max_procs)?;
        let queue = Mutex::new(hosts);
        let (send, receive) = mpsc::channel();
        let mut answers = std::thread::scope(|scope| {
            for _ in 0..threads {
                let (send, queue, ssh, binaries, target) = (send.clone(), &queue, &ssh, &binaries, &target);
                scope.spawn(move || {
                    loop {
                        // Not in the `while let`: the lock must not live as long as the work.
                        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                        let Some(host) = next else { return };
                        if self.interrupted() {
                            let why =
                                Failure::new(Kind::Interrupted, "interrupted before it was begun: nothing was done");
                            let answer = failed(&host, call, why);
                            progress(Progress::Done(&answer));
                            let _ = send.send(answer);
                            continue;
                        }
                        if let Some(answer) = self.one(&host, ssh, binaries, target, call, progress) {
                            progress(Progress::Done(&answer));
                            let _ = send.send(answer);
                        }
                    }
                });
            }
            drop(send);
            receive.into_iter().collect::<Vec<_>>()
        });
        answers.sort_by(|a, b| a.id.cmp(&b.id));
        if answers.is_empty() {
            return Err(Failure::new(Kind::Target, format!("No minions matched the target `{}`.", selector.text)));
        }
        Ok(answers)
    }

    /// Does one host; `None` if its grains or pillar say that it is not meant.
    fn one(
        self: &Arc<Self>,
        host: &Host,
        ssh: &Ssh,
        binaries: &[MinionBinary],
        target: &Target,
        call: &Call,
        progress: &(dyn Fn(Progress<'_>) + Sync),
    ) -> Option<HostReturn> {
        let failed = |failure: Failure| failed(host, call, failure);
        let unreachable = |error: SshError| {
            let kind = if matches!(error, SshError::Interrupted) { Kind::Interrupted } else { Kind::Host };
            failed(Failure::new(kind, error.to_string()))
        };
        let connection = match ssh.open(host) {
            Ok(connection) => connection,
            Err(error) => return Some(unreachable(error)),
        };
        let pipe = match connection.start_minion(binaries) {
            Ok(pipe) => pipe,
            Err(error) => return Some(unreachable(error)),
        };
        let (read, write) = pipe.into_boxes();
        let minion = match Remote::connect(read, write, self.remote_options()) {
            Ok(minion) => minion,
            Err(error) => return Some(failed(lost(&error))),
        };
        let session = Session::new(self.clone(), host.id.clone(), Box::new(minion))
            .far(true)
            .with_roster(host.grains.clone(), host.minion_opts.clone());
        let session = Arc::new(session);
        match self.is_meant(target, &session) {
            Ok(true) if self.interrupted() => {
                Some(failed(Failure::new(Kind::Interrupted, "interrupted before the call: nothing was done")))
            }
            Ok(true) => Some(answer(&session, call, progress)),
            Ok(false) => None,
            Err(failure) => Some(failed(failure)),
        }
    }

    /// Decides from the id alone where that is possible, so that nobody else is connected to.
    fn may_match(&self, target: &Target, host: &Host) -> bool {
        if target.needs_grains() || target.needs_pillar() {
            return true;
        }
        target.matches(&Data { id: host.id.as_str().into(), ..Data::default() })
    }

    fn is_meant(&self, target: &Target, session: &Arc<Session>) -> Result<bool, Failure> {
        if target.needs_pillar() {
            let data = session.data("base", None, &Map::new());
            return match data {
                Ok(data) => Ok(target.matches(&data)),
                Err(crate::session::PillarFailure::Errors(data, _)) => Ok(target.matches(&data)),
                Err(crate::session::PillarFailure::Failed(failure)) => Err(failure),
            };
        }
        if target.needs_grains() {
            return Ok(target.matches(&session.bare_data("base")?));
        }
        Ok(true)
    }

    /// Returns the nodegroups of the configuration.
    pub fn nodegroups(&self) -> Map {
        self.config.opts.get("nodegroups").and_then(Value::as_map).cloned().unwrap_or_default()
    }

    /// `corpus_silence`: for how many seconds a minion at work may be silent; it gives a sign of life every five.
    fn remote_options(&self) -> RemoteOptions {
        let seconds = self.config.opts.get("corpus_silence").and_then(Value::as_int);
        let seconds = seconds.and_then(|seconds| u64::try_from(seconds).ok()).unwrap_or(60);
        RemoteOptions { silence: Duration::from_secs(seconds.max(10)), ..RemoteOptions::default() }
    }

    pub(crate) fn ssh_options(&self) -> SshOptions {
        SshOptions {
            accept_new_host_keys: self.config.accept_new_host_keys,
            private_key: self.config.text("ssh_priv").map(PathBuf::from),
            user: self.config.text("ssh_user").map(str::to_owned),
            timeout: self.config.timeout,
            interrupt: self.interrupt.clone(),
            ..SshOptions::default()
        }
    }
}

/// What a roster's template can call: nothing.
struct NoFunctions;

impl Caller for NoFunctions {
    fn call(&self, call: &Call) -> Result<Value, ExecError> {
        Err(ExecError::Failed(format!("{}: a roster is read before there is a minion to ask", call.fun)))
    }
    fn has(&self, _: &str) -> bool {
        false
    }
    fn names(&self) -> Vec<String> {
        vec![]
    }
}

fn failed(host: &Host, call: &Call, failure: Failure) -> HostReturn {
    HostReturn {
        id: host.id.clone(),
        fun: call.fun.clone(),
        outcome: Outcome::Failed(failure),
        retcode: 0,
        timings: None,
        warnings: vec![],
    }
}

/// Puts hosts in an order of chance.
fn shuffle(hosts: &mut VecDeque<Host>) -> std::io::Result<()> {
    let mut keyed = Vec::with_capacity(hosts.len());
    for host in hosts.drain(..) {
        let mut key = [0; 8];
        std::fs::File::open("/dev/urandom").and_then(|mut file| std::io::Read::read_exact(&mut file, &mut key))?;
        keyed.push((key, host));
    }
    keyed.sort_by_key(|(key, _)| *key);
    hosts.extend(keyed.into_iter().map(|(_, host)| host));
    Ok(())
}

/// Answers one call with one minion.
pub fn answer(session: &Arc<Session>, call: &Call, progress: &(dyn Fn(Progress<'_>) + Sync)) -> HostReturn {
    crate::aftermath::take_in(session);
    let events = |event: Event| progress(Progress::Event { id: &session.id, event: &event.masked() });
    let outcome = match functions::answer(session, call, &events) {
        Outcome::Value(value) if session.corpus.config.show_secrets => Outcome::Value(value),
        outcome => outcome.masked(),
    };
    let warnings = session.take_warnings();
    let retcode = session.retcode.load(Ordering::Relaxed);
    HostReturn {
        id: session.id.clone(),
        fun: call.fun.clone(),
        outcome,
        retcode,
        timings: session.timings.table(),
        warnings,
    }
}

/// Finds the minion programs beside this one, or where `make install` puts them.
fn minion_binaries() -> Result<Vec<MinionBinary>, Failure> {
    let named = std::env::var_os("CORPUS_MINION").map(PathBuf::from);
    let exe = std::env::current_exe().ok().and_then(|path| path.canonicalize().ok()).unwrap_or_default();
    let folder = exe.parent().map(PathBuf::from).unwrap_or_default();
    let mut places = vec![folder.join("corpus-minion")];
    for arch in ["x86_64", "aarch64", "armv7l", "riscv64", "ppc64le", "s390x"] {
        places.push(folder.join(format!("../lib/corpus/corpus-minion-{arch}")));
    }
    let places = named.map_or(places, |path| vec![path]);
    let found: Vec<MinionBinary> =
        places.iter().filter(|path| path.is_file()).filter_map(|path| MinionBinary::open(path).ok()).collect();
    if found.is_empty() {
        let looked: Vec<String> = places.iter().take(2).map(|path| path.display().to_string()).collect();
        return Err(Failure::new(Kind::Usage, format!("no minion program found (looked for {})", looked.join(", ")))
            .hint("build it with `make build`, or name one in the environment variable CORPUS_MINION"));
    }
    Ok(found)
}
