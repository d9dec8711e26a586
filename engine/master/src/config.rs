//! Configuration: Salt's own `master` or `minion` file with its keys, then what the command line says.

use corpus_core::{Diagnostic, Map, Node, Pos, Span, Value, python, secret};
use indexmap::IndexMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How the names of settings end that are credentials: of databases, directories, remotes, key stores.
const CREDENTIALS: [&str; 10] =
    ["pass", "passwd", "password", "passphrase", "bindpw", "token", "secret_id", "secret_key", "access_key", "api_key"];

/// Puts the credentials of the settings on the list of secrets.
fn keep_credentials(settings: &Value) {
    match settings {
        Value::Map(map) => {
            for (key, value) in map.iter() {
                let named = key.as_str().is_some_and(|key| CREDENTIALS.iter().any(|end| key.ends_with(end)));
                match value {
                    Value::Str(_) | Value::Int(_) if named => secret::keep([python::str(value)]),
                    value => keep_credentials(value),
                }
            }
        }
        Value::List(items) => items.iter().for_each(keep_credentials),
        _ => {}
    }
}

/// What the command line sets over the files.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    pub config_dir: Option<PathBuf>,
    pub file_roots: Vec<PathBuf>,
    pub pillar_roots: Vec<PathBuf>,
    pub roster_file: Option<PathBuf>,
    pub id: Option<String>,
    pub timeout: Option<u64>,
    pub max_procs: Option<usize>,
    pub accept_new_host_keys: bool,
    pub strict: bool,
    /// Measure where the time goes.
    pub timings: bool,
    pub show_secrets: bool,
    pub local: bool,
}

/// The configuration of one process.
#[derive(Clone, Debug)]
pub struct Config {
    /// All settings, Salt's defaults first: what templates see as `opts` and `config.get` falls back to.
    pub opts: Map,
    pub dir: PathBuf,
    pub file_roots: IndexMap<String, Vec<PathBuf>>,
    pub pillar_roots: IndexMap<String, Vec<PathBuf>>,
    pub roster_file: PathBuf,
    pub cache_dir: PathBuf,
    pub id: String,
    pub timeout: Duration,
    pub max_procs: usize,
    pub accept_new_host_keys: bool,
    pub strict: bool,
    /// Measure where the time goes.
    pub timings: bool,
    /// The values that functions answer with are printed as they are.
    pub show_secrets: bool,
    pub local: bool,
}

impl Config {
    /// `pillar.secret_keys`: globs over the keys whose values are secrets.
    pub fn secret_keys(&self) -> Vec<String> {
        match self.opts.get("pillar.secret_keys") {
            Some(Value::List(keys)) => keys.iter().map(python::str).collect(),
            Some(Value::Str(key)) => vec![key.to_string()],
            _ => vec![],
        }
    }

