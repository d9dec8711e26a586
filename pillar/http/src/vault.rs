//! Vault and OpenBao: their HTTP interface to key/value engines of both versions, and Salt's pillar source `vault`.
//! Clients are shared by all that have the same setting: a thousand minions cost one login.

use crate::{Trust, agent, quoted, shown};
use corpus_core::merge::{Strategy, merge};
use corpus_core::{Diagnostic, Map, Node, Pos, Value, python, secret};
use corpus_pillar::arguments::{Arguments, Entry, need, text};
use corpus_pillar::{Ask, Given, Piece, PillarSource, Place, Secret, Sees};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use ureq::Agent;
use ureq::http::Request;

/// How long the server may take for an answer, where nobody says less.
const PATIENCE: Duration = Duration::from_secs(30);
/// The largest answer that is read.
const LIMIT: u64 = 16 << 20;

/// A server, and the right to ask it.
pub struct Vault {
    url: String,
    namespace: Option<String>,
    auth: Auth,
    agent: Agent,
    token: Mutex<Option<Token>>,
    mounts: Mutex<Vec<Mount>>,
}

enum Auth {
    Token(String),
    Role { id: String, secret: Option<String>, mount: String },
}

#[derive(Clone)]
struct Token {
    text: String,
    until: Option<Instant>,
}

/// Where an engine is mounted, with a slash at its end.
#[derive(Clone)]
struct Mount {
    path: String,
    versioned: bool,
}

struct Reply {
    status: u16,
    body: serde_json::Value,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

static CLIENTS: Mutex<Option<HashMap<String, Arc<Vault>>>> = Mutex::new(None);

impl Vault {
    /// Returns the client of a setting `vault`, as Salt's extension reads it: `server`, `auth`; or its older flat form.
    pub fn of(setting: Option<&Value>) -> Result<Arc<Self>, String> {
        let setting = setting.and_then(Value::as_map).filter(|setting| !setting.is_empty());
        let setting = setting.ok_or(
            "the configuration has no `vault`: write `vault: {server: {url: https://…:8200}, auth: {method: token, token: …}}`",
        )?;
        let identity = python::repr(&setting.clone().into());
        let mut clients = locked(&CLIENTS);
        if let Some(known) = clients.as_ref().and_then(|clients| clients.get(&identity)) {
            return Ok(known.clone());
        }
        let made = Arc::new(Self::make(setting)?);
        clients.get_or_insert_default().insert(identity, made.clone());
        Ok(made)
    }

    fn make(setting: &Map) -> Result<Self, String> {
        let server = setting.get("server").and_then(Value::as_map).unwrap_or(setting);
        let word = |map: &Map, key: &str| map.get(key).filter(|value| value.truthy()).map(python::str);
        let url = word(server, "url").ok_or("the setting `vault` has no `server: {url: …}`")?;
        if !url.starts_with("http://") && !url.starts_with("https://") {
            return Err(format!("`vault: server: url:` is `{url}`, which is no http:// or https:// address"));
        }
        let trust = match server.get("verify").or_else(|| setting.get("verify")) {
            Some(Value::Bool(false)) => Trust::Anything,
            Some(Value::Str(pem)) if pem.contains("-----BEGIN") => Trust::Text(pem.to_string()),
            Some(Value::Str(file)) if &**file != "default" => Trust::Authorities(Some(file.to_string())),
            _ => Trust::Authorities(None),
        };
        let none = Map::new();
        let auth = setting.get("auth").and_then(Value::as_map).unwrap_or(&none);
        let need = |key: &str, method: &str| {
            word(auth, key).ok_or_else(|| format!("`vault: auth:` has no `{key}`, which the method `{method}` needs"))
        };
        let auth = match word(auth, "method").as_deref().unwrap_or("token") {
            "token" => Auth::Token(need("token", "token")?),
            "approle" => Auth::Role {
                id: need("role_id", "approle")?,
                secret: match auth.get("secret_id") {
                    Some(Value::Map(_)) => {
                        return Err(
                            "`vault: auth: secret_id:` is wrapped, which is not built: give it as a text".into()
                        );
                    }
                    _ => word(auth, "secret_id"),
                },
                mount: word(auth, "approle_mount").unwrap_or_else(|| "approle".into()),
            },
            other => {
                return Err(format!(
                    "the method `{other}` of `vault: auth:` is not built: there are token and approle"
                ));
            }
        };
        match &auth {
            Auth::Token(token) => secret::keep([token]),
            Auth::Role { secret, .. } => secret::keep(secret),
        }
        let namespace = word(server, "namespace").or_else(|| word(setting, "namespace"));
        let url = url.trim_end_matches('/').to_owned();
        let agent = agent(&url, &trust)?;
        Ok(Self { url, namespace, auth, agent, token: Mutex::default(), mounts: Mutex::default() })
    }

