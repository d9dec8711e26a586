//! `pip.installed`

use super::shared::{self, Files, Have, Pip};
use crate::cmd::shared::environment;
use corpus_core::decode::OneOrMany;
use corpus_core::host::Command;
use corpus_core::plan::{Observed, Settled};
use corpus_core::{Effect, Map, Plan, PlanCx, Prediction, State, StateError, Step, Value, python};
use corpus_exec::fns::pip::{self, Requirement};
use serde::Deserialize;

/// Keeps Python packages installed.
///
/// ```sls
/// django >= 4.2, < 5:
///   pip.installed:
///     - bin_env: /opt/site/venv
///     - user: site
/// ```
#[derive(Deserialize)]
pub struct Installed {
    /// The package, with versions if any.
    pub name: String,
    /// Several packages, in place of `name`.
    pub pkgs: Option<Vec<Value>>,
    /// Requirement files, `salt://` or on the machine, in place of packages.
    #[serde(default)]
    pub requirements: OneOrMany<String>,
    /// A virtual environment, or the program itself; the machine's own pip without.
    pub bin_env: Option<String>,
    /// Old name of `bin_env`.
    pub pip_bin: Option<String>,
    /// User who runs pip.
    pub user: Option<String>,
    /// Directory that pip starts in.
    pub cwd: Option<String>,
    /// Install the newest version there is.
    #[serde(default)]
    pub upgrade: bool,
    /// Directories or repositories to install in editable mode.
    #[serde(default)]
    pub editable: OneOrMany<String>,
    /// Reinstall what is installed.
    #[serde(default)]
    pub force_reinstall: bool,
    /// Install over what is installed.
    #[serde(default)]
    pub ignore_installed: bool,
    /// Leave dependencies out.
    #[serde(default)]
    pub no_deps: bool,
    /// Take pre-releases, too.
    #[serde(default)]
    pub pre_releases: bool,
    /// Do not use wheels.
    #[serde(default)]
    pub no_use_wheel: bool,
    /// Accepted for Salt's sake: pip takes wheels by itself.
    pub use_wheel: Option<Value>,
    /// Address of the index.
    pub index_url: Option<String>,
    /// Address of another index.
    pub extra_index_url: Option<String>,
    /// Use no index.
    #[serde(default)]
    pub no_index: bool,
    /// Addresses or directories with packages.
    #[serde(default)]
    pub find_links: OneOrMany<String>,
    /// Address of a proxy.
    pub proxy: Option<String>,
    /// Seconds to wait for the network.
    pub timeout: Option<Value>,
    /// Log file of pip.
    pub log: Option<Value>,
    /// Directory to install into.
    pub target: Option<String>,
    /// Directory for check-outs of editable packages.
    pub source: Option<Value>,
    /// What to do with a path that exists: `s`, `i`, `w`, `b`.
    pub exists_action: Option<Value>,
    /// File of certificates to trust.
    pub cert: Option<Value>,
    /// Hosts to trust without a certificate.
    #[serde(default)]
    pub trusted_host: OneOrMany<String>,
    /// Keep no cache.
    #[serde(default)]
    pub no_cache_dir: bool,
    /// Directory of the cache.
    pub cache_dir: Option<Value>,
    /// Options for `setup.py`.
    #[serde(default)]
    pub global_options: OneOrMany<String>,
    /// Further arguments for pip: words, or mappings of option and value.
    pub extra_args: Option<Vec<Value>>,
    /// Variables of the environment.
    pub env_vars: Option<Value>,
    /// Accepted for Salt's sake: copies of `salt://` files always belong to `user`.
    pub no_chown: Option<Value>,
    /// Accepted for Salt's sake.
    pub use_vt: Option<Value>,
}

