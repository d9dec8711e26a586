//! The configuration of a project, `cfg`: its keys, its layers and the order in which they lie on each other.
//!
//! Built-in < installer < `PILLAR.sample` < `env_defaults` < `os_defaults` < pillar < saved < arguments of the call.
//! Mappings are merged, lists are replaced.

use crate::cx::Facts;
use crate::layout::recipes;
use crate::{Cx, Layout, ProjectError, ProjectName, R, api, chrono, placeholders, sample, saved};
use corpus_core::merge::update;
use corpus_core::{FileKind, Look, Map, Value, python, suggest};
use std::path::Path;

/// The keys of the original that are there from the beginning, besides the paths.
const PLAIN: &[(&str, Value)] = &[
    ("installer", Value::Null),
    ("keep_archives", Value::Int(3)),
    ("archive_margin", Value::Null),
    ("no_user", Value::Bool(false)),
    ("no_default_includes", Value::Bool(false)),
    ("only", Value::Null),
    ("only_steps", Value::Null),
    ("skip_deploy", Value::Bool(false)),
    ("skip_archive", Value::Bool(false)),
    ("skip_release_sync", Value::Bool(false)),
    ("skip_install", Value::Bool(false)),
    ("skip_rotate_archives", Value::Bool(false)),
    ("skip_rollback", Value::Bool(false)),
    ("skip_fixperms", Value::Bool(false)),
    ("skip_notify", Value::Bool(false)),
    ("raw_console_return", Value::Bool(false)),
    ("rollback", Value::Bool(false)),
    ("rollback_host", Value::Bool(true)),
    ("fixperms_before_install", Value::Bool(false)),
    ("deploy_branch", Value::Null),
    ("deploy_on_pillar_push", Value::Bool(false)),
    ("backup_include", Value::Null),
    ("backup_exclude", Value::Null),
    ("deploy_timeout", Value::Int(0)),
    ("deploy_summary", Value::Null),
    ("operation_mode", Value::Null),
    ("notify_mail", Value::Null),
    ("notify_webhook", Value::Null),
    ("origin", Value::Null),
    ("pillar_origin", Value::Null),
    ("origin_rev", Value::Null),
    ("pillar_rev", Value::Null),
    ("cfg_is_prepared", Value::Bool(true)),
    ("cfg_is_loaded", Value::Bool(true)),
    ("force_reload", Value::Bool(true)),
    ("nodata", Value::Bool(false)),
];

/// Keys that no pillar and no sample may set: they say what is, or belong to the running deployment.
const FIXED: &[&str] = &["name", "minion_id", "fqdn", "chrono", "rollback", "deploy_summary", "deploy_ret"];

/// Computes the configuration of a project.
pub fn configuration(cx: &Cx, name: &ProjectName, kwargs: &Map) -> R<Map> {
    compute(cx, &cx.facts()?, name, kwargs)
}

/// Computes the configuration from what is known of the machine.
pub fn compute(cx: &Cx, facts: &Facts, name: &ProjectName, kwargs: &Map) -> R<Map> {
    compute_in(cx, facts, name, kwargs, None)
}

/// Computes the configuration as it would be with another tree in the place of `project/`.
pub fn compute_in(cx: &Cx, facts: &Facts, name: &ProjectName, kwargs: &Map, tree: Option<&Path>) -> R<Map> {
    let layout = cx.layout(name);
    let saved = saved::read(&layout)?;
    let pillar = pillar_layer(facts, name);
    let (given, free) = arguments(kwargs);
    let upper = |key: &str| given.get(key).or_else(|| saved.set.get(key)).or_else(|| pillar.get(key));
    let env = environment(facts, name, upper("default_env"));
    let salt = recipes(tree.unwrap_or(&layout.project), &env);
    let nodata = given.get("nodata").is_some_and(Value::truthy);
    let sample = if nodata { Map::new() } else { sample::read(facts, &salt.join("PILLAR.sample"), "PILLAR.sample")? };
    let installer = upper("installer").or_else(|| sample.get("installer")).map_or("generic".into(), python::str);
    let api = api::of_project(kwargs, &saved, upper("api_version").or_else(|| sample.get("api_version")))?;
    let below = installer_path(cx, &api, &installer).and_then(|path| match nodata || api == "1" {
        true => Ok(Map::new()),
        false => sample::read(facts, &path.join("PILLAR.sample"), &format!("{installer}/PILLAR.sample")),
    })?;

    let mut cfg = defaults(cx, facts, name, &layout, &env);
    cfg.insert("api_version", api.as_str());
    cfg.insert("installer", installer.as_str());
    let path = format!("{}/makina-states/projects/{api}/{installer}", cx.salt_root().display());
    cfg.insert("installer_path", path);
    for layer in [&below, &sample, &pillar, &saved.set, &given] {
        top_level(&mut cfg, layer, std::ptr::eq(layer, &given));
    }
    cfg.insert("default_env", env.as_str());
    cfg.insert("sls_default_pillar", sample::as_pillar(&sample, name));
    cfg.insert("data", data_layers(facts, &env, [&below, &sample, &pillar, &saved.set, &given], &free, name));
    settle(cx, &layout, &mut cfg, upper("remote_less"))?;
    placeholders::resolve(&mut cfg);
    urls(&mut cfg, &given);
    Ok(cfg)
}

