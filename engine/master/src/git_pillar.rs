//! The source `git`: pillar trees of repositories, with Salt's settings. Fetching begins with the process and goes on
//! beside everything else; a tree that was had before serves when its remote is away, and the user is told.

use corpus_core::{Data, Diagnostic, Map, Span, Value, merge, python, suggest};
use corpus_git::remote::{Mirror, Oid, RefKind, Remote, RemoteError};
use corpus_pillar::arguments::{Entry, text};
use corpus_pillar::{
    Ask, EngineRenderer, Given, Piece, PillarRequest, PillarSource, Place, Sees, Sources, compile_pillar,
};
use corpus_render::{Decrypt, Engine, FileRoots};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// One remote of the setting.
struct Repo {
    /// As it is written: `branch URL`.
    id: String,
    mirror: Mirror,
    branch: String,
    base: String,
    env: String,
    root: String,
    mountpoint: String,
    fallback: String,
    all_saltenvs: Option<String>,
    kinds: Vec<RefKind>,
    fetching: Arc<Fetching>,
}

/// A fetch that is under way or done.
#[derive(Default)]
struct Fetching {
    result: Mutex<Option<Result<(), RemoteError>>>,
    done: Condvar,
}

/// The source.
struct Git {
    repos: Vec<Repo>,
    includes: bool,
    links: PathBuf,
    decrypt: Arc<dyn Decrypt>,
    engines: Mutex<HashMap<Vec<PathBuf>, Engine>>,
    identity: String,
}

/// How long a minion waits for a fetch when there is a tree from before.
const PATIENCE: Duration = Duration::from_secs(10);

/// A setting that may stand for all remotes or for one.
const PER_REMOTE: &[&str] = &[
    "base",
    "env",
    "root",
    "ssl_verify",
    "refspecs",
    "fallback",
    "proxy",
    "ref_types",
    "disable_saltenv_mapping",
    "depth",
    "name",
    "mountpoint",
    "all_saltenvs",
    "user",
    "password",
    "insecure_auth",
    "privkey",
    "pubkey",
    "passphrase",
];

/// Makes the source, and begins to fetch what was not fetched lately.
pub fn make(
    entry: &Entry,
    opts: &Map,
    cache: &Path,
    decrypt: Arc<dyn Decrypt>,
) -> Result<Arc<dyn PillarSource>, Diagnostic> {
    let Some(list) = entry.value.as_list().filter(|list| !list.is_empty()) else {
        return Err(Diagnostic::error("`git` is a list of remotes: below it `- branch URL` for each"));
    };
    let cache = cache.join("git_pillar");
    let repos = list.iter().map(|item| repo(item, opts, &cache)).collect::<Result<Vec<_>, _>>()?;
    let seconds = opts.get("git_pillar_update_interval").and_then(Value::as_int).unwrap_or(60);
    let interval = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
    let timeout = opts.get("corpus_pillar_timeout").and_then(Value::as_int).and_then(|n| u64::try_from(n).ok());
    let timeout = Duration::from_secs(timeout.filter(|n| *n > 0).unwrap_or(60));
    for repo in &repos {
        repo.begin(interval, timeout);
    }
    Ok(Arc::new(Git {
        repos,
        includes: opts.get("git_pillar_includes").is_none_or(Value::truthy),
        links: cache.join("links"),
        decrypt,
        engines: Mutex::default(),
        identity: python::repr(&entry.value),
    }))
}

