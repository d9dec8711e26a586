//! Pushes to a host with a real sshd, by a real git: what deploys, what is refused, and who is let in. What deploys here
//! is a program that does what the file `deploy` of the pushed commit says; `corpus projects.serve` starts it.

use crate::support::{Said, Tree};
use std::io::Write as _;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// The host, its sshd on port 2222 with an `AcceptEnv *` that nobody should have, and the service.
struct Host {
    number: u32,
    dir: PathBuf,
    /// Takes the host down when this process is gone.
    _watcher: Child,
}

const DEPLOYER: &str = r#"#!/bin/sh
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

const CONF: &str = r#"{"deployer": ["/usr/local/bin/deployer"], "heartbeat": 1, "max_push": 3000000, "max_file": 2000000,
  "max_files": 20000}"#;

fn host() -> Option<&'static Host> {
    static HOST: OnceLock<Option<Host>> = OnceLock::new();
    HOST.get_or_init(|| Host::start(1, CONF)).as_ref()
}

/// A host of its own, on which corpus deploys.
fn corpus_host() -> Option<&'static Host> {
    static HOST: OnceLock<Option<Host>> = OnceLock::new();
    HOST.get_or_init(|| Host::start(2, "{}")).as_ref()
}

macro_rules! host_or_skip {
    () => {
        host_or_skip!(host())
    };
    ($host:expr) => {
        match $host {
            Some(host) => host,
            None => {
                eprintln!("skipped: needs root");
                return;
            }
        }
    };
}

