//! `mount.fstab_present`

use super::shared::{self, Entry};
use corpus_core::decode::OneOrMany;
use corpus_core::host::Command;
use corpus_core::{Effect, Plan, PlanCx, Prediction, State, StateError, Value};
use serde::Deserialize;

/// Keeps an entry in `/etc/fstab`; a new one is mounted.
///
/// ```sls
/// /dev/sdb1:
///   mount.fstab_present:
///     - fs_file: /srv/data
///     - fs_vfstype: ext4
///     - mount: False
/// ```
#[derive(Deserialize)]
pub struct FstabPresent {
    /// The device.
    pub name: String,
    /// The mount point.
    pub fs_file: String,
    /// The type of the file system.
    pub fs_vfstype: String,
    /// Options, as a list or joined by commas.
    #[serde(default)]
    pub fs_mntops: OneOrMany<String>,
    /// Whether `dump` saves it.
    #[serde(default)]
    pub fs_freq: u32,
    /// When `fsck` checks it at boot.
    #[serde(default)]
    pub fs_passno: u32,
    /// How to write the device: `device`, `label`, `uuid`, `partlabel` or `partuuid`; as it is given, if not said.
    pub mount_by: Option<String>,
    /// The table of file systems.
    #[serde(default = "fstab")]
    pub config: String,
    /// Mount it when it is new.
    #[serde(default = "yes")]
    pub mount: bool,
    /// Accepted for Salt's sake: the entry is known by its mount point.
    pub match_on: Option<Value>,
    /// Leave an entry that is there as it is.
    #[serde(default)]
    pub not_change: bool,
    /// Accepted for Salt's sake (AIX).
    pub fs_mount: Option<Value>,
}

fn fstab() -> String {
    "/etc/fstab".into()
}

fn yes() -> bool {
    true
}

impl State for FstabPresent {
    const NAME: &'static str = "mount.fstab_present";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let file = if self.fs_file == "/" { "/" } else { self.fs_file.trim_end_matches('/') };
        let device = spelled(cx, &self.name, self.mount_by.as_deref())?;
        let mut opts: Vec<String> =
            self.fs_mntops.0.iter().flat_map(|text| text.split(',')).map(|opt| opt.trim().to_owned()).collect();
        opts.retain(|opt| !opt.is_empty());
        if opts.is_empty() {
            opts.push("defaults".into());
        }
        let want = Entry {
            device,
            point: file.into(),
            fstype: self.fs_vfstype.clone(),
            opts,
            dump: self.fs_freq.to_string(),
            pass: self.fs_passno.to_string(),
        };
        let config = &self.config;
        let already = if cx.test { "is" } else { "was" };
        let unchanged = Plan::unchanged(format!("{file} entry {already} already in {config}."));
        let Some((text, word)) = shared::with_entry(&shared::fstab(cx, config)?, &want) else {
            return Ok(unchanged);
        };
        let new = word == "new";
        if !new && self.not_change {
            return Ok(unchanged);
        }
        let mut plan = Plan::default().change("persist", if new { "new" } else { "change" });
        plan.push(shared::write(config, text), vec![]);
        if !new {
            return Ok(plan.says(
                format!("{file} entry will be updated in {config}."),
                format!("{file} entry updated in {config}."),
            ));
        }
        let (mut would, mut did) =
            (format!("{file} entry will be written in {config}."), format!("{file} entry added in {config}."));
        if self.mount {
            let fact = shared::fact(file, Some(&self.name));
            plan.push(Effect::Exec(Command::new(["mount", file])), vec![fact, Prediction::Opaque]);
            would += &format!("\nWill mount {} on {file}", self.name);
            did += &format!("\nMounted {} on {file}", self.name);
        }
        Ok(plan.says(would, did))
    }
}

/// Returns the device as `mount_by` wants it written.
fn spelled(cx: &PlanCx<'_>, device: &str, by: Option<&str>) -> Result<String, StateError> {
    let by = match by {
        None => return Ok(device.to_owned()),
        Some("device") => return Ok(shared::resolve(cx, device)),
        Some(by @ ("label" | "uuid" | "partlabel" | "partuuid")) => by,
        Some(other) => {
            return Err(StateError::failed(format!(
                "mount_by: `{other}` is none of device, label, uuid, partlabel, partuuid"
            )));
        }
    };
    let start = format!("{}=", by.to_uppercase());
    if device.starts_with(&start) {
        return Ok(device.to_owned());
    }
    let (folder, real) = (format!("/dev/disk/by-{by}"), shared::resolve(cx, device));
    for name in cx.host.list(folder.as_ref()).unwrap_or_default() {
        let path = format!("{folder}/{name}");
        if shared::resolve(cx, &path) == real {
            return Ok(format!("{start}{name}"));
        }
    }
    Err(StateError::missing(format!("Device {device} cannot be converted to {by}")))
}
