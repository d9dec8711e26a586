//! The pillar source `pillar_ldap`: searches that a file describes, with Salt's settings and its three modes.

use crate::client::{Bind, Directory, Found, LdapError, Scope, Settings};
use crate::people::{People, in_dn, in_filter};
use corpus_core::{Diagnostic, Map, Node, Pos, Value, python, secret, suggest};
use corpus_pillar::arguments::{Arguments, Entry, need};
use corpus_pillar::{Ask, Given, Piece, PillarSource, Place, Sees};
use corpus_render::{Engine, FileRoots, RenderCx};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The names of [`make`]: Salt's, and that of the same with its searches in the configuration itself.
pub const NAMES: &[&str] = &["pillar_ldap", "ldap"];

/// The settings of a search. Those after `scope` are ours.
const SETTINGS: &[&str] = &[
    "server",
    "port",
    "tls",
    "binddn",
    "bindpw",
    "anonymous",
    "referrals",
    "mode",
    "dn",
    "filter",
    "attrs",
    "lists",
    "dict_key_attr",
    "scope",
    "uri",
    "no_verify",
    "ca_file",
    "cert_file",
    "key_file",
    "sasl",
    "page_size",
    "timeout",
];

enum Config {
    /// A file, rendered with the grains as variables.
    File(PathBuf),
    Here(Value),
}

struct Ldap {
    name: &'static str,
    config: Config,
    engine: Engine,
    identity: String,
    /// Connections that are not at work, with the settings they were made by.
    idle: Mutex<HashMap<String, Vec<Directory>>>,
}

/// Makes a source of an entry, if its name is one of these.
pub fn make(entry: &Entry) -> Option<Result<Arc<dyn PillarSource>, Diagnostic>> {
    let name = NAMES.iter().find(|name| **name == entry.name)?;
    Some(config(name, entry).map(|config| {
        let root = match &config {
            Config::File(path) => path.parent().map(PathBuf::from).unwrap_or_default(),
            Config::Here(_) => PathBuf::new(),
        };
        let identity = python::repr(&entry.value);
        let engine = Engine::plain(FileRoots::base(root));
        Arc::new(Ldap { name, config, engine, identity, idle: Mutex::default() }) as Arc<dyn PillarSource>
    }))
}

fn config(name: &str, entry: &Entry) -> Result<Config, Diagnostic> {
    if name == "ldap" && entry.value.get("search_order").is_some() {
        return Ok(Config::Here(entry.value.clone()));
    }
    let path = need(&Arguments::of(&entry.value).named(&["config_file"])?, "config_file")?;
    Ok(Config::File(path.into()))
}

impl PillarSource for Ldap {
    fn name(&self) -> &str {
        self.name
    }

    fn identity(&self) -> String {
        self.identity.clone()
    }

    fn sees(&self) -> Sees {
        match self.config {
            Config::File(_) => Sees::GRAINS,
            Config::Here(_) => Sees::ID,
        }
    }

    fn load(&self, ask: &Ask) -> Result<Given, Diagnostic> {
        let (config, whence) = self.config(ask)?;
        let order = config.get("search_order").and_then(Value::as_list).ok_or_else(|| {
            Diagnostic::error(format!("{whence}: search_order is missing: a list of the searches by name"))
        })?;
        let mut given = Given::default();
        for source in order {
            let source = python::str(source);
            let Some(search) = config.get(&source).and_then(Value::as_map) else {
                let known: Vec<String> = config.as_map().into_iter().flat_map(Map::keys).map(python::str).collect();
                let hint = suggest::did_you_mean(&source, known.iter().map(String::as_str));
                return Err(Diagnostic::error(format!("{whence}: there is no search '{source}'")).maybe_hint(hint));
            };
            let fail = |why: Diagnostic| Diagnostic { message: format!("{source}: {}", why.message), ..why };
            let found = self.search(search, ask).map_err(fail)?;
            let before = given.pillar.clone();
            shape(&mut given.pillar, &found, search, &source).map_err(fail)?;
            if ask.explain {
                given.pieces.extend(pieces(&before, &given.pillar, &found, &source));
            }
        }
        Ok(given)
    }
}

