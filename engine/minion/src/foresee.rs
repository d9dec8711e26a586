//! What a run is going to ask of its master, found by planning each state against a machine where everything
//! is there but the file itself. The answers go with the run: an unchanged file then costs no round trip.

use corpus_core::exec::{Call, Caller};
use corpus_core::host::{Command, FileKind, HostResult, Meta};
use corpus_core::{
    Data, ExecError, Group, HostError, Look, LowState, Output, PlanCx, Registry, Source, User, Value, python, state,
};
use std::path::{Path, PathBuf};

/// Lets each state that names a source ask `source`, which keeps what it was asked.
pub fn foresee(registry: &Registry, low: &LowState, data: &Data, source: &dyn Source) {
    for chunk in &low.chunks {
        if !["source", "sources", "template"].iter().any(|arg| chunk.args.contains(arg)) {
            continue;
        }
        let Some(def) = registry.state(&chunk.full_name()) else { continue };
        let Ok(planned) = (def.decode)(&state::arguments(chunk)) else { continue };
        let host = Elsewhere { file: PathBuf::from(python::str(&chunk.name)) };
        let cx = PlanCx {
            host: &host,
            source,
            caller: &Nobody,
            data,
            low: chunk,
            test: true,
            accumulated: &[],
            chunks: &low.chunks,
        };
        // Only the questions matter; the plan is of a machine that does not exist.
        let _ = planned.plan(&cx);
    }
}

/// A machine that has every directory and user, and not the one file.
struct Elsewhere {
    file: PathBuf,
}

struct Nobody;

impl Caller for Nobody {
    fn call(&self, call: &Call) -> Result<Value, ExecError> {
        Err(ExecError::NotFound(call.fun.clone()))
    }
    fn has(&self, _: &str) -> bool {
        false
    }
    fn names(&self) -> Vec<String> {
        vec![]
    }
}

fn nothing<T>(what: &Path) -> HostResult<T> {
    Err(HostError::io(what.display().to_string(), &std::io::ErrorKind::NotFound.into()))
}

impl Look for Elsewhere {
    fn lstat(&self, path: &Path) -> HostResult<Option<Meta>> {
        let dir = Meta { kind: FileKind::Dir, mode: 0o755, uid: 0, gid: 0, size: 0, mtime: 0, ino: 0, dev: 0 };
        Ok((!path.starts_with(&self.file)).then_some(dir))
    }
    fn stat(&self, path: &Path) -> HostResult<Option<Meta>> {
        self.lstat(path)
    }
    fn read(&self, path: &Path) -> HostResult<Vec<u8>> {
        nothing(path)
    }
    fn sha256(&self, path: &Path) -> HostResult<[u8; 32]> {
        nothing(path)
    }
    fn read_link(&self, path: &Path) -> HostResult<PathBuf> {
        nothing(path)
    }
    fn list(&self, _: &Path) -> HostResult<Vec<String>> {
        Ok(vec![])
    }
    fn query(&self, command: &Command) -> HostResult<Output> {
        nothing(Path::new(command.argv.first().map_or("", String::as_str)))
    }
    fn user(&self, name: &str) -> HostResult<Option<User>> {
        Ok(Some(User { name: name.into(), ..User::default() }))
    }
    fn user_by_id(&self, uid: u32) -> HostResult<Option<User>> {
        Ok(Some(User { uid, ..User::default() }))
    }
    fn group(&self, name: &str) -> HostResult<Option<Group>> {
        Ok(Some(Group { name: name.into(), ..Group::default() }))
    }
    fn group_by_id(&self, gid: u32) -> HostResult<Option<Group>> {
        Ok(Some(Group { gid, ..Group::default() }))
    }
    fn groups(&self) -> HostResult<Vec<Group>> {
        Ok(vec![])
    }
    fn which(&self, _: &str) -> Option<PathBuf> {
        None
    }
}
