//! `corpus demo project`: a newcomer's path, played: init, clone, edit, push, break, watch the way back, mend, push.
//!
//! As root, where the laboratory of the source tree is found, on a throw-away host with users of its own, by git over
//! SSH. Elsewhere in a private directory: there a push only stores, and a call deploys.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// Plays what the command line asks for; `None` if it asks for something else.
pub fn answer() -> Option<u8> {
    let words: Vec<String> = std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
    let words: Vec<&str> = words.iter().skip(1).map(String::as_str).collect();
    match words[..] {
        ["demo", "project"] => {}
        ["demo"] => {
            eprintln!("error: `corpus demo` plays a story: `corpus demo project`");
            return Some(64);
        }
        _ => return None,
    }
    Some(match play() {
        Ok(()) => 0,
        Err(why) => {
            eprintln!("error: {why}");
            1
        }
    })
}

type Told<T> = Result<T, String>;

/// Where the story takes place.
enum Stage {
    /// A host of the laboratory.
    Host { script: PathBuf, dir: PathBuf },
    /// A directory, and nothing else of this machine.
    Directory,
}

struct Story {
    stage: Stage,
    /// Everything that the story writes on this machine.
    home: tempfile::TempDir,
    exe: PathBuf,
    began: Instant,
}

/// The network of the host: one that hardly anybody has.
const NET: &str = "100.127";

const PAGE: &str = "page:\n  file.managed:\n    - name: {{ cfg.project_root }}/www/index.html\n    - makedirs: true\n    \
                    - contents: {{ cfg.data.get('greeting', 'hello') }}, release RELEASE\n";

fn play() -> Told<()> {
    let exe = corpus_project::push::exe()?;
    let home = tempfile::Builder::new().prefix("corpus-demo-").tempdir().map_err(|error| error.to_string())?;
    let root = Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout == b"0\n");
    let stage = match laboratory(&exe).filter(|_| root) {
        Some(script) => Stage::Host { script, dir: home.path().join("lab") },
        None => Stage::Directory,
    };
    let story = Story { stage, home, exe, began: Instant::now() };
    let told = story.raise().and_then(|()| story.tell());
    story.end();
    told
}

/// Finds the laboratory of the source tree: where `CORPUS_LAB` says, or above this program or the working directory.
fn laboratory(exe: &Path) -> Option<PathBuf> {
    let named = std::env::var_os("CORPUS_LAB").map(PathBuf::from);
    let here = std::env::current_dir().unwrap_or_default();
    let above = exe.ancestors().chain(here.ancestors()).map(|folder| folder.join("tests/lab/lab.sh"));
    let usable = Path::new("/usr/sbin/sshd").exists() && Path::new("/usr/bin/unshare").exists();
    named.into_iter().chain(above).find(|path| usable && path.is_file())
}