/// Reads a remote: `branch URL`, alone or with settings below it.
fn repo(item: &Value, opts: &Map, cache: &Path) -> Result<Repo, Diagnostic> {
    let (id, own) = match item {
        Value::Map(map) if map.len() == 1 => {
            let (id, settings) = map.iter().next().map(|(k, v)| (python::str(k), v.clone())).unwrap_or_default();
            (id.clone(), settings_of(&id, &settings)?)
        }
        Value::Str(id) => (id.to_string(), Map::new()),
        other => {
            return Err(Diagnostic::error(format!("a git remote is `branch URL`, found a {}", other.type_name())));
        }
    };
    let get = |name: &str| own.get(name).or_else(|| opts.get(&format!("git_pillar_{name}"))).filter(|v| v.truthy());
    let word = |name: &str| get(name).map(python::str).unwrap_or_default();
    let mut words = id.split_whitespace();
    let (branch, url) = match (words.next(), words.next()) {
        (Some(branch), Some(url)) => (branch.to_owned(), url.to_owned()),
        (Some(url), None) => (opts.str("git_pillar_branch").unwrap_or("master").to_owned(), url.to_owned()),
        _ => return Err(Diagnostic::error("a git remote is `branch URL`, found an empty text")),
    };
    if own.contains("base") && branch != "__env__" {
        return Err(Diagnostic::error(format!(
            "{id}: base can only be specified if __env__ is specified as the branch"
        )));
    }
    if url.starts_with('-') {
        return Err(Diagnostic::error(format!("{id}: an URL does not begin with a dash")));
    }
    let mut remote = Remote::new(&url);
    let set = |name: &str| Some(word(name)).filter(|word| !word.is_empty());
    remote.user = set("user").or(remote.user);
    remote.password = set("password").or(remote.password);
    remote.passphrase = set("passphrase");
    remote.private_key = set("privkey").map(PathBuf::from);
    remote.proxy = set("proxy");
    remote.insecure_auth = get("insecure_auth").is_some();
    let given = |name: &str| own.get(name).or_else(|| opts.get(&format!("git_pillar_{name}")));
    remote.verify_tls = given("ssl_verify").is_none_or(Value::truthy);
    remote.depth = given("depth").and_then(Value::as_int).and_then(|n| u32::try_from(n).ok()).unwrap_or(1);
    if let Some(list) = get("refspecs").and_then(Value::as_list) {
        remote.refspecs = list.iter().map(python::str).collect();
    }
    let kinds = match get("ref_types").and_then(Value::as_list) {
        Some(words) => words.iter().filter_map(|word| kind(&python::str(word))).collect(),
        None => vec![RefKind::Branch, RefKind::Tag, RefKind::Commit],
    };
    Ok(Repo {
        mirror: Mirror::of(remote, cache),
        branch,
        base: get("base").map_or_else(|| "master".into(), python::str),
        env: word("env"),
        root: word("root").trim_matches('/').to_owned(),
        mountpoint: text(&own, "mountpoint")?.unwrap_or_default().trim_matches('/').replace("salt://", ""),
        fallback: word("fallback"),
        all_saltenvs: text(&own, "all_saltenvs")?,
        kinds,
        fetching: Arc::default(),
        id,
    })
}

fn kind(word: &str) -> Option<RefKind> {
    Some(match word {
        "branch" => RefKind::Branch,
        "tag" => RefKind::Tag,
        "sha" => RefKind::Commit,
        _ => return None,
    })
}

/// Reads the list of settings below a remote.
fn settings_of(id: &str, value: &Value) -> Result<Map, Diagnostic> {
    let mut own = Map::new();
    let maps: Vec<&Map> = match value {
        Value::List(items) => items.iter().filter_map(Value::as_map).collect(),
        Value::Map(map) => vec![map],
        _ => vec![],
    };
    for (name, value) in maps.into_iter().flatten() {
        let name = python::str(name);
        if !PER_REMOTE.contains(&name.as_str()) {
            let hint = suggest::did_you_mean(&name, PER_REMOTE.iter().copied());
            let known = format!("its settings are: {}", PER_REMOTE.join(", "));
            return Err(
                Diagnostic::error(format!("{}: unknown setting '{name}'", shown(id))).hint(hint.unwrap_or(known))
            );
        }
        own.insert(name, value.clone());
    }
    if own.is_empty() {
        let message = format!("Invalid per-remote configuration for git_pillar remote '{}'", shown(id));
        return Err(Diagnostic::error(message).hint("without settings below it, drop the colon after the URL"));
    }
    Ok(own)
}

/// A remote as it may be shown: without a password in its URL.
fn shown(id: &str) -> String {
    id.split_whitespace().map(|word| Remote::new(word).url).collect::<Vec<_>>().join(" ")
}

impl Repo {
    /// Starts fetching in the background, unless that was done, or failed, within the interval.
    fn begin(&self, interval: Duration, timeout: Duration) {
        let settle = |fetching: &Fetching, result| {
            *fetching.result.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
            fetching.done.notify_all();
        };
        if self.mirror.age().is_some_and(|age| age < interval) {
            return settle(&self.fetching, Ok(()));
        }
        if let Some((why, age)) = self.mirror.failed()
            && age < interval
            && self.mirror.age().is_some()
        {
            return settle(&self.fetching, Err(RemoteError::Fetch(why)));
        }
        let (mirror, fetching) = (self.mirror.clone(), self.fetching.clone());
        let thread = std::thread::Builder::new().name("git pillar".into());
        let started = thread.spawn(move || settle(&fetching, mirror.fetch(timeout)));
        if let Err(error) = started {
            settle(&self.fetching, Err(RemoteError::Fetch(format!("cannot start a thread: {error}"))));
        }
    }

