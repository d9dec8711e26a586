//! What recipes change on the host, as it was before: kept on the disk before each effect, so that a failed deployment,
//! or the start after a killed one, puts it back. Commands cannot be undone; they are only named.

use crate::{Layout, ProjectError, R, copy, disk};
use corpus_core::host::{Before, Command, HostError, HostResult};
use corpus_core::{Act, Effect, Observed};
use corpus_exec::service::{self, Action, Options};
use corpus_master::Machine;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

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
    /// The path is a service's name.
    Service {
        running: bool,
        enabled: bool,
    },
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
    /// Once it is set, nothing changes any more.
    stop: Option<Arc<AtomicBool>>,
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
        Self { host, folder, except: layout.dir.clone(), state: Mutex::new(state), stop: None }
    }

    /// Lets nothing change once a flag is set.
    pub fn until(mut self, stop: Option<Arc<AtomicBool>>) -> Self {
        self.stop = stop;
        self
    }

    fn keep_for(&self, effect: &Effect) -> R<()> {
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
            Effect::Exec(command) => match service_of(&command.argv) {
                Some(name) => self.service(&mut state, name),
                None => Ok(()),
            },
            Effect::Times { .. } | Effect::Call { .. } => Ok(()),
        }
    }

    fn service(&self, state: &mut State, name: &str) -> R<()> {
        let path = PathBuf::from(name);
        if state.seen.contains(&path) {
            return Ok(());
        }
        // What cannot be asked cannot be put back either; the recipe finds that out by itself.
        let Ok(status) = service::status(self.host.as_look(), name, None) else { return Ok(()) };
        state.seen.insert(path.clone());
        self.line(state, Line { path, was: Was::Service { running: status.running, enabled: status.enabled } })
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

/// Names the service that a command of the service managers acts on.
fn service_of(argv: &[String]) -> Option<&str> {
    let program = Path::new(argv.first()?);
    let mut words = argv[1..].iter().map(String::as_str).filter(|word| !word.starts_with('-'));
    if program.parent() == Some(Path::new("/etc/init.d")) {
        return program.file_name()?.to_str();
    }
    match program.file_name()?.to_str()? {
        "systemctl" => words.nth(1).map(|unit| unit.strip_suffix(".service").unwrap_or(unit)),
        "service" | "rc-service" | "update-rc.d" | "chkconfig" => words.next(),
        "rc-update" => words.nth(1),
        "sv" => words.nth(1).map(|path| path.rsplit('/').next().unwrap_or(path)),
        _ => None,
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
    let lines = lines(&folder);
    for line in lines.iter().rev() {
        match put_back(&folder, line) {
            Ok(true) => done.push(line.path.clone()),
            Ok(false) => {}
            Err(error) => wrong.push(format!("{}: {error}", line.path.display())),
        }
    }
    // Services last: they read the files.
    let services: Vec<&Line> = lines.iter().filter(|line| matches!(line.was, Was::Service { .. })).collect();
    if !services.is_empty() && Path::new("/run/systemd/system").is_dir() {
        let _ = Machine::new().perform(&Effect::Exec(Command::new(["systemctl", "daemon-reload"])));
    }
    for line in services {
        match service_back(line) {
            Ok(true) => done.push(line.path.clone()),
            Ok(false) => {}
            Err(error) => wrong.push(format!("service {}: {error}", line.path.display())),
        }
    }
    match wrong.is_empty() {
        true => Ok(done),
        false => Err(ProjectError::new(format!("could not be put back: {}", wrong.join("; ")))
            .hint(format!("what they were is in {}", folder.display()))),
    }
}

/// Makes a service run, or not, as it did; one that ran reads its files again.
fn service_back(line: &Line) -> HostResult<bool> {
    let Was::Service { running, enabled } = line.was else { return Ok(false) };
    let machine = Machine::new();
    let name = line.path.to_string_lossy();
    let now = service::status(&machine, &name, None)?;
    let run = match (running, now.running) {
        (true, true) => Some(Action::ForceReload),
        (true, false) => Some(Action::Start),
        (false, true) => Some(Action::Stop),
        (false, false) => None,
    };
    let enable = (enabled != now.enabled).then_some(if enabled { Action::Enable } else { Action::Disable });
    let mut done = false;
    for action in run.into_iter().chain(enable) {
        for step in service::steps(&machine, action, &name, Options::default())? {
            if let Observed::Ran(output) = machine.perform(&step.effect)?
                && !output.ok()
            {
                let said = output.stderr_text() + &output.stdout_text();
                return Err(HostError::other(format!("{action:?}"), said.trim()));
            }
            done = true;
        }
    }
    Ok(done)
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
        Was::Service { .. } => Ok(false),
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

impl Before for Recording {
    fn host(&self) -> &dyn Act {
        &*self.host
    }
    fn before(&self, effect: &Effect) -> HostResult<()> {
        if self.stop.as_ref().is_some_and(|stop| stop.load(Ordering::Relaxed)) {
            return Err(HostError::other("change anything", "the deployment was stopped"));
        }
        // What cannot be undone is not begun: a full disk is found here, before damage.
        self.keep_for(effect).map_err(|error| HostError::other("keep what was there", error.message))
    }
}

#[cfg(test)]
mod tests {
    use super::service_of;

    #[test]
    fn sees_which_service_a_command_is_about() {
        for (line, name) in [
            ("systemctl --no-block restart nginx.service", Some("nginx")),
            ("systemctl enable php8.4-fpm.service", Some("php8.4-fpm")),
            ("service nginx reload", Some("nginx")),
            ("/etc/init.d/cron start", Some("cron")),
            ("rc-update add nginx", Some("nginx")),
            ("systemctl daemon-reload", None),
            ("apt-get install nginx", None),
        ] {
            let argv: Vec<String> = line.split(' ').map(str::to_owned).collect();
            assert_eq!(service_of(&argv), name, "{line}");
        }
    }
}
