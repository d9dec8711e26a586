//! `raid.present`

use super::shared::{self, becomes};
use corpus_core::plan::{Observed, Settled};
use corpus_core::{Map, Plan, PlanCx, State, StateError, Value, python};
use corpus_exec::ask;
use corpus_exec::fns::raid;
use serde::Deserialize;

/// Keeps an array of disks running: made of new devices, or started of those that were part of it. Further arguments
/// are options of `mdadm`.
///
/// ```sls
/// /dev/md0:
///   raid.present:
///     - level: 1
///     - devices: [/dev/sdb, /dev/sdc]
///     - chunk: 256
/// ```
#[derive(Deserialize)]
pub struct Present {
    /// The array's device.
    pub name: String,
    /// The level.
    pub level: String,
    /// The devices; `missing` is one that is to come.
    pub devices: Vec<String>,
    /// The format of the description on the devices.
    pub metadata: Option<String>,
}

/// The devices: those of one array, those of none, and those that are not there.
#[derive(Default)]
struct Sorted {
    uuid: Option<String>,
    old: Vec<String>,
    new: Vec<String>,
    missing: Vec<String>,
}

impl Present {
    fn sort(&self, cx: &PlanCx<'_>) -> Result<Sorted, StateError> {
        let (mut sorted, mut uuids) = (Sorted::default(), vec![]);
        for device in &self.devices {
            if device == "missing" || !ask::exists(cx.host, device) {
                sorted.missing.push(device.clone());
                continue;
            }
            match raid::examine(cx.host, device)?.str("MD_UUID") {
                Some(uuid) => {
                    if !uuids.contains(&uuid.to_owned()) {
                        uuids.push(uuid.to_owned());
                    }
                    sorted.old.push(device.clone());
                }
                None => sorted.new.push(device.clone()),
            }
        }
        uuids.sort();
        if uuids.len() > 1 {
            return Err(StateError::failed(format!(
                "Devices are a mix of RAID constituents with multiple MD_UUIDs: {}.",
                python::repr(&uuids.into())
            )));
        }
        sorted.uuid = uuids.pop();
        Ok(sorted)
    }

    /// Plans the array itself; says what is done with it.
    fn build(&self, cx: &PlanCx<'_>, sorted: &Sorted, plan: &mut Plan) -> Result<(String, &'static str), StateError> {
        let mut more = corpus_core::state::arguments(cx.low);
        for own in ["name", "level", "devices", "metadata"] {
            more.remove(own);
        }
        more.0.retain(|key, _| key.as_str().is_some_and(|key| !corpus_core::keywords::is_engine_word(key)));
        let (command, verb) = if sorted.old.is_empty() {
            if sorted.new.is_empty() {
                let missing = python::repr(&sorted.missing.clone().into());
                return Err(StateError::missing(format!("All devices are missing: {missing}.")));
            }
            let mut devices = sorted.new.clone();
            devices.extend(sorted.missing.iter().map(|_| "missing".to_owned()));
            let metadata = self.metadata.as_deref().unwrap_or("default");
            (raid::create(&self.name, &self.level, &devices, metadata, &more), "created")
        } else {
            (raid::assemble(&self.name, &sorted.old, &more), "assembled")
        };
        let told = format!("Raid will be {verb} with: {}", command.argv.join(" "));
        let array: Map = [("device", self.name.as_str())].into_iter().collect();
        plan.exec(command, becomes(&self.name, array.clone().into()));
        plan.changes = array;
        shared::remember(plan);
        Ok((told, verb))
    }
}

impl State for Present {
    const NAME: &'static str = "raid.present";
    const OPEN: bool = true;

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let name = &self.name;
        let have = shared::find(cx, name)?;
        let made_here = cx.host.predicted(&shared::fact(name)).is_some();
        let mut sorted = if made_here { Sorted::default() } else { self.sort(cx)? };
        if let (Some(have), Some(uuid)) = (have.as_ref().and_then(|have| have.get("uuid")), &sorted.uuid)
            && python::str(have) != *uuid
        {
            return Err(StateError::failed(format!(
                "Devices MD_UUIDs: {uuid} differs from present RAID uuid {}.",
                python::str(have)
            )));
        }
        let mut plan = Plan::default();
        let missing = match sorted.missing.as_slice() {
            [] => String::new(),
            missing => format!(" Missing devices: {}", python::repr(&missing.to_vec().into())),
        };
        let (mut would, mut did) = if have.is_some() {
            (format!("Raid {name} already present."), format!("Raid {name} already present."))
        } else {
            let (told, verb) = self.build(cx, &sorted, &mut plan)?;
            if verb == "created" {
                // They are part of it from the beginning.
                sorted.new.clear();
            }
            (told, format!("Raid {name} {verb}."))
        };
        if !sorted.new.is_empty() {
            would += &format!(" New devices will be added: {}", python::repr(&sorted.new.clone().into()));
            for device in &sorted.new {
                plan.exec(raid::add(name, device), vec![]);
                did += &format!(" Added new device {device} to {name}.\n");
            }
            plan.changes.insert("added", sorted.new);
        }
        plan.unchanged = format!("{did}{missing}");
        Ok(plan.says(would + &missing, did + &missing))
    }

    fn settle(&self, plan: &Plan, _: &[Observed], cx: &PlanCx<'_>) -> Result<Settled, StateError> {
        let mut settled = Settled::as_planned(plan);
        if !plan.changes.contains("device") {
            return Ok(settled);
        }
        match raid::list(cx.host)?.get(&self.name).and_then(Value::as_map) {
            Some(array) => settled.changes.0.extend(array.iter().map(|(key, value)| (key.clone(), value.clone()))),
            None => {
                let verb = if plan.did.contains("assembled") { "assembled" } else { "created" };
                settled = Settled {
                    result: false,
                    changes: Map::new(),
                    comment: format!("Raid {} failed to be {verb}.", self.name),
                };
            }
        }
        Ok(settled)
    }
}