    /// Returns the fields of a secret; none where there is none, or where it was deleted.
    pub fn read(&self, path: &str, version: Option<i64>) -> Result<Option<Map>, String> {
        let place = self.place(path)?;
        let query = version.filter(|_| place.versioned).map(|n| format!("?version={n}")).unwrap_or_default();
        let reply = self.ask("GET", &(place.at("data") + &query), None)?;
        if reply.status == 404 {
            return Ok(None);
        }
        let data = self.good(reply, "GET", path)?["data"].take();
        let found = if place.versioned { data["data"].clone() } else { data };
        Ok(into_value(found).as_map().cloned())
    }

    /// Returns a secret of a versioned engine with what the server says of it.
    pub fn read_with_metadata(&self, path: &str, version: Option<i64>) -> Result<Option<Value>, String> {
        let place = self.place(path)?;
        let query = version.map(|n| format!("?version={n}")).unwrap_or_default();
        let reply = self.ask("GET", &(place.at("data") + &query), None)?;
        if reply.status == 404 { Ok(None) } else { Ok(Some(into_value(self.good(reply, "GET", path)?["data"].take()))) }
    }

    /// Returns what a versioned engine says of a secret and its versions.
    pub fn metadata(&self, path: &str) -> Result<Value, String> {
        let place = self.versioned(path)?;
        let reply = self.ask("GET", &place.at("metadata"), None)?;
        Ok(into_value(self.good(reply, "GET", path)?["data"].take()))
    }

    /// Sets all fields of a secret.
    pub fn write(&self, path: &str, data: &Map) -> Result<Value, String> {
        let place = self.place(path)?;
        let reply = self.ask("POST", &place.at("data"), Some(&place.wrap(data)))?;
        self.written(reply, "POST", path)
    }

    /// Sets some fields of a secret; null takes one away.
    pub fn patch(&self, path: &str, data: &Map) -> Result<Value, String> {
        let place = self.place(path)?;
        if place.versioned {
            let reply = self.ask("PATCH", &place.at("data"), Some(&place.wrap(data)))?;
            if !matches!(reply.status, 403 | 405) {
                return self.written(reply, "PATCH", path);
            }
        }
        let mut all = self.read(path, None)?.ok_or_else(|| format!("there is no secret {path} to patch"))?;
        merge_patch(&mut all, data);
        self.write(path, &all)
    }

    /// Deletes a secret; of a versioned engine its newest version or some, which can be restored.
    pub fn delete(&self, path: &str, versions: &[i64]) -> Result<(), String> {
        let place = self.place(path)?;
        let reply = match versions {
            [] => self.ask("DELETE", &place.at("data"), None)?,
            _ => self.ask("POST", &self.versioned(path)?.at("delete"), Some(&listed(versions)))?,
        };
        self.good(reply, "DELETE", path).map(drop)
    }

