//! `mc_git.latest`

use corpus_core::{Plan, PlanCx, State, StateError};
use serde::Deserialize;

/// Keeps a check-out at the newest commit of a revision: `git.latest` by the name that it has in the makina-states tree.
/// It takes the arguments of `git.latest`.
///
/// ```sls
/// https://git.example.org/site.git:
///   mc_git.latest:
///     - target: /srv/site
///     - rev: main
/// ```
#[derive(Deserialize)]
#[serde(transparent)]
pub struct Latest(crate::git::latest::Latest);

impl State for Latest {
    const NAME: &'static str = "mc_git.latest";
    const OPEN: bool = true;

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        State::plan(&self.0, cx)
    }
}
