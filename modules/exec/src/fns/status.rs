//! `status.*`: time, load, memory and disks, from `/proc`.

use crate::grains::clock;
use corpus_core::value::{Map, Value};
use corpus_core::{Call, Data, ExecDef, ExecError, ExecFn, Look, python};
use std::path::Path;

/// The functions of this module.
pub const FNS: &[ExecDef] = &[
    ExecDef {
        name: "status.time",
        args: "(format='%A, %d. %B %Y %I:%M%p')",
        doc: "Returns the local time.",
        run: ExecFn::Read(time),
    },
    ExecDef {
        name: "status.uptime",
        args: "()",
        doc: "Returns how long the machine has been up.",
        run: ExecFn::Read(uptime),
    },
    ExecDef { name: "status.loadavg", args: "()", doc: "Returns the load averages.", run: ExecFn::Read(loadavg) },
    ExecDef { name: "status.meminfo", args: "()", doc: "Returns `/proc/meminfo`.", run: ExecFn::Read(meminfo) },
    ExecDef { name: "status.cpuinfo", args: "()", doc: "Returns `/proc/cpuinfo`.", run: ExecFn::Read(cpuinfo) },
    ExecDef { name: "status.vmstats", args: "()", doc: "Returns `/proc/vmstat`.", run: ExecFn::Read(vmstats) },
    ExecDef { name: "status.nproc", args: "()", doc: "Returns the number of processors.", run: ExecFn::Read(nproc) },
    ExecDef {
        name: "status.pid",
        args: "(sig)",
        doc: "Returns the pids of processes whose command line has a text.",
        run: ExecFn::Read(pid),
    },
    ExecDef {
        name: "status.version",
        args: "()",
        doc: "Returns the kernel's version line.",
        run: ExecFn::Read(version),
    },
    ExecDef {
        name: "status.diskusage",
        args: "(*paths)",
        doc: "Returns size and free space of file systems, in bytes.",
        run: ExecFn::Read(diskusage),
    },
];

fn read(host: &dyn Look, path: &str) -> Result<String, ExecError> {
    Ok(String::from_utf8_lossy(&host.read(Path::new(path))?).into_owned())
}

fn number(text: &str) -> Value {
    text.parse::<i64>()
        .map(Value::from)
        .or_else(|_| text.parse::<f64>().map(Value::from))
        .unwrap_or_else(|_| text.into())
}

fn time(call: &Call, host: &dyn Look, _: &Data) -> Result<Value, ExecError> {
    let format = call.text(0, "format").unwrap_or_else(|| "%A, %d. %B %Y %I:%M%p".into());
    let now = clock::now();
    Ok(clock::strftime(&format, now, &clock::zone(host, now)).into())
}

fn uptime(_: &Call, host: &dyn Look, _: &Data) -> Result<Value, ExecError> {
    let text = read(host, "/proc/uptime")?;
    let seconds = text.split(['.', ' ']).next().and_then(|s| s.parse::<i64>().ok()).unwrap_or(0);
    let since = clock::now() - seconds;
    let utc = clock::Zone { offset: 0, name: "UTC".into() };
    let mut out = Map::new();
    out.insert("seconds", seconds);
    out.insert("since_iso", clock::strftime("%Y-%m-%dT%H:%M:%S", since, &utc));
    out.insert("since_t", since);
    out.insert("days", seconds / 86400);
    out.insert("time", format!("{}:{}", seconds % 86400 / 3600, seconds % 3600 / 60));
    Ok(out.into())
}

fn loadavg(_: &Call, host: &dyn Look, _: &Data) -> Result<Value, ExecError> {
    let text = read(host, "/proc/loadavg")?;
    let values = text.split_whitespace().map(|w| Value::from(w.parse::<f64>().unwrap_or(0.0)));
    Ok(["1-min", "5-min", "15-min"].into_iter().zip(values).collect::<Map>().into())
}

fn meminfo(_: &Call, host: &dyn Look, _: &Data) -> Result<Value, ExecError> {
    let mut out = Map::new();
    for line in read(host, "/proc/meminfo")?.lines() {
        let mut words = line.split_whitespace();
        let (Some(name), Some(value)) = (words.next(), words.next()) else { continue };
        let mut entry: Map = [("value", value)].into_iter().collect();
        if let Some(unit) = words.next() {
            entry.insert("unit", unit);
        }
        out.insert(name.trim_end_matches(':'), entry);
    }
    Ok(out.into())
}

fn cpuinfo(_: &Call, host: &dyn Look, _: &Data) -> Result<Value, ExecError> {
    let mut out = Map::new();
    for (name, value) in read(host, "/proc/cpuinfo")?.lines().filter_map(|l| l.split_once(':')) {
        let (name, value) = (name.trim(), value.trim());
        let value = if matches!(name, "flags" | "Features") {
            Value::from(value.split_whitespace().collect::<Vec<_>>())
        } else {
            number(value)
        };
        out.insert(name, value);
    }
    Ok(out.into())
}

fn vmstats(_: &Call, host: &dyn Look, _: &Data) -> Result<Value, ExecError> {
    let text = read(host, "/proc/vmstat")?;
    Ok(text.lines().filter_map(|l| l.split_once(' ')).map(|(k, v)| (k, number(v.trim()))).collect::<Map>().into())
}

fn nproc(_: &Call, _: &dyn Look, _: &Data) -> Result<Value, ExecError> {
    Ok(std::thread::available_parallelism().map_or(1, usize::from).into())
}

fn pid(call: &Call, host: &dyn Look, _: &Data) -> Result<Value, ExecError> {
    let wanted = call.need(0, "sig")?;
    let found = super::ps::processes(host).into_iter().filter(|p| p.cmdline.contains(&wanted));
    Ok(found.map(|p| p.pid.to_string()).collect::<Vec<_>>().join("\n").into())
}

fn version(_: &Call, host: &dyn Look, _: &Data) -> Result<Value, ExecError> {
    Ok(read(host, "/proc/version")?.trim().into())
}

fn diskusage(call: &Call, host: &dyn Look, _: &Data) -> Result<Value, ExecError> {
    let mounts = super::disk::mounts(host)?;
    let wanted: Vec<String> = call.args.iter().map(python::str).collect();
    let mut out = Map::new();
    for mount in &mounts {
        let selected = wanted.contains(&mount.path) || wanted.contains(&mount.kind);
        if (wanted.is_empty() && mount.device.starts_with('/')) || selected {
            let sizes = super::disk::sizes(&mount.path)?;
            let entry = [("total", sizes.total_bytes), ("available", sizes.available_bytes)];
            out.insert(mount.path.as_str(), entry.into_iter().collect::<Map>());
        }
    }
    // A path of a file system that is mounted elsewhere.
    for path in wanted.iter().filter(|path| path.starts_with('/')) {
        if !out.contains(path) {
            let sizes = super::disk::sizes(path)?;
            let entry = [("total", sizes.total_bytes), ("available", sizes.available_bytes)];
            out.insert(path.as_str(), entry.into_iter().collect::<Map>());
        }
    }
    Ok(out.into())
}