    /// Destroys versions for good.
    pub fn destroy(&self, path: &str, versions: &[i64]) -> Result<(), String> {
        let reply = self.ask("POST", &self.versioned(path)?.at("destroy"), Some(&listed(versions)))?;
        self.good(reply, "POST", path).map(drop)
    }

    /// Names the secrets below a path; folders end with a slash.
    pub fn list(&self, path: &str) -> Result<Option<Value>, String> {
        let place = self.place(path)?;
        let reply = self.ask("GET", &format!("{}?list=true", place.at("metadata")), None)?;
        if reply.status == 404 {
            return Ok(None);
        }
        Ok(Some(into_value(self.good(reply, "LIST", path)?["data"]["keys"].take())))
    }

    /// Asks anything of the server.
    pub fn query(&self, method: &str, endpoint: &str, payload: Option<&Value>) -> Result<Value, String> {
        let body = payload.map(serde_json::to_value).transpose().map_err(|error| error.to_string())?;
        let (method, listing) = if method.eq_ignore_ascii_case("list") { ("GET", true) } else { (method, false) };
        let endpoint = endpoint.trim_start_matches('/').trim_start_matches("v1/");
        let endpoint = if listing { format!("{endpoint}?list=true") } else { endpoint.to_owned() };
        let reply = self.ask(&method.to_uppercase(), &endpoint, body.as_ref())?;
        if reply.status == 204 {
            return Ok(true.into());
        }
        Ok(into_value(self.good(reply, method, &endpoint)?))
    }

    fn written(&self, reply: Reply, method: &str, path: &str) -> Result<Value, String> {
        let nothing = reply.status == 204;
        let mut body = self.good(reply, method, path)?;
        Ok(if nothing { true.into() } else { into_value(body["data"].take()) })
    }

