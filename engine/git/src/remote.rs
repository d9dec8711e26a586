//! Repositories elsewhere, as pillar needs them: fetched by the git program into a cache, read by libgit2 from there. What
//! was fetched last stays good when the remote is away, and whoever reads it is told so.

pub use git2::Oid;
use git2::{ObjectType, Repository};
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Component, Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

/// A repository somewhere and how to get at it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Remote {
    /// Without credentials: those are [`Remote::user`] and [`Remote::password`].
    pub url: String,
    pub user: Option<String>,
    pub password: Option<String>,
    /// Lets the password go over a connection that is not encrypted.
    pub insecure_auth: bool,
    pub private_key: Option<PathBuf>,
    pub passphrase: Option<String>,
    pub verify_tls: bool,
    pub proxy: Option<String>,
    pub refspecs: Vec<String>,
    /// How many commits of each branch; 0 means all.
    pub depth: u32,
}

/// What a name may stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefKind {
    Branch,
    Tag,
    Commit,
}

/// Why a remote or its copy is not to be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RemoteError {
    /// The remote did not give what it was asked for.
    #[error("{0}")]
    Fetch(String),
    #[error("it did not answer within {0} seconds")]
    Slow(u64),
    /// The cache on this machine.
    #[error("the cache {0}: {1}")]
    Cache(String, String),
}

/// The copy of a remote on this machine.
#[derive(Clone, Debug)]
pub struct Mirror {
    pub remote: Remote,
    dir: PathBuf,
}

impl Remote {
    /// Makes a remote of an URL, taking the credentials out of it: URLs are shown.
    pub fn new(url: &str) -> Self {
        let mut remote = Self {
            url: url.to_owned(),
            verify_tls: true,
            refspecs: ["+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*"].map(str::to_owned).into(),
            ..Self::default()
        };
        if let Some((scheme, rest)) = url.split_once("://").filter(|(scheme, _)| scheme.starts_with("http")) {
            let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            if let Some((credentials, host)) = authority.rsplit_once('@') {
                let (user, password) = credentials.split_once(':').map_or((credentials, None), |(u, p)| (u, Some(p)));
                remote.user = Some(decoded(user));
                remote.password = password.map(decoded);
                remote.url = format!("{scheme}://{host}{path}");
            }
        }
        remote
    }

    fn is_local(&self) -> bool {
        self.url.starts_with('/') || self.url.starts_with("file://")
    }
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let hex = tail.get(..2).filter(|_| *first == b'%').and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => (bytes.push(byte), rest = &tail[2..]),
            None => (bytes.push(*first), rest = tail),
        };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

impl Mirror {
    /// Names the copy of a remote below a directory; nothing is made before it is fetched.
    pub fn of(remote: Remote, cache: &Path) -> Self {
        // Who fetched it belongs to the name: two keys may see two things.
        let key = format!("{}\n{:?}\n{:?}\n{:?}", remote.url, remote.user, remote.private_key, remote.refspecs);
        let name = Oid::hash_object(ObjectType::Blob, key.as_bytes()).map_or_else(|_| "0".into(), |id| id.to_string());
        Self { remote, dir: cache.join(name) }
    }

    fn bare(&self) -> PathBuf {
        self.dir.join("bare.git")
    }

    fn cannot(&self, error: impl std::fmt::Display) -> RemoteError {
        RemoteError::Cache(self.dir.display().to_string(), error.to_string())
    }

    fn open(&self) -> Result<Repository, RemoteError> {
        Repository::open_bare(self.bare()).map_err(|error| self.cannot(error.message()))
    }

    /// Tells how long ago it was fetched, if ever.
    pub fn age(&self) -> Option<Duration> {
        age(&self.dir.join("fetched"))
    }

    /// Returns why the last try to fetch failed and how long ago that was, if it failed.
    pub fn failed(&self) -> Option<(String, Duration)> {
        let path = self.dir.join("failed");
        Some((std::fs::read_to_string(&path).ok()?, age(&path)?))
    }