impl Host {
    fn start(number: u32, conf: &str) -> Option<Self> {
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
    fn serve(&self) {
        let start =
            "setsid /usr/local/bin/corpus projects.serve </dev/null >>/var/log/push.log 2>&1 & echo $! >/run/push.pid";
        self.inside(start).expect(0);
        let since = Instant::now();
        while !self.inside("/usr/local/bin/corpus projects.attach nobody").err.contains("there is no project") {
            assert!(since.elapsed().as_secs() < 20, "{}", self.inside("cat /var/log/push.log").out);
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn until(&self, what: &str, done: &dyn Fn() -> bool) {
        let since = Instant::now();
        while !done() {
            assert!(since.elapsed().as_secs() < 30, "{what}: {}", self.inside("cat /var/log/push.log").out);
            std::thread::sleep(Duration::from_millis(30));
        }
    }

    fn script() -> String {
        format!("{}/tests/lab/lab.sh", env!("CARGO_MANIFEST_DIR"))
    }

    fn net(number: u32) -> String {
        format!("10.{}", std::process::id() % 60 + 70 + number * 60)
    }

    fn address(&self) -> String {
        format!("{}.1.1", Self::net(self.number))
    }

    fn with_env<'a>(number: u32, dir: &Path, command: &'a mut Command) -> &'a mut Command {
        let tag = format!("cp{number}{}", std::process::id() % 60);
        command.env("LAB_DIR", dir).env("LAB_NET", Self::net(number)).env("LAB_TAG", tag)
    }

    fn lab_at(number: u32, dir: &Path, words: &[&str]) -> Command {
        let mut command = Command::new("bash");
        Self::with_env(number, dir, command.arg(Self::script()).args(words));
        command
    }

    fn root(&self) -> PathBuf {
        self.dir.join("h1/root")
    }

    fn file(&self, name: &str, text: &str) {
        std::fs::write(self.root().join(name), text).expect("a file in the host");
    }

    fn inside(&self, line: &str) -> Said {
        Said::of(Self::lab_at(self.number, &self.dir, &["exec", "1", "sh", "-c", line]).output().expect("bash"))
    }

    /// Makes a project with its user, whom the lab's key lets in, and a checkout to push from.
    fn project(&'static self, name: &'static str) -> Project {
        let line = "set -e; umask 022; useradd -m -d /home/users/NAME-user NAME-user; for k in project pillar; do \
                    git init -q --bare --template= -b main /srv/projects/NAME/git/$k.git; done; \
                    chown -R NAME-user: /srv/projects/NAME/git; chmod 750 /srv/projects/NAME/git; \
                    /usr/local/bin/corpus projects.authorize NAME alice $(cat /etc/ssh/lab_authorized_keys)";
        self.inside(&line.replace("NAME", name)).expect(0);
        self.checkout(name)
    }

    /// A project as an operator makes one, and a clone of it.
    fn made_by_corpus(&'static self, name: &'static str) -> Project {
        let line = "set -e; umask 022; rm -rf /etc/salt /etc/corpus; mkdir -p /srv/salt /srv/pillar; cd /usr/local/bin; \
                    ./corpus --local mc_project.init_project NAME default_env=prod >/var/log/init.log 2>&1; \
                    ./corpus projects.authorize NAME alice@laptop $(cat /etc/ssh/lab_authorized_keys)";
        self.inside(&line.replace("NAME", name)).expect(0);
        let project = self.checkout(name);
        project.git(&["pull", "-q", &project.url("project"), "master"]).expect(0);
        project
    }

    fn checkout(&'static self, name: &'static str) -> Project {
        let tree = Tree::new();
        let project = Project { host: self, name, work: tree.path().join("work"), tree };
        std::fs::create_dir(&project.work).expect("a folder");
        project.git(&["init", "-q", "-b", "main"]).expect(0);
        project
    }

    fn ssh(&self, more: &[&str], name: &str, words: &[&str]) -> Said {
        let mut ssh = Command::new("ssh");
        ssh.args(more).args(self.ssh_words()).arg(format!("{name}-user@{}", self.address())).args(words);
        Said::of(ssh.stdin(Stdio::null()).output().expect("ssh"))
    }

    fn ssh_words(&self) -> Vec<String> {
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

struct Project {
    host: &'static Host,
    name: &'static str,
    work: PathBuf,
    tree: Tree,
}

impl Project {
    fn command(&self, words: &[&str]) -> Command {
        let mut git = Command::new("git");
        git.args(words).current_dir(&self.work).env("HOME", self.tree.path()).env("GIT_CONFIG_NOSYSTEM", "1");
        for kind in ["AUTHOR", "COMMITTER"] {
            git.env(format!("GIT_{kind}_NAME"), "a").env(format!("GIT_{kind}_EMAIL"), "a@b");
        }
        git.env("GIT_SSH_COMMAND", format!("ssh {}", self.host.ssh_words().join(" "))).stdin(Stdio::null());
        git
    }

    fn git(&self, words: &[&str]) -> Said {
        Said::of(self.command(words).output().expect("git"))
    }

    fn url(&self, repository: &str) -> String {
        let (name, address) = (self.name, self.host.address());
        format!("ssh://{name}-user@{address}:2222/srv/projects/{name}/git/{repository}.git")
    }

    /// Pushes; what the far side says is on standard error.
    fn push(&self, words: &[&str]) -> Said {
        let url = self.url("project");
        let (options, refs): (Vec<&str>, Vec<&str>) = words.iter().copied().partition(|word| word.starts_with('-'));
        self.git(&[&["push"][..], &options, &[url.as_str()], &refs].concat())
    }

    /// Commits a `deploy` file and returns the commit.
    fn commit(&self, deploy: &str) -> String {
        std::fs::write(self.work.join("deploy"), format!("{deploy}\n")).expect("a file");
        self.git(&["add", "-A"]).expect(0);
        self.git(&["commit", "-q", "--allow-empty", "-m", deploy.lines().next().unwrap_or("x")]).expect(0);
        self.rev("HEAD")
    }

    fn rev(&self, name: &str) -> String {
        self.git(&["rev-parse", name]).expect(0).out.trim().to_owned()
    }

    /// The refs of the host's repository.
    fn refs(&self) -> String {
        self.git(&["ls-remote", &self.url("project")]).expect(0).out
    }

    fn main(&self) -> String {
        let refs = self.refs();
        refs.lines().find_map(|line| line.strip_suffix("\trefs/heads/main")).unwrap_or_default().to_owned()
    }

    fn deployed(&self, kind: &str) -> Vec<String> {
        let text = std::fs::read_to_string(self.host.root().join(format!("srv/deployed.{}.{kind}", self.name)));
        text.unwrap_or_default().lines().map(str::to_owned).collect()
    }

    /// Writes an object byte by byte: git's own commands refuse most of what is tried here.
    fn object(&self, kind: &str, bytes: &[u8]) -> String {
        let mut git = self.command(&["hash-object", "-t", kind, "-w", "--literally", "--stdin"]);
        let mut child = git.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("git");
        child.stdin.take().expect("a pipe").write_all(bytes).expect("it is taken");
        let output = child.wait_with_output().expect("git");
        assert!(output.status.success());
        String::from_utf8(output.stdout).expect("an id").trim().to_owned()
    }

    fn tree(&self, entries: &[(&str, &[u8], &str)]) -> String {
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
    fn on_top(&self, tree: &str) -> String {
        let head = self.rev("HEAD");
        let text = format!("tree {tree}\nparent {head}\nauthor a <a@b> 1 +0000\ncommitter a <a@b> 1 +0000\n\nevil\n");
        self.object("commit", text.as_bytes())
    }
}

/// Nothing of what hostile pushes try to leave behind is there.
fn clean(host: &Host) -> bool {
    let line = "find /tmp /srv /home/users /etc -xdev -name 'pwned*'";
    host.inside(line).expect(0).out.is_empty()
}

#[test]
fn row_38_a_failed_deployment_leaves_the_branch_and_tells_the_pusher() {
    let p = host_or_skip!().project("shop");
    let one = p.commit("say served\\033[2J\\033[32mgreen\\033[0m");
    let said = p.push(&["main"]).expect(0);
    for line in ["[push] deploying shop at", "by alice", "[archive] project deploy", "[install] served", "[push] done"]
    {
        assert!(said.err.contains(line), "{line}: {}", said.err);
    }
    assert!(said.err.contains("\x1b[32mgreen\x1b[0m") && !said.err.contains("\x1b[2J"), "{}", said.err);
    let two = p.commit("fail line 3 of app.sls");
    let said = p.push(&["main"]).expect(1);
    assert!(
        said.err.contains("[install] line 3 of app.sls") && said.err.contains("! [remote rejected]"),
        "{}",
        said.err
    );
    assert_eq!((p.main(), p.deployed("project")), (one.clone(), vec![one.clone()]));
    // The same commit once more is another try, and a repaired one goes through.
    assert!(p.push(&["main"]).expect(1).err.contains("[install] line 3"));
    let three = p.commit("sleep 1.5");
    let said = p.push(&["main"]).expect(0);
    assert!(said.err.contains("[install] still at work, 1 s"), "{}", said.err);
    assert_eq!((p.main(), p.deployed("project")), (three.clone(), vec![one.clone(), three.clone()]));
    // A plan says what it would do; neither side takes the branch for moved.
    p.git(&["remote", "add", "o", &p.url("project")]).expect(0);
    p.git(&["fetch", "-q", "o"]).expect(0);
    p.commit("say planned");
    let said = p.git(&["push", "-o", "plan", "o", "main"]).expect(0);
    assert!(said.err.contains("[archive] project plan") && said.err.contains("refs/plan/shown"), "{}", said.err);
    assert_eq!((p.main(), p.rev("o/main"), p.deployed("project").len()), (three.clone(), three.clone(), 2));
    p.commit("fail planned");
    p.git(&["push", "-o", "plan", "o", "main"]).expect(1);
    // Others are stored, and said not to deploy.
    let said = p.push(&["main:feature", "main~1:refs/tags/v1"]).expect(0);
    assert!(said.err.contains("stored, not deployed; this project deploys `main`"), "{}", said.err);
    assert!(p.refs().contains("refs/heads/feature") && p.refs().contains("refs/tags/v1"));
    let said = p.push(&[":feature", ":refs/tags/v1"]).expect(0);
    assert!(said.err.contains("[deleted]") && !two.is_empty());
    assert_eq!(p.deployed("project").len(), 2);
}

#[test]
fn rows_43_and_47_both_repositories_take_a_push_also_a_forced_one() {
    let p = host_or_skip!().project("forced");
    let one = p.commit("say one");
    p.push(&["main"]).expect(0);
    p.git(&["commit", "-q", "--amend", "-m", "rewritten"]).expect(0);
    let said = p.push(&["main"]).expect(1);
    assert!(said.err.contains("[rejected]"), "{}", said.err);
    assert_eq!(p.main(), one);
    p.push(&["-f", "main"]).expect(0);
    assert_eq!((p.main(), p.deployed("project").len()), (p.rev("HEAD"), 2));
    let said = p.git(&["push", &p.url("pillar"), "main"]).expect(0);
    assert!(said.err.contains("the pillar of forced") && said.err.contains("[archive] pillar deploy"), "{}", said.err);
    assert_eq!(p.deployed("pillar"), [p.rev("HEAD")]);
    // And they can be cloned, by those who may push.
    let clone = p.tree.path().join("clone");
    p.git(&["clone", "-q", &p.url("project"), clone.to_str().expect("a path")]).expect(0);
    assert!(clone.join("deploy").exists());
}

#[test]
fn a_deployment_goes_on_without_its_pusher_and_the_newest_push_wins() {
    let host = host_or_skip!();
    let p = host.project("gone");
    let one = p.commit("wait /tmp/go-one");
    let mut pusher = p.command(&["push", &p.url("project"), "main"]);
    // A group of its own, so that git and its ssh go together.
    let mut pusher = pusher.process_group(0).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("git");
    let log = |words: String| move || host.inside("cat /var/log/push.log").out.contains(&words);
    host.until("it begins", &log(format!("asks for {} of gone", &one[..8])));
    let group = format!("-{}", pusher.id());
    assert!(Command::new("kill").args(["-9", "--", &group]).status().expect("kill").success());
    pusher.wait().expect("it ends");
    assert_eq!(p.main(), "");
    let push = |revision: &str| {
        let mut git = p.command(&["push", &p.url("project"), &format!("{revision}:refs/heads/main")]);
        git.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("git")
    };
    let two = p.commit("say two");
    let older = push(&two);
    host.until("it waits", &log(format!("asks for {} of gone", &two[..8])));
    let three = p.commit("say three");
    let newer = push(&three);
    host.until("it waits", &log(format!("asks for {} of gone", &three[..8])));
    let older = Said::of(older.wait_with_output().expect("git")).expect(1);
    assert!(older.err.contains("waiting for the deployment of") && older.err.contains("a newer push"), "{}", older.err);
    // The first commit once more joins what is under way; so does one who only looks.
    let again = push(&one);
    let looks = std::thread::spawn(|| host.ssh(&[], "gone", &["attach"]));
    host.until("it joins", &|| {
        host.inside("cat /var/log/push.log").out.matches(&format!("asks for {} of gone", &one[..8])).count() == 2
    });
    host.inside("touch /tmp/go-one").expect(0);
    Said::of(again.wait_with_output().expect("git")).expect(0);
    let looked = looks.join().expect("ssh").expect(0);
    assert!(looked.out.contains("[push] deploying gone") || looked.out.contains("[archive]"), "{}", looked.out);
    Said::of(newer.wait_with_output().expect("git")).expect(0);
    assert_eq!((p.main(), p.deployed("project")), (three.clone(), vec![one, three]));
    // A service that was killed is told from one that says no.
    let broken = host.inside("mv /run/corpus/push.sock /run/corpus/away");
    let four = p.commit("say four");
    let said = p.push(&["main"]);
    host.inside("mv /run/corpus/away /run/corpus/push.sock").expect(0);
    broken.expect(0);
    assert!(said.expect(1).err.contains("the deployment service does not answer"));
    p.push(&["main"]).expect(0);
    assert_eq!(p.main(), four);
}

/// A push that must be refused: how it is called, what it pushes, and a word of the refusal.
type Hostile = (&'static str, Vec<String>, &'static str);

/// Trees that no checkout should ever meet.
fn hostile_trees(p: &Project) -> Vec<Hostile> {
    let blob = p.object("blob", b"x");
    let hook = p.object("blob", b"#!/bin/sh\ntouch /tmp/pwned\n");
    let hooks = p.tree(&[("40000", b"hooks", &p.tree(&[("100755", b"pre-receive", &hook)]))]);
    let link = |target: &str| p.object("blob", target.as_bytes());
    let modules = |text: &str| p.object("blob", text.as_bytes());
    let file = |name: &[u8]| p.tree(&[("100644", name, &blob)]);
    let mode = |mode: &str, id: &str| p.tree(&[(mode, b"thing", id)]);
    let deep = (0..100).fold(file(b"f"), |below, _| p.tree(&[("40000", b"d", &below)]));
    let bomb = (0..10).fold(file(b"f"), |below, _| {
        let names: Vec<String> = (0..10).map(|n| format!("d{n}")).collect();
        p.tree(&names.iter().map(|name| ("40000", name.as_bytes(), below.as_str())).collect::<Vec<_>>())
    });
    let zeros = p.object("blob", &vec![0; 2_500_000]);
    // Hard to compress, so that it is as long on the wire.
    let mut state = 1_u64;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    })
    .take(1_900_000)
    .collect();
    let more: Vec<u8> = noise.iter().map(|byte| byte ^ 0x5a).collect();
    let heavy = p.tree(&[("100644", b"a", &p.object("blob", &noise)), ("100644", b"b", &p.object("blob", &more))]);
    let url = "[submodule \"m\"]\n\tpath = m\n\turl = -u./pwned\n";
    let climbing = "[submodule \"../../pwned\"]\n\tpath = m\n\turl = https://example.org/x\n";
    let with_modules =
        |text: &str| p.tree(&[("100644", b".gitmodules", &modules(text)), ("160000", b"m", &p.rev("HEAD"))]);
    let trees = [
        ("a .git directory with hooks", p.tree(&[("40000", b".git", &hooks)]), "git"),
        ("a .git file", file(b".git"), "git"),
        (".GIT", p.tree(&[("40000", b".GIT", &hooks)]), "git"),
        (".Git deep inside", p.tree(&[("40000", b"a", &p.tree(&[("40000", b".Git", &hooks)]))]), "git"),
        ("git~1", p.tree(&[("40000", b"git~1", &hooks)]), "git"),
        ("GIT~2", p.tree(&[("40000", b"GIT~2", &hooks)]), "git"),
        (".git with a space", file(b".git "), "git"),
        (".git with dots", file(b".git..."), "git"),
        (".git with an invisible letter", file(".g\u{200c}it".as_bytes()), "git"),
        ("a stream of .git", file(b".git::$INDEX_ALLOCATION"), "git"),
        ("a backslash", file(b"a\\.git\\config"), "git"),
        ("..", p.tree(&[("40000", b"..", &file(b"pwned"))]), ""),
        (".", p.tree(&[("40000", b".", &file(b"pwned"))]), ""),
        ("a path for a name", file(b"../../pwned"), ""),
        ("an absolute name", file(b"/tmp/pwned"), ""),
        ("a line break", file(b"a\nb"), "control character"),
        ("a terminal's command", file(b"\x1b]0;pwned\x07"), "control character"),
        ("a very long name", file(&[b'n'; 300]), "255 is the most"),
        ("a pipe", mode("10644", &blob), "mode"),
        ("a disk", mode("60644", &blob), "mode"),
        ("a device", mode("20644", &blob), "mode"),
        ("a set-uid file", mode("104755", &blob), "mode"),
        ("a file that is a directory", mode("100644", &hooks), ""),
        ("the same name twice", p.tree(&[("100644", b"a", &blob), ("40000", b"a", &hooks)]), ""),
        ("names out of order", p.tree(&[("100644", b"b", &blob), ("100644", b"a", &blob)]), ""),
        ("an absolute link", mode("120000", &link("/etc/shadow")), "absolute"),
        ("a link out of the tree", mode("120000", &link("../../../etc/shadow")), "out of the tree"),
        ("a link to the neighbour", mode("120000", &link("../git/project.git/config")), "out of the tree"),
        (
            "a link through a directory's link",
            p.tree(&[
                ("40000", b"a", &p.tree(&[("40000", b"b", &file(b"f"))])),
                ("120000", b"d", &link("a/b/../..")),
                ("120000", b"e", &link("d/../pwned")),
            ]),
            "out of the tree",
        ),
        ("a file below a link", p.tree(&[("120000", b"a", &link("/tmp")), ("40000", b"a", &file(b"pwned"))]), ""),
        ("a link in circles", p.tree(&[("120000", b"a", &link("b")), ("120000", b"b", &link("a"))]), "circles"),
        ("a link into .git", mode("120000", &link(".git/hooks")), "not taken"),
        ("a link without a target", mode("120000", &link("")), ""),
        (".gitmodules as a link", p.tree(&[("120000", b".gitmodules", &link("f"))]), "symbolic link"),
        (".gitattributes as a link", p.tree(&[("120000", b".gitattributes", &link("f"))]), "symbolic link"),
        ("a submodule with an option for a url", with_modules(url), "gitmodules"),
        ("a submodule that climbs", with_modules(climbing), "gitmodules"),
        ("directories without an end", deep, "deeper than 64"),
        ("a bomb of directories", bomb, "unfolds to"),
        ("a huge file of nothing", mode("100644", &zeros), "2000000 is the most"),
        ("a heavy push", heavy, ""),
    ];
    trees
        .into_iter()
        .map(|(name, tree, word)| (name, vec![format!("{}:refs/heads/main", p.on_top(&tree))], word))
        .collect()
}

/// Refs, options and commits that are none.
fn hostile_refs(p: &Project) -> Vec<Hostile> {
    let head = p.rev("HEAD");
    let tree = p.rev("HEAD^{tree}");
    let blob = p.object("blob", b"y");
    let bad = |text: &str| {
        format!("+{}:refs/heads/main", p.object("commit", format!("tree {tree}\n{text}\n\nx\n").as_bytes()))
    };
    let tag = p.object("tag", format!("object {head}\ntype commit\ntag x\ntagger a <a@b> 1 +0000\n\nx\n").as_bytes());
    let one = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let at = |name: &str| vec![format!("{head}:{name}")];
    let option = |option: &str| one(&[option, "fresh:main"]);
    let (who, by) = ("author a <a@b> 1 +0000", "committer a <a@b> 1 +0000");
    vec![
        ("the deployed branch deleted", one(&[":refs/heads/main"]), "cannot be deleted"),
        ("all branches pruned", one(&["--prune", "refs/none/*:refs/heads/*"]), "cannot be deleted"),
        ("a replacement of an object", at(&format!("refs/replace/{head}")), "only branches"),
        ("notes", at("refs/notes/commits"), "only branches"),
        ("a place of ours", at("refs/corpus/deployed"), "only branches"),
        ("a remote's branch", at("refs/remotes/origin/main"), "only branches"),
        ("a branch like an option", at("refs/heads/a/--upload-pack=pwned"), "dash"),
        ("very many refs", (0..250).map(|n| format!("{head}:refs/heads/many{n}")).collect(), "200 is the most"),
        ("a branch that is a tree", vec![format!("{tree}:refs/heads/tree")], "a branch is a commit"),
        ("a branch that is a file", vec![format!("+{blob}:refs/heads/main")], "a branch is a commit"),
        ("a tag for a branch", vec![format!("+{tag}:refs/heads/main")], "a branch is a commit"),
        ("a commit without a mail", vec![bad(&format!("author a 1 +0000\n{by}"))], "missingEmail"),
        ("a commit with no author", vec![bad(by)], "missingAuthor"),
        (
            "a commit beyond all time",
            vec![bad(&format!("author a <a@b> {} +0000\n{by}", "9".repeat(30)))],
            "badDateOverflow",
        ),
        ("a history that does not follow", vec![bad(&format!("{who}\n{by}")).replace('+', "")], "non-fast-forward"),
        ("an option nobody knows", option("-oplam"), "did you mean `plan`"),
        ("an option with a command", option("-oonly=$(touch /tmp/pwned)"), "no name for"),
        ("an option that climbs", option("-oonly_steps=../../pwned"), "no name for"),
        ("very many options", (0..20).map(|_| "-overbose".into()).chain(["fresh:main".into()]).collect(), "at most 16"),
    ]
}

/// What git's own client would not send: commands and a pack, byte by byte.
fn raw_push(p: &Project, commands: &[String], pack: &[u8]) -> String {
    let mut bytes = vec![];
    for (at, command) in commands.iter().enumerate() {
        let more = if at == 0 { "\0report-status side-band-64k" } else { "" };
        bytes.extend(format!("{:04x}{command}{more}", command.len() + more.len() + 4).bytes());
    }
    bytes.extend(b"0000");
    bytes.extend(pack);
    let mut ssh = Command::new("ssh");
    ssh.args(p.host.ssh_words())
        .arg(format!("{}-user@{}", p.name, p.host.address()))
        .arg("git-receive-pack 'project.git'");
    let mut child = ssh.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("ssh");
    // The far side may hang up before it has taken all.
    let _ = child.stdin.take().expect("a pipe").write_all(&bytes);
    let output = child.wait_with_output().expect("ssh");
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

fn pack(p: &Project, objects: &[&str]) -> Vec<u8> {
    let mut git = p.command(&["pack-objects", "--stdout", "-q"]);
    let mut child = git.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("git");
    child.stdin.take().expect("a pipe").write_all((objects.join("\n") + "\n").as_bytes()).expect("it is taken");
    child.wait_with_output().expect("git").stdout
}

#[test]
fn hostile_bytes_are_refused_and_change_nothing() {
    let p = host_or_skip!().project("bytes");
    let old = p.commit("say good");
    p.push(&["main"]).expect(0);
    let blob = p.object("blob", b"x");
    let tree = p.tree(&[("100644", b"", &blob)]);
    let nameless = p.on_top(&tree);
    let wrong = p.tree(&[("40000", b"d", &blob)]);
    let no_tree = p.on_top(&wrong);
    let good = p.on_top(&p.rev("HEAD^{tree}"));
    let whole = pack(&p, &[&good]);
    let commit = |more: &str| {
        let text =
            format!("tree {}\n{more}author a <a@b> 1 +0000\ncommitter a <a@b> 1 +0000\n\nx\n", p.rev("HEAD^{tree}"));
        p.object("commit", text.as_bytes())
    };
    let (root, orphan) = (commit(""), commit(&format!("parent {}\n", "x".repeat(40))));
    let to = |old: &str, new: &str, name: &str| vec![format!("{old} {new} {name}")];
    let main = "refs/heads/main";
    let cases: Vec<(&str, Vec<String>, Vec<u8>)> = vec![
        ("a tree with no name", to(&old, &nameless, main), pack(&p, &[&nameless, &tree, &blob])),
        ("a directory that is a file", to(&old, &no_tree, main), pack(&p, &[&no_tree, &wrong, &blob])),
        ("a commit whose tree is missing", to(&old, &nameless, main), pack(&p, &[&nameless])),
        ("no pack at all", to(&old, &good, main), vec![]),
        ("garbage for a pack", to(&old, &good, main), b"PACK\0\0\0\x02\xff\xff\xff\xffgarbage".to_vec()),
        ("half a pack", to(&old, &good, main), whole[..whole.len() / 2].to_vec()),
        (
            "a pack with another sum",
            to(&old, &good, main),
            [&whole[..whole.len() - 1], &[whole[whole.len() - 1] ^ 1]].concat(),
        ),
        ("a commit that is not in the pack", to(&old, &"1".repeat(40), main), whole.clone()),
        ("another old id, and another history", to(&"2".repeat(40), &root, main), pack(&p, &[&root])),
        ("a commit with a parent that is none", to(&old, &orphan, main), pack(&p, &[&orphan])),
        ("a ref that climbs", to(&"0".repeat(40), &good, "refs/heads/../../pwned"), whole.clone()),
        ("an absolute ref", to(&"0".repeat(40), &good, "/tmp/pwned"), whole.clone()),
        ("HEAD", to(&old, &good, "HEAD"), whole.clone()),
        ("a ref with a line break", to(&"0".repeat(40), &good, "refs/heads/a\nb"), whole.clone()),
        ("a lock for a ref", to(&"0".repeat(40), &good, "refs/heads/pwned.lock"), whole.clone()),
        ("the same ref twice", [to(&old, &good, main), to(&old, &old, main)].concat(), whole.clone()),
        ("no command", vec!["nonsense".into()], whole.clone()),
        ("a shallow history", [vec![format!("shallow {good}")], to(&old, &good, main)].concat(), whole.clone()),
    ];
    let before = p.refs();
    for (name, commands, pack) in cases {
        let said = raw_push(&p, &commands, &pack);
        let taken = said.contains(&format!("ok {main}"));
        assert!(!taken && p.deployed("project") == [old.as_str()], "{name}: {said:?}");
    }
    assert_eq!(p.refs(), before);
    assert!(clean(p.host));
    // The same way, with nothing wrong: so it was not the way that was refused.
    let said = raw_push(&p, &to(&old, &good, main), &whole);
    assert!(said.contains(&format!("ok {main}")), "{said:?}");
    assert_eq!(p.main(), good);
}

#[test]
fn hostile_pushes_are_refused_and_change_nothing() {
    let p = host_or_skip!().project("evil");
    p.commit("say good");
    p.push(&["main"]).expect(0);
    let fresh = p.on_top(&p.rev("HEAD^{tree}"));
    p.git(&["branch", "fresh", &fresh]).expect(0);
    let before = (p.refs(), p.deployed("project"));
    let cases: Vec<Hostile> = hostile_trees(&p).into_iter().chain(hostile_refs(&p)).collect();
    assert!(cases.len() >= 60, "{}", cases.len());
    let next = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some((name, words, word)) = cases.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
                {
                    let said = p.push(&words.iter().map(String::as_str).collect::<Vec<_>>());
                    assert!(said.code != 0, "{name} was taken: {}", said.err);
                    assert!(said.err.contains(word) && said.err.contains("rejected]"), "{name}: {}", said.err);
                    assert!(!said.err.contains('\x1b'), "{name}: {}", said.err);
                }
            });
        }
    });
    assert_eq!((p.refs(), p.deployed("project")), before);
    assert!(clean(p.host), "something was left behind");
    // What git kept apart is gone: the repository is as small as it was.
    let size = p.host.inside("du -sk /srv/projects/evil/git/project.git | cut -f1").out;
    assert!(size.trim().parse::<u64>().is_ok_and(|size| size < 1000), "{size}");
    p.push(&["fresh:main"]).expect(0);
}

