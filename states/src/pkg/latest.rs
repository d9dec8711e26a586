//! `pkg.latest`

use super::shared::{self, Given};
use corpus_core::{Observed, Plan, PlanCx, Prediction, Settled, State, StateError, Value, python};
use corpus_exec::pkg::{self, Installed, Options, Packages};
use serde::Deserialize;
use std::cmp::Ordering;

/// Keeps packages at the newest version that is on offer.
///
/// ```sls
/// openssl:
///   pkg.latest:
///     - refresh: True
/// ```
#[derive(Deserialize)]
pub struct Latest {
    /// The package, unless `pkgs` lists several.
    pub name: String,
    /// Packages.
    pub pkgs: Option<Vec<Value>>,
    /// Fetch the lists first: always, never, or when they are old.
    pub refresh: Option<bool>,
    /// Repository or release to take packages from.
    pub fromrepo: Option<String>,
    /// Install what is not signed.
    #[serde(default)]
    pub skip_verify: bool,
    /// Install recommended packages, too.
    pub install_recommends: Option<bool>,
    /// Upgrade what is installed, but install nothing new.
    #[serde(default)]
    pub only_upgrade: bool,
    /// Accepted for Salt's sake (Gentoo).
    pub watch_flags: Option<Value>,
}

impl State for Latest {
    const NAME: &'static str = "pkg.latest";
    const WATCHES: bool = true;
    const OPEN: bool = true;

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        if self.pkgs.as_ref().is_some_and(Vec::is_empty) {
            return Ok(Plan::unchanged("No packages to install provided"));
        }
        let packages = shared::provider(cx)?;
        let names: Vec<String> =
            shared::wanted(&self.name, None, self.pkgs.as_ref())?.into_iter().map(|want| want.name).collect();
        let given = Given {
            fromrepo: self.fromrepo.as_ref(),
            skip_verify: self.skip_verify,
            recommends: self.install_recommends,
            ..Given::default()
        };
        let mut options = given.options();
        options.only_upgrade = self.only_upgrade;
        let have = shared::installed(cx, &names)?;
        let refresh = shared::needs_refresh(cx, packages, self.refresh);
        let offered = packages.candidates(cx.host, &names, &options)?;
        let (mut targets, mut unknown) = (vec![], vec![]);
        for name in &names {
            match (offered.get(name), have.versions.get(name)) {
                (None, None) => unknown.push(format!("No information found for '{name}'.")),
                (Some(new), Some(old))
                    if !old.iter().any(|old| packages.compare(cx.host, new, old) != Ordering::Greater) =>
                {
                    targets.push((name, new));
                }
                (Some(new), None) if !self.only_upgrade => targets.push((name, new)),
                _ => {}
            }
        }
        let unfetched = "installed".to_owned();
        if !unknown.is_empty() && !refresh {
            return Err(StateError::missing(unknown.join(" ")));
        } else if !unknown.is_empty() {
            // The lists that are to be fetched may know it.
            let strange = |name: &&String| !offered.contains_key(*name) && !have.versions.contains_key(*name);
            targets.extend(names.iter().filter(strange).map(|name| (name, &unfetched)));
        }
        if targets.is_empty() {
            let plan = Plan::unchanged(match names.len() {
                1 => format!("Package {} is already up-to-date", names[0]),
                n if n > 10 => format!("All {n} packages are up-to-date."),
                _ => {
                    let mut names = names.clone();
                    names.sort();
                    format!("All packages are up-to-date ({}).", names.join(", "))
                }
            });
            let there: Vec<String> = names.into_iter().filter(|name| have.versions.contains_key(name)).collect();
            if !refresh || there.is_empty() {
                return Ok(plan);
            }
            options.only_upgrade = true;
            return Ok(after_refresh(packages, plan, &there, &options, &have));
        }
        let mut list: Vec<&str> = targets.iter().map(|(name, _)| name.as_str()).collect();
        list.sort_unstable();
        let list = list.join(", ");
        let mut rest: Vec<&str> = names.iter().map(String::as_str).collect();
        rest.retain(|name| !targets.iter().any(|(target, _)| target == name));
        rest.sort_unstable();
        let rest = match rest.len() {
            0 => String::new(),
            1..=10 => format!(" The following packages were already up-to-date: {}", rest.join(", ")),
            n => format!(" {n} packages were already up-to-date "),
        };
        let mut plan = Plan::default().says(
            format!("The following packages would be installed/upgraded: {list}"),
            format!("The following packages were successfully installed/upgraded: {list}{rest}"),
        );
        let mut predicts = vec![Prediction::Opaque];
        for (name, new) in &targets {
            plan.changes.insert(name.as_str(), shared::change(&have.version(name).unwrap_or_default(), new));
            predicts.push(Prediction::Fact(pkg::fact(name), new.as_str().into()));
        }
        if refresh {
            plan.steps.push(shared::refresh_step(packages));
        }
        // dnf and its kin leave alone what is installed, unless a version is named.
        let by_version = matches!(packages.name(), "dnf" | "yum" | "zypper");
        let version = |new: &String| Some(new.clone()).filter(|new| by_version && *new != unfetched);
        let install: Vec<_> = targets.iter().map(|(name, new)| ((*name).clone(), version(new))).collect();
        for command in packages.install(&install, &options) {
            plan.steps.push(pkg::judged(command, std::mem::take(&mut predicts)));
        }
        plan.memo = have.to_value();
        Ok(plan)
    }

    fn settle(&self, plan: &Plan, seen: &[Observed], cx: &PlanCx<'_>) -> Result<Settled, StateError> {
        if plan.steps.is_empty() {
            return Ok(Settled::as_planned(plan));
        }
        let (mut changes, _, failure) = shared::outcome(cx, plan, seen)?;
        if plan.repeats && failure.is_none() {
            // Only the fetched lists could tell whether there is anything newer.
            let wanted = shared::wanted(&self.name, None, self.pkgs.as_ref())?;
            let names: Vec<_> = wanted.iter().map(|want| want.name.as_str()).collect();
            let mut new: Vec<_> =
                changes.keys().map(python::str).filter(|name| names.contains(&name.as_str())).collect();
            new.sort();
            let comment = match new.is_empty() {
                true => plan.unchanged.clone(),
                false => format!("The following packages were successfully installed/upgraded: {}", new.join(", ")),
            };
            return Ok(Settled { result: true, changes: std::mem::take(&mut changes), comment });
        }
        if let Some(said) = failure {
            let comment = format!("An error was encountered while installing package(s): {said}");
            return Ok(Settled { result: false, changes, comment });
        }
        let mut failed: Vec<String> =
            plan.changes.keys().filter(|name| changes.get_value(name).is_none()).map(python::str).collect();
        failed.sort();
        if failed.is_empty() {
            return Ok(Settled { result: true, changes, comment: plan.did.clone() });
        }
        let comment = format!("The following packages failed to update: {}", failed.join(", "));
        Ok(Settled { result: false, changes, comment })
    }
}

/// Plans for packages that are as new as the lists say, where newer lists are fetched first: what those will say is not
/// known before.
fn after_refresh(
    packages: &dyn Packages,
    mut plan: Plan,
    names: &[String],
    options: &Options,
    have: &Installed,
) -> Plan {
    plan.steps.push(shared::refresh_step(packages));
    let install: Vec<_> = names.iter().map(|name| (name.clone(), None)).collect();
    let mut predicts = vec![Prediction::Opaque];
    for command in packages.install(&install, options) {
        plan.steps.push(pkg::judged(command, std::mem::take(&mut predicts)));
    }
    plan.memo = have.to_value();
    plan.repeats = true;
    let list = names.join(", ");
    plan.says(format!("Whether there is anything newer is known when the lists are fetched: {list}"), String::new())
}
