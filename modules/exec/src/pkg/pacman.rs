//! Arch: pacman's local database is a folder per package.

use super::{Installed, Options, Packages, version};
use crate::ask;
use corpus_core::host::{Command, HostError, HostResult, Look};
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

/// pacman.
pub struct Pacman;

const LOCAL: &str = "/var/lib/pacman/local";

fn pacman(words: &[&str], names: impl IntoIterator<Item = String>) -> Command {
    let mut command = Command::new(["pacman"]);
    command.argv.extend(words.iter().map(|word| (*word).to_owned()));
    command.argv.extend(names);
    command
}

/// Takes `name-1.2-3` apart: the last two parts are version and release.
fn split(folder: &str) -> Option<(&str, &str)> {
    let release = folder.rfind('-')?;
    let version = folder[..release].rfind('-')?;
    Some((&folder[..version], &folder[version + 1..]))
}

impl Packages for Pacman {
    fn name(&self) -> &'static str {
        "pacman"
    }

    fn installed(&self, look: &dyn Look) -> HostResult<Arc<Installed>> {
        let stamp = ask::stamp(look, LOCAL)?;
        ask::remembered(look, "pkg:pacman", &stamp, || {
            let mut all = Installed::default();
            // Before the first installation there is no folder.
            let folders = look.list(LOCAL.as_ref());
            for folder in folders.or_else(|error| if error.is_missing() { Ok(vec![]) } else { Err(error) })? {
                if let Some((name, version)) = split(&folder) {
                    all.versions.insert(name.into(), vec![version.into()]);
                }
            }
            Ok(all)
        })
    }

    fn candidates(&self, look: &dyn Look, names: &[String], _: &Options) -> HostResult<BTreeMap<String, String>> {
        let text = look.query(&pacman(&["-Sp", "--print-format", "%n %v"], names.iter().cloned()))?.stdout_text();
        Ok(text.lines().filter_map(|line| line.split_once(' ')).map(|(n, v)| (n.into(), v.into())).collect())
    }

    fn compare(&self, _: &dyn Look, a: &str, b: &str) -> Ordering {
        version::rpm(a, b)
    }

    fn install(&self, packages: &[(String, Option<String>)], options: &Options) -> Vec<Command> {
        let names = packages.iter().map(|(name, version)| match version {
            Some(version) => format!("{name}={version}"),
            None => name.clone(),
        });
        let mut words = vec!["-S", "--noprogressbar", "--noconfirm"];
        if !options.reinstall {
            words.push("--needed");
        }
        vec![pacman(&words, names)]
    }

    fn install_files(&self, paths: &[String], _: &Options) -> Vec<Command> {
        vec![pacman(&["-U", "--noprogressbar", "--noconfirm"], paths.iter().cloned())]
    }

    fn remove(&self, names: &[String], purge: bool) -> Vec<Command> {
        vec![pacman(&[if purge { "-Rsc" } else { "-R" }, "--noprogressbar", "--noconfirm"], names.iter().cloned())]
    }

    fn refresh(&self) -> Command {
        pacman(&["-Sy", "--noprogressbar"], [])
    }

    fn lists(&self) -> &'static str {
        "/var/lib/pacman/sync"
    }

    fn upgrade(&self, _: &Options, _: bool) -> Vec<Command> {
        vec![pacman(&["-Su", "--noprogressbar", "--noconfirm"], [])]
    }

    fn upgrades(&self, look: &dyn Look) -> HostResult<BTreeMap<String, String>> {
        // Ends with 1 when there are none.
        let text = look.query(&pacman(&["-Qu"], []))?.stdout_text();
        Ok(text
            .lines()
            .filter_map(|line| Some((line.split(' ').next()?.to_owned(), line.rsplit(' ').next()?.to_owned())))
            .collect())
    }

    fn hold(&self, _: &[String], _: bool) -> HostResult<Vec<Command>> {
        Err(HostError::other(
            "hold packages",
            "pacman holds packages by `IgnorePkg` in /etc/pacman.conf; manage that file",
        ))
    }

    fn owner(&self, path: &str) -> Command {
        pacman(&["-Qqo"], [path.to_owned()])
    }
}