#[test]
fn odd_but_harmless_pushes_are_taken_as_what_they_are() {
    let p = host_or_skip!().project("odd");
    p.commit("say one");
    let hook = p.object("blob", b"#!/bin/sh\ntouch /tmp/pwned\n");
    let hooks = p.tree(&[("100755", b"post-receive", &hook), ("100755", b"pre-receive", &hook)]);
    let attributes = p.object("blob", b"* filter=evil diff=evil merge=evil\n");
    let lfs = p.object("blob", b"[filter \"evil\"]\n\tsmudge = touch /tmp/pwned\n");
    let deploy = p.object("blob", b"say fine\n");
    let tree = p.tree(&[
        ("100755", b"$(touch \xc2\xa7pwned)", &hook),
        ("100644", b"--upload-pack=touch pwned", &deploy),
        ("100644", b".gitattributes", &attributes),
        ("100644", b".gitconfig", &lfs),
        ("40000", b".githooks", &hooks),
        ("100644", b";touch pwned;", &deploy),
        ("100644", b"`touch pwned`", &deploy),
        ("100644", b"deploy", &deploy),
        ("40000", b"hooks", &hooks),
        ("120000", b"uploads", &p.object("blob", b"../data/uploads")),
        ("160000", b"vendor", &p.rev("HEAD")),
    ]);
    let commit = p.on_top(&tree);
    let said = p
        .push(&[&format!("{commit}:refs/heads/main"), &format!("{commit}:refs/heads/$(touch${{IFS}}pwned)")])
        .expect(0);
    assert!(said.err.contains("vendor: a submodule") && said.err.contains("[install] fine"), "{}", said.err);
    assert!(p.refs().contains("refs/heads/$(touch${IFS}pwned)"));
    assert_eq!(p.deployed("project"), [commit]);
    assert!(clean(p.host));
}