    /// Reads the configuration files and lays the overrides on top.
    pub fn load(over: &Overrides) -> Result<Self, Vec<Diagnostic>> {
        let dir = over.config_dir.clone().unwrap_or_else(default_dir);
        let mut opts = defaults(over.local);
        let name = if over.local { "minion" } else { "master" };
        for path in files(&dir, name) {
            for (key, value) in read_map(&path)? {
                opts.0.insert(key, value);
            }
        }
        let roots = |key: &str, over: &[PathBuf], default: &str| -> IndexMap<String, Vec<PathBuf>> {
            if !over.is_empty() {
                return [("base".to_owned(), over.to_vec())].into();
            }
            let mut found = IndexMap::new();
            for (env, paths) in opts.get(key).and_then(Value::as_map).into_iter().flatten() {
                let paths = match paths {
                    Value::List(list) => list.iter().map(|p| PathBuf::from(python::str(p))).collect(),
                    one => vec![PathBuf::from(python::str(one))],
                };
                found.insert(python::str(env), paths);
            }
            if found.is_empty() {
                found.insert("base".into(), vec![PathBuf::from(default)]);
            }
            found
        };
        let file_roots = roots("file_roots", &over.file_roots, "/srv/salt");
        let pillar_roots = roots("pillar_roots", &over.pillar_roots, "/srv/pillar");
        let text = |key: &str| opts.str(key).map(str::to_owned);
        let roster_file = over
            .roster_file
            .clone()
            .or_else(|| text("roster_file").map(PathBuf::from))
            .unwrap_or_else(|| dir.join("roster"));
        let id = over.id.clone().or_else(|| text("id")).unwrap_or_else(|| host_name(over.local));
        let seconds =
            |key: &str, default: u64| opts.get(key).and_then(Value::as_int).map_or(default, |n| n.max(1) as u64);
        let mut config = Self {
            timeout: Duration::from_secs(over.timeout.unwrap_or_else(|| seconds("ssh_timeout", 60))),
            max_procs: over.max_procs.unwrap_or_else(|| seconds("ssh_max_procs", 25) as usize).max(1),
            cache_dir: text("corpus_cachedir").map_or_else(default_cache, PathBuf::from),
            accept_new_host_keys: over.accept_new_host_keys,
            timings: over.timings,
            show_secrets: over.show_secrets,
            strict: over.strict || opts.get("strict").is_some_and(Value::truthy),
            local: over.local,
            file_roots,
            pillar_roots,
            roster_file,
            id,
            dir,
            opts,
        };
        let decrypt = crate::secrets::Secrets::new(&config);
        crate::sdb::apply(&mut config.opts, &decrypt).map_err(|why| vec![Diagnostic::error(why)])?;
        keep_credentials(&Value::map(config.opts.clone()));
        Ok(config.with_known_opts(name))
    }

    /// Puts what was decided back where templates read it.
    fn with_known_opts(mut self, name: &str) -> Self {
        let show = |roots: &IndexMap<String, Vec<PathBuf>>| -> Map {
            roots
                .iter()
                .map(|(env, paths)| {
                    let paths: Vec<String> = paths.iter().map(|p| p.display().to_string()).collect();
                    (env.as_str(), Value::from(paths))
                })
                .collect()
        };
        self.opts.insert("file_roots", show(&self.file_roots));
        self.opts.insert("pillar_roots", show(&self.pillar_roots));
        self.opts.insert("id", self.id.as_str());
        self.opts.insert("config_dir", self.dir.display().to_string());
        self.opts.insert("conf_file", self.dir.join(name).display().to_string());
        self
    }

    /// Returns a setting that is a text.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.opts.str(key)
    }

    /// Returns a setting that is on or off.
    pub fn flag(&self, key: &str) -> bool {
        self.opts.get(key).is_some_and(Value::truthy)
    }
}

/// Reads a YAML (or JSON) file that must hold a mapping; nothing in it is an empty mapping.
pub fn read_map(path: &Path) -> Result<Map, Vec<Diagnostic>> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map_err(|error| vec![Diagnostic::error(format!("cannot read {name}: {error}"))])?;
    let fail = |pos: Pos, message: String, hints: Vec<String>| {
        let mut diagnostic = Diagnostic::error(message).at(Span::new(name.as_str(), pos), "");
        diagnostic.hints = hints;
        vec![diagnostic.with_excerpts(&|_, line| text.lines().nth(line as usize - 1).map(Into::into))]
    };
    let node = corpus_core::yaml::parse(&text).map_err(|e| fail(e.place(&text), e.message.clone(), e.hints.clone()))?;
    for (key, value) in node.as_map().unwrap_or_default() {
        if let Some(wanted) = key.as_str().and_then(|key| wrong_kind(key, value)) {
            let key = key.to_value();
            let message = format!("`{}` must be {wanted}, found {}", python::str(&key), value.type_name());
            return Err(fail(value.pos, message, vec![]));
        }
    }
    match node.to_value() {
        Value::Null => Ok(Map::new()),
        Value::Map(map) => Ok(std::sync::Arc::unwrap_or_clone(map)),
        other => Err(fail(node.pos, format!("expected a mapping of settings, found {}", other.type_name()), vec![])),
    }
}