impl Ldap {
    fn config(&self, ask: &Ask) -> Result<(Value, String), Diagnostic> {
        let path = match &self.config {
            Config::Here(value) => return Ok((value.clone(), "ext_pillar".into())),
            Config::File(path) => path,
        };
        let whence = path.display().to_string();
        let mut cx = RenderCx::new(ask.data.clone(), ask.caller.clone());
        // Salt: the grains are the variables.
        cx.vars = ask.data.grains.as_map().cloned().unwrap_or_default();
        let mut rendered = self.engine.render_jinja(path, &whence, &format!("{whence}: "), &cx)?;
        rendered.read_yaml(&format!("{whence}: "))?;
        let config = rendered.node.to_value();
        if config.as_map().is_none() {
            let message = format!("{whence}: it must be a mapping, found a {}", config.type_name());
            return Err(Diagnostic::error(message).at(rendered.locate(rendered.node.pos), ""));
        }
        Ok((config, whence))
    }

    fn search(&self, search: &Map, ask: &Ask) -> Result<Vec<Found>, Diagnostic> {
        for key in search.keys().map(python::str) {
            if !SETTINGS.contains(&key.as_str()) {
                let hint = suggest::did_you_mean(&key, SETTINGS.iter().copied());
                let known = format!("a search has: {}", SETTINGS.join(", "));
                return Err(Diagnostic::error(format!("unknown setting '{key}'")).hint(hint.unwrap_or(known)));
            }
        }
        // The configuration may have `ldap.server` and so on, as Salt's execution module reads them.
        let get = |name: &str| search.get(name).or_else(|| ask.opt(&format!("ldap.{name}"))).filter(|v| !v.is_null());
        let id = &*ask.data.id;
        let Some(filter) = search.get("filter").map(python::str) else {
            return Err(Diagnostic::error("missing filter"));
        };
        let filter = filter.replace("%s", &in_filter(id));
        let base = search.get("dn").or_else(|| ask.opt("ldap.basedn")).map(python::str).unwrap_or_default();
        let base = base.replace("%s", &in_dn(id));
        let scope = match get("scope").map(python::str).as_deref() {
            None | Some("2" | "sub" | "subtree") => Scope::Subtree,
            Some("1" | "one" | "onelevel") => Scope::OneLevel,
            Some("0" | "base") => Scope::Base,
            Some(other) => {
                return Err(Diagnostic::error(format!(
                    "scope '{other}' is none of 0 (base), 1 (one level), 2 (subtree)"
                )));
            }
        };
        let mut attrs = names(search, "lists");
        attrs.extend(names(search, "attrs"));
        attrs.push(search.get("dict_key_attr").map_or_else(|| "dn".into(), python::str));
        attrs.retain(|name| name != "dn" && name != "distinguishedName");
        let settings = settings(&get, ask.deadline.saturating_duration_since(Instant::now()))?;
        if attrs.is_empty() {
            // RFC 4511: no attributes, instead of all.
            attrs.push("1.1".into());
        }
        let mut ask =
            |mut directory: Directory| directory.search(&base, scope, &filter, &attrs).map(|found| (directory, found));
        // A connection that waited may be gone: then a new one is asked.
        let kept = self.idle(&settings).map(&mut ask);
        let (directory, found) = match kept {
            Some(Ok(answer)) => answer,
            None | Some(Err(LdapError::Down { .. })) => {
                Directory::open(&settings).and_then(ask).map_err(|why| told(&why))?
            }
            Some(Err(why)) => return Err(told(&why)),
        };
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = idle.entry(key(&settings)).or_default();
        if kept.len() < 8 {
            kept.push(directory);
        }
        Ok(found)
    }

    /// Takes a connection that waits for work.
    fn idle(&self, settings: &Settings) -> Option<Directory> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.get_mut(&key(settings)).and_then(Vec::pop)
    }
}

