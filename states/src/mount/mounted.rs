//! `mount.mounted`

use super::shared::{self, Entry};
use corpus_core::decode::OneOrMany;
use corpus_core::host::Command;
use corpus_core::{Attrs, Effect, Observed, Plan, PlanCx, Settled, State, StateError, Value};
use corpus_exec::ask;
use serde::Deserialize;

/// Keeps a file system mounted, and in `/etc/fstab`.
///
/// ```sls
/// /srv/data:
///   mount.mounted:
///     - device: UUID=0a1b-2c3d
///     - fstype: ext4
///     - mkmnt: True
///     - opts: [defaults, noatime]
/// ```
#[derive(Deserialize)]
pub struct Mounted {
    /// The mount point.
    pub name: String,
    /// The device: a path, `UUID=…`, `LABEL=…`, `host:/path`.
    pub device: String,
    /// The type of the file system.
    pub fstype: String,
    /// Make the mount point.
    #[serde(default)]
    pub mkmnt: bool,
    /// Options, as a list or joined by commas.
    #[serde(default)]
    pub opts: OneOrMany<String>,
    /// Whether `dump` saves it.
    #[serde(default)]
    pub dump: u32,
    /// When `fsck` checks it at boot.
    #[serde(default)]
    pub pass_num: u32,
    /// The table of file systems.
    #[serde(default = "fstab")]
    pub config: String,
    /// Write it into the table.
    #[serde(default = "yes")]
    pub persist: bool,
    /// Mount it now.
    #[serde(default = "yes")]
    pub mount: bool,
    /// User who mounts it.
    pub user: Option<String>,
    /// Accepted for Salt's sake: the entry is known by its mount point.
    pub match_on: Option<Value>,
    /// Accepted for Salt's sake.
    pub device_name_regex: Option<Value>,
    /// Options that the table of mounts does not show.
    #[serde(default)]
    pub extra_mount_invisible_options: OneOrMany<String>,
    /// Options with a value that the table of mounts does not show.
    #[serde(default)]
    pub extra_mount_invisible_keys: OneOrMany<String>,
    /// Accepted for Salt's sake.
    pub hidden_opts: Option<Value>,
}

fn fstab() -> String {
    "/etc/fstab".into()
}

fn yes() -> bool {
    true
}

impl State for Mounted {
    const NAME: &'static str = "mount.mounted";
    const WATCHES: bool = true;
    const OPEN: bool = true;

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let name = if self.name == "/" { "/" } else { self.name.trim_end_matches('/') };
        let mut opts: Vec<String> =
            self.opts.0.iter().flat_map(|text| text.split(',')).map(|opt| opt.trim().to_owned()).collect();
        opts.retain(|opt| !opt.is_empty());
        if opts.is_empty() {
            opts.push("defaults".into());
        }
        let mut plan = Plan::default();
        let (mut would, mut did);
        let device = shared::resolve(cx, &self.device);
        let have = shared::mounted_at(cx, name)?;
        if self.mount {
            let same = have.as_ref().is_some_and(|have| {
                have.device == device
                    || have.device == self.device
                    || shared::resolve(cx, &have.device) == device
                    || matches!(self.fstype.as_str(), "tmpfs" | "proc" | "sysfs" | "devpts" | "overlay")
                    || opts.iter().any(|opt| matches!(opt.as_str(), "bind" | "rbind"))
            });
            if same {
                (would, did) = ("Target was already mounted".to_owned(), "Target was already mounted".to_owned());
                let changed = self.changed_options(cx, have.as_ref(), &opts)?;
                if !changed.is_empty() {
                    would = format!("Remount would be forced because options ({}) changed", changed.join(","));
                    self.remount(name, &changed, &opts, &mut plan);
                }
            } else {
                if have.is_some() {
                    plan.push(Effect::Exec(Command::new(["umount", name])), vec![]);
                    plan.changes.insert(
                        "umount",
                        format!("Forced unmount because devices don't match. Wanted: {}", self.device),
                    );
                }
                let there = ask::is_dir(cx.host, name);
                if !there && !self.mkmnt {
                    return Err(StateError::missing("Mount directory is not present"));
                }
                if !there {
                    make_folders(cx, name, &mut plan);
                }
                let mut command =
                    Command::new(["mount", "-t", &self.fstype, "-o", &opts.join(","), &self.device, name]);
                command.runas.clone_from(&self.user);
                plan.push(
                    Effect::Exec(command),
                    vec![shared::fact(name, Some(&self.device)), corpus_core::Prediction::Opaque],
                );
                plan.changes.insert("mount", true);
                would = format!("{name} would be {}mounted", if there { "" } else { "created and " });
                did = "Target was successfully mounted".to_owned();
            }
        } else {
            (would, did) = (format!("{name} would not be mounted"), format!("{name} not mounted"));
            if !ask::is_dir(cx.host, name) && self.mkmnt {
                make_folders(cx, name, &mut plan);
                plan.changes.insert("created", name);
                (would, did) =
                    (format!("{name} would be created, but not mounted"), format!("{name} was created, not mounted"));
            }
        }
        if self.persist {
            let want = Entry {
                device: self.device.clone(),
                point: name.into(),
                fstype: self.fstype.clone(),
                opts,
                dump: self.dump.to_string(),
                pass: self.pass_num.to_string(),
            };
            match shared::with_entry(&shared::fstab(cx, &self.config)?, &want) {
                None => did += ". Entry already exists in the fstab.",
                Some((text, word)) => {
                    plan.push(shared::write(&self.config, text), vec![]);
                    plan.changes.insert("persist", word);
                    let (will, was) = match word {
                        "new" => ("Entry would be added to the fstab", "Added new entry to the fstab."),
                        _ => ("Entry would be updated in the fstab", "Updated the entry in the fstab."),
                    };
                    would += &format!(". {will}");
                    did += &format!(". {was}");
                }
            }
        }
        plan.unchanged.clone_from(&did);
        Ok(plan.says(would, did))
    }

    /// Salt: a watched change mounts again.
    fn watch(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let name = self.name.trim_end_matches('/');
        if shared::mounted_at(cx, name)?.is_none() {
            return self.plan(cx);
        }
        Ok(Plan::default()
            .says(format!("{name} would be remounted"), format!("{name} remounted"))
            .change(name, true)
            .step(Effect::Exec(Command::new(["mount", "-o", "remount", name]))))
    }

    fn settle(&self, plan: &Plan, _: &[Observed], _: &PlanCx<'_>) -> Result<Settled, StateError> {
        Ok(Settled::as_planned(plan))
    }
}

