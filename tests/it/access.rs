//! The ways into a machine: users, sudo, passwords, keys, agents, jumps; and who is meant by a target.

use crate::lab_or_skip;
use crate::support::{Lab, Said, Tree};
use std::process::Command;
use std::sync::Once;
use std::time::{Duration, Instant};

/// The host with users other than root, and the one that is jumped through.
const HOST: usize = 7;
const JUMP: usize = 8;

/// Makes the users: `ops` may become anybody, `plain` nobody, `app` has no login, `asked` is asked for a password by sudo.
fn users(lab: &Lab) {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let line = "set -e; for u in ops plain app asked; do useradd -m -s /bin/sh $u; usermod -p '*' $u; done; \
                    echo 'ops ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/lab; chmod 440 /etc/sudoers.d/lab; \
                    echo ops:open-sesame | chpasswd; echo 'asked:let me %in$' | chpasswd; \
                    echo 'asked ALL=(ALL) ALL' > /etc/sudoers.d/asked; chmod 440 /etc/sudoers.d/asked; \
                    printf 'auth required pam_unix.so\\naccount required pam_unix.so\\n' > /etc/pam.d/sshd; \
                    /usr/sbin/sshd -f /dev/null -p 2222 -h /etc/ssh/lab_host_key -o UsePAM=yes -o PidFile=none \
                      -o PasswordAuthentication=no -o PubkeyAuthentication=no -o KbdInteractiveAuthentication=yes";
        lab.inside(HOST, line).expect(0);
    });
}

/// The roster entry of the host for another user, with further lines.
fn entry(lab: &Lab, user: &str, more: &str) -> String {
    lab.roster(HOST).replace("user: root", &format!("user: {user}")) + more
}

fn address(lab: &Lab, host: usize) -> String {
    let roster = lab.roster(host);
    roster.lines().find_map(|line| line.trim().strip_prefix("host: ")).expect("an address").to_owned()
}

fn id(said: &Said) -> serde_json::Value {
    said.json()["h7"].clone()
}

const WHO: &[&str] = &["*", "cmd.run", "id -un", "--out=json"];

#[test]
fn sudo_makes_root_or_another_user() {
    let lab = lab_or_skip!();
    users(lab);
    let tree = Tree::new();
    assert_eq!(id(&lab.ssh(&tree, &entry(lab, "ops", ""), WHO).expect(0)), "ops");
    assert_eq!(id(&lab.ssh(&tree, &entry(lab, "ops", "  sudo: True\n"), WHO).expect(0)), "root");
    let app = entry(lab, "ops", "  sudo: True\n  sudo_user: app\n");
    assert_eq!(id(&lab.ssh(&tree, &app, WHO).expect(0)), "app");
    // Each has a place of its own, which nobody else can look into.
    let dirs = lab.inside(HOST, "stat -c '%A %U %n' /var/tmp/.corpus_ops /var/tmp/.corpus_root /var/tmp/.corpus_app");
    assert_eq!(
        dirs.out,
        "drwx------ ops /var/tmp/.corpus_ops\ndrwx------ root /var/tmp/.corpus_root\ndrwx------ app /var/tmp/.corpus_app\n"
    );
    tree.file("salt/s.sls", "/etc/by-sudo:\n  file.managed:\n    - contents: x\n");
    lab.ssh(&tree, &entry(lab, "ops", "  sudo: True\n"), &["*", "state.apply", "s"]).expect(0);
    assert_eq!(lab.inside(HOST, "stat -c %U /etc/by-sudo").out, "root\n");
    let said = lab.ssh(&tree, &entry(lab, "plain", "  sudo: True\n"), &["*", "test.ping"]).expect(1);
    assert!(said.out.contains("sudo on the machine refuses") && said.out.contains("NOPASSWD"), "{}", said.out);
}

#[test]
fn sudo_is_given_the_password_of_the_roster() {
    let lab = lab_or_skip!();
    users(lab);
    let tree = Tree::new();
    let with = |user: &str, more: &str| entry(lab, user, &format!("  sudo: True\n{more}"));
    let right = "  passwd: 'let me %in$'\n";
    assert_eq!(id(&lab.ssh(&tree, &with("asked", right), WHO).expect(0)), "root");
    // Once more, now that nothing is sent, and as somebody else.
    assert_eq!(id(&lab.ssh(&tree, &with("asked", right), WHO).expect(0)), "root");
    let app = format!("{right}  sudo_user: app\n");
    assert_eq!(id(&lab.ssh(&tree, &with("asked", &app), WHO).expect(0)), "app");
    // Where sudo does not ask, the password goes nowhere.
    assert_eq!(id(&lab.ssh(&tree, &with("ops", "  passwd: open-sesame\n"), WHO).expect(0)), "root");
    let began = std::time::Instant::now();
    let said = lab.ssh(&tree, &with("asked", "  passwd: c4n4ry-wrong\n"), &["*", "test.ping"]).expect(1);
    assert!(said.out.contains("sudo on the machine refuses: the password is wrong"), "{}", said.out);
    assert!(!said.out.contains("c4n4ry") && !said.err.contains("c4n4ry"), "{}{}", said.out, said.err);
    assert!(began.elapsed().as_secs() < 20, "no second guess is waited for");
    let said = lab.ssh(&tree, &with("asked", ""), &["*", "test.ping"]).expect(1);
    assert!(said.out.contains("a password is required") && said.out.contains("set it right"), "{}", said.out);
    let said = lab.ssh(&tree, &with("plain", right), &["*", "test.ping"]).expect(1);
    assert!(said.out.contains("sudo on the machine refuses"), "{}", said.out);
}

