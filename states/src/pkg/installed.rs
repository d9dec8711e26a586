//! `pkg.installed`

use super::shared::{self, Given};
use corpus_core::decode::OneOrMany;
use corpus_core::source::{FileOrigin, FileRequest};
use corpus_core::{Observed, Plan, PlanCx, Prediction, Settled, State, StateError, Value, python};
use corpus_exec::pkg::{self, Options, Packages, Wanted};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Keeps packages installed, in any version or in the one asked for.
///
/// ```sls
/// web server:
///   pkg.installed:
///     - pkgs:
///       - nginx
///       - openssl: '>=3.0'
/// ```
#[derive(Deserialize)]
pub struct Installed {
    /// The package, unless `pkgs` or `sources` list several.
    pub name: String,
    /// The version: exact, with `*`, or a comparison like `>=1.2`.
    pub version: Option<String>,
    /// Packages, each with a version or not.
    pub pkgs: Option<Vec<Value>>,
    /// Package files, each under its package's name: `salt://…`, a URL, or a path of this machine.
    pub sources: Option<Vec<Value>>,
    /// Fetch the lists before an installation: always, never, or when they are old.
    pub refresh: Option<bool>,
    /// Repository or release to take packages from.
    pub fromrepo: Option<String>,
    /// Install what is not signed.
    #[serde(default)]
    pub skip_verify: bool,
    /// Accepted for Salt's sake: no suggestions are looked up.
    pub skip_suggestions: Option<Value>,
    /// Install recommended packages, too.
    pub install_recommends: Option<bool>,
    /// Upgrade what is installed, but install nothing new.
    #[serde(default)]
    pub only_upgrade: bool,
    /// Hold the packages back from upgrades afterwards, or let them go.
    pub hold: Option<bool>,
    /// Change packages that are held.
    #[serde(default)]
    pub update_holds: bool,
    /// Install again what is installed.
    #[serde(default)]
    pub reinstall: bool,
    /// Be content with a newer version than the one asked for.
    #[serde(default)]
    pub allow_updates: bool,
    /// Accepted for Salt's sake: names are taken as written.
    pub normalize: Option<Value>,
    /// Compare versions without their epoch.
    #[serde(default)]
    pub ignore_epoch: bool,
    /// Be content when another package provides the name.
    #[serde(default)]
    pub resolve_capabilities: bool,
    /// Take new configuration files instead of keeping the machine's.
    #[serde(default)]
    pub force_conf_new: bool,
    /// Repository to switch on for this installation.
    pub enablerepo: Option<String>,
    /// Repository to switch off for this installation.
    pub disablerepo: Option<String>,
    /// Settings of dnf or yum for this installation.
    #[serde(default)]
    pub setopt: OneOrMany<String>,
    /// Accepted for Salt's sake.
    pub cache_valid_time: Option<Value>,
    /// Not built: installed files are not compared with the package.
    pub pkg_verify: Option<Value>,
}

impl State for Installed {
    const NAME: &'static str = "pkg.installed";
    const WATCHES: bool = true;
    const OPEN: bool = true;

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        if self.pkg_verify.as_ref().is_some_and(Value::truthy) {
            return Err(StateError::failed("pkg.verify not implemented"));
        }
        let empty = |list: &Option<Vec<Value>>| list.as_ref().is_some_and(Vec::is_empty);
        if empty(&self.pkgs) || empty(&self.sources) {
            return Ok(Plan::unchanged("No packages to install provided"));
        }
        let packages = shared::provider(cx)?;
        match &self.sources {
            Some(sources) => self.plan_sources(cx, packages, sources),
            None => self.plan_packages(cx, packages),
        }
    }

    fn settle(&self, plan: &Plan, seen: &[Observed], cx: &PlanCx<'_>) -> Result<Settled, StateError> {
        if plan.steps.is_empty() {
            return Ok(Settled::as_planned(plan));
        }
        let packages = shared::provider(cx)?;
        let (mut changes, after, failure) = shared::outcome(cx, plan, seen)?;
        if !plan.did.is_empty() && failure.is_none() {
            // Only held or let go: every package was there already.
            return Ok(Settled::as_planned(plan));
        }
        let wanted = self.asked()?;
        let (mut modified, mut present, mut failed, mut again) = (vec![], vec![], vec![], vec![]);
        for want in &wanted {
            let good = self.is_satisfied(cx, packages, &after, want);
            let target = plan.changes.contains(&want.name);
            match (good, target) {
                (true, true) if self.reinstall && changes.get_value(&Value::str(&want.name)).is_none() => {
                    again.push(format!("Package {} was reinstalled.", want.show()));
                }
                (true, true) if want.version.as_deref() == Some("latest") => {
                    modified.push(format!("{}={}", want.name, after.version(&want.name).unwrap_or_default()));
                }
                (true, true) => modified.push(want.show()),
                (true, false) => present.push(want.show()),
                (false, _) => failed.push(want.show()),
            }
        }
        if self.reinstall || self.hold.is_some() {
            // What a reinstallation or a hold changes is not seen in versions.
            for (key, value) in &plan.changes {
                if changes.get_value(key).is_none() {
                    changes.0.insert(key.clone(), value.clone());
                }
            }
        }
        let mut lines = vec![];
        if !failed.is_empty() {
            lines.push(match &failure {
                Some(said) => format!(
                    "Problem encountered installing package(s). Additional info follows:\n\nerrors:\n    - {said}"
                ),
                None => format!("The following packages failed to install/update: {}", failed.join(", ")),
            });
        }
        if !modified.is_empty() {
            let list = modified.join(", ");
            lines.push(if list.len() < 20 {
                format!("The following packages were installed/updated: {list}")
            } else if modified.len() > 1 {
                format!("{} targeted packages were installed/updated.", modified.len())
            } else {
                "1 targeted package was installed/updated.".into()
            });
        }
        lines.append(&mut again);
        if !present.is_empty() {
            lines.push(if present.len() <= 20 {
                format!("The following packages were already installed: {}", present.join(", "))
            } else {
                format!("{} targeted packages were already installed", present.len())
            });
        }
        Ok(Settled { result: failed.is_empty(), changes, comment: lines.join("\n") })
    }
}

