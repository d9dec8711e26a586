//! What `pkg.*` share: reading the arguments, asking the package manager, and Salt's record of a change.

use corpus_core::decode::OneOrMany;
use corpus_core::host::{HostError, Look};
use corpus_core::plan::{Observed, Plan, Prediction, Settled, Step};
use corpus_core::{Map, PlanCx, StateError, Value};
use corpus_exec::ask;
use corpus_exec::pkg::{self, Installed, Options, Packages, Wanted};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// Lists this old are fetched again before an installation, unless `refresh` says otherwise.
const STALE_SECONDS: i128 = 3600;

/// Returns the machine's package manager.
pub fn provider(cx: &PlanCx<'_>) -> Result<&'static dyn Packages, StateError> {
    pkg::provider(cx.host).map_err(missing_is_missing)
}

fn missing_is_missing(error: HostError) -> StateError {
    if error.is_missing() { StateError::missing(error.to_string()) } else { error.into() }
}

/// Returns what is asked for, from `name`, `version` and `pkgs`.
pub fn wanted(name: &str, version: Option<&String>, pkgs: Option<&Vec<Value>>) -> Result<Vec<Wanted>, StateError> {
    match pkgs {
        Some(items) => pkg::parse_pkgs(items).map_err(StateError::failed),
        None => Ok(vec![Wanted::new(name, version.cloned())]),
    }
}

/// Returns what is installed, as it will be for these packages.
pub fn installed(cx: &PlanCx<'_>, names: &[String]) -> Result<Arc<Installed>, StateError> {
    pkg::installed_with_predictions(cx.host, names).map_err(missing_is_missing)
}

/// Tells whether the lists are to be fetched before an installation.
pub fn needs_refresh(cx: &PlanCx<'_>, packages: &dyn Packages, refresh: Option<bool>) -> bool {
    // One refresh is enough for a run, a dry one included.
    if cx.host.predicted("pkg:refreshed").is_some() {
        return false;
    }
    match refresh {
        Some(asked) => asked,
        None => age_of_lists(cx.host, packages).is_none_or(|age| age > STALE_SECONDS),
    }
}

fn age_of_lists(look: &dyn Look, packages: &dyn Packages) -> Option<i128> {
    let meta = look.stat(packages.lists().as_ref()).ok().flatten().filter(|_| packages.has_lists(look))?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_nanos() as i128;
    Some((now - meta.mtime) / 1_000_000_000)
}

/// Returns the step that fetches the lists. Its failure alone fails nothing: the installation tells.
pub fn refresh_step(packages: &dyn Packages) -> Step {
    pkg::judged(packages.refresh(), vec![Prediction::Fact("pkg:refreshed".into(), true.into())])
}

/// Returns Salt's entry of a change.
pub fn change(old: &str, new: &str) -> Value {
    Value::map([("new", new), ("old", old)].into_iter().collect::<Map>())
}

/// Returns what programs said about a failure, the fetching of lists apart.
pub fn failure(plan: &Plan, seen: &[Observed]) -> Option<String> {
    plan.steps.iter().zip(seen).find_map(|(step, seen)| {
        let refreshing = step.predicts.iter().any(|p| matches!(p, Prediction::Fact(key, _) if key == "pkg:refreshed"));
        seen.output().filter(|output| !output.ok() && !refreshing).map(ask::said)
    })
}

/// Returns the changes since the plan was made, with the package manager's failure if there was one.
pub fn outcome(
    cx: &PlanCx<'_>,
    plan: &Plan,
    seen: &[Observed],
) -> Result<(Map, Arc<Installed>, Option<String>), StateError> {
    let names: Vec<String> = plan.changes.keys().map(corpus_core::python::str).collect();
    let after = installed(cx, &names)?;
    Ok((pkg::difference(&plan.memo, &after), after, failure(plan, seen)))
}

/// Plans a removal; `verb` is `remove` or `purge`.
pub fn plan_removal(cx: &PlanCx<'_>, wanted: &[Wanted], purge: bool) -> Result<Plan, StateError> {
    let packages = provider(cx)?;
    let names: Vec<String> = wanted.iter().map(|w| w.name.clone()).collect();
    let have = installed(cx, &names)?;
    let verb = if purge { "purge" } else { "remove" };
    let mut targets: Vec<String> = wanted
        .iter()
        .filter(|want| match have.versions.get(&want.name) {
            Some(versions) => want
                .version
                .as_ref()
                .is_none_or(|asked| versions.iter().any(|have| pkg::satisfies(packages, cx.host, have, asked))),
            None => purge && have.residual.contains_key(&want.name),
        })
        .map(|want| want.name.clone())
        .collect();
    targets.sort();
    targets.dedup();
    if targets.is_empty() {
        let versions = if wanted.iter().any(|w| w.version.is_some()) { " (matching specified versions)" } else { "" };
        return Ok(Plan::unchanged(match purge {
            true => "None of the targeted packages are installed or partially installed".into(),
            false => format!("All specified packages{versions} are already absent"),
        }));
    }
    let mut rest: Vec<&str> = names.iter().filter(|name| !targets.contains(name)).map(String::as_str).collect();
    rest.sort_unstable();
    let list = targets.join(", ");
    let would = format!("The following packages will be {verb}d: {list}.");
    let did = if rest.is_empty() {
        format!("All targeted packages were {verb}d.")
    } else {
        let not = rest.join(", ");
        format!("The following packages were not installed: {not} The following packages were {verb}d: {list}.")
    };
    let mut plan = Plan::default().says(would, did);
    for name in &targets {
        let old = have.version(name).or_else(|| have.residual.get(name).cloned()).unwrap_or_default();
        plan.changes.insert(name.as_str(), change(&old, ""));
    }
    let predicts: Vec<_> = targets
        .iter()
        .map(|name| Prediction::Fact(pkg::fact(name), if purge { false.into() } else { Value::Null }))
        .collect();
    for (at, command) in packages.remove(&targets, purge).into_iter().enumerate() {
        plan.steps.push(pkg::judged(command, if at == 0 { predicts.clone() } else { vec![] }));
    }
    plan.memo = have.to_value();
    Ok(plan)
}

/// Judges a removal.
pub fn settle_removal(
    cx: &PlanCx<'_>,
    plan: &Plan,
    seen: &[Observed],
    wanted: &[Wanted],
    purge: bool,
) -> Result<Settled, StateError> {
    if plan.steps.is_empty() {
        return Ok(Settled::as_planned(plan));
    }
    let (mut changes, after, failure) = outcome(cx, plan, seen)?;
    for (key, value) in &plan.changes {
        if changes.get_value(key).is_none() && !after.versions.contains_key(&corpus_core::python::str(key)) {
            changes.0.insert(key.clone(), value.clone());
        }
    }
    let verb = if purge { "purge" } else { "remove" };
    let mut failed: Vec<&str> = wanted
        .iter()
        .map(|want| want.name.as_str())
        .filter(|name| after.versions.contains_key(*name) || (purge && after.residual.contains_key(*name)))
        .filter(|name| plan.changes.contains(name))
        .collect();
    failed.sort_unstable();
    if failed.is_empty() {
        return Ok(Settled { result: true, changes, comment: plan.did.clone() });
    }
    let mut comment = format!("The following packages failed to {verb}: {}.", failed.join(", "));
    if let Some(said) = failure {
        comment += &format!("\n{said}");
    }
    Ok(Settled { result: false, changes, comment })
}

/// Returns options of the package manager from the arguments that several states share.
#[derive(Default)]
pub struct Given<'a> {
    pub fromrepo: Option<&'a String>,
    pub skip_verify: bool,
    pub recommends: Option<bool>,
    pub enablerepo: Option<&'a String>,
    pub disablerepo: Option<&'a String>,
    pub setopt: &'a [String],
}

