//! The promise of the dry run, as properties: from the same machine, what a dry run shows is what the run
//! does; a second run does nothing; and whatever fails in between, no record claims what was not done.

mod common;
use common::{Chunk, chunk, line, low_state, run_with};
use corpus_core::RequisiteKind::{self, *};
use corpus_core::fake::Fake;
use corpus_core::{ChunkReport, Data, Effect, Look, LowState, RunOptions, RunReport, Value};
use std::path::Path;

/// A small generator of numbers (xorshift), so that every case can be had again by its seed.
struct Dice(u64);

impl Dice {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }
    fn roll(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 33) as usize % below
    }
    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.roll(from.len())]
    }
}

const PATHS: &[&str] = &["/a", "/b", "/a/x", "/a/y", "/b/x", "/a/x/z", "/l", "/l/x", "/a/l"];
const KINDS: &[RequisiteKind] =
    &[Require, RequireAny, Watch, WatchAny, Onchanges, OnchangesAny, Onfail, OnfailAll, Prereq, Listen];

fn machine(seed: u64) -> Fake {
    let mut dice = Dice::new(seed);
    let host = Fake::new();
    host.answer("/bin/sh -c true", 0, "");
    host.answer("/bin/sh -c false", 1, "");
    for _ in 0..dice.roll(4) {
        let path = dice.pick(PATHS);
        let under_file =
            Path::new(path).ancestors().skip(1).any(|p| host.stat(p).ok().flatten().is_some_and(|m| !m.is_dir()));
        if under_file || host.lstat(path.as_ref()).ok().flatten().is_some() {
            continue;
        }
        match dice.roll(4) {
            0 => host.add_dir(path, 0o755),
            1 => host.add_link(path, dice.pick(PATHS)),
            _ => host.add_file(path, dice.pick(&["1", "2"]), 0o644),
        }
    }
    host
}

/// A low state in which every path is declared once: two states that fight over one file never settle.
fn low(seed: u64) -> LowState {
    let mut dice = Dice::new(seed ^ 0xabcdef);
    let mut free: Vec<&str> = PATHS.to_vec();
    let count = 1 + dice.roll(6);
    let mut chunks: Vec<Chunk> = vec![];
    // What has `prereq` runs before its target: requisites point back, `prereq` forward.
    let mut forward: Vec<(usize, usize)> = vec![];
    for i in 0..count {
        let id = format!("s{i}");
        let path = free.remove(dice.roll(free.len()));
        let mut c = match dice.roll(10) {
            0 => chunk(&id, "test.succeed_without_changes"),
            1 => chunk(&id, "test.fail_without_changes"),
            2 | 3 => chunk(&id, "file.dir").arg("name", path),
            4 => chunk(&id, "file.link").arg("name", path).arg("target", dice.pick(PATHS)),
            5 => chunk(&id, "file.gone").arg("name", path),
            6 => chunk(&id, "file.write").arg("name", path).arg("copy", dice.pick(PATHS)),
            7 if dice.roll(3) == 0 => chunk(&id, "cmd.go"),
            _ => chunk(&id, "file.write").arg("name", path).arg("content", dice.pick(&["1", "2"])),
        };
        for _ in 0..dice.roll(3) {
            let kind = KINDS[dice.roll(KINDS.len())];
            match kind {
                Prereq if i + 1 < count => forward.push((i, i + 1 + dice.roll(count - i - 1))),
                Prereq => {}
                kind if i > 0 => {
                    let targets: Vec<_> = (0..=dice.roll(2)).map(|_| format!("s{}", dice.roll(i))).collect();
                    c = c.on(kind, &targets.iter().map(String::as_str).collect::<Vec<_>>());
                }
                _ => {}
            }
        }
        c = match dice.roll(12) {
            0 => c.arg("onlyif", dice.pick(&["true", "false"])),
            1 => c.arg("unless", dice.pick(&["true", "false"])),
            2 => c.arg("creates", dice.pick(PATHS)),
            3 => c.arg("check_cmd", dice.pick(&["true", "true", "false"])),
            _ => c,
        };
        chunks.push(c);
    }
    for (i, target) in forward {
        let c = chunks[i].clone();
        chunks[i] = c.on(Prereq, &[&format!("s{target}")]);
    }
    low_state(&chunks)
}

fn go(host: &Fake, low: &LowState, test: bool) -> RunReport {
    let options = RunOptions { test, ..RunOptions::default() };
    run_with(host, low, options, &Data::default()).0
}

fn tree(host: &Fake, at: &Path, out: &mut Vec<String>) {
    for name in host.list(at).unwrap_or_default() {
        let path = at.join(name);
        let Ok(Some(meta)) = host.lstat(&path) else { continue };
        let body = host.read_link(&path).map(|t| t.display().to_string()).ok();
        let text = if meta.is_file() { host.read(&path).ok() } else { None };
        out.push(format!("{} {:?} {body:?} {text:?}", path.display(), meta.kind));
        if meta.is_dir() {
            tree(host, &path, out);
        }
    }
}

fn picture(host: &Fake) -> Vec<String> {
    let mut out = vec![];
    tree(host, Path::new("/"), &mut out);
    out
}

fn show(report: &RunReport) -> String {
    report.chunks.iter().map(|record| format!("  {} {}\n", line(record), record.changes.truthy())).collect()
}

/// What a dry run has to say rightly: whether it fails, whether it changes, and what.
fn verdict(record: &ChunkReport) -> (String, bool, Value) {
    (record.tag.clone(), record.result == Some(false), record.changes.clone())
}

