//! The hosts that are pushed to, with a real sshd, and the projects on them with a checkout to push from.

use crate::support::{Said, Tree};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// The host, its sshd on port 2222 with an `AcceptEnv *` that nobody should have, and the service.
pub(super) struct Host {
    pub(super) number: u32,
    pub(super) dir: PathBuf,
    /// Takes the host down when this process is gone.
    _watcher: Child,
}

pub(super) const DEPLOYER: &str = r#"#!/bin/sh
echo ::step archive
echo "$2 $5"
echo ::step install
git -c safe.directory='*' --git-dir="/srv/projects/$1/git/$2.git" show "$3:deploy" 2>/dev/null >"/tmp/$1.script"
while read -r verb rest; do
    case $verb in
    say) printf '%b\n' "$rest" ;;
    sleep) sleep "$rest" ;;
    wait) while [ ! -e "$rest" ]; do sleep 0.02; done ;;
    fail) echo "$rest"; exit 3 ;;
    esac
done <"/tmp/$1.script"
[ "$5" = plan ] || echo "$3" >>"/srv/deployed.$1.$2"
"#;

pub(super) const CONF: &str = r#"{"deployer": ["/usr/local/bin/deployer"], "heartbeat": 1, "max_push": 3000000, "max_file": 2000000,
  "max_files": 20000}"#;

pub(super) fn host() -> Option<&'static Host> {
    static HOST: OnceLock<Option<Host>> = OnceLock::new();
    HOST.get_or_init(|| Host::start(1, CONF)).as_ref()
}

/// A host of its own, on which corpus deploys.
pub(super) fn corpus_host() -> Option<&'static Host> {
    static HOST: OnceLock<Option<Host>> = OnceLock::new();
    HOST.get_or_init(|| Host::start(2, "{}")).as_ref()
}