#[test]
fn rows_35_and_86_only_known_keys_and_only_git() {
    let host = host_or_skip!();
    let (p, _other) = (host.project("mine"), host.project("other"));
    p.commit("say one");
    let hello = host.ssh(&[], "mine", &[]).expect(0);
    assert!(
        hello.err.contains("This is the project `mine`") && hello.err.contains("there is no shell"),
        "{}",
        hello.err
    );
    for line in [
        "id",
        "sh",
        "bash -c 'touch /tmp/pwned'",
        "git-receive-pack 'project.git'; touch /tmp/pwned",
        "git-receive-pack '/srv/projects/other/git/project.git'",
        "git-receive-pack '/srv/projects/mine/git/../../other/git/project.git'",
        "git-upload-pack '../other/git/project.git'",
        "git-upload-pack --upload-pack='touch /tmp/pwned' project.git",
        "git-receive-pack --help",
        "git -c core.sshCommand=pwned receive-pack project.git",
        "scp -t /tmp/pwned",
        "rsync --server . /tmp/pwned",
        "/usr/lib/openssh/sftp-server",
        "corpus projects.serve",
        "attach other",
        "git-receive-pack '$(touch /tmp/pwned)'",
        "git-receive-pack 'project.git'\ntouch /tmp/pwned",
    ] {
        let said = host.ssh(&[], "mine", &[line]);
        assert!(said.code == 1 && said.err.contains("error: "), "{line}: {said:?}");
        assert_eq!(said.out, "", "{line}");
    }
    // sshd itself gives them nothing else either.
    let alone = ["-oControlPath=none", "-oControlMaster=no"];
    let said = host.ssh(&[&alone[..], &["-s"]].concat(), "mine", &["sftp"]);
    assert_ne!(said.code, 0, "{said:?}");
    let said = host.ssh(&[&alone[..], &["-W", "127.0.0.1:22"]].concat(), "mine", &[]);
    assert!(said.code != 0 && !said.out.contains("SSH-"), "{said:?}");
    // Variables of the client reach neither git nor the deployment, although this sshd lets all of them in.
    let evil = p.tree.path().join("evil-hooks");
    std::fs::create_dir(&evil).expect("a folder");
    let set: Vec<String> = [
        "GIT_CONFIG_COUNT=1",
        "GIT_CONFIG_KEY_0=core.hooksPath",
        "GIT_CONFIG_VALUE_0=/dev/null",
        "GIT_DIR=/srv/projects/other/git/project.git",
        "GIT_EXEC_PATH=/tmp",
        "GIT_TRACE=/tmp/pwned-trace",
        "GIT_PROTOCOL=version=2:pwned",
        "GIT_OBJECT_DIRECTORY=/tmp/pwned-objects",
        "GIT_QUARANTINE_PATH=/tmp",
        "PATH=/tmp",
        "HOME=/tmp",
        "SHELL=/bin/sh",
        "BASH_ENV=/tmp/pwned-env",
        "ENV=/tmp/pwned-env",
        "LD_LIBRARY_PATH=/tmp",
        "CORPUS_PUSH_WHO=root",
        "SSH_ORIGINAL_COMMAND=id",
    ]
    .iter()
    .map(|pair| format!("-oSetEnv='{pair}'"))
    .collect();
    let set = set.join(" ").replace("' -oSetEnv='", " ");
    // They do arrive, where somebody has a shell.
    let line = set.trim_start_matches("-oSetEnv='").trim_end_matches('\'').to_owned();
    let mut root = Command::new("ssh");
    root.args(alone).args(host.ssh_words()).arg(format!("-oSetEnv={line}")).arg(format!("root@{}", host.address()));
    let said = Said::of(root.arg("/usr/bin/env").stdin(Stdio::null()).output().expect("ssh")).expect(0);
    assert!(
        said.out.contains("GIT_TRACE=/tmp/pwned-trace") && said.out.contains("CORPUS_PUSH_WHO=root"),
        "{}",
        said.out
    );
    let ssh = format!("ssh {} {} {set}", alone.join(" "), host.ssh_words().join(" "));
    let mut push = p.command(&["push", &p.url("project"), "main"]);
    let said = Said::of(push.env("GIT_SSH_COMMAND", ssh).output().expect("git")).expect(0);
    assert!(said.err.contains("deploying mine at") && said.err.contains("by alice"), "{}", said.err);
    assert_eq!(p.deployed("project"), [p.rev("HEAD")]);
    assert!(clean(host));
    // An unknown key is nobody's.
    let key = p.tree.path().join("stranger");
    assert!(
        Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-f"])
            .arg(&key)
            .status()
            .expect("keygen")
            .success()
    );
    let stranger = |words: &[&str]| {
        let mut ssh = Command::new("ssh");
        ssh.args([
            "-F",
            "/dev/null",
            "-p",
            "2222",
            "-oIdentitiesOnly=yes",
            "-oStrictHostKeyChecking=no",
            "-oBatchMode=yes",
        ]);
        ssh.args(["-oUserKnownHostsFile=/dev/null", "-oLogLevel=ERROR", "-i"]).arg(&key);
        ssh.arg(format!("mine-user@{}", host.address())).args(words);
        Said::of(ssh.stdin(Stdio::null()).output().expect("ssh"))
    };
    let said = stranger(&[]);
    assert!(said.code == 255 && said.err.contains("Permission denied"), "{said:?}");
    // What is written for sshd is what sshd understands, and holds for these users.
    let lines = "/usr/sbin/sshd -h /etc/ssh/lab_host_key -f /etc/ssh/sshd_config.d/corpus-push.conf";
    let said = host.inside(&format!("{lines} -T -C user=mine-user,host=x,addr=10.0.0.1")).expect(0);
    for line in ["disableforwarding yes", "permittty no", "passwordauthentication no"] {
        assert!(said.out.contains(line), "{line}: {}", said.out);
    }
    // One that somebody put there by hand, without a forced command, is let in and gets no shell for all that.
    let public = std::fs::read_to_string(key.with_extension("pub")).expect("a key");
    host.inside(&format!("echo '{}' >>/home/users/mine-user/.ssh/authorized_keys", public.trim())).expect(0);
    let said = stranger(&["touch /tmp/pwned"]);
    assert!(said.code == 1 && said.err.contains("is not something that can be done here"), "{said:?}");
    assert!(stranger(&[]).expect(0).err.contains("there is no shell"));
    assert!(clean(host));
    // Whoever is taken off the list is out, and so is what was not on it.
    host.inside("/usr/local/bin/corpus projects.revoke mine alice").expect(0);
    assert_eq!(stranger(&[]).code, 255);
    assert_eq!(host.ssh(&alone, "mine", &["attach"]).code, 255);
}