/// Lays a layer's plain keys over the configuration.
fn top_level(cfg: &mut Map, layer: &Map, argument: bool) {
    for (key, value) in layer {
        let Some(word) = key.as_str() else { continue };
        if ["data", "env_defaults", "os_defaults", "nodata", "api_version"].contains(&word)
            || FIXED.contains(&word) && !argument
            || word == "name"
        {
            continue;
        }
        match (cfg.get_mut(word).and_then(Value::as_map_mut), value) {
            (Some(mine), Value::Map(theirs)) => update(mine, theirs, false),
            _ => _ = cfg.insert(word, value.clone()),
        }
    }
}

/// Lays the layers of `data` on each other.
fn data_layers(facts: &Facts, env: &str, layers: [&Map; 5], free: &Map, name: &ProjectName) -> Value {
    let [below, sample, pillar, saved, given] = layers;
    let mut data = Map::new();
    let mut add = |layer: Option<&Value>| {
        if let Some(layer) = layer.and_then(Value::as_map) {
            update(&mut data, layer, false);
        }
    };
    let part = |layer: &Map, key: &str| layer.get(key).cloned();
    add(part(given, "defaults").as_ref());
    add(part(below, "data").as_ref());
    add(part(sample, "data").as_ref());
    for layer in [below, sample, pillar, given] {
        add(part(layer, "env_defaults").as_ref().and_then(|envs| envs.get(env)));
    }
    // The family first: the system itself is more exact.
    for grain in ["os_family", "os"] {
        let Some(os) = facts.data.grains.get(grain).and_then(Value::as_str) else { continue };
        for layer in [below, sample, pillar, given] {
            let section = part(layer, "os_defaults").as_ref().and_then(|all| all.get(os)).cloned();
            // The original laid a section over the whole configuration: its `data` is meant, then.
            add(section.as_ref().and_then(|section| section.get("data")).or(section.as_ref()));
        }
    }
    add(facts.data.pillar.get(&format!("{name}-default-settings")));
    for layer in [pillar, saved, given] {
        add(part(layer, "data").as_ref());
    }
    update(&mut data, free, false);
    data.into()
}

/// Divides a call's arguments into keys of the configuration and free ones, which go into `data`.
pub fn arguments(kwargs: &Map) -> (Map, Map) {
    let known = |key: &str| {
        PLAIN.iter().any(|(name, _)| *name == key)
            || PATHS.contains(&key)
            || FIXED.contains(&key)
            || OTHER.contains(&key)
    };
    let (mut given, mut free) = (Map::new(), Map::new());
    for (key, value) in kwargs {
        let Some(word) = key.as_str().filter(|word| !word.starts_with("__pub_") && *word != "api_ver") else {
            continue;
        };
        let into = if known(word) { &mut given } else { &mut free };
        into.insert(word, value.clone());
    }
    (given, free)
}

const PATHS: &[&str] = &[
    "projects_dir",
    "project_dir",
    "project_root",
    "salt_root",
    "pillar_root",
    "data_root",
    "archives_root",
    "git_root",
    "project_git_root",
    "pillar_git_root",
    "git_deploy_hook",
    "deploy_marker",
    "remote_projects_dir",
    "remote_project_dir",
    "remote_pillar_dir",
    "wired_salt_root",
    "wired_pillar_root",
    "current_archive_dir",
];

const OTHER: &[&str] = &[
    "api_version",
    "default_env",
    "data",
    "defaults",
    "env_defaults",
    "os_defaults",
    "sls_default_pillar",
    "installer_path",
    "user",
    "group",
    "groups",
    "remote_host",
    "remote_less",
    "this_host",
    "this_localhost",
    "this_port",
    "push_pillar_url",
    "push_salt_url",
    "ignored_keys",
    "bundle",
];

