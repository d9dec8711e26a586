//! `lvm.lv_present`

use super::shared;
use corpus_core::plan::{Observed, Settled};
use corpus_core::{Map, Plan, PlanCx, State, StateError};
use corpus_exec::fns::lvm::{self, Kind};
use serde::Deserialize;

const OPTIONS: &[&str] = &[
    "activate",
    "chunksize",
    "contiguous",
    "discards",
    "stripes",
    "stripesize",
    "minor",
    "persistent",
    "mirrors",
    "nosync",
    "noudevsync",
    "monitor",
    "ignoremonitoring",
    "permission",
    "poolmetadatasize",
    "readahead",
    "regionsize",
    "type",
    "virtualsize",
    "zero",
];

/// Keeps a logical volume, of a size. Options of `lvcreate` may be given, such as `stripes` or `type`.
///
/// ```sls
/// media:
///   lvm.lv_present:
///     - vgname: data
///     - size: 10G
/// ```
#[derive(Deserialize)]
pub struct LvPresent {
    /// The logical volume.
    pub name: String,
    /// Its volume group; for a thin volume, with its pool: `data/pool`.
    pub vgname: String,
    /// Its size: `10G`; megabytes without a letter.
    pub size: Option<String>,
    /// Its size in extents, or a share: `100%FREE`.
    pub extents: Option<String>,
    /// The name of a snapshot to make of the volume.
    pub snapshot: Option<String>,
    /// The physical volume to put it on.
    #[serde(default)]
    pub pv: String,
    /// Make it a thin volume.
    #[serde(default)]
    pub thinvolume: bool,
    /// Make it a pool of thin volumes.
    #[serde(default)]
    pub thinpool: bool,
    /// Answer yes to what LVM asks, and let it become smaller.
    #[serde(default)]
    pub force: bool,
    /// Let its file system grow and shrink along.
    #[serde(default)]
    pub resizefs: bool,
}

impl State for LvPresent {
    const NAME: &'static str = "lvm.lv_present";
    const OPEN: bool = true;

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        if self.extents.is_some() && self.size.is_some() {
            return Err(StateError::failed("Only one of extents or size can be specified."));
        }
        let size = match &self.size {
            Some(size) => {
                Some(lvm::megabytes(size).ok_or_else(|| StateError::failed(format!("Size {size} is invalid.")))?)
            }
            None => None,
        };
        let (name, path) = (self.target(), self.path());
        let have = shared::find(cx, Kind::Lv, &path)?;
        let mut plan = Plan::unchanged(format!("Logical Volume {name} already present"));
        match have {
            None => self.create(cx, &mut plan)?,
            // What an earlier step makes has the size that it says.
            Some(have) if !have.is_empty() => return self.resize(plan, &have, size),
            Some(_) => {}
        }
        Ok(plan)
    }

    fn settle(&self, plan: &Plan, seen: &[Observed], cx: &PlanCx<'_>) -> Result<Settled, StateError> {
        shared::described(cx, Kind::Lv, &self.path(), shared::settle(plan, seen))
    }
}

impl LvPresent {
    /// Salt: with a snapshot, the volume that is meant is the snapshot.
    fn target(&self) -> &str {
        self.snapshot.as_deref().unwrap_or(&self.name)
    }

    fn path(&self) -> String {
        let group = if self.thinvolume { self.vgname.split('/').next().unwrap_or_default() } else { &self.vgname };
        format!("/dev/{group}/{}", self.target())
    }

    fn create(&self, cx: &PlanCx<'_>, plan: &mut Plan) -> Result<(), StateError> {
        let (name, path) = (self.target(), self.path());
        let origin = format!("{}/{}", self.vgname, self.name);
        let mut words = vec!["lvcreate"];
        match () {
            () if self.thinvolume => words.extend(["--thin", "-n", name]),
            () if self.thinpool => words.extend(["--thinpool", name]),
            () => words.extend(["-n", name]),
        }
        if self.snapshot.is_some() {
            words.extend(["-s", &origin])
        } else {
            words.push(&self.vgname)
        }
        match (&self.size, &self.extents) {
            (Some(size), _) => words.extend([if self.thinvolume { "-V" } else { "-L" }, size]),
            (None, Some(_)) if self.thinvolume => {
                return Err(StateError::failed("Error: Thin volume size cannot be specified as extents"));
            }
            (None, Some(extents)) => words.extend(["-l", extents]),
            (None, None) => return Err(StateError::failed("Error: Either size or extents must be specified")),
        }
        if !self.pv.is_empty() {
            words.push(&self.pv);
        }
        let mut command = lvm::command(&words, &shared::options(cx, OPTIONS));
        command.argv.push(if self.force { "--yes" } else { "-qq" }.into());
        plan.exec(command, shared::becomes(Kind::Lv, &path, true));
        plan.memo = format!("Failed to create Logical Volume {name}").into();
        let created: Map =
            [("Output from lvcreate", format!("Logical volume \"{name}\" created."))].into_iter().collect();
        plan.changes.insert("created", created);
        plan.would = format!("Logical Volume {name} is set to be created");
        plan.did = format!("Created Logical Volume {name}");
        Ok(())
    }

    fn resize(&self, mut plan: Plan, have: &Map, size: Option<f64>) -> Result<Plan, StateError> {
        let (name, path) = (self.target(), self.path());
        let text = |key: &str| have.str(key).unwrap_or_default();
        let old_extents: i64 = text("Current Logical Extents Associated").parse().unwrap_or_default();
        let old_size = lvm::megabytes(&format!("{}s", text("Logical Volume Size"))).unwrap_or_default();
        let mut extents = old_extents;
        match &self.extents {
            Some(share) if share.contains('%') => {
                plan.unchanged = format!("Logical Volume {name} already present, {share} won't be resized.");
            }
            Some(number) => {
                extents = number
                    .trim()
                    .parse()
                    .map_err(|_| StateError::failed(format!("argument `extents`: `{number}` is no number")))?;
            }
            None => {}
        }
        let size_mb = size.unwrap_or(old_size);
        if !self.force && (size_mb < old_size || extents < old_extents) {
            return Err(StateError::failed("To reduce a Logical Volume option 'force' must be True."));
        }
        if (size_mb - old_size).abs() < f64::EPSILON && extents == old_extents {
            return Ok(plan);
        }
        let mut words = vec!["lvresize", if self.force { "--force" } else { "-qq" }];
        if self.resizefs {
            words.push("--resizefs");
        }
        let extents = extents.to_string();
        match &self.size {
            Some(size) => words.extend(["-L", size]),
            None => words.extend(["-l", &extents]),
        }
        words.push(&path);
        plan.exec(lvm::command(&words, &[]), shared::becomes(Kind::Lv, &path, true));
        plan.memo = format!("Failed to resize Logical Volume {name}").into();
        let resized: Map = [("Output from lvresize", format!("Logical volume \"{path}\" successfully resized."))]
            .into_iter()
            .collect();
        Ok(plan
            .change("resized", resized)
            .says(format!("Logical Volume {name} is set to be resized"), format!("Resized Logical Volume {name}")))
    }
}
