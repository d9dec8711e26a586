//! Packages by the names of the original's years: what Debian calls them today. Recipes are pushed unchanged, and many
//! name what no archive has had for years; such a name is replaced only where the machine's archives do not have it.

use corpus_core::{Command, Diagnostic, Look, LowChunk, LowState, Map, Value};
use corpus_master::Machine;
use std::collections::{BTreeMap, BTreeSet};

/// Old names, and today's; none where the thing is gone, or comes with another.
const TODAY: &[(&str, &[&str])] = &[
    ("apache2-mpm-event", &["apache2"]),
    ("apache2-mpm-prefork", &["apache2"]),
    ("apache2-mpm-worker", &["apache2"]),
    ("cython", &["cython3"]),
    ("fonts-droid", &["fonts-droid-fallback"]),
    ("libdb5.1-dev", &["libdb-dev"]),
    ("libgcrypt11-dev", &["libgcrypt20-dev"]),
    ("libgdal1-dev", &["libgdal-dev"]),
    ("libjpeg62-dev", &["libjpeg-dev"]),
    ("libmysqlclient-dev", &["default-libmysqlclient-dev"]),
    ("libopenjpeg-dev", &["libopenjp2-7-dev"]),
    ("libopenjpeg2", &["libopenjp2-7"]),
    ("libopenjpeg5", &["libopenjp2-7"]),
    ("libpng12-dev", &["libpng-dev"]),
    ("libreadline6-dev", &["libreadline-dev"]),
    ("libsqlite0-dev", &[]),
    ("libtiff4", &["libtiff6"]),
    ("libtiff4-dev", &["libtiff-dev"]),
    ("libtiff5", &["libtiff6"]),
    ("libwebp2", &["libwebp7"]),
    ("libwebp5", &["libwebp7"]),
    ("libwebp6", &["libwebp7"]),
    ("mysql-client", &["default-mysql-client"]),
    ("mysql-server", &["default-mysql-server"]),
    ("nodejs-legacy", &["nodejs"]),
    ("openjdk-6-jdk", &["default-jdk"]),
    ("openjdk-7-jdk", &["default-jdk"]),
    ("openjdk-7-jre", &["default-jre"]),
    ("openjdk-8-jdk", &["default-jdk"]),
    ("openjdk-8-jre", &["default-jre"]),
    ("php5", &["php"]),
    ("php5-json", &["php-common"]),
    ("php5-mcrypt", &[]),
    ("php5-mysqlnd", &["php-mysql"]),
    ("php5-sqlite", &["php-sqlite3"]),
    ("php5-xsl", &["php-xml"]),
    ("php-json", &["php-common"]),
    ("php7.0-json", &["php-common"]),
    ("python", &["python3"]),
    ("python-dbus-dev", &["python3-dbus"]),
    ("python-imaging", &["python3-pil"]),
    ("python-software-properties", &["software-properties-common"]),
    ("tcl8.4", &["tcl"]),
    ("tcl8.4-dev", &["tcl-dev"]),
    ("tcl8.5", &["tcl"]),
    ("tcl8.5-dev", &["tcl-dev"]),
    ("tk8.4-dev", &["tk-dev"]),
    ("tk8.5-dev", &["tk-dev"]),
    ("tomcat7", &["tomcat10"]),
    ("tomcat8", &["tomcat10"]),
    ("ttf-unifont", &["unifont"]),
];

/// Whole families that were renamed.
const FAMILIES: &[(&str, &str)] = &[
    ("python-", "python3-"),
    ("php5-", "php-"),
    ("php7.0-", "php-"),
    ("ttf-", "fonts-"),
    ("postgresql-9.", "postgresql"),
];

/// Names what a package is called today, if it has an old name.
fn today(name: &str) -> Option<Vec<String>> {
    if let Some((_, names)) = TODAY.iter().find(|(old, _)| *old == name) {
        return Some(names.iter().map(|name| (*name).to_owned()).collect());
    }
    let (head, new) = FAMILIES.iter().find(|(head, _)| name.starts_with(head))?;
    let rest = if head.ends_with('-') { &name[head.len()..] } else { "" };
    Some(vec![format!("{new}{rest}")])
}

