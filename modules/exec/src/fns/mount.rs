//! `mount.*`: what is mounted, and the table of what is to be.

use crate::ask;
use corpus_core::host::{Act, Command, Look};
use corpus_core::{Call, Data, ExecDef, ExecError, ExecFn, Map, Value};

/// The functions of this module.
pub const FNS: &[ExecDef] = &[
    read("mount.active", "(extended=False)", "Returns what is mounted, by mount point.", |_, look, _| {
        Ok(active(look)?.into())
    }),
    read("mount.is_mounted", "(name)", "Tells whether something is mounted at a path.", |call, look, _| {
        Ok(active(look)?.contains(&call.need(0, "name")?).into())
    }),
    read(
        "mount.fstab",
        "(config='/etc/fstab')",
        "Returns the table of file systems, by mount point.",
        |call, look, _| {
            let config = call.text(0, "config").unwrap_or_else(|| "/etc/fstab".into());
            let text = ask::text(look, config)?.unwrap_or_default();
            let mut all = Map::new();
            for line in text.lines().filter(|line| !line.trim_start().starts_with('#')) {
                let words: Vec<&str> = line.split_whitespace().collect();
                let [device, point, fstype, opts, rest @ ..] = &words[..] else { continue };
                let mut entry = Map::new();
                entry.insert("device", *device);
                entry.insert("fstype", *fstype);
                entry.insert("opts", opts.split(',').collect::<Vec<_>>());
                entry.insert("dump", rest.first().copied().unwrap_or("0"));
                entry.insert("pass", rest.get(1).copied().unwrap_or("0"));
                all.insert(unescaped(point), entry);
            }
            Ok(all.into())
        },
    ),
    read("mount.swaps", "()", "Returns the devices that are swapped to.", |_, look, _| {
        let text = ask::text(look, "/proc/swaps")?.unwrap_or_default();
        let mut all = Map::new();
        for line in text.lines().skip(1) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let [name, kind, size, used, priority] = words[..] else { continue };
            let fields = [("type", kind), ("size", size), ("used", used), ("priority", priority)];
            all.insert(name, fields.into_iter().collect::<Map>());
        }
        Ok(all.into())
    }),
    write(
        "mount.mount",
        "(name, device=False, mkmnt=False, fstype='', opts='defaults')",
        "Mounts a file system.",
        |call, act, _| {
            let name = call.need(0, "name")?;
            if call.flag(2, "mkmnt", false) {
                ask::must(act, Command::new(["mkdir", "-p", &name]))?;
            }
            let mut command = Command::new(["mount"]);
            if let Some(fstype) = call.text(3, "fstype").filter(|text| !text.is_empty()) {
                command.argv.extend(["-t".into(), fstype]);
            }
            if let Some(opts) = options(call, 4) {
                command.argv.extend(["-o".into(), opts]);
            }
            command.argv.extend(call.arg(1, "device").and_then(Value::as_str).map(str::to_owned));
            command.argv.push(name);
            answered(act, command)
        },
    ),
    write(
        "mount.remount",
        "(name, device, mkmnt=False, fstype='', opts='defaults')",
        "Mounts a file system again, with other options.",
        |call, act, _| {
            let opts = options(call, 4).map_or_else(|| "remount".to_owned(), |opts| format!("remount,{opts}"));
            answered(act, Command::new(["mount", "-o", &opts, &call.need(0, "name")?]))
        },
    ),
    write("mount.umount", "(name, device=None)", "Unmounts a file system.", |call, act, _| {
        let name = call.need(0, "name")?;
        if !active(act.as_look())?.contains(&name) {
            return Ok(format!("{name} does not have anything mounted").into());
        }
        answered(act, Command::new(["umount", &name]))
    }),
    write("mount.swapon", "(name, priority=None)", "Swaps to a device.", |call, act, _| {
        let mut command = Command::new(["swapon"]);
        if let Some(priority) = call.text(1, "priority") {
            command.argv.extend(["-p".into(), priority]);
        }
        command.argv.push(call.need(0, "name")?);
        answered(act, command)
    }),
    write("mount.swapoff", "(name)", "Stops swapping to a device.", |call, act, _| {
        answered(act, Command::new(["swapoff", &call.need(0, "name")?]))
    }),
];

type Reader = fn(&Call, &dyn Look, &Data) -> Result<Value, ExecError>;
type Writer = fn(&Call, &dyn Act, &Data) -> Result<Value, ExecError>;

const fn read(name: &'static str, args: &'static str, doc: &'static str, run: Reader) -> ExecDef {
    ExecDef { name, args, doc, run: ExecFn::Read(run) }
}

const fn write(name: &'static str, args: &'static str, doc: &'static str, run: Writer) -> ExecDef {
    ExecDef { name, args, doc, run: ExecFn::Write(run) }
}

fn unescaped(word: &str) -> String {
    word.replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\")
}

fn active(look: &dyn Look) -> Result<Map, ExecError> {
    let text = ask::text(look, "/proc/self/mounts")?.unwrap_or_default();
    let mut all = Map::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let [device, point, fstype, opts, ..] = words[..] else { continue };
        let mut entry = Map::new();
        entry.insert("device", unescaped(device));
        entry.insert("fstype", fstype);
        entry.insert("opts", opts.split(',').collect::<Vec<_>>());
        all.insert(unescaped(point), entry);
    }
    Ok(all)
}

fn options(call: &Call, place: usize) -> Option<String> {
    match call.arg(place, "opts") {
        Some(Value::List(items)) => Some(items.iter().map(corpus_core::python::str).collect::<Vec<_>>().join(",")),
        Some(text) if text.truthy() => Some(corpus_core::python::str(text)),
        _ => None,
    }
}

/// Salt: true, or what the program said.
fn answered(act: &dyn Act, command: Command) -> Result<Value, ExecError> {
    let output = ask::run(act, command)?;
    Ok(if output.ok() { true.into() } else { ask::said(&output).into() })
}
