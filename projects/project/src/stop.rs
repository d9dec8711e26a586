//! What ends a deployment before its time: a limit, or somebody who cancels it.

use crate::{Layout, ProjectError, R, disk};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How the reason of an end begins.
pub const CANCELLED: &str = "cancelled by ";
pub const LATE: &str = "it took longer than ";
/// How often it is looked whether somebody cancels.
const PAUSE: Duration = Duration::from_millis(100);

/// Who wants which deployment to end.
#[derive(Debug, Serialize, Deserialize)]
struct Cancel {
    id: String,
    who: String,
}

fn file(layout: &Layout) -> PathBuf {
    layout.corpus.join("cancel")
}

/// Asks a deployment to end.
pub fn ask(layout: &Layout, id: &str, who: &str) -> R<()> {
    let cancel = Cancel { id: id.to_owned(), who: who.to_owned() };
    disk::write(&file(layout), serde_json::to_string(&cancel).unwrap_or_default().as_bytes(), 0o600)
}

/// Somebody's word, from within this program, that a deployment is to end: shared by who says it and who hears it.
#[derive(Clone, Debug, Default)]
pub struct Cancelled(Arc<Mutex<Option<String>>>);

impl Cancelled {
    /// Says who wants the end; the first one is remembered.
    pub fn by(&self, who: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| who.to_owned());
    }

    /// Returns who wants the end, if anybody does.
    pub fn who(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Returns an error once a deployment is to end: what takes long asks between two pieces of its work.
pub fn check(flag: Option<&AtomicBool>) -> R<()> {
    match flag.is_some_and(|flag| flag.load(Ordering::Relaxed)) {
        true => Err(ProjectError::new("it was interrupted: the deployment is to end")),
        false => Ok(()),
    }
}

/// Watches for the end of a deployment's time.
#[derive(Debug)]
pub struct Stop {
    flag: Arc<AtomicBool>,
    why: Arc<Mutex<Option<String>>>,
    file: PathBuf,
    /// Ends the watch when it is dropped.
    _end: Sender<()>,
}

impl Stop {
    /// Begins to watch, for a deployment that may take so many seconds; 0 is no limit.
    pub fn watch(layout: &Layout, id: &str, limit: u64, within: &Cancelled) -> Self {
        let (end, ended) = channel::<()>();
        let (flag, why, file) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(None)), file(layout));
        let stop = Self { flag: flag.clone(), why: why.clone(), file: file.clone(), _end: end };
        let until = (limit > 0).then(|| Instant::now() + Duration::from_secs(limit));
        let (id, within) = (id.to_owned(), within.clone());
        let _ = std::thread::Builder::new().name("stop".into()).spawn(move || {
            while let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(PAUSE) {
                let late = until.is_some_and(|until| Instant::now() >= until);
                let text = match within.who().or_else(|| cancelled(&file, &id)) {
                    Some(who) => format!("{CANCELLED}{who}"),
                    None if late => format!("{LATE}deploy_timeout allows, {limit} seconds"),
                    None => continue,
                };
                *why.lock().unwrap_or_else(PoisonError::into_inner) = Some(text);
                flag.store(true, Ordering::Relaxed);
                return;
            }
        });
        stop
    }

    /// Returns what programs of the deployment look at.
    pub fn flag(&self) -> Arc<AtomicBool> {
        self.flag.clone()
    }

    /// Tells why the deployment is to end, if it is.
    pub fn why(&self) -> Option<String> {
        self.why.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Stop {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.file);
    }
}

fn cancelled(file: &std::path::Path, id: &str) -> Option<String> {
    let text = std::fs::read(file).ok()?;
    serde_json::from_slice::<Cancel>(&text).ok().filter(|cancel| cancel.id == id).map(|cancel| cancel.who)
}
