//! `blockdev.tuned`

use corpus_core::host::Command;
use corpus_core::{FileKind, Plan, PlanCx, Prediction, State, StateError, Value, python};
use corpus_exec::ask;
use serde::Deserialize;

/// Keeps settings of a block device.
///
/// ```sls
/// /dev/sdb:
///   blockdev.tuned:
///     - read-ahead: 1024
///     - read-only: True
/// ```
#[derive(Deserialize)]
pub struct Tuned {
    /// The device.
    pub name: String,
    /// Sectors to read ahead.
    #[serde(rename = "read-ahead")]
    pub read_ahead: Option<u64>,
    /// Sectors that the file system reads ahead.
    #[serde(rename = "filesystem-read-ahead")]
    pub filesystem_read_ahead: Option<u64>,
    /// Set it read-only; only `True`.
    #[serde(default, rename = "read-only")]
    pub read_only: Value,
    /// Set it read-write; only `True`.
    #[serde(default, rename = "read-write")]
    pub read_write: Value,
}

impl Tuned {
    /// Returns what is asked for: the argument, the setting's name for `blockdev`, the switch, and the value.
    fn wanted(&self) -> Result<Vec<(&'static str, &'static str, String, String)>, StateError> {
        let mut all = vec![];
        let number = |key, name: &'static str, value: &Option<u64>| {
            value.map(|number| (key, name, format!("--set{}", &name[3..]), number.to_string()))
        };
        all.extend(number("read-ahead", "getra", &self.read_ahead));
        all.extend(number("filesystem-read-ahead", "getfra", &self.filesystem_read_ahead));
        for (key, value, switch, want) in
            [("read-only", &self.read_only, "--setro", "1"), ("read-write", &self.read_write, "--setrw", "0")]
        {
            if value.is_null() {
                continue;
            }
            if python::str(value) != "True" {
                return Err(StateError::failed(format!("Invalid keyword arguments: {key}={}", python::str(value))));
            }
            all.push((key, "getro", switch.to_owned(), want.to_owned()));
        }
        Ok(all)
    }
}

impl State for Tuned {
    const NAME: &'static str = "blockdev.tuned";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let name = &self.name;
        if !cx.host.stat(name.as_ref())?.is_some_and(|meta| meta.kind == FileKind::Other) {
            return Err(StateError::missing(format!("Changes to {name} cannot be applied. Not a block device.")));
        }
        let wanted = self.wanted()?;
        let mut plan = Plan::unchanged(format!("Block device {name} already in correct state"))
            .says(format!("Changes to {name} will be applied "), format!("Block device {name} successfully modified "));
        let (mut command, mut predicts) = (Command::new(["blockdev"]), vec![]);
        for (key, setting, switch, want) in wanted {
            let fact = format!("blockdev:{name}:{setting}");
            let have = match cx.host.predicted(&fact) {
                Some(known) => python::str(&known),
                None => {
                    let ask = Command::new(["blockdev", &format!("--{setting}"), name]);
                    ask::output(cx.host, &ask)?.trim().to_owned()
                }
            };
            if have == want {
                continue;
            }
            command.argv.push(switch);
            let told = if setting == "getro" {
                let on = |value: &str| if (value == "1") == (key == "read-only") { "True" } else { "False" };
                format!("Changed from {} to {}", on(&have), on(&want))
            } else {
                command.argv.push(want.clone());
                format!("Changed from {have} to {want}")
            };
            plan.changes.insert(key, told);
            predicts.push(Prediction::Fact(fact, want.into()));
        }
        if !predicts.is_empty() {
            command.argv.push(name.clone());
            plan.exec(command, predicts);
        }
        Ok(plan)
    }
}