#[test]
fn the_socket_serves_a_projects_own_user_only() {
    let host = host_or_skip!();
    let (p, _other) = (host.project("own"), host.project("thief"));
    let one = p.commit("say one");
    p.push(&["main"]).expect(0);
    let two = p.commit("say two");
    p.push(&["main:stored"]).expect(0);
    let as_user =
        |user: &str, words: &str| host.inside(&format!("setpriv --reuid={user} --regid={user} --clear-groups {words}"));
    let said = as_user("thief-user", "/usr/local/bin/corpus projects.attach own");
    assert!(said.code == 1 && said.err.contains("may not deploy `own`"), "{said:?}");
    // The frame as the hook sends it, from somebody else, from an owner who was not asked to, and twice.
    let ask = |user: &str, project: &str, old: &str, new: &str| {
        let order = format!(
            r#"{{"version":1,"what":{{"deploy":{{"project":"{project}","kind":"project","reference":"refs/heads/main","old":"{old}","new":"{new}","options":{{"plan":false,"verbose":false,"only":[],"only_steps":[]}},"who":"root"}}}}}}"#
        );
        host.file("tmp-order.json", &order);
        let script = "use Socket; alarm 20; socket(S,AF_UNIX,SOCK_STREAM,0); connect(S,sockaddr_un(q(/run/corpus/push.sock))) or die;                       local $/; open(F,q(/tmp-order.json)); $b=<F>; syswrite(S,pack(q(V),length $b).$b); print <S>;";
        as_user(user, &format!("perl -e '{script}'")).expect(0).out
    };
    assert!(ask("thief-user", "own", &one, &two).contains("may not deploy"));
    assert!(ask("thief-user", "nobody-has-this", &one, &two).contains("may not deploy"));
    assert!(ask("own-user", "own", &one, &"1".repeat(40)).contains("no commit that is in the repository"));
    assert_eq!(p.deployed("project"), [one.as_str()]);
    assert!(ask("own-user", "own", &one, &two).contains(r#""ok":true"#));
    assert!(ask("own-user", "own", &one, &two).contains("deployed already"));
    assert!(ask("own-user", "own", &"0".repeat(40), &one).contains("since this was pushed"));
    assert_eq!((p.deployed("project"), p.main()), (vec![one, two.clone()], two));
}

/// The service of the host on which corpus deploys is killed by one of the tests.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

#[test]
fn a_service_that_is_killed_leaves_the_old_release_and_its_branch() {
    let host = host_or_skip!(corpus_host());
    let _one = alone();
    let p = host.made_by_corpus("killed");
    let push = ["HEAD:refs/heads/master"];
    std::fs::write(p.work.join("version"), "one").expect("a file");
    let one = p.commit("say one");
    p.push(&push).expect(0);
    // Killed in the middle of a recipe, when the new tree is in its place already.
    std::fs::write(p.work.join("version"), "two").expect("a file");
    std::fs::write(p.work.join(".salt/020_slow.sls"), "slow:\n  cmd.run:\n    - name: touch /tmp/slow; sleep 60\n")
        .expect("a file");
    p.commit("say two");
    let url = p.url("project");
    let mut pusher = p.command(&["push", &url, push[0]]);
    let pusher = pusher.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("git");
    host.until("it is in the recipe", &|| host.inside("test -e /tmp/slow").code == 0);
    host.inside("kill -9 $(cat /run/push.pid)").expect(0);
    let said = Said::of(pusher.wait_with_output().expect("git")).expect(1);
    assert!(said.err.contains("the deployment service is gone"), "{}", said.err);
    host.serve();
    let version = || host.inside("cat /srv/projects/killed/project/version").out;
    let refs = p.refs();
    assert!(refs.contains(&format!("{one}\trefs/heads/master")), "{refs}");
    assert_eq!(version(), "one", "{}", host.inside("tail -5 /var/log/push.log").out);
    // And the next push goes its way.
    std::fs::remove_file(p.work.join(".salt/020_slow.sls")).expect("a file");
    p.commit("say three");
    p.push(&push).expect(0);
    assert_eq!((version().as_str(), p.refs().contains(&p.rev("HEAD"))), ("two", true));
}

#[test]
fn row_087_what_passes_its_tests_is_deployed_by_the_robot_that_ran_them() {
    let host = host_or_skip!();
    let _one = alone();
    let p = host.project("robot");
    // The team's own repository, with a robot that tests what comes in, and pushes on what is good.
    let central = p.tree.path().join("central.git");
    p.git(&["init", "-q", "--bare", &central.to_string_lossy()]).expect(0);
    let robot = format!(
        "#!/bin/sh\nwhile read -r old new ref; do\n[ $ref = refs/heads/ci ] || continue\nwork=$(mktemp -d)\n\
         git --work-tree=$work checkout -q -f $new\nif (cd $work && sh ./test.sh); then git push {} $new:refs/heads/main\n\
         else echo 'tests failed: not deployed'; fi\nrm -rf $work\ndone\n",
        p.url("project")
    );
    let hook = central.join("hooks/post-receive");
    std::fs::write(&hook, robot).expect("a hook");
    std::fs::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("its mode");
    let team =
        |branch: &str| p.git(&["push", &central.to_string_lossy(), &format!("HEAD:refs/heads/{branch}")]).expect(0);
    std::fs::write(p.work.join("test.sh"), "exit 1\n").expect("a file");
    p.commit("say one");
    assert!(team("ci").err.contains("tests failed: not deployed"));
    assert_eq!((p.main(), p.deployed("project")), (String::new(), vec![]));
    std::fs::write(p.work.join("test.sh"), "exit 0\n").expect("a file");
    let good = p.commit("say two");
    team("elsewhere");
    assert_eq!(p.main(), "", "only the robot's branch is tested");
    let said = team("ci").err;
    assert!(said.contains("[install] two") && said.contains("[push] done"), "the report comes back: {said}");
    assert_eq!((p.main(), p.deployed("project")), (good.clone(), vec![good]));
}

#[test]
fn row_076_and_104_a_project_is_made_cloned_pushed_broken_and_mended() {
    let host = host_or_skip!(corpus_host());
    let _one = alone();
    let p = host.made_by_corpus("demo");
    let write =
        |text: &str| std::fs::write(p.work.join(".salt/010_site.sls"), format!("site:\n{text}\n")).expect("a file");
    let managed = |version: &str| {
        let file = "  file.managed:\n    - name: /srv/site.txt\n    - contents: ";
        write(&format!("{file}{version}"));
        std::fs::write(p.work.join("version"), version).expect("a file");
        p.commit(&format!("say {version}"))
    };
    let master = || {
        p.refs().lines().find_map(|line| line.strip_suffix("\trefs/heads/master").map(str::to_owned)).expect("a branch")
    };
    let inside = |path: &str| host.inside(&format!("cat {path}")).out.trim().to_owned();
    managed("one");
    let plan = p.push(&["-oplan", "HEAD:refs/heads/master"]).expect(0);
    assert!(plan.err.contains("/srv/site.txt") || plan.err.contains("~ site"), "{}", plan.err);
    assert!(host.inside("test -e /srv/site.txt").code != 0, "a plan moves nothing");
    let one = p.rev("HEAD");
    assert_ne!(master(), one);
    let said = p.push(&["HEAD:refs/heads/master"]).expect(0);
    for step in ["[archive]", "[release_sync]", "[install]", "[fixperms]", "[notify]", "alice@laptop"] {
        assert!(said.err.contains(step), "{step}: {}", said.err);
    }
    assert_eq!(
        (master(), inside("/srv/site.txt"), inside("/srv/projects/demo/project/version")),
        (one.clone(), "one".into(), "one".into())
    );
    // A release that fails: the pusher sees where, and the old one serves.
    managed("two");
    write(
        "  file.managed:\n    - name: /srv/site.txt\n    - contents: two\nbroken:\n  cmd.run:\n    - name: exit 7\n    - require:\n      - file: site",
    );
    p.commit("say broken");
    let said = p.push(&["HEAD:refs/heads/master"]).expect(1);
    assert!(
        said.err.contains("010_site.sls:6") && said.err.contains("rejected] HEAD -> master (failed in install"),
        "{}",
        said.err
    );
    assert_eq!((master(), inside("/srv/projects/demo/project/version")), (one, "one".into()));
    // Hooks of somebody else's making do not last.
    host.inside("cd /usr/local/lib/corpus/hooks; printf '#!/bin/sh\\ntouch /tmp/pwned\\n' >post-receive; chmod 755 post-receive").expect(0);
    let three = managed("three");
    let said = p.push(&["HEAD:refs/heads/master"]).expect(0);
    assert!(said.err.contains("put right: removed"), "{}", said.err);
    assert_eq!(
        (master(), inside("/srv/site.txt"), inside("/srv/projects/demo/project/version")),
        (three, "three".into(), "three".into())
    );
    assert!(clean(host));
    // The pillar: brought up to date, not deployed.
    p.git(&["fetch", "-q", &p.url("pillar"), "master"]).expect(0);
    p.git(&["checkout", "-q", "-b", "pillar", "FETCH_HEAD"]).expect(0);
    let file = p.work.join("init.sls");
    let text = std::fs::read_to_string(&file).expect("the pillar");
    std::fs::write(file, text + "# more\n").expect("a file");
    p.git(&["commit", "-qam", "more"]).expect(0);
    let said = p.git(&["push", &p.url("pillar"), "pillar:master"]).expect(0);
    assert!(said.err.contains("brought up to date") && !said.err.contains("[install]"), "{}", said.err);
    assert!(inside("/srv/projects/demo/pillar/init.sls").ends_with("# more"));
}
