//! Who deploys now, who waits, and what each deployment has said so far.
//!
//! A project has one deployment at a time. Of those that wait for the same branch only the newest stays. A deployment
//! writes into a bounded log and never waits for a reader; each reader has its own place in the log.

use super::frame::{Order, Tell};
use super::{Out, text};
use crate::Cancelled;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How much of a deployment's output is kept for those who attach.
const LINES: usize = 50_000;
const BYTES: usize = 8 << 20;
/// How many lines a reader takes at once, and how many orders wait in one project.
const BATCH: usize = 500;
const WAITING: usize = 8;

/// One deployment, from the order to its end.
pub struct Run {
    pub order: Order,
    pub cancelled: Cancelled,
    log: Mutex<Log>,
    news: Condvar,
}

struct Log {
    lines: VecDeque<(Arc<str>, String)>,
    /// The number of the first line that is still here.
    first: u64,
    bytes: usize,
    step: Arc<str>,
    at: String,
    touched: Instant,
    end: Option<Tell>,
}

/// What a reader gets.
pub enum Next {
    Lines { tells: Vec<Tell>, cursor: u64 },
    Silence(Tell),
    End(Tell),
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Run {
    /// Makes one.
    pub fn new(order: Order) -> Self {
        let log = Log {
            lines: VecDeque::new(),
            first: 0,
            bytes: 0,
            step: "push".into(),
            at: "the queue".into(),
            touched: Instant::now(),
            end: None,
        };
        Self { order, cancelled: Cancelled::default(), log: Mutex::new(log), news: Condvar::new() }
    }

    /// Says who deploys what, in few words.
    pub fn described(&self) -> String {
        let who = text::short(&self.order.who, 60);
        let by = if who.is_empty() { String::new() } else { format!(" by {who}") };
        format!("{}{by}", short_id(&self.order.new))
    }

    /// Adds a line to the current step.
    pub fn say(&self, words: &str) {
        let mut log = lock(&self.log);
        let step = log.step.clone();
        for words in words.split('\n') {
            let words = text::line(words.trim_end());
            log.bytes += words.len();
            log.lines.push_back((step.clone(), words));
        }
        while log.lines.len() > LINES || log.bytes > BYTES {
            let Some((_, gone)) = log.lines.pop_front() else { break };
            log.bytes -= gone.len();
            log.first += 1;
        }
        log.touched = Instant::now();
        self.news.notify_all();
    }

    /// Begins a step.
    pub fn turn_to(&self, step: &str) {
        let mut log = lock(&self.log);
        log.step = text::short(step, 40).into();
        log.at.clear();
        log.touched = Instant::now();
    }

    /// Ends it.
    pub fn end(&self, tell: Tell) {
        let mut log = lock(&self.log);
        log.end.get_or_insert(tell);
        self.news.notify_all();
    }

    /// Tells whether it has ended.
    pub fn ended(&self) -> bool {
        lock(&self.log).end.is_some()
    }

    /// Returns what is new for a reader, waiting for it up to `patience`.
    pub fn next(&self, cursor: u64, patience: Duration) -> Next {
        let since = Instant::now();
        let mut log = lock(&self.log);
        loop {
            // A step that has just begun is not silent yet.
            let until = since.max(log.touched) + patience;
            let last = log.first + log.lines.len() as u64;
            if cursor < last {
                return Self::batch(&log, cursor);
            }
            if let Some(end) = &log.end {
                return Next::End(end.clone());
            }
            let now = Instant::now();
            if now >= until {
                let seconds = log.touched.elapsed().as_secs();
                return Next::Silence(Tell::Beat { step: log.step.to_string(), at: log.at.clone(), seconds });
            }
            log = self.news.wait_timeout(log, until - now).map_or_else(|error| error.into_inner().0, |got| got.0);
        }
    }

    fn batch(log: &Log, cursor: u64) -> Next {
        let mut tells = vec![];
        let from = cursor.max(log.first);
        if from > cursor {
            tells.push(Tell::Skipped { lines: from - cursor });
        }
        let skip = usize::try_from(from - log.first).unwrap_or(usize::MAX);
        let lines = log.lines.iter().skip(skip).take(BATCH);
        let before = tells.len();
        tells.extend(lines.map(|(step, text)| Tell::Line { step: step.to_string(), text: text.clone() }));
        let cursor = from + (tells.len() - before) as u64;
        Next::Lines { tells, cursor }
    }
}

/// A run as the place where a deployment tells how it goes.
pub struct Voice<'a>(pub &'a Run);

