//! The pillar source `git` over a real SSH, with a real sshd and real repositories.

use crate::support::{Said, Tree};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// An sshd of our own, gone with the value.
struct Sshd {
    port: u16,
    child: Child,
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn run(program: &str, words: &[&str]) {
    let output = Command::new(program).args(words).output().expect("it starts");
    assert!(output.status.success(), "{program} {words:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn text(path: PathBuf) -> String {
    path.display().to_string()
}

impl Sshd {
    fn start(dir: &Path) -> Option<Self> {
        let program = ["/usr/sbin/sshd", "/usr/bin/sshd"].into_iter().find(|path| Path::new(path).exists())?;
        let at = |name: &str| text(dir.join(name));
        std::fs::create_dir_all(dir).expect("a folder");
        for name in ["host", "key", "other"] {
            run("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", &at(name)]);
        }
        run("ssh-keygen", &["-q", "-t", "ed25519", "-N", "sesame", "-f", &at("locked")]);
        let read = |name: &str| std::fs::read_to_string(at(name)).expect("a key");
        std::fs::write(at("authorized"), read("key.pub") + &read("locked.pub")).expect("a file");
        let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port").port();
        let known = format!("[127.0.0.1]:{port} {}", read("host.pub"));
        std::fs::write(at("known"), known).expect("a file");
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nUsePAM no\n\
             StrictModes no\nPasswordAuthentication no\nPermitRootLogin yes\n",
            at("host"),
            at("authorized")
        );
        std::fs::write(at("config"), config).expect("a file");
        let _ = std::fs::create_dir_all("/run/sshd");
        let child = Command::new(program).args(["-D", "-e", "-f", &at("config")]).stderr(Stdio::null()).spawn().ok()?;
        let sshd = Self { port, child };
        let since = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            if since.elapsed() > Duration::from_secs(10) {
                return None;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(sshd)
    }
}

/// A repository with branches.
struct Repo(PathBuf);

impl Repo {
    fn new(path: PathBuf) -> Self {
        std::fs::create_dir_all(&path).expect("a folder");
        let repo = Self(path);
        repo.git(&["init", "-q"]);
        repo
    }

    fn git(&self, words: &[&str]) {
        let mut all = vec!["-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=master", "-C"];
        let place = self.0.display().to_string();
        all.push(&place);
        all.extend(words);
        run("git", &all);
    }