    /// Waits for the fetch; returns what the user is to be told if an older tree must do.
    fn ready(&self, deadline: Instant) -> Result<Option<Diagnostic>, Diagnostic> {
        let old = self.mirror.age();
        let until = if old.is_some() { deadline.min(Instant::now() + PATIENCE) } else { deadline };
        // A little earlier than who waits for us: our words name the remote.
        let until = until.checked_sub(Duration::from_millis(200)).unwrap_or(until);
        let mut result = self.fetching.result.lock().unwrap_or_else(PoisonError::into_inner);
        while result.is_none() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            result = self.fetching.done.wait_timeout(result, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        let why = match &*result {
            Some(Ok(())) => return Ok(None),
            Some(Err(why)) => why.to_string(),
            None => "it has not answered yet".into(),
        };
        let name = shown(&self.id);
        match old {
            Some(age) => Ok(Some(Diagnostic::warning(format!(
                "the remote {name} is away ({why}); its tree of {} ago is used",
                span_of(age)
            )))),
            None => Err(Diagnostic::error(format!("the remote {name} cannot be fetched, and was never before: {why}"))),
        }
    }

    /// Returns the branch or tag for an environment: Salt's `get_checkout_target`.
    fn target(&self, ask: &Ask) -> String {
        match (self.branch.as_str(), &self.all_saltenvs) {
            ("__env__", Some(all)) => all.clone(),
            ("__env__", None) if ask.env() == "base" => self.base.clone(),
            ("__env__", None) => ask.env().to_owned(),
            (branch, _) => branch.to_owned(),
        }
    }

    fn pillar_env(&self, ask: &Ask, target: &str) -> String {
        if self.branch == "__env__" && self.all_saltenvs.is_some() {
            ask.env().to_owned()
        } else if !self.env.is_empty() {
            self.env.clone()
        } else if self.branch == self.base || target == self.base {
            "base".into()
        } else {
            target.to_owned()
        }
    }

    fn commit(&self, target: &str) -> Result<Option<Oid>, Diagnostic> {
        let find = |name: &str| self.mirror.commit(name, &self.kinds).map_err(|why| Diagnostic::error(why.to_string()));
        match find(target)? {
            Some(commit) => Ok(Some(commit)),
            None if !self.fallback.is_empty() => find(&self.fallback),
            None => Ok(None),
        }
    }
}

fn span_of(age: Duration) -> String {
    match age.as_secs() {
        seconds @ 0..120 => format!("{seconds} seconds"),
        seconds @ 120..7200 => format!("{} minutes", seconds / 60),
        seconds @ 7200..172_800 => format!("{} hours", seconds / 3600),
        seconds => format!("{} days", seconds / 86_400),
    }
}

/// A folder with pillar of one remote.
struct Tree {
    dir: PathBuf,
    env: String,
    mounted: bool,
    id: String,
}

impl PillarSource for Git {
    fn name(&self) -> &str {
        "git"
    }

    fn identity(&self) -> String {
        self.identity.clone()
    }

    fn sees(&self) -> Sees {
        Sees::GRAINS
    }

    fn stamp(&self, ask: &Ask) -> Option<String> {
        let mut stamp = String::new();
        for repo in &self.repos {
            repo.ready(ask.deadline).ok()?;
            stamp += &repo.commit(&repo.target(ask)).ok()?.map(|id| id.to_string()).unwrap_or_default();
        }
        Some(stamp)
    }

