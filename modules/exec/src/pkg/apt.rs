//! Debian and its kin: dpkg's status file is read directly; `apt-get` and `apt-cache` do the rest.

use super::{Installed, Options, Packages, version};
use crate::ask;
use corpus_core::host::{Command, HostResult, Look};
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

/// apt.
pub struct Apt;

const STATUS: &str = "/var/lib/dpkg/status";

/// Reads dpkg's status file.
pub fn parse_status(text: &str) -> Installed {
    let mut all = Installed::default();
    let mut entry = Entry::default();
    for line in text.lines() {
        if line.is_empty() {
            entry.file(&mut all);
            entry = Entry::default();
            continue;
        }
        // Continuation lines and unknown fields cost one comparison.
        match line.as_bytes()[0] {
            b'P' => {
                if let Some(name) = line.strip_prefix("Package: ") {
                    entry.name = name;
                } else if let Some(names) = line.strip_prefix("Provides: ") {
                    entry.provides = names;
                }
            }
            b'S' => {
                if let Some(status) = line.strip_prefix("Status: ") {
                    entry.status = status;
                }
            }
            b'V' => {
                if let Some(version) = line.strip_prefix("Version: ") {
                    entry.version = version;
                }
            }
            b'A' => {
                if let Some(arch) = line.strip_prefix("Architecture: ") {
                    entry.arch = arch;
                }
            }
            _ => {}
        }
    }
    entry.file(&mut all);
    all
}

#[derive(Default)]
struct Entry<'a> {
    name: &'a str,
    status: &'a str,
    version: &'a str,
    arch: &'a str,
    provides: &'a str,
}

/// The architecture this program was built for is the machine's: packages of it carry no suffix.
fn native(arch: &str) -> bool {
    let own = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "i386",
        "arm" => "armhf",
        "powerpc64" => "ppc64el",
        other => other,
    };
    arch == own || arch == "all" || arch.is_empty()
}

impl Entry<'_> {
    fn file(&self, all: &mut Installed) {
        if self.name.is_empty() || self.version.is_empty() {
            return;
        }
        let name = if native(self.arch) { self.name.to_owned() } else { format!("{}:{}", self.name, self.arch) };
        let (want, state) = self.status.split_once(' ').unwrap_or_default();
        let state = state.rsplit(' ').next().unwrap_or_default();
        match state {
            "installed" => {
                if want == "hold" {
                    all.held.push(name.clone());
                }
                for provided in self.provides.split(',').filter_map(|item| item.split_whitespace().next()) {
                    all.provides.entry(provided.into()).or_default().push(name.clone());
                }
                all.versions.insert(name, vec![self.version.into()]);
            }
            "config-files" => _ = all.residual.insert(name, self.version.into()),
            // Half-installed, unpacked, triggers pending: Salt counts only what is installed.
            "triggers-pending" | "triggers-awaited" => _ = all.versions.insert(name, vec![self.version.into()]),
            _ => {}
        }
    }
}

fn apt_get(options: &Options) -> Command {
    let mut argv: Vec<String> = ["apt-get", "-q", "-y"].map(str::to_owned).into();
    let conf: &[&str] = if options.force_conf_new {
        &["DPkg::Options::=--force-confnew"]
    } else {
        &["DPkg::Options::=--force-confold", "DPkg::Options::=--force-confdef"]
    };
    for option in conf {
        argv.extend(["-o".to_owned(), (*option).to_owned()]);
    }
    match options.recommends {
        Some(true) => argv.push("--install-recommends".into()),
        Some(false) => argv.push("--no-install-recommends".into()),
        None => {}
    }
    if options.only_upgrade {
        argv.push("--only-upgrade".into());
    }
    if options.skip_verify {
        argv.push("--allow-unauthenticated".into());
    }
    if options.download_only {
        argv.push("--download-only".into());
    }
    if options.reinstall {
        argv.push("--reinstall".into());
    }
    if options.update_holds {
        argv.push("--allow-change-held-packages".into());
    }
    if let Some(repo) = &options.fromrepo {
        argv.extend(["-t".into(), repo.clone()]);
    }
    quiet(Command::new(argv))
}

fn quiet(command: Command) -> Command {
    command
        .env("DEBIAN_FRONTEND", "noninteractive")
        .env("APT_LISTCHANGES_FRONTEND", "none")
        .env("APT_LISTBUGS_FRONTEND", "none")
        .env("UCF_FORCE_CONFFOLD", "1")
        .env("LC_ALL", "C.UTF-8")
}