/// Options that `/proc/mounts` never shows: Salt's list, and what mount keeps for itself.
const UNSEEN: [&str; 34] = [
    "_netdev",
    "actimeo",
    "bg",
    "comment",
    "defaults",
    "delay_connect",
    "direct-io-mode",
    "intr",
    "loop",
    "nointr",
    "nobootwait",
    "nofail",
    "password",
    "reconnect",
    "retry",
    "soft",
    "auto",
    "users",
    "bind",
    "nonempty",
    "transform_symlinks",
    "port",
    "backup-volfile-servers",
    "credentials",
    "secretfile",
    "rbind",
    "noauto",
    "user",
    "nouser",
    "owner",
    "group",
    "remount",
    "suid",
    "dev",
];

impl Mounted {
    /// Returns the options that a mount does not have yet.
    fn changed_options(
        &self,
        cx: &PlanCx<'_>,
        have: Option<&shared::Entry>,
        opts: &[String],
    ) -> Result<Vec<String>, StateError> {
        // What a step before this one mounts has the options that it was given.
        let Some(have) = have.filter(|have| !have.opts.is_empty()) else { return Ok(vec![]) };
        let active: Vec<String> = have.opts.iter().map(|opt| kilobytes(opt)).collect();
        let mut changed = vec![];
        for opt in opts {
            let (key, value) = opt.split_once('=').unwrap_or((opt, ""));
            let unseen = |word: &str| {
                UNSEEN.contains(&word)
                    || word.starts_with("x-")
                    || self.extra_mount_invisible_keys.0.iter().any(|k| k == word)
            };
            let ignored = unseen(key)
                || self.extra_mount_invisible_options.0.contains(opt)
                || (self.fstype == "ramfs" && key == "size");
            let wanted = match key {
                "tcp" | "udp" => format!("proto={key}"),
                "user" if self.fstype == "cifs" => format!("username={value}"),
                "uid" => format!("uid={}", cx.host.user(value)?.map_or(value.to_owned(), |user| user.uid.to_string())),
                "gid" => format!("gid={}", cx.host.group(value)?.map_or(value.to_owned(), |g| g.gid.to_string())),
                _ => kilobytes(opt),
            };
            if !ignored && !active.contains(&wanted) {
                changed.push(wanted);
            }
        }
        changed.sort();
        Ok(changed)
    }

    fn remount(&self, name: &str, changed: &[String], opts: &[String], plan: &mut Plan) {
        let (list, all) = (changed.join(","), opts.join(","));
        if matches!(self.fstype.as_str(), "nfs" | "cvfs") || self.fstype.starts_with("fuse") {
            plan.push(Effect::Exec(Command::new(["umount", name])), vec![]);
            let mount = Command::new(["mount", "-t", &self.fstype, "-o", &all, &self.device, name]);
            plan.push(Effect::Exec(mount), vec![]);
            plan.changes.insert("umount", format!("Forced unmount and mount because options ({list}) changed"));
        } else {
            let all = format!("{all},remount");
            let mount = Command::new(["mount", "-t", &self.fstype, "-o", &all, &self.device, name]);
            plan.push(Effect::Exec(mount), vec![]);
            plan.changes.insert("umount", format!("Forced remount because options ({list}) changed"));
        }
        // The kernel need not show each option that it was given.
        plan.repeats = true;
    }
}

/// Writes a size in kilobytes, as the kernel shows it.
fn kilobytes(opt: &str) -> String {
    let size = || -> Option<u64> {
        let text = opt.strip_prefix("size=")?;
        let number: u64 = text.get(..text.len().checked_sub(1)?)?.parse().ok()?;
        match text.as_bytes().last()? {
            b'k' => Some(number),
            b'm' => Some(number << 10),
            b'g' => Some(number << 20),
            _ => None,
        }
    };
    size().map_or_else(|| opt.to_owned(), |size| format!("size={size}k"))
}

fn make_folders(cx: &PlanCx<'_>, path: &str, plan: &mut Plan) {
    let mut missing: Vec<_> =
        std::path::Path::new(path).ancestors().take_while(|dir| !ask::exists(cx.host, dir)).collect();
    missing.reverse();
    for dir in missing {
        let attrs = Attrs { mode: Some(0o755), ..Attrs::default() };
        plan.push(Effect::Mkdir { path: dir.into(), attrs }, vec![]);
    }
}
