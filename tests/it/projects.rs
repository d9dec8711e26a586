//! Projects by the command line, on a throw-away host, with users of their own: a newcomer's way.

use crate::support::{Said, Tree};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

/// A host of this file's own.
struct Host {
    dir: PathBuf,
    /// Takes the host down when this process is gone.
    _watcher: Child,
}

fn host() -> Option<&'static Host> {
    static HOST: OnceLock<Option<Host>> = OnceLock::new();
    HOST.get_or_init(Host::start).as_ref()
}

macro_rules! host_or_skip {
    () => {
        match host() {
            Some(host) => host,
            None => {
                eprintln!("skipped: needs root");
                return;
            }
        }
    };
}

impl Host {
    fn start() -> Option<Self> {
        if !crate::support::is_root() {
            return None;
        }
        let dir = PathBuf::from(format!("/run/corpus-projects-{}", std::process::id()));
        let script = format!("{}/tests/lab/lab.sh", env!("CARGO_MANIFEST_DIR"));
        Said::of(lab(&dir, "bash").arg(&script).args(["up", "1"]).output().expect("bash")).expect(0);
        let pid = std::process::id();
        let watch = format!("while kill -0 {pid} 2>/dev/null; do sleep 0.2; done; exec bash {script} down");
        let mut watcher = lab(&dir, "setsid");
        watcher.args(["bash", "-c", &watch]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let host = Self { _watcher: watcher.spawn().expect("setsid"), dir };
        let mut strip = Command::new("strip");
        strip.arg("-g").arg("-o").arg(host.dir.join("h1/root/usr/local/bin/corpus")).arg(env!("CARGO_BIN_EXE_corpus"));
        assert!(strip.status().expect("strip").success());
        host.inside("rm -rf /srv/projects /srv/salt /srv/pillar; git config --global --add safe.directory '*'")
            .expect(0);
        Some(host)
    }

    fn lab(&self, words: &[&str]) -> Said {
        let script = format!("{}/tests/lab/lab.sh", env!("CARGO_MANIFEST_DIR"));
        Said::of(lab(&self.dir, "bash").arg(script).args(words).output().expect("bash"))
    }

    fn inside(&self, line: &str) -> Said {
        self.lab(&["exec", "1", "sh", "-c", line])
    }

    fn corpus(&self, words: &str) -> Said {
        self.inside(&format!("corpus --local --no-color {words}"))
    }

    /// Commits what a shell line makes of a clone, and puts it where a push would.
    fn commit(&self, project: &str, line: &str) -> Said {
        self.inside(&format!(
            "set -e; umask 022; G='git -c user.name=t -c user.email=t@t'; cd /root; rm -rf work; \
             $G clone -q /srv/projects/{project}/git/project.git work; cd work; {line}; $G add -A -f; \
             $G commit -q -m work; B=$(git symbolic-ref HEAD); \
             git -C /srv/projects/{project}/git/project.git fetch -q /root/work +HEAD:$B; \
             chown -R {project}-user:{project}-grp /srv/projects/{project}/git"
        ))
        .expect(0)
    }
}

fn lab(dir: &Path, program: &str) -> Command {
    // Not one of the networks that the other files' hosts take.
    let n = std::process::id() % 60 + 64;
    let mut command = Command::new(program);
    command.env("LAB_DIR", dir).env("LAB_NET", format!("100.{n}")).env("LAB_TAG", format!("cpr{n}"));
    command
}

#[test]
fn row_042_058_060_061_079_094_097_and_104_the_way_of_a_newcomer() {
    let host = host_or_skip!();
    host.inside("mkdir -p /root/.ssh; echo key > /root/.ssh/id_machine; chmod 600 /root/.ssh/id_machine").expect(0);
    let said = host.corpus("mc_project.init_project shop default_env=prod").expect(0);
    assert!(said.out.contains("ssh://shop-user@") && said.out.contains("/git/project.git"), "{}", said.out);
    // Row 60: the user owns what is his, and root what holds it.
    let owners =
        host.inside("stat -c '%n %U:%G %a' /srv/projects /srv/projects/shop /srv/projects/shop/*").expect(0).out;
    for line in [
        "/srv/projects root:root 751",
        "/srv/projects/shop root:root 755",
        "/srv/projects/shop/archives root:shop-grp 750",
        "/srv/projects/shop/data shop-user:shop-grp 750",
        "/srv/projects/shop/git shop-user:shop-grp 750",
        "/srv/projects/shop/pillar shop-user:shop-grp 750",
    ] {
        assert!(owners.contains(line), "{line}\n{owners}");
    }
    // Row 61.
    let keys =
        host.inside("stat -c '%U %a' /home/users/shop-user/.ssh /home/users/shop-user/.ssh/id_machine").expect(0);
    assert_eq!(keys.out, "shop-user 700\nshop-user 600\n");
    // Row 104: a first release, a broken one, a repaired one.
    let page = "mkdir -p www; echo one > www/index; printf 'page:\\n  file.managed:\\n    - name: /etc/shop.conf\\n    - contents: one\\n' > .salt/100_page.sls";
    host.commit("shop", page);
    host.corpus("mc_project.deploy shop").expect(0);
    host.commit("shop", "echo two > www/index; sed -i s/one/two/ .salt/100_page.sls; printf 'bad:\\n  cmd.run:\\n    - name: exit 7\\n' > .salt/200_bad.sls");
    let said = host.corpus("mc_project.deploy shop").expect(3);
    assert!(said.out.contains("200_bad.sls:2") && said.out.contains("the previous release is back"), "{}", said.out);
    let now = host.inside(
        "cat /srv/projects/shop/project/www/index /etc/shop.conf; stat -c %U /srv/projects/shop/project/www/index",
    );
    assert_eq!(now.out, "one\none\nshop-user\n");
    host.commit("shop", "rm .salt/200_bad.sls");
    host.corpus("mc_project.deploy shop").expect(0);
    assert_eq!(host.inside("cat /srv/projects/shop/project/www/index /etc/shop.conf").out, "two\ntwo\n");
    let said = host.corpus("--out=json mc_project.deployments shop").expect(0).json();
    let list = said["local"].as_array().expect("a list");
    let ended: Vec<bool> = list.iter().map(|one| one["succeeded"].as_bool().expect("a verdict")).collect();
    assert_eq!(ended, [true, false, true], "{list:?}");
    assert!(list.iter().all(|one| one["who"] == "root"), "{list:?}");
    // Row 79.
    host.inside("cd /srv/projects/shop; chown root:root project/www/index; chmod 777 pillar; chmod 600 project/www")
        .expect(0);
    host.corpus("mc_project.fixperms shop").expect(0);
    let fixed =
        host.inside("cd /srv/projects/shop; stat -c '%U:%G %a' project/www/index project/www pillar pillar/init.sls");
    assert_eq!(fixed.out, "shop-user:shop-grp 664\nshop-user:shop-grp 2770\nroot:shop-grp 770\nroot:shop-grp 660\n");
    // Row 97: each procedure alone.
    for step in ["archive", "release_sync", "install", "fixperms", "notify", "rotate_archives", "sync_modules"] {
        let said = host.corpus(&format!("--out=json mc_project.{step} shop")).expect(0).json();
        assert_eq!(said["local"]["result"], true, "{step}: {said}");
    }
    host.corpus("mc_project.rollback shop").expect(0);
    // A second look changes nothing. Row 42: this host reaches nobody outside. Row 94: the other name.
    host.corpus("mc_project.deploy_project shop").expect(0);
    let said = host.corpus("--out=json mc_project.deploy shop").expect(0).json();
    assert_eq!(said["local"]["changes"], serde_json::json!({}), "{said}");
}

#[test]
fn a_project_of_a_machine_of_the_roster_is_deployed_from_afar() {
    let host = host_or_skip!();
    host.corpus("mc_project.init_project far default_env=prod").expect(0);
    let tree = Tree::new();
    let roster = host.lab(&["roster"]).out;
    tree.file("etc/roster", &roster);
    let said = tree.local(&["--out=json", "mc_project.remote_deploy", "h1", "far"]).expect(0).json();
    assert!(said["local"]["comment"].as_str().is_some_and(|text| text.contains("of far succeeded")), "{said}");
    let said = tree.local(&["mc_project.remote_run_task", "h1", "far", "nothing"]).expect(3);
    assert!(said.out.contains("there is no recipe `task_nothing`"), "{}", said.out);
    // Prepared here, sent, deployed there: twice, the second time with an edit of ours.
    let source = tree.path().join("source");
    let line = "git init -q -b main . && mkdir .salt && printf 'x:\\n  file.managed:\\n    - name: /etc/orchestrated\\n    - contents: VERSION\\n' >.salt/100_x.sls";
    let shell = |line: &str| {
        std::fs::create_dir_all(&source).expect("a folder");
        let commit = "git add -A && git -c user.name=a -c user.email=a@b commit -q -m work";
        let line = format!("{line} && {commit}");
        Said::of(Command::new("sh").args(["-ec", &line]).current_dir(&source).output().expect("sh")).expect(0)
    };
    shell(&line.replace("VERSION", "one"));
    let (origin, stage) = (format!("origin={}", source.display()), tree.path().join("stage"));
    let over = format!(
        "{}\nremote_projects_dir: {}\n",
        std::fs::read_to_string(tree.path().join("etc/minion")).unwrap_or_default(),
        stage.display()
    );
    tree.file("etc/minion", &over);
    let all = ["--out=json", "mc_project.orchestrate", "h1", "sent", &origin, "default_env=prod"];
    let said = tree.local(&all).expect(0).json();
    assert_eq!(said["local"]["result"], true, "{said}");
    assert_eq!(host.inside("cat /etc/orchestrated").out, "one\n");
    assert!(stage.join("h1/sent/pillar/init.sls").is_file());
    shell("sed -i s/one/two/ .salt/100_x.sls");
    tree.local(&all).expect(0);
    assert_eq!(host.inside("cat /etc/orchestrated").out, "two\n");
    // What somebody is editing here is not thrown away.
    std::fs::write(stage.join("h1/sent/project/mine"), "x").expect("a file");
    let said = tree.local(&["mc_project.sync_remote_project", "h1", "sent"]).expect(1);
    assert!(
        said.out.contains("changes that are not committed") || said.err.contains("changes that are not committed"),
        "{}{}",
        said.out,
        said.err
    );
}

#[test]
fn row_096_100_and_the_answers_to_mistakes() {
    let host = host_or_skip!();
    host.corpus("mc_project.init_project tea default_env=staging").expect(0);
    host.corpus("mc_project.set_configuration tea keep_archives=7 color=green").expect(0);
    let said = host.corpus("--out=json mc_project.get_configuration tea").expect(0).json();
    assert_eq!((&said["local"]["keep_archives"], &said["local"]["data"]["color"]), (&7.into(), &"green".into()));
    assert_eq!(host.inside("stat -c '%U %a' /srv/projects/tea/.corpus/configuration.yaml").out, "root 600\n");
    // Row 100: the context is the runner's.
    let said = host.corpus("state.apply makina-projects.tea.notify").expect(1);
    assert!(said.out.contains("mc_project.run_sls"), "{}", said.out);
    host.corpus("mc_project.run_sls tea notify").expect(0);
    for (words, wanted) in [
        ("mc_project.deploy nobody-here test=True", "there is no project nobody-here"),
        ("mc_project.deploy ../etc", "is no project name"),
        ("mc_project.deploy tea only=instal", "there is no step `instal`"),
        ("mc_project.deploy tea api_version=9", "there is no version `9`"),
        ("mc_project.init_project tea installer=tilestreem", "tilestream"),
        ("mc_project.rollback tea to=1999", "has no archived release"),
        ("mc_project.run_task tea nothing", "there is no recipe `task_nothing`"),
        ("mc_project.deployments tea 1999", "has no deployment `1999`"),
    ] {
        let said = host.corpus(words);
        assert!(said.code != 0 && (said.out.clone() + &said.err).contains(wanted), "{words}: {said:?}");
    }
    let said = host.corpus("mc_project.report").expect(0).out;
    assert!(said.contains("tea:") && said.contains("ServerAliveInterval"), "{said}");
    assert!(host.corpus("mc_project.list_projects").expect(0).out.contains("tea:"));
}

#[test]
fn the_demo_plays_a_newcomers_path() {
    let said = Said::of(Command::new(env!("CARGO_BIN_EXE_corpus")).args(["demo", "project"]).output().expect("corpus"));
    let said = said.expect(0);
    for line in ["the page says: hello, release two", "200_oops failed", "== Done, in "] {
        assert!(said.out.contains(line), "{line}: {}", said.out);
    }
    if crate::support::is_root() {
        assert!(said.out.contains("$ git push origin HEAD") && said.out.contains("by newcomer@laptop"), "{}", said.out);
    }
}