fn defaults(cx: &Cx, facts: &Facts, name: &ProjectName, layout: &Layout, env: &str) -> Map {
    let fqdn = cx.fqdn(&facts.data);
    let mut cfg = Map::new();
    for (key, value) in [
        ("name", name.as_str()),
        ("minion_id", &*facts.data.id),
        ("fqdn", &fqdn),
        ("remote_host", "{fqdn}"),
        ("default_env", env),
        ("user", "{name}-user"),
        ("projects_dir", &cx.projects.display().to_string()),
        ("project_dir", "{projects_dir}/{name}"),
        ("project_root", "{project_dir}/project"),
        ("salt_root", &layout.salt(env).display().to_string()),
        ("pillar_root", "{project_dir}/pillar"),
        ("data_root", "{project_dir}/data"),
        ("archives_root", "{project_dir}/archives"),
        ("git_root", "{project_dir}/git"),
        ("project_git_root", "{git_root}/project.git"),
        ("pillar_git_root", "{git_root}/pillar.git"),
        ("git_deploy_hook", "{git_root}/project.git/hooks/deploy_hook.py"),
        ("deploy_marker", "{project_root}/.tmp_deploy"),
        ("remote_projects_dir", &cx.projects.with_file_name("remote_projects").display().to_string()),
        ("remote_project_dir", "{remote_projects_dir}/{remote_host}/{name}/project"),
        ("remote_pillar_dir", "{remote_projects_dir}/{remote_host}/{name}/pillar"),
        ("wired_salt_root", &format!("{}/makina-projects/{name}", cx.salt_root().display())),
        ("wired_pillar_root", &format!("{}/makina-projects/{name}", cx.pillar_root().display())),
        ("current_archive_dir", "{archives_root}/{chrono}"),
        ("this_host", &first_line("/this_host").unwrap_or_else(|| fqdn.clone())),
        ("this_localhost", &fqdn),
        ("this_port", &first_line("/this_port").unwrap_or_else(|| "22".into())),
        ("chrono", &chrono::id().unwrap_or_default()),
    ] {
        cfg.insert(key, value);
    }
    for (key, value) in PLAIN {
        cfg.insert(*key, value.clone());
    }
    cfg.insert("groups", vec!["{name}-grp".to_owned()]);
    for key in ["data", "defaults", "env_defaults", "os_defaults", "deploy_ret"] {
        cfg.insert(key, Map::new());
    }
    cfg
}

fn first_line(path: &str) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    text.lines().next().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty())
}

/// Puts what follows from the layers and from what lies on the disk.
fn settle(cx: &Cx, layout: &Layout, cfg: &mut Map, remote_less: Option<&Value>) -> R<()> {
    // These are where they are: a layer that moves them would part the engine from its own records.
    for (key, path) in
        [("project_dir", &layout.dir), ("project_root", &layout.project), ("archives_root", &layout.archives)]
    {
        let wanted = cfg.str(key).unwrap_or_default();
        let usual = ["{projects_dir}/{name}", "{project_dir}/project", "{project_dir}/archives"].contains(&wanted);
        if !usual && Path::new(wanted) != path {
            return Err(ProjectError::new(format!("`{key}` is {}, not {wanted}", path.display()))
                .hint("only `projects_dir`, in corpus's own configuration, moves projects"));
        }
    }
    if cfg.get("keep_archives").and_then(Value::as_int).is_none() {
        let number = cfg.get("keep_archives").map(python::str).and_then(|text| text.trim().parse::<i64>().ok());
        cfg.insert("keep_archives", number.filter(|n| *n >= 0).unwrap_or(3));
    }
    if editors(cx, layout) {
        cfg.insert("groups", vec!["editor".to_owned()]);
    }
    let group = cfg.get("groups").and_then(Value::as_list).and_then(|groups| groups.first()).cloned();
    if !cfg.contains("group") {
        cfg.insert("group", group.unwrap_or_else(|| "{name}-grp".into()));
    }
    let both = layout.project_git.exists() && layout.pillar_git.exists();
    let alone =
        !layout.project_git.exists() && (layout.project.join(".git").exists() || layout.project.join(".salt").exists());
    let remote_less = !both && remote_less.map_or(alone, Value::truthy);
    cfg.insert("remote_less", remote_less);
    if cfg.get("operation_mode").is_none_or(Value::is_null) {
        let mode = match cfg.str("default_env") {
            Some("dev") => "editable",
            Some("staging") => "cooking",
            _ => "final",
        };
        cfg.insert("operation_mode", mode);
    }
    Ok(())
}

/// Old installations share their files with a group `editor`.
fn editors(cx: &Cx, layout: &Layout) -> bool {
    let Ok(Some(group)) = cx.machine.group("editor") else { return false };
    [&layout.project, &layout.archives, &layout.git, &layout.data, &layout.dir].into_iter().any(
        |dir| matches!(cx.machine.lstat(dir), Ok(Some(meta)) if meta.kind == FileKind::Dir && meta.gid == group.gid),
    )
}

fn urls(cfg: &mut Map, given: &Map) {
    let word = |key: &str| cfg.get(key).map(python::str).unwrap_or_default();
    let user = if cfg.get("no_user").is_some_and(Value::truthy) { "root".to_owned() } else { word("user") };
    let at = format!("ssh://{user}@{}:{}", word("this_host"), word("this_port"));
    for (key, path) in [("push_pillar_url", "pillar_git_root"), ("push_salt_url", "project_git_root")] {
        if !given.contains(key) {
            let url = format!("{at}{}", cfg.str(path).unwrap_or_default());
            cfg.insert(key, url);
        }
    }
}