    /// Finds the engine of a path.
    fn place<'a>(&self, path: &'a str) -> Result<Located<'a>, String> {
        let path = path.trim_matches('/');
        if path.is_empty() || path.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return Err(format!("`{path}` is no path of a secret: write MOUNT/NAME"));
        }
        let within = |mount: &Mount| format!("{path}/").starts_with(&mount.path);
        if let Some(mount) = locked(&self.mounts).iter().find(|mount| within(mount)) {
            return Ok(Located::new(path, mount));
        }
        let reply = self.ask("GET", &format!("sys/internal/ui/mounts/{}", quoted(path)), None)?;
        // Older servers and narrow policies do not tell: Salt takes it for version 1 then.
        let told = (reply.status == 200).then(|| &reply.body["data"]);
        let named = told.and_then(|data| data["path"].as_str()).filter(|mount| format!("{path}/").starts_with(*mount));
        let Some(named) = named else {
            let first = path.split('/').next().unwrap_or(path);
            return Ok(Located::new(path, &Mount { path: format!("{first}/"), versioned: false }));
        };
        let versioned = reply.body["data"]["options"]["version"] == "2";
        let mount = Mount { path: named.to_owned(), versioned };
        let located = Located::new(path, &mount);
        locked(&self.mounts).push(mount);
        Ok(located)
    }

    fn versioned<'a>(&self, path: &'a str) -> Result<Located<'a>, String> {
        let place = self.place(path)?;
        if place.versioned { Ok(place) } else { Err(format!("{path} is on no KV engine of version 2")) }
    }

    /// Asks with the token, and with a new one where the old one is no longer taken.
    fn ask(&self, method: &str, path: &str, body: Option<&serde_json::Value>) -> Result<Reply, String> {
        let token = self.token(false)?;
        let reply = self.send(method, path, body, Some(&token))?;
        if reply.status == 403 && matches!(self.auth, Auth::Role { .. }) {
            // The right may have been taken away; or the token had its day.
            let look = self.send("GET", "auth/token/lookup-self", None, Some(&token))?;
            if look.status != 200 {
                return self.send(method, path, body, Some(&self.token(true)?));
            }
        }
        Ok(reply)
    }

    fn token(&self, anew: bool) -> Result<String, String> {
        let (id, secret, mount) = match &self.auth {
            Auth::Token(token) => return Ok(token.clone()),
            Auth::Role { id, secret, mount } => (id, secret, mount),
        };
        let mut kept = locked(&self.token);
        if let Some(token) = kept.as_ref().filter(|token| !anew && token.until.is_none_or(|t| t > Instant::now())) {
            return Ok(token.text.clone());
        }
        let mut body = serde_json::json!({"role_id": id});
        if let Some(secret) = secret {
            body["secret_id"] = secret.as_str().into();
        }
        let path = format!("auth/{}/login", quoted(mount));
        let reply = self.send("POST", &path, Some(&body), None)?;
        let body = self.good(reply, "POST", &path)?;
        let text = body["auth"]["client_token"].as_str().ok_or_else(|| format!("{}: no token came", self.name()))?;
        secret::keep([text]);
        // A little before its end, so that it does not end on the way.
        let seconds = body["auth"]["lease_duration"].as_u64().filter(|seconds| *seconds > 0);
        let until = seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds - seconds / 10));
        *kept = Some(Token { text: text.to_owned(), until });
        Ok(text.to_owned())
    }

    fn send(
        &self,
        method: &str,
        path: &str,
        body: Option<&serde_json::Value>,
        token: Option<&str>,
    ) -> Result<Reply, String> {
        let fail = |why: &dyn std::fmt::Display| format!("{}: {why}", self.name());
        let kind = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
        let mut request = Request::builder().method(method).uri(format!("{}/v1/{path}", self.url));
        request = request.header("X-Vault-Request", "true").header("Content-Type", kind);
        if let Some(token) = token {
            request = request.header("X-Vault-Token", token);
        }
        if let Some(namespace) = &self.namespace {
            request = request.header("X-Vault-Namespace", namespace);
        }
        let text = body.map(serde_json::Value::to_string).unwrap_or_default();
        let request = request.body(text).map_err(|error| fail(&error))?;
        let request = self.agent.configure_request(request).timeout_global(Some(PATIENCE));
        let request = request.https_only(self.url.starts_with("https:")).build();
        let mut answer = self.agent.run(request).map_err(|error| fail(&error))?;
        let status = answer.status().as_u16();
        let text = answer.body_mut().with_config().limit(LIMIT).read_to_string().map_err(|error| fail(&error))?;
        let body = match serde_json::from_str(&text) {
            Ok(body) => body,
            Err(_) if text.trim().is_empty() || status >= 400 => serde_json::Value::Null,
            Err(_) => return Err(fail(&"the answer is no JSON: is this a Vault?")),
        };
        Ok(Reply { status, body })
    }

    /// Refuses an answer of failure, with the server's words.
    fn good(&self, reply: Reply, method: &str, path: &str) -> Result<serde_json::Value, String> {
        if reply.status < 300 {
            return Ok(reply.body);
        }
        let errors = reply.body["errors"].as_array().into_iter().flatten().filter_map(serde_json::Value::as_str);
        let errors = errors.map(str::trim).collect::<Vec<_>>().join("; ");
        let errors = if errors.is_empty() { String::new() } else { format!(": {errors}") };
        Err(format!("{}: {method} {path}: the server answered {}{errors}", self.name(), reply.status))
    }

    fn name(&self) -> String {
        format!("Vault {}", shown(&self.url))
    }
}

/// A path, and the engine that it is on.
struct Located<'a> {
    mount: String,
    rest: &'a str,
    versioned: bool,
}

impl<'a> Located<'a> {
    fn new(path: &'a str, mount: &Mount) -> Self {
        let rest = path.get(mount.path.len()..).unwrap_or_default();
        // Salt: a path that has the engine's own word in it already is taken as well.
        let own = ["data/", "metadata/"].iter().find_map(|word| rest.strip_prefix(word)).filter(|_| mount.versioned);
        Self { mount: mount.path.clone(), rest: own.unwrap_or(rest), versioned: mount.versioned }
    }