/// Says what a setting must be, if it is not: what is misread here would silently be a default.
fn wrong_kind(key: &str, value: &Node) -> Option<&'static str> {
    let plain = value.to_value();
    let number = || plain.as_int().is_some_and(|n| n > 0) || plain.as_str().is_some_and(|n| n.parse::<u32>().is_ok());
    match key {
        _ if plain.is_null() => None,
        "file_roots" | "pillar_roots" if value.as_map().is_none() => {
            Some("a mapping of environments, each with a list of directories")
        }
        "nodegroups" | "grains" | "pillar" | "roster_defaults" if value.as_map().is_none() => Some("a mapping"),
        "ssh_timeout" | "ssh_max_procs" if !number() => Some("a number above 0"),
        "id" | "roster_file" | "corpus_cachedir" | "state_top"
            if plain.as_list().is_some() || plain.as_map().is_some() =>
        {
            Some("text")
        }
        _ => None,
    }
}

/// `/etc/corpus`, or else Salt's own directory, so that a tree that served Salt serves at once.
fn default_dir() -> PathBuf {
    ["/etc/corpus", "/etc/salt"]
        .into_iter()
        .map(PathBuf::from)
        .find(|dir| dir.is_dir())
        .unwrap_or_else(|| PathBuf::from("/etc/corpus"))
}

fn default_cache() -> PathBuf {
    if rustix_is_root() {
        return PathBuf::from("/var/cache/corpus");
    }
    let home = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")));
    // Without a home, beside what a master of this user would put here; `private_dir` looks whose it is.
    let user = rustix::process::geteuid().as_raw();
    home.map_or_else(|| PathBuf::from(format!("/var/tmp/.corpus_{user}")), |home| home.join("corpus"))
}

fn rustix_is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// The main file and the `*.conf` files of its drop-in directory, in order.
pub(crate) fn files(dir: &Path, name: &str) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = [dir.join(name)].into_iter().filter(|path| path.is_file()).collect();
    let mut extra: Vec<PathBuf> = std::fs::read_dir(dir.join(format!("{name}.d")))
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|e| e == "conf"))
        .collect();
    extra.sort();
    found.append(&mut extra);
    found
}

fn host_name(local: bool) -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    if local { name } else { format!("{name}_master") }
}

/// Salt's defaults, as far as trees read them.
fn defaults(local: bool) -> Map {
    let mut opts = Map::new();
    for (key, value) in [
        ("__role", if local { "minion" } else { "master" }),
        ("__cli", if local { "salt-call" } else { "salt-ssh" }),
        ("root_dir", "/"),
        ("cachedir", "/var/cache/salt/minion"),
        ("pki_dir", "/etc/salt/pki/minion"),
        ("log_level", "warning"),
        ("log_file", "/var/log/salt/minion"),
        ("file_client", "local"),
        ("renderer", "jinja|yaml"),
        ("state_top", "top.sls"),
        ("top_file_merging_strategy", "merge"),
        ("pillar_source_merging_strategy", "smart"),
        ("default_top", "base"),
        ("user", "root"),
        ("master", "salt"),
        ("hash_type", "sha256"),
        ("state_output", "full"),
        ("transport", "zeromq"),
        ("ipc_mode", "ipc"),
        ("keysize", "4096"),
    ] {
        opts.insert(key, value);
    }
    for key in ["pillarenv", "saltenv", "startup_states", "environment"] {
        opts.insert(key, Value::Null);
    }
    for (key, value) in [
        ("test", false),
        ("failhard", false),
        ("state_verbose", true),
        ("state_aggregate", false),
        ("pillar_merge_lists", false),
        ("ssh_merge_pillar", true),
        ("jinja_trim_blocks", false),
        ("jinja_lstrip_blocks", false),
    ] {
        opts.insert(key, value);
    }
    for (key, value) in [("master_port", 4506), ("publish_port", 4505), ("tcp_pub_port", 4510), ("tcp_pull_port", 4511)]
    {
        opts.insert(key, value);
    }
    opts
}
