//! Git, as far as a deployment needs it: the git program, without a shell, as the project's own user, deaf to hooks
//! and to anybody's configuration but the repository's.

use crate::{ProjectError, R, stop};
use rustix::process::{Pid, Signal, kill_process_group};
use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often a running git is looked at, and how long one that is to end may clear up.
const PAUSE: Duration = Duration::from_millis(50);
const LAST_WORDS: Duration = Duration::from_secs(2);

/// What git is always told. A repository may hold anything that its user, or a pusher, put there.
const ALWAYS: &[&str] = &[
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.alternateRefsCommand=true",
    "safe.directory=*",
    "submodule.recurse=false",
    "fetch.recurseSubmodules=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "advice.detachedHead=false",
    "init.defaultBranch=master",
    "protocol.allow=never",
    "protocol.file.allow=always",
    "core.quotePath=false",
    // Trees are copied with their times: a file whose inode differs is not therefore another one.
    "core.checkStat=minimal",
    "core.trustctime=false",
    // Who may read and write a file is for `fixperms` to say, and no edit.
    "core.fileMode=false",
];

/// Who runs git.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    pub uid: u32,
    pub gid: u32,
}

/// The git program for the repositories of one project.
#[derive(Clone, Debug, Default)]
pub struct Git {
    /// `None`: as whoever runs corpus.
    pub identity: Option<Identity>,
    /// May talk to other machines: only where a person named the address.
    pub network: bool,
    /// Once it is set no git starts, and one that runs is ended.
    pub stop: Option<Arc<AtomicBool>>,
}

impl Git {
    /// Makes it for who runs git, and until a flag is set.
    pub fn of(identity: Option<Identity>, stop: Option<Arc<AtomicBool>>) -> Self {
        Self { identity, network: false, stop }
    }

    /// Runs git and returns its output without the line feed at its end.
    pub fn run(&self, dir: &Path, args: &[&str]) -> R<String> {
        let (ok, out, err) = self.start(dir, args)?;
        if ok {
            return Ok(out);
        }
        let said = if err.is_empty() { out } else { err };
        Err(ProjectError::new(format!("git {} in {}: {said}", args.first().unwrap_or(&""), dir.display())))
    }

    /// Runs git and returns its output if it succeeds.
    pub fn ask(&self, dir: &Path, args: &[&str]) -> R<Option<String>> {
        let (ok, out, _) = self.start(dir, args)?;
        Ok(ok.then_some(out))
    }

