//! Salt-cloud's files: `cloud`, `cloud.providers`, `cloud.profiles` with their `.d` folders, and map files.

use super::build::{At, guest};
use super::source::{Layers, Source};
use super::{Declared, Read, images, original, tree};
use crate::drivers::{Drivers, ec2};
use crate::spec::{GuestSpec, Image};
use corpus_core::{Diagnostic, Map, Node, Pos, python, suggest};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Renders a file with Jinja, as Salt does with maps.
pub type Render<'a> = &'a dyn Fn(&Path) -> Result<Source, Diagnostic>;

/// One provider or profile: its name, its keys, and where it is.
struct Named {
    name: String,
    layers: Layers,
    source: Source,
    pos: Pos,
}

/// The providers and profiles of a configuration.
#[derive(Default)]
pub struct Clouds {
    providers: Vec<Named>,
    profiles: Vec<Named>,
    maps: Vec<PathBuf>,
    database: Option<PathBuf>,
    /// The base systems that are built and brought to the nodes.
    images: Vec<Image>,
    /// The drivers of guests that are there: another default is no other driver for them.
    pub kept: BTreeMap<String, String>,
    /// What the file `cloud` says, each key with its place.
    pub settings: Layers,
}

/// Reads the configuration folder; all mistakes are told.
pub fn read(dir: &Path) -> Read<Clouds> {
    let mut clouds = Clouds::default();
    let mut wrong = vec![];
    for path in files(dir, "cloud", &["conf"]) {
        match Source::open(&path) {
            Ok(source) => {
                clouds.settings.lay(&source, &source.node);
            }
            Err(error) => wrong.push(error),
        }
    }
    for path in files(dir, "cloud.providers", &["conf"]) {
        named(&path, &mut clouds.providers, &mut wrong);
    }
    for path in files(dir, "cloud.profiles", &["conf"]) {
        named(&path, &mut clouds.profiles, &mut wrong);
    }
    clouds.maps = files(dir, "cloud.map", &["map", "conf", "sls", "yaml"]);
    clouds.maps.extend(folder(&dir.join("cloud.maps.d"), &["map", "conf", "sls", "yaml"]));
    match images::read(&clouds.settings) {
        Ok(images) => clouds.images = images,
        Err(errors) => wrong.extend(errors),
    }
    let database = clouds.settings.get("database").map(|item| PathBuf::from(python::str(&item.value)));
    let usual = ["database.sls", "database.yaml", "database.json"].map(|name| dir.join(name));
    clouds.database = database.or_else(|| usual.into_iter().find(|path| path.is_file()));
    for provider in &clouds.providers {
        if !["driver", "provider"].iter().any(|key| provider.layers.get(key).is_some()) {
            let error =
                provider.source.wrong(provider.pos, format!("the provider `{}` names no `driver`", provider.name));
            wrong.push(error.hint("write `driver: lxc`, docker, ec2 or saltify"));
        }
    }
    if wrong.is_empty() { Ok(clouds) } else { Err(wrong) }
}

/// The file of a name, and those of its folder, in order.
fn files(dir: &Path, name: &str, extensions: &[&str]) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = [dir.join(name)].into_iter().filter(|path| path.is_file()).collect();
    found.extend(folder(&dir.join(format!("{name}.d")), extensions));
    found
}

fn folder(dir: &Path, extensions: &[&str]) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(dir)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|e| extensions.iter().any(|known| e == *known)))
        .collect();
    found.sort();
    found
}

