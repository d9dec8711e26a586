//! Against real servers: one of this process for HTTP, openssl's for HTTPS.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests count as tests")]

use corpus_core::{Call, Caller, Data, Diagnostic, ExecError, Map, Value};
use corpus_pillar::arguments::Entry;
use corpus_pillar::{Ask, Given};
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

struct Nothing;

impl Caller for Nothing {
    fn call(&self, call: &Call) -> Result<Value, ExecError> {
        Err(ExecError::NotFound(call.fun.clone()))
    }
    fn has(&self, _: &str) -> bool {
        false
    }
    fn names(&self) -> Vec<String> {
        vec![]
    }
}

fn load(name: &str, args: &serde_json::Value, seconds: u64) -> Result<Given, Diagnostic> {
    let value: Value = serde_json::from_value(args.clone()).unwrap();
    let grains: Map = [("os", "Debian GNU")].into_iter().collect();
    let ask = Ask {
        data: Arc::new(Data { id: "web 1".into(), grains: grains.into(), ..Data::default() }),
        saltenv: "base".into(),
        pillarenv: None,
        caller: Arc::new(Nothing),
        explain: false,
        trust: Default::default(),
        deadline: Instant::now() + Duration::from_secs(seconds),
    };
    corpus_pillar_http::make(&Entry { index: 0, name: name.into(), value }).unwrap()?.load(&ask)
}

fn json(given: &Given) -> serde_json::Value {
    serde_json::to_value(&given.pillar).unwrap()
}

/// Answers each request with its own first line and headers, as YAML that is JSON too.
fn serve() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || answer(&stream));
        }
    });
    port
}

fn answer(stream: &TcpStream) {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let first = lines.next().unwrap_or_default();
    let headers: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
    let find = |name: &str| {
        let found = headers.iter().find(|line| line.to_lowercase().starts_with(name));
        found.and_then(|line| line.split_once(": ")).map(|(_, value)| value.to_owned())
    };
    let (status, body) = match first.split(' ').nth(1).unwrap_or_default() {
        "/missing" => ("404 Not Found", "gone".to_owned()),
        "/broken" => ("200 OK", "a: [".to_owned()),
        "/list" => ("200 OK", "[1]".to_owned()),
        "/slow" => {
            std::thread::sleep(Duration::from_secs(30));
            return;
        }
        _ => {
            let seen = serde_json::json!({"line": first, "auth": find("authorization"), "token": find("x-token")});
            ("200 OK", seen.to_string())
        }
    };
    let length = body.len();
    let _ = write!(&mut &*stream, "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
}

#[test]
fn asks_a_web_server() {
    let port = serve();
    let url = |path: &str| format!("http://127.0.0.1:{port}{path}");
    let given = load("http_json", &serde_json::json!(url("/api/%s")), 5).unwrap();
    assert_eq!(json(&given)["line"], "GET /api/web%201 HTTP/1.1");
    let args = serde_json::json!({
        "url": url("/<os>"), "with_grains": true, "username": "me", "password": "pw", "method": "POST", "data": "x",
        "header_dict": {"X-Token": "t"}, "params": {"a b": "c&d"},
    });
    let seen = json(&load("http_yaml", &args, 5).unwrap());
    assert_eq!(seen["line"], "POST /Debian%20GNU?a%20b=c%26d HTTP/1.1");
    assert_eq!((&seen["auth"], &seen["token"]), (&"Basic bWU6cHc=".into(), &"t".into()));
}

#[test]
fn failures_are_named_and_credentials_are_not() {
    let port = serve();
    let url = |path: &str| format!("http://me:s3cret@127.0.0.1:{port}{path}?key=s3cret");
    let cases = [
        ("http_json", serde_json::json!({"url": url("/x"), "urll": 1}), "did you mean `url`?"),
        ("http_json", serde_json::json!({"url": "ftp://x"}), "no http:// or https:// address"),
        (
            "http_json",
            serde_json::json!({"url": format!("http://127.0.0.1:{port}/<nope>"), "with_grains": true}),
            "grain: nope",
        ),
        (
            "http_json",
            serde_json::json!({"url": format!("http://127.0.0.1:{port}/missing")}),
            "the server answered 404",
        ),
        ("http_yaml", serde_json::json!({"url": format!("http://127.0.0.1:{port}/broken")}), "cannot be read"),
        (
            "http_yaml",
            serde_json::json!({"url": format!("http://127.0.0.1:{port}/list")}),
            "it is a list, not a mapping",
        ),
        ("http_json", serde_json::json!({"url": "http://127.0.0.1:1/x?key=s3cret"}), "http://127.0.0.1:1/x: "),
    ];
    for (name, args, expected) in cases {
        let said = load(name, &args, 5).unwrap_err().to_text(None);
        assert!(said.contains(expected) && !said.contains("s3cret"), "{expected}: {said}");
    }
    let began = Instant::now();
    let said = load("http_json", &serde_json::json!({"url": format!("http://127.0.0.1:{port}/slow")}), 1).unwrap_err();
    assert!(began.elapsed() < Duration::from_secs(5), "{}", said.message);
}

#[test]
fn https_trusts_whom_it_is_told_to() {
    let dir = tempfile::tempdir().unwrap();
    let script = "
new='-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes'
for ca in ca other; do openssl req -x509 $new -days 2 -subj /CN=$ca -keyout $ca.key -out $ca.pem; done
openssl req $new -subj /CN=localhost -keyout leaf.key -out leaf.csr
printf 'subjectAltName=IP:127.0.0.1\\nbasicConstraints=CA:FALSE\\n' > ext
openssl x509 -req -in leaf.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile ext -out leaf.pem";
    let made = Command::new("sh").args(["-ec", script]).current_dir(&dir).output().unwrap();
    if !made.status.success() {
        println!("skipped: there is no openssl to make certificates with");
        return;
    }
    std::fs::write(dir.path().join("pillar"), "{\"a\": 1}\n").unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut server = Command::new("openssl")
        .args([
            "s_server",
            "-quiet",
            "-WWW",
            "-cert",
            "leaf.pem",
            "-key",
            "leaf.key",
            "-accept",
            &format!("127.0.0.1:{port}"),
        ])
        .current_dir(&dir)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let since = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() && since.elapsed() < Duration::from_secs(5) {
        std::thread::sleep(Duration::from_millis(20));
    }
    let at = |name: &str| dir.path().join(name);
    let url = format!("https://127.0.0.1:{port}/pillar");
    let good = load("http_json", &serde_json::json!({"url": url, "ca_bundle": at("ca.pem")}), 5);
    let bad = load("http_json", &serde_json::json!({"url": url, "ca_bundle": at("other.pem")}), 5);
    let any = load("http_json", &serde_json::json!({"url": url, "ca_bundle": at("other.pem"), "verify_ssl": false}), 5);
    let none = load("http_json", &serde_json::json!({"url": url, "ca_bundle": at("nothing.pem")}), 5);
    let _ = server.kill();
    let _ = server.wait();
    assert_eq!(json(&good.unwrap()), serde_json::json!({"a": 1}));
    assert_eq!(json(&any.unwrap()), serde_json::json!({"a": 1}));
    let why = bad.unwrap_err().message;
    assert!(why.contains("certificate") || why.contains("UnknownIssuer"), "{why}");
    assert!(none.unwrap_err().message.contains("no certificate can be read from"));
}