    fn start(&self, dir: &Path, args: &[&str]) -> R<(bool, String, String)> {
        let mut command = Command::new("git");
        for setting in ALWAYS.iter().filter(|setting| !self.network || **setting != "protocol.allow=never") {
            command.args(["-c", setting]);
        }
        let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into());
        command.args(args).current_dir(dir).env_clear().env("PATH", path).envs([
            ("LC_ALL", "C.UTF-8"),
            ("HOME", "/nonexistent"),
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("GIT_CONFIG_GLOBAL", "/dev/null"),
            ("GIT_TERMINAL_PROMPT", "0"),
            ("GIT_AUTHOR_NAME", "corpus"),
            ("GIT_AUTHOR_EMAIL", "corpus@localhost"),
            ("GIT_COMMITTER_NAME", "corpus"),
            ("GIT_COMMITTER_EMAIL", "corpus@localhost"),
        ]);
        // The files of a repository are where they lie, not where its configuration says (`core.worktree`).
        let own = dir.join(".git");
        if own.is_dir() {
            command.env("GIT_DIR", own).env("GIT_WORK_TREE", dir);
        }
        if let Some(who) = self.identity {
            command.uid(who.uid).gid(who.gid);
        }
        let output = self.output(command.stdin(Stdio::null())).map_err(|error| {
            ProjectError::new(format!("cannot run git in {}: {error}", dir.display())).hint("install git")
        })?;
        // What it says of its own end would only hide why it ended.
        stop::check(self.stop.as_deref())?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
        Ok((output.status.success(), text(&output.stdout), text(&output.stderr)))
    }

    /// Runs a command to its end, or to that of the deployment.
    fn output(&self, command: &mut Command) -> io::Result<Output> {
        let Some(stop) = &self.stop else { return command.output() };
        if stop.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        // A group of its own: git starts others for its work.
        let mut child = command.process_group(0).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        // Its pipes are closed when it is done, and what it started is: no waiting for the next look.
        let (open, closed) = channel::<()>();
        let (out, err) = (drain(child.stdout.take(), open.clone()), drain(child.stderr.take(), open));
        while let Err(RecvTimeoutError::Timeout) = closed.recv_timeout(PAUSE) {
            if let Some(group) = group.filter(|_| stop.load(Ordering::Relaxed)) {
                // Asked to end, it takes its lock files with it.
                let _ = kill_process_group(group, Signal::TERM);
                let _ = closed.recv_timeout(LAST_WORDS);
                let _ = kill_process_group(group, Signal::KILL);
            }
        }
        let status = child.wait()?;
        let text = |reader: JoinHandle<Vec<u8>>| reader.join().unwrap_or_default();
        Ok(Output { status, stdout: text(out), stderr: text(err) })
    }

    /// Returns the commit of HEAD, if there is one.
    pub fn head(&self, dir: &Path) -> R<Option<String>> {
        self.ask(dir, &["rev-parse", "--verify", "--quiet", "HEAD^{commit}"])
    }

    /// Returns the branch that deploys: the wanted one, else that of HEAD, else `main` or `master`.
    pub fn branch(&self, bare: &Path, wanted: Option<&str>) -> R<String> {
        if let Some(wanted) = wanted {
            return Ok(wanted.to_owned());
        }
        let head = self.ask(bare, &["symbolic-ref", "--short", "HEAD"])?.unwrap_or_else(|| "master".into());
        for branch in [head.as_str(), "main", "master"] {
            if self.tip(bare, branch)?.is_some() {
                return Ok(branch.to_owned());
            }
        }
        Ok(head)
    }

    /// Returns the commit of a branch.
    pub fn tip(&self, bare: &Path, branch: &str) -> R<Option<String>> {
        self.ask(bare, &["rev-parse", "--verify", "--quiet", &format!("refs/heads/{branch}^{{commit}}")])
    }

    /// Lists tracked files that are not as they were committed.
    pub fn edited(&self, tree: &Path) -> R<Vec<String>> {
        let out = self.run(tree, &["status", "--porcelain", "--untracked-files=no", "-z"])?;
        Ok(out.split('\0').filter_map(|entry| entry.get(3..)).map(str::to_owned).collect())
    }

    /// Brings a working copy to a commit of a bare repository. With `keep`, local edits stay, and what would overwrite
    /// one fails before anything is changed.
    pub fn bring(&self, tree: &Path, bare: &Path, branch: &str, commit: &str, keep: bool) -> R<()> {
        let from = bare.to_string_lossy();
        let branches = "+refs/heads/*:refs/remotes/origin/*";
        self.run(tree, &["fetch", "--quiet", "--prune", "--no-write-fetch-head", "origin", branches])?;
        if self.ask(tree, &["cat-file", "-e", &format!("{commit}^{{commit}}")])?.is_none() {
            self.run(tree, &["fetch", "--quiet", "--no-tags", &from, commit])?;
        }
        let head = self.head(tree)?;
        let how = if keep && head.is_some() { "--keep" } else { "--hard" };
        let on = self.ask(tree, &["symbolic-ref", "--quiet", "HEAD"])?;
        let wanted = format!("refs/heads/{branch}");
        if on.as_deref() != Some(&wanted) {
            // Index and files stay: the next command compares with them.
            if let Some(head) = head {
                self.run(tree, &["update-ref", &wanted, &head])?;
            }
            self.run(tree, &["symbolic-ref", "HEAD", &wanted])?;
        }
        self.run(tree, &["reset", "--quiet", how, commit]).map(|_| ())
    }

    /// Makes a bare repository.
    pub fn init_bare(&self, path: &Path) -> R<()> {
        let dir = path.parent().unwrap_or(Path::new("/"));
        self.run(dir, &["init", "--quiet", "--bare", "--template=", &path.to_string_lossy()]).map(|_| ())
    }

    /// Makes a working copy whose `origin` is a bare repository.
    pub fn init_copy(&self, tree: &Path, bare: Option<&Path>) -> R<()> {
        self.run(tree, &["init", "--quiet", "--template="])?;
        if let Some(bare) = bare {
            let url = bare.to_string_lossy();
            if self.ask(tree, &["remote", "get-url", "origin"])?.as_deref() != Some(&*url) {
                let _ = self.ask(tree, &["remote", "remove", "origin"])?;
                self.run(tree, &["remote", "add", "origin", &url])?;
            }
        }
        Ok(())
    }

    /// Commits everything in a tree, if anything differs.
    pub fn commit_all(&self, tree: &Path, message: &str) -> R<()> {
        self.run(tree, &["add", "--all", "--force", "."])?;
        if self.run(tree, &["status", "--porcelain"])?.is_empty() {
            return Ok(());
        }
        self.run(tree, &["commit", "--quiet", "--no-verify", "--message", message]).map(|_| ())
    }
}

fn drain(pipe: Option<impl Read + Send + 'static>, open: Sender<()>) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let _open = open;
        let mut bytes = vec![];
        let _ = pipe.map(|mut pipe| pipe.read_to_end(&mut bytes));
        bytes
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn a_git_that_runs_is_ended_with_what_it_started() {
        let dir = tempfile::tempdir().expect("a directory");
        let stop = Arc::new(AtomicBool::new(false));
        let git = Git::of(None, Some(stop.clone()));
        assert!(git.run(dir.path(), &["--version"]).is_ok_and(|said| said.starts_with("git version")));
        let began = Instant::now();
        let ended = std::thread::scope(|scope| {
            let git = scope.spawn(|| git.run(dir.path(), &["-c", "alias.x=!touch began; sleep 4321", "x"]));
            while !dir.path().join("began").exists() {
                assert!(began.elapsed().as_secs() < 20, "it did not begin");
                std::thread::sleep(PAUSE);
            }
            stop.store(true, Ordering::Relaxed);
            git.join().expect("no panic")
        });
        assert!(ended.is_err_and(|error| error.text().contains("interrupted")) && began.elapsed().as_secs() < 20);
        assert!(git.run(dir.path(), &["--version"]).is_err(), "none starts any more");
    }
}