fn named(path: &Path, into: &mut Vec<Named>, wrong: &mut Vec<Diagnostic>) {
    let source = match Source::open(path) {
        Ok(source) => source,
        Err(error) => return wrong.push(error),
    };
    if source.node.is_null() {
        return;
    }
    let Some(entries) = source.node.as_map() else {
        return wrong.push(
            source.wrong(source.node.pos, format!("expected a mapping of names, found {}", source.node.type_name())),
        );
    };
    for (key, value) in entries {
        let name = python::str(&key.to_value());
        let mut layers = Layers::default();
        // Salt: a provider may be a list of mappings of several drivers under one name; the first is meant.
        let bodies: Vec<&Node> = match (value.as_map(), value.as_seq()) {
            (Some(_), _) => vec![value],
            (_, Some(items)) if items.len() == 1 => items.iter().collect(),
            (_, Some(_)) => {
                wrong.push(source.wrong(key.pos, format!("`{name}` has several entries; give each a name of its own")));
                continue;
            }
            _ => {
                wrong.push(source.wrong(value.pos, format!("`{name}` must be a mapping, found {}", value.type_name())));
                continue;
            }
        };
        for body in bodies {
            layers.lay(&source, body);
        }
        if let Some(other) = into.iter().find(|other| other.name == name) {
            let there = other.source.span(other.pos);
            wrong.push(source.wrong(key.pos, format!("`{name}` is declared twice; first at {there}")));
            continue;
        }
        into.push(Named { name, layers, source: source.clone(), pos: key.pos });
    }
}

fn find<'a>(all: &'a [Named], name: &str) -> Option<&'a Named> {
    all.iter().find(|one| one.name == name)
}

fn no_such(what: &str, name: &str, all: &[Named]) -> (String, Option<String>) {
    let known: Vec<&str> = all.iter().map(|one| one.name.as_str()).collect();
    let hint = suggest::did_you_mean(name, known.iter().copied()).or_else(|| match known.is_empty() {
        true => Some(format!("there are no {what}s: write them in cloud.{what}s or cloud.{what}s.d/*.conf")),
        false => Some(format!("there are: {}", known.join(", "))),
    });
    (format!("there is no {what} `{name}`"), hint)
}

impl Clouds {
    /// Names the providers with their drivers.
    pub fn providers(&self) -> Vec<(String, String)> {
        let driver = |one: &Named| {
            one.layers.get("driver").or_else(|| one.layers.get("provider")).map(|item| python::str(&item.value))
        };
        self.providers.iter().map(|one| (one.name.clone(), driver(one).unwrap_or_default())).collect()
    }

    /// Names the profiles with their providers.
    pub fn profiles(&self) -> Vec<(String, String)> {
        let provider =
            |one: &Named| one.layers.get("provider").map(|item| python::str(&item.value)).unwrap_or_default();
        self.profiles.iter().map(|one| (one.name.clone(), provider(one))).collect()
    }

    /// Names the nodes that providers and profiles name.
    fn nodes(&self) -> Vec<String> {
        let all = self.providers.iter().chain(&self.profiles);
        let said = all.flat_map(|one| ["node", "target"].into_iter().filter_map(|key| one.layers.get(key)));
        said.map(|item| python::str(&item.value)).collect()
    }

    /// Returns the map files that say what is declared.
    pub fn maps(&self) -> &[PathBuf] {
        &self.maps
    }

    /// Lays a profile on what it extends and on its provider.
    fn profile(&self, name: &str, at: &At<'_>, depth: u8) -> Result<Layers, Diagnostic> {
        let Some(profile) = find(&self.profiles, name) else {
            if let Some(layers) = original::profile(name, &self.nodes(), at.source) {
                return Ok(layers);
            }
            let (message, hint) = no_such("profile", name, &self.profiles);
            return Err(at.source.wrong(at.pos, message).maybe_hint(hint));
        };
        if depth > 8 {
            return Err(profile.source.wrong(profile.pos, format!("the profile `{name}` extends itself")));
        }
        let mut own = profile.layers.clone();
        let mut layers = Layers::default();
        if let Some(base) = own.take("extends") {
            let at = At { source: &base.source, pos: base.pos };
            layers = self.profile(&python::str(&base.value), &at, depth + 1)?;
        }
        if let Some(provider) = own.get("provider").cloned() {
            let at = At { source: &provider.source, pos: provider.pos };
            let mut below = self.provider(&python::str(&provider.value), &at)?;
            below.lay_all(&layers);
            layers = below;
        }
        layers.lay_all(&own);
        Ok(layers)
    }