impl Installed {
    fn asked(&self) -> Result<Vec<Wanted>, StateError> {
        match &self.sources {
            Some(sources) => Ok(entries(sources)?.into_keys().map(|name| Wanted::new(name, None)).collect()),
            None => shared::wanted(&self.name, self.version.as_ref(), self.pkgs.as_ref()),
        }
    }

    fn options(&self) -> Options {
        let given = Given {
            fromrepo: self.fromrepo.as_ref(),
            skip_verify: self.skip_verify,
            recommends: self.install_recommends,
            enablerepo: self.enablerepo.as_ref(),
            disablerepo: self.disablerepo.as_ref(),
            setopt: &self.setopt.0,
        };
        Options {
            only_upgrade: self.only_upgrade,
            reinstall: self.reinstall,
            force_conf_new: self.force_conf_new,
            update_holds: self.update_holds,
            ..given.options()
        }
    }

    fn is_satisfied(&self, cx: &PlanCx<'_>, packages: &dyn Packages, have: &pkg::Installed, want: &Wanted) -> bool {
        let Some(versions) = have.versions.get(&want.name) else {
            // Salt on Debian: a virtual package counts as installed when something provides it.
            let virtual_there = packages.name() == "apt" || self.resolve_capabilities;
            return want.version.is_none() && virtual_there && have.provides.contains_key(&want.name);
        };
        let Some(asked) = &want.version else { return true };
        if asked == "latest" {
            return true;
        }
        let bare = |version: &str| version.split_once(':').map_or(version.to_owned(), |(_, rest)| rest.to_owned());
        versions.iter().any(|version| {
            let version = if self.ignore_epoch { bare(version) } else { version.clone() };
            pkg::satisfies(packages, cx.host, &version, asked)
                || (self.allow_updates && pkg::satisfies(packages, cx.host, &version, &format!(">={asked}")))
        })
    }