    fn at(&self, what: &str) -> String {
        let what = if self.versioned { format!("{what}/") } else { String::new() };
        format!("{}{what}{}", quoted(&self.mount), quoted(self.rest))
    }

    fn wrap(&self, data: &Map) -> serde_json::Value {
        let data = serde_json::to_value(data).unwrap_or_default();
        if self.versioned { serde_json::json!({"data": data}) } else { data }
    }
}

fn listed(versions: &[i64]) -> serde_json::Value {
    serde_json::json!({"versions": versions})
}

fn into_value(json: serde_json::Value) -> Value {
    serde_json::from_value(json).unwrap_or_default()
}

fn merge_patch(all: &mut Map, patch: &Map) {
    for (key, value) in patch {
        match value {
            Value::Null => {
                all.0.shift_remove(key);
            }
            Value::Map(inner) => {
                let mut below = all.get_value(key).and_then(Value::as_map).cloned().unwrap_or_default();
                merge_patch(&mut below, inner);
                all.0.insert(key.clone(), below.into());
            }
            other => {
                all.0.insert(key.clone(), other.clone());
            }
        }
    }
}

// ---- the pillar source -----------------------------------------------------------------------------------------

struct Source {
    pattern: String,
    nesting_key: Option<String>,
    strategy: Option<Strategy>,
    merge_lists: Option<bool>,
    identity: String,
}

/// Makes the source of an entry `- vault: path=…`.
pub(crate) fn source(entry: &Entry) -> Result<Arc<dyn PillarSource>, Diagnostic> {
    let args = Arguments::of(&entry.value).named(&["conf", "nesting_key", "merge_strategy", "merge_lists"])?;
    let conf = need(&args, "conf")?;
    let pattern = conf.split_whitespace().find_map(|word| word.strip_prefix("path="));
    let pattern = pattern.filter(|pattern| !pattern.is_empty()).ok_or_else(|| {
        Diagnostic::error(format!("\"{conf}\" is not a valid Vault ext_pillar config"))
            .hint("write `path=MOUNT/NAME`, with `{minion}` for the minion's id")
    })?;
    let strategy = match text(&args, "merge_strategy")? {
        None => None,
        Some(word) => {
            Some(Strategy::of(&word).ok_or_else(|| Diagnostic::error(format!("`{word}` is no strategy of merging")))?)
        }
    };
    Ok(Arc::new(Source {
        pattern: pattern.to_owned(),
        nesting_key: text(&args, "nesting_key")?,
        strategy,
        merge_lists: args.get("merge_lists").map(Value::truthy),
        identity: python::repr(&entry.value),
    }))
}

impl PillarSource for Source {
    fn name(&self) -> &str {
        "vault"
    }

    fn identity(&self) -> String {
        self.identity.clone()
    }

    fn sees(&self) -> Sees {
        if self.pattern.contains("{pillar") { Sees::ALL } else { Sees::ID }
    }