impl Host {
    pub(super) fn start(number: u32, conf: &str) -> Option<Self> {
        if String::from_utf8_lossy(&Command::new("id").arg("-u").output().ok()?.stdout).trim() != "0" {
            return None;
        }
        let dir = PathBuf::from(format!("/run/corpus-push-{}-{number}", std::process::id()));
        Said::of(Self::lab_at(number, &dir, &["up", "1"]).output().expect("bash")).expect(0);
        let watch = format!(
            "while kill -0 {} 2>/dev/null; do sleep 0.2; done; bash {} down; sleep 1; rmdir \"$LAB_DIR\"",
            std::process::id(),
            Self::script()
        );
        let mut watcher = Command::new("setsid");
        watcher.args(["bash", "-c", &watch]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let watcher = Self::with_env(number, &dir, &mut watcher).spawn().expect("setsid");
        let host = Self { number, dir, _watcher: watcher };
        let mut strip = Command::new("strip");
        strip.arg("-g").arg("-o").arg(host.root().join("usr/local/bin/corpus")).arg(env!("CARGO_BIN_EXE_corpus"));
        assert!(strip.status().expect("strip").success());
        host.file("usr/local/bin/deployer", DEPLOYER);
        host.file("etc/corpus-push.json", conf);
        host.inside(
            "set -e; umask 022; chmod 755 /usr/local/bin/deployer; chmod 644 /etc/corpus-push.json; \
             mkdir -p -m 700 /root/.ssh; cp /etc/ssh/lab_authorized_keys /root/.ssh/authorized_keys; \
             rm -rf /srv/projects /srv/salt /srv/pillar; mkdir -p /srv/projects /home/users; chmod 751 /srv/projects; \
             /usr/local/bin/corpus projects.install; \
             /usr/sbin/sshd -f /dev/null -p 2222 -h /etc/ssh/lab_host_key -o UsePAM=no -o PidFile=none \
               -o PasswordAuthentication=no -o 'AcceptEnv=*' -o MaxSessions=100 -E /var/log/push-sshd.log",
        )
        .expect(0);
        host.serve();
        Some(host)
    }

    /// Starts the service, and waits until it answers; the socket of a killed one may still lie there.
    pub(super) fn serve(&self) {
        let start =
            "setsid /usr/local/bin/corpus projects.serve </dev/null >>/var/log/push.log 2>&1 & echo $! >/run/push.pid";
        self.inside(start).expect(0);
        let since = Instant::now();
        while !self.inside("/usr/local/bin/corpus projects.attach nobody").err.contains("there is no project") {
            assert!(since.elapsed().as_secs() < 20, "{}", self.inside("cat /var/log/push.log").out);
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    pub(super) fn until(&self, what: &str, done: &dyn Fn() -> bool) {
        let since = Instant::now();
        while !done() {
            assert!(since.elapsed().as_secs() < 30, "{what}: {}", self.inside("cat /var/log/push.log").out);
            std::thread::sleep(Duration::from_millis(30));
        }
    }

    pub(super) fn script() -> String {
        format!("{}/tests/lab/lab.sh", env!("CARGO_MANIFEST_DIR"))
    }

    pub(super) fn net(number: u32) -> String {
        format!("10.{}", std::process::id() % 60 + 70 + number * 60)
    }

    pub(super) fn address(&self) -> String {
        format!("{}.1.1", Self::net(self.number))
    }

    pub(super) fn with_env<'a>(number: u32, dir: &Path, command: &'a mut Command) -> &'a mut Command {
        let tag = format!("cp{number}{}", std::process::id() % 60);
        command.env("LAB_DIR", dir).env("LAB_NET", Self::net(number)).env("LAB_TAG", tag)
    }

    pub(super) fn lab_at(number: u32, dir: &Path, words: &[&str]) -> Command {
        let mut command = Command::new("bash");
        Self::with_env(number, dir, command.arg(Self::script()).args(words));
        command
    }

    pub(super) fn root(&self) -> PathBuf {
        self.dir.join("h1/root")
    }

    pub(super) fn file(&self, name: &str, text: &str) {
        std::fs::write(self.root().join(name), text).expect("a file in the host");
    }

    pub(super) fn inside(&self, line: &str) -> Said {
        Said::of(Self::lab_at(self.number, &self.dir, &["exec", "1", "sh", "-c", line]).output().expect("bash"))
    }

    /// Makes a project with its user, whom the lab's key lets in, and a checkout to push from.
    pub(super) fn project(&'static self, name: &'static str) -> Project {
        let line = "set -e; umask 022; useradd -m -d /home/users/NAME-user NAME-user; for k in project pillar; do \
                    git init -q --bare --template= -b main /srv/projects/NAME/git/$k.git; done; \
                    chown -R NAME-user: /srv/projects/NAME/git; chmod 750 /srv/projects/NAME/git; \
                    /usr/local/bin/corpus projects.authorize NAME alice $(cat /etc/ssh/lab_authorized_keys)";
        self.inside(&line.replace("NAME", name)).expect(0);
        self.checkout(name)
    }

    /// A project as an operator makes one, and a clone of it.
    pub(super) fn made_by_corpus(&'static self, name: &'static str) -> Project {
        let line = "set -e; umask 022; rm -rf /etc/salt /etc/corpus; mkdir -p /srv/salt /srv/pillar; cd /usr/local/bin; \
                    ./corpus --local mc_project.init_project NAME default_env=prod >/var/log/init.log 2>&1; \
                    ./corpus projects.authorize NAME alice@laptop $(cat /etc/ssh/lab_authorized_keys)";
        self.inside(&line.replace("NAME", name)).expect(0);
        let project = self.checkout(name);
        project.git(&["pull", "-q", &project.url("project"), "master"]).expect(0);
        project
    }

    pub(super) fn checkout(&'static self, name: &'static str) -> Project {
        let tree = Tree::new();
        let project = Project { host: self, name, work: tree.path().join("work"), tree };
        std::fs::create_dir(&project.work).expect("a folder");
        project.git(&["init", "-q", "-b", "main"]).expect(0);
        project
    }

    pub(super) fn ssh(&self, more: &[&str], name: &str, words: &[&str]) -> Said {
        let mut ssh = Command::new("ssh");
        ssh.args(more).args(self.ssh_words()).arg(format!("{name}-user@{}", self.address())).args(words);
        Said::of(ssh.stdin(Stdio::null()).output().expect("ssh"))
    }

    pub(super) fn ssh_words(&self) -> Vec<String> {
        let dir = self.dir.display();
        let known = format!("-oUserKnownHostsFile={dir}/known_hosts");
        // One connection for the many pushes of a test; sshd starts each session as it would any.
        let path = format!("-oControlPath={dir}/%C");
        let alias = format!("-oHostKeyAlias={}", self.address());
        [
            "-F",
            "/dev/null",
            "-i",
            &format!("{dir}/key"),
            "-p",
            "2222",
            "-oIdentitiesOnly=yes",
            &known,
            &alias,
            "-oLogLevel=ERROR",
            "-oControlMaster=auto",
            "-oControlPersist=30",
            &path,
        ]
        .map(str::to_owned)
        .to_vec()
    }
}

pub(super) struct Project {
    pub(super) host: &'static Host,
    pub(super) name: &'static str,
    pub(super) work: PathBuf,
    pub(super) tree: Tree,
}

impl Project {
    pub(super) fn command(&self, words: &[&str]) -> Command {
        let mut git = Command::new("git");
        git.args(words).current_dir(&self.work).env("HOME", self.tree.path()).env("GIT_CONFIG_NOSYSTEM", "1");
        for kind in ["AUTHOR", "COMMITTER"] {
            git.env(format!("GIT_{kind}_NAME"), "a").env(format!("GIT_{kind}_EMAIL"), "a@b");
        }
        git.env("GIT_SSH_COMMAND", format!("ssh {}", self.host.ssh_words().join(" "))).stdin(Stdio::null());
        git
    }

