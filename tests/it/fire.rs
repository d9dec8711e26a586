//! Under fire: ctrl-C, killed processes, machines and networks that go away mid-run, disks without room.

use crate::lab_or_skip;
use crate::support::{Lab, Said, Tree};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Takes a host for one test: runs lock their machine, and some tests unplug it.
fn take(host: usize) -> MutexGuard<'static, ()> {
    static HOSTS: [Mutex<()>; 13] = [const { Mutex::new(()) }; 13];
    HOSTS[host].lock().unwrap_or_else(PoisonError::into_inner)
}

const STATES: &str = "first:\n  file.managed:\n    - name: /srv/mid/first\n    - contents: one\n\
    waits:\n  cmd.run:\n    - name: touch /srv/mid/started; sleep 3; touch /srv/mid/slept\n\
    last:\n  file.managed:\n    - name: /srv/mid/last\n    - contents: three\n";

/// Starts a run and returns once it is in its second state.
fn start(lab: &Lab, host: usize, tree: &Tree, words: &[&str]) -> Child {
    lab.inside(host, "rm -rf /srv/mid; mkdir -p /srv/mid").expect(0);
    tree.file("salt/s.sls", STATES);
    let mut command = tree.corpus(words);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
    until("the run comes to its second state", || lab.inside(host, "test -e /srv/mid/started").code == 0);
    child
}

fn end(child: Child) -> Said {
    Said::of(child.wait_with_output().expect("the program ends"))
}

