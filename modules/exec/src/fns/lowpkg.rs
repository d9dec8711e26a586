//! `lowpkg.*`: what the tool below the package manager, dpkg or rpm, knows.

use crate::{ask, pkg};
use corpus_core::host::{Command, Look};
use corpus_core::{Call, Data, ExecDef, ExecError, ExecFn, Map, Value, python};

/// The functions of this module.
pub const FNS: &[ExecDef] = &[
    ExecDef {
        name: "lowpkg.list_pkgs",
        args: "(*packages)",
        doc: "Returns installed packages with their versions.",
        run: ExecFn::Read(list_pkgs),
    },
    ExecDef {
        name: "lowpkg.file_list",
        args: "(*packages)",
        doc: "Lists the files of packages.",
        run: ExecFn::Read(file_list),
    },
    ExecDef {
        name: "lowpkg.file_dict",
        args: "(*packages)",
        doc: "Returns the files of packages, by package.",
        run: ExecFn::Read(file_dict),
    },
    ExecDef {
        name: "lowpkg.version_cmp",
        args: "(ver1, ver2)",
        doc: "Compares two versions: -1, 0 or 1.",
        run: ExecFn::Read(version_cmp),
    },
    ExecDef {
        name: "pkg.file_list",
        args: "(*packages)",
        doc: "Lists the files of packages.",
        run: ExecFn::Read(file_list),
    },
    ExecDef {
        name: "pkg.file_dict",
        args: "(*packages)",
        doc: "Returns the files of packages, by package.",
        run: ExecFn::Read(file_dict),
    },
    ExecDef {
        name: "pkg.available_version",
        args: "(*names)",
        doc: "Is `pkg.latest_version`.",
        run: ExecFn::Read(available),
    },
    ExecDef {
        name: "pkg.list_repos",
        args: "()",
        doc: "Returns the configured package sources: apt's by address, yum's by name.",
        run: ExecFn::Read(list_repos),
    },
];

fn names(call: &Call) -> Vec<String> {
    call.args.iter().map(python::str).collect()
}

fn available(call: &Call, look: &dyn Look, data: &Data) -> Result<Value, ExecError> {
    match super::pkg::FNS.iter().find(|def| def.name == "pkg.latest_version").map(|def| def.run) {
        Some(ExecFn::Read(run)) => run(call, look, data),
        _ => Err(ExecError::NotFound("pkg.latest_version".into())),
    }
}

fn list_pkgs(call: &Call, look: &dyn Look, _: &Data) -> Result<Value, ExecError> {
    let (wanted, installed) = (names(call), pkg::provider(look)?.installed(look)?);
    let all = installed.to_value();
    let pairs = all.as_map().into_iter().flatten();
    Ok(pairs
        .filter(|(name, _)| wanted.is_empty() || wanted.contains(&python::str(name)))
        .map(|(name, version)| (name.clone(), version.clone()))
        .collect::<Map>()
        .into())
}

fn version_cmp(call: &Call, look: &dyn Look, _: &Data) -> Result<Value, ExecError> {
    let order = pkg::provider(look)?.compare(look, &call.need(0, "ver1")?, &call.need(1, "ver2")?);
    Ok((order as i64).into())
}

fn files(look: &dyn Look, package: &str) -> Result<Option<Vec<String>>, ExecError> {
    let command = match pkg::provider(look)?.name() {
        "apt" => Command::new(["dpkg", "-L", package]),
        "dnf" | "yum" | "zypper" => Command::new(["rpm", "-ql", package]),
        other => return Err(ExecError::failed(format!("the files of a package are not built for {other}"))),
    };
    let output = look.query(&command)?;
    let lines = || output.stdout_text().lines().filter(|line| line.starts_with('/')).map(str::to_owned).collect();
    Ok(output.ok().then(lines))
}

fn collected(call: &Call, look: &dyn Look) -> Result<(Map, Vec<Value>), ExecError> {
    let (mut all, mut errors) = (Map::new(), vec![]);
    for name in names(call) {
        match files(look, &name)? {
            Some(files) => _ = all.insert(name, files),
            None => errors.push(format!("package {name} is not installed").into()),
        }
    }
    Ok((all, errors))
}

fn file_dict(call: &Call, look: &dyn Look, _: &Data) -> Result<Value, ExecError> {
    let (all, errors) = collected(call, look)?;
    Ok([("errors", Value::list(errors)), ("packages", all.into())].into_iter().collect::<Map>().into())
}

fn file_list(call: &Call, look: &dyn Look, _: &Data) -> Result<Value, ExecError> {
    let (all, errors) = collected(call, look)?;
    let files: Vec<Value> = all.values().filter_map(Value::as_list).flatten().cloned().collect();
    Ok([("errors", Value::list(errors)), ("files", Value::list(files))].into_iter().collect::<Map>().into())
}