fn key(settings: &Settings) -> String {
    let secret = match &settings.bind {
        Bind::Simple { password, .. } => password.as_str(),
        _ => "",
    };
    let Settings { uris, starttls, no_verify, authorities, identity, bind, .. } = settings;
    format!("{uris:?}{starttls}{no_verify}{authorities:?}{identity:?}{bind:?}{secret}")
}

fn told(why: &LdapError) -> Diagnostic {
    let diagnostic = Diagnostic::error(why.to_string());
    match why {
        LdapError::Tls { .. } => {
            diagnostic.hint("`ca_file` names the authority in PEM; `no_verify: True` takes any certificate")
        }
        LdapError::Refused { code: 4 | 11, .. } => diagnostic.hint("`page_size` must be below the server's limit"),
        LdapError::Refused { code: 49, .. } => diagnostic.hint("`binddn` and `bindpw` say who asks"),
        _ => diagnostic,
    }
}

fn names(search: &Map, key: &str) -> Vec<String> {
    match search.get(key) {
        Some(Value::List(items)) => items.iter().map(python::str).collect(),
        Some(Value::Null) | None => vec![],
        Some(one) => vec![python::str(one)],
    }
}

fn settings<'a>(get: &dyn Fn(&str) -> Option<&'a Value>, left: Duration) -> Result<Settings, Diagnostic> {
    let word = |name: &str| get(name).map(python::str).filter(|word| !word.is_empty());
    let flag = |name: &str| get(name).is_some_and(Value::truthy);
    let server = word("server").unwrap_or_else(|| "localhost".into());
    let port = word("port").unwrap_or_else(|| "389".into());
    let uri = word("uri").unwrap_or_else(|| format!("ldap://{server}:{port}"));
    secret::keep(word("bindpw"));
    let bind = match (word("sasl"), word("binddn"), word("bindpw")) {
        (Some(kind), ..) if kind.eq_ignore_ascii_case("external") => Bind::External,
        (Some(kind), ..) => {
            return Err(Diagnostic::error(format!("sasl '{kind}' is not built; there is `external`")));
        }
        (None, Some(dn), Some(password)) => Bind::Simple { dn, password },
        (None, Some(dn), None) if !flag("anonymous") => {
            return Err(Diagnostic::error(format!("`binddn: {dn}` has no `bindpw`")));
        }
        _ => Bind::Anonymous,
    };
    let number = |name: &str, default: i64| match get(name) {
        None => Ok(default),
        Some(value) => value
            .as_int()
            .filter(|n| *n >= 0)
            .ok_or_else(|| Diagnostic::error(format!("`{name}` must be a number, found {}", python::repr(value)))),
    };
    let seconds = number("timeout", 10)?.max(1);
    let identity = word("cert_file").zip(word("key_file")).map(|(cert, key)| (cert.into(), key.into()));
    Ok(Settings {
        uris: uri.split_whitespace().map(str::to_owned).collect(),
        starttls: flag("tls"),
        no_verify: flag("no_verify"),
        authorities: word("ca_file").map(PathBuf::from),
        identity,
        bind,
        timeout: Duration::from_secs(seconds.unsigned_abs()).min(left),
        page: i32::try_from(number("page_size", 500)?).unwrap_or(i32::MAX),
    })
}

