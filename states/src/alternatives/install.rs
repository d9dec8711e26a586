//! `alternatives.install`

use super::shared;
use corpus_core::{Observed, Plan, PlanCx, Settled, State, StateError};
use serde::Deserialize;

/// Registers a program as an alternative for a link.
///
/// ```sls
/// pager:
///   alternatives.install:
///     - link: /usr/bin/pager
///     - path: /usr/bin/less
///     - priority: 5
/// ```
#[derive(Deserialize)]
pub struct Install {
    /// The name of the group of links, `pager`.
    pub name: String,
    /// The link itself, `/usr/bin/pager`.
    pub link: String,
    /// Where it may lead.
    pub path: String,
    /// The highest is chosen, unless somebody chose.
    pub priority: i64,
}

impl State for Install {
    const NAME: &'static str = "alternatives.install";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let Self { name, link, path, priority } = self;
        if shared::exists(cx, name, path)? {
            return Ok(Plan::unchanged(format!("Alternative {path} for {name} is already registered")));
        }
        let mut plan = Plan::default().says(
            format!("Alternative will be set for {name} to {path} with priority {priority}"),
            format!("Alternative for {name} set to path {path} with priority {priority}"),
        );
        plan.push(
            shared::run(cx, ["--install", link, name, path, &priority.to_string()]),
            vec![shared::registered(name, path, true)],
        );
        Ok(plan
            .change("name", name.as_str())
            .change("link", link.as_str())
            .change("path", path.as_str())
            .change("priority", *priority))
    }

    fn settle(&self, plan: &Plan, _: &[Observed], cx: &PlanCx<'_>) -> Result<Settled, StateError> {
        let mut settled = Settled::as_planned(plan);
        let Self { name, path, priority, .. } = self;
        if !plan.steps.is_empty() && shared::current(cx, name)?.as_deref() != Some(path) {
            settled.comment =
                format!("Alternative {path} for {name} registered with priority {priority} and not set to default");
        }
        Ok(settled)
    }
}
