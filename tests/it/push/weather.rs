//! What happens to pushes when things go wrong around them: a service that is killed, a disk that is full, many pushes at once.

use super::host::{Host, Project, alone, corpus_host, host};
use crate::support::Said;
use std::os::unix::process::CommandExt;
use std::process::{Child, Stdio};
use std::time::Duration;

const BRANCH: &str = "HEAD:refs/heads/master";

/// Commits a release: its number in the tree, and in a file of the host that a recipe writes.
fn release(p: &Project, number: usize, more: &str) -> String {
    let recipe =
        format!("kept:\n  file.managed:\n    - name: /srv/host-{}\n    - contents: 'n{number}'\n{more}", p.name);
    std::fs::write(p.work.join(".salt/010_kept.sls"), recipe).expect("a file");
    std::fs::write(p.work.join("version"), format!("n{number}")).expect("a file");
    p.commit(&format!("say {number}"))
}

fn spawn(p: &Project, kind: &str, what: &str) -> Child {
    let mut git = p.command(&["push", &p.url(kind), what]);
    git.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("git")
}

fn ended(child: Child) -> Said {
    Said::of(child.wait_with_output().expect("git"))
}

/// What serves, what the host has, and what the branch says: in this order.
fn state(host: &Host, p: &Project) -> [String; 3] {
    let read = |path: &str| host.inside(&format!("cat {path} 2>/dev/null")).out.trim().to_owned();
    let tree = read(&format!("/srv/projects/{}/project/version", p.name));
    let kept = read(&format!("/srv/host-{}", p.name));
    let refs = p.refs();
    let head = refs.lines().find_map(|line| line.strip_suffix("\trefs/heads/master")).unwrap_or_default();
    [tree, kept, p.git(&["show", &format!("{head}:version")]).out]
}

/// Kills the service at some moment of each of three pushes, or of as many as `CORPUS_KILLS` says. Whatever moment that is,
/// tree, host and branch are all of one release afterwards, and the same push goes through.
#[test]
fn a_service_killed_at_any_moment_is_made_good() {
    let host = host_or_skip!(corpus_host());
    let _one = alone();
    let times = std::env::var("CORPUS_KILLS").ok().and_then(|times| times.parse().ok()).unwrap_or(3);
    let p = host.made_by_corpus("shot");
    release(&p, 0, "");
    p.push(&[BRANCH]).expect(0);
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut cut = 0;
    for number in 1..=times {
        release(&p, number, "slow:\n  cmd.run:\n    - name: sleep 0.1\n");
        let pusher = spawn(&p, "project", BRANCH);
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        std::thread::sleep(Duration::from_millis(seed >> 54));
        host.inside("kill -9 $(cat /run/push.pid)").expect(0);
        cut += usize::from(ended(pusher).code != 0);
        host.serve();
        let now = state(host, &p);
        let (old, new) = (format!("n{}", number - 1), format!("n{number}"));
        assert!(
            now.iter().all(|one| *one == old) || now.iter().all(|one| *one == new),
            "{number}: {now:?}, old is {old}"
        );
        p.push(&[BRANCH]).expect(0);
        assert!(state(host, &p).iter().all(|one| *one == new), "{number}: {:?}", state(host, &p));
    }
    eprintln!("{times} kills, of which {cut} cut a push off");
    let left = host.inside("ls -A /srv/projects/shot/archives | grep '^\\.'; ls /srv/projects/shot/.corpus");
    assert!(!left.out.contains("journal") && !left.out.starts_with('.'), "{}", left.out);
}

#[test]
fn of_ten_quick_pushes_the_newest_is_what_serves() {
    let host = host_or_skip!(corpus_host());
    let _one = alone();
    let p = host.made_by_corpus("quick");
    let first = release(&p, 0, "wait:\n  cmd.run:\n    - name: while [ ! -e /tmp/go-quick ]; do sleep 0.05; done\n");
    let mut pushes = vec![(first.clone(), spawn(&p, "project", &format!("{first}:refs/heads/master")))];
    let asked = |id: &str| host.inside("cat /var/log/push.log").out.contains(&format!("asks for {}", &id[..8]));
    host.until("the first begins", &|| asked(&first));
    for number in 1..10 {
        let id = release(&p, number, "");
        pushes.push((id.clone(), spawn(&p, "project", &format!("{id}:refs/heads/master"))));
        // In this order, each while the ones before it are under way.
        host.until("it is heard", &|| asked(&id));
    }
    // The pillar is pushed into the middle of it: it has its own place in the line.
    p.git(&["fetch", "-q", &p.url("pillar"), "master"]).expect(0);
    p.git(&["checkout", "-q", "-b", "pillar", "FETCH_HEAD"]).expect(0);
    let text = std::fs::read_to_string(p.work.join("init.sls")).expect("the pillar");
    std::fs::write(p.work.join("init.sls"), text + "# raced\n").expect("a file");
    let pillar = p.commit("the pillar");
    let raced = spawn(&p, "pillar", "HEAD:refs/heads/master");
    host.until("it is heard", &|| asked(&pillar));
    host.inside("touch /tmp/go-quick").expect(0);
    let codes: Vec<i32> = pushes.into_iter().map(|(_, push)| ended(push).code).collect();
    assert_eq!(codes, [0, 1, 1, 1, 1, 1, 1, 1, 1, 0]);
    assert!(ended(raced).expect(0).err.contains("brought up to date"));
    assert_eq!(state(host, &p), ["n9", "n9", "n9"]);
    assert!(host.inside("cat /srv/projects/quick/pillar/init.sls").out.ends_with("# raced\n"));
    let list = host.inside("corpus --local --out=json mc_project.deployments quick").expect(0).json();
    // Of those that wait the newest alone was deployed.
    let deployed = list["local"].as_array().expect("a list").len();
    assert_eq!(deployed, 3, "{list}");
}