impl Out for Voice<'_> {
    fn step(&mut self, name: &str) {
        self.0.turn_to(name);
    }

    fn line(&mut self, text: &str) {
        self.0.say(text);
    }

    fn at(&mut self, what: &str) {
        lock(&self.0.log).at = text::short(what, 100);
    }

    fn cancelled(&self) -> Cancelled {
        self.0.cancelled.clone()
    }
}

/// The first letters of an object's id.
pub fn short_id(id: &str) -> &str {
    id.get(..8).unwrap_or(id)
}

/// All projects' deployments.
#[derive(Default)]
pub struct Board {
    lanes: Mutex<HashMap<String, Lane>>,
}

#[derive(Default)]
struct Lane {
    running: Option<Arc<Run>>,
    waiting: VecDeque<Arc<Run>>,
    last: Option<Arc<Run>>,
    /// Whether a thread works on this lane.
    manned: bool,
}

/// What became of an order.
pub struct Placed {
    pub run: Arc<Run>,
    /// Whom it waits for.
    pub behind: Option<String>,
    /// Whether a thread must be started for the lane.
    pub unmanned: bool,
}

fn same_branch(a: &Order, b: &Order) -> bool {
    (a.kind, &a.reference, a.options.plan) == (b.kind, &b.reference, b.options.plan)
}

impl Board {
    /// Takes an order: joins a deployment of the same, or puts it in the place of older ones that wait.
    pub fn submit(&self, order: Order) -> Result<Placed, String> {
        let mut lanes = lock(&self.lanes);
        let lane = lanes.entry(order.project.clone()).or_default();
        // One that has just ended, or is about to, is not joined: whoever pushes again wants another try.
        let same = |run: &&Arc<Run>| {
            let (theirs, ours) = (&run.order, &order);
            same_branch(theirs, ours)
                && theirs.new == ours.new
                && theirs.options == ours.options
                && !run.ended()
                && run.cancelled.who().is_none()
        };
        if let Some(run) = lane.running.iter().chain(&lane.waiting).find(same) {
            let running = lane.running.as_ref();
            let behind = running.filter(|running| !Arc::ptr_eq(running, run)).map(|running| running.described());
            return Ok(Placed { run: run.clone(), behind, unmanned: false });
        }
        let (old, rest): (Vec<_>, Vec<_>) = lane.waiting.drain(..).partition(|run| same_branch(&run.order, &order));
        lane.waiting.extend(rest);
        let run = Arc::new(Run::new(order));
        for old in old {
            old.end(Tell::Refused { why: format!("a newer push took this one's place: {}", run.described()) });
        }
        if lane.waiting.len() >= WAITING {
            return Err(format!("{WAITING} deployments of this project are waiting; push again later"));
        }
        lane.waiting.push_back(run.clone());
        let behind = lane.running.as_ref().filter(|running| !running.ended()).map(|running| running.described());
        Ok(Placed { run, behind, unmanned: !std::mem::replace(&mut lane.manned, true) })
    }

    /// Returns the next order of a project, for the lane's thread; with `None` that thread's work is done.
    pub fn take(&self, project: &str) -> Option<Arc<Run>> {
        let mut lanes = lock(&self.lanes);
        let lane = lanes.get_mut(project)?;
        if let Some(done) = lane.running.take() {
            lane.last = Some(done);
        }
        lane.running = lane.waiting.pop_front();
        lane.manned = lane.running.is_some();
        lane.running.clone()
    }

