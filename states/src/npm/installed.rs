//! `npm.installed`

use super::shared;
use crate::cmd::shared::environment;
use corpus_core::{Effect, Plan, PlanCx, Prediction, State, StateError, Value};
use serde::Deserialize;

/// Keeps packages of Node.js installed.
///
/// ```sls
/// coffee-script@1.0.1:
///   npm.installed
/// ```
#[derive(Deserialize)]
pub struct Installed {
    /// The package, with its version if any.
    pub name: String,
    /// Several packages, in place of `name`.
    pub pkgs: Option<Vec<String>>,
    /// Directory to install into; the whole machine without.
    pub dir: Option<String>,
    /// User who runs npm.
    pub user: Option<String>,
    /// Install again what is installed.
    #[serde(default)]
    pub force_reinstall: bool,
    /// Address of the registry.
    pub registry: Option<String>,
    /// Variables of the environment.
    pub env: Option<Value>,
}

impl State for Installed {
    const NAME: &'static str = "npm.installed";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let (dir, user) = (self.dir.as_deref(), self.user.as_deref());
        let wanted = self.pkgs.clone().unwrap_or_else(|| vec![self.name.clone()]);
        let mut base = shared::command(cx, dir, user, [])?;
        base.env = environment(self.env.as_ref())?;
        let have = shared::installed(cx, base.clone())?;
        let (mut satisfied, mut missing, mut predicts) = (vec![], vec![], vec![]);
        let mut repeats = self.force_reinstall;
        for pkg in &wanted {
            let (name, version) = shared::split(pkg);
            match shared::version(cx, &have, dir, name) {
                Some(found) if !self.force_reinstall && version.is_none_or(|version| version == found) => {
                    satisfied.push(format!("{name}@{found}"));
                    continue;
                }
                _ => {}
            }
            // A tag, a range or an address: what npm has made of it does not show in the list.
            let exact =
                version.is_none_or(|v| v.split('.').count() >= 3 && v.starts_with(|c: char| c.is_ascii_digit()));
            repeats |= !exact || name.contains([':', '#']);
            predicts.push(Prediction::Fact(shared::fact(dir, name), version.unwrap_or_default().into()));
            missing.push(pkg.clone());
        }
        let said = format!("Package(s) '{}' satisfied by {}", wanted.join(", "), satisfied.join(", "));
        if missing.is_empty() {
            return Ok(Plan::unchanged(said));
        }
        let names = missing.join(", ");
        let mut would = format!("NPM package(s) '{names}' are set to be installed");
        if !satisfied.is_empty() {
            would = format!("{would}. {said}");
        }
        let mut command = base;
        command.argv.splice(1..1, ["install".to_owned()]);
        match &self.registry {
            // Arguments and environment can be read by others.
            Some(url) if url.contains('@') => {
                let file = command.hand_over(format!("registry={url}\n"));
                command.env.push(("npm_config_userconfig".into(), file));
                command.secret = true;
            }
            Some(url) => command.argv.push(format!("--registry={url}")),
            None => {}
        }
        command.argv.extend(missing.iter().cloned());
        let mut plan = Plan::default()
            .says(would, format!("Package(s) '{names}' successfully installed"))
            .change("old", Value::list(vec![]))
            .change("new", missing);
        plan.push(Effect::Exec(command), predicts);
        plan.repeats = repeats;
        Ok(plan)
    }
}