#[test]
fn a_full_disk_costs_the_push_and_nothing_else() {
    let host = host_or_skip!();
    let p = host.project("full");
    let one = p.commit("say one");
    let (git, keep) = ("/srv/projects/full/git", "/srv/keep");
    host.inside(&format!(
        "set -e; cp -a {git} {keep}; mount -t tmpfs -o size=1500k,mode=750 none {git}; cp -a {keep}/. {git}; \
         chown full-user: {git}"
    ))
    .expect(0);
    p.push(&["main"]).expect(0);
    let mut state = 7_u64;
    let noise = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    });
    std::fs::write(p.work.join("big"), noise.take(1_900_000).collect::<Vec<_>>()).expect("a file");
    p.commit("say two");
    let said = p.push(&["main"]).expect(1);
    assert!(said.err.contains("No space left") || said.err.contains("unpacker error"), "{}", said.err);
    assert_eq!((p.main(), p.deployed("project")), (one.clone(), vec![one.clone()]));
    assert!(host.inside(&format!("find {git} -name 'tmp_objdir*' -o -name 'incoming-*'")).out.is_empty());
    p.git(&["reset", "-q", "--hard", &one]).expect(0);
    let three = p.commit("say three");
    p.push(&["main"]).expect(0);
    assert_eq!(p.main(), three);
    host.inside(&format!("umount {git}")).expect(0);
}

#[test]
fn a_project_that_waits_for_anothers_recipe_says_so_and_can_be_cancelled() {
    let host = host_or_skip!(corpus_host());
    let _one = alone();
    let (p, other) = (host.made_by_corpus("slowly"), host.made_by_corpus("beside"));
    release(
        &p,
        0,
        "wait:\n  cmd.run:\n    - name: touch /tmp/slowly; while [ ! -e /tmp/go-slowly ]; do sleep 0.05; done\n",
    );
    let slow = spawn(&p, "project", BRANCH);
    host.until("it begins", &|| host.inside("test -e /tmp/slowly").code == 0);
    // The machine has one run of states at a time; which one is waited for is told.
    release(&other, 1, "");
    let waits = spawn(&other, "project", BRANCH);
    let log = "cat /srv/projects/beside/.corpus/deployments/*.log";
    host.until("it waits", &|| host.inside(log).out.contains("waiting for another run on this machine"));
    let cancels = std::thread::spawn(|| host.ssh(&[], "beside", &["cancel"]));
    // Nothing of it goes on; the recipes of the way back have their turn after that run.
    host.until("it is cancelled", &|| host.inside(log).out.contains("the deployment is ended: cancelled"));
    host.inside("touch /tmp/go-slowly").expect(0);
    cancels.join().expect("ssh").expect(0);
    assert!(ended(waits).expect(1).err.contains("cancelled by alice@laptop"));
    other.push(&[BRANCH]).expect(0);
    ended(slow).expect(0);
    assert_eq!((state(host, &p), state(host, &other)), (["n0"; 3].map(str::to_owned), ["n1"; 3].map(str::to_owned)));
}

#[test]
fn a_pusher_who_is_stopped_holds_nobody_up() {
    let host = host_or_skip!();
    let p = host.project("stopped");
    let noise = format!("say {}\n", "x".repeat(900)).repeat(1500);
    let one = p.commit(&format!("wait /tmp/go-stopped\n{noise}say the end"));
    let mut git = p.command(&["push", &p.url("project"), "main"]);
    let pusher = git.process_group(0).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("git");
    let log = || host.inside("cat /var/log/push.log").out;
    host.until("it begins", &|| log().contains(&format!("asks for {} of stopped", &one[..8])));
    let signal = |name: &str| {
        let group = format!("-{}", pusher.id());
        assert!(std::process::Command::new("kill").args([name, "--", &group]).status().expect("kill").success());
    };
    signal("-STOP");
    host.inside("touch /tmp/go-stopped").expect(0);
    // The deployment ends, and another push has its turn, while the first one's terminal takes nothing.
    host.until("it ends", &|| p.deployed("project") == [one.clone()]);
    let two = p.commit("say two");
    // Not over the connection of the one who is stopped.
    let ssh = format!("ssh -oControlPath=none -oControlMaster=no {}", host.ssh_words().join(" "));
    let mut git = p.command(&["push", &p.url("project"), "main"]);
    Said::of(git.env("GIT_SSH_COMMAND", ssh).output().expect("git")).expect(0);
    assert_eq!(p.deployed("project"), [one, two]);
    signal("-CONT");
    ended(pusher).expect(0);
}