    fn load(&self, ask: &Ask) -> Result<Given, Diagnostic> {
        let vault = Vault::of(ask.opt("vault")).map_err(Diagnostic::error)?;
        let paths = match paths(&self.pattern, &ask.data.id, &ask.data.pillar) {
            Ok(paths) => paths,
            Err(why) => {
                let warning =
                    Diagnostic::warning(format!("Could not resolve pillar path pattern {}: {why}", self.pattern));
                return Ok(Given { warnings: vec![warning], ..Given::default() });
            }
        };
        let strategy = self.strategy.or_else(|| Strategy::of(ask.opt("pillar_source_merging_strategy")?.as_str()?));
        let lists = self.merge_lists.unwrap_or_else(|| ask.opt("pillar_merge_lists").is_some_and(Value::truthy));
        let (mut pillar, mut pieces) = (Map::new(), Vec::new());
        let under: Vec<Value> = self.nesting_key.iter().map(Value::from).collect();
        for path in paths {
            let Some(found) = vault.read(&path, None).map_err(Diagnostic::error)? else {
                tracing::info!("Vault secret not found for: {path}");
                continue;
            };
            if ask.explain {
                let node = Node::from_value(&found.clone().into(), Pos::default());
                pieces.push(Piece { node, under: under.clone(), place: Place::Thing(format!("vault {path}").into()) });
            }
            pillar = merge(pillar, &found, strategy.unwrap_or(Strategy::Smart), lists);
        }
        if let Some(key) = &self.nesting_key {
            pillar = [(key.as_str(), Value::map(pillar))].into_iter().collect();
        }
        Ok(Given { pillar, pieces, secret: Secret::Everything, ..Given::default() })
    }
}

/// Fills `{minion}` and `{pillar[a][b]}` in; a list stands for as many paths.
fn paths(pattern: &str, id: &str, pillar: &Value) -> Result<Vec<String>, String> {
    let mut all = vec![String::new()];
    let mut rest = pattern;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}').ok_or("a `}` is missing")?;
        let values = match name {
            "minion" if id.contains('/') => return Err(format!("the id `{id}` has a slash")),
            "minion" => vec![id.to_owned()],
            _ => known(name, pillar)?,
        };
        if let Some(value) = values.iter().find(|value| value.split('/').any(|part| part == "..")) {
            return Err(format!("`{value}` leads out of its folder"));
        }
        all =
            all.iter().flat_map(|so_far| values.iter().map(move |value| format!("{so_far}{before}{value}"))).collect();
        rest = after;
    }
    all.iter_mut().for_each(|path| *path += rest);
    Ok(all)
}

fn known(name: &str, pillar: &Value) -> Result<Vec<String>, String> {
    let missing = || format!("the pillar has no `{name}`");
    let path = name.strip_prefix("pillar[").and_then(|path| path.strip_suffix(']'));
    let path = path.ok_or_else(|| format!("`{{{name}}}` is neither {{minion}} nor {{pillar[KEY]}}"))?;
    let mut at = pillar;
    for key in path.split("][") {
        at = at.get(key).ok_or_else(missing)?;
    }
    match at {
        Value::List(items) => Ok(items.iter().map(python::str).collect()),
        Value::Map(_) | Value::Null => Err(missing()),
        one => Ok(vec![python::str(one)]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_become_paths() {
        let pillar: Value = serde_json::from_value(serde_json::json!({"roles": ["web", "db"], "a": {"b": 7}})).unwrap();
        let all = |pattern| paths(pattern, "m1", &pillar);
        assert_eq!(all("kv/x").unwrap(), ["kv/x"]);
        assert_eq!(
            all("kv/{minion}/{pillar[roles]}/{pillar[a][b]}/end").unwrap(),
            ["kv/m1/web/7/end", "kv/m1/db/7/end"]
        );
        for (pattern, why) in
            [("kv/{pillar[no]}", "no `pillar[no]`"), ("kv/{grains[os]}", "neither"), ("{x", "missing")]
        {
            assert!(all(pattern).unwrap_err().contains(why), "{pattern}");
        }
        assert!(paths("kv/{minion}", "../db", &pillar).unwrap_err().contains("slash"));
    }

    #[test]
    fn patches_take_away_and_go_deep() {
        let map = |json| into_value(json).as_map().cloned().unwrap();
        let mut all = map(serde_json::json!({"a": 1, "b": {"c": 2, "d": 3}}));
        merge_patch(&mut all, &map(serde_json::json!({"a": null, "b": {"d": 4}, "e": 5})));
        assert_eq!(all, map(serde_json::json!({"b": {"c": 2, "d": 4}, "e": 5})));
    }
}