    /// Returns a provider; `alias:driver` is Salt's longer name of one.
    fn provider(&self, name: &str, at: &At<'_>) -> Result<Layers, Diagnostic> {
        let alias = name.split(':').next().unwrap_or(name);
        let Some(provider) = find(&self.providers, alias) else {
            let (message, hint) = no_such("provider", alias, &self.providers);
            return Err(at.source.wrong(at.pos, message).maybe_hint(hint));
        };
        let mut layers = provider.layers.clone();
        // Salt's old word for the driver.
        if layers.get("driver").is_none()
            && let Some(mut old) = layers.take("provider")
        {
            old.value = python::str(&old.value).into();
            layers.0.push(("driver".into(), old));
        }
        // How an API is reached, and its secret, are the provider's alone.
        if layers.get("driver").is_some_and(|item| item.value.as_str() == Some("ec2")) {
            layers.0.retain(|(key, _)| !ec2::ACCOUNT.contains(&key.as_str()));
        }
        Ok(layers)
    }

    /// Reads how the APIs of providers are reached.
    pub fn accounts(&self) -> Read<BTreeMap<String, ec2::Account>> {
        let (mut accounts, mut wrong) = (BTreeMap::new(), vec![]);
        for (name, _) in self.providers().into_iter().filter(|(_, driver)| driver == "ec2") {
            let Some(provider) = find(&self.providers, &name) else { continue };
            let said = provider.layers.0.iter().map(|(key, item)| (key.as_str(), item.value.clone())).collect();
            match ec2::account(&said) {
                Ok(account) => _ = accounts.insert(name, account),
                Err(why) => wrong.push(provider.source.wrong(provider.pos, format!("the provider `{name}`: {why}"))),
            }
        }
        if wrong.is_empty() { Ok(accounts) } else { Err(wrong) }
    }

    /// Builds a guest of a profile, or of a provider alone, and what is said beside it.
    pub fn guest(
        &self,
        id: &str,
        profile: Option<&str>,
        said: &Layers,
        drivers: &Drivers,
        at: &At<'_>,
    ) -> Read<GuestSpec> {
        let layers = match (profile, said.get("provider")) {
            (Some(profile), _) => self.profile(profile, at, 0),
            (None, Some(provider)) => self.provider(&python::str(&provider.value), at),
            (None, None) => Ok(Layers::default()),
        };
        let mut layers = layers.map_err(|error| vec![error])?;
        layers.lay_all(said);
        let default = self.settings.get("default_driver");
        if let Some(default) = default.filter(|_| layers.get("driver").is_none()) {
            let mut driver = default.clone();
            if let Some(kept) = self.kept.get(id) {
                driver.value = kept.as_str().into();
            }
            layers.0.push(("driver".into(), driver));
        }
        guest(id, layers, drivers, at)
    }

    /// Builds a guest of what a command says.
    pub fn by_hand(
        &self,
        id: &str,
        profile: Option<&str>,
        kwargs: &Map,
        drivers: &Drivers,
        what: &str,
    ) -> Read<GuestSpec> {
        let source = Source::parse("", what).map_err(|error| vec![error])?;
        let mut said = Layers::default();
        said.say(kwargs, &source);
        let mut guest = self.guest(id, profile, &said, drivers, &At { source: &source, pos: Pos::default() })?;
        images::give(&self.images, &mut guest);
        Ok(guest)
    }

