//! `gem.installed`

use super::shared;
use corpus_core::{Effect, Plan, PlanCx, Prediction, State, StateError, Value};
use corpus_exec::fns::pip::Requirement;
use serde::Deserialize;

/// Keeps a Ruby gem installed.
///
/// ```sls
/// rack:
///   gem.installed:
///     - version: 3.0.8
/// ```
#[derive(Deserialize)]
pub struct Installed {
    /// The gem.
    pub name: String,
    /// Its version, or `>= 3`.
    pub version: Option<String>,
    /// The program `gem`.
    pub gem_bin: Option<String>,
    /// User who runs it.
    pub user: Option<String>,
    /// Make RDoc documentation.
    #[serde(default)]
    pub rdoc: bool,
    /// Make RI documentation.
    #[serde(default)]
    pub ri: bool,
    /// Take pre-releases, too.
    #[serde(default)]
    pub pre_releases: bool,
    /// Address of a proxy.
    pub proxy: Option<String>,
    /// Address of the gems.
    pub source: Option<String>,
}

impl State for Installed {
    const NAME: &'static str = "gem.installed";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let (bin, user, name) = (self.gem_bin.as_deref(), self.user.as_deref(), self.name.as_str());
        let (fact, wanted) = (shared::fact(bin, user, name), self.version.clone().unwrap_or_default());
        let there = match cx.host.predicted(&fact) {
            Some(Value::Str(version)) => wanted.is_empty() || *version == *wanted,
            Some(_) => false,
            None => shared::versions(cx, bin, user, name)?.is_some_and(|have| {
                let compared = wanted.starts_with(['<', '>', '=', '!']);
                let range = compared.then(|| Requirement::parse(&format!("gem{wanted}"))).flatten();
                wanted.is_empty() || have.iter().any(|v| range.as_ref().map_or(*v == wanted, |range| range.admits(v)))
            }),
        };
        if there {
            let met = !wanted.is_empty();
            let said = if met { "Installed Gem meets version requirements." } else { "Gem is already installed." };
            return Ok(Plan::unchanged(said));
        }
        if self.source.as_ref().is_some_and(|url| url.contains('@')) {
            // `gem` takes it as an argument only, which everybody can read.
            return Err(StateError::failed("'source' holds a password: write it to the user's ~/.gemrc instead"));
        }
        let mut command = shared::command(cx, bin, user, ["install", name])?;
        let mut option = |name: &str, value: Option<&String>| {
            command.argv.extend(value.into_iter().flat_map(|value| [name.to_owned(), value.clone()]));
        };
        option("--version", self.version.as_ref());
        option("--source", self.source.as_ref());
        if !self.rdoc && !self.ri {
            command.argv.push("--no-document".into());
        }
        command.argv.extend(self.pre_releases.then(|| "--pre".to_owned()));
        match &self.proxy {
            // Arguments and environment can be read by others.
            Some(url) if url.contains('@') => {
                let file = command.hand_over(format!(":http_proxy: '{}'\n", url.replace('\'', "''")));
                command.argv.extend(["--config-file".to_owned(), file]);
                command.secret = true;
            }
            Some(url) => command.argv.extend(["--http-proxy".to_owned(), url.clone()]),
            None => {}
        }
        let mut plan = Plan::default()
            .says(format!("The gem {name} would have been installed"), "Gem was successfully installed")
            .change(name, "Installed");
        plan.push(Effect::Exec(command), vec![Prediction::Fact(fact, wanted.into())]);
        Ok(plan)
    }
}