/// Replaces old names in the states of packages, and says which.
pub fn renew(low: &mut LowState) -> Vec<Diagnostic> {
    let wanted: BTreeSet<String> = low.chunks.iter().filter(|chunk| concerns(chunk)).flat_map(named).collect();
    let old: BTreeMap<String, Vec<String>> =
        wanted.into_iter().filter_map(|name| today(&name).map(|names| (name, names))).collect();
    if old.is_empty() {
        return vec![];
    }
    let asked: Vec<&str> =
        old.iter().flat_map(|(name, names)| names.iter().chain([name])).map(String::as_str).collect();
    let Some(known) = available(&asked) else { return vec![] };
    let gone: BTreeMap<String, Vec<String>> = old
        .into_iter()
        .filter(|(name, names)| !known.contains(name) && names.iter().all(|name| known.contains(name)))
        .collect();
    if gone.is_empty() {
        return vec![];
    }
    for chunk in low.chunks.iter_mut().filter(|chunk| concerns(chunk)) {
        replace(chunk, &gone);
    }
    let list: Vec<String> = gone
        .iter()
        .map(
            |(name, names)| {
                if names.is_empty() { format!("{name} (dropped)") } else { format!("{name} → {}", names.join(" ")) }
            },
        )
        .collect();
    vec![Diagnostic::warning(format!("packages that are called otherwise today: {}", list.join(", ")))]
}

fn concerns(chunk: &LowChunk) -> bool {
    &*chunk.state == "pkg" && ["installed", "latest"].contains(&&*chunk.fun)
}

/// Lists the packages of a state; versions of theirs are none of ours.
fn named(chunk: &LowChunk) -> Vec<String> {
    match chunk.args.get("pkgs").and_then(Value::as_list) {
        Some(list) => list.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect(),
        None => chunk.name.as_str().map(str::to_owned).into_iter().collect(),
    }
}

fn replace(chunk: &mut LowChunk, gone: &BTreeMap<String, Vec<String>>) {
    let own = match chunk.args.get("pkgs").and_then(Value::as_list) {
        Some(list) => list.to_vec(),
        None => vec![chunk.name.clone()],
    };
    if !own.iter().any(|item| item.as_str().is_some_and(|name| gone.contains_key(name))) {
        return;
    }
    let mut out: Vec<Value> = vec![];
    for item in own {
        let new = item.as_str().and_then(|name| gone.get(name));
        for item in
            new.map_or_else(|| vec![item.clone()], |names| names.iter().map(|name| name.as_str().into()).collect())
        {
            if !out.contains(&item) {
                out.push(item);
            }
        }
    }
    let mut args = Map::new();
    args.insert("pkgs", Value::list(out));
    for (key, value) in chunk.args.iter().filter(|(key, _)| key.as_str() != Some("pkgs")) {
        args.0.insert(key.clone(), value.clone());
    }
    chunk.args = args;
}

/// Tells which of some packages the machine's archives have; `None` where it has no apt, or its lists were never
/// fetched.
fn available(names: &[&str]) -> Option<BTreeSet<String>> {
    let mut words = vec!["apt-cache", "policy"];
    words.extend(names);
    let command = Command::new(words).env("LC_ALL", "C");
    let output = Machine::new().query(&command).ok().filter(|output| output.code == 0)?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut known = BTreeSet::new();
    let mut name = "";
    for line in text.lines() {
        match line.strip_prefix("  Candidate: ") {
            Some("(none)") => {}
            Some(_) => _ = known.insert(name.to_owned()),
            None if !line.starts_with(' ') => name = line.trim_end_matches(':'),
            None => {}
        }
    }
    (!known.is_empty()).then_some(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_names_are_known_one_by_one_and_by_family() {
        assert_eq!(today("libtiff5"), Some(vec!["libtiff6".to_owned()]));
        assert_eq!(today("libsqlite0-dev"), Some(vec![]));
        assert_eq!(today("python-lxml"), Some(vec!["python3-lxml".to_owned()]));
        assert_eq!(today("postgresql-9.3"), Some(vec!["postgresql".to_owned()]));
        assert_eq!(today("nginx"), None);
    }

    #[test]
    fn a_state_keeps_what_is_not_gone_and_has_each_package_once() {
        let gone: BTreeMap<String, Vec<String>> = [
            ("tcl8.4".to_owned(), vec!["tcl".to_owned()]),
            ("tcl8.5".to_owned(), vec!["tcl".to_owned()]),
            ("libsqlite0-dev".to_owned(), vec![]),
        ]
        .into();
        let pkgs = Value::from(vec!["git", "tcl8.4", "tcl8.5", "libsqlite0-dev"]);
        let mut chunk = LowChunk {
            state: "pkg".into(),
            fun: "installed".into(),
            name: "all".into(),
            args: [("refresh", Value::Bool(true)), ("pkgs", pkgs)].into_iter().collect(),
            ..LowChunk::default()
        };
        replace(&mut chunk, &gone);
        assert_eq!(chunk.args.get("pkgs"), Some(&Value::from(vec!["git", "tcl"])));
        assert_eq!(chunk.args.get("refresh"), Some(&Value::Bool(true)));
        let mut single = LowChunk { name: "tcl8.5".into(), args: Map::new(), ..chunk };
        replace(&mut single, &gone);
        assert_eq!((single.name.as_str(), single.args.get("pkgs")), (Some("tcl8.5"), Some(&Value::from(vec!["tcl"]))));
    }
}