fn list_repos(_: &Call, look: &dyn Look, _: &Data) -> Result<Value, ExecError> {
    match pkg::provider(look)?.name() {
        "apt" => apt_sources(look),
        "dnf" | "yum" | "zypper" => ini_sources(look),
        other => Err(ExecError::failed(format!("pkg.list_repos is not built for {other}"))),
    }
}

fn below(look: &dyn Look, folder: &str, end: &str) -> Vec<String> {
    let names = look.list(folder.as_ref()).unwrap_or_default();
    names.into_iter().filter(|name| name.ends_with(end)).map(|name| format!("{folder}/{name}")).collect()
}

fn apt_sources(look: &dyn Look) -> Result<Value, ExecError> {
    let mut all = Map::new();
    let mut add = |uri: &str, entry: Map| {
        let mut known = all.get(uri).and_then(Value::as_list).unwrap_or_default().to_vec();
        known.push(entry.into());
        all.insert(uri, known);
    };
    let one_line =
        ["/etc/apt/sources.list".to_owned()].into_iter().chain(below(look, "/etc/apt/sources.list.d", ".list"));
    for file in one_line {
        for line in ask::text(look, &file)?.unwrap_or_default().lines() {
            let bare = line.trim();
            let disabled = bare.starts_with('#');
            let words = bare.trim_start_matches(['#', ' ']);
            let (Some(kind), rest) = (words.split_whitespace().next(), words.split_once(char::is_whitespace)) else {
                continue;
            };
            let Some((_, rest)) = rest.filter(|_| matches!(kind, "deb" | "deb-src")) else { continue };
            let (options, rest) = match rest.trim().strip_prefix('[').and_then(|rest| rest.split_once(']')) {
                Some((options, rest)) => (options.split_whitespace().collect::<Vec<_>>(), rest),
                None => (vec![], rest),
            };
            let mut words = rest.split_whitespace();
            let (Some(uri), Some(dist)) = (words.next(), words.next()) else { continue };
            let option = |key: &str| options.iter().find_map(|option| option.strip_prefix(key)).unwrap_or_default();
            let archs: Vec<&str> = option("arch=").split(',').filter(|arch| !arch.is_empty()).collect();
            let mut entry = Map::new();
            entry.insert("file", file.as_str());
            entry.insert("comps", words.collect::<Vec<_>>());
            entry.insert("disabled", disabled);
            entry.insert("dist", dist);
            entry.insert("type", kind);
            entry.insert("uri", uri);
            entry.insert("line", bare);
            entry.insert("architectures", archs);
            entry.insert("signedby", option("signed-by="));
            add(uri, entry);
        }
    }
    for file in below(look, "/etc/apt/sources.list.d", ".sources") {
        for stanza in ask::text(look, &file)?.unwrap_or_default().split("\n\n") {
            let field = |name: &str| -> Vec<String> {
                let lines = stanza.lines().filter(|line| !line.starts_with('#'));
                let found =
                    lines.filter_map(|line| line.split_once(':')).find(|(key, _)| key.eq_ignore_ascii_case(name));
                found.map(|(_, value)| value.split_whitespace().map(str::to_owned).collect()).unwrap_or_default()
            };
            for uri in field("URIs") {
                for dist in field("Suites") {
                    for kind in field("Types") {
                        let mut entry = Map::new();
                        entry.insert("file", file.as_str());
                        entry.insert("comps", field("Components"));
                        entry.insert("disabled", field("Enabled").first().is_some_and(|word| word == "no"));
                        entry.insert("dist", dist.as_str());
                        entry.insert("type", kind.as_str());
                        entry.insert("uri", uri.as_str());
                        entry.insert("line", format!("{kind} {uri} {dist} {}", field("Components").join(" ")));
                        entry.insert("architectures", field("Architectures"));
                        entry.insert("signedby", field("Signed-By").join(" "));
                        add(&uri, entry);
                    }
                }
            }
        }
    }
    Ok(all.into())
}

fn ini_sources(look: &dyn Look) -> Result<Value, ExecError> {
    let mut all = Map::new();
    for folder in ["/etc/yum.repos.d", "/etc/zypp/repos.d"] {
        for file in below(look, folder, ".repo") {
            let mut section: Option<(String, Map)> = None;
            for line in ask::text(look, &file)?.unwrap_or_default().lines().map(str::trim) {
                if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                    if let Some((name, entry)) = section.take() {
                        all.insert(name, entry);
                    }
                    section = Some((name.to_owned(), [("file", file.as_str())].into_iter().collect()));
                } else if let (Some((_, entry)), Some((key, value))) = (&mut section, line.split_once('='))
                    && !key.starts_with(['#', ';'])
                {
                    entry.insert(key.trim(), value.trim());
                }
            }
            if let Some((name, entry)) = section {
                all.insert(name, entry);
            }
        }
    }
    Ok(all.into())
}