impl Packages for Apt {
    fn name(&self) -> &'static str {
        "apt"
    }

    fn installed(&self, look: &dyn Look) -> HostResult<Arc<Installed>> {
        let stamp = ask::stamp(look, STATUS)?;
        ask::remembered(look, "pkg:dpkg", &stamp, || Ok(parse_status(&ask::text(look, STATUS)?.unwrap_or_default())))
    }

    fn candidates(&self, look: &dyn Look, names: &[String], options: &Options) -> HostResult<BTreeMap<String, String>> {
        let mut argv: Vec<String> = vec!["apt-cache".into()];
        if let Some(repo) = &options.fromrepo {
            argv.extend(["-o".into(), format!("APT::Default-Release={repo}")]);
        }
        argv.push("policy".into());
        argv.extend(names.iter().cloned());
        let text = ask::output(look, &Command::new(argv).env("LC_ALL", "C"))?;
        let (mut found, mut name) = (BTreeMap::new(), "");
        for line in text.lines() {
            if let Some(version) = line.trim().strip_prefix("Candidate: ") {
                if version != "(none)" {
                    found.insert(name.to_owned(), version.to_owned());
                }
            } else if !line.starts_with(' ') {
                name = line.trim_end_matches(':');
            }
        }
        Ok(found)
    }

    fn compare(&self, _: &dyn Look, a: &str, b: &str) -> Ordering {
        version::debian(a, b)
    }

    fn install(&self, packages: &[(String, Option<String>)], options: &Options) -> Vec<Command> {
        let mut command = apt_get(options);
        if packages.iter().any(|(_, version)| version.is_some()) {
            command.argv.push("--allow-downgrades".into());
        }
        command.argv.push("install".into());
        command.argv.extend(packages.iter().map(|(name, version)| match version {
            Some(version) => format!("{name}={version}"),
            None => name.clone(),
        }));
        vec![command]
    }

    fn install_files(&self, paths: &[String], options: &Options) -> Vec<Command> {
        let mut command = apt_get(options);
        command.argv.extend(["--allow-downgrades".into(), "install".into()]);
        command.argv.extend(paths.iter().cloned());
        vec![command]
    }

    fn remove(&self, names: &[String], purge: bool) -> Vec<Command> {
        let verb = if purge { "purge" } else { "remove" };
        let mut command = quiet(Command::new(["apt-get", "-q", "-y", verb]));
        command.argv.extend(names.iter().cloned());
        vec![command]
    }

    fn refresh(&self) -> Command {
        quiet(Command::new(["apt-get", "-q", "update"]))
    }

    fn lists(&self) -> &'static str {
        "/var/lib/apt/lists/partial"
    }

    fn has_lists(&self, look: &dyn Look) -> bool {
        // Compressed lists have an ending of their own.
        look.list("/var/lib/apt/lists".as_ref())
            .is_ok_and(|names| names.iter().any(|name| name.contains("_Packages") || name.contains("_Release")))
    }

    fn upgrade(&self, options: &Options, dist: bool) -> Vec<Command> {
        let mut command = apt_get(options);
        command.argv.push(if dist { "dist-upgrade" } else { "upgrade" }.into());
        vec![command]
    }

    fn upgrades(&self, look: &dyn Look) -> HostResult<BTreeMap<String, String>> {
        let text = ask::output(look, &Command::new(["apt-get", "--just-print", "dist-upgrade"]).env("LC_ALL", "C"))?;
        // Inst vim [2:9.0.1] (2:9.0.2 Debian:12 [amd64])
        Ok(text
            .lines()
            .filter_map(|line| {
                let mut words = line.strip_prefix("Inst ")?.split_whitespace();
                let name = words.next()?;
                let version = words.find_map(|word| word.strip_prefix('('))?;
                Some((name.to_owned(), version.to_owned()))
            })
            .collect())
    }

    fn hold(&self, names: &[String], held: bool) -> HostResult<Vec<Command>> {
        let mut command = Command::new(["apt-mark", if held { "hold" } else { "unhold" }]);
        command.argv.extend(names.iter().cloned());
        Ok(vec![command])
    }

    fn downloaded(&self, look: &dyn Look) -> HostResult<BTreeMap<String, Vec<String>>> {
        let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let names = match look.list("/var/cache/apt/archives".as_ref()) {
            Err(error) if error.is_missing() => vec![],
            names => names?,
        };
        // apt names them name_version_arch.deb; a colon is written %3a.
        for name in names.iter().filter_map(|name| name.strip_suffix(".deb")) {
            if let [name, version, _] = name.split('_').collect::<Vec<_>>()[..] {
                all.entry(name.into()).or_default().push(version.replace("%3a", ":"));
            }
        }
        Ok(all)
    }

    fn owner(&self, path: &str) -> Command {
        Command::new(["dpkg-query", "-S", path])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use corpus_core::fake::Fake;

    const SAMPLE: &str = "Package: vim\nStatus: install ok installed\nArchitecture: all\nVersion: 2:9.0\n\
        Provides: editor, vim-runtime (= 2:9.0)\nDescription: text\n Package: not this\n\nPackage: gone\n\
        Status: deinstall ok config-files\nArchitecture: all\nVersion: 1.0\n\nPackage: kept\n\
        Status: hold ok installed\nArchitecture: all\nVersion: 3\n\nPackage: half\nStatus: install ok unpacked\n\
        Version: 4\n";

    #[test]
    fn reads_the_status_file() {
        let all = parse_status(SAMPLE);
        assert_eq!(all.versions.keys().collect::<Vec<_>>(), ["kept", "vim"]);
        assert_eq!(all.version("vim").as_deref(), Some("2:9.0"));
        assert_eq!(all.residual.get("gone").map(String::as_str), Some("1.0"));
        assert_eq!(all.held, ["kept"]);
        assert_eq!(all.provides["editor"], ["vim"]);
    }

    #[test]
    fn reads_what_apt_offers() {
        let fake = Fake::new();
        fake.answer(
            "apt-cache policy vim nothing",
            0,
            "vim:\n  Installed: (none)\n  Candidate: 2:9.0.1378-2\n  Version table:\n     2:9.0.1378-2 500\n\
             nothing:\n  Installed: (none)\n  Candidate: (none)\n",
        );
        let names = ["vim".to_owned(), "nothing".to_owned()];
        let found = Apt.candidates(&fake, &names, &Options::default()).expect("answered");
        assert_eq!(found.into_iter().collect::<Vec<_>>(), [("vim".into(), "2:9.0.1378-2".into())]);
    }
}
