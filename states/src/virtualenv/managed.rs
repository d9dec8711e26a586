//! `virtualenv.managed`

use crate::cmd::shared::environment;
use crate::pip::shared::{self as pips, Files, Pip};
use corpus_core::decode::OneOrMany;
use corpus_core::host::Command;
use corpus_core::plan::{Observed, Settled};
use corpus_core::{Effect, Map, Plan, PlanCx, Prediction, State, StateError, Value, python};
use corpus_exec::ask;
use corpus_exec::fns::pip::Requirement;
use corpus_exec::fns::virtualenv::{self, How};
use serde::Deserialize;

/// Keeps a virtual environment of Python there, with packages in it.
///
/// ```sls
/// /opt/site/venv:
///   virtualenv.managed:
///     - requirements: salt://site/requirements.txt
///     - user: site
/// ```
#[derive(Deserialize)]
pub struct Managed {
    /// Path of the environment.
    pub name: String,
    /// The program that makes it: `virtualenv` if there is one, else `python3 -m venv`.
    pub venv_bin: Option<String>,
    /// Requirement files, `salt://` or on the machine.
    #[serde(default)]
    pub requirements: OneOrMany<String>,
    /// Packages to install.
    #[serde(default)]
    pub pip_pkgs: OneOrMany<String>,
    /// Let it see the machine's packages.
    #[serde(default)]
    pub system_site_packages: bool,
    /// Make it anew in every run.
    #[serde(default)]
    pub clear: bool,
    /// The interpreter.
    pub python: Option<String>,
    /// Words of the prompt.
    pub prompt: Option<String>,
    /// Directories with wheels, for `virtualenv`.
    #[serde(default)]
    pub extra_search_dir: OneOrMany<String>,
    /// User who runs it, and pip.
    pub user: Option<String>,
    /// Directory that pip starts in.
    pub cwd: Option<String>,
    /// Install the newest versions there are.
    #[serde(default)]
    pub pip_upgrade: bool,
    /// Install over what is installed.
    #[serde(default)]
    pub pip_ignore_installed: bool,
    /// What to do with a path that exists: `s`, `i`, `w`, `b`.
    pub pip_exists_action: Option<Value>,
    /// Keep no cache.
    #[serde(default)]
    pub pip_no_cache_dir: bool,
    /// Directory of the cache.
    pub pip_cache_dir: Option<Value>,
    /// Take pre-releases, too.
    #[serde(default)]
    pub pre_releases: bool,
    /// Leave dependencies out.
    #[serde(default)]
    pub no_deps: bool,
    /// Do not use wheels.
    #[serde(default)]
    pub no_use_wheel: bool,
    /// Address of the index.
    pub index_url: Option<String>,
    /// Address of another index.
    pub extra_index_url: Option<String>,
    /// Address of a proxy.
    pub proxy: Option<String>,
    /// Variables of the environment, for pip.
    pub env_vars: Option<Value>,
    /// Accepted for Salt's sake: pip takes wheels by itself.
    pub use_wheel: Option<Value>,
    /// Accepted for Salt's sake: `virtualenv` knows it no longer.
    pub distribute: Option<Value>,
    /// Accepted for Salt's sake: `virtualenv` knows it no longer.
    pub never_download: Option<Value>,
    /// Accepted for Salt's sake: copies of `salt://` files always belong to `user`.
    pub no_chown: Option<Value>,
    /// Accepted for Salt's sake.
    pub use_vt: Option<Value>,
}

impl Managed {
    fn pip(&self) -> Result<Pip<'_>, StateError> {
        Ok(Pip {
            bin_env: Some(&self.name),
            user: self.user.as_deref(),
            cwd: self.cwd.as_deref(),
            env: environment(self.env_vars.as_ref())?,
            target: None,
        })
    }

    fn creating(&self, cx: &PlanCx<'_>) -> Result<Command, StateError> {
        let how = How {
            venv_bin: self.venv_bin.clone(),
            system_site_packages: self.system_site_packages,
            clear: self.clear,
            python: self.python.clone(),
            prompt: self.prompt.clone(),
            extra_search_dir: self.extra_search_dir.0.clone(),
        };
        let command = virtualenv::creating(cx.host, &self.name, &how);
        let mut command = command.ok_or_else(|| StateError::missing(virtualenv::NO_TOOL))?;
        if let Some(user) = &self.user
            && cx.host.user(user)?.is_none()
        {
            return Err(StateError::missing(format!("User '{user}' is not available")));
        }
        command.runas.clone_from(&self.user);
        Ok(command)
    }

    fn installing(&self, mut command: Command, files: &Files) -> Command {
        let flags = [
            (self.pip_upgrade, "--upgrade"),
            (self.pip_ignore_installed, "--ignore-installed"),
            (self.no_deps, "--no-deps"),
            (self.pre_releases, "--pre"),
            (self.pip_no_cache_dir, "--no-cache-dir"),
        ];
        command.argv.extend(flags.iter().filter(|(on, _)| *on).map(|(_, word)| (*word).to_owned()));
        if self.no_use_wheel {
            command.argv.extend(["--no-binary".to_owned(), ":all:".into()]);
        }
        pips::address(&mut command, "--index-url", self.index_url.as_deref());
        pips::address(&mut command, "--extra-index-url", self.extra_index_url.as_deref());
        pips::address(&mut command, "--proxy", self.proxy.as_deref());
        pips::option(&mut command, "--exists-action", self.pip_exists_action.as_ref());
        pips::option(&mut command, "--cache-dir", self.pip_cache_dir.as_ref());
        command.argv.extend(files.paths.iter().flat_map(|path| ["--requirement".to_owned(), path.clone()]));
        command.argv.extend(self.pip_pkgs.0.iter().cloned());
        command
    }

    fn python_version(&self, cx: &PlanCx<'_>) -> Option<String> {
        let output = cx.host.query(&Command::new([format!("{}/bin/python", self.name), "-V".into()])).ok()?;
        let text = output.stdout_text() + &output.stderr_text();
        output.ok().then(|| text.trim().to_owned())
    }
}