    /// Brings the copy up to date. One process at a time does it; others wait and take what that one brought.
    pub fn fetch(&self, timeout: Duration) -> Result<(), RemoteError> {
        let began = SystemTime::now();
        let deadline = Instant::now() + timeout;
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.dir).map_err(|e| self.cannot(e))?;
        let lock = File::create(self.dir.join("lock")).map_err(|e| self.cannot(e))?;
        while let Err(std::fs::TryLockError::WouldBlock) = lock.try_lock() {
            if Instant::now() >= deadline {
                return Err(RemoteError::Slow(timeout.as_secs()));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let fetched = std::fs::metadata(self.dir.join("fetched")).and_then(|meta| meta.modified());
        if fetched.is_ok_and(|fetched| fetched >= began) {
            return Ok(());
        }
        let result = self.fetch_now(deadline, timeout);
        match &result {
            Ok(()) => {
                self.note("fetched", "")?;
                let _ = std::fs::remove_file(self.dir.join("failed"));
            }
            Err(why) => self.note("failed", &why.to_string())?,
        }
        result
    }

    fn note(&self, name: &str, text: &str) -> Result<(), RemoteError> {
        let temporary = self.dir.join(format!(".{name}"));
        std::fs::write(&temporary, text)
            .and_then(|()| std::fs::rename(&temporary, self.dir.join(name)))
            .map_err(|error| self.cannot(error))
    }

    fn fetch_now(&self, deadline: Instant, timeout: Duration) -> Result<(), RemoteError> {
        let remote = &self.remote;
        if remote.password.is_some() && remote.url.starts_with("http://") && !remote.insecure_auth {
            return Err(RemoteError::Fetch("a password would go over http:// unencrypted: set insecure_auth".into()));
        }
        if !self.bare().join("HEAD").exists() {
            let new = self.dir.join(".new.git");
            let _ = std::fs::remove_dir_all(&new);
            Repository::init_bare(&new).map_err(|error| self.cannot(error.message()))?;
            std::fs::rename(&new, self.bare()).map_err(|error| self.cannot(error))?;
        }
        self.configure()?;
        let secrets = Secrets::of(remote).map_err(|error| self.cannot(error))?;
        let mut command = Command::new("git");
        command.arg("-C").arg(self.bare()).args(["fetch", "--quiet", "--prune", "--force", "--no-write-fetch-head"]);
        command.args(["--no-auto-gc", "--no-recurse-submodules"]);
        if remote.depth > 0 && !remote.is_local() {
            command.arg(format!("--depth={}", remote.depth));
        }
        command.args(["--", &remote.url]).args(&remote.refspecs);
        command.env("GIT_TERMINAL_PROMPT", "0").env("LC_ALL", "C.UTF-8").env("GIT_SSH_COMMAND", ssh(remote));
        for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
            command.env_remove(name);
        }
        if let Some(secrets) = &secrets {
            let ask = secrets.dir.join("ask");
            command.env("GIT_ASKPASS", &ask).env("SSH_ASKPASS", &ask).env("SSH_ASKPASS_REQUIRE", "force");
        }
        run(command, deadline, timeout, &self.bare())
    }

    /// Writes what may hold secrets (a proxy's password) where only git of this copy reads it.
    fn configure(&self) -> Result<(), RemoteError> {
        let fail = |error: git2::Error| self.cannot(error.message());
        let mut config = self.open()?.config().and_then(|c| c.open_level(git2::ConfigLevel::Local)).map_err(fail)?;
        config.set_bool("http.sslVerify", self.remote.verify_tls).map_err(fail)?;
        match &self.remote.proxy {
            Some(proxy) => config.set_str("http.proxy", proxy).map_err(fail),
            None => Ok(_ = config.remove("http.proxy")),
        }
    }

    /// Names the branches and tags that there are.
    pub fn names(&self) -> Vec<String> {
        let Ok(repo) = self.open() else { return vec![] };
        let Ok(refs) = repo.references() else { return vec![] };
        let short = |name: &str| {
            let short = name.strip_prefix("refs/remotes/origin/").or_else(|| name.strip_prefix("refs/tags/"))?;
            Some(short.to_owned()).filter(|short| short != "HEAD")
        };
        let mut names: Vec<String> = refs.flatten().filter_map(|r| r.name().ok().and_then(short)).collect();
        names.sort();
        names.dedup();
        names
    }

