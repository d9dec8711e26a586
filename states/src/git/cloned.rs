//! `git.cloned`

use super::shared::{self, As};
use corpus_core::decode::OneOrMany;
use corpus_core::{Effect, Plan, PlanCx, Prediction, State, StateError};
use corpus_exec::ask;
use serde::Deserialize;

/// Keeps a clone of a repository there; it is not updated.
///
/// ```sls
/// https://git.example.org/tools.git:
///   git.cloned:
///     - target: /opt/tools
/// ```
#[derive(Deserialize)]
pub struct Cloned {
    /// Address of the repository.
    pub name: String,
    /// Directory of the check-out.
    pub target: String,
    /// Branch to check out.
    pub branch: Option<String>,
    /// User who runs git.
    pub user: Option<String>,
    /// Private keys for SSH.
    #[serde(default)]
    pub identity: OneOrMany<String>,
}

impl State for Cloned {
    const NAME: &'static str = "git.cloned";
    const OPEN: bool = true;

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let (target, url) = (self.target.as_str(), shared::redact(&self.name));
        if !target.starts_with('/') {
            return Err(StateError::failed(format!("'target' path must be absolute: {target}")));
        }
        let git = As { user: self.user.as_deref(), identity: &self.identity.0 };
        if ask::exists(cx.host, format!("{target}/.git")) {
            let current = git.ask(cx, ["-C", target, "symbolic-ref", "--short", "-q", "HEAD"])?;
            return match &self.branch {
                Some(branch) if current.as_ref() != Some(branch) => Ok(Plan::default()
                    .says(format!("Branch would be changed to '{branch}'"), format!("Branch changed to '{branch}'"))
                    .change("branch", branch.as_str())
                    .step(Effect::Exec(git.git(["-C", target, "checkout", branch])))),
                Some(branch) => Ok(Plan::unchanged(format!(
                    "Repository already exists at {target} and is checked out to branch '{branch}'"
                ))),
                None => Ok(Plan::unchanged(format!("Repository already exists at {target}"))),
            };
        }
        if ask::is_dir(cx.host, target) && !cx.host.list(target.as_ref())?.is_empty() {
            return Err(StateError::failed(format!(
                "Target '{target}' exists, is non-empty and is not a git repository"
            )));
        }
        let mut clone = git.git(["clone"]);
        if let Some(branch) = &self.branch {
            clone.argv.extend(["--branch".into(), branch.clone()]);
        }
        clone.argv.extend(["--".into(), self.name.clone(), target.into()]);
        let with = self.branch.as_ref().map(|branch| format!(" with branch '{branch}'")).unwrap_or_default();
        let mut plan = Plan::default()
            .says(format!("{url} would be cloned to {target}{with}"), format!("{url} cloned to {target}{with}"))
            .change("new", format!("{url} => {target}"));
        plan.push(Effect::Exec(clone), vec![Prediction::Path(target.into())]);
        Ok(plan)
    }
}