impl State for Managed {
    const NAME: &'static str = "virtualenv.managed";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let (name, pip, mut plan) = (&self.name, self.pip()?, Plan::default());
        let fact = pips::venv_fact(name);
        let foretold = cx.host.predicted(&fact).is_some_and(|known| known.truthy());
        let exists = foretold || ask::exists(cx.host, format!("{name}/bin/python"));
        let make = !exists || self.clear;
        let have = if exists { pip.have(cx)? } else { pips::Have::new() };
        let (mut would, mut did) = (format!("Virtualenv {name} is already created"), "virtualenv exists");
        if make {
            let predicts = vec![Prediction::Path(name.into()), Prediction::Fact(fact, true.into())];
            plan.push(Effect::Exec(self.creating(cx)?), predicts);
            if exists {
                (would, did) = (format!("Virtualenv {name} is set to be cleared"), "Cleared existing virtualenv");
                let old: Vec<_> = have.values().map(|(name, version, _)| format!("{name}=={version}")).collect();
                plan.changes.insert("cleared_packages", old);
                plan.changes.insert("old", self.python_version(cx));
            } else {
                (would, did) = (format!("Virtualenv {name} is set to be created"), "Created new virtualenv");
            }
            // Which version that is, only running tells.
            plan.changes.insert("new", name.as_str());
        }
        let files = Files::read(cx, &self.requirements.0, self.cwd.as_deref())?;
        let pkgs: Vec<Option<Requirement>> = self.pip_pkgs.0.iter().map(|text| Requirement::parse(text)).collect();
        let known: Vec<&Requirement> = files.wanted.iter().chain(pkgs.iter().flatten()).collect();
        let asked = !files.paths.is_empty() || !pkgs.is_empty();
        // What only pip can judge, it judges in every run, as Salt does with all.
        let repeats = asked
            && (files.opaque
                || self.pip_upgrade
                || self.pip_ignore_installed
                || pkgs.iter().any(Option::is_none)
                || known.iter().any(|wanted| wanted.marked));
        let missing: Vec<String> = known
            .iter()
            .filter(|wanted| make && !foretold || !pip.meets(cx, &have, wanted))
            .map(|wanted| format!("{}{}", wanted.name, wanted.versions()))
            .collect();
        if asked && (repeats || !missing.is_empty()) {
            let command = match pip.command(cx, ["install"]) {
                Ok(command) => command,
                Err(_) if make => {
                    let mut command = Command::new([format!("{name}/bin/python").as_str(), "-m", "pip", "install"]);
                    (command.runas, command.cwd) = (self.user.clone(), self.cwd.as_ref().map(Into::into));
                    command.env.clone_from(&pip.env);
                    command
                }
                Err(error) => return Err(error),
            };
            let predicts: Vec<_> = known
                .iter()
                .filter(|wanted| !wanted.marked)
                .map(|wanted| pip.predict(&wanted.name, Some(wanted.versions())))
                .collect();
            files.steps(&mut plan, &pip, self.installing(command, &files), predicts);
            if !missing.is_empty() {
                let packages: Map = [("new", Value::from(missing)), ("old", "".into())].into_iter().collect();
                plan.changes.insert("packages", packages);
            }
        }
        plan.repeats = repeats || self.clear;
        plan.unchanged = if cx.test { would.clone() } else { "virtualenv exists".into() };
        plan.memo = pips::memo(&if make { pips::Have::new() } else { have });
        Ok(plan.says(would, did))
    }

    fn settle(&self, plan: &Plan, seen: &[Observed], cx: &PlanCx<'_>) -> Result<Settled, StateError> {
        let mut settled = Settled::as_planned(plan);
        if let Some(error) = pips::failure(seen) {
            settled.result = false;
            settled.comment = format!("{}\n{}", settled.comment, error.trim_start_matches("Error: "));
            settled.changes.remove("packages");
        }
        if settled.changes.contains("new")
            && let Some(version) = self.python_version(cx)
        {
            settled.changes.insert("new", version);
        }
        if plan.steps.len() == 1 && plan.changes.contains("new") {
            return Ok(settled);
        }
        let after = pips::memo(&self.pip()?.have(cx)?);
        // A new environment brings these by itself.
        let own = |name: &Value| plan.changes.contains("new") && matches!(name.as_str(), Some("pip" | "setuptools"));
        let only_in = |a: &Value, b: &Value| -> Vec<String> {
            a.as_map()
                .into_iter()
                .flatten()
                .filter(|(name, version)| b.as_map().and_then(|b| b.get_value(name)) != Some(*version) && !own(name))
                .map(|(name, version)| format!("{}=={}", python::str(name), python::str(version)))
                .collect()
        };
        let (new, old) = (only_in(&after, &plan.memo), only_in(&plan.memo, &after));
        settled.changes.remove("packages");
        if !new.is_empty() || !old.is_empty() {
            let text = |list: Vec<String>| if list.is_empty() { Value::from("") } else { list.into() };
            let packages: Map = [("new", text(new)), ("old", text(old))].into_iter().collect();
            settled.changes.insert("packages", packages);
        }
        Ok(settled)
    }
}