impl Given<'_> {
    /// Fills in options.
    pub fn options(&self) -> Options {
        Options {
            fromrepo: self.fromrepo.cloned(),
            skip_verify: self.skip_verify,
            recommends: self.recommends,
            enablerepo: self.enablerepo.cloned(),
            disablerepo: self.disablerepo.cloned(),
            setopt: self.setopt.to_vec(),
            ..Options::default()
        }
    }
}

/// Plans to hold packages back or to let them go, beside whatever else is planned.
pub fn plan_hold(
    packages: &dyn Packages,
    have: &Installed,
    names: &[String],
    held: bool,
    plan: &mut Plan,
) -> Result<(), StateError> {
    let targets: Vec<String> = names.iter().filter(|name| have.held.contains(name) != held).cloned().collect();
    if targets.is_empty() {
        return Ok(());
    }
    for command in packages.hold(&targets, held)? {
        let fact = |name: &String| Prediction::Fact(pkg::hold_fact(name), held.into());
        plan.push(corpus_core::Effect::Exec(command), targets.iter().map(fact).collect());
    }
    for name in &targets {
        let (old, new) = if held { ("install", "hold") } else { ("hold", "install") };
        if !plan.changes.contains(name) {
            plan.changes.insert(name.as_str(), change(old, new));
        }
    }
    Ok(())
}

/// Plans what `pkg.held` and `pkg.unheld` are: each package held back, or let go.
pub fn plan_holds(cx: &PlanCx<'_>, names: &[String], held: bool) -> Result<Plan, StateError> {
    let have = installed(cx, names)?;
    let turn: Vec<String> = names.iter().filter(|name| have.held.contains(*name) != held).cloned().collect();
    let mut plan = Plan::unchanged("No changes made");
    plan_hold(provider(cx)?, &have, &turn, held, &mut plan)?;
    let (would, did) = if held { ("held", "now being held") } else { ("unheld", "no longer being held.") };
    let lines = |line: &dyn Fn(&String) -> String| turn.iter().map(line).collect::<Vec<_>>().join("\n");
    let (would, did) = (
        lines(&|name| format!("The following package would be {would}: {name}")),
        lines(&|name| format!("Package {name} is {did}")),
    );
    Ok(plan.says(would, did))
}

/// Returns the names of a plain list or of the one name.
pub fn names(name: &str, pkgs: Option<&OneOrMany<Value>>) -> Result<Vec<String>, StateError> {
    match pkgs {
        Some(items) => Ok(wanted(name, None, Some(&items.0))?.into_iter().map(|want| want.name).collect()),
        None => Ok(vec![name.to_owned()]),
    }
}
