//! `blockdev.formatted`

use corpus_core::{Command, Plan, PlanCx, Prediction, State, StateError};
use serde::Deserialize;

/// Keeps a device with a file system of a kind. What is on it with another kind is lost.
///
/// ```sls
/// /dev/sdb1:
///   blockdev.formatted:
///     - fs_type: ext4
/// ```
#[derive(Deserialize)]
pub struct Formatted {
    /// The device.
    pub name: String,
    /// The kind of file system.
    #[serde(default = "ext4")]
    pub fs_type: String,
    /// Make it even where `mkfs` would not: on a whole disk, or over another one.
    #[serde(default)]
    pub force: bool,
    /// Bytes per inode of ext, the size of an inode of xfs.
    pub inode_size: Option<String>,
    /// Write inodes later (ext).
    pub lazy_itable_init: Option<String>,
    /// Bits of a file allocation table: 12, 16 or 32.
    pub fat: Option<u8>,
}

fn ext4() -> String {
    "ext4".into()
}

impl Formatted {
    fn command(&self) -> Command {
        let kind = &self.fs_type;
        let (ext, xfs) = (kind.starts_with("ext"), kind == "xfs");
        let mut argv: Vec<String> = ["mkfs", "-t", kind].map(str::to_owned).to_vec();
        match &self.inode_size {
            Some(size) if ext => argv.extend(["-i".into(), size.clone()]),
            Some(size) if xfs => argv.extend(["-i".into(), format!("size={size}")]),
            _ => {}
        }
        if let Some(lazy) = self.lazy_itable_init.as_ref().filter(|_| ext) {
            argv.extend(["-E".into(), format!("lazy_itable_init={lazy}")]);
        }
        if let Some(bits) = self.fat.filter(|bits| kind.ends_with("fat") && [12, 16, 32].contains(bits)) {
            argv.extend(["-F".into(), bits.to_string()]);
        }
        if self.force && (ext || xfs) {
            argv.push(if ext { "-F" } else { "-f" }.into());
        }
        argv.push(self.name.clone());
        Command::new(argv)
    }
}

impl State for Formatted {
    const NAME: &'static str = "blockdev.formatted";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let (name, kind) = (&self.name, &self.fs_type);
        if cx.host.stat(name.as_ref())?.is_none() {
            return Err(StateError::missing(format!("{name} does not exist")));
        }
        let fact = format!("blkid:{name}");
        let have = match cx.host.predicted(&fact) {
            Some(known) => corpus_core::python::str(&known),
            // It ends with 2 where it finds nothing.
            None => {
                let command = Command::new(["blkid", "-o", "value", "-s", "TYPE", name]);
                cx.host.query(&command)?.stdout_text().trim().to_owned()
            }
        };
        let mut plan = Plan::unchanged(format!("{name} already formatted with {kind}"));
        if have == *kind {
            return Ok(plan);
        }
        if cx.host.which(&format!("mkfs.{kind}")).is_none() {
            return Err(StateError::missing(format!("Invalid fs_type: {kind}")));
        }
        plan.exec(self.command(), vec![Prediction::Fact(fact, kind.as_str().into())]);
        Ok(plan
            .change("new", kind.as_str())
            .change("old", have)
            .says(format!("Changes to {name} will be applied "), format!("{name} has been formatted with {kind}")))
    }
}