#[track_caller]
fn until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !done() {
        assert!(Instant::now() < deadline, "{what}: not within 30 seconds");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn interrupt(child: &Child) {
    let sent = Command::new("kill").arg("-INT").arg(child.id().to_string()).status();
    assert!(sent.expect("kill").success());
}

const APPLY: &[&str] = &["--max-procs", "1", "*", "state.apply", "s"];

#[test]
fn ctrl_c_stops_after_the_state_at_hand() {
    let lab = lab_or_skip!();
    let _host = take(9);
    let tree = Tree::new();
    tree.file("etc/roster", &(lab.roster(9) + &lab.roster(8)));
    let _other = take(8);
    lab.inside(8, "rm -rf /srv/mid");
    let child = start(lab, 9, &tree, APPLY);
    interrupt(&child);
    let said = end(child);
    assert_eq!(said.code, 130, "{}{}", said.out, said.err);
    assert!(said.out.contains("/srv/mid/first") && said.out.contains("ID: waits"), "{}", said.out);
    assert!(said.err.contains("interrupted: 2 of 3 states were done; not run: last (file.managed)"), "{}", said.err);
    assert!(said.out.contains("interrupted before it was begun: nothing was done"), "{}", said.out);
    assert_eq!(lab.inside(9, "ls /srv/mid").out, "first\nslept\nstarted\n", "the state at hand is finished");
    assert_ne!(lab.inside(8, "ls /srv/mid").code, 0, "the second host is not begun");
    // Nothing is left over: no lock, no report, no trace.
    let said = lab.ssh(&tree, &lab.roster(9), &["*", "state.apply", "s"]).expect(0);
    assert_eq!(said.err, "");
}

#[test]
fn a_report_that_was_taken_is_not_kept() {
    let lab = lab_or_skip!();
    let _host = take(9);
    let tree = Tree::new();
    tree.file("salt/s.sls", "quick:\n  test.nop: []\n");
    for _ in 0..5 {
        lab.ssh(&tree, &lab.roster(9), &["*", "state.apply", "s"]).expect(0);
        assert_eq!(
            lab.inside(9, "find /var/cache /var/tmp /var/lib /tmp /root -name '*.report'").out,
            "",
            "the minion was told in time"
        );
    }
}

#[test]
fn a_second_ctrl_c_leaves_at_once_and_the_run_stops_all_the_same() {
    let lab = lab_or_skip!();
    let _host = take(9);
    let tree = Tree::new();
    tree.file("etc/roster", &lab.roster(9));
    let child = start(lab, 9, &tree, APPLY);
    interrupt(&child);
    std::thread::sleep(Duration::from_millis(400));
    let second = Instant::now();
    interrupt(&child);
    assert_eq!(end(child).code, 130);
    assert!(second.elapsed() < Duration::from_secs(1), "took {:?}", second.elapsed());
    until("the state at hand ends", || lab.inside(9, "test -e /srv/mid/slept").code == 0);
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(lab.inside(9, "ls /srv/mid").out, "first\nslept\nstarted\n");
    let said = lab.ssh(&tree, &lab.roster(9), &["*", "test.ping"]).expect(0);
    assert!(said.err.contains("finished after its master was gone: 2 succeeded, 0 failed"), "{}", said.err);
}

#[test]
fn ctrl_c_while_connecting_ends_at_once() {
    let lab = lab_or_skip!();
    let tree = Tree::new();
    // A server that takes connections and says nothing.
    let deaf = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = deaf.local_addr().expect("an address").port();
    let _ = lab;
    tree.file("etc/roster", &format!("deaf:\n  host: 127.0.0.1\n  port: {port}\n"));
    let mut command = tree.corpus(&["*", "test.ping"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
    let _connection = deaf.accept().expect("it connects");
    interrupt(&child);
    let since = Instant::now();
    let said = end(child);
    assert_eq!(said.code, 130, "{}{}", said.out, said.err);
    assert!(since.elapsed() < Duration::from_secs(3), "took {:?}", since.elapsed());
    assert!(said.out.contains("interrupted before the machine was reached"), "{}", said.out);
}

#[test]
fn ctrl_c_stops_a_local_run_too() {
    for far in [false, true] {
        let tree = Tree::new();
        tree.file("salt/s.sls", &STATES.replace("/srv/mid", "$TREE/mid").replace("sleep 3", "sleep 1"));
        tree.file("mid/x", "");
        let words: &[&str] =
            if far { &["--local", "--pipe", "state.apply", "s"] } else { &["--local", "state.apply", "s"] };
        let mut command = tree.corpus(words);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
        until("the second state", || tree.path().join("mid/started").exists());
        interrupt(&child);
        let said = end(child);
        if said.code == 75 {
            eprintln!("skipped: another run is under way on this machine");
            return;
        }
        assert_eq!(said.code, 130, "{}{}", said.out, said.err);
        assert!(said.err.contains("not run: last (file.managed)"), "{}", said.err);
        assert!(tree.path().join("mid/slept").exists() && !tree.path().join("mid/last").exists());
    }
}

#[test]
fn the_next_master_hears_of_a_run_whose_master_was_killed() {
    let lab = lab_or_skip!();
    let _host = take(10);
    let tree = Tree::new();
    tree.file("etc/roster", &lab.roster(10));
    let mut child = start(lab, 10, &tree, APPLY);
    child.kill().expect("the master can be killed");
    end(child);
    until("the run ends", || lab.inside(10, "test -e /srv/mid/last").code == 0);
    std::thread::sleep(Duration::from_millis(500));
    let said = lab.ssh(&tree, &lab.roster(10), &["*", "test.ping"]).expect(0);
    assert!(said.err.contains("finished after its master was gone: 3 succeeded, 0 failed"), "{}", said.err);
    let path = said.err.lines().find_map(|line| line.strip_prefix("hint: its report is in ")).expect("a path").trim();
    let text = std::fs::read_to_string(path).expect("the report is kept");
    let report: serde_json::Value = serde_json::from_str(&text).expect("the report is JSON");
    assert_eq!(report.as_object().map(serde_json::Map::len), Some(3), "{text}");
    let said = lab.ssh(&tree, &lab.roster(10), &["*", "test.ping"]).expect(0);
    assert_eq!(said.err, "", "it is told once");
}

#[test]
fn the_next_master_hears_of_a_run_that_was_killed() {
    let lab = lab_or_skip!();
    let _host = take(10);
    let tree = Tree::new();
    tree.file("etc/roster", &lab.roster(10));
    let child = start(lab, 10, &tree, APPLY);
    lab.inside(10, "pkill -9 corpus-minion");
    let said = end(child);
    assert_eq!(said.code, 1, "{}{}", said.out, said.err);
    assert!(said.out.contains("mid-run at state 2 of 3: waits"), "{}", said.out);
    let said = lab.ssh(&tree, &lab.roster(10), &["*", "test.ping"]).expect(0);
    let told = "was killed in state 2, waits (cmd.run), after 1 states were done; it had begun to run ";
    assert!(said.err.contains(told), "{}", said.err);
    assert_eq!(lab.ssh(&tree, &lab.roster(10), &["*", "test.ping"]).expect(0).err, "", "it is told once");
}

#[test]
fn a_busy_machine_says_with_what_and_can_be_waited_for() {
    let lab = lab_or_skip!();
    let _host = take(11);
    let tree = Tree::new();
    tree.file("etc/roster", &lab.roster(11));
    let mut first = tree.corpus(APPLY);
    first.env("SUDO_USER", "anna");
    lab.inside(11, "rm -rf /srv/mid; mkdir -p /srv/mid").expect(0);
    // The first run goes on until it is let go, however slow this machine is.
    tree.file("salt/s.sls", &STATES.replace("sleep 3", "until test -e /srv/mid/go; do sleep 0.1; done"));
    let first = first.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
    until("the run comes to its second state", || lab.inside(11, "test -e /srv/mid/started").code == 0);
    let said = lab.ssh(&tree, &lab.roster(11), &["*", "state.single", "test.nop", "x"]).expect(75);
    assert!(said.out.contains("busy: run 20") && said.out.contains("by anna since 20"), "{}", said.out);
    // A dry run and a call disturb nobody.
    lab.ssh(&tree, &lab.roster(11), &["*", "state.single", "test.nop", "x", "test=True"]).expect(0);
    let mut queued = tree.corpus(&["*", "state.single", "test.nop", "x", "queue=True"]);
    let mut queued = queued.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
    std::thread::sleep(Duration::from_secs(2));
    assert!(queued.try_wait().expect("it can be looked at").is_none(), "the second run waits");
    lab.inside(11, "touch /srv/mid/go").expect(0);
    assert_eq!(end(queued).code, 0);
    assert_eq!(lab.inside(11, "ls /srv/mid").out, "first\ngo\nlast\nslept\nstarted\n", "the first run was over");
    assert_eq!(end(first).code, 0);
}

#[test]
fn a_machine_that_loses_its_power_is_told_at_once() {
    let lab = lab_or_skip!();
    let (_host, _other) = (take(12), take(8));
    let tree = Tree::new();
    tree.file("etc/roster", &(lab.roster(12) + &lab.roster(8)));
    lab.inside(8, "mkdir -p /srv/mid").expect(0);
    let child = start(lab, 12, &tree, &["*", "state.apply", "s", "--out=json"]);
    let since = Instant::now();
    assert!(lab.script(&["kill", "12"]).status.success());
    let said = end(child);
    assert!(since.elapsed() < Duration::from_secs(20), "took {:?}", since.elapsed());
    assert_eq!(said.code, 1, "{}{}", said.out, said.err);
    let json = said.json();
    let why = json["h12"].as_str().expect("a reason");
    assert!(why.contains("lost the connection mid-run at state 2 of 3: waits"), "{why}");
    assert!(json["h8"].is_object(), "the other host is done: {json}");
    assert!(lab.script(&["start", "12"]).status.success());
    let said = lab.ssh(&tree, &lab.roster(12), &["*", "state.apply", "s"]).expect(0);
    assert!(said.err.contains("was killed in state 2, waits (cmd.run)"), "{}", said.err);
}

#[test]
fn a_cut_network_ends_within_the_limit_of_silence() {
    let lab = lab_or_skip!();
    let _host = take(12);
    let tree = Tree::new();
    tree.file("etc/master", "corpus_cachedir: $TREE/cache\ncorpus_silence: 10\n");
    tree.file("etc/roster", &lab.roster(12));
    let child = start(lab, 12, &tree, APPLY);
    let since = Instant::now();
    lab.inside(12, "ip link set eth0 down").expect(0);
    let said = end(child);
    assert!(since.elapsed() < Duration::from_secs(20), "took {:?}", since.elapsed());
    assert_eq!(said.code, 1, "{}{}", said.out, said.err);
    assert!(said.out.contains("no sign of life for 10 seconds mid-run at state 2 of 3: waits"), "{}", said.out);
    lab.inside(12, "ip link set eth0 up").expect(0);
    until("the run ends", || lab.inside(12, "test -e /srv/mid/last").code == 0);
    let said = lab.ssh(&tree, &lab.roster(12), &["*", "test.ping"]).expect(0);
    assert!(said.err.contains("finished after its master was gone: 3 succeeded, 0 failed"), "{}", said.err);
}

/// Calls `test` while `/var/tmp` of a host is another file system.
fn with_var_tmp(lab: &Lab, host: usize, mount: &str, test: impl FnOnce(&Tree) -> Said) -> Said {
    let tree = Tree::new();
    lab.inside(host, &format!("mount -t tmpfs {mount} vt /var/tmp")).expect(0);
    let said = test(&tree);
    let left = lab.inside(host, "find /var/tmp -type f");
    lab.inside(host, "umount -l /var/tmp").expect(0);
    assert!(!left.out.contains(".up-") && !left.out.contains(".part"), "half-written: {}", left.out);
    said
}

#[test]
fn a_machine_without_a_place_for_the_minion_says_why() {
    let lab = lab_or_skip!();
    let _host = take(11);
    for (mount, words) in [
        ("-o size=512k", ["no space left for the minion in /var/tmp/.corpus_root", "`thin_dir`"]),
        ("-o ro", ["/var/tmp/.corpus_root cannot be written", "Read-only file system"]),
        ("-o noexec", ["programs in /var/tmp/.corpus_root cannot be run", "noexec"]),
    ] {
        let said = with_var_tmp(lab, 11, mount, |tree| lab.ssh(tree, &lab.roster(11), &["*", "test.ping"]));
        assert_eq!(said.code, 1, "{mount}: {}{}", said.out, said.err);
        assert!(words.iter().all(|word| said.out.contains(word)), "{mount}: {}", said.out);
    }
}

#[test]
fn a_full_disk_under_the_cache_fails_the_state_alone() {
    let lab = lab_or_skip!();
    let _host = take(11);
    let minion = std::fs::metadata(crate::support::minion()).expect("the minion").len();
    let said = with_var_tmp(lab, 11, &format!("-o size={}k", minion / 1024 + 2048), |tree| {
        tree.file("salt/big", &"0123456789abcdef".repeat(512 * 1024));
        tree.file("salt/s.sls", "/srv/cached:\n  file.managed:\n    - source: salt://big\n/srv/after:\n  file.managed:\n    - contents: x\n");
        lab.ssh(tree, &lab.roster(11), &["*", "state.apply", "s"])
    });
    assert_eq!(said.code, 2, "{}{}", said.out, said.err);
    assert!(
        said.out.contains("/var/tmp/.corpus_root/cache/files/") && said.out.contains("No space left on device"),
        "{}",
        said.out
    );
    assert_eq!(lab.inside(11, "ls -d /srv/cached /srv/after 2>/dev/null").out, "/srv/after\n");
}

#[test]
fn a_directory_that_others_could_write_is_not_trusted() {
    let lab = lab_or_skip!();
    let _host = take(11);
    for (make, why) in [
        ("mkdir /tmp/evil; ln -s /tmp/evil /var/tmp/.corpus_root", "it is a symbolic link"),
        ("mkdir -m 700 /var/tmp/.corpus_root; chown nobody /var/tmp/.corpus_root", "it belongs to another user"),
        ("mkdir -m 777 /var/tmp/.corpus_root", "it is open to others (drwxrwxrwx)"),
        ("echo > /var/tmp/.corpus_root", "it is not a directory"),
    ] {
        let said = with_var_tmp(lab, 11, "-o mode=1777", |tree| {
            lab.inside(11, make).expect(0);
            lab.ssh(tree, &lab.roster(11), &["*", "test.ping"])
        });
        assert_eq!(said.code, 1, "{make}: {}{}", said.out, said.err);
        assert!(said.out.contains("is not to be trusted") && said.out.contains(why), "{make}: {}", said.out);
    }
    // A program that somebody else put there is not run, whatever it is called: ours takes its place.
    let said = with_var_tmp(lab, 11, "-o mode=1777", |tree| {
        lab.ssh(tree, &lab.roster(11), &["*", "test.ping"]).expect(0);
        lab.inside(11, "for f in /var/tmp/.corpus_root/corpus-minion-*; do echo '#!/bin/sh' > $f; chmod 777 $f; done")
            .expect(0);
        lab.ssh(tree, &lab.roster(11), &["*", "test.ping"])
    });
    assert!(said.expect(0).out.contains("True"));
}

/// The number that follows `key=` in what was said when the connection ended.
fn counter(said: &Said, key: &str) -> u64 {
    let line =
        said.err.lines().find(|line| line.contains("The minion was talked to")).expect("the connection is told of");
    let plain = line.rsplit_once(&format!("{key}=")).expect("a counter").1;
    plain.split(|c: char| !c.is_ascii_digit()).next().and_then(|digits| digits.parse().ok()).expect("a number")
}

#[test]
fn a_large_file_streams_and_is_sent_once() {
    const SIZE: u64 = 100 * 1024 * 1024;
    let lab = lab_or_skip!();
    let _host = take(10);
    let tree = Tree::new();
    let mut big = vec![0_u8; usize::try_from(SIZE).expect("it fits")];
    let mut x = 0x9e37_79b9_u32;
    big.iter_mut().for_each(|byte| {
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        *byte = x.to_le_bytes()[0];
    });
    std::fs::write(tree.path().join("salt/big"), &big).expect("room for the file");
    drop(big);
    tree.file("salt/s.sls", "/srv/big:\n  file.managed:\n    - source: salt://big\nmemory:\n  cmd.run:\n    - name: grep VmHWM /proc/$PPID/status\n");
    tree.file("etc/roster", &lab.roster(10));
    let run = || {
        let mut command = tree.corpus(&["-l", "debug", "--out=json", "*", "state.apply", "s"]);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
        let status = format!("/proc/{}/status", child.id());
        let watch = std::thread::spawn(move || {
            let mut peak = 0;
            while let Some(now) = std::fs::read_to_string(&status).ok().as_deref().and_then(peak_of) {
                peak = now;
                std::thread::sleep(Duration::from_millis(10));
            }
            peak
        });
        let said = end(child);
        let master = watch.join().expect("the memory is watched");
        assert_eq!(said.code, 0, "{}{}", said.out, said.err);
        let json = said.json();
        let record =
            |id: &str| json["h10"].as_object().and_then(|all| all.values().find(|r| r["__id__"] == id).cloned());
        let minion =
            record("memory").and_then(|r| peak_of(r["changes"]["stdout"].as_str()?)).expect("the minion's memory");
        (counter(&said, "content"), counter(&said, "sent"), master, minion)
    };
    let (content, _, master, minion) = run();
    assert_eq!(content, SIZE);
    assert!(master < 80 * 1024, "the master took {master} kB");
    assert!(minion < 80 * 1024, "the minion took {minion} kB");
    assert_eq!(lab.inside(10, "stat -c %s /srv/big").out, format!("{SIZE}\n"));
    let (content, sent, ..) = run();
    assert_eq!(content, 0, "the second run sends no content");
    assert!(sent < 8 * 1024, "the second run sends {sent} bytes");
    lab.inside(10, "rm -rf /srv/big /var/tmp/.corpus_root/cache/files");
}

/// Reads the peak of a process's memory, in kB.
fn peak_of(status: &str) -> Option<u64> {
    status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.trim().strip_suffix(" kB")?.trim().parse().ok()
}