    pub(super) fn git(&self, words: &[&str]) -> Said {
        Said::of(self.command(words).output().expect("git"))
    }

    pub(super) fn url(&self, repository: &str) -> String {
        let (name, address) = (self.name, self.host.address());
        format!("ssh://{name}-user@{address}:2222/srv/projects/{name}/git/{repository}.git")
    }

    /// Pushes; what the far side says is on standard error.
    pub(super) fn push(&self, words: &[&str]) -> Said {
        let url = self.url("project");
        let (options, refs): (Vec<&str>, Vec<&str>) = words.iter().copied().partition(|word| word.starts_with('-'));
        self.git(&[&["push"][..], &options, &[url.as_str()], &refs].concat())
    }

    /// Commits a `deploy` file and returns the commit.
    pub(super) fn commit(&self, deploy: &str) -> String {
        std::fs::write(self.work.join("deploy"), format!("{deploy}\n")).expect("a file");
        self.git(&["add", "-A"]).expect(0);
        self.git(&["commit", "-q", "--allow-empty", "-m", deploy.lines().next().unwrap_or("x")]).expect(0);
        self.rev("HEAD")
    }

    pub(super) fn rev(&self, name: &str) -> String {
        self.git(&["rev-parse", name]).expect(0).out.trim().to_owned()
    }

    /// The refs of the host's repository.
    pub(super) fn refs(&self) -> String {
        self.git(&["ls-remote", &self.url("project")]).expect(0).out
    }

    pub(super) fn main(&self) -> String {
        let refs = self.refs();
        refs.lines().find_map(|line| line.strip_suffix("\trefs/heads/main")).unwrap_or_default().to_owned()
    }

    pub(super) fn deployed(&self, kind: &str) -> Vec<String> {
        let text = std::fs::read_to_string(self.host.root().join(format!("srv/deployed.{}.{kind}", self.name)));
        text.unwrap_or_default().lines().map(str::to_owned).collect()
    }

    /// Writes an object byte by byte: git's own commands refuse most of what is tried here.
    pub(super) fn object(&self, kind: &str, bytes: &[u8]) -> String {
        let mut git = self.command(&["hash-object", "-t", kind, "-w", "--literally", "--stdin"]);
        let mut child = git.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("git");
        child.stdin.take().expect("a pipe").write_all(bytes).expect("it is taken");
        let output = child.wait_with_output().expect("git");
        assert!(output.status.success());
        String::from_utf8(output.stdout).expect("an id").trim().to_owned()
    }

    pub(super) fn tree(&self, entries: &[(&str, &[u8], &str)]) -> String {
        let mut raw = vec![];
        for (mode, name, id) in entries {
            raw.extend_from_slice(mode.as_bytes());
            raw.push(b' ');
            raw.extend_from_slice(name);
            raw.push(0);
            raw.extend((0..20).map(|at| u8::from_str_radix(&id[2 * at..2 * at + 2], 16).expect("an id")));
        }
        self.object("tree", &raw)
    }

    /// A commit of a tree on top of what is checked out.
    pub(super) fn on_top(&self, tree: &str) -> String {
        let head = self.rev("HEAD");
        let text = format!("tree {tree}\nparent {head}\nauthor a <a@b> 1 +0000\ncommitter a <a@b> 1 +0000\n\nevil\n");
        self.object("commit", text.as_bytes())
    }
}

/// Nothing of what hostile pushes try to leave behind is there.
pub(super) fn clean(host: &Host) -> bool {
    let line = "find /tmp /srv /home/users /etc -xdev -name 'pwned*'";
    host.inside(line).expect(0).out.is_empty()
}

/// The service of the host on which corpus deploys is killed by one of the tests.
pub(super) fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}
