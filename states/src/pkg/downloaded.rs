//! `pkg.downloaded`

use super::shared::{self, Given};
use corpus_core::plan::{Observed, Settled};
use corpus_core::{Plan, PlanCx, Prediction, State, StateError, Value, python};
use corpus_exec::pkg::{self, Packages, Wanted};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Keeps the files of packages in the package manager's cache, without installing them.
///
/// ```sls
/// zsh:
///   pkg.downloaded
/// ```
#[derive(Deserialize)]
pub struct Downloaded {
    /// The package, unless `pkgs` lists several.
    pub name: String,
    /// Its version.
    pub version: Option<String>,
    /// Packages, each with a version or not.
    pub pkgs: Option<Vec<Value>>,
    /// Repository or release to take packages from.
    pub fromrepo: Option<String>,
    /// Fetch the lists first: always, never, or when they are old.
    pub refresh: Option<bool>,
    /// Take what is not signed.
    #[serde(default)]
    pub skip_verify: bool,
    /// Compare versions without their epoch.
    #[serde(default)]
    pub ignore_epoch: bool,
}

impl Downloaded {
    /// Returns the packages that are not in the cache as they are asked for.
    fn missing(&self, cx: &PlanCx<'_>, packages: &dyn Packages) -> Result<Vec<Wanted>, StateError> {
        let mut wanted = shared::wanted(&self.name, self.version.as_ref(), self.pkgs.as_ref())?;
        let mut have: BTreeMap<String, Vec<String>> = packages.downloaded(cx.host)?;
        for want in &wanted {
            if let Some(version) = cx.host.predicted(&pkg::downloaded_fact(&want.name)) {
                have.entry(want.name.clone()).or_default().push(python::str(&version));
            }
        }
        let bare = |version: &str| version.split_once(':').map_or(version.to_owned(), |(_, rest)| rest.to_owned());
        wanted.retain(|want| {
            let Some(versions) = have.get(&want.name) else { return true };
            want.version.as_ref().is_some_and(|asked| {
                !versions.iter().any(|version| {
                    let version = if self.ignore_epoch { bare(version) } else { version.clone() };
                    pkg::satisfies(packages, cx.host, &version, asked)
                })
            })
        });
        Ok(wanted)
    }
}

impl State for Downloaded {
    const NAME: &'static str = "pkg.downloaded";
    const OPEN: bool = true;

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        if self.pkgs.as_ref().is_some_and(Vec::is_empty) {
            return Ok(Plan::unchanged("No packages to download provided"));
        }
        let packages = shared::provider(cx)?;
        let missing = self.missing(cx, packages)?;
        if missing.is_empty() {
            let text = match &self.pkgs {
                None => format!("Package {} is already downloaded", self.name),
                Some(_) => "All specified packages are already downloaded".into(),
            };
            return Ok(Plan::unchanged(text));
        }
        let given = Given { fromrepo: self.fromrepo.as_ref(), skip_verify: self.skip_verify, ..Given::default() };
        let mut options = given.options();
        options.download_only = true;
        let names: Vec<String> = missing.iter().map(|want| want.name.clone()).collect();
        let refresh = shared::needs_refresh(cx, packages, self.refresh);
        let offered = packages.candidates(cx.host, &names, &options)?;
        let unknown: Vec<&str> = names.iter().filter(|name| !offered.contains_key(*name)).map(String::as_str).collect();
        if !unknown.is_empty() && !refresh {
            return Err(StateError::missing(format!(
                "The following package(s) were not found, and no possible matches were found in the package db: {}",
                unknown.join(", ")
            )));
        }
        let mut plan = Plan::default().says(
            format!("The following packages would be downloaded: {}", names.join(", ")),
            format!("Packages downloaded: {}", names.join(", ")),
        );
        if refresh {
            plan.steps.push(shared::refresh_step(packages));
        }
        let mut predicts = vec![];
        let mut install = vec![];
        for want in &missing {
            let exact = want.exact().filter(|version| *version != "latest").map(str::to_owned);
            let new = exact.clone().or_else(|| offered.get(&want.name).cloned()).unwrap_or_else(|| "latest".into());
            plan.changes.insert(want.name.as_str(), shared::change("", &new));
            predicts.push(Prediction::Fact(pkg::downloaded_fact(&want.name), new.into()));
            install.push((want.name.clone(), exact));
        }
        for command in packages.install(&install, &options) {
            plan.steps.push(pkg::judged(command, std::mem::take(&mut predicts)));
        }
        Ok(plan)
    }

    fn settle(&self, plan: &Plan, seen: &[Observed], cx: &PlanCx<'_>) -> Result<Settled, StateError> {
        let mut settled = Settled::as_planned(plan);
        let failed = self.missing(cx, shared::provider(cx)?)?;
        for want in &failed {
            settled.changes.remove(&want.name);
        }
        if !failed.is_empty() {
            let names: Vec<String> = failed.iter().map(Wanted::show).collect();
            settled.result = false;
            settled.comment = format!("The following packages failed to download: {}", names.join(", "));
            if let Some(said) = shared::failure(plan, seen) {
                settled.comment += &format!("\n{said}");
            }
        }
        Ok(settled)
    }
}
