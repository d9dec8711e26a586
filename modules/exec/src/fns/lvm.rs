//! `lvm.*`: physical volumes, volume groups and logical volumes.

use crate::ask;
use corpus_core::host::{Command, HostResult};
use corpus_core::{Act, Call, ExecDef, ExecError, ExecFn, Look, Map, Value};

/// The functions of this module.
pub const FNS: &[ExecDef] = &[
    ExecDef {
        name: "lvm.version",
        args: "()",
        doc: "Returns the version of LVM.",
        run: ExecFn::Read(|_, look, _| {
            let text = ask::output(look, &Command::new(["lvm", "version"]))?;
            let line = text.lines().find_map(|line| line.trim().strip_prefix("LVM version:"));
            Ok(line.unwrap_or_default().trim().into())
        }),
    },
    ExecDef {
        name: "lvm.pvdisplay",
        args: "(pvname='', quiet=False)",
        doc: "Describes physical volumes.",
        run: ExecFn::Read(|call, look, _| Ok(Kind::Pv.list(look, &call.text(0, "pvname").unwrap_or_default())?.into())),
    },
    ExecDef {
        name: "lvm.vgdisplay",
        args: "(vgname='', quiet=False)",
        doc: "Describes volume groups.",
        run: ExecFn::Read(|call, look, _| Ok(Kind::Vg.list(look, &call.text(0, "vgname").unwrap_or_default())?.into())),
    },
    ExecDef {
        name: "lvm.lvdisplay",
        args: "(lvname='', quiet=False)",
        doc: "Describes logical volumes.",
        run: ExecFn::Read(|call, look, _| Ok(Kind::Lv.list(look, &call.text(0, "lvname").unwrap_or_default())?.into())),
    },
    ExecDef {
        name: "lvm.pvcreate",
        args: "(devices, force=True)",
        doc: "Makes physical volumes.",
        run: ExecFn::Write(|call, act, _| done(act, command(&["pvcreate", "--yes"], &devices(call, 0)?))),
    },
    ExecDef {
        name: "lvm.pvremove",
        args: "(devices)",
        doc: "Removes physical volumes.",
        run: ExecFn::Write(|call, act, _| done(act, command(&["pvremove", "--yes"], &devices(call, 0)?))),
    },
    ExecDef {
        name: "lvm.vgcreate",
        args: "(vgname, devices)",
        doc: "Makes a volume group.",
        run: ExecFn::Write(|call, act, _| {
            done(act, command(&["vgcreate", &call.need(0, "vgname")?, "-qq"], &devices(call, 1)?))
        }),
    },
    ExecDef {
        name: "lvm.vgextend",
        args: "(vgname, devices)",
        doc: "Adds devices to a volume group.",
        run: ExecFn::Write(|call, act, _| {
            done(act, command(&["vgextend", &call.need(0, "vgname")?, "-qq"], &devices(call, 1)?))
        }),
    },
    ExecDef {
        name: "lvm.vgremove",
        args: "(vgname)",
        doc: "Removes a volume group.",
        run: ExecFn::Write(|call, act, _| done(act, command(&["vgremove", &call.need(0, "vgname")?, "--yes"], &[]))),
    },
    ExecDef {
        name: "lvm.lvremove",
        args: "(lvname, vgname)",
        doc: "Removes a logical volume.",
        run: ExecFn::Write(|call, act, _| {
            let volume = format!("{}/{}", call.need(1, "vgname")?, call.need(0, "lvname")?);
            done(act, command(&["lvremove", &volume, "--yes"], &[]))
        }),
    },
];

/// What LVM manages.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    Pv,
    Vg,
    Lv,
}