    /// Reads a map file: profiles, each with the guests that are to be of it.
    pub fn map(&self, source: &Source, drivers: &Drivers) -> Read<Declared> {
        let mut declared = Declared::default();
        let mut wrong = vec![];
        if source.node.is_null() {
            return Ok(declared);
        }
        let Some(entries) = source.node.as_map() else {
            let message = format!("a map is a mapping of profiles, found {}", source.node.type_name());
            return Err(vec![source.wrong(source.node.pos, message)]);
        };
        for (key, value) in entries {
            let profile = python::str(&key.to_value());
            // Salt: `__hosts__`-like keys are no profiles; `vms` is the original's tree.
            if profile == "vms" || profile == "format" || profile.starts_with("cloud_") {
                continue;
            }
            if find(&self.profiles, &profile).is_none() && original::profile(&profile, &self.nodes(), source).is_none()
            {
                let (message, hint) = no_such("profile", &profile, &self.profiles);
                wrong.push(source.wrong(key.pos, message).maybe_hint(hint));
                continue;
            }
            for (id, pos, said) in instances(source, value, &mut wrong) {
                let at = At { source, pos };
                match self.guest(&id, Some(&profile), &said, drivers, &at) {
                    Ok(spec) => add(&mut declared, spec, source, pos, &mut wrong),
                    Err(errors) => wrong.extend(errors),
                }
            }
        }
        if source.node.get("vms").is_some() {
            match tree::read(source, drivers) {
                Ok(more) => {
                    declared.nodes.extend(more.nodes);
                    for (_, spec) in more.guests {
                        let pos = Pos::default();
                        add(&mut declared, spec, source, pos, &mut wrong);
                    }
                }
                Err(errors) => wrong.extend(errors),
            }
        }
        if wrong.is_empty() { Ok(declared) } else { Err(wrong) }
    }

    /// Reads everything that is declared: all map files and the database.
    pub fn declared(&self, also: &[PathBuf], drivers: &Drivers, render: Render<'_>) -> Read<Declared> {
        let mut all = Declared::default();
        let mut wrong = vec![];
        let paths: Vec<&PathBuf> = match also.is_empty() {
            false => also.iter().collect(),
            true => self.maps.iter().chain(&self.database).collect(),
        };
        for path in paths {
            let source = match render(path) {
                Ok(source) => source,
                Err(error) => {
                    wrong.push(error);
                    continue;
                }
            };
            match self.map(&source, drivers) {
                Ok(declared) => {
                    all.nodes.extend(declared.nodes);
                    for (id, spec) in declared.guests {
                        if let Some(other) = all.guests.get(&id) {
                            wrong.push(Diagnostic::error(format!(
                                "{id} is declared twice: at {} and at {}",
                                other.place, spec.place
                            )));
                        }
                        all.guests.insert(id, spec);
                    }
                }
                Err(errors) => wrong.extend(errors),
            }
        }
        all.guests.values_mut().for_each(|guest| images::give(&self.images, guest));
        if wrong.is_empty() { Ok(all) } else { Err(wrong) }
    }
}

fn add(declared: &mut Declared, spec: GuestSpec, source: &Source, pos: Pos, wrong: &mut Vec<Diagnostic>) {
    if let Some(other) = declared.guests.get(&spec.id) {
        wrong.push(source.wrong(pos, format!("{} is declared twice; first at {}", spec.id, other.place)));
        return;
    }
    declared.guests.insert(spec.id.clone(), spec);
}

/// The guests of a profile: a name, a list of names, a list of mappings by name, or a mapping by name.
fn instances(source: &Source, value: &Node, wrong: &mut Vec<Diagnostic>) -> Vec<(String, Pos, Layers)> {
    let mut found = vec![];
    let mut one = |key: &Node, body: Option<&Node>, wrong: &mut Vec<Diagnostic>| {
        let mut layers = Layers::default();
        if let Some(body) = body.filter(|body| !body.is_null()) {
            // A list of mappings of one key each is as good.
            match (body.as_map(), body.as_seq()) {
                (Some(_), _) => layers.lay(source, body),
                (_, Some(items)) => items.iter().for_each(|item| layers.lay(source, item)),
                _ => {
                    wrong.push(source.wrong(body.pos, format!("expected the guest's keys, found {}", body.type_name())))
                }
            }
        }
        found.push((python::str(&key.to_value()), key.pos, layers));
    };
    match (value.as_map(), value.as_seq()) {
        (Some(entries), _) => entries.iter().for_each(|(key, body)| one(key, Some(body), wrong)),
        (_, Some(items)) => {
            for item in items {
                match item.as_map() {
                    Some(entries) => entries.iter().for_each(|(key, body)| one(key, Some(body), wrong)),
                    None => one(item, None, wrong),
                }
            }
        }
        _ if value.is_null() => {}
        _ => one(value, None, wrong),
    }
    found
}
