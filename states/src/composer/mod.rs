//! What `composer.*` share: the program, and what it would do.

use crate::cmd::shared::environment;
use corpus_core::host::Command;
use corpus_core::plan::{Observed, Settled};
use corpus_core::{Map, Plan, PlanCx, Prediction, StateError, Value};
use corpus_exec::ask;

/// Collects the arguments that all states of composer have.
macro_rules! given {
    ($state:expr) => {{
        let state = $state;
        let flags = [
            (state.no_dev, "--no-dev"),
            (state.prefer_source, "--prefer-source"),
            (state.prefer_dist, "--prefer-dist"),
            (state.no_scripts, "--no-scripts"),
            (state.no_plugins, "--no-plugins"),
            (state.optimize, "--optimize-autoloader"),
        ];
        $crate::composer::shared::Given {
            name: &state.name,
            composer: state.composer.as_deref(),
            php: state.php.as_deref(),
            user: state.user.as_deref(),
            flags: flags.into_iter().filter_map(|(on, flag)| on.then_some(flag)).collect(),
            quiet: state.quiet,
            home: &state.composer_home,
            env: state.env.as_ref(),
        }
    }};
}
pub(crate) use given;

/// Serde's default for `composer_home`.
pub fn home() -> String {
    "/root".into()
}

/// The arguments that all states of composer have.
pub struct Given<'a> {
    pub name: &'a str,
    pub composer: Option<&'a str>,
    pub php: Option<&'a str>,
    pub user: Option<&'a str>,
    /// Switches that are on.
    pub flags: Vec<&'static str>,
    pub quiet: bool,
    pub home: &'a str,
    pub env: Option<&'a Value>,
}

impl Given<'_> {
    /// Makes the command of an action.
    pub fn command(&self, cx: &PlanCx<'_>, action: &str) -> Result<Command, StateError> {
        let program = self.composer.unwrap_or("composer");
        let there =
            if program.starts_with('/') { ask::exists(cx.host, program) } else { cx.host.which(program).is_some() };
        if !there {
            return Err(StateError::missing(format!(
                "Error executing composer in '{}': 'composer.{action}' is not available. Couldn't find '{program}'.",
                self.name
            )));
        }
        if !ask::is_dir(cx.host, self.name) {
            return Err(StateError::missing(format!("Error executing composer in '{}': it is not there", self.name)));
        }
        let mut argv: Vec<String> = vec![];
        // A program of its own is read by PHP.
        if let Some(php) = self.php.or(self.composer.map(|_| "php")) {
            argv.push(php.into());
        }
        argv.extend([program, action, "--no-interaction", "--no-ansi", "--working-dir", self.name].map(str::to_owned));
        argv.extend(self.flags.iter().map(|flag| (*flag).to_owned()));
        let mut command = Command::new(argv).env("COMPOSER_HOME", self.home).env("COMPOSER_ALLOW_SUPERUSER", "1");
        command.env.extend(environment(self.env)?);
        command.runas = self.user.map(str::to_owned);
        Ok(command)
    }

    /// Plans an action, unless it would do nothing.
    pub fn plan(&self, cx: &PlanCx<'_>, action: &str, now: &str, then: &str) -> Result<Plan, StateError> {
        let fact = format!("composer:{}", self.name);
        if cx.host.predicted(&fact).is_some() {
            return Ok(Plan::unchanged("Composer already installed this directory"));
        }
        let mut dry = self.command(cx, action)?;
        dry.argv.push("--dry-run".into());
        let output = cx.host.query(&dry)?;
        let said = format!("{}{}", output.stdout_text(), output.stderr_text());
        if !output.ok() {
            return Err(StateError::failed(format!("Error executing composer in '{}': {}", self.name, said.trim())));
        }
        if said.contains("Nothing to install, update or remove")
            && ask::exists(cx.host, format!("{}/vendor", self.name))
        {
            return Ok(Plan::unchanged("Composer already installed this directory"));
        }
        let mut command = self.command(cx, action)?;
        if self.quiet {
            command.argv.push("--quiet".into());
        }
        let mut did = format!("Composer {action} completed successfully");
        if self.quiet {
            did += ", output silenced by quiet flag";
        }
        let mut plan = Plan::default().says(format!("The state of \"{}\" will be changed.", self.name), did);
        plan = plan.change("old", now).change("new", then);
        let vendor = format!("{}/vendor", self.name);
        plan.attempt(command, vec![Prediction::Path(vendor.into()), Prediction::Fact(fact, true.into())]);
        Ok(plan)
    }

    /// Tells what composer said.
    pub fn settle(&self, plan: &Plan, seen: &[Observed]) -> Settled {
        let Some(output) = seen.iter().find_map(Observed::output) else { return Settled::as_planned(plan) };
        if !output.ok() {
            let comment = format!("Error executing composer in '{}': {}", self.name, ask::said(output));
            return Settled { result: false, changes: Map::new(), comment };
        }
        let mut settled = Settled::as_planned(plan);
        if !self.quiet {
            let said = [("stderr", output.stderr_text()), ("stdout", output.stdout_text())];
            settled.changes = said.into_iter().map(|(key, text)| (key, text.trim_end().to_owned())).collect();
        }
        settled
    }
}