#[test]
fn what_a_dry_run_shows_is_what_the_run_does() {
    let (mut known, mut unknown, mut changing, mut failing, mut settled) = (0, 0, 0, 0, 0);
    for seed in 0..12_000 {
        let low = low(seed);
        let host = machine(seed);
        let before = picture(&host);
        let dry = go(&host, &low, true);
        assert_eq!(picture(&host), before, "seed {seed}: a dry run changed the machine");
        assert!(host.performed.lock().expect("no panic").is_empty());
        let real = go(&host, &low, false);
        let story = || format!("seed {seed}\n{low:#?}\nbefore {before:#?}\ndry\n{}real\n{}", show(&dry), show(&real));

        // A failed check_cmd is known only after the run, and what hangs on it; see below.
        let checked = low.chunks.iter().any(|c| c.args.contains("check_cmd"));
        let guarded = low.chunks.iter().any(|c| c.args.contains("creates"));
        if !checked {
            for promised in &dry.chunks {
                if promised.comment.contains("not known before the run") {
                    // From here on the dry run supposes that what it does not know goes well.
                    unknown += 1;
                    break;
                }
                let done = real.chunks.iter().find(|record| record.tag == promised.tag);
                let done = done.unwrap_or_else(|| panic!("no record of {}: {}", promised.tag, story()));
                known += 1;
                assert_eq!(verdict(promised), verdict(done), "{}", story());
            }
        }
        changing += real.chunks.iter().filter(|record| record.changed()).count();
        failing += real.chunks.iter().filter(|record| record.result == Some(false)).count();

        // No change is left after a run without failures. States that undo each other's work (a link that is
        // another's parent, `creates` of what is removed) are told by a second run that is not empty either way.
        let fights =
            guarded || low.chunks.iter().any(|c| matches!(&*c.fun, "gone" | "link" | "go") || c.args.contains("copy"));
        let fires = low.chunks.iter().any(|c| {
            c.requisites.iter().any(|r| matches!(r.kind, Prereq | Onchanges | OnchangesAny | OnfailAll | Onfail))
        });
        if real.ok() && !fights && !fires {
            settled += 1;
            let again = go(&host, &low, true);
            assert!(
                again
                    .chunks
                    .iter()
                    .filter(|r| &*r.state == "file")
                    .all(|record| record.result == Some(true) && !record.changed()),
                "{}again\n{}",
                story(),
                show(&again)
            );
            let third = go(&host, &low, false);
            assert!(third.chunks.iter().filter(|r| &*r.state == "file").all(|record| !record.changed()), "{}", story());
        }
    }
    // The cases must reach what they are about.
    assert!(
        known > 20_000 && unknown > 500 && changing > 5_000 && failing > 5_000 && settled > 500,
        "{known} {unknown} {changing} {failing} {settled}"
    );
}

#[test]
fn whatever_fails_the_record_is_honest() {
    let mut injected = 0;
    for seed in 0..1_500 {
        let low = low(seed);
        let effects = {
            let host = machine(seed);
            go(&host, &low, false);
            host.performed.lock().expect("no panic").len()
        };
        for n in 0..effects {
            let host = machine(seed);
            host.fail_after(n as i64);
            let before = picture(&host);
            let options = RunOptions { failhard: true, ..RunOptions::default() };
            let (report, _) = run_with(&host, &low, options, &Data::default());
            let performed = host.performed.lock().expect("no panic").clone();
            let story = format!("seed {seed} effect {n}\n{low:#?}\n{before:#?}\n{}{performed:#?}", show(&report));
            let failed = report.chunks.iter().position(|record| record.result == Some(false));
            let Some(failed) = failed else { continue };
            injected += 1;
            // Only listeners may come after a hard failure.
            let after = &report.chunks[failed + 1..];
            assert!(after.iter().all(|record| record.id.starts_with("listener_")), "{story}");
            let record = &report.chunks[failed];
            if record.comment.starts_with("perform: ") {
                claims_are_true(record, &host, &story);
            }
            // Every change of a file that any record claims was brought about by an effect.
            let files = || report.chunks.iter().filter(|r| &*r.state == "file" && r.changed() && r.result.is_some());
            assert!(files().count() <= performed.len(), "{story}");
        }
    }
    assert!(injected > 1_000, "only {injected} failures were injected");
}

/// The changes of a state that broke off midway name only what is there.
fn claims_are_true(record: &ChunkReport, host: &Fake, story: &str) {
    for (key, _) in record.changes.as_map().expect("changes are a mapping") {
        let path = corpus_core::python::str(key);
        assert!(path.starts_with('/'), "only a directory's plan has several steps: {story}");
        assert!(
            host.stat(path.as_ref()).ok().flatten().is_some_and(|meta| meta.is_dir()),
            "{path} is claimed: {story}"
        );
    }
}

#[test]
fn a_plan_that_breaks_off_claims_what_was_done() {
    let host = Fake::new();
    host.fail_after(2);
    let report = go(&host, &low_state(&[chunk("D", "file.dir").arg("name", "/a/b/c/d")]), false);
    let record = &report.chunks[0];
    let claimed: Vec<_> = record.changes.as_map().expect("a mapping").keys().cloned().collect();
    assert_eq!(claimed, [Value::from("/a"), Value::from("/a/b")]);
    assert_eq!(record.comment, "perform: no storage space\nSteps done before that: 2 of 4");
    let made = host.performed.lock().expect("no panic").iter().filter(|e| matches!(e, Effect::Mkdir { .. })).count();
    assert_eq!(made, 2);
}
