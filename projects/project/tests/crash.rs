//! Killed deployments, and machines that lose power: at each operation by which the engine moves a tree or writes a
//! record. `project/` is the old release or the new one, whole, and the next start puts everything right.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use common::{FAILS, Place, git};
use corpus_project::fs::{Disk, Fs};
use corpus_project::{DeployReport, R, Silent, deploy};
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

/// How a process ends in the middle.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    /// It is killed: what was written is there.
    Killed,
    /// The power goes: what was not brought to the disk has its name, but no content.
    Emptied,
    /// Killed by the kernel, at once.
    Shot,
    /// The power goes: names that were not brought to the disk are where they were before.
    Unmoved,
}

#[derive(Default)]
struct State {
    done: usize,
    log: Vec<String>,
    written: Vec<PathBuf>,
    moved: Vec<(PathBuf, PathBuf, bool)>,
}

/// A disk whose process ends before its n-th operation.
struct Dying {
    at: usize,
    end: End,
    state: Arc<Mutex<State>>,
}

/// The panic that stands for the end.
struct Dead;

impl Dying {
    fn step(&self, what: String) {
        let mut state = self.state.lock().unwrap();
        state.done += 1;
        state.log.push(what);
        if state.done < self.at {
            return;
        }
        let (written, moved) = (std::mem::take(&mut state.written), std::mem::take(&mut state.moved));
        drop(state);
        match self.end {
            End::Killed => {}
            End::Shot => {
                let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
            }
            End::Emptied => written.iter().for_each(|tree| empty(tree)),
            End::Unmoved => {
                for (from, to, both) in moved.iter().rev() {
                    if *both { Disk.exchange(from, to).unwrap() } else { std::fs::rename(to, from).unwrap() }
                }
            }
        }
        panic_any(Dead);
    }

    fn wrote(&self, tree: &Path) {
        self.state.lock().unwrap().written.push(tree.to_owned());
    }
}

fn empty(tree: &Path) {
    for entry in std::fs::read_dir(tree).into_iter().flatten().flatten() {
        match entry.file_type().unwrap() {
            kind if kind.is_dir() => empty(&entry.path()),
            kind if kind.is_file() => std::fs::write(entry.path(), "").unwrap(),
            _ => {}
        }
    }
}

