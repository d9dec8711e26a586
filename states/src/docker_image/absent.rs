//! `docker_image.absent`

use crate::docker_container::shared::{answers, becomes, call, change, fact, find};
use corpus_core::plan::{Observed, Settled};
use corpus_core::{Map, Plan, PlanCx, State, StateError, Value, python};
use serde::Deserialize;

/// Keeps an image, or several, away.
///
/// ```sls
/// busybox:1.36:
///   docker_image.absent
/// ```
#[derive(Deserialize)]
pub struct Absent {
    /// The image; `latest` where no tag is named.
    pub name: String,
    /// Several images, instead.
    pub images: Option<Vec<String>>,
    /// Remove it even if a container uses it.
    #[serde(default)]
    pub force: bool,
}

impl State for Absent {
    const NAME: &'static str = "docker_image.absent";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let targets = self.images.clone().unwrap_or_else(|| vec![self.name.clone()]);
        let mut there = vec![];
        for target in &targets {
            match cx.host.predicted(&fact("image", target)) {
                Some(known) if known.truthy() => there.push(target.clone()),
                Some(_) => {}
                None => {
                    let tag = find(cx, "docker.resolve_tag", target)?.filter(Value::truthy);
                    there.extend(tag.map(|tag| python::str(&tag)));
                }
            }
        }
        let mut plan = Plan::unchanged(match targets.as_slice() {
            [_] => format!("Image {} is not present", self.name),
            _ => "All specified images are not present".into(),
        });
        if there.is_empty() {
            return Ok(plan);
        }
        let kwargs: Map = [("force", self.force)].into_iter().collect();
        let mut gone: Vec<_> = there.iter().flat_map(|name| becomes("image", name, Value::Null)).collect();
        gone.extend(targets.iter().flat_map(|name| becomes("image", name, Value::Null)));
        plan.push(call("rmi", there.iter().map(|name| name.as_str().into()).collect(), &kwargs), gone);
        for name in &there {
            plan.changes.insert(name.as_str(), change(name.as_str(), Value::Null));
        }
        plan.memo = there.clone().into();
        Ok(match there.as_slice() {
            [one] => plan.says(format!("Image {one} will be removed"), format!("Image {one} was removed")),
            many => {
                let names = many.join(", ");
                plan.says(
                    format!("The following images will be removed: {names}"),
                    format!("The following images were removed: {names}"),
                )
            }
        })
    }

    fn settle(&self, plan: &Plan, seen: &[Observed], cx: &PlanCx<'_>) -> Result<Settled, StateError> {
        let mut settled = Settled::as_planned(plan);
        let Some(answer) = answers(seen).first().and_then(|first| first.as_map().cloned()) else { return Ok(settled) };
        let wanted: Vec<String> = plan.memo.as_list().unwrap_or_default().iter().map(python::str).collect();
        let mut failed = vec![];
        for name in &wanted {
            if find(cx, "docker.resolve_image_id", name)?.is_some_and(|id| id.truthy()) {
                failed.push(name.clone());
            }
        }
        if failed.len() == wanted.len() {
            let errors = answer.get("Errors").and_then(Value::as_list).unwrap_or_default();
            let errors: Vec<String> = errors.iter().map(python::str).collect();
            let mut comment = "None of the specified images were removed".to_owned();
            if !errors.is_empty() {
                comment += &format!(". The following errors were encountered: {}", errors.join("; "));
            }
            return Ok(Settled { result: false, changes: Map::new(), comment });
        }
        settled.changes = answer;
        if !failed.is_empty() {
            settled.result = false;
            settled.comment = format!("The following image(s) failed to be removed: {}", failed.join(", "));
        }
        Ok(settled)
    }
}
