//! What recipes change on the host, as it was before: kept on the disk before each effect, so that a failed deployment,
//! or the start after a killed one, puts it back. Commands cannot be undone; they are only named.

use crate::{Layout, ProjectError, R, copy, disk};
use corpus_core::host::{Command, Group, HostError, HostResult, Look, Memo, Meta, Output, User};
use corpus_core::{Act, Effect, Observed, Value};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// What a path was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Was {
    Absent,
    /// A file or a whole tree, kept under this number.
    Kept(u32),
    Link(PathBuf),
    Attrs {
        uid: u32,
        gid: u32,
        mode: u32,
    },
    /// It has moved from here to there.
    Moved(PathBuf),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Line {
    path: PathBuf,
    was: Was,
}

/// A machine whose files are kept before they change.
pub struct Recording {
    host: Box<dyn Act>,
    folder: PathBuf,
    /// What has its own way back: the project's trees.
    except: PathBuf,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    file: Option<File>,
    number: u32,
    /// Paths whose first state is known: a later one does not matter.
    seen: HashSet<PathBuf>,
    /// Trees that are kept whole.
    trees: HashSet<PathBuf>,
}

fn folder(layout: &Layout, id: &str) -> PathBuf {
    layout.corpus.join("undo").join(id)
}

impl Recording {
    /// Makes the machine of a deployment; what was recorded for it before is gone on with.
    pub fn new(host: Box<dyn Act>, layout: &Layout, id: &str) -> Self {
        let folder = folder(layout, id);
        let lines = lines(&folder);
        let number = lines.iter().filter_map(|line| if let Was::Kept(n) = line.was { Some(n) } else { None }).max();
        let state = State {
            number: number.unwrap_or(0),
            trees: HashSet::new(),
            seen: lines
                .into_iter()
                .filter(|line| !matches!(line.was, Was::Attrs { .. }))
                .map(|line| line.path)
                .collect(),
            file: None,
        };
        Self { host, folder, except: layout.dir.clone(), state: Mutex::new(state) }
    }

    fn before(&self, effect: &Effect) -> R<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match effect {
            Effect::WriteFile { path, .. }
            | Effect::Symlink { path, .. }
            | Effect::Hardlink { path, .. }
            | Effect::Mkdir { path, .. }
            | Effect::Remove { path }
            | Effect::Copy { to: path, .. } => self.keep(&mut state, path),
            Effect::Attrs { path, .. } => self.attrs(&mut state, path),
            Effect::Rename { from, to } => {
                self.keep(&mut state, to)?;
                match state.seen.contains(from) || from.starts_with(&self.except) {
                    true => Ok(()),
                    false => self.line(&mut state, Line { path: from.clone(), was: Was::Moved(to.clone()) }),
                }
            }
            Effect::Times { .. } | Effect::Exec(_) | Effect::Call { .. } => Ok(()),
        }
    }

    fn keep(&self, state: &mut State, path: &Path) -> R<()> {
        if state.covers(path) || path.starts_with(&self.except) {
            return Ok(());
        }
        let was = match std::fs::symlink_metadata(path) {
            Err(_) => Was::Absent,
            Ok(meta) if meta.is_symlink() => {
                Was::Link(std::fs::read_link(path).map_err(|error| ProjectError::io("read", path, error))?)
            }
            Ok(meta) if meta.is_dir() || meta.is_file() => {
                state.number += 1;
                self.open(state)?;
                let to = self.folder.join(state.number.to_string());
                let _ = std::fs::remove_dir_all(&to).or_else(|_| std::fs::remove_file(&to));
                if meta.is_dir() {
                    copy::tree(path, &to)?;
                    state.trees.insert(path.to_owned());
                } else {
                    copy::file(path, &to)?;
                }
                Was::Kept(state.number)
            }
            Ok(_) => return Ok(()),
        };
        state.seen.insert(path.to_owned());
        self.line(state, Line { path: path.to_owned(), was })
    }

    fn attrs(&self, state: &mut State, path: &Path) -> R<()> {
        let covered = state.covers(path) || path.starts_with(&self.except);
        match std::fs::metadata(path) {
            Ok(meta) if !covered => {
                let was = Was::Attrs { uid: meta.uid(), gid: meta.gid(), mode: meta.mode() & 0o7777 };
                self.line(state, Line { path: path.to_owned(), was })
            }
            _ => Ok(()),
        }
    }

    fn open(&self, state: &mut State) -> R<()> {
        if state.file.is_some() {
            return Ok(());
        }
        for folder in self.folder.ancestors().take(2).collect::<Vec<_>>().into_iter().rev() {
            disk::private_dir(folder)?;
        }
        let path = self.folder.join("index");
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(&path);
        state.file = Some(file.map_err(|error| ProjectError::io("open", &path, error))?);
        Ok(())
    }

    fn line(&self, state: &mut State, line: Line) -> R<()> {
        self.open(state)?;
        let text = serde_json::to_string(&line).map_err(|error| ProjectError::new(error.to_string()))?;
        let Some(file) = &mut state.file else { return Ok(()) };
        let mut write = || -> std::io::Result<()> {
            if matches!(line.was, Was::Kept(_)) {
                rustix::fs::syncfs(&*file)?;
            }
            file.write_all(format!("{text}\n").as_bytes())?;
            file.sync_data()
        };
        write().map_err(|error| ProjectError::io("write", &self.folder, error))
    }
}