/// Finds the directory of an installer, or says which there are.
pub fn installer_path(cx: &Cx, api: &str, installer: &str) -> R<std::path::PathBuf> {
    let roots = cx.corpus.engine.roots();
    let all = format!("makina-states/projects/{api}");
    if api == "1" {
        // Version 1 had macros in the place of installers.
        return Ok(cx.salt_root());
    }
    let plain = !installer.is_empty() && !installer.contains(['/', '.']);
    if let Some(path) = plain.then(|| roots.find_dir(&format!("{all}/{installer}"), "base")).flatten() {
        return Ok(path);
    }
    let mut known: Vec<String> = roots
        .roots("base")
        .iter()
        .filter_map(|root| std::fs::read_dir(root.join(&all)).ok())
        .flat_map(|entries| entries.flatten())
        .filter(|entry| entry.path().is_dir())
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    known.sort();
    known.dedup();
    let error = ProjectError::new(format!("there is no installer `{installer}` for API version {api}"));
    let near = suggest::did_you_mean(installer, known.iter().map(String::as_str));
    Err(error.hint(near.unwrap_or_else(|| format!("there are {}", known.join(", ")))))
}

/// Decides the environment: the project's own word, else the machine's.
fn environment(facts: &Facts, name: &ProjectName, own: Option<&Value>) -> String {
    let found = |path: &str| get(facts, path).filter(Value::truthy).map(|value| python::str(&value));
    if let Some(own) = own.filter(|own| own.truthy()) {
        return python::str(own);
    }
    let by_name = || {
        // The last match wins, as in the original: `prod-dev-box` is a `dev`.
        ["prod", "staging", "dev"].into_iter().rfind(|env| facts.data.id.contains(env)).map(str::to_owned)
    };
    found(&format!("{name}.default_env"))
        .or_else(|| found("makina-states.localsettings.env.env"))
        .or_else(|| found("default_env"))
        .or_else(by_name)
        .unwrap_or_else(|| "dev".into())
}

/// Looks a setting up in the minion's configuration, its pillar and its grains; `:` and `.` both divide the path.
pub fn get(facts: &Facts, path: &str) -> Option<Value> {
    let data = &facts.data;
    [&data.opts, &data.pillar, &data.grains].into_iter().find_map(|source| dig(source, path).cloned())
}

/// Follows a path whose parts may themselves hold the dividers.
pub fn dig<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    if let Some(found) = value.get(path) {
        return Some(found);
    }
    let ends = path.match_indices(['.', ':']).map(|(at, _)| at);
    ends.filter_map(|at| dig(value.get(&path[..at])?, &path[at + 1..])).next()
}

/// Gathers what pillar, grains and configuration say of the project, in whatever way it is written.
fn pillar_layer(facts: &Facts, name: &ProjectName) -> Map {
    let mut out = Map::new();
    for source in [&facts.data.grains, &facts.data.pillar, &facts.data.opts] {
        let Some(map) = source.as_map() else { continue };
        for head in ["makina-states", "makina-projects"] {
            let whole = map.get(head).and_then(|all| all.get(name.as_str())).and_then(Value::as_map);
            if let Some(own) = whole {
                update(&mut out, &undotted(own), false);
            }
            for (key, value) in map {
                let rest = key.as_str().and_then(|key| key.strip_prefix(head)?.strip_prefix(['.', ':']));
                match rest.and_then(|rest| rest.strip_prefix(name.as_str())) {
                    Some("") => {
                        if let Some(own) = value.as_map() {
                            update(&mut out, &undotted(own), false);
                        }
                    }
                    Some(rest) if rest.starts_with(['.', ':']) => put(&mut out, &rest[1..], value),
                    _ => {}
                }
            }
        }
    }
    out
}

/// Opens keys such as `data.k` of a project's mapping.
fn undotted(own: &Map) -> Map {
    let mut out = Map::new();
    for (key, value) in own {
        match key.as_str() {
            Some(path) if path.starts_with("data.") || path.starts_with("data:") => put(&mut out, path, value),
            _ => _ = out.0.insert(key.clone(), value.clone()),
        }
    }
    out
}

/// Merges a value in at a path.
fn put(map: &mut Map, path: &str, value: &Value) {
    let over: Map = path
        .rsplit(['.', ':'])
        .fold(None, |inner: Option<Value>, part| {
            let value = inner.unwrap_or_else(|| value.clone());
            Some([(part, value)].into_iter().collect::<Map>().into())
        })
        .and_then(|whole| whole.as_map().cloned())
        .unwrap_or_default();
    update(map, &over, false);
}