impl Installed {
    fn pip(&self) -> Result<Pip<'_>, StateError> {
        Ok(Pip {
            bin_env: self.bin_env.as_deref().or(self.pip_bin.as_deref()),
            user: self.user.as_deref(),
            cwd: self.cwd.as_deref(),
            env: environment(self.env_vars.as_ref())?,
            target: self.target.as_deref(),
        })
    }

    fn command(&self, cx: &PlanCx<'_>, pip: &Pip<'_>) -> Result<Command, StateError> {
        let mut command = pip.command(cx, ["install"])?;
        let flags = [
            (self.upgrade, "--upgrade"),
            (self.force_reinstall, "--force-reinstall"),
            (self.ignore_installed, "--ignore-installed"),
            (self.no_deps, "--no-deps"),
            (self.pre_releases, "--pre"),
            (self.no_index, "--no-index"),
            (self.no_cache_dir, "--no-cache-dir"),
        ];
        command.argv.extend(flags.iter().filter(|(on, _)| *on).map(|(_, word)| (*word).to_owned()));
        if self.no_use_wheel {
            command.argv.extend(["--no-binary".to_owned(), ":all:".into()]);
        }
        shared::address(&mut command, "--index-url", self.index_url.as_deref());
        shared::address(&mut command, "--extra-index-url", self.extra_index_url.as_deref());
        shared::address(&mut command, "--proxy", self.proxy.as_deref());
        for (name, value) in [
            ("--timeout", &self.timeout),
            ("--log", &self.log),
            ("--src", &self.source),
            ("--exists-action", &self.exists_action),
            ("--cert", &self.cert),
            ("--cache-dir", &self.cache_dir),
        ] {
            shared::option(&mut command, name, value.as_ref());
        }
        command.argv.extend(self.target.iter().flat_map(|path| ["--target".to_owned(), path.clone()]));
        for (name, values) in [
            ("--find-links", &self.find_links),
            ("--trusted-host", &self.trusted_host),
            ("--global-option", &self.global_options),
        ] {
            command.argv.extend(values.0.iter().flat_map(|value| [name.to_owned(), value.clone()]));
        }
        for extra in self.extra_args.iter().flatten() {
            match extra {
                Value::Map(map) => map.iter().for_each(|(name, value)| {
                    command.argv.extend([python::str(name), python::str(value)]);
                }),
                word => command.argv.push(python::str(word)),
            }
        }
        Ok(command)
    }

    fn packages(&self) -> Vec<String> {
        match &self.pkgs {
            Some(pkgs) if !pkgs.is_empty() => pkgs.iter().map(spelled).collect(),
            _ => vec![self.name.clone()],
        }
    }

    fn again(&self) -> bool {
        self.force_reinstall || self.ignore_installed
    }

    fn plan_files(&self, cx: &PlanCx<'_>, pip: &Pip<'_>) -> Result<Plan, StateError> {
        let files = Files::read(cx, &self.requirements.0, self.cwd.as_deref())?;
        let have = pip.have(cx)?;
        let there = |path: &String| {
            let path = path.trim_end_matches('/');
            have.values().any(|(_, _, lies)| lies.as_deref() == Some(path))
                || cx.host.predicted(&format!("pip:editable:{path}")).is_some()
        };
        let local = self.editable.0.iter().all(|path| path.starts_with('/'));
        let repeats = files.opaque || files.wanted.iter().any(|w| w.marked) || self.upgrade || self.again() || !local;
        if !repeats && files.met(cx, pip, &have) && self.editable.0.iter().all(there) {
            return Ok(Plan::unchanged("Requirements were already installed."));
        }
        let mut command = self.command(cx, pip)?;
        command.argv.extend(files.paths.iter().flat_map(|path| ["--requirement".to_owned(), path.clone()]));
        command.argv.extend(self.editable.0.iter().flat_map(|path| ["--editable".to_owned(), path.clone()]));
        let mut predicts: Vec<_> =
            files.wanted.iter().filter(|w| !w.marked).map(|w| pip.predict(&w.name, Some(w.versions()))).collect();
        predicts.extend(
            self.editable
                .0
                .iter()
                .map(|path| Prediction::Fact(format!("pip:editable:{}", path.trim_end_matches('/')), true.into())),
        );
        let (mut would, mut did, mut plan) = (vec![], vec![], Plan::default());
        if !files.paths.is_empty() {
            let names = self.requirements.0.join(", ");
            would.push(format!("Requirements file '{names}' will be processed."));
            did.push(format!("Successfully processed requirements file {names}."));
            plan.changes.insert("requirements", true);
        }
        if !self.editable.0.is_empty() {
            let names = self.editable.0.join(", ");
            would.push(format!(
                "Package will be installed in editable mode (i.e. setuptools \"develop mode\") from {names}."
            ));
            did.push(format!("Package successfully installed from VCS checkout {names}."));
            plan.changes.insert("editable", true);
        }
        files.steps(&mut plan, pip, command, predicts);
        plan.repeats = repeats;
        plan.memo = shared::memo(&have);
        Ok(plan.says(would.join(" "), did.join(" ")))
    }

    /// Tells whether the newest version that fits is there.
    fn newest(&self, cx: &PlanCx<'_>, pip: &Pip<'_>, have: &Have, wanted: &Requirement) -> Result<bool, StateError> {
        let Some((name, version, _)) = have.get(&pip::normal(&wanted.name)) else {
            return Ok(pip.meets(cx, have, wanted));
        };
        let mut command = pip.command(cx, ["index", "versions", name])?;
        shared::address(&mut command, "--index-url", self.index_url.as_deref());
        shared::address(&mut command, "--extra-index-url", self.extra_index_url.as_deref());
        command.argv.extend(self.pre_releases.then(|| "--pre".to_owned()));
        let best = pip::offered(cx.host, &command)?.into_iter().rev().find(|offer| wanted.admits(offer));
        Ok(best.is_none_or(|best| best == *version) || cx.host.predicted(&newest_fact(pip, name)).is_some())
    }
}