    fn load(&self, ask: &Ask) -> Result<Given, Diagnostic> {
        let mut given = Given::default();
        let trees = self.trees(ask, &mut given)?;
        for tree in &trees {
            let asked = ask.pillarenv.as_deref().filter(|env| !env.is_empty());
            if tree.mounted || asked.is_some_and(|asked| asked != tree.env) {
                continue;
            }
            let mut roots = vec![tree.dir.clone()];
            if self.includes {
                let others = trees.iter().filter(|other| other.env == tree.env && other.dir != tree.dir);
                roots.extend(others.map(|other| other.dir.clone()));
            }
            self.compile(ask, tree, roots, &mut given);
        }
        Ok(given)
    }
}

impl Git {
    fn trees(&self, ask: &Ask, given: &mut Given) -> Result<Vec<Tree>, Diagnostic> {
        let mut trees: Vec<Tree> = Vec::new();
        for repo in &self.repos {
            given.warnings.extend(repo.ready(ask.deadline)?);
            let target = repo.target(ask);
            let Some(commit) = repo.commit(&target)? else {
                // Not every repository has a branch for every environment.
                if repo.branch == "__env__" {
                    continue;
                }
                let known = repo.mirror.names();
                let hint = suggest::did_you_mean(&target, known.iter().map(String::as_str));
                return Err(Diagnostic::error(format!("{} has no branch or tag '{target}'", shown(&repo.id)))
                    .hint(hint.unwrap_or_else(|| format!("it has: {}", known.join(", ")))));
            };
            let fail = |why: &dyn std::fmt::Display| Diagnostic::error(format!("{}: {why}", shown(&repo.id)));
            let files = repo.mirror.files(commit).map_err(|why| fail(&why))?;
            let root = files.join(&repo.root);
            let mounted = !repo.mountpoint.is_empty();
            let dir = if mounted { self.mounted(&root, &repo.mountpoint).map_err(|e| fail(&e))? } else { root };
            trees.push(Tree { dir, env: repo.pillar_env(ask, &target), mounted, id: shown(&repo.id) });
        }
        Ok(trees)
    }

    /// Returns a folder in which a tree stands below its mountpoint.
    fn mounted(&self, tree: &Path, mountpoint: &str) -> std::io::Result<PathBuf> {
        let key = format!("{}\n{mountpoint}", tree.display());
        let digest = corpus_core::digest::sha256(key.as_bytes());
        let dir = self.links.join(corpus_core::digest::hex(&digest[..16]));
        let link = dir.join(mountpoint);
        if !link.exists() {
            std::fs::create_dir_all(link.parent().unwrap_or(&dir))?;
            match std::os::unix::fs::symlink(tree, &link) {
                Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(error),
                _ => {}
            }
        }
        Ok(dir)
    }

    /// Compiles the pillar of one tree and merges it in.
    fn compile(&self, ask: &Ask, tree: &Tree, roots: Vec<PathBuf>, given: &mut Given) {
        let engine = {
            let mut engines = self.engines.lock().unwrap_or_else(PoisonError::into_inner);
            let key: Vec<PathBuf> = roots.iter().cloned().chain([PathBuf::from(&tree.env)]).collect();
            let roots = FileRoots::new([(tree.env.clone(), roots)]);
            engines.entry(key).or_insert_with(|| Engine::decrypting(roots, self.decrypt.clone())).clone()
        };
        let mut data: Data = (*ask.data).clone();
        data.saltenv = tree.env.as_str().into();
        let caller = ask.caller.clone();
        let callers: corpus_pillar::Callers = Arc::new(move |_| caller.clone());
        let sources = Sources::default();
        let request = PillarRequest {
            data: Arc::new(data),
            pillarenv: ask.pillarenv.clone(),
            saltenv: tree.env.clone(),
            override_: Map::new(),
            sources: &sources,
            callers: callers.clone(),
            explain: ask.explain,
            trust: ask.trust.clone(),
        };
        let mut result = compile_pillar(&request, &EngineRenderer::new(engine, callers));
        result.pillar.remove("_errors");
        for mut doubt in std::mem::take(&mut result.by_grain) {
            if let Some(place) = &mut doubt.place {
                place.span.file = format!("{} {}", tree.id, place.span.file).into();
            }
            given.by_grain.push(doubt);
        }
        for mut error in result.errors {
            for label in &mut error.labels {
                label.span.file = format!("{} {}", tree.id, label.span.file).into();
            }
            given.problems.push(error);
        }
        let word = ask.opt("pillar_source_merging_strategy").and_then(Value::as_str).unwrap_or("smart");
        let strategy = merge::Strategy::of(word).unwrap_or_default();
        let lists = ask.opt("pillar_merge_lists").is_some_and(Value::truthy);
        given.pillar = merge::merge(std::mem::take(&mut given.pillar), &result.pillar, strategy, lists);
        let id: Arc<str> = tree.id.as_str().into();
        given.pieces.extend(result.origins.pieces().map(|piece| within(&id, piece)));
    }
}

/// Names the remote with the file of a piece.
fn within(id: &Arc<str>, piece: Piece) -> Piece {
    let (id, place) = (id.clone(), piece.place);
    let locate = move |pos| {
        let span: Span = place.of(pos);
        Span { file: format!("{id} {}", span.file).into(), ..span }
    };
    Piece { place: Place::Computed(Arc::new(locate)), ..piece }
}