/// Lays a search's entries into the pillar: Salt's `_result_to_dict`.
fn shape(pillar: &mut Map, found: &[Found], search: &Map, source: &str) -> Result<(), Diagnostic> {
    let (attrs, lists) = (names(search, "attrs"), names(search, "lists"));
    let has = |names: &[String], key: &str| names.iter().any(|name| name.eq_ignore_ascii_case(key));
    // Salt: a search that finds nothing leaves the pillar as it is.
    if found.is_empty() {
        return Ok(());
    }
    let entry = |found: &Found| {
        let mut map = Map::new();
        if has(&attrs, "dn") || has(&attrs, "distinguishedName") {
            map.insert("dn", found.dn.as_str());
        }
        for (key, values) in &found.attrs {
            if has(&attrs, key)
                && let Some(last) = values.last()
            {
                map.insert(key.as_str(), last.as_str());
            }
            if has(&lists, key) {
                map.insert(key.as_str(), values.clone());
            }
        }
        Value::map(map)
    };
    match search.get("mode").map(python::str).as_deref() {
        Some("map") => _ = pillar.insert(source, found.iter().map(entry).collect::<Vec<_>>()),
        Some("dict") => {
            let by = search.get("dict_key_attr").map_or_else(|| "dn".into(), python::str);
            let mut all: Map = Map::new();
            for one in found {
                let key = if ["dn", "distinguishedName"].contains(&by.as_str()) {
                    one.dn.clone()
                } else {
                    let mut values = one.values(&by).to_vec();
                    values.sort();
                    values.join(",")
                };
                let value = entry(one);
                match all.get_mut(&key).and_then(Value::as_list_mut) {
                    Some(list) => list.push(value),
                    None => _ = all.insert(key, vec![value]),
                }
            }
            pillar.insert(source, all);
        }
        None | Some("split") => {
            for (key, values) in found.iter().flat_map(|found| &found.attrs) {
                for (name, value) in values.iter().filter_map(|value| value.split_once('=')) {
                    if has(&attrs, key) {
                        pillar.insert(name, value);
                    } else if has(&lists, key) {
                        match pillar.get_mut(name).and_then(Value::as_list_mut) {
                            Some(list) => list.push(value.into()),
                            None => _ = pillar.insert(name, vec![value]),
                        }
                    }
                }
            }
        }
        Some(other) => {
            return Err(Diagnostic::error(format!("mode '{other}' is none of split, map, dict")));
        }
    }
    Ok(())
}

/// For explanations: what the search put into the pillar, with the entry as the place where there is only one.
fn pieces(before: &Map, after: &Map, found: &[Found], source: &str) -> Vec<Piece> {
    let changed: Map = after.iter().filter(|(key, value)| before.get_value(key) != Some(value)).collect();
    let place = match found {
        [one] => format!("{source}: {}", one.dn),
        many => format!("{source}: {} entries", many.len()),
    };
    let node = Node::from_value(&Value::map(changed), Pos::default());
    vec![Piece { node, under: vec![], place: Place::Thing(place.into()) }]
}

/// Where people are looked up: the settings of a search (`uri`, `ca_file`, `binddn`…) and those of [`People`].
pub fn people(setting: &Map) -> Result<People, Diagnostic> {
    const OWN: &[&str] =
        &["user_base", "user_filter", "user_name", "group_base", "group_filter", "group_name", "key_attribute"];
    for key in setting.keys().map(python::str) {
        if !OWN.contains(&key.as_str()) && !SETTINGS.contains(&key.as_str()) {
            let hint = suggest::did_you_mean(&key, OWN.iter().chain(SETTINGS).copied());
            return Err(Diagnostic::error(format!("unknown setting '{key}' of the directory")).maybe_hint(hint));
        }
    }
    let get = |name: &str| setting.get(name).filter(|value| !value.is_null());
    let default = People::default();
    let word = |name: &str, default: String| get(name).map_or(default, python::str);
    let people = People {
        settings: settings(&get, Duration::from_secs(60))?,
        user_base: word("user_base", word("dn", default.user_base)),
        user_filter: word("user_filter", default.user_filter),
        user_name: word("user_name", default.user_name),
        group_base: word("group_base", word("dn", default.group_base)),
        group_filter: word("group_filter", default.group_filter),
        group_name: word("group_name", default.group_name),
        key_attribute: word("key_attribute", default.key_attribute),
    };
    if !people.user_filter.contains("{user}") {
        return Err(Diagnostic::error("`user_filter` must have `{user}` in the place of the name"));
    }
    Ok(people)
}
