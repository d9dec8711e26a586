//! RPM and its front ends: dnf, yum, zypper. One `rpm -qa` tells what is installed.

use super::{Installed, Options, Packages, version};
use crate::ask;
use corpus_core::host::{Command, HostError, HostResult, Look};
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A front end of RPM.
pub struct Rpm {
    program: &'static str,
}

pub const DNF: Rpm = Rpm { program: "dnf" };
pub const YUM: Rpm = Rpm { program: "yum" };
pub const ZYPPER: Rpm = Rpm { program: "zypper" };

const FORMAT: &str = "%{NAME} %|EPOCH?{%{EPOCH}:}:{}|%{VERSION}-%{RELEASE} %{ARCH}\n";
const DATABASES: [&str; 4] = [
    "/var/lib/rpm/rpmdb.sqlite",
    "/usr/lib/sysimage/rpm/rpmdb.sqlite",
    "/usr/lib/sysimage/rpm/Packages.db",
    "/var/lib/rpm/Packages",
];

impl Rpm {
    fn zypper(&self) -> bool {
        self.program == "zypper"
    }

    fn base(&self, options: &Options) -> Command {
        let mut argv: Vec<String> = vec![self.program.into()];
        if self.zypper() {
            argv.push("--non-interactive".into());
            if options.skip_verify {
                argv.push("--no-gpg-checks".into());
            }
        } else {
            argv.push("-y".into());
            if options.skip_verify {
                argv.push("--nogpgcheck".into());
            }
            let repos = [("--disablerepo", &options.disablerepo), ("--enablerepo", &options.enablerepo)];
            argv.extend(repos.iter().filter_map(|(flag, repo)| Some(format!("{flag}={}", repo.as_ref()?))));
            if let Some(repo) = &options.fromrepo {
                argv.extend(["--disablerepo=*".into(), format!("--enablerepo={repo}")]);
            }
            argv.extend(options.setopt.iter().map(|option| format!("--setopt={option}")));
            if options.recommends == Some(false) && self.program == "dnf" {
                argv.push("--setopt=install_weak_deps=False".into());
            }
        }
        Command::new(argv).env("LC_ALL", "C.UTF-8")
    }
}