    fn plan_packages(&self, cx: &PlanCx<'_>, packages: &'static dyn Packages) -> Result<Plan, StateError> {
        let wanted = self.asked()?;
        let names: Vec<String> = wanted.iter().map(|want| want.name.clone()).collect();
        let have = shared::installed(cx, &names)?;
        let options = self.options();
        let mut targets: Vec<&Wanted> =
            wanted.iter().filter(|want| self.reinstall || !self.is_satisfied(cx, packages, &have, want)).collect();
        if wanted.iter().any(|want| want.version.as_deref() == Some("latest")) {
            let latest: Vec<_> = wanted.iter().filter(|want| want.version.as_deref() == Some("latest")).collect();
            let names: Vec<_> = latest.iter().map(|want| want.name.clone()).collect();
            let offered = packages.candidates(cx.host, &names, &options)?;
            for want in latest {
                let newer = offered.get(&want.name).is_some_and(|new| have.version(&want.name).as_ref() != Some(new));
                if newer && !targets.contains(&want) {
                    targets.push(want);
                }
            }
        }
        if self.only_upgrade {
            targets.retain(|want| have.versions.contains_key(&want.name));
        }
        if targets.is_empty() {
            let pinned = wanted.iter().any(|want| want.version.is_some());
            let more = if pinned { " and are at the desired version" } else { "" };
            let mut plan = Plan::unchanged(format!("All specified packages are already installed{more}"));
            if let Some(held) = self.hold {
                shared::plan_hold(packages, &have, &names, held, &mut plan)?;
                let lines = |changed: &str, verb: &str| {
                    let turns = |name: &&String| have.held.contains(*name) != held;
                    names.iter().fold("All specified packages are already installed.".to_owned(), |all, name| {
                        let line = match (turns(&name), held) {
                            (true, _) => changed.replace("NAME", name),
                            (false, true) => format!("Package {name} is already set to be held."),
                            (false, false) => format!("Package {name} is already set not to be held."),
                        };
                        all + "\n" + &line.replace("VERB", verb)
                    })
                };
                plan.memo = have.to_value();
                if plan.is_empty() {
                    plan.unchanged = lines("", "");
                }
                let did =
                    if held { "Package NAME is now being held." } else { "Package NAME is no longer being held." };
                let would = lines("Package NAME is set to be VERB.", if held { "held" } else { "unheld" });
                let did = lines(did, "");
                return Ok(plan.says(would, did));
            }
            return Ok(plan);
        }
        let target_names: Vec<String> = targets.iter().map(|want| want.name.clone()).collect();
        let offered = packages.candidates(cx.host, &target_names, &options).unwrap_or_default();
        let list: Vec<_> = targets.iter().map(|want| want.name.as_str()).collect();
        let verb = if self.reinstall && targets.iter().all(|want| self.is_satisfied(cx, packages, &have, want)) {
            "The following packages would be reinstalled"
        } else {
            "The following packages would be installed/updated"
        };
        let mut plan = Plan::default().says(format!("{verb}: {}", list.join(", ")), String::new());
        plan.repeats = self.reinstall;
        let mut predicts = vec![Prediction::Opaque];
        let mut install = vec![];
        for want in &targets {
            let exact = match (want.exact(), &want.version) {
                (Some("latest"), _) | (None, None) => None,
                (Some(version), _) => Some(version.to_owned()),
                // A pattern is for the package manager to resolve, unless the newest matches it.
                (None, Some(asked)) if asked.contains('*') && !asked.contains(['<', '>', '=']) => {
                    let best = offered.get(&want.name).filter(|best| pkg::satisfies(packages, cx.host, best, asked));
                    Some(best.cloned().unwrap_or_else(|| asked.clone()))
                }
                // A comparison is met by the newest, if by any that is on offer without asking for more.
                (None, Some(asked)) => match offered.get(&want.name) {
                    Some(best) if !pkg::satisfies(packages, cx.host, best, asked) => {
                        return Err(StateError::missing(format!(
                            "No version matching '{}' could be found for package '{}' (available: {best})",
                            asked, want.name
                        )));
                    }
                    best => best.cloned(),
                },
            };
            let pattern = exact.as_ref().is_some_and(|version| version.contains('*'));
            let new = exact.clone().or_else(|| offered.get(&want.name).cloned()).filter(|_| !pattern);
            let new = new.unwrap_or_else(|| "installed".into());
            let old = have.version(&want.name).unwrap_or_default();
            plan.changes.insert(want.name.as_str(), shared::change(&old, &new));
            predicts.push(Prediction::Fact(pkg::fact(&want.name), new.into()));
            install.push((want.name.clone(), exact));
        }
        if shared::needs_refresh(cx, packages, self.refresh) {
            plan.steps.push(shared::refresh_step(packages));
        }
        for command in packages.install(&install, &options) {
            plan.steps.push(pkg::judged(command, std::mem::take(&mut predicts)));
        }
        if let Some(held) = self.hold {
            shared::plan_hold(packages, &have, &names, held, &mut plan)?;
        }
        plan.memo = have.to_value();
        Ok(plan)
    }

    fn plan_sources(
        &self,
        cx: &PlanCx<'_>,
        packages: &'static dyn Packages,
        sources: &[Value],
    ) -> Result<Plan, StateError> {
        let wanted = entries(sources)?;
        let names: Vec<String> = wanted.keys().cloned().collect();
        let have = shared::installed(cx, &names)?;
        let mut plan = Plan::unchanged("All specified packages are already installed");
        let (mut paths, mut predicts) = (vec![], vec![Prediction::Opaque]);
        for (name, url) in &wanted {
            if have.versions.contains_key(name) && !self.reinstall {
                continue;
            }
            let path = if url.starts_with('/') {
                url.clone()
            } else {
                let origin = FileOrigin::Urls(vec![url.clone()]);
                let found = cx.resolve(&FileRequest { origin, saltenv: cx.saltenv(), template: None })?;
                cx.source.fetch(&found)?.to_string_lossy().into_owned()
            };
            paths.push(path);
            plan.changes.insert(name.as_str(), shared::change(&have.version(name).unwrap_or_default(), "installed"));
            predicts.push(Prediction::Fact(pkg::fact(name), "installed".into()));
        }
        if paths.is_empty() {
            return Ok(plan);
        }
        for command in packages.install_files(&paths, &self.options()) {
            plan.steps.push(pkg::judged(command, std::mem::take(&mut predicts)));
        }
        plan.memo = have.to_value();
        let list: Vec<_> = plan.changes.keys().map(python::str).collect();
        Ok(plan.says(format!("The following packages would be installed/updated: {}", list.join(", ")), String::new()))
    }
}

fn entries(sources: &[Value]) -> Result<BTreeMap<String, String>, StateError> {
    let mut all = BTreeMap::new();
    for source in sources {
        let Some(map) = source.as_map() else {
            return Err(StateError::failed(
                "Invalidly formatted 'sources' parameter: write each as `- name: salt://path/file.deb`",
            ));
        };
        all.extend(map.iter().map(|(name, url)| (python::str(name), python::str(url))));
    }
    Ok(all)
}
