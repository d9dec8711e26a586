//! Alpine: apk's database of installed packages is read directly.

use super::{Installed, Options, Packages};
use crate::ask;
use corpus_core::host::{Command, HostError, HostResult, Look};
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

/// apk.
pub struct Apk;

const DATABASES: [&str; 2] = ["/lib/apk/db/installed", "/usr/lib/apk/db/installed"];

fn parse(text: &str) -> Installed {
    let mut all = Installed::default();
    let (mut name, mut version) = ("", "");
    for line in text.lines().chain([""]) {
        if line.is_empty() {
            if !name.is_empty() {
                all.versions.insert(name.into(), vec![version.into()]);
            }
            (name, version) = ("", "");
        } else if let Some(text) = line.strip_prefix("P:") {
            name = text;
        } else if let Some(text) = line.strip_prefix("V:") {
            version = text;
        } else if let Some(provided) = line.strip_prefix("p:") {
            for item in provided.split_whitespace() {
                let item = item.split('=').next().unwrap_or(item);
                all.provides.entry(item.into()).or_default().push(name.into());
            }
        }
    }
    all
}

/// Takes `name-1.2-r3` apart.
fn split(text: &str) -> Option<(&str, &str)> {
    let release = text.rfind("-r")?;
    let version = text[..release].rfind('-')?;
    Some((&text[..version], &text[version + 1..]))
}

fn apk(words: &[&str], names: impl IntoIterator<Item = String>) -> Command {
    let mut command = Command::new(["apk", "--no-progress"]);
    command.argv.extend(words.iter().map(|word| (*word).to_owned()));
    command.argv.extend(names);
    command
}

impl Packages for Apk {
    fn name(&self) -> &'static str {
        "apk"
    }

    fn installed(&self, look: &dyn Look) -> HostResult<Arc<Installed>> {
        let path = DATABASES.into_iter().find(|path| ask::exists(look, path)).unwrap_or(DATABASES[0]);
        let stamp = ask::stamp(look, path)?;
        ask::remembered(look, "pkg:apk", &stamp, || Ok(parse(&ask::text(look, path)?.unwrap_or_default())))
    }

    fn candidates(&self, look: &dyn Look, names: &[String], _: &Options) -> HostResult<BTreeMap<String, String>> {
        let text = look.query(&apk(&["search", "-x"], names.iter().cloned()))?.stdout_text();
        Ok(text.lines().filter_map(split).map(|(name, version)| (name.into(), version.into())).collect())
    }

    fn compare(&self, look: &dyn Look, a: &str, b: &str) -> Ordering {
        if a == b {
            return Ordering::Equal;
        }
        match look.query(&apk(&["version", "-t"], [a.to_owned(), b.to_owned()])) {
            Ok(output) => match output.stdout_text().trim() {
                "<" => Ordering::Less,
                ">" => Ordering::Greater,
                _ => Ordering::Equal,
            },
            Err(_) => super::version::rpm_part(a, b),
        }
    }

    fn install(&self, packages: &[(String, Option<String>)], options: &Options) -> Vec<Command> {
        let names = packages.iter().map(|(name, version)| match version {
            Some(version) => format!("{name}={version}"),
            None => name.clone(),
        });
        let mut words = vec!["add"];
        if options.skip_verify {
            words.push("--allow-untrusted");
        }
        if options.only_upgrade {
            words.push("--upgrade");
        }
        vec![apk(&words, names)]
    }

    fn install_files(&self, paths: &[String], options: &Options) -> Vec<Command> {
        let words: &[&str] = if options.skip_verify { &["add", "--allow-untrusted"] } else { &["add"] };
        vec![apk(words, paths.iter().cloned())]
    }

    fn remove(&self, names: &[String], purge: bool) -> Vec<Command> {
        let words: &[&str] = if purge { &["del", "--purge"] } else { &["del"] };
        vec![apk(words, names.iter().cloned())]
    }

    fn refresh(&self) -> Command {
        apk(&["update"], [])
    }

    fn lists(&self) -> &'static str {
        "/var/cache/apk"
    }

    fn upgrade(&self, _: &Options, _: bool) -> Vec<Command> {
        vec![apk(&["upgrade"], [])]
    }

    fn upgrades(&self, look: &dyn Look) -> HostResult<BTreeMap<String, String>> {
        let text = ask::output(look, &apk(&["upgrade", "-s"], []))?;
        // (1/2) Upgrading musl (1.2.4-r0 -> 1.2.4-r1)
        Ok(text
            .lines()
            .filter_map(|line| {
                let (_, rest) = line.split_once("Upgrading ")?;
                let (name, versions) = rest.split_once(" (")?;
                Some((name.to_owned(), versions.split_once("-> ")?.1.trim_end_matches(')').to_owned()))
            })
            .collect())
    }

    fn hold(&self, _: &[String], _: bool) -> HostResult<Vec<Command>> {
        Err(HostError::other("hold packages", "apk cannot hold packages; pin a version instead (`name=1.2-r3`)"))
    }

    fn owner(&self, path: &str) -> Command {
        apk(&["info", "--who-owns", "-q"], [path.to_owned()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_database() {
        let all = parse("C:Q1\nP:musl\nV:1.2.4-r2\np:so:libc.musl=1\n\nP:busybox\nV:1.36-r1\n");
        assert_eq!(all.version("musl").as_deref(), Some("1.2.4-r2"));
        assert_eq!(all.version("busybox").as_deref(), Some("1.36-r1"));
        assert_eq!(all.provides["so:libc.musl"], ["musl"]);
        assert_eq!(split("py3-yaml-6.0-r3"), Some(("py3-yaml", "6.0-r3")));
    }
}
