//! Web servers as pillar sources: Salt's `http_yaml`, `http_json` and `vault`; and the client of Vault and OpenBao.

pub mod vault;

use corpus_core::yaml;
use corpus_core::{Diagnostic, Map, Node, Pos, Span, Value, python, suggest};
use corpus_pillar::arguments::{Arguments, Entry, flag, need, text};
use corpus_pillar::{Ask, Given, Piece, PillarSource, Place, Sees};
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use ureq::Agent;
use ureq::http::{Method, Request};
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};

/// The names of [`make`].
pub const NAMES: &[&str] = &["http_yaml", "http_json", "vault"];

/// Salt gives all further arguments to `http.query`; those that change what is asked are these.
const SETTINGS: &[&str] = &[
    "url",
    "with_grains",
    "method",
    "params",
    "data",
    "header_dict",
    "header_list",
    "username",
    "password",
    "verify_ssl",
    "ca_bundle",
    "timeout",
    "auth",
    "decode",
    "decode_type",
    "backend",
    "status",
    "headers",
    "text",
    "raise_error",
];

/// The largest answer that is read.
const LIMIT: u64 = 64 << 20;

struct Http {
    json: bool,
    args: Map,
    url: String,
    identity: String,
    agent: OnceLock<Agent>,
}

/// Makes a source of an entry, if its name is one of these.
pub fn make(entry: &Entry) -> Option<Result<Arc<dyn PillarSource>, Diagnostic>> {
    let json = match entry.name.as_str() {
        "http_json" => true,
        "http_yaml" => false,
        "vault" => return Some(vault::source(entry)),
        _ => return None,
    };
    Some(source(json, entry))
}

fn source(json: bool, entry: &Entry) -> Result<Arc<dyn PillarSource>, Diagnostic> {
    let args = Arguments::of(&entry.value);
    for name in args.named.keys().map(python::str) {
        if !SETTINGS.contains(&name.as_str()) {
            let hint = suggest::did_you_mean(&name, SETTINGS.iter().copied());
            let known = format!("its arguments are: {}", SETTINGS.join(", "));
            return Err(Diagnostic::error(format!("unknown argument '{name}'")).hint(hint.unwrap_or(known)));
        }
    }
    let args = args.named(SETTINGS)?;
    if args.get("auth").is_some_and(Value::truthy) {
        return Err(Diagnostic::error("`auth` is not built: give `username` and `password`, or a header"));
    }
    let url = need(&args, "url")?;
    if !url.starts_with("http://") && !url.starts_with("https://") {
        return Err(Diagnostic::error(format!("`{url}` is no http:// or https:// address")));
    }
    Ok(Arc::new(Http { json, url, args, identity: python::repr(&entry.value), agent: OnceLock::new() }))
}

impl PillarSource for Http {
    fn name(&self) -> &str {
        if self.json { "http_json" } else { "http_yaml" }
    }

    fn identity(&self) -> String {
        self.identity.clone()
    }

    fn sees(&self) -> Sees {
        if flag(&self.args, "with_grains") { Sees::GRAINS } else { Sees::ID }
    }

    fn load(&self, ask: &Ask) -> Result<Given, Diagnostic> {
        let url = self.address(ask)?;
        // What is shown has neither question nor credentials.
        let shown = shown(&url);
        let body = self.fetch(&url, &shown, ask.deadline)?;
        let wrong = |pos: Pos, why: &str| {
            Diagnostic::error(format!("the answer of {shown} cannot be read: {why}"))
                .at(Span::new(shown.as_str(), pos), "")
        };
        let node = if self.json {
            let value = serde_json::from_str::<Value>(&body)
                .map_err(|error| wrong(Pos::new(error.line() as u32, error.column() as u32), &error.to_string()))?;
            Node::from_value(&value, Pos::default())
        } else {
            yaml::parse(&body).map_err(|error| wrong(error.place(&body), &error.message))?
        };
        let Value::Map(map) = node.to_value() else {
            return Err(wrong(Pos::default(), &format!("it is a {}, not a mapping", node.type_name())));
        };
        let pieces = match ask.explain {
            true => vec![Piece { node, under: vec![], place: Place::File(shown.into()) }],
            false => vec![],
        };
        Ok(Given { pillar: Arc::unwrap_or_clone(map), pieces, ..Given::default() })
    }
}

impl Http {
    /// Puts the minion's id, and its grains if that is set, into the address.
    fn address(&self, ask: &Ask) -> Result<String, Diagnostic> {
        let mut url = self.url.replace("%s", &quoted(&ask.data.id));
        if flag(&self.args, "with_grains") {
            let mut out = String::new();
            let mut rest = url.as_str();
            while let Some((start, end)) =
                rest.find('<').and_then(|start| Some((start, start + rest[start..].find('>')?)))
            {
                let name = &rest[start + 1..end];
                let Some(value) = ask.data.grains.traverse(name, ":").filter(|value| value.truthy()) else {
                    return Err(Diagnostic::error(format!("Unable to get minion '{}' grain: {name}", ask.data.id)));
                };
                out += &rest[..start];
                out += &quoted(&python::str(value));
                rest = &rest[end + 1..];
            }
            url = out + rest;
        }
        if let Some(params) = self.args.get("params").and_then(Value::as_map) {
            let pairs: Vec<String> = params
                .iter()
                .map(|(key, value)| format!("{}={}", quoted(&python::str(key)), quoted(&python::str(value))))
                .collect();
            url += &format!("{}{}", if url.contains('?') { '&' } else { '?' }, pairs.join("&"));
        }
        Ok(url)
    }