impl Packages for Rpm {
    fn name(&self) -> &'static str {
        self.program
    }

    fn installed(&self, look: &dyn Look) -> HostResult<Arc<Installed>> {
        let mut stamp = String::new();
        for path in DATABASES {
            stamp += &ask::stamp(look, path)?;
            // The last writes may still be in the log beside the database.
            stamp += &ask::stamp(look, format!("{path}-wal"))?;
        }
        let read = || -> HostResult<Installed> {
            let text = ask::output(look, &Command::new(["rpm", "-qa", "--queryformat", FORMAT]))?;
            let mut all = Installed::default();
            for line in text.lines() {
                if let [name, version, _arch] = line.split(' ').collect::<Vec<_>>()[..]
                    && name != "gpg-pubkey"
                {
                    let versions = all.versions.entry(name.into()).or_default();
                    if !versions.iter().any(|have| have == version) {
                        versions.push(version.into());
                    }
                }
            }
            for versions in all.versions.values_mut() {
                versions.sort_by(|a, b| version::rpm(a, b));
            }
            Ok(all)
        };
        // A database that lies elsewhere tells nobody when it changes: Debian's rpm keeps it in the user's home.
        if stamp.contains(':') { ask::remembered(look, "pkg:rpm", &stamp, read) } else { read().map(Arc::new) }
    }

    fn candidates(&self, look: &dyn Look, names: &[String], options: &Options) -> HostResult<BTreeMap<String, String>> {
        let mut found: BTreeMap<String, String> = BTreeMap::new();
        if self.zypper() {
            let mut command = Command::new(["zypper", "--non-interactive", "--no-refresh", "info"]);
            command.argv.extend(names.iter().cloned());
            let text = look.query(&command.env("LC_ALL", "C"))?.stdout_text();
            let mut name = String::new();
            for (key, value) in text.lines().filter_map(|line| line.split_once(':')) {
                match key.trim() {
                    "Name" => name = value.trim().into(),
                    "Version" => _ = found.insert(name.clone(), value.trim().into()),
                    _ => {}
                }
            }
            return Ok(found);
        }
        let mut command = self.base(options);
        command.argv.extend(["--quiet".into(), "--showduplicates".into(), "list".into()]);
        command.argv.extend(names.iter().cloned());
        // Ends with 1 when one of the names is unknown; the others are listed all the same.
        for line in look.query(&command)?.stdout_text().lines() {
            if let [name, version, _repo] = line.split_whitespace().collect::<Vec<_>>()[..]
                && let Some((name, _arch)) = name.rsplit_once('.')
            {
                let best = found.entry(name.into()).or_insert_with(|| version.into());
                if version::rpm(version, best) == Ordering::Greater {
                    *best = version.into();
                }
            }
        }
        Ok(found)
    }

    fn compare(&self, _: &dyn Look, a: &str, b: &str) -> Ordering {
        version::rpm(a, b)
    }

    fn install(&self, packages: &[(String, Option<String>)], options: &Options) -> Vec<Command> {
        let mut command = self.base(options);
        let verb = match (options.reinstall, options.only_upgrade, options.download_only) {
            (true, ..) if self.zypper() => "install",
            (true, ..) => "reinstall",
            (_, true, _) => "update",
            _ => "install",
        };
        command.argv.push(verb.into());
        if options.download_only {
            command.argv.push(if self.zypper() { "--download-only" } else { "--downloadonly" }.into());
        }
        if self.zypper() {
            command.argv.push("--auto-agree-with-licenses".into());
            if options.reinstall {
                command.argv.push("--force".into());
            }
            match options.recommends {
                Some(true) => command.argv.push("--recommends".into()),
                Some(false) => command.argv.push("--no-recommends".into()),
                None => {}
            }
            if let Some(repo) = &options.fromrepo {
                command.argv.extend(["--from".into(), repo.clone()]);
            }
        }
        command.argv.extend(packages.iter().map(|(name, version)| match version {
            Some(version) if self.zypper() => format!("{name}={version}"),
            // An epoch stands before the name's version on this command line, and only there.
            Some(version) => format!("{name}-{}", version.split_once(':').map_or(version.as_str(), |(_, rest)| rest)),
            None => name.clone(),
        }));
        vec![command]
    }

    fn install_files(&self, paths: &[String], options: &Options) -> Vec<Command> {
        let mut command = self.base(options);
        command.argv.push("install".into());
        command.argv.extend(paths.iter().cloned());
        vec![command]
    }

    fn remove(&self, names: &[String], _purge: bool) -> Vec<Command> {
        let mut command = self.base(&Options::default());
        command.argv.push("remove".into());
        command.argv.extend(names.iter().cloned());
        vec![command]
    }

    fn refresh(&self) -> Command {
        if self.zypper() {
            Command::new(["zypper", "--non-interactive", "refresh", "--force"])
        } else {
            Command::new([self.program, "-q", "-y", "makecache"])
        }
    }

    fn lists(&self) -> &'static str {
        match self.program {
            "zypper" => "/var/cache/zypp/solv",
            "dnf" => "/var/cache/dnf",
            _ => "/var/cache/yum",
        }
    }

    fn upgrade(&self, options: &Options, dist: bool) -> Vec<Command> {
        let mut command = self.base(options);
        command.argv.push(
            if self.zypper() && dist {
                "dist-upgrade"
            } else if self.zypper() {
                "update"
            } else {
                "upgrade"
            }
            .into(),
        );
        vec![command]
    }

    fn upgrades(&self, look: &dyn Look) -> HostResult<BTreeMap<String, String>> {
        let mut found = BTreeMap::new();
        if self.zypper() {
            let text =
                ask::output(look, &Command::new(["zypper", "--non-interactive", "list-updates"]).env("LC_ALL", "C"))?;
            for line in text.lines() {
                if let [_, _, name, _, version, _] = line.split('|').map(str::trim).collect::<Vec<_>>()[..]
                    && name != "Name"
                {
                    found.insert(name.into(), version.into());
                }
            }
            return Ok(found);
        }
        // 100 says "there are some".
        let output = look.query(&Command::new([self.program, "-q", "check-update"]).env("LC_ALL", "C"))?;
        for line in output.stdout_text().lines().take_while(|line| !line.starts_with("Obsoleting")) {
            if let [name, version, _] = line.split_whitespace().collect::<Vec<_>>()[..]
                && let Some((name, _)) = name.rsplit_once('.')
            {
                found.insert(name.into(), version.into());
            }
        }
        Ok(found)
    }

    fn hold(&self, names: &[String], held: bool) -> HostResult<Vec<Command>> {
        let mut command = if self.zypper() {
            Command::new(["zypper", "--non-interactive", if held { "addlock" } else { "removelock" }])
        } else if self.program == "dnf" {
            Command::new(["dnf", "versionlock", if held { "add" } else { "delete" }])
        } else {
            Command::new(["yum", "versionlock", if held { "add" } else { "delete" }])
        };
        if names.is_empty() {
            return Err(HostError::other("hold packages", "no names given"));
        }
        command.argv.extend(names.iter().cloned());
        Ok(vec![command])
    }

    fn downloaded(&self, look: &dyn Look) -> HostResult<BTreeMap<String, Vec<String>>> {
        let folder =
            if self.zypper() { "/var/cache/zypp/packages".to_owned() } else { format!("/var/cache/{}", self.name()) };
        let mut command = Command::new([
            "rpm",
            "-qp",
            "--nosignature",
            "--qf",
            "%{NAME} %|EPOCH?{%{EPOCH}:}|%{VERSION}-%{RELEASE}\n",
        ]);
        if look.stat(folder.as_ref())?.is_none() {
            return Ok(BTreeMap::new());
        }
        let files = crate::file::walk::below(look, folder.as_ref(), None)?;
        let files =
            files.into_iter().map(|found| found.path.display().to_string()).filter(|path| path.ends_with(".rpm"));
        command.argv.extend(files);
        let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
        if command.argv.last().is_some_and(|path| path.ends_with(".rpm")) {
            for line in ask::output(look, &command)?.lines() {
                if let Some((name, version)) = line.split_once(' ') {
                    all.entry(name.into()).or_default().push(version.into());
                }
            }
        }
        Ok(all)
    }

    fn owner(&self, path: &str) -> Command {
        Command::new(["rpm", "-qf", "--queryformat", "%{NAME}\n", path])
    }
}
