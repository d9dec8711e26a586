//! `lvm.vg_present`

use super::shared;
use corpus_core::plan::{Observed, Settled};
use corpus_core::{Map, Plan, PlanCx, State, StateError, Value};
use corpus_exec::file;
use corpus_exec::fns::lvm::{self, Kind};
use serde::Deserialize;

const OPTIONS: &[&str] = &[
    "addtag",
    "alloc",
    "autobackup",
    "clustered",
    "maxlogicalvolumes",
    "maxphysicalvolumes",
    "metadatatype",
    "vgmetadatacopies",
    "metadatacopies",
    "physicalextentsize",
    "zero",
];

/// Keeps a volume group of devices. Options of `vgcreate` may be given, such as `physicalextentsize`.
///
/// ```sls
/// data:
///   lvm.vg_present:
///     - devices: [/dev/sdb, /dev/sdc]
/// ```
#[derive(Deserialize)]
pub struct VgPresent {
    /// The volume group.
    pub name: String,
    /// Its devices: a list, or words with commas between.
    pub devices: Option<Value>,
}

impl State for VgPresent {
    const NAME: &'static str = "lvm.vg_present";
    const OPEN: bool = true;

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let (name, devices) = (&self.name, lvm::listed(self.devices.as_ref()));
        let mut plan = Plan::default();
        let group = shared::find(cx, Kind::Vg, name)?;
        if group.is_none() {
            let mut words = vec!["vgcreate", name.as_str()];
            words.extend(devices.iter().map(String::as_str));
            words.push("-qq");
            plan.exec(lvm::command(&words, &shared::options(cx, OPTIONS)), shared::becomes(Kind::Vg, name, true));
            plan.memo = format!("Failed to create Volume Group {name}").into();
            let out = format!("Volume group \"{name}\" successfully created");
            let created: Map = [("Output from vgcreate", out)].into_iter().collect();
            return Ok(plan
                .change("created", created)
                .says(format!("Volume Group {name} is set to be created"), format!("Created Volume Group {name}")));
        }
        let mut said = vec![format!("Volume Group {name} already present")];
        if group.is_some_and(|group| group.is_empty()) {
            // An earlier step makes it.
            return Ok(Plan::unchanged(said.remove(0)));
        }
        let mut bad = false;
        for device in &devices {
            let real = file::real_path(cx.host, device.as_ref())?.display().to_string();
            let volume = shared::find(cx, Kind::Pv, &real)?;
            let group = volume.as_ref().and_then(|volume| volume.str("Volume Group Name")).unwrap_or_default();
            match (&volume, group) {
                (None, _) => {
                    bad = true;
                    said.push(format!("pv {device} is not present"));
                }
                (_, group) if group == name => said.push(format!("{device} is part of Volume Group")),
                (_, "" | "#orphans_lvm2") => {
                    plan.exec(lvm::command(&["vgextend", name, "-qq", device], &[]), vec![]);
                    plan.changes.insert(device.as_str(), format!("added to {name}"));
                }
                (_, other) => {
                    bad = true;
                    said.push(format!("{device} is part of {other}"));
                }
            }
        }
        let text = said.join("\n");
        if bad {
            return Ok(Plan::failed(text));
        }
        plan.unchanged.clone_from(&text);
        plan.memo = text.as_str().into();
        Ok(plan.says(text.clone(), text))
    }

    fn settle(&self, plan: &Plan, seen: &[Observed], cx: &PlanCx<'_>) -> Result<Settled, StateError> {
        shared::described(cx, Kind::Vg, &self.name, shared::settle(plan, seen))
    }
}