impl State {
    fn covers(&self, path: &Path) -> bool {
        self.seen.contains(path) || path.ancestors().any(|above| self.trees.contains(above))
    }
}

fn lines(folder: &Path) -> Vec<Line> {
    let text = std::fs::read_to_string(folder.join("index")).unwrap_or_default();
    // A line that was cut short belongs to an effect that did not begin.
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// Puts everything back that a deployment changed on the host; the last change first. Tells what was put back.
pub fn restore(layout: &Layout, id: &str) -> R<Vec<PathBuf>> {
    let folder = folder(layout, id);
    let mut done = vec![];
    let mut wrong: Vec<String> = vec![];
    for line in lines(&folder).into_iter().rev() {
        match put_back(&folder, &line) {
            Ok(true) => done.push(line.path),
            Ok(false) => {}
            Err(error) => wrong.push(format!("{}: {error}", line.path.display())),
        }
    }
    match wrong.is_empty() {
        true => Ok(done),
        false => Err(ProjectError::new(format!("could not be put back: {}", wrong.join("; ")))
            .hint(format!("what they were is in {}", folder.display()))),
    }
}

fn put_back(folder: &Path, line: &Line) -> std::io::Result<bool> {
    let path = &line.path;
    let temporary = path.with_file_name(format!(".corpus-undo-{}", std::process::id()));
    match &line.was {
        Was::Absent => match std::fs::symlink_metadata(path) {
            // Only what is empty: others may have put something into it.
            Ok(meta) if meta.is_dir() => Ok(std::fs::remove_dir(path).is_ok()),
            Ok(_) => std::fs::remove_file(path).map(|()| true),
            Err(_) => Ok(false),
        },
        Was::Link(target) => {
            if std::fs::read_link(path).is_ok_and(|now| now == *target) {
                return Ok(false);
            }
            let _ = std::fs::remove_file(&temporary);
            std::os::unix::fs::symlink(target, &temporary)?;
            std::fs::rename(&temporary, path).map(|()| true)
        }
        Was::Kept(number) => {
            let kept = folder.join(number.to_string());
            let say = |error: ProjectError| std::io::Error::other(error.message);
            if kept.is_dir() {
                if path.is_dir() {
                    return Ok(false);
                }
                copy::tree(&kept, path).map_err(say)?;
                return Ok(true);
            }
            if same(&kept, path) {
                return Ok(false);
            }
            let _ = std::fs::remove_file(&temporary);
            copy::file(&kept, &temporary).map_err(say)?;
            // A mount point cannot be renamed over.
            std::fs::rename(&temporary, path).or_else(|_| {
                let written = std::fs::read(&kept).and_then(|bytes| std::fs::write(path, bytes));
                let _ = std::fs::remove_file(&temporary);
                written
            })?;
            Ok(true)
        }
        Was::Attrs { uid, gid, mode } => {
            let Ok(meta) = std::fs::metadata(path) else { return Ok(false) };
            if (meta.uid(), meta.gid(), meta.mode() & 0o7777) == (*uid, *gid, *mode) {
                return Ok(false);
            }
            std::os::unix::fs::chown(path, Some(*uid), Some(*gid))?;
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(*mode)).map(|()| true)
        }
        Was::Moved(to) => match path.exists() {
            true => Ok(false),
            false => std::fs::rename(to, path).map(|()| true),
        },
    }
}

