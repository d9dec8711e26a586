//! `corpus reconcile`: the world is read, not the event. What is declared and gone comes back, what differs is made right
//! and told with its cause, and what nobody declared is named.

use crate::Verb;
use crate::cloud::Told;
use crate::functions::{Answer, At, answer, is_test};
use crate::keys;
use crate::ledger::Phase;
use crate::spec::GuestSpec;
use corpus_core::{Call, Map, Value, python};
use corpus_master::{Corpus, Failure, Kind, Progress};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

type Note<'a> = &'a (dyn Fn(Progress<'_>) + Sync);

/// Once, or until it is interrupted.
pub fn run(corpus: &Arc<Corpus>, call: &Call, progress: Note<'_>) -> Answer {
    let watch = call.kwargs.get("watch").is_some_and(Value::truthy);
    let interval = match call.kwargs.get("interval") {
        None => 30.0,
        Some(value) => {
            python::str(value).parse::<f64>().ok().filter(|seconds| (0.1..=86_400.0).contains(seconds)).ok_or_else(
                || Failure::new(Kind::Usage, format!("interval: {} is no number of seconds", python::repr(value))),
            )?
        }
    };
    let mut last: Option<Answer> = None;
    loop {
        let quiet = |note: Progress<'_>| {
            // While watching, a round in which nothing happened is not worth a line.
            // One that was cut off by its end says nothing of the world.
            let silent = watch && matches!(&note, Progress::Done(done) if nothing(done) || corpus.interrupted());
            if !silent {
                progress(note);
            }
        };
        let done = once(corpus, call, &quiet);
        if !watch {
            return done;
        }
        if corpus.interrupted() {
            return last.unwrap_or(done);
        }
        if let Err(failure) = &done {
            tracing::error!("{failure}");
        }
        let until = Instant::now() + Duration::from_secs_f64(interval);
        while Instant::now() < until {
            if corpus.interrupted() {
                return done;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        last = Some(done);
    }
}

fn nothing(done: &corpus_master::HostReturn) -> bool {
    let corpus_master::Outcome::Value(Value::Map(map)) = &done.outcome else { return false };
    map.iter().all(|(_, one)| {
        one.get("result") == Some(&Value::Bool(true)) && one.get("changes").is_none_or(|changes| !changes.truthy())
    })
}

fn once(corpus: &Arc<Corpus>, call: &Call, progress: Note<'_>) -> Answer {
    let at = At::new(corpus, progress)?;
    let declared = at.declared(&[])?;
    let test = is_test(corpus, call);
    let prune = call.kwargs.get("prune").is_some_and(Value::truthy);
    let (told, strangers) = at.with(&declared, test, Some("reconcile"), |cloud| {
        let ledger = cloud.ledger();
        // What a command made is declared by that command.
        let by_command: Vec<GuestSpec> = ledger
            .guests
            .iter()
            .filter(|(id, entry)| {
                entry.phase != Phase::Destroying && !declared.guests.contains_key(*id) && by_command(&entry.spec)
            })
            .map(|(_, entry)| entry.spec.clone())
            .collect();
        let wanted: Vec<&GuestSpec> = declared.guests.values().chain(&by_command).collect();
        let world = cloud.world(&cloud.places(&declared));
        let mut told: Vec<Told> = cloud.all_present(&wanted, &world);
        let strangers = cloud.strangers(&wanted, &world);
        // An end that was begun is finished; what is only no longer declared waits for `prune`.
        for stranger in strangers.iter().filter(|stranger| stranger.ours) {
            let begun = ledger.guests.get(&stranger.id).is_some_and(|entry| entry.phase == Phase::Destroying);
            if begun || prune {
                let gone = cloud.verb(&stranger.id, &Verb::Destroy);
                if gone.result == Some(true) && !test {
                    keys::forget(&at.store, &stranger.id);
                }
                told.push(gone);
            }
        }
        told.extend(cloud.settle_front(&at.front));
        (told, strangers)
    })?;
    let done: BTreeSet<&str> = told.iter().map(|told| told.id.as_str()).collect();
    let mut more = Map::new();
    let ghosts: Map = strangers
        .iter()
        .filter(|stranger| !done.contains(stranger.id.as_str()))
        .map(|stranger| (stranger.id.as_str(), stranger.to_value()))
        .collect();
    if !ghosts.is_empty() {
        let count = ghosts.len();
        let mut note = Map::new();
        note.insert("result", true);
        let one = if count == 1 { "machine is" } else { "machines are" };
        note.insert("comment", format!("{count} {one} there and not declared; `prune=True` ends those that are ours"));
        note.insert("ghosts", ghosts);
        more.insert("not declared", note);
    }
    Ok(answer(&at, call, &told, more))
}

/// A command is no file: its place has no line.
fn by_command(spec: &GuestSpec) -> bool {
    !spec.place.rsplit(':').next().is_some_and(|last| !last.is_empty() && last.chars().all(|c| c.is_ascii_digit()))
}