    fn commit(&self, files: &[(&str, &str)]) {
        for (name, content) in files {
            let path = self.0.join(name);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            std::fs::write(path, content).expect("a file");
        }
        self.git(&["add", "."]);
        self.git(&["commit", "-qm", "x"]);
    }
}

const TOP: &str = "{{ saltenv }}:\n  '*': [web]\n";

#[test]
fn pillar_comes_from_repositories_over_ssh() {
    let tree = Tree::new();
    let Some(sshd) = Sshd::start(&tree.path().join("ssh")) else {
        println!("skipped: no sshd starts here");
        return;
    };
    let main = Repo::new(tree.path().join("repos/main"));
    main.commit(&[("sub/top.sls", TOP), ("sub/web.sls", "who: base\nport: 80\ninclude: [extra.more]\n")]);
    main.git(&["checkout", "-qb", "dev"]);
    main.commit(&[("sub/web.sls", "who: dev\n")]);
    main.git(&["checkout", "-q", "master"]);
    let extra = Repo::new(tree.path().join("repos/extra"));
    extra.commit(&[("more.sls", "more: 1\n")]);
    let url = |name: &str| format!("ssh://root@127.0.0.1:{}{}/repos/{name}", sshd.port, tree.path().display());
    let configure = |interval: u32, key: &str, more: &str| {
        let setting = format!(
            "id: it\ncorpus_cachedir: $TREE/cache\ngit_pillar_privkey: $TREE/ssh/{key}\ngit_pillar_update_interval: {interval}\n\
             {more}ext_pillar:\n  - git:\n    - __env__ {}:\n      - root: sub\n    - master {}:\n      - mountpoint: extra\n",
            url("main"),
            url("extra")
        );
        tree.file("etc/minion", &setting);
    };
    let known = format!("ssh -F none -o UserKnownHostsFile={}", text(tree.path().join("ssh/known")));
    let ask = |words: &[&str]| {
        let mut all = vec!["--local", "--out=json"];
        all.extend(words);
        Said::of(tree.corpus(&all).env("GIT_SSH_COMMAND", &known).output().expect("it starts"))
    };

    // The key of somebody else: an error that names the remote, and nothing to fall back to.
    configure(0, "other", "");
    let said = ask(&["pillar.items"]).expect(0);
    let errors = said.json()["local"]["_errors"][0].as_str().expect("a text").to_owned();
    assert!(
        errors.contains("cannot be fetched, and was never before") && errors.contains("Permission denied"),
        "{errors}"
    );

    configure(0, "key", "");
    let said = ask(&["pillar.items"]).expect(0);
    assert_eq!(said.json()["local"], serde_json::json!({"who": "base", "port": 80, "more": 1}), "{}", said.err);
    let said = ask(&["pillar.items", "pillarenv=dev"]).expect(0);
    assert_eq!(said.json()["local"]["who"], "dev");
    let told = ask(&["pillar.explain", "more"]).expect(0).json()["local"]["from"][0].clone();
    assert!(told.as_str().expect("a text").contains("/repos/main extra/more.sls:1:1"), "{told}");

    // What is pushed is seen once the interval is over, and not before.
    main.commit(&[("sub/web.sls", "who: base\nport: 81\n")]);
    configure(3600, "key", "");
    assert_eq!(ask(&["pillar.get", "port"]).expect(0).json()["local"], 80);
    configure(0, "key", "");
    assert_eq!(ask(&["pillar.get", "port"]).expect(0).json()["local"], 81);

    // The remote goes away: its last tree serves, and the user is told.
    drop(sshd);
    let said = ask(&["pillar.get", "port"]).expect(0);
    assert_eq!(said.json()["local"], 81);
    assert!(said.err.contains("is away") && said.err.contains("repos/main"), "{}", said.err);
}

#[test]
fn keys_with_a_passphrase_and_branches_that_are_not_there() {
    let tree = Tree::new();
    let Some(sshd) = Sshd::start(&tree.path().join("ssh")) else {
        println!("skipped: no sshd starts here");
        return;
    };
    let repo = Repo::new(tree.path().join("repos/main"));
    repo.commit(&[("top.sls", "base:\n  '*': [a]\n"), ("a.sls", "a: 1\n")]);
    let url = format!("ssh://root@127.0.0.1:{}{}/repos/main", sshd.port, tree.path().display());
    let known = format!("ssh -F none -o UserKnownHostsFile={}", text(tree.path().join("ssh/known")));
    let ask = |setting: &str| {
        tree.file("etc/minion", &format!("id: it\ncorpus_cachedir: $TREE/cache\n{setting}"));
        let mut command = tree.corpus(&["--local", "--out=json", "pillar.items"]);
        Said::of(command.env("GIT_SSH_COMMAND", &known).output().expect("it starts"))
    };
    let with = |phrase: &str| {
        format!(
            "ext_pillar:\n  - git:\n    - master {url}:\n      - privkey: $TREE/ssh/locked\n      - passphrase: {phrase}\n"
        )
    };
    let said = ask(&with("wrong-one")).expect(0);
    assert!(said.out.contains("cannot be fetched"), "{}{}", said.out, said.err);
    assert!(!said.out.contains("wrong-one") && !said.err.contains("wrong-one"));
    assert_eq!(ask(&with("sesame")).expect(0).json()["local"]["a"], 1);
    let said = ask(&format!("ext_pillar:\n  - git:\n    - mastr {url}:\n      - privkey: $TREE/ssh/key\n")).expect(0);
    assert!(said.out.contains("has no branch or tag 'mastr'"), "{}{}", said.out, said.err);
    assert!(said.err.contains("did you mean `master`?") && said.err.contains("etc/minion:4:5"), "{}", said.err);
    let said = ask(&format!("ext_pillar:\n  - git:\n    - master {url}:\n      - rot: x\n")).expect(0);
    assert!(said.out.contains("unknown setting 'rot'") && said.err.contains("did you mean `root`?"), "{}", said.err);
}

/// Builds the repositories of the table: each branch from nothing, a tag where the name says so.
fn build(dir: &Path, repos: &serde_json::Value) {
    for (name, branches) in repos.as_object().expect("repositories") {
        let repo = Repo::new(dir.join(name));
        for (branch, files) in branches.as_object().expect("branches") {
            repo.git(&["checkout", "-q", "--orphan", branch.strip_prefix("tag:").unwrap_or(branch)]);
            for entry in std::fs::read_dir(&repo.0).expect("a folder").flatten() {
                if entry.file_name() != ".git" {
                    let path = entry.path();
                    let gone = if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
                    gone.expect("it goes");
                }
            }
            let files = files.as_object().expect("files");
            let files: Vec<_> = files.iter().map(|(name, text)| (&**name, text.as_str().expect("text"))).collect();
            repo.commit(&files);
            if let Some(tag) = branch.strip_prefix("tag:") {
                repo.git(&["checkout", "-q", "--detach"]);
                repo.git(&["branch", "-qD", tag]);
                repo.git(&["tag", tag]);
            }
        }
        repo.git(&["checkout", "-q", "master"]);
    }
}

/// Recorded from Salt 3008.3 with GitPython.
#[test]
fn trees_are_chosen_as_salt_does() {
    let tree = Tree::new();
    let table: serde_json::Value = serde_json::from_str(include_str!("git_pillar.json")).expect("a table");
    build(&tree.path().join("repos"), &table["repos"]);
    let mut wrong = Vec::new();
    for case in table["cases"].as_array().expect("cases") {
        let mut list = vec![serde_json::json!({"git": case["git"]})];
        list.extend(case["more"].as_array().cloned().unwrap_or_default());
        let mut setting = case["opts"].as_object().cloned().unwrap_or_default();
        setting.insert("ext_pillar".into(), list.into());
        setting.insert("corpus_cachedir".into(), "$TREE/cache".into());
        setting.insert("git_pillar_update_interval".into(), 3600.into());
        let text = serde_json::Value::Object(setting).to_string().replace("$URL", "file://$TREE/repos");
        tree.file("etc/minion", &text);
        let mut words = vec!["pillar.items".to_owned(), "--out=json".to_owned()];
        for name in ["pillarenv", "saltenv"] {
            words.extend(case[name].as_str().map(|value| format!("{name}={value}")));
        }
        let said = tree.local(&words.iter().map(String::as_str).collect::<Vec<_>>()).expect(0);
        let ours = &said.json()["local"];
        if *ours != case["pillar"] {
            wrong.push(format!("{}: salt {} ours {ours}\n{}", case["name"], case["pillar"], said.err));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// `git http-backend` behind TLS and a password, in the words of a web server.
const HTTPS: &str = r#"
import base64, http.server, os, ssl, subprocess, sys
root, port, wanted = sys.argv[1], int(sys.argv[2]), "Basic " + base64.b64encode(sys.argv[3].encode()).decode()
class Handler(http.server.BaseHTTPRequestHandler):
    def answer(self):
        if self.headers.get("Authorization") != wanted:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="git"')
            self.send_header("Content-Length", "0")
            return self.end_headers()
        path, _, query = self.path.partition("?")
        env = dict(os.environ, GIT_PROJECT_ROOT=root, GIT_HTTP_EXPORT_ALL="1", PATH_INFO=path, QUERY_STRING=query,
                   REQUEST_METHOD=self.command, CONTENT_TYPE=self.headers.get("Content-Type", ""), REMOTE_USER="joe",
                   HTTP_CONTENT_ENCODING=self.headers.get("Content-Encoding", ""), GIT_CONFIG_COUNT="1",
                   GIT_CONFIG_KEY_0="safe.directory", GIT_CONFIG_VALUE_0="*")
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        out = subprocess.run(["git", "http-backend"], env=env, input=body, stdout=subprocess.PIPE).stdout
        head, _, content = out.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        self.send_response(int(fields.pop("Status", "200").split()[0]))
        for name, value in fields.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
    do_GET = do_POST = answer
    def log_message(self, *_):
        pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
tls.load_cert_chain("leaf.pem", "leaf.key")
server.socket = tls.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"#;

#[test]
fn pillar_comes_over_https_with_an_authority_and_a_password() {
    let tree = Tree::new();
    let certs = tree.path().join("certs");
    if !crate::pillar_sql::certificates(&certs) {
        println!("skipped: there is no openssl");
        return;
    }
    let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port").port();
    let repos = tree.path().join("repos");
    let started = Command::new("python3")
        .args(["-c", HTTPS, &text(repos.clone()), &port.to_string(), "joe:c4nary-git"])
        .current_dir(&certs)
        .stderr(Stdio::null())
        .spawn();
    let Ok(child) = started else {
        println!("skipped: there is no python3 to serve with");
        return;
    };
    let _server = Sshd { port, child };
    let repo = Repo::new(repos.join("main"));
    repo.commit(&[("top.sls", "base:\n  '*': [a]\n"), ("a.sls", "a: 1\n")]);
    let since = Instant::now();
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(since.elapsed() < Duration::from_secs(10), "the server does not start");
        std::thread::sleep(Duration::from_millis(20));
    }
    let ask = |address: &str, more: &str, authority: &str| {
        let _ = std::fs::remove_dir_all(tree.path().join("cache"));
        tree.file(
            "etc/minion",
            &format!("id: it\ncorpus_cachedir: $TREE/cache\n{more}ext_pillar:\n  - git:\n    - master {address}/main:\n      - env: base\n"),
        );
        let mut command = tree.corpus(&["--local", "-l", "debug", "--out=json", "pillar.items"]);
        let said = Said::of(command.env("GIT_SSL_CAINFO", certs.join(authority)).output().expect("it starts"));
        assert!(!said.out.contains("c4nary") && !said.err.contains("c4nary"), "{}{}", said.out, said.err);
        said.json()["local"].clone()
    };
    let (host, login) = (format!("localhost:{port}"), "git_pillar_user: joe\ngit_pillar_password: c4nary-git\n");
    let given = serde_json::json!({"a": 1});
    assert_eq!(ask(&format!("https://{host}"), login, "ca.pem"), given);
    assert_eq!(ask(&format!("https://joe:c4nary-git@{host}"), "", "ca.pem"), given);
    for (address, more, authority, why) in [
        (format!("https://{host}"), login, "other.pem", "certificate"),
        (format!("https://joe:c4nary-wrong@{host}"), "", "ca.pem", "uthentication failed"),
        (format!("https://{host}"), "", "ca.pem", "could not read Username"),
    ] {
        let error = ask(&address, more, authority)["_errors"][0].as_str().expect("an error").to_owned();
        assert!(error.contains(why) && error.contains("was never before"), "{error}");
    }
    assert_eq!(ask(&format!("https://{host}"), &format!("git_pillar_ssl_verify: False\n{login}"), "other.pem"), given);
}
