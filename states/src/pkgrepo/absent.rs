//! `pkgrepo.absent`

use super::shared::{self, Line};
use corpus_core::{Effect, Plan, PlanCx, State, StateError, Value};
use corpus_exec::ask;
use serde::Deserialize;

/// Keeps a repository of packages away.
///
/// ```sls
/// deb https://x.example.org/apt stable main:
///   pkgrepo.absent
/// ```
#[derive(Deserialize)]
pub struct Absent {
    /// The whole line for apt; the repository's id for yum.
    pub name: String,
    /// A personal archive of Launchpad, `owner/name`.
    pub ppa: Option<String>,
    /// Accepted for Salt's sake: keys stay.
    pub keyid: Option<Value>,
}

impl State for Absent {
    const NAME: &'static str = "pkgrepo.absent";
    const OPEN: bool = true;

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let name = &self.name;
        let mut plan = Plan::unchanged(format!("Package repo {name} is absent"));
        if shared::is_apt(cx) {
            let marker = self
                .ppa
                .clone()
                .or_else(|| name.strip_prefix("ppa:").map(str::to_owned))
                .map(|ppa| format!("/{ppa}/ubuntu"));
            let want = Line::parse(name);
            // What is left of a line: all of it, what nobody wants gone of its components, or nothing.
            let left = |text: &str| -> Option<String> {
                let Some(line) = Line::parse(text) else { return Some(text.to_owned()) };
                let gone = match (&marker, &want) {
                    (Some(marker), _) => line.uri.contains(marker.as_str()),
                    (None, Some(want)) => !line.disabled && line.same_place(want),
                    (None, None) => line.uri.trim_end_matches('/') == name.trim_end_matches('/'),
                };
                if !gone {
                    return Some(text.to_owned());
                }
                let asked = want.as_ref().map(|want| want.comps.clone()).unwrap_or_default();
                let mut rest = line.clone();
                rest.comps.retain(|comp| !asked.contains(comp));
                let nothing = asked.is_empty() || rest.comps.is_empty();
                if nothing { None } else { Some(rest.write()) }
            };
            for path in shared::apt_files(cx) {
                let text = ask::text(cx.host, &path)?.unwrap_or_default();
                let rest: String = text.lines().filter_map(left).map(|line| format!("{line}\n")).collect();
                if rest.trim_end() == text.trim_end() {
                    continue;
                }
                if rest.trim().is_empty() && path != "/etc/apt/sources.list" {
                    plan.push(Effect::Remove { path: path.into() }, vec![]);
                } else {
                    plan.push(shared::write(cx, &path, rest), vec![]);
                }
            }
        } else if let Some(folder) = shared::yum_folder(cx) {
            for file in cx.host.list(folder.as_ref())?.iter().filter(|file| file.ends_with(".repo")) {
                let path = format!("{folder}/{file}");
                let text = ask::text(cx.host, &path)?.unwrap_or_default();
                if shared::section(&text, name).is_none() {
                    continue;
                }
                let rest = shared::with_section(&text, name, None);
                if rest.trim().is_empty() {
                    plan.push(Effect::Remove { path: path.into() }, vec![]);
                } else {
                    plan.push(shared::write(cx, &path, rest), vec![]);
                }
            }
        } else {
            return Err(shared::unable());
        }
        if !plan.steps.is_empty() {
            plan.changes.insert("repo", name.as_str());
        }
        Ok(plan.says(
            format!(
                "Package repo '{name}' will be removed. This may cause pkg states to behave differently than stated if \
                 this action is repeated without test=True, due to the differences in the configured repositories."
            ),
            format!("Removed repo {name}"),
        ))
    }
}