#[test]
fn a_user_without_sudo_has_what_is_its_own() {
    let lab = lab_or_skip!();
    users(lab);
    let tree = Tree::new();
    tree.file(
        "salt/s.sls",
        "/home/plain/a:\n  file.managed:\n    - source: salt://a\n/etc/not-mine:\n  file.managed:\n    - contents: x\n",
    );
    tree.file("salt/a", "mine\n");
    let said = lab.ssh(&tree, &entry(lab, "plain", ""), &["*", "state.apply", "s"]).expect(2);
    assert!(said.out.contains("ermission denied"), "{}", said.out);
    assert_eq!(
        lab.inside(HOST, "cat /home/plain/a; stat -c %U /home/plain/a; ls -d /etc/not-mine 2>&1 | wc -l").out,
        "mine\nplain\n1\n"
    );
}

#[test]
fn passwords_are_taken_and_never_shown() {
    let lab = lab_or_skip!();
    users(lab);
    let tree = Tree::new();
    let known = format!("{}/known", tree.path().display());
    let with = |password: &str, port: u16| {
        format!(
            "h7:\n  host: {}\n  user: ops\n  port: {port}\n  passwd: {password}\n  ssh_options: [UserKnownHostsFile={known}]\n",
            address(lab, HOST)
        )
    };
    let words = ["--accept-new-host-keys", "-l", "trace", "*", "cmd.run", "id -un", "--out=json"];
    for port in [22, 2222] {
        let said = lab.ssh(&tree, &with("open-sesame", port), &words).expect(0);
        assert_eq!(id(&said), "ops", "port {port}");
        assert!(!said.err.contains("open-sesame"), "the log shows the password");
    }
    for (port, method) in [(22, "password"), (2222, "keyboard-interactive")] {
        let said = lab.ssh(&tree, &with("close-sesame", port), &words).expect(1);
        assert!(said.out.contains("did not let us in") && said.out.contains(method), "{}", said.out);
        assert!(!said.err.contains("close-sesame") && !said.out.contains("close-sesame"), "the password is shown");
    }
}

#[test]
fn the_client_configuration_leads_through_a_jump_host() {
    let lab = lab_or_skip!();
    users(lab);
    let tree = Tree::new();
    let dir = lab.dir.display();
    let (host, jump) = (address(lab, HOST), address(lab, JUMP));
    tree.file(
        "home/.ssh/config",
        &format!(
            "Host web\n  HostName {host}\n  User ops\n  ProxyJump jump\nHost jump\n  HostName {jump}\n  User root\n  Port 22\n\
             Host *\n  IdentityFile {dir}/key\n  IdentitiesOnly yes\n  UserKnownHostsFile {dir}/known_hosts\n"
        ),
    );
    tree.file("etc/roster", "h7:\n  host: web\n");
    let said = Said::of(tree.corpus(WHO).env("HOME", tree.path().join("home")).output().expect("the program starts"))
        .expect(0);
    assert_eq!(id(&said), "ops");
    let log = lab.inside(HOST, "grep 'Accepted publickey for ops' /var/log/lab-sshd.log").out;
    assert!(log.contains(&format!("from {jump} ")), "{log}");
}