impl Fs for Dying {
    fn copy_tree(&self, from: &Path, to: &Path, stop: Option<&AtomicBool>) -> R<()> {
        self.step(format!("copy {}", to.display()));
        self.wrote(to);
        Disk.copy_tree(from, to, stop)?;
        // In the middle of it, too: half of the files.
        if self.state.lock().unwrap().done + 1 == self.at {
            let names: Vec<_> = std::fs::read_dir(to).unwrap().flatten().map(|entry| entry.path()).collect();
            names.iter().take(names.len() / 2).for_each(|path| Disk.remove(path).unwrap());
        }
        self.step(format!("copied {}", to.display()));
        Ok(())
    }
    fn remove(&self, path: &Path) -> R<()> {
        self.step(format!("remove {}", path.display()));
        Disk.remove(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> R<()> {
        self.step(format!("rename {} {}", from.display(), to.display()));
        self.state.lock().unwrap().moved.push((from.to_owned(), to.to_owned(), false));
        Disk.rename(from, to)
    }
    fn exchange(&self, one: &Path, other: &Path) -> R<()> {
        self.step(format!("exchange {} {}", one.display(), other.display()));
        self.state.lock().unwrap().moved.push((one.to_owned(), other.to_owned(), true));
        Disk.exchange(one, other)
    }
    fn make_dir(&self, path: &Path, mode: u32) -> R<()> {
        self.step(format!("make {}", path.display()));
        Disk.make_dir(path, mode)
    }
    fn sync_all(&self, path: &Path) -> R<()> {
        self.step(format!("sync {}", path.display()));
        let mut state = self.state.lock().unwrap();
        state.written.clear();
        state.moved.clear();
        Ok(())
    }
    fn sync_dir(&self, path: &Path) -> R<()> {
        self.step(format!("sync names of {}", path.display()));
        // One file system has one journal: names before this one are on the disk with it.
        self.state.lock().unwrap().moved.clear();
        Ok(())
    }
    fn record(&self, path: &Path, bytes: &[u8]) -> R<()> {
        self.step(format!("record {}", String::from_utf8_lossy(bytes)));
        Disk.record(path, bytes)?;
        self.state.lock().unwrap().moved.clear();
        Ok(())
    }
    fn work(&self, tree: &Path, work: &mut dyn FnMut() -> R<()>) -> R<()> {
        self.step(format!("work on {}", tree.display()));
        self.wrote(tree);
        work()
    }
}

/// What a release consists of, but git's own records, which hold times.
fn release(place: &Place, at: &Path) -> String {
    let whole = common::tree(at);
    let own: Vec<&str> = whole.lines().filter(|line| !line.starts_with(".git")).collect();
    let clean = git(at, &["-c", "core.checkStat=minimal", "-c", "core.trustctime=false", "status", "--porcelain"]);
    let _ = place;
    format!("{}\nclean: {clean:?}\n{}", own.join("\n"), git(at, &["rev-parse", "HEAD"]))
}

/// Deploys until the n-th operation; `None` when it came to its end before that.
fn until(place: &Place, at: usize, end: End) -> Result<DeployReport, Vec<String>> {
    let mut cx = place.cx();
    let state = Arc::new(Mutex::new(State::default()));
    cx.fs = Box::new(Dying { at, end, state: state.clone() });
    let request = place.request();
    let ended = catch_unwind(AssertUnwindSafe(|| deploy(&cx, &request, &mut Silent)));
    ended.map_err(|why| {
        assert!(why.is::<Dead>(), "a real panic");
        std::mem::take(&mut state.lock().unwrap().log)
    })
}

/// What the next start of anything makes of it.
fn start(place: &Place) -> DeployReport {
    let mut request = place.request();
    request.only = vec!["rotate_archives".into()];
    let report = place.deploy_as(&request);
    assert!(report.ok(), "{}", report.comment);
    report
}

fn left_over(place: &Place) -> Vec<String> {
    let mut found = vec![];
    let mut todo = vec![place.layout().archives, place.layout().corpus];
    while let Some(dir) = todo.pop() {
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let wrong = [".next", ".pillar", "journal.json", "undo"].contains(&name.as_str());
            if wrong && !(name == "undo" && std::fs::read_dir(entry.path()).unwrap().next().is_none()) {
                found.push(entry.path().display().to_string());
            }
            if entry.path().parent() == Some(&place.layout().archives) {
                todo.push(entry.path());
            }
        }
    }
    found
}

/// A place that serves one release, with the next one pushed; recipes write a file of the host.
fn prepared(bad: bool) -> (Place, String, String) {
    std::panic::set_hook(Box::new(|info| {
        if !info.payload().is::<Dead>() {
            eprintln!("{info}");
        }
    }));
    let place = Place::new("prod");
    let host = |text: &str| {
        format!("host:\n  file.managed:\n    - name: {}\n    - contents: {text}\n", place.path("host").display())
    };
    let old = place.push(&[("a", "one"), ("dir/b", "one"), (".salt/100_x.sls", &host("one"))]);
    place.good();
    let last = if bad { FAILS } else { "fine:\n  test.nop\n" };
    let new =
        place.push(&[("a", "two"), ("dir/c", "two"), (".salt/100_x.sls", &host("two")), (".salt/200_y.sls", last)]);
    (place, old, new)
}

fn host(place: &Place) -> String {
    std::fs::read_to_string(place.path("host")).unwrap_or_default().trim().to_owned()
}

fn new_release(place: &Place, commit: &str) -> String {
    // What the new release is: what a good deployment of it has in `project/`.
    let mut request = place.request();
    request.only = vec!["release_sync".into()];
    request.project_rev = Some(commit.into());
    let report = place.deploy_as(&request);
    assert!(report.ok(), "{}", report.comment);
    release(place, &place.layout().project)
}

fn back_to(place: &Place, commit: &str) {
    let mut request = place.request();
    request.project_rev = Some(commit.into());
    let report = place.deploy_as(&request);
    assert!(report.ok(), "{}", report.comment);
}

fn every_operation(bad: bool, end: End) {
    let (place, old, new) = prepared(bad);
    let project = place.layout().project;
    let n = release(&place, &project);
    let next = new_release(&place, &new);
    assert_ne!(n, next);
    back_to(&place, &old);
    let mut at = 1;
    loop {
        assert_eq!(release(&place, &project), n);
        let log = match until(&place, at, end) {
            Ok(report) => {
                assert_eq!(report.ok(), !bad, "{}", report.comment);
                break;
            }
            Err(log) => log,
        };
        let story = || format!("{end:?} before operation {at}:\n{}", log.join("\n"));
        let now = release(&place, &project);
        assert!(now == n || now == next, "{}\n{now}\n", story());
        let said = start(&place).comment;
        let now = release(&place, &project);
        let left = left_over(&place);
        let ended = log[..log.len() - 1].iter().any(|line| line.contains("\"phase\":\"ended\""));
        assert!(left.is_empty(), "{left:?}\n{}", story());
        let (wanted, file) = if ended && !bad { (&next, "two") } else { (&n, "one") };
        assert_eq!((&now, host(&place).as_str()), (wanted, file), "{said}\n{}", story());
        if now != n {
            back_to(&place, &old);
        }
        at += 1;
    }
    assert!(at > 15, "only {at} operations");
}

#[test]
fn killed_at_every_operation_of_a_good_deployment() {
    every_operation(false, End::Killed);
}

#[test]
fn power_lost_at_every_operation_of_a_deployment_that_is_rolled_back_content_is_lost() {
    every_operation(true, End::Emptied);
}

#[test]
fn power_lost_at_every_operation_names_are_lost() {
    every_operation(false, End::Unmoved);
}

/// Not a test: the process that the next one kills.
#[test]
fn a_process_that_is_killed() {
    let (Ok(path), Ok(at)) = (std::env::var("CORPUS_TEST_PLACE"), std::env::var("CORPUS_TEST_AT")) else { return };
    let place = Place::at(Path::new(&path));
    let mut cx = place.cx();
    cx.fs = Box::new(Dying { at: at.parse().unwrap(), end: End::Shot, state: Arc::default() });
    deploy(&cx, &place.request(), &mut Silent);
}

#[test]
fn a_process_shot_dead_frees_its_lock_and_leaves_a_whole_release() {
    let (place, old, new) = prepared(false);
    let project = place.layout().project;
    let n = release(&place, &project);
    let next = new_release(&place, &new);
    back_to(&place, &old);
    for at in [4, 10, 14] {
        let status = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "a_process_that_is_killed", "--nocapture"])
            .env("CORPUS_TEST_PLACE", place.dir.path())
            .env("CORPUS_TEST_AT", at.to_string())
            .output()
            .unwrap()
            .status;
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9), "{at}");
        let now = release(&place, &project);
        assert!(now == n || now == next, "{at}: {now}");
        let report = start(&place);
        assert!(report.comment.contains("was killed"), "{}", report.comment);
        assert_eq!((release(&place, &project), host(&place)), (n.clone(), "one".to_owned()), "{at}");
    }
    // Each killed deployment has its report.
    let layout = place.layout();
    let killed = corpus_project::report::ids(&layout).into_iter().filter(|id| {
        let report = corpus_project::report::read(&layout, &place.name, id).unwrap();
        report.summary.contains("was killed") && !report.result && report.who == "tester"
    });
    assert_eq!(killed.count(), 3);
}