fn same(kept: &Path, path: &Path) -> bool {
    let (Ok(one), Ok(other)) = (std::fs::metadata(kept), std::fs::symlink_metadata(path)) else { return false };
    let attrs = |meta: &std::fs::Metadata| (meta.len(), meta.mode(), meta.uid(), meta.gid());
    attrs(&one) == attrs(&other) && std::fs::read(kept).ok() == std::fs::read(path).ok()
}

/// Forgets what was kept.
pub fn forget(layout: &Layout, id: &str) -> R<()> {
    let folder = folder(layout, id);
    match std::fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(ProjectError::io("remove", &folder, error)),
        _ => Ok(()),
    }
}

impl Act for Recording {
    fn perform(&self, effect: &Effect) -> HostResult<Observed> {
        // What cannot be undone is not begun: a full disk is found here, before damage.
        self.before(effect).map_err(|error| HostError::other("keep what was there", error.message))?;
        self.host.perform(effect)
    }
    fn as_look(&self) -> &dyn Look {
        self.host.as_look()
    }
}

impl Look for Recording {
    fn lstat(&self, path: &Path) -> HostResult<Option<Meta>> {
        self.host.lstat(path)
    }
    fn stat(&self, path: &Path) -> HostResult<Option<Meta>> {
        self.host.stat(path)
    }
    fn read(&self, path: &Path) -> HostResult<Vec<u8>> {
        self.host.read(path)
    }
    fn sha256(&self, path: &Path) -> HostResult<[u8; 32]> {
        self.host.sha256(path)
    }
    fn read_link(&self, path: &Path) -> HostResult<PathBuf> {
        self.host.read_link(path)
    }
    fn list(&self, path: &Path) -> HostResult<Vec<String>> {
        self.host.list(path)
    }
    fn query(&self, command: &Command) -> HostResult<Output> {
        self.host.query(command)
    }
    fn user(&self, name: &str) -> HostResult<Option<User>> {
        self.host.user(name)
    }
    fn user_by_id(&self, uid: u32) -> HostResult<Option<User>> {
        self.host.user_by_id(uid)
    }
    fn group(&self, name: &str) -> HostResult<Option<Group>> {
        self.host.group(name)
    }
    fn group_by_id(&self, gid: u32) -> HostResult<Option<Group>> {
        self.host.group_by_id(gid)
    }
    fn groups(&self) -> HostResult<Vec<Group>> {
        self.host.groups()
    }
    fn which(&self, program: &str) -> Option<PathBuf> {
        self.host.which(program)
    }
    fn predicted(&self, fact: &str) -> Option<Value> {
        self.host.predicted(fact)
    }
    fn memo(&self, key: &str, stamp: &str, make: &mut dyn FnMut() -> HostResult<Memo>) -> HostResult<Memo> {
        self.host.memo(key, stamp, make)
    }
}
