//! What a run has done so far, on disk, so that the next connection learns where a killed run stood. The file
//! appears with the first effect and goes with the end of the run: one that nobody holds locked is the trace of
//! a run that died. Its lines are JSON, one per event; an `effect` line is on the disk before its effect begins.

use crate::disk;
use corpus_core::host::{Before, HostResult};
use corpus_core::{Act, Effect, Event};
use corpus_wire::Interrupted;
use rustix::fs::{FlockOperation, flock};
use serde_json::json;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// The journal of one run.
pub struct Journal {
    path: PathBuf,
    jid: String,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    started: u32,
    finished: u32,
    /// Chunks under way: place, tag. More than one when some run in parallel.
    under_way: Vec<(u32, String)>,
    file: Option<File>,
    /// The disk did not take it; said once.
    broken: bool,
}

impl Journal {
    /// Makes a journal that is not on disk yet.
    pub fn new(folder: &Path, jid: &str) -> Self {
        Self { path: disk::of_job(folder, jid, ".jsonl"), jid: jid.to_owned(), state: Mutex::default() }
    }

    /// Takes note of what the run tells.
    pub fn note(&self, event: &Event) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Started { tag, .. } => {
                state.started += 1;
                let number = state.started;
                state.under_way.push((number, tag.clone()));
                if state.file.is_some() {
                    state.line(&json!({ "start": number, "tag": tag }), false);
                }
            }
            Event::Finished(chunk) => {
                state.finished += 1;
                state.under_way.retain(|(_, tag)| *tag != chunk.tag);
                if state.file.is_some() {
                    state.line(&json!({ "done": chunk.tag, "result": chunk.result }), false);
                }
            }
            _ => {}
        }
    }

    /// Writes down an effect that is about to begin.
    fn effect(&self, effect: &Effect) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.file.is_none() && !state.broken {
            match self.open() {
                Ok(file) => {
                    state.file = Some(file);
                    let head = json!({ "jid": self.jid, "finished": state.finished, "under_way": state.under_way });
                    state.line(&head, false);
                }
                Err(error) => {
                    state.broken = true;
                    tracing::warn!(path = %self.path.display(), %error, "Cannot keep a journal.");
                }
            }
        }
        state.line(&json!({ "effect": words(effect) }), true);
    }

    fn open(&self) -> std::io::Result<File> {
        if let Some(folder) = self.path.parent() {
            disk::private_dir(folder)?;
        }
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&self.path)?;
        flock(&file, FlockOperation::NonBlockingLockExclusive)?;
        Ok(file)
    }

    /// Forgets the run, which has ended with a report.
    pub fn close(self) {
        let state = self.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        if state.file.is_some() {
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl State {
    fn line(&mut self, line: &serde_json::Value, now: bool) {
        let Some(file) = &mut self.file else { return };
        // A full disk must not stop the run that may be there to free it.
        self.broken |= file.write_all(format!("{line}\n").as_bytes()).is_err();
        if now {
            let _ = file.sync_data();
        }
    }
}

/// Finds the runs that died.
pub fn interrupted(folder: &Path) -> Vec<Interrupted> {
    let mut out = Vec::new();
    for name in disk::names(folder, ".jsonl") {
        let path = folder.join(format!("{name}.jsonl"));
        let Ok(file) = File::open(&path) else { continue };
        if flock(&file, FlockOperation::NonBlockingLockShared).is_ok() {
            out.push(read(&fs::read_to_string(&path).unwrap_or_default(), name));
        }
    }
    out
}

/// Forgets a run that died.
pub fn forget(folder: &Path, jid: &str) {
    let path = disk::of_job(folder, jid, ".jsonl");
    if File::open(&path).is_ok_and(|file| flock(&file, FlockOperation::NonBlockingLockShared).is_ok()) {
        let _ = fs::remove_file(path);
    }
}

fn read(text: &str, jid: String) -> Interrupted {
    let mut found = Interrupted { jid, ..Interrupted::default() };
    let mut under_way: Vec<(u32, String)> = Vec::new();
    // The last line may be cut short: what cannot be read was not finished.
    for line in text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok()) {
        if let Some(jid) = line["jid"].as_str() {
            found.jid = jid.to_owned();
            found.finished = serde_json::from_value(line["finished"].clone()).unwrap_or(0);
            under_way = serde_json::from_value(line["under_way"].clone()).unwrap_or_default();
        } else if let (Some(number), Some(tag)) = (line["start"].as_u64(), line["tag"].as_str()) {
            under_way.push((u32::try_from(number).unwrap_or(0), tag.to_owned()));
        } else if let Some(tag) = line["done"].as_str() {
            found.finished += 1;
            under_way.retain(|(_, running)| running != tag);
            found.effect = None;
        } else if let Some(effect) = line["effect"].as_str() {
            found.effect = Some(effect.to_owned());
        }
    }
    found.at = under_way.pop();
    found
}

/// Says what an effect is, without content: it may be secret.
fn words(effect: &Effect) -> String {
    match effect {
        Effect::WriteFile { path, .. } => format!("write {}", path.display()),
        Effect::Mkdir { path, .. } => format!("make directory {}", path.display()),
        Effect::Symlink { path, .. } | Effect::Hardlink { path, .. } => format!("link {}", path.display()),
        Effect::Rename { from, to } => format!("rename {} to {}", from.display(), to.display()),
        Effect::Copy { from, to, .. } => format!("copy {} to {}", from.display(), to.display()),
        Effect::Remove { path } => format!("remove {}", path.display()),
        Effect::Attrs { path, .. } => format!("set owner and mode of {}", path.display()),
        Effect::Times { path, .. } => format!("set times of {}", path.display()),
        Effect::Exec(command) => format!("run {}", command.argv.first().map_or("a program", String::as_str)),
        Effect::Call { fun, .. } => format!("call {fun}"),
    }
}

/// The journal beside a machine, told of each effect before it begins.
pub struct Journaled<'a> {
    pub host: &'a dyn Act,
    pub journal: &'a Journal,
}

impl Before for Journaled<'_> {
    fn host(&self) -> &dyn Act {
        self.host
    }
    fn before(&self, effect: &Effect) -> HostResult<()> {
        self.journal.effect(effect);
        Ok(())
    }
}