fn newest_fact(pip: &Pip<'_>, name: &str) -> String {
    format!("pip:{}:newest:{}", pip.place(), pip::normal(name))
}

fn spelled(item: &Value) -> String {
    match item {
        Value::Map(map) => {
            map.iter().next().map(|(k, v)| format!("{} {}", python::str(k), python::str(v))).unwrap_or_default()
        }
        text => python::str(text),
    }
}

impl State for Installed {
    const NAME: &'static str = "pip.installed";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let pip = self.pip()?;
        if !self.requirements.0.is_empty() || !self.editable.0.is_empty() {
            return self.plan_files(cx, &pip);
        }
        let have = pip.have(cx)?;
        let (mut plan, mut already, mut targets, mut predicts) = (Plan::default(), vec![], vec![], vec![]);
        for text in self.packages() {
            let Some(wanted) = Requirement::parse(&text) else {
                if text.contains('=') && !text.contains("==") && !text.contains("://") {
                    return Err(StateError::failed(format!(
                        "Invalid version specification in package {text}. '=' is not supported, use '==' instead."
                    )));
                }
                // An address: what it brings is known to pip alone.
                plan.changes.insert(format!("{text}==???"), "Installed");
                plan.repeats = true;
                targets.push(text);
                continue;
            };
            let met = pip.meets(cx, &have, &wanted) && (!self.upgrade || self.newest(cx, &pip, &have, &wanted)?);
            if met && !self.again() {
                already.push(format!("Python package {text} was already installed"));
                continue;
            }
            let exact = match &wanted.specs[..] {
                [(operator, version)] if operator == "==" && !version.contains('*') => version,
                _ => "???",
            };
            plan.changes.insert(format!("{}=={exact}", wanted.name), "Installed");
            predicts.push(pip.predict(&wanted.name, Some(wanted.versions())));
            if self.upgrade {
                predicts.push(Prediction::Fact(newest_fact(&pip, &wanted.name), true.into()));
            }
            targets.push(text);
        }
        let lead: String = already.iter().map(|line| format!("{line}\n")).collect();
        if targets.is_empty() {
            let newest = if self.upgrade { " and up-to-date" } else { "" };
            return Ok(Plan::unchanged(format!("{lead}All specified packages are already installed{newest}")));
        }
        let mut command = self.command(cx, &pip)?;
        command.argv.extend(targets.iter().cloned());
        // Other packages may hold a package back from the newest version.
        plan.repeats |= self.again() || self.upgrade;
        plan.memo = targets.clone().into();
        plan.steps.push(Step { effect: Effect::Exec(command), predicts, must_succeed: false });
        let would: Vec<_> =
            targets.iter().map(|text| format!("Python package {text} is set to be installed")).collect();
        Ok(plan.says(lead.clone() + &would.join("\n"), lead + "All packages were successfully installed"))
    }

    fn settle(&self, plan: &Plan, seen: &[Observed], cx: &PlanCx<'_>) -> Result<Settled, StateError> {
        let files = !self.requirements.0.is_empty() || !self.editable.0.is_empty();
        if let Some(error) = shared::failure(seen) {
            let lead = if !self.requirements.0.is_empty() {
                format!("Unable to process requirements file \"{}\".", self.requirements.0.join(", "))
            } else if files {
                format!("Unable to install from VCS checkout {}.", self.editable.0.join(", "))
            } else {
                let names: Vec<_> = plan.memo.as_list().unwrap_or_default().iter().map(python::str).collect();
                format!("Failed to install packages: {}.", names.join(", "))
            };
            return Ok(Settled { result: false, changes: Map::new(), comment: format!("{lead} {error}") });
        }
        let (pip, mut settled) = (self.pip()?, Settled::as_planned(plan));
        let have = pip.have(cx)?;
        if files {
            // Salt looks for words in pip's output; what is installed tells better.
            if plan.repeats && self.editable.0.is_empty() && !self.again() && plan.memo == shared::memo(&have) {
                settled.changes = Map::new();
                settled.comment = "Requirements were already installed.".into();
            }
            return Ok(settled);
        }
        settled.changes = Map::new();
        for text in plan.memo.as_list().unwrap_or_default().iter().map(python::str) {
            let found = Requirement::parse(&text).map(|wanted| (have.get(&pip::normal(&wanted.name)), wanted.name));
            let key = match found {
                Some((Some((name, version, _)), _)) => format!("{name}=={version}"),
                Some((None, name)) => format!("{name}==???"),
                None => format!("{text}==???"),
            };
            settled.changes.insert(key, "Installed");
        }
        Ok(settled)
    }
}
