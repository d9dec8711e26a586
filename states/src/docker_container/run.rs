//! `docker_container.run`

use super::running::need_networks;
use super::shared::{answers, becomes, call, fact, find, rest};
use corpus_core::plan::{Observed, Settled};
use corpus_core::{Map, Plan, PlanCx, State, StateError, Value, python};
use corpus_exec::docker::container;
use serde::Deserialize;
use std::path::Path;

/// Runs a container to its end, as `cmd.run` does with a command. Takes the arguments of `docker_container.running` for
/// the container itself.
///
/// ```sls
/// build:
///   docker_container.run:
///     - image: builder:1
///     - command: /scripts/build.sh
///     - binds: /home/me/builds:/out
///     - creates: /home/me/builds/app.deb
///     - replace: true
/// ```
#[derive(Deserialize)]
pub struct Run {
    /// The container.
    pub name: String,
    /// Its image.
    pub image: Option<String>,
    /// Do not wait for its end.
    #[serde(default)]
    pub bg: bool,
    /// Another exit status than 0 is a failure.
    #[serde(default = "yes")]
    pub failhard: bool,
    /// Remove a container of the name first.
    #[serde(default)]
    pub replace: bool,
    /// Remove it even if it runs.
    #[serde(default)]
    pub force: bool,
    /// Run only if one of these paths is not there.
    pub creates: Option<Value>,
    /// Remove it when it has ended.
    pub auto_remove: Option<bool>,
    /// Remove it when it has ended.
    pub rm: Option<bool>,
    /// Accepted for Salt's sake.
    pub skip_translate: Option<Value>,
    /// Accepted for Salt's sake.
    pub ignore_collisions: Option<Value>,
    /// Accepted for Salt's sake.
    pub validate_ip_addrs: Option<Value>,
    /// Accepted for Salt's sake.
    pub client_timeout: Option<Value>,
}

fn yes() -> bool {
    true
}

const OWN: &[&str] = &[
    "name",
    "image",
    "bg",
    "failhard",
    "replace",
    "force",
    "creates",
    "auto_remove",
    "rm",
    "skip_translate",
    "ignore_collisions",
    "validate_ip_addrs",
    "client_timeout",
];

impl State for Run {
    const NAME: &'static str = "docker_container.run";
    const OPEN: bool = true;
    const WATCHES: bool = true;
    const CONVERGES: bool = false;

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let mut args = rest(cx, OWN);
        if let Some(bad) = ["watch_action", "start", "shutdown_timeout", "follow"].iter().find(|key| args.contains(key))
        {
            return Err(StateError::failed(format!("The '{bad}' argument is not supported")));
        }
        let image = self.image.as_deref().filter(|image| !image.is_empty());
        let image = image.ok_or_else(|| StateError::failed("The 'image' argument is required"))?;
        if self.auto_remove.is_some() && self.rm.is_some() {
            return Err(StateError::failed("'rm' is an alias for 'auto_remove', they cannot both be used"));
        }
        let paths = corpus_exec::fns::lvm::listed(self.creates.as_ref());
        let mut all = !paths.is_empty();
        for path in &paths {
            all &= cx.host.stat(Path::new(path))?.is_some();
        }
        if all {
            return Ok(Plan::unchanged(match paths.as_slice() {
                [one] => format!("{one} exists"),
                _ => "All specified paths exist".into(),
            }));
        }
        let wanted = container::read(image, &args)?;
        if let Some(networks) = &wanted.networks {
            need_networks(cx, networks)?;
            args.insert("networks", networks.clone());
        }
        let name = &self.name;
        let there = match cx.host.predicted(&fact("container", name)) {
            Some(known) => !known.is_null(),
            None => find(cx, "docker.inspect_container", name)?.is_some(),
        };
        if there && !self.replace {
            return Err(StateError::missing(format!(
                "Encountered error running container: Encountered error creating container: Container '{name}' exists. Run with \
                 replace=True to replace it."
            )));
        }
        for (key, on) in [("bg", self.bg), ("replace", self.replace), ("force", self.force)] {
            if on {
                args.insert(key, true);
            }
        }
        let remove = self.auto_remove.or(self.rm).unwrap_or(false);
        if remove && self.bg {
            args.insert("auto_remove", true);
        }
        args.insert("name", name.as_str());
        let mut plan = Plan::default();
        let after: Map = [("state", if self.bg { "running" } else { "stopped" })].into_iter().collect();
        let mut predicts = becomes("container", name, after);
        predicts.push(corpus_core::Prediction::Opaque);
        plan.push(call("run_container", vec![image.into()], &args), predicts);
        if remove && !self.bg {
            plan.push(call("rm", vec![name.as_str().into()], &Map::new()), becomes("container", name, Value::Null));
        }
        plan.changes.insert("Name", name.as_str());
        let how = if self.bg { " in the background" } else { "" };
        Ok(plan.says(format!("Container would be run{how}"), format!("Container was run{how}")))
    }

    fn settle(&self, plan: &Plan, seen: &[Observed], _: &PlanCx<'_>) -> Result<Settled, StateError> {
        let mut settled = Settled::as_planned(plan);
        let Some(answer) = answers(seen).first().and_then(|first| first.as_map().cloned()) else { return Ok(settled) };
        if let Some(code) = answer.get("ExitCode") {
            settled.result = !self.failhard || code.as_int() == Some(0);
            settled.comment = format!("Container ran and exited with a return code of {}", python::str(code));
        }
        settled.changes = answer;
        Ok(settled)
    }
}