    /// Returns the deployment that is under way.
    pub fn running(&self, project: &str) -> Option<Arc<Run>> {
        lock(&self.lanes).get(project)?.running.clone().filter(|run| !run.ended())
    }

    /// Returns the deployment that is under way, else the last one since this program started.
    pub fn current(&self, project: &str) -> Option<Arc<Run>> {
        let lanes = lock(&self.lanes);
        let lane = lanes.get(project)?;
        lane.running.clone().or_else(|| lane.last.clone())
    }

    /// Tells whether nothing is under way.
    pub fn idle(&self) -> bool {
        lock(&self.lanes).values().all(|lane| !lane.manned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::push::{Kind, Options};

    fn order(new: &str) -> Order {
        Order {
            project: "foo".into(),
            kind: Kind::Project,
            reference: "refs/heads/main".into(),
            old: "0".repeat(40),
            new: new.repeat(40),
            options: Options::default(),
            who: format!("w{new}"),
        }
    }

    fn refused(run: &Run) -> Option<String> {
        match run.next(0, Duration::ZERO) {
            Next::End(Tell::Refused { why }) => Some(why),
            _ => None,
        }
    }

    #[test]
    fn the_newest_that_waits_wins_and_the_same_is_joined() {
        let board = Board::default();
        let a = board.submit(order("a")).expect("taken");
        assert!(a.unmanned && a.behind.is_none());
        assert!(Arc::ptr_eq(&board.take("foo").expect("work"), &a.run));
        let b = board.submit(order("b")).expect("taken");
        assert_eq!((b.unmanned, b.behind.as_deref()), (false, Some("aaaaaaaa by wa")));
        let again = board.submit(order("a")).expect("taken");
        assert!(Arc::ptr_eq(&again.run, &a.run), "the same push joins what is under way");
        let c = board.submit(order("c")).expect("taken");
        assert!(refused(&b.run).is_some_and(|why| why.contains("cccccccc")));
        let pillar = board.submit(Order { kind: Kind::Pillar, ..order("d") }).expect("taken");
        assert!(refused(&c.run).is_none(), "another repository takes nobody's place");
        assert!(Arc::ptr_eq(&board.take("foo").expect("work"), &c.run));
        assert!(Arc::ptr_eq(&board.take("foo").expect("work"), &pillar.run));
        assert!(!board.idle() && board.take("foo").is_none() && board.idle());
        assert!(board.submit(order("e")).expect("taken").unmanned);
    }

    #[test]
    fn a_queue_has_an_end() {
        let board = Board::default();
        let branch = |n: usize| Order { reference: format!("refs/heads/{n}"), ..order("a") };
        assert!((0..WAITING).all(|n| board.submit(branch(n)).is_ok()));
        assert!(board.submit(branch(99)).is_err());
    }

    #[test]
    fn a_reader_who_is_late_is_told_so_and_the_log_stays_small() {
        let run = Run::new(order("a"));
        let mut voice = Voice(&run);
        voice.step("install");
        for n in 0..LINES + 10 {
            voice.line(&n.to_string());
        }
        let Next::Lines { tells, cursor } = run.next(0, Duration::ZERO) else { panic!("there are lines") };
        assert!(matches!(tells[0], Tell::Skipped { lines: 10 }));
        assert!(matches!(&tells[1], Tell::Line { step, text } if step == "install" && text == "10"));
        assert_eq!((cursor, tells.len()), (10 + BATCH as u64, BATCH + 1));
        voice.line(&"x".repeat(100 << 20));
        voice.at("web.sls: nginx");
        let beat = run.next(u64::MAX, Duration::ZERO);
        assert!(matches!(beat, Next::Silence(Tell::Beat { at, .. }) if at == "web.sls: nginx"));
        run.end(Tell::Refused { why: "first".into() });
        run.end(Tell::Refused { why: "second".into() });
        assert!(matches!(run.next(u64::MAX, Duration::ZERO), Next::End(Tell::Refused { why }) if why == "first"));
    }
}
