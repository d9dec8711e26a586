//! `raid.*`: arrays of disks, through `mdadm`.

use crate::ask;
use corpus_core::host::{Command, HostResult, Look};
use corpus_core::{Call, Effect, ExecDef, ExecError, ExecFn, Map, Value, python};

/// The functions of this module.
pub const FNS: &[ExecDef] = &[
    ExecDef {
        name: "raid.list",
        args: "()",
        doc: "Returns the arrays that run.",
        run: ExecFn::Read(|_, look, _| Ok(list(look)?.into())),
    },
    ExecDef {
        name: "raid.detail",
        args: "(device='/dev/md0')",
        doc: "Describes an array.",
        run: ExecFn::Read(|call, look, _| {
            let device = call.text(0, "device").unwrap_or_else(|| "/dev/md0".into());
            if !ask::exists(look, &device) {
                return Err(ExecError::failed(format!("Device {device} doesn't exist!")));
            }
            Ok(detail(look, &device)?.into())
        }),
    },
    ExecDef {
        name: "raid.examine",
        args: "(device, quiet=False)",
        doc: "Returns what a device says of the array that it is part of.",
        run: ExecFn::Read(|call, look, _| Ok(examine(look, &call.need(0, "device")?)?.into())),
    },
    ExecDef {
        name: "raid.create",
        args: "(name, level, devices, metadata='default', **kwargs)",
        doc: "Makes an array.",
        run: ExecFn::Write(|call, act, _| {
            let metadata = call.text(3, "metadata").unwrap_or_else(|| "default".into());
            let command =
                create(&call.need(0, "name")?, &call.need(1, "level")?, &devices(call, 2), &metadata, &more(call));
            Ok(ask::must(act, command)?.stdout_text().trim_end().into())
        }),
    },
    ExecDef {
        name: "raid.assemble",
        args: "(name, devices, **kwargs)",
        doc: "Starts an array of its parts.",
        run: ExecFn::Write(|call, act, _| {
            let command = assemble(&call.need(0, "name")?, &devices(call, 1), &more(call));
            Ok(ask::must(act, command)?.stdout_text().trim_end().into())
        }),
    },
    ExecDef {
        name: "raid.add",
        args: "(name, device)",
        doc: "Adds a device to an array.",
        run: ExecFn::Write(|call, act, _| {
            Ok(ask::run(act, add(&call.need(0, "name")?, &call.need(1, "device")?))?.ok().into())
        }),
    },
    ExecDef {
        name: "raid.save_config",
        args: "()",
        doc: "Names the arrays that run in mdadm's file, and makes them known to the start of the machine.",
        run: ExecFn::Write(|_, act, _| {
            let look = act.as_look();
            let scan = ask::output(look, &Command::new(["mdadm", "--detail", "--scan"]))?;
            let path = config(look);
            let mut text = ask::text(look, path)?.unwrap_or_default();
            for line in scan.lines() {
                let device = line.split_whitespace().nth(1).unwrap_or_default();
                text = without(&text, device) + line + "\n";
            }
            act.perform(&Effect::text(path, text))?;
            if let Some(command) = boot(look) {
                ask::must(act, command)?;
            }
            Ok(Value::Null)
        }),
    },
    ExecDef {
        name: "raid.stop",
        args: "()",
        doc: "Stops all arrays.",
        run: ExecFn::Write(|_, act, _| Ok(ask::run(act, Command::new(["mdadm", "--stop", "--scan"]))?.ok().into())),
    },
];

/// Returns where arrays are named.
pub fn config(look: &dyn Look) -> &'static str {
    if ask::is_dir(look, "/etc/mdadm") { "/etc/mdadm/mdadm.conf" } else { "/etc/mdadm.conf" }
}

/// Takes an array out of the text of that file.
pub fn without(text: &str, device: &str) -> String {
    let of = |line: &&str| line.split_whitespace().take(2).eq(["ARRAY", device]);
    text.lines().filter(|line| !of(line)).map(|line| format!("{line}\n")).collect()
}

/// Makes the command that tells the start of the machine, if this machine has one.
pub fn boot(look: &dyn Look) -> Option<Command> {
    let all = [&["update-initramfs", "-u"][..], &["dracut", "--force"]];
    all.iter().find(|words| look.which(words[0]).is_some()).map(|words| Command::new(words.iter().copied()))
}

fn devices(call: &Call, place: usize) -> Vec<String> {
    match call.arg(place, "devices") {
        Some(Value::List(items)) => items.iter().map(python::str).collect(),
        Some(one) => python::str(one).split(',').map(|device| device.trim().to_owned()).collect(),
        None => vec![],
    }
}

fn more(call: &Call) -> Map {
    const OWN: [&str; 4] = ["name", "level", "devices", "metadata"];
    call.kwargs
        .iter()
        .filter(|(key, _)| key.as_str().is_some_and(|key| !OWN.contains(&key)))
        .map(|(k, v)| (k.clone(), v.clone()))
        .collect()
}