/// Tells a line as soon as it happens. Whoever reads no more does not end the story: it must be cleaned up after.
fn put(line: &str) {
    let mut out = std::io::stdout();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

impl Story {
    fn say(&self, text: &str) {
        put(&format!("\n== {text}"));
    }

    fn show(&self, text: &str) {
        text.lines().for_each(|line| put(&format!("   {}", line.trim_end())));
    }

    fn at(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Runs a program of this machine.
    fn run(&self, words: &[&str], dir: Option<&Path>, good: bool) -> Told<String> {
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).stdin(Stdio::null());
        command.current_dir(dir.unwrap_or(self.home.path())).env("HOME", self.home.path());
        for (key, value) in [("GIT_CONFIG_NOSYSTEM", "1"), ("LC_ALL", "C.UTF-8")] {
            command.env(key, value);
        }
        for who in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{who}_NAME"), "newcomer").env(format!("GIT_{who}_EMAIL"), "newcomer@laptop");
        }
        if let Stage::Host { dir, .. } = &self.stage {
            let (known, key) = (dir.join("known_hosts"), dir.join("key"));
            let ssh = format!(
                "ssh -F /dev/null -p 2222 -i {} -oIdentitiesOnly=yes -oUserKnownHostsFile={} -oHostKeyAlias={NET}.1.1 \
                 -oLogLevel=ERROR",
                key.display(),
                known.display()
            );
            command.env("LAB_DIR", dir).env("LAB_NET", NET).env("LAB_TAG", "cdp").env("GIT_SSH_COMMAND", ssh);
        }
        let output = command.output().map_err(|error| format!("{}: {error}", words[0]))?;
        let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        if output.status.success() != good {
            let how = if good { "failed" } else { "should have failed" };
            return Err(format!("`{}` {how}:\n{}", words.join(" "), text.trim_end()));
        }
        Ok(text.into_owned())
    }

    /// Runs corpus where the projects are.
    fn corpus(&self, words: &[&str], good: bool) -> Told<String> {
        put(&format!("# corpus {}", words.join(" ")));
        match &self.stage {
            Stage::Host { .. } => self.inside(&[&["corpus", "--no-color"], words].concat(), good),
            Stage::Directory => {
                let (exe, etc) = (self.exe.to_string_lossy(), self.at("etc"));
                let own = [&*exe, "--local", "--no-color", "-c", &etc.to_string_lossy()];
                self.run(&[&own[..], words].concat(), None, good)
            }
        }
    }

    fn inside(&self, words: &[&str], good: bool) -> Told<String> {
        let Stage::Host { script, .. } = &self.stage else { return Err("there is no host".into()) };
        self.run(&[&["bash", &script.to_string_lossy(), "exec", "1"], words].concat(), None, good)
    }

    fn git(&self, words: &[&str], good: bool) -> Told<String> {
        put(&format!("$ git {}", words.join(" ")));
        let work = self.at("shop");
        self.run(
            &[&["git", "-c", "safe.directory=*"], words].concat(),
            Some(&work).filter(|work| work.exists()).map(|p| &**p),
            good,
        )
    }

    /// Makes the place: a host with sshd and the service, or a directory with a configuration.
    fn raise(&self) -> Told<()> {
        let fail = |error: std::io::Error| error.to_string();
        match &self.stage {
            Stage::Host { script, dir } => {
                self.say("A throw-away host: users, sshd and network of its own");
                self.run(&["bash", &script.to_string_lossy(), "up", "1"], None, true)?;
                std::fs::copy(&self.exe, dir.join("h1/root/usr/local/bin/corpus")).map_err(fail)?;
                let setup = "set -e; umask 022; rm -rf /srv/projects /srv/salt /srv/pillar /etc/salt /etc/corpus; \
                             mkdir -p /srv/salt /srv/pillar; corpus projects.install >/dev/null 2>&1; \
                             /usr/sbin/sshd -f /etc/ssh/sshd_config.d/corpus-push.conf -p 2222 -h /etc/ssh/lab_host_key \
                             -o PidFile=none; setsid corpus projects.serve </dev/null >/var/log/push.log 2>&1 &";
                self.inside(&["sh", "-c", setup], true).map(drop)
            }
            Stage::Directory => {
                self.say(&format!(
                    "A private directory, {}: not root, or no laboratory beside this program",
                    self.home.path().display()
                ));
                self.show("a push stores here, and `mc_project.deploy` deploys; over SSH a push does both");
                for folder in ["etc", "salt", "pillar"] {
                    std::fs::create_dir(self.at(folder)).map_err(fail)?;
                }
                let at = self.home.path().display();
                let minion = format!(
                    "id: demo\nprojects_dir: {at}/projects\nprojects_homes: {at}/homes\ncorpus_cachedir: {at}/cache\n\
                     file_roots: {{base: [{at}/salt]}}\npillar_roots: {{base: [{at}/pillar]}}\n"
                );
                std::fs::write(self.at("etc/minion"), minion).map_err(fail)
            }
        }
    }

    fn url(&self) -> String {
        match self.stage {
            Stage::Host { .. } => format!("ssh://shop-user@{NET}.1.1:2222/srv/projects/shop/git/project.git"),
            Stage::Directory => self.at("projects/shop/git/project.git").display().to_string(),
        }
    }

    fn page(&self) -> Told<String> {
        let text = match self.stage {
            Stage::Host { .. } => self.inside(&["cat", "/srv/projects/shop/project/www/index.html"], true)?,
            Stage::Directory => std::fs::read_to_string(self.at("projects/shop/project/www/index.html"))
                .map_err(|error| error.to_string())?,
        };
        Ok(text.trim().to_owned())
    }

    /// Commits all, pushes, and where a push does not deploy, deploys.
    fn release(&self, message: &str, good: bool) -> Told<()> {
        self.git(&["add", "-A"], true)?;
        self.git(&["commit", "-q", "-m", message], true)?;
        let said = match self.stage {
            Stage::Host { .. } => self.git(&["push", "origin", "HEAD"], good)?,
            Stage::Directory => {
                self.git(&["push", "-q", "origin", "HEAD"], true)?;
                self.corpus(&["mc_project.deploy", "shop"], good)?
            }
        };
        let told: String = said
            .lines()
            .filter(|line| !line.trim().is_empty() && line.trim() != "--")
            .map(|l| format!("{l}\n"))
            .collect();
        self.show(&told);
        Ok(())
    }

    fn write(&self, name: &str, text: &str) -> Told<()> {
        put(&format!("$ edit .salt/{name}"));
        std::fs::write(self.at("shop/.salt").join(name), text).map_err(|error| format!("{name}: {error}"))
    }

    fn expect(&self, page: &str) -> Told<()> {
        let now = self.page()?;
        self.show(&format!("the page says: {now}"));
        if now == page { Ok(()) } else { Err(format!("the page should say: {page}")) }
    }

    fn tell(&self) -> Told<()> {
        self.say("The operator makes a project: user, directories, two repositories");
        let mut words = vec!["mc_project.init_project", "shop", "default_env=prod"];
        if matches!(self.stage, Stage::Directory) {
            words.push("no_user=True");
        }
        let said = self.corpus(&words, true)?;
        let remotes: String =
            said.lines().filter(|line| line.contains("ssh://")).map(|line| format!("{}\n", line.trim())).collect();
        self.show(&remotes);
        if matches!(self.stage, Stage::Host { .. }) {
            put("# corpus projects.authorize shop newcomer@laptop ssh-ed25519 AAAA…");
            self.inside(
                &["sh", "-c", "corpus projects.authorize shop newcomer@laptop $(cat /etc/ssh/lab_authorized_keys)"],
                true,
            )?;
        }
        self.say("The newcomer clones it; the procedures are there");
        self.git(&["clone", "-q", &self.url(), "shop"], true)?;
        self.show(&self.run(&["ls", "shop/.salt"], None, true)?);
        self.say("A recipe, and the first release");
        put("$ git rm -q .salt/000_helloworld.sls");
        std::fs::remove_file(self.at("shop/.salt/000_helloworld.sls")).map_err(|error| error.to_string())?;
        self.write("100_page.sls", &PAGE.replace("RELEASE", "one"))?;
        self.release("a page", true)?;
        self.expect("hello, release one")?;
        self.say("The next release is broken: its last recipe fails, when the page has been written already");
        self.write("100_page.sls", &PAGE.replace("RELEASE", "two"))?;
        self.write("200_oops.sls", "oops:\n  cmd.run:\n    - name: exit 7\n")?;
        self.release("something new", false)?;
        self.say("The first release serves, as if nothing had been");
        self.expect("hello, release one")?;
        self.say("Mended, and pushed again");
        put("$ git rm -q .salt/200_oops.sls");
        std::fs::remove_file(self.at("shop/.salt/200_oops.sls")).map_err(|error| error.to_string())?;
        self.release("mended", true)?;
        self.expect("hello, release two")?;
        self.say("What happened");
        let said = self.corpus(&["--out=json", "mc_project.deployments", "shop"], true)?;
        let all: serde_json::Value = serde_json::from_str(&said).map_err(|error| format!("{error}: {said}"))?;
        for one in all.as_object().and_then(|all| all.values().next()?.as_array()).into_iter().flatten().rev() {
            self.show(one["summary"].as_str().unwrap_or_default());
        }
        self.say(&format!("Done, in {:.0} seconds", self.began.elapsed().as_secs_f64()));
        Ok(())
    }

    /// Takes down what was made.
    fn end(&self) {
        if let Stage::Host { script, .. } = &self.stage {
            let _ = self.run(&["bash", &script.to_string_lossy(), "down"], None, true);
        }
    }
}
