//! Trees on disk, the program under test, and throw-away hosts.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use tempfile::TempDir;

/// A directory with a state tree, a pillar tree and a configuration, gone at the end.
pub struct Tree {
    pub dir: TempDir,
}

impl Tree {
    /// Makes an empty tree: `salt/`, `pillar/`, and an empty configuration in `etc/`.
    pub fn new() -> Self {
        let tree =
            Self { dir: tempfile::Builder::new().prefix("corpus-it-").tempdir_in("/var/tmp").expect("a directory") };
        for folder in ["salt", "pillar", "etc", "cache"] {
            std::fs::create_dir(tree.path().join(folder)).expect("a folder");
        }
        tree.file("etc/minion", &format!("id: it\ncorpus_cachedir: {}/cache\n", tree.path().display()));
        tree.file("etc/master", &format!("corpus_cachedir: {}/cache\n", tree.path().display()));
        tree
    }

    /// Returns its place.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Writes a file; `$TREE` in the text is the tree's place.
    pub fn file(&self, name: &str, text: &str) -> &Self {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a file has a folder")).expect("a folder");
        std::fs::write(path, text.replace("$TREE", &self.path().display().to_string())).expect("a file");
        self
    }

    /// Writes a file with the run bit.
    pub fn program(&self, name: &str, text: &str) -> &Self {
        use std::os::unix::fs::PermissionsExt;
        self.file(name, text);
        std::fs::set_permissions(self.path().join(name), std::fs::Permissions::from_mode(0o755)).expect("a mode");
        self
    }

    /// Prepares the program with the tree's configuration.
    pub fn corpus(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_corpus"));
        let at = |name: &str| self.path().join(name);
        command.arg("-c").arg(at("etc")).arg("--file-root").arg(at("salt")).arg("--pillar-root").arg(at("pillar"));
        command.args(words).env("CORPUS_MINION", minion()).env("NO_COLOR", "1").stdin(Stdio::null());
        command
    }

    /// Runs the program on this machine.
    pub fn local(&self, words: &[&str]) -> Said {
        let mut all = vec!["--local"];
        all.extend(words);
        // A machine takes one writing run at a time, and other tests are under way.
        if words.contains(&"state.apply") {
            all.push("queue=True");
        }
        Said::of(self.corpus(&all).output().expect("the program starts"))
    }
}

/// What the program said.
#[derive(Debug)]
pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Said {
    /// Takes it from a finished process.
    pub fn of(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Asserts the exit code, showing everything if it is another.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "\n--- stdout\n{}\n--- stderr\n{}", self.out, self.err);
        self
    }

    /// Reads standard output as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out)
            .unwrap_or_else(|error| panic!("{error}\n--- stdout\n{}\n--- stderr\n{}", self.out, self.err))
    }
}

/// The minion program: the static one if the caller built it, else the one of this build.
pub fn minion() -> PathBuf {
    if let Some(path) = std::env::var_os("CORPUS_STATIC_MINION") {
        return path.into();
    }
    Path::new(env!("CARGO_BIN_EXE_corpus")).with_file_name("corpus-minion")
}

/// Throw-away hosts, shared by all tests of this process and taken down when it ends.
pub struct Lab {
    pub dir: PathBuf,
}

/// How many hosts the lab has; each test that writes takes one of its own.
pub const HOSTS: usize = 19;

/// Returns the lab, or why there is none.
pub fn lab() -> Result<&'static Lab, &'static str> {
    static LAB: OnceLock<Result<Lab, String>> = OnceLock::new();
    LAB.get_or_init(start_lab).as_ref().map_err(String::as_str)
}

/// Returns the lab, or prints that the test was skipped; as root it must be there.
#[macro_export]
macro_rules! lab_or_skip {
    () => {
        match $crate::support::lab() {
            Ok(lab) => lab,
            Err(why) => {
                assert!(!$crate::support::is_root(), "the lab does not start: {why}");
                eprintln!("skipped: {why}");
                return;
            }
        }
    };
}

/// Tells whether the tests run as root.
pub fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout == b"0\n")
}

/// Puts this machine's busybox into a root file system: Debian's `busybox` with its libraries, `busybox-static` as it is.
pub fn busybox_into(root: &Path) {
    let copy = "mkdir -p bin && cp \"$(command -v busybox)\" bin/busybox && for lib in $(ldd bin/busybox 2>/dev/null | grep -o '/[^ ]*'); do \
                mkdir -p \".$(dirname $lib)\" && cp -L $lib .$lib || exit 1; done";
    assert!(Command::new("sh").args(["-c", copy]).current_dir(root).status().expect("sh starts").success());
}

fn start_lab() -> Result<Lab, String> {
    if !is_root() {
        return Err("the lab needs root".into());
    }
    let lab = Lab { dir: PathBuf::from(format!("/run/corpus-it-{}", std::process::id())) };
    let output = lab.script(&["up", &HOSTS.to_string()]);
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    // Statics are never dropped: a shell that waits for this process takes the lab down.
    let script = lab_script();
    let watch =
        format!("while kill -0 {} 2>/dev/null; do sleep 0.2; done; exec bash {script} down", std::process::id());
    let watcher = lab
        .env(Command::new("setsid").args(["bash", "-c", &watch]))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    watcher.map_err(|error| error.to_string())?;
    Ok(lab)
}

fn lab_script() -> String {
    format!("{}/tests/lab/lab.sh", env!("CARGO_MANIFEST_DIR"))
}

impl Lab {
    fn env<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        // The process's number makes network and names its own, so that two test runs can be under way.
        let n = std::process::id() % 60 + 30;
        command.env("LAB_DIR", &self.dir).env("LAB_NET", format!("10.{n}")).env("LAB_TAG", format!("cit{n}"))
    }

    /// Runs a verb of the lab.
    pub fn script(&self, words: &[&str]) -> Output {
        self.env(Command::new("bash").arg(lab_script()).args(words)).output().expect("bash")
    }

    /// Runs a shell line inside a host.
    pub fn inside(&self, host: usize, line: &str) -> Said {
        Said::of(self.script(&["exec", &host.to_string(), "sh", "-c", line]))
    }

    /// Returns the roster entry of a host, without its first line, for tests that change something in it.
    pub fn roster(&self, host: usize) -> String {
        let text = String::from_utf8(self.script(&["roster"]).stdout).expect("a roster is text");
        let start = text.find(&format!("h{host}:\n")).expect("the host is in the roster");
        let end = text[start + 1..].find("\nh").map_or(text.len(), |at| start + 1 + at + 1);
        text[start..end].to_owned()
    }

    /// Runs the program over SSH on the hosts of a roster.
    pub fn ssh(&self, tree: &Tree, roster: &str, words: &[&str]) -> Said {
        tree.file("etc/roster", roster);
        Said::of(tree.corpus(words).output().expect("the program starts"))
    }
}