/// Returns the arrays that run: device to what `mdadm` tells of each.
pub fn list(look: &dyn Look) -> HostResult<Map> {
    let text = ask::output(look, &Command::new(["mdadm", "--detail", "--scan"]))?;
    let mut all = Map::new();
    for line in text.lines() {
        let mut words = line.split_whitespace().skip(1);
        let Some(device) = words.next() else { continue };
        let mut one: Map = [("device", device)].into_iter().collect();
        for (key, value) in words.filter_map(|word| word.split_once('=')) {
            one.insert(key.to_lowercase(), value);
        }
        all.insert(device, one);
    }
    Ok(all)
}

/// Describes an array, its members by their number.
pub fn detail(look: &dyn Look, device: &str) -> HostResult<Map> {
    let text = ask::output(look, &Command::new(["mdadm", "--detail", device]))?;
    let (mut all, mut members) = (Map::new(), Map::new());
    for line in text.lines().filter(|line| !line.starts_with(device)) {
        if let Some((key, value)) = line.split_once(" : ") {
            all.insert(key.trim().to_lowercase().replace(' ', "_"), value.trim());
        } else if let [number, major, minor, place, state @ .., path] = &line.split_whitespace().collect::<Vec<_>>()[..]
            && path.starts_with("/dev/")
        {
            let mut member = Map::new();
            let state = state.join(" ");
            for (key, value) in [
                ("device", path),
                ("major", major),
                ("minor", minor),
                ("number", number),
                ("raiddevice", place),
                ("state", &&*state),
            ] {
                member.insert(key, *value);
            }
            members.insert(*number, member);
        }
    }
    all.insert("members", members);
    Ok(all)
}

/// Returns what a device says of the array that it is part of; nothing if it is of none.
pub fn examine(look: &dyn Look, device: &str) -> HostResult<Map> {
    let output = look.query(&Command::new(["mdadm", "-Y", "-E", device]))?;
    Ok(output.stdout_text().lines().filter_map(|line| line.split_once('=')).collect())
}

fn options(given: &Map) -> Vec<String> {
    let mut words = vec![];
    for (key, value) in given {
        words.push(format!("--{}", python::str(key)));
        if value != &Value::Bool(true) {
            words.push(python::str(value));
        }
    }
    words
}

/// Makes the command that makes an array.
pub fn create(name: &str, level: &str, devices: &[String], metadata: &str, more: &Map) -> Command {
    let spare = more.get("spare-devices").map(python::str).and_then(|text| text.parse::<usize>().ok()).unwrap_or(0);
    let count = devices.len().saturating_sub(spare).to_string();
    let mut command = Command::new(["mdadm", "-C", name, "-R", "-v", "-l", level]);
    command.argv.extend(options(more));
    command.argv.extend(["-e", metadata, "-n", &count].map(str::to_owned));
    command.argv.extend(devices.iter().cloned());
    command
}

/// Makes the command that starts an array of its parts.
pub fn assemble(name: &str, devices: &[String], more: &Map) -> Command {
    let mut command = Command::new(["mdadm", "-A", name, "-v"]);
    command.argv.extend(options(more));
    command.argv.extend(devices.iter().cloned());
    command
}

/// Makes the command that adds a device to an array.
pub fn add(name: &str, device: &str) -> Command {
    Command::new(["mdadm", "--manage", name, "--add", device])
}

#[cfg(test)]
mod tests {
    use super::*;
    use corpus_core::fake::Fake;

    #[test]
    fn reads_what_mdadm_says() {
        let host = Fake::new();
        let detail = "/dev/md0:\n           Version : 1.2\n        Raid Level : raid1\n    Number   Major   Minor   RaidDevice \
            State\n       0       7        0        0      active sync   /dev/loop0\n       1       7        1        1      \
            active sync   /dev/loop1\n";
        host.answer("mdadm --detail /dev/md0", 0, detail);
        host.answer("mdadm --detail --scan", 0, "ARRAY /dev/md0 metadata=1.2 name=x:0 UUID=a:b:c:d\n");
        let found = super::detail(&host, "/dev/md0").unwrap_or_default();
        assert_eq!((found.str("raid_level"), found.str("version")), (Some("raid1"), Some("1.2")));
        let member = found.get("members").and_then(|all| all.get("1")).cloned().unwrap_or_default();
        assert_eq!(member.get("device").map(python::str).as_deref(), Some("/dev/loop1"));
        assert_eq!(member.get("state").map(python::str).as_deref(), Some("active sync"));
        let shown = python::repr(&list(&host).unwrap_or_default().into());
        assert_eq!(shown, "{'/dev/md0': {'device': '/dev/md0', 'metadata': '1.2', 'name': 'x:0', 'uuid': 'a:b:c:d'}}");
    }
}
