//! `git.present`

use super::shared::As;
use corpus_core::{Effect, Plan, PlanCx, Prediction, State, StateError};
use corpus_exec::ask;
use serde::Deserialize;

/// Keeps a repository there, made empty if it is not.
///
/// ```sls
/// /srv/git/app.git: git.present
/// ```
#[derive(Deserialize)]
pub struct Present {
    /// The directory.
    pub name: String,
    /// Remove what is in the directory if it is no repository.
    #[serde(default)]
    pub force: bool,
    /// Make it without a check-out.
    #[serde(default = "yes")]
    pub bare: bool,
    /// Directory of templates.
    pub template: Option<String>,
    /// Where the repository itself lies.
    pub separate_git_dir: Option<String>,
    /// Who shares it: `group`, `all`, or a mode.
    pub shared: Option<String>,
    /// User who runs git.
    pub user: Option<String>,
}

fn yes() -> bool {
    true
}

impl State for Present {
    const NAME: &'static str = "git.present";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let (name, kind) = (self.name.as_str(), if self.bare { "bare " } else { "" });
        if !name.starts_with('/') {
            return Err(StateError::failed(format!("Directory '{name}' is not an absolute path")));
        }
        cx.program("git", "git")?;
        let mark = format!("{name}/{}", if self.bare { "HEAD" } else { ".git" });
        if ask::exists(cx.host, &mark) {
            return Ok(Plan::unchanged(""));
        }
        let mut plan = Plan::default();
        let mut would = format!("New {kind}repository would be created");
        if ask::is_dir(cx.host, name) && !cx.host.list(name.as_ref())?.is_empty() {
            if !self.force {
                return Err(StateError::failed(format!(
                    "Target '{name}' exists, is non-empty, and is not a git repository. Set the 'force' option to True \
                     to remove this directory's contents and proceed with initializing a repository"
                )));
            }
            would = format!(
                "Target directory {name} exists. Since force=True, the contents of {name} would be deleted, and a \
                 {kind}repository would be initialized in its place."
            );
            plan.push(Effect::Remove { path: name.into() }, vec![]);
            plan.changes.insert("forced init", true);
        }
        let git = As { user: self.user.as_deref(), identity: &[] };
        let mut init = git.git(["init", "--quiet"]);
        let mut did = vec![format!("Initialized {kind}repository in {name}")];
        if self.bare {
            init.argv.push("--bare".into());
        }
        if let Some(template) = &self.template {
            init.argv.push(format!("--template={template}"));
            did.push(format!("Template directory set to {template}"));
        }
        if let Some(dir) = &self.separate_git_dir {
            init.argv.push(format!("--separate-git-dir={dir}"));
            did.push(format!("Gitdir set to {dir}"));
        }
        if let Some(shared) = &self.shared {
            init.argv.push(format!("--shared={shared}"));
        }
        init.argv.extend(["--".into(), name.into()]);
        plan.push(Effect::Exec(init), vec![Prediction::Path(name.into()), Prediction::Path(mark.into())]);
        let end = if did.len() > 1 { "." } else { "" };
        Ok(plan.change("new", name).says(would, did.join(". ") + end))
    }
}