impl Kind {
    fn words(self) -> (&'static str, &'static [&'static str]) {
        match self {
            Self::Pv => (
                "pvdisplay",
                &[
                    "Physical Volume Device",
                    "Volume Group Name",
                    "Physical Volume Size (kB)",
                    "Internal Physical Volume Number",
                    "Physical Volume Status",
                    "Physical Volume (not) Allocatable",
                    "Current Logical Volumes Here",
                    "Physical Extent Size (kB)",
                    "Total Physical Extents",
                    "Free Physical Extents",
                    "Allocated Physical Extents",
                ],
            ),
            Self::Vg => (
                "vgdisplay",
                &[
                    "Volume Group Name",
                    "Volume Group Access",
                    "Volume Group Status",
                    "Internal Volume Group Number",
                    "Maximum Logical Volumes",
                    "Current Logical Volumes",
                    "Open Logical Volumes",
                    "Maximum Logical Volume Size",
                    "Maximum Physical Volumes",
                    "Current Physical Volumes",
                    "Actual Physical Volumes",
                    "Volume Group Size (kB)",
                    "Physical Extent Size (kB)",
                    "Total Physical Extents",
                    "Allocated Physical Extents",
                    "Free Physical Extents",
                    "UUID",
                ],
            ),
            Self::Lv => (
                "lvdisplay",
                &[
                    "Logical Volume Name",
                    "Volume Group Name",
                    "Logical Volume Access",
                    "Logical Volume Status",
                    "Internal Logical Volume Number",
                    "Open Logical Volumes",
                    "Logical Volume Size",
                    "Current Logical Extents Associated",
                    "Allocated Logical Extents",
                    "Allocation Policy",
                    "Read Ahead Sectors",
                    "Major Device Number",
                    "Minor Device Number",
                ],
            ),
        }
    }

    /// Describes what is there, by name; all of it with an empty name.
    pub fn list(self, look: &dyn Look, name: &str) -> HostResult<Map> {
        let (program, keys) = self.words();
        let more: Vec<String> = Some(name).filter(|name| !name.is_empty()).into_iter().map(str::to_owned).collect();
        let output = look.query(&command(&[program, "-c"], &more))?;
        if !output.ok() {
            return Ok(Map::new());
        }
        let text = output.stdout_text();
        let row = |line: &str| {
            let fields: Vec<&str> = line.trim().split(':').collect();
            let row: Map = keys.iter().copied().zip(fields.iter().copied()).collect();
            (fields.len() > 2).then(|| (fields[0].to_owned(), Value::from(row)))
        };
        Ok(text.lines().filter_map(row).collect())
    }

    /// Describes one thing; `None` if there is none.
    pub fn one(self, look: &dyn Look, name: &str) -> HostResult<Option<Map>> {
        Ok(self.list(look, name)?.values().next().and_then(Value::as_map).cloned())
    }
}

/// Makes a command of LVM.
pub fn command(words: &[&str], more: &[String]) -> Command {
    // LVM tells of each file that whoever started corpus left open.
    let mut command = Command::new(words.iter().copied()).env("LVM_SUPPRESS_FD_WARNINGS", "1");
    command.argv.extend(more.iter().cloned());
    command
}

/// Reads devices: a list, or words with commas between.
pub fn listed(value: Option<&Value>) -> Vec<String> {
    match value {
        None | Some(Value::Null) => vec![],
        Some(Value::List(items)) => items.iter().map(corpus_core::python::str).collect(),
        Some(one) => corpus_core::python::str(one).split(',').map(|word| word.trim().to_owned()).collect(),
    }
}

fn devices(call: &Call, place: usize) -> Result<Vec<String>, ExecError> {
    let found = listed(call.arg(place, "devices"));
    if found.is_empty() { Err(call.missing("devices")) } else { Ok(found) }
}

fn done(act: &dyn Act, command: Command) -> Result<Value, ExecError> {
    let output = ask::run(act, command)?;
    Ok(if output.ok() { true.into() } else { ask::said(&output).into() })
}

/// Reads a size in megabytes: `10g`, `512`, `4194304s`.
pub fn megabytes(size: &str) -> Option<f64> {
    let text = size.trim().to_lowercase();
    let text = text.strip_suffix('b').filter(|t| t.ends_with(|c: char| c.is_ascii_alphabetic())).unwrap_or(&text);
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: f64 = digits.parse().ok()?;
    Some(match &text[digits.len()..] {
        "s" => number / 2048.0,
        "k" => number / 1024.0,
        "" | "m" => number,
        "g" => number * 1024.0,
        "t" => number * 1024.0 * 1024.0,
        "p" => number * 1024.0 * 1024.0 * 1024.0,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::megabytes;

    #[test]
    fn reads_sizes() {
        let sizes =
            [("10G", Some(10240.0)), ("512", Some(512.0)), ("4096s", Some(2.0)), ("1gb", Some(1024.0)), ("x", None)];
        for (text, size) in sizes {
            assert_eq!(megabytes(text), size, "{text}");
        }
    }
}
