//! A small server that speaks the documented HTTP interface of Vault and OpenBao, as far as corpus asks it: AppRole, the
//! mounts, KV engines of version 1 (`old/`) and 2 (`kv/`). No registry that the tests can reach carries the real one.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

#[derive(Default)]
struct Held {
    /// All versions of each secret; a deleted one is null.
    secrets: BTreeMap<String, Vec<Value>>,
    tokens: Vec<String>,
    logins: usize,
    deny: bool,
}

pub struct Vault {
    port: u16,
    held: Arc<Mutex<Held>>,
}

impl Vault {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let held = Arc::new(Mutex::new(Held::default()));
        let server = held.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let held = server.clone();
                std::thread::spawn(move || answer(&stream, &held));
            }
        });
        Self { port, held }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub fn put(&self, path: &str, data: Value) {
        self.held.lock().expect("a lock").secrets.entry(path.into()).or_default().push(data);
    }

    pub fn logins(&self) -> usize {
        self.held.lock().expect("a lock").logins
    }

    pub fn forget_tokens(&self) {
        self.held.lock().expect("a lock").tokens.clear();
    }

    pub fn deny(&self, deny: bool) {
        self.held.lock().expect("a lock").deny = deny;
    }
}

fn answer(stream: &TcpStream, held: &Mutex<Held>) {
    let mut reader = BufReader::new(stream);
    let mut lines: Vec<String> = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        if line.trim().is_empty() {
            break;
        }
        lines.push(line.trim().to_owned());
    }
    let header = |name: &str| {
        let found = lines.iter().find(|line| line.to_lowercase().starts_with(&format!("{name}:")));
        found.map(|line| line[name.len() + 1..].trim().to_owned())
    };
    let length = header("content-length").and_then(|n| n.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).expect("a body");
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let mut words = lines[0].split(' ');
    let (method, address) = (words.next().expect("a method"), words.next().expect("an address"));
    let (path, query) = address.split_once('?').unwrap_or((address, ""));
    let path = path.strip_prefix("/v1/").unwrap_or_default();
    let token = header("x-vault-token").unwrap_or_default();
    let (status, text) = reply(&mut held.lock().expect("a lock"), method, path, query, &token, &body);
    let text = if text.is_null() { String::new() } else { text.to_string() };
    let _ = write!(
        &mut &*stream,
        "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{text}",
        text.len()
    );
}

fn reply(held: &mut Held, method: &str, path: &str, query: &str, token: &str, body: &Value) -> (u16, Value) {
    if path == "auth/approle/login" {
        if held.deny || body["role_id"] != "role" || body["secret_id"] != "the-secret-id" {
            return (400, json!({"errors": ["invalid role or secret ID"]}));
        }
        held.logins += 1;
        let token = format!("token-of-{}", held.logins);
        held.tokens.push(token.clone());
        return (200, json!({"auth": {"client_token": token, "lease_duration": 3600, "renewable": true}}));
    }
    if held.deny || !held.tokens.iter().any(|known| known == token) {
        return (403, json!({"errors": ["permission denied"]}));
    }
    if let Some(asked) = path.strip_prefix("sys/internal/ui/mounts/") {
        let version = match asked.split('/').next() {
            Some("kv") => json!({"type": "kv", "path": "kv/", "options": {"version": "2"}}),
            Some("old") => json!({"type": "kv", "path": "old/", "options": null}),
            _ => return (403, json!({"errors": ["preflight capability check returned 403"]})),
        };
        return (200, json!({"data": version}));
    }
    if let Some(name) = path.strip_prefix("kv/metadata/").filter(|_| query == "list=true") {
        let below = format!("kv/{name}/");
        let keys: Vec<&str> = held.secrets.keys().filter_map(|key| key.strip_prefix(&below)).collect();
        return if keys.is_empty() { (404, json!({"errors": []})) } else { (200, json!({"data": {"keys": keys}})) };
    }
    let (versioned, name) = match path.strip_prefix("kv/data/") {
        Some(name) => (true, format!("kv/{name}")),
        None => (false, path.to_owned()),
    };
    if versioned != name.starts_with("kv/") {
        return (404, json!({"errors": [], "warnings": ["Invalid path for a versioned K/V secrets engine"]}));
    }
    let data = if versioned { body["data"].clone() } else { body.clone() };
    let versions = held.secrets.entry(name).or_default();
    match method {
        "GET" => match versions.last().filter(|last| !last.is_null()) {
            None => (404, json!({"errors": []})),
            Some(last) if versioned => (200, json!({"data": {"data": last, "metadata": {"version": versions.len()}}})),
            Some(last) => (200, json!({"data": last})),
        },
        "POST" | "PUT" => {
            versions.push(data);
            if versioned { (200, json!({"data": {"version": versions.len()}})) } else { (204, Value::Null) }
        }
        // Policies without the capability `patch` are the rule: the client has to read and write.
        "PATCH" => (403, json!({"errors": ["1 error occurred:\n\t* permission denied\n\n"]})),
        "DELETE" => {
            versions.push(Value::Null);
            (204, Value::Null)
        }
        _ => (405, json!({"errors": ["unsupported operation"]})),
    }
}
