//! `docker_image.present`

use crate::docker_container::shared::{answers, becomes, call, change, fact, find, rest};
use corpus_core::plan::{Observed, Settled};
use corpus_core::source::{FileOrigin, FileRequest};
use corpus_core::{Map, Plan, PlanCx, State, StateError, Value};
use serde::Deserialize;

/// Keeps an image: pulled from its registry, built of a directory of the machine, or loaded from an archive.
///
/// ```sls
/// busybox:
///   docker_image.present:
///     - tag: '1.36'
///
/// shop:
///   docker_image.present:
///     - tag: v1
///     - build: /srv/shop
/// ```
#[derive(Deserialize)]
pub struct Present {
    /// The image.
    pub name: String,
    /// Its tag; needed where it is built or loaded.
    pub tag: Option<String>,
    /// The directory to build it of.
    pub build: Option<String>,
    /// The archive to load it from: a path of the machine, or a URL such as `salt://shop.tar`.
    pub load: Option<String>,
    /// Pull, build or load it even if it is there.
    #[serde(default)]
    pub force: bool,
    /// Accepted for Salt's sake: the daemon's configuration says which registries are trusted.
    pub insecure_registry: Option<Value>,
    /// Accepted for Salt's sake.
    pub client_timeout: Option<Value>,
    /// The file in the directory that says how to build it.
    pub dockerfile: Option<String>,
    /// Not built: an image of states.
    pub sls: Option<Value>,
    /// Goes with `sls`.
    pub base: Option<Value>,
    /// Goes with `sls`.
    pub saltenv: Option<Value>,
    /// Goes with `sls`.
    pub pillarenv: Option<Value>,
    /// Goes with `sls`.
    pub pillar: Option<Value>,
    /// Further arguments of `docker.build`: `buildargs`, `cache`, `rm`, `network_mode`.
    pub kwargs: Option<Map>,
}

impl State for Present {
    const NAME: &'static str = "docker_image.present";
    const OPEN: bool = true;
    const WATCHES: bool = true;

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        self.keep(cx, self.force)
    }

    fn watch(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        self.keep(cx, true)
    }

    fn settle(&self, plan: &Plan, seen: &[Observed], _: &PlanCx<'_>) -> Result<Settled, StateError> {
        let mut settled = Settled::as_planned(plan);
        let Some(answer) = answers(seen).first().and_then(|first| first.as_map().cloned()) else { return Ok(settled) };
        let verb = if self.build.is_some() { "built" } else { "loaded" };
        let layers = answer.get("Layers");
        let pulled = layers.and_then(|layers| layers.get("Pulled")).is_some_and(Value::truthy);
        let was_there = plan.memo.as_str();
        // An image that was there before, and is the same still, has not changed.
        let same = match was_there {
            None => false,
            Some(old) if self.build.is_some() => answer.str("Id").is_some_and(|id| old.contains(id)),
            Some(_) if self.load.is_some() => !layers.is_some_and(Value::truthy),
            Some(_) => !pulled,
        };
        if same {
            let verb = if self.build.is_some() || self.load.is_some() { verb } else { "pulled" };
            settled.changes = Map::new();
            settled.comment = format!("Image '{}' was {verb}, but there were no changes", self.name);
        } else {
            settled.changes = answer;
        }
        Ok(settled)
    }
}

impl Present {
    fn keep(&self, cx: &PlanCx<'_>, force: bool) -> Result<Plan, StateError> {
        let fail = |text: &str| Err(StateError::failed(text));
        let made = [self.build.is_some(), self.load.is_some(), self.sls.is_some()];
        match (made.iter().filter(|made| **made).count(), &self.tag) {
            (2.., _) => return fail("Only one of 'build', 'load', or 'sls' is permitted."),
            (1, None) => {
                return fail("The 'tag' argument is required if any one of 'build', 'load', or 'sls' is used.");
            }
            _ => {}
        }
        if self.sls.is_some() {
            return fail("`sls`: building an image of states is not built; a Dockerfile can be (`build`)");
        }
        let tag = self.tag.as_deref().filter(|tag| !tag.is_empty());
        let full = tag.map_or_else(|| self.name.clone(), |tag| format!("{}:{tag}", self.name));
        let have = match cx.host.predicted(&fact("image", &full)) {
            Some(known) => Some(known).filter(Value::truthy),
            None => find(cx, "docker.inspect_image", &full)?,
        };
        if have.is_some() && !force {
            return Ok(Plan::unchanged(format!("Image {full} already present")));
        }
        let mut kwargs = Map::new();
        let (verb, effect) = if let Some(folder) = &self.build {
            kwargs.insert("repository", self.name.as_str());
            kwargs.insert("tag", tag.unwrap_or("latest"));
            if let Some(file) = &self.dockerfile {
                kwargs.insert("dockerfile", file.as_str());
            }
            kwargs.0.extend(self.kwargs.clone().unwrap_or_default());
            kwargs.0.extend(rest(cx, OWN));
            ("built", call("build", vec![folder.as_str().into()], &kwargs))
        } else if let Some(archive) = &self.load {
            kwargs.insert("repository", self.name.as_str());
            kwargs.insert("tag", tag.unwrap_or("latest"));
            let path = match archive.contains("://") {
                true => {
                    let origin = FileOrigin::Urls(vec![archive.clone()]);
                    let file = cx.resolve(&FileRequest { origin, saltenv: cx.saltenv(), template: None })?;
                    cx.source.fetch(&file)?.display().to_string()
                }
                false => archive.clone(),
            };
            ("loaded", call("load", vec![path.into()], &kwargs))
        } else {
            ("pulled", call("pull", vec![full.as_str().into()], &kwargs))
        };
        let mut plan = Plan { repeats: force, ..Plan::default() };
        plan.push(effect, becomes("image", &full, true));
        let old = have.as_ref().and_then(|have| have.get("Id")).cloned().unwrap_or_default();
        plan.memo = if have.is_some() && old.is_null() { "foreseen".into() } else { old.clone() };
        plan.changes.insert("image", change(old, full.as_str()));
        Ok(plan.says(format!("Image {full} will be {verb}"), format!("Image '{full}' was {verb}")))
    }
}

const OWN: &[&str] = &[
    "name",
    "tag",
    "build",
    "load",
    "force",
    "insecure_registry",
    "client_timeout",
    "dockerfile",
    "sls",
    "base",
    "saltenv",
    "pillarenv",
    "pillar",
    "kwargs",
];