    /// Finds the commit of a name; `None` if the copy has none of it.
    pub fn commit(&self, name: &str, kinds: &[RefKind]) -> Result<Option<Oid>, RemoteError> {
        let repo = self.open()?;
        for kind in kinds {
            let found = match kind {
                RefKind::Branch => repo.find_reference(&format!("refs/remotes/origin/{name}")).ok(),
                RefKind::Tag => repo.find_reference(&format!("refs/tags/{name}")).ok(),
                RefKind::Commit => {
                    let whole = name.len() >= 7 && name.bytes().all(|b| b.is_ascii_hexdigit());
                    let object = whole.then(|| repo.find_object_by_prefix(name, Some(ObjectType::Commit)).ok());
                    match object.flatten() {
                        Some(object) => return Ok(Some(object.id())),
                        None => continue,
                    }
                }
            };
            if let Some(commit) = found.and_then(|reference| reference.peel_to_commit().ok()) {
                return Ok(Some(commit.id()));
            }
        }
        Ok(None)
    }

    /// Returns a folder with the files of a commit. It is never changed afterwards, and shared by all who want it.
    pub fn files(&self, commit: Oid) -> Result<PathBuf, RemoteError> {
        let repo = self.open()?;
        let fail = |error: git2::Error| self.cannot(error.message());
        let tree = repo.find_commit(commit).and_then(|commit| commit.tree()).map_err(fail)?;
        let trees = self.dir.join("trees");
        let place = trees.join(tree.id().to_string());
        if place.is_dir() {
            // Seen to be in use: see `sweep`.
            let _ = File::open(&place).and_then(|dir| dir.set_modified(SystemTime::now()));
            return Ok(place);
        }
        std::fs::create_dir_all(&trees).map_err(|error| self.cannot(error))?;
        sweep(&trees);
        let new = tempdir_in(&trees).map_err(|error| self.cannot(error))?;
        let written = write_tree(&repo, &tree, &new, &mut vec![]).map_err(|error| self.cannot(error));
        let result = written.and_then(|()| match std::fs::rename(&new, &place) {
            // Somebody else was faster; it is the same.
            Err(_) if place.is_dir() => Ok(()),
            result => result.map_err(|error| self.cannot(error)),
        });
        let _ = std::fs::remove_dir_all(&new);
        result.map(|()| place)
    }
}

fn age(path: &Path) -> Option<Duration> {
    let modified = std::fs::metadata(path).and_then(|meta| meta.modified()).ok()?;
    Some(SystemTime::now().duration_since(modified).unwrap_or_default())
}

