//! Against a real sshd on a high port, with its own keys and configuration. Skipped, saying so, where there is none.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests count as tests")]

use corpus_core::{Call, Output};
use corpus_ssh::{Host, MinionBinary, Session, Ssh, SshError, SshOptions};
use corpus_wire::{Minion, Remote, RemoteOptions};
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// An sshd of our own, gone with the value.
struct Sshd {
    dir: tempfile::TempDir,
    port: u16,
    child: Child,
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn find(names: &[&str]) -> Option<PathBuf> {
    names.iter().map(PathBuf::from).find(|path| path.exists())
}

fn keygen(path: &Path, kind: &str, passphrase: &str) {
    let _ = fs::remove_file(path);
    let mut command = Command::new("ssh-keygen");
    command.args(["-q", "-t", kind, "-N", passphrase, "-C", "test", "-f"]).arg(path);
    if kind == "rsa" {
        command.args(["-b", "2048"]);
    }
    assert!(command.status().unwrap().success());
}

impl Sshd {
    /// Starts one whose users are let in by `id_ed25519`, `id_rsa`, `id_ecdsa` and `id_locked` in its directory.
    fn start(extra: &str) -> Option<Self> {
        let Some(program) = find(&["/usr/sbin/sshd", "/usr/bin/sshd"]) else {
            println!("skipped: there is no sshd on this machine (package openssh-server)");
            return None;
        };
        let dir = tempfile::Builder::new().prefix("corpus-sshd-").tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        keygen(&at("host_ed25519"), "ed25519", "");
        keygen(&at("host_ecdsa"), "ecdsa", "");
        let mut authorized = String::new();
        for (name, kind, pass) in [
            ("id_ed25519", "ed25519", ""),
            ("id_rsa", "rsa", ""),
            ("id_ecdsa", "ecdsa", ""),
            ("id_locked", "ed25519", "sesame"),
        ] {
            keygen(&at(name), kind, pass);
            authorized += &fs::read_to_string(at(&format!("{name}.pub"))).unwrap();
        }
        keygen(&at("id_wrong"), "ed25519", "");
        fs::write(at("authorized"), authorized).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let path = dir.path().display();
        fs::write(
            at("config"),
            format!(
                "Port {port}\nListenAddress 127.0.0.1\nHostKey {path}/host_ed25519\nHostKey {path}/host_ecdsa\n\
                 AuthorizedKeysFile {path}/authorized\nPidFile {path}/pid\nUsePAM no\nStrictModes no\n\
                 PasswordAuthentication no\nPermitRootLogin yes\nAllowTcpForwarding yes\nMaxStartups 100\n{extra}\n"
            ),
        )
        .unwrap();
        let _ = fs::create_dir_all("/run/sshd");
        let log = fs::File::create(at("log")).unwrap();
        let child = Command::new(program).args(["-D", "-e", "-f"]).arg(at("config")).stderr(log).spawn().unwrap();
        let sshd = Self { dir, port, child };
        let since = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if since.elapsed() > Duration::from_secs(10) {
                println!(
                    "skipped: sshd does not start here: {}",
                    fs::read_to_string(sshd.at("log")).unwrap_or_default()
                );
                return None;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(sshd)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn host(&self, key: &str) -> Host {
        Host {
            id: "web1".into(),
            host: "127.0.0.1".into(),
            user: Some("root".into()),
            port: Some(self.port),
            private_key: Some(self.at(key)),
            thin_dir: Some(self.at("thin").to_str().unwrap().into()),
            timeout: Some(Duration::from_secs(20)),
            ..Host::default()
        }
    }

    /// Options with this sshd's key known.
    fn options(&self) -> SshOptions {
        let key = fs::read_to_string(self.at("host_ed25519.pub")).unwrap();
        fs::write(self.at("known"), format!("# a comment\n[127.0.0.1]:{} {key}", self.port)).unwrap();
        SshOptions {
            config: None,
            known_hosts: vec![self.at("known")],
            agent: None,
            usual_keys: false,
            user: Some("root".into()),
            ..SshOptions::default()
        }
    }

    fn open(&self, key: &str) -> Result<(Ssh, Session), SshError> {
        let ssh = Ssh::new(self.options()).unwrap();
        let session = ssh.open(&self.host(key))?;
        Ok((ssh, session))
    }
}

fn root() -> bool {
    let root = fs::metadata("/proc/self").is_ok_and(|meta| std::os::unix::fs::MetadataExt::uid(&meta) == 0);
    if !root {
        println!("skipped: needs root to log in as root");
    }
    root
}

fn echo(session: &Session) -> Output {
    session.exec("cat; echo oops >&2; exit 3", b"hello").unwrap()
}

#[test]
fn keys_of_all_kinds_log_in_and_programs_run() {
    let Some(sshd) = Sshd::start("").filter(|_| root()) else { return };
    for key in ["id_ed25519", "id_ecdsa", "id_rsa"] {
        let (_ssh, session) = sshd.open(key).unwrap();
        let output = echo(&session);
        assert_eq!(
            (output.stdout_text().as_str(), output.stderr_text().as_str(), output.code),
            ("hello", "oops\n", 3),
            "{key}"
        );
    }
    let mut locked = sshd.host("id_locked");
    let ssh = Ssh::new(sshd.options()).unwrap();
    let error = ssh.open(&locked).err().unwrap().to_string();
    assert!(error.contains("it is encrypted; set `priv_passwd`"), "{error}");
    locked.priv_passwd = Some("wrong".into());
    let error = ssh.open(&locked).err().unwrap().to_string();
    assert!(error.contains("`priv_passwd` does not open it"), "{error}");
    locked.priv_passwd = Some("sesame".into());
    assert_eq!(echo(&ssh.open(&locked).unwrap()).stdout, b"hello");
    // A megabyte both ways, and more than one program on one connection.
    let session = ssh.open(&locked).unwrap();
    let big: Vec<u8> = (0..1_000_000u32).map(|i| (i * 7 % 251) as u8).collect();
    assert_eq!(session.exec("cat", &big).unwrap().stdout, big);
    assert_eq!(session.exec("echo $((6*7))", b"").unwrap().stdout, b"42\n");
}

#[test]
fn a_wrong_key_says_what_was_tried() {
    let Some(sshd) = Sshd::start("").filter(|_| root()) else { return };
    let error = sshd.open("id_wrong").err().unwrap();
    let SshError::Auth { user, tried, offered, .. } = &error else { panic!("{error}") };
    assert_eq!(user, "root");
    assert_eq!(*tried, [format!("key {}", sshd.at("id_wrong").display())]);
    assert!(offered.contains(&"publickey".to_owned()), "{offered:?}");
    let error = sshd.open("id_missing").err().unwrap().to_string();
    assert!(error.contains("id_missing (No such file"), "{error}");
}

#[test]
fn host_keys_are_checked() {
    let Some(sshd) = Sshd::start("").filter(|_| root()) else { return };
    let mut options = sshd.options();
    let host = sshd.host("id_ed25519");
    let new = sshd.at("new/known_hosts");
    options.known_hosts = vec![new.clone()];
    let error = Ssh::new(options.clone()).unwrap().open(&host).err().unwrap();
    let text = error.to_string();
    let SshError::UnknownKey { command, fingerprint, .. } = error else { panic!("{text}") };
    assert_eq!(command, format!("ssh-keyscan -p {} 127.0.0.1 >> {}", sshd.port, new.display()));
    let key = Command::new("ssh-keygen").args(["-lf"]).arg(sshd.at("host_ed25519.pub")).output().unwrap();
    assert!(String::from_utf8_lossy(&key.stdout).contains(&fingerprint), "{fingerprint}");
    assert!(!new.exists());
    // The command shown does what it says.
    fs::create_dir_all(new.parent().unwrap()).unwrap();
    if Command::new("sh").args(["-c", &command]).stderr(Stdio::null()).status().unwrap().success() {
        Ssh::new(options.clone()).unwrap().open(&host).unwrap();
    }
    // First contact accepted: written once, and known from then on.
    fs::remove_dir_all(new.parent().unwrap()).unwrap();
    options.accept_new_host_keys = true;
    let ssh = Ssh::new(options.clone()).unwrap();
    ssh.open(&host).unwrap();
    ssh.open(&host).unwrap();
    assert_eq!(fs::read_to_string(&new).unwrap().lines().count(), 1);
    options.accept_new_host_keys = false;
    Ssh::new(options.clone()).unwrap().open(&host).unwrap();
    // A hashed entry is known too, and a wildcard; OpenSSH's own tool does the hashing.
    assert!(
        Command::new("ssh-keygen")
            .args(["-q", "-H", "-f"])
            .arg(&new)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap()
            .success()
    );
    assert!(fs::read_to_string(&new).unwrap().starts_with("|1|"));
    Ssh::new(options.clone()).unwrap().open(&host).unwrap();
    let public = fs::read_to_string(sshd.at("host_ecdsa.pub")).unwrap();
    fs::write(&new, format!("[127.0.*]:{} {public}", sshd.port)).unwrap();
    Ssh::new(options.clone()).unwrap().open(&host).unwrap();
    // Another key: changed, even when new ones are accepted.
    options.accept_new_host_keys = true;
    let other = fs::read_to_string(sshd.at("id_wrong.pub")).unwrap();
    fs::write(&new, format!("# first\n[127.0.0.1]:{} {other}", sshd.port)).unwrap();
    let error = Ssh::new(options.clone()).unwrap().open(&host).err().unwrap();
    let SshError::ChangedKey { line, command, .. } = &error else { panic!("{error}") };
    assert_eq!(*line, 2);
    assert!(command.starts_with(&format!("ssh-keygen -R '[127.0.0.1]:{}'", sshd.port)), "{command}");
    // Revoked.
    let own = fs::read_to_string(sshd.at("host_ed25519.pub")).unwrap();
    fs::write(&new, format!("[127.0.0.1]:{p} {own}@revoked * {own}", p = sshd.port)).unwrap();
    let error = Ssh::new(options).unwrap().open(&host).err().unwrap();
    assert!(matches!(error, SshError::RevokedKey { line: 2, .. }), "{error}");
}

#[test]
fn an_agent_signs() {
    let Some(sshd) = Sshd::start("").filter(|_| root()) else { return };
    let socket = sshd.at("agent");
    let Ok(mut agent) = Command::new("ssh-agent").arg("-D").arg("-a").arg(&socket).stdout(Stdio::null()).spawn() else {
        println!("skipped: there is no ssh-agent");
        return;
    };
    while !socket.exists() {
        std::thread::sleep(Duration::from_millis(10));
    }
    for key in ["id_wrong", "id_rsa"] {
        let added = Command::new("ssh-add").arg("-q").arg(sshd.at(key)).env("SSH_AUTH_SOCK", &socket).status().unwrap();
        assert!(added.success());
    }
    let mut host = sshd.host("");
    host.private_key = Some("agent-forwarding".into());
    let options = SshOptions { agent: Some(socket.to_str().unwrap().into()), ..sshd.options() };
    let result = Ssh::new(options).unwrap().open(&host).map(|session| echo(&session).stdout);
    let _ = agent.kill();
    let _ = agent.wait();
    assert_eq!(result.unwrap(), b"hello");
}

#[test]
fn jump_hosts_lead_on() {
    let (Some(jump), Some(target)) = (Sshd::start("").filter(|_| root()), Sshd::start("")) else { return };
    let config = jump.at("ssh_config");
    fs::write(
        &config,
        format!(
            "Host jump\n  HostName 127.0.0.1\n  Port {}\n  User root\n  IdentityFile {}\n\nHost far*\n  HostName 127.0.0.1\n  ProxyJump jump\n",
            jump.port,
            jump.at("id_ed25519").display()
        ),
    )
    .unwrap();
    let mut options = jump.options();
    options.config = Some(config);
    target.options();
    options.known_hosts.push(target.at("known"));
    let mut host = target.host("id_ecdsa");
    host.host = "far1".into();
    let ssh = Ssh::new(options).unwrap();
    let session = ssh.open(&host).unwrap();
    let output = session.exec("echo $SSH_CONNECTION", b"").unwrap().stdout_text();
    assert!(output.trim().ends_with(&format!("127.0.0.1 {}", target.port)), "{output}");
    // A jump host that cannot reach the target says so.
    host.port = Some(1);
    let error = ssh.open(&host).err().unwrap();
    assert!(matches!(error, SshError::Unreachable { port: 1, .. }), "{error}");
}

#[test]
fn a_proxy_command_leads_on() {
    let (Some(jump), Some(target)) = (Sshd::start("").filter(|_| root()), Sshd::start("")) else { return };
    jump.options();
    target.options();
    let config = jump.at("ssh_config");
    // The command that everybody writes; %% and %r are for the sake of the tokens.
    let ssh = format!(
        "ssh -F none -i {} -o UserKnownHostsFile={} -o SetEnv=X=%%%r -p {} -W %h:%p root@127.0.0.1",
        jump.at("id_ed25519").display(),
        jump.at("known").display(),
        jump.port
    );
    let text = format!(
        "Host far\n  HostName 127.0.0.1\n  ProxyCommand {ssh}\n  ProxyJump nowhere\n\
         Host broken\n  HostName 127.0.0.1\n  ProxyCommand sh -c 'echo no way to %n >&2; exit 1'\n\
         Host plain\n  HostName 127.0.0.1\n  ProxyCommand none\n"
    );
    fs::write(&config, text).unwrap();
    let mut options = jump.options();
    options.config = Some(config);
    options.known_hosts = vec![target.at("known")];
    let mut host = target.host("id_ecdsa");
    let ssh = Ssh::new(options).unwrap();
    for name in ["far", "plain"] {
        host.host = name.into();
        let session = ssh.open(&host).unwrap();
        let output = session.exec("echo $SSH_CONNECTION", b"").unwrap().stdout_text();
        assert!(output.trim().ends_with(&format!("127.0.0.1 {}", target.port)), "{name}: {output}");
    }
    host.host = "broken".into();
    let since = Instant::now();
    let error = ssh.open(&host).err().unwrap().to_string();
    assert_eq!(error, format!("the ProxyCommand to 127.0.0.1:{} failed: no way to broken", target.port));
    assert!(since.elapsed() < Duration::from_secs(5), "what a program says is not tried again");
    host.user = Some("root;id".into());
    let error = ssh.open(&host).err().unwrap().to_string();
    assert!(error.contains("`root;id` cannot stand in a ProxyCommand"), "{error}");
}

#[test]
fn dead_and_silent_hosts_end_in_time() {
    let ssh = Ssh::new(SshOptions { config: None, known_hosts: vec![], agent: None, ..SshOptions::default() }).unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let host = |name: &str, port| Host {
        host: name.into(),
        port: Some(port),
        timeout: Some(Duration::from_secs(1)),
        ..Host::default()
    };
    let since = Instant::now();
    assert_eq!(ssh.open(&host("127.0.0.1", port)).err(), Some(SshError::Refused { host: "127.0.0.1".into(), port }));
    assert!(matches!(
        ssh.open(&host("no-such-host.invalid", 22)).err(),
        Some(SshError::Dns { .. } | SshError::Timeout { .. })
    ));
    // Takes the connection and says nothing: a black hole at the level of SSH.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let error = ssh.open(&host("127.0.0.1", silent.local_addr().unwrap().port())).err().unwrap();
    assert!(matches!(error, SshError::Timeout { doing: "shaking hands", .. }), "{error}");
    // Hangs up at once, as sshd does over MaxStartups.
    let rude = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = rude.local_addr().unwrap().port();
    std::thread::spawn(move || rude.incoming().for_each(drop));
    let error = ssh.open(&host("127.0.0.1", port)).err().unwrap();
    assert!(matches!(error, SshError::Busy { tries: 6, .. }), "{error}");
    assert!(since.elapsed() < Duration::from_secs(20));
}

/// A stand-in for the minion: the checks, and then an echo of its input after a greeting.
fn program(dir: &Path, text: &str) -> MinionBinary {
    let path = dir.join("minion.sh");
    let digest =
        "[ \"$1\" = --move-in ] && { set -- \"$2\" $3 $(sha256sum $0); [ $2 = $3 ] && exec mv $0 \"$1\"; exit; }";
    fs::write(&path, format!("#!/bin/sh\n{digest}\necho {text} \"$@\"; exec cat\n")).unwrap();
    let sha256 = corpus_wire::file_sha256(&path).unwrap();
    let size = fs::metadata(&path).unwrap().len();
    let arch = String::from_utf8(Command::new("uname").arg("-m").output().unwrap().stdout).unwrap().trim().to_owned();
    MinionBinary { path, sha256, size, arch }
}

fn greeting(session: &Session, binary: &MinionBinary) -> Result<String, SshError> {
    let mut pipe = session.start_minion(std::slice::from_ref(binary))?;
    pipe.write.write_all(b"ping\n").unwrap();
    drop(pipe.write);
    let mut out = String::new();
    pipe.read.read_to_string(&mut out).unwrap();
    Ok(out)
}

/// One bootstrap test at a time: they look at who else is there.
static ONE: Mutex<()> = Mutex::new(());

#[test]
fn the_minion_is_brought_once() {
    let Some(sshd) = Sshd::start("").filter(|_| root()) else { return };
    let _one = ONE.lock();
    let (_ssh, session) = sshd.open("id_ed25519").unwrap();
    let binary = program(sshd.dir.path(), "v1");
    let thin = sshd.at("thin");
    let expected = format!("v1 serve --cache {}/cache\nping\n", thin.display());
    assert_eq!(greeting(&session, &binary).unwrap(), expected);
    let stored = thin.join(format!("corpus-minion-{}", corpus_core::digest::hex(&binary.sha256)));
    let made = fs::metadata(&stored).unwrap();
    assert_eq!(made.permissions().mode() & 0o7777, 0o700);
    assert_eq!(fs::metadata(&thin).unwrap().permissions().mode() & 0o7777, 0o700);
    assert_eq!(fs::read_dir(&thin).unwrap().count(), 1, "no temporary file stays");
    // Again: the local file is not needed any more, so nothing is sent.
    let gone = MinionBinary { path: "/nowhere".into(), ..binary.clone() };
    assert_eq!(greeting(&session, &gone).unwrap(), expected);
    // Cut short on the disk: brought again.
    fs::OpenOptions::new().write(true).open(&stored).unwrap().set_len(10).unwrap();
    assert_eq!(greeting(&session, &binary).unwrap(), expected);
    // Writable by others: not trusted, brought again.
    fs::set_permissions(&stored, fs::Permissions::from_mode(0o777)).unwrap();
    assert_eq!(greeting(&session, &binary).unwrap(), expected);
    assert_eq!(fs::metadata(&stored).unwrap().permissions().mode() & 0o777, 0o700);
    // Damaged on the way: the digest says so, and nothing is left.
    let damaged = MinionBinary { sha256: [7; 32], ..binary.clone() };
    let error = greeting(&session, &damaged).err().unwrap();
    assert!(matches!(&error, SshError::Damaged { why, .. } if why.contains("SHA-256")), "{error}");
    assert_eq!(fs::read_dir(&thin).unwrap().count(), 1);
    // Another architecture.
    let other = MinionBinary { arch: "vax".into(), ..binary.clone() };
    let error = greeting(&session, &other).err().unwrap();
    assert!(error.to_string().contains(&format!("target {}-unknown-linux-gnu", binary.arch)), "{error}");
}

#[test]
fn a_directory_that_is_not_ours_is_refused() {
    let Some(sshd) = Sshd::start("").filter(|_| root()) else { return };
    let _one = ONE.lock();
    let binary = program(sshd.dir.path(), "v1");
    let ssh = Ssh::new(sshd.options()).unwrap();
    let with = |dir: &str| {
        let mut host = sshd.host("id_ed25519");
        host.thin_dir = Some(dir.into());
        greeting(&ssh.open(&host).unwrap(), &binary)
    };
    let path = |name: &str| sshd.at(name).to_str().unwrap().to_owned();
    std::os::unix::fs::symlink("/tmp", sshd.at("link")).unwrap();
    let error = with(&path("link")).err().unwrap();
    assert!(matches!(&error, SshError::ThinDir { why, .. } if why.contains("symbolic link")), "{error}");
    fs::create_dir(sshd.at("theirs")).unwrap();
    std::os::unix::fs::chown(sshd.at("theirs"), Some(65534), None).unwrap();
    let error = with(&path("theirs")).err().unwrap();
    assert!(matches!(&error, SshError::ThinDir { why, .. } if why.contains("another user")), "{error}");
    fs::write(sshd.at("file"), "").unwrap();
    assert!(matches!(with(&path("file")), Err(SshError::ThinDir { .. })));
    assert!(matches!(with("/tmp/a b"), Err(SshError::Config(_))));
    // What was open to others may hold what others put there.
    fs::create_dir(sshd.at("open")).unwrap();
    fs::set_permissions(sshd.at("open"), fs::Permissions::from_mode(0o777)).unwrap();
    let error = with(&path("open")).err().unwrap();
    assert!(matches!(&error, SshError::ThinDir { why, .. } if why.contains("open to others")), "{error}");
    // A full disk, and one where programs cannot run.
    let small = sshd.at("small");
    fs::create_dir(&small).unwrap();
    let mount = |options: &str| {
        let done = Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "none"])
            .arg(&small)
            .stderr(Stdio::null())
            .status();
        done.is_ok_and(|status| status.success())
    };
    if !mount("size=4k,mode=0700") {
        println!("skipped: full disk and noexec: this machine does not let us mount");
        return;
    }
    fs::write(small.join("filler"), [0; 4096]).unwrap();
    let full = with(&path("small")).err().unwrap();
    assert!(Command::new("umount").arg(&small).status().unwrap().success());
    assert!(mount("noexec,mode=0700"));
    let noexec = with(&path("small")).err().unwrap();
    assert!(Command::new("umount").arg(&small).status().unwrap().success());
    assert!(matches!(full, SshError::NoSpace { .. }), "{full}");
    assert!(matches!(noexec, SshError::NoExec { .. }), "{noexec}");
}

#[test]
fn the_end_of_a_program_or_of_the_machine_is_told() {
    let Some(mut sshd) = Sshd::start("").filter(|_| root()) else { return };
    let (_ssh, session) = sshd.open("id_ed25519").unwrap();
    let mut out = String::new();
    let mut pipe = session.spawn("echo no >&2; kill -9 $$").unwrap();
    let error = pipe.read.read_to_string(&mut out).err().unwrap().to_string();
    assert_eq!(error, "the program was killed: no");
    // sshd's child for this connection dies, and the connection with it.
    let mut pipe = session.spawn("echo up; sleep 600").unwrap();
    let mut up = [0; 3];
    pipe.read.read_exact(&mut up).unwrap();
    let children = Command::new("ps").args(["-o", "pid=", "--ppid", &sshd.child.id().to_string()]).output().unwrap();
    for pid in String::from_utf8_lossy(&children.stdout).split_whitespace() {
        let _ = Command::new("kill").args(["-9", pid]).status();
    }
    let since = Instant::now();
    let error = pipe.read.read_to_string(&mut out).err().unwrap().to_string();
    assert_eq!(error, "the machine or its sshd went away");
    assert!(session.spawn("true").is_err());
    assert!(since.elapsed() < Duration::from_secs(20));
    let _ = sshd.child.kill();
}

/// With the real program, which another crate builds: `CORPUS_STATIC_MINION=target/debug/corpus-minion cargo test …`.
#[test]
fn the_real_minion_answers_and_its_death_is_told() {
    let Some(path) = std::env::var_os("CORPUS_STATIC_MINION") else {
        println!("skipped: CORPUS_STATIC_MINION names no corpus-minion of this build");
        return;
    };
    let Some(sshd) = Sshd::start("").filter(|_| root()) else { return };
    let _one = ONE.lock();
    let binary = MinionBinary::open(path).unwrap();
    let ssh = Ssh::new(sshd.options()).unwrap();
    let start = || {
        let since = Instant::now();
        let (read, write) = ssh
            .open(&sshd.host("id_ed25519"))
            .unwrap()
            .start_minion(std::slice::from_ref(&binary))
            .unwrap()
            .into_boxes();
        let remote = Remote::connect(read, write, RemoteOptions::default()).unwrap();
        println!("connected and greeted in {:?}", since.elapsed());
        remote
    };
    assert_eq!(start().grains().unwrap().str("kernel"), Some("Linux"));
    let remote = start();
    let ping = remote.call(&Call::new("test.ping", vec![])).unwrap().unwrap();
    assert_eq!(ping, true.into());
    let pid = remote.hello().pid;
    let killer = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(300));
        assert!(Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap().success());
    });
    let error = remote.call(&Call::new("cmd.run", vec!["sleep 30".into()])).unwrap_err();
    killer.join().unwrap();
    assert_eq!(error.to_string(), "lost the connection: the program was killed");
}

#[test]
fn many_at_once_get_past_a_busy_sshd() {
    let Some(sshd) = Sshd::start("MaxStartups 2:100:2").filter(|_| root()) else { return };
    let ssh = Ssh::new(sshd.options()).unwrap();
    let host = sshd.host("id_ed25519");
    // Two that do not log in take all the room there is.
    let mut idle: Vec<TcpStream> = vec![];
    while idle.len() < 2 {
        let mut stream = TcpStream::connect(("127.0.0.1", sshd.port)).unwrap();
        let mut greeting = [0; 4];
        if stream.read_exact(&mut greeting).is_ok() && &greeting == b"SSH-" {
            idle.push(stream);
        }
    }
    let error = ssh.open(&host).err().unwrap();
    assert!(matches!(error, SshError::Busy { tries: 6, .. }), "{error}");
    std::thread::scope(|scope| {
        let all: Vec<_> =
            (0..8).map(|_| scope.spawn(|| ssh.open(&host).map(|s| s.exec("echo in", b"").unwrap()))).collect();
        std::thread::sleep(Duration::from_millis(300));
        idle.clear();
        for thread in all {
            assert_eq!(thread.join().unwrap().unwrap().stdout, b"in\n");
        }
    });
}
