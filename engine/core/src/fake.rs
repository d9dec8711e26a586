//! A machine in memory, for tests: an overlay over nothing, with a table of answers to commands. It
//! can be told to fail at its n-th effect.

use crate::host::{Act, Command, FileKind, Group, HostError, HostResult, Look, Meta, Output, User};
use crate::overlay::Overlay;
use crate::plan::{Attrs, Content, Effect, Observed, Owner, Prediction, Step};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};

/// A machine with nothing but a root directory.
#[derive(Default)]
pub struct Nothing;

static NOTHING: Nothing = Nothing;

/// A machine in memory.
pub struct Fake {
    state: Overlay<'static>,
    answers: Mutex<BTreeMap<String, Output>>,
    programs: Mutex<BTreeMap<String, PathBuf>>,
    /// What has been performed, in order.
    pub performed: Mutex<Vec<Effect>>,
    fail_after: AtomicI64,
    programs_do: Option<Programs>,
}

/// What programs do to the machine: a model of its own, against which predictions are checked. `None`: not
/// a program of the model, the table of answers is asked.
pub type Programs = Box<dyn Fn(&Fake, &Command) -> Option<Output> + Send + Sync>;

impl Default for Fake {
    fn default() -> Self {
        let fake = Self {
            state: Overlay::new(&NOTHING),
            answers: Mutex::default(),
            programs: Mutex::default(),
            performed: Mutex::default(),
            fail_after: AtomicI64::new(-1),
            programs_do: None,
        };
        fake.add_user(User { name: "root".into(), home: "/root".into(), shell: "/bin/sh".into(), ..User::default() });
        fake.add_group(Group { name: "root".into(), ..Group::default() });
        fake
    }
}

impl Fake {
    /// Makes a machine with a root user and an empty root directory.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts a file there, with its parent directories.
    pub fn add_file(&self, path: &str, content: impl Into<Vec<u8>>, mode: u32) {
        self.add_parents(path);
        let attrs = Attrs { mode: Some(mode), ..Attrs::default() };
        let content = Content::Bytes(content.into());
        let _ = self.state.apply(&Effect::WriteFile { path: path.into(), content, attrs, backup: None });
    }

    /// Puts a directory there, with its parents.
    pub fn add_dir(&self, path: &str, mode: u32) {
        self.add_parents(path);
        let attrs = Attrs { mode: Some(mode), ..Attrs::default() };
        let _ = self.state.apply(&Effect::Mkdir { path: path.into(), attrs });
    }

    /// Puts a symbolic link there.
    pub fn add_link(&self, path: &str, target: &str) {
        self.add_parents(path);
        let _ =
            self.state.apply(&Effect::Symlink { path: path.into(), target: target.into(), attrs: Attrs::default() });
    }

    /// Sets who owns a path.
    pub fn own(&self, path: &str, uid: u32, gid: u32) {
        let attrs = Attrs { user: Some(Owner::Id(uid)), group: Some(Owner::Id(gid)), mode: None };
        let _ = self.state.apply(&Effect::Attrs { path: path.into(), attrs, follow: false });
    }

    /// Adds a user.
    pub fn add_user(&self, user: User) {
        self.predict(Prediction::User(user.name.clone(), Some(user)));
    }

    /// Adds a group.
    pub fn add_group(&self, group: Group) {
        self.predict(Prediction::Group(group.name.clone(), Some(group)));
    }

    /// Sets what a command line answers; arguments are joined with spaces.
    pub fn answer(&self, line: &str, code: i32, stdout: &str) {
        let output = Output { code, stdout: stdout.into(), ..Output::default() };
        self.answers.lock().expect("no test panics with it").insert(line.into(), output);
        if let Some(program) = line.split(' ').next() {
            self.add_program(program);
        }
    }

    /// Lets programs change the machine.
    pub fn with_programs(mut self, programs: Programs) -> Self {
        self.programs_do = Some(programs);
        self
    }

    /// Performs an effect without a record of it: what a program of the model does.
    pub fn alter(&self, effect: &Effect) -> HostResult<Observed> {
        self.state.apply(effect)
    }

    /// Makes a program known to `which`.
    pub fn add_program(&self, program: &str) {
        let path = Path::new("/usr/bin").join(program);
        self.programs.lock().expect("no test panics with it").insert(program.into(), path);
    }

    /// Lets `n` effects pass and fails the next.
    pub fn fail_after(&self, n: i64) {
        self.fail_after.store(n, Ordering::SeqCst);
    }

    /// Takes in predictions as facts.
    pub fn predict(&self, prediction: Prediction) {
        let effect = Effect::Exec(Command::default());
        self.state.absorb(&Step { effect, predicts: vec![prediction], must_succeed: true });
    }