/// Removes folders that nobody has used for a day.
fn sweep(trees: &Path) {
    for entry in std::fs::read_dir(trees).into_iter().flatten().flatten() {
        if age(&entry.path()).is_some_and(|age| age > Duration::from_secs(24 * 3600)) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

fn tempdir_in(dir: &Path) -> std::io::Result<PathBuf> {
    for n in 0u32.. {
        let path = dir.join(format!(".new-{}-{n}", std::process::id()));
        match std::fs::DirBuilder::new().mode(0o700).create(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            result => return result.map(|()| path),
        }
    }
    Err(std::io::ErrorKind::AlreadyExists.into())
}

/// Writes a tree. Links that lead out of it are left out, as are names that git itself refuses.
fn write_tree(repo: &Repository, tree: &git2::Tree<'_>, dir: &Path, path: &mut Vec<String>) -> std::io::Result<()> {
    let fail = |error: git2::Error| std::io::Error::other(error.message().to_owned());
    for entry in tree {
        let Ok(name) = entry.name() else {
            tracing::warn!("{}: a name that is not UTF-8 is left out", path.join("/"));
            continue;
        };
        let odd = name.is_empty() || name == "." || name == ".." || name.contains(['/', '\0']);
        if odd || name.eq_ignore_ascii_case(".git") || path.len() > 200 {
            tracing::warn!("{}/{name:?} is left out", path.join("/"));
            continue;
        }
        let place = dir.join(name);
        match (entry.kind(), entry.filemode()) {
            (Some(ObjectType::Tree), _) => {
                std::fs::create_dir(&place)?;
                path.push(name.to_owned());
                write_tree(repo, &repo.find_tree(entry.id()).map_err(fail)?, &place, path)?;
                path.pop();
            }
            (Some(ObjectType::Blob), 0o120_000) => {
                let blob = repo.find_blob(entry.id()).map_err(fail)?;
                let target = String::from_utf8_lossy(blob.content()).into_owned();
                if stays_inside(&target, path.len()) {
                    std::os::unix::fs::symlink(target, &place)?;
                } else {
                    tracing::warn!("{}/{name}: a link that leads out of the repository is left out", path.join("/"));
                }
            }
            (Some(ObjectType::Blob), mode) => {
                let mode = if mode & 0o100 == 0 { 0o600 } else { 0o700 };
                let mut file = File::options().write(true).create_new(true).mode(mode).open(&place)?;
                file.write_all(repo.find_blob(entry.id()).map_err(fail)?.content())?;
            }
            // A submodule is an empty folder.
            _ => std::fs::create_dir(&place)?,
        }
    }
    Ok(())
}

fn stays_inside(target: &str, mut depth: usize) -> bool {
    Path::new(target).components().all(|part| match part {
        Component::Normal(_) => {
            depth += 1;
            true
        }
        Component::CurDir => true,
        Component::ParentDir => depth.checked_sub(1).is_some_and(|less| {
            depth = less;
            true
        }),
        Component::RootDir | Component::Prefix(_) => false,
    })
}

/// The program that git reaches SSH remotes by. Host keys are those that the user's ssh knows; nobody is asked.
fn ssh(remote: &Remote) -> String {
    let mut words = vec![std::env::var("GIT_SSH_COMMAND").unwrap_or_else(|_| "ssh".into())];
    if let Some(key) = &remote.private_key {
        words.extend(["-o", "IdentitiesOnly=yes", "-i"].map(str::to_owned));
        words.push(format!("'{}'", key.display().to_string().replace('\'', r"'\''")));
    }
    if remote.passphrase.is_none() {
        words.extend(["-o", "BatchMode=yes"].map(str::to_owned));
    }
    words.join(" ")
}

/// What git and ssh ask for, in files of their own: an environment can be read by others of the same user.
struct Secrets {
    dir: PathBuf,
}

impl Secrets {
    fn of(remote: &Remote) -> std::io::Result<Option<Self>> {
        let secret = remote.passphrase.as_ref().or(remote.password.as_ref());
        if secret.is_none() && remote.user.is_none() {
            return Ok(None);
        }
        let secrets = Self { dir: tempdir_in(&std::env::temp_dir())? };
        let put = |name: &str, text: &str, mode: u32| {
            let mut file = File::options().write(true).create_new(true).mode(mode).open(secrets.dir.join(name))?;
            file.write_all(text.as_bytes())
        };
        put("user", remote.user.as_deref().unwrap_or_default(), 0o600)?;
        put("secret", secret.map_or("", String::as_str), 0o600)?;
        let ask =
            "#!/bin/sh\ncase \"$1\" in Username*) exec cat \"${0%/*}/user\";; *) exec cat \"${0%/*}/secret\";; esac\n";
        put("ask", ask, 0o700)?;
        // A mask must not take the program's right to run.
        std::fs::set_permissions(secrets.dir.join("ask"), std::fs::Permissions::from_mode(0o700))?;
        Ok(Some(secrets))
    }
}

impl Drop for Secrets {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

fn run(mut command: Command, deadline: Instant, timeout: Duration, bare: &Path) -> Result<(), RemoteError> {
    let fail = |why: String| RemoteError::Fetch(why);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).process_group(0);
    let mut child = command.spawn().map_err(|error| fail(format!("git cannot be started: {error}")))?;
    let group = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw);
    let mut err = child.stderr.take();
    let said = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = err.as_mut().map(|err| err.read_to_end(&mut bytes));
        String::from_utf8_lossy(&bytes).into_owned()
    });
    let status = loop {
        if let Some(status) = child.try_wait().map_err(|error| fail(error.to_string()))? {
            break status;
        }
        if Instant::now() >= deadline {
            if let Some(group) = group {
                let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
            }
            let _ = child.wait();
            // What git had begun is in its way the next time.
            remove_locks(bare);
            return Err(RemoteError::Slow(timeout.as_secs()));
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    if status.success() {
        return Ok(());
    }
    let said = said.join().unwrap_or_default();
    let lines: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let told = lines.iter().find(|line| line.starts_with("fatal:") || line.starts_with("error:")).or(lines.first());
    let told = told.map_or("git says nothing", |line| line);
    // The first line is ssh's own reason, where there is one.
    let first = lines.first().filter(|first| **first != told).map(|first| format!(" ({first})")).unwrap_or_default();
    Err(fail(format!("{told}{first}")))
}

fn remove_locks(bare: &Path) {
    let Ok(entries) = std::fs::read_dir(bare) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.is_dir() && !path.is_symlink() {
            remove_locks(&path);
        } else if path.extension().is_some_and(|extension| extension == "lock") {
            let _ = std::fs::remove_file(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn git(dir: &Path, words: &[&str]) {
        let status = Command::new("git")
            .args(["-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=master", "-C"])
            .arg(dir)
            .args(words)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        assert!(status.expect("git starts").success(), "{words:?}");
    }

    #[test]
    fn follows_a_repository_and_keeps_what_it_had() {
        let dir = tempfile::tempdir().expect("a directory");
        let work = dir.path().join("work");
        std::fs::create_dir_all(work.join("sub")).expect("a folder");
        std::fs::write(work.join("sub/a"), "one\n").expect("a file");
        std::os::unix::fs::symlink("sub/a", work.join("in")).expect("a link");
        std::os::unix::fs::symlink("../../../etc/passwd", work.join("sub/out")).expect("a link");
        git(&work, &["init", "-q"]);
        git(&work, &["add", "."]);
        git(&work, &["commit", "-qm", "1"]);
        git(&work, &["tag", "v1"]);
        let copy = Mirror::of(Remote::new(work.to_str().expect("text")), &dir.path().join("cache"));
        let long = Duration::from_secs(20);
        assert!(copy.age().is_none());
        copy.fetch(long).expect("it is there");
        let kinds = [RefKind::Branch, RefKind::Tag, RefKind::Commit];
        let first = copy.commit("master", &kinds).expect("a copy").expect("a branch");
        let files = copy.files(first).expect("files");
        assert_eq!(std::fs::read_to_string(files.join("in")).expect("a file"), "one\n");
        assert!(std::fs::symlink_metadata(files.join("sub/out")).is_err(), "a link that leads out");
        assert_eq!(copy.names(), ["master", "v1"]);
        assert_eq!(copy.commit(&first.to_string()[..10], &kinds).expect("a copy"), Some(first));
        assert_eq!(copy.commit("nope", &kinds).expect("a copy"), None);

        std::fs::write(work.join("sub/a"), "two\n").expect("a file");
        git(&work, &["commit", "-qam", "2"]);
        copy.fetch(long).expect("it is there");
        let second = copy.commit("master", &kinds).expect("a copy").expect("a branch");
        assert_eq!(std::fs::read_to_string(copy.files(second).expect("files").join("sub/a")).expect("a file"), "two\n");
        assert_eq!(
            std::fs::read_to_string(files.join("sub/a")).expect("a file"),
            "one\n",
            "the old one stays as it is"
        );

        std::fs::rename(&work, dir.path().join("away")).expect("it moves");
        let why = copy.fetch(long).expect_err("it is away");
        assert!(why.to_string().contains("does not"), "{why}");
        assert_eq!(copy.failed().expect("a note").0, why.to_string());
        assert_eq!(copy.commit("master", &kinds).expect("a copy"), Some(second));
    }

    #[test]
    fn credentials_leave_the_url() {
        let remote = Remote::new("https://me:p%40ss@host.example:8443/x.git");
        assert_eq!(remote.url, "https://host.example:8443/x.git");
        assert_eq!((remote.user.as_deref(), remote.password.as_deref()), (Some("me"), Some("p@ss")));
        assert_eq!(Remote::new("ssh://git@host/x.git").url, "ssh://git@host/x.git");
        let open = Remote { url: "http://host/x.git".into(), ..remote };
        let dir = tempfile::tempdir().expect("a directory");
        let why = Mirror::of(open, dir.path()).fetch(Duration::from_secs(1)).expect_err("refused");
        assert!(why.to_string().contains("insecure_auth"), "{why}");
    }

    #[test]
    fn links_are_judged_by_where_they_stand() {
        for (target, depth, inside) in
            [("a", 0, true), ("../a", 0, false), ("../a", 1, true), ("b/../../a", 0, false), ("/etc", 3, false)]
        {
            assert_eq!(stays_inside(target, depth), inside, "{target} {depth}");
        }
    }
}