#[test]
fn locked_keys_open_with_their_password_or_an_agent() {
    let lab = lab_or_skip!();
    let tree = Tree::new();
    let locked = tree.path().join("locked");
    std::fs::copy(lab.dir.join("key"), &locked).expect("the key can be copied");
    let made = Command::new("ssh-keygen").args(["-q", "-p", "-P", "", "-N", "sesame", "-f"]).arg(&locked).output();
    assert!(made.expect("ssh-keygen").status.success());
    let roster = lab.roster(JUMP);
    let line = roster.lines().find(|line| line.contains("priv:")).expect("a key").to_owned();
    let with = |text: &str| roster.replace(&line, text);
    let priv_line = format!("  priv: {}", locked.display());
    for (more, code, words) in [
        ("\n  priv_passwd: sesame", 0, "True"),
        ("\n  priv_passwd: wrong", 1, "`priv_passwd` does not open it"),
        ("", 1, "it is encrypted; set `priv_passwd` in the roster, or add it to an agent"),
    ] {
        let said = lab.ssh(&tree, &with(&format!("{priv_line}{more}")), &["*", "test.ping"]).expect(code);
        assert!(said.out.contains(words), "{}", said.out);
    }
    let socket = tree.path().join("agent");
    let agent = Command::new("ssh-agent").arg("-D").arg("-a").arg(&socket).stdout(std::process::Stdio::null()).spawn();
    let mut agent = agent.expect("ssh-agent");
    let since = Instant::now();
    while !socket.exists() && since.elapsed() < Duration::from_secs(5) {
        std::thread::sleep(Duration::from_millis(20));
    }
    let added = Command::new("ssh-add").arg("-q").arg(lab.dir.join("key")).env("SSH_AUTH_SOCK", &socket).output();
    assert!(added.expect("ssh-add").status.success());
    tree.file("etc/roster", &with("  priv: agent-forwarding"));
    let output = tree.corpus(&["*", "test.ping"]).env("SSH_AUTH_SOCK", &socket).output();
    let _ = agent.kill();
    let _ = agent.wait();
    assert!(Said::of(output.expect("the program starts")).expect(0).out.contains("True"));
}

#[test]
fn what_the_roster_says_reaches_templates_and_targets() {
    let lab = lab_or_skip!();
    let tree = Tree::new();
    let host = lab.roster(HOST) + "  grains: {role: web}\n  minion_opts: {custom: given, grains: {rack: 3}}\n";
    let roster = host + &lab.roster(JUMP) + "  grains: {role: db}\n";
    tree.file(
        "etc/master",
        &format!("corpus_cachedir: {}/cache\nnodegroups:\n  fronts: 'G@role:web'\n", tree.path().display()),
    );
    tree.file("pillar/top.sls", "base:\n  'role:web':\n    - match: grain\n    - front\n");
    tree.file("pillar/front.sls", "tier: front\n");
    tree.file("salt/s.sls", "{{ grains.role }}-{{ grains.rack }}-{{ opts.custom }}-{{ salt['config.get']('custom') }}-{{ pillar.tier }}:\n  test.nop: []\n");
    let said = lab.ssh(&tree, &roster, &["h7", "state.apply", "s"]).expect(0);
    assert!(said.out.contains("web-3-given-given-front"), "{}", said.out);
    let net = address(lab, HOST);
    for (words, ids) in [
        (vec!["*"], "h7 h8"),
        (vec!["-G", "role:web"], "h7"),
        (vec!["-P", "role:w.b"], "h7"),
        (vec!["-I", "tier:front"], "h7"),
        (vec!["-C", "G@role:* and not h7"], "h8"),
        (vec!["-C", "N@fronts or h8"], "h7 h8"),
        (vec!["-E", "h[78]"], "h7 h8"),
        (vec!["--list", "h8,h9,h7"], "h7 h8"),
        (vec!["-N", "fronts"], "h7"),
        (vec!["-S", &net], "h7"),
    ] {
        let all: Vec<&str> = words.iter().copied().chain(["test.ping", "--out=json"]).collect();
        let said = lab.ssh(&tree, &roster, &all).expect(0);
        let json = said.json();
        let mut found: Vec<&str> = json.as_object().expect("answers").keys().map(String::as_str).collect();
        found.sort_unstable();
        assert_eq!(found.join(" "), ids, "{words:?}");
    }
    let said = lab.ssh(&tree, &roster, &["-G", "role:mail", "test.ping"]).expect(1);
    assert!(said.err.contains("No minions matched the target"), "{}", said.err);
}

#[test]
fn a_black_hole_ends_after_the_rosters_timeout() {
    let lab = lab_or_skip!();
    let tree = Tree::new();
    // An address that answers nothing: the host's replies from there have no way back.
    let hole = address(lab, JUMP).rsplit_once('.').expect("an address").0.to_owned() + ".241";
    lab.inside(
        JUMP,
        &format!(
            "ip addr add {hole}/16 dev eth0; ip rule add from {hole} lookup 99; ip route add blackhole default table 99"
        ),
    )
    .expect(0);
    let roster = format!("hole:\n  host: {hole}\n  timeout: 2\n");
    let started = Instant::now();
    let said = lab.ssh(&tree, &roster, &["-t", "40", "*", "test.ping"]).expect(1);
    assert!(said.out.contains("gave no answer within 2 seconds while connecting"), "{}", said.out);
    assert!(started.elapsed() < Duration::from_secs(10), "took {:?}", started.elapsed());
    let said = lab.ssh(&tree, &roster.replace("  timeout: 2\n", ""), &["-t", "1", "*", "test.ping"]).expect(1);
    assert!(said.out.contains("within 1 seconds"), "{}", said.out);
}