    fn fetch(&self, url: &str, shown: &str, deadline: Instant) -> Result<String, Diagnostic> {
        let fail = |why: &dyn std::fmt::Display| Diagnostic::error(format!("{shown}: {why}"));
        let agent = match self.agent.get() {
            Some(agent) => agent,
            None => {
                let agent = self.agent()?;
                self.agent.get_or_init(|| agent)
            }
        };
        let method = text(&self.args, "method")?.unwrap_or_else(|| "GET".into());
        let method = Method::from_bytes(method.as_bytes()).map_err(|_| fail(&format!("'{method}' is no method")))?;
        let mut request = Request::builder().method(method).uri(url);
        for (name, value) in self.headers()? {
            request = request.header(name, value);
        }
        let body = text(&self.args, "data")?.unwrap_or_default();
        let request = request.body(body).map_err(|error| fail(&error))?;
        let own = self.args.get("timeout").and_then(Value::as_int).and_then(|n| u64::try_from(n).ok());
        let left = deadline.saturating_duration_since(Instant::now());
        let limit = own.map_or(left, |seconds| Duration::from_secs(seconds).min(left));
        let request = agent.configure_request(request).timeout_global(Some(limit)).build();
        let mut answer = agent.run(request).map_err(|error| fail(&error))?;
        if !answer.status().is_success() {
            return Err(fail(&format!("the server answered {}", answer.status())));
        }
        answer.body_mut().with_config().limit(LIMIT).read_to_string().map_err(|error| fail(&error))
    }

    fn headers(&self) -> Result<Vec<(String, String)>, Diagnostic> {
        let mut headers = Vec::new();
        for (name, value) in self.args.get("header_dict").and_then(Value::as_map).into_iter().flatten() {
            headers.push((python::str(name), python::str(value)));
        }
        for line in self.args.get("header_list").and_then(Value::as_list).unwrap_or_default() {
            let line = python::str(line);
            let Some((name, value)) = line.split_once(':') else {
                return Err(Diagnostic::error("`header_list` has lines of the form `Name: value`"));
            };
            headers.push((name.trim().to_owned(), value.trim().to_owned()));
        }
        if let Some(user) = text(&self.args, "username")? {
            let password = text(&self.args, "password")?.unwrap_or_default();
            headers
                .push(("Authorization".into(), format!("Basic {}", base64(format!("{user}:{password}").as_bytes()))));
        }
        Ok(headers)
    }

    fn agent(&self) -> Result<Agent, Diagnostic> {
        let verify = self.args.get("verify_ssl").is_none_or(Value::truthy);
        let bundle = text(&self.args, "ca_bundle")?;
        let trust = if verify { Trust::Authorities(bundle) } else { Trust::Anything };
        agent(&self.url, &trust).map_err(Diagnostic::error)
    }
}

/// Whose certificate a server may have.
enum Trust {
    Anything,
    /// Those of a file, or else the system's.
    Authorities(Option<String>),
    /// Those of a text in PEM.
    Text(String),
}

/// Makes a client for an address. An answer with a status of failure is an answer.
fn agent(url: &str, trust: &Trust) -> Result<Agent, String> {
    let mut tls = TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        .unversioned_rustls_crypto_provider(corpus_tls::provider())
        .disable_verification(matches!(trust, Trust::Anything));
    if url.starts_with("https://") {
        let found = match trust {
            Trust::Anything => vec![],
            Trust::Authorities(file) => {
                corpus_tls::authorities(file.as_deref().map(Path::new)).map_err(|error| format!("TLS: {error}"))?
            }
            Trust::Text(text) => corpus_tls::authorities_in(text).map_err(|error| format!("TLS: {error}"))?,
        };
        let found = found.into_iter().map(|cert| Certificate::from_der(&cert).to_owned());
        tls = tls.root_certs(RootCerts::from(found));
    }
    let config = Agent::config_builder().tls_config(tls.build()).http_status_as_error(false);
    Ok(config.user_agent(concat!("corpus/", env!("CARGO_PKG_VERSION"))).build().into())
}

/// Python's `urllib.parse.quote`.
fn quoted(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.' | b'-' | b'~' | b'/' => out.push(char::from(byte)),
            other => out += &format!("%{other:02X}"),
        }
    }
    out
}

/// An address without credentials and question.
fn shown(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    format!("{scheme}://{host}{path}")
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let n = chunk.iter().fold(0u32, |n, byte| n << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for i in 0..4 {
            let letter = LETTERS[(n >> (18 - 6 * i)) as usize & 63];
            out.push(if i > chunk.len() { '=' } else { char::from(letter) });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_things() {
        for (text, expected) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("a:\u{e9}", "YTrDqQ==")] {
            assert_eq!(base64(text.as_bytes()), expected);
        }
        assert_eq!(quoted("web 1/ä?"), "web%201/%C3%A4%3F");
        assert_eq!(shown("https://u:p@host:1/a/b?token=x#y"), "https://host:1/a/b");
    }
}