    fn add_parents(&self, path: &str) {
        let parents: Vec<_> = Path::new(path).ancestors().skip(1).collect();
        for parent in parents.iter().rev() {
            if self.state.lstat(parent).ok().flatten().is_none() {
                let attrs = Attrs { mode: Some(0o755), ..Attrs::default() };
                let _ = self.state.apply(&Effect::Mkdir { path: parent.to_path_buf(), attrs });
            }
        }
    }
}

impl Look for Nothing {
    fn lstat(&self, path: &Path) -> HostResult<Option<Meta>> {
        let root = Meta { kind: FileKind::Dir, mode: 0o755, uid: 0, gid: 0, size: 0, mtime: 0, ino: 1, dev: 1 };
        Ok((path == Path::new("/")).then_some(root))
    }
    fn stat(&self, path: &Path) -> HostResult<Option<Meta>> {
        self.lstat(path)
    }
    fn read(&self, path: &Path) -> HostResult<Vec<u8>> {
        Err(HostError::io(format!("read {}", path.display()), &std::io::ErrorKind::NotFound.into()))
    }
    fn sha256(&self, path: &Path) -> HostResult<[u8; 32]> {
        self.read(path).map(|_| [0; 32])
    }
    fn read_link(&self, path: &Path) -> HostResult<PathBuf> {
        self.read(path).map(|_| PathBuf::new())
    }
    fn list(&self, path: &Path) -> HostResult<Vec<String>> {
        if path == Path::new("/") { Ok(vec![]) } else { self.read(path).map(|_| vec![]) }
    }
    fn query(&self, command: &Command) -> HostResult<Output> {
        Err(HostError::io(format!("run {}", command.argv.join(" ")), &std::io::ErrorKind::NotFound.into()))
    }
    fn user(&self, _: &str) -> HostResult<Option<User>> {
        Ok(None)
    }
    fn user_by_id(&self, _: u32) -> HostResult<Option<User>> {
        Ok(None)
    }
    fn group(&self, _: &str) -> HostResult<Option<Group>> {
        Ok(None)
    }
    fn group_by_id(&self, _: u32) -> HostResult<Option<Group>> {
        Ok(None)
    }
    fn groups(&self) -> HostResult<Vec<Group>> {
        Ok(vec![])
    }
    fn which(&self, _: &str) -> Option<PathBuf> {
        None
    }
}

impl Look for Fake {
    fn lstat(&self, path: &Path) -> HostResult<Option<Meta>> {
        self.state.lstat(path)
    }
    fn stat(&self, path: &Path) -> HostResult<Option<Meta>> {
        self.state.stat(path)
    }
    fn read(&self, path: &Path) -> HostResult<Vec<u8>> {
        self.state.read(path)
    }
    fn sha256(&self, path: &Path) -> HostResult<[u8; 32]> {
        Ok(crate::digest::sha256(&self.read(path)?))
    }
    fn read_link(&self, path: &Path) -> HostResult<PathBuf> {
        self.state.read_link(path)
    }
    fn list(&self, path: &Path) -> HostResult<Vec<String>> {
        self.state.list(path)
    }
    fn query(&self, command: &Command) -> HostResult<Output> {
        if let Some(output) = self.programs_do.as_ref().and_then(|run| run(self, command)) {
            return Ok(output);
        }
        let line = command.argv.join(" ");
        let answers = self.answers.lock().expect("no test panics with it");
        answers
            .get(&line)
            .cloned()
            .ok_or_else(|| HostError::io(format!("run {line}"), &std::io::ErrorKind::NotFound.into()))
    }
    fn user(&self, name: &str) -> HostResult<Option<User>> {
        self.state.user(name)
    }
    fn user_by_id(&self, uid: u32) -> HostResult<Option<User>> {
        self.state.user_by_id(uid)
    }
    fn group(&self, name: &str) -> HostResult<Option<Group>> {
        self.state.group(name)
    }
    fn group_by_id(&self, gid: u32) -> HostResult<Option<Group>> {
        self.state.group_by_id(gid)
    }
    fn groups(&self) -> HostResult<Vec<Group>> {
        self.state.groups()
    }
    fn which(&self, program: &str) -> Option<PathBuf> {
        self.programs.lock().expect("no test panics with it").get(program).cloned()
    }
    fn predicted(&self, fact: &str) -> Option<crate::value::Value> {
        self.state.predicted(fact)
    }
}

impl Act for Fake {
    fn perform(&self, effect: &Effect) -> HostResult<Observed> {
        if self.fail_after.fetch_sub(1, Ordering::SeqCst) == 0 {
            return Err(HostError::io("perform", &std::io::ErrorKind::StorageFull.into()));
        }
        self.performed.lock().expect("no test panics with it").push(effect.clone());
        match effect {
            Effect::Exec(command) => Ok(Observed::Ran(self.query(command).unwrap_or_default())),
            other => self.state.apply(other),
        }
    }
    fn as_look(&self) -> &dyn Look {
        self
    }
}
