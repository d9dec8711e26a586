//! `ps.*`: processes and memory, from `/proc`.

use corpus_core::value::Value;
use corpus_core::{Call, Data, ExecDef, ExecError, ExecFn, Look};
use std::path::Path;

/// The functions of this module.
pub const FNS: &[ExecDef] = &[
    ExecDef {
        name: "ps.pgrep",
        args: "(pattern, user=None, full=False, pattern_is_regex=False)",
        doc: "Returns the pids of processes by name.",
        run: ExecFn::Read(pgrep),
    },
    ExecDef { name: "ps.get_pid_list", args: "()", doc: "Lists all pids.", run: ExecFn::Read(get_pid_list) },
    ExecDef { name: "ps.num_cpus", args: "()", doc: "Returns the number of processors.", run: ExecFn::Read(num_cpus) },
    ExecDef {
        name: "ps.total_physical_memory",
        args: "()",
        doc: "Returns the memory's size in bytes.",
        run: ExecFn::Read(total_physical_memory),
    },
    ExecDef {
        name: "ps.boot_time",
        args: "()",
        doc: "Returns when the machine started, in seconds since 1970.",
        run: ExecFn::Read(boot_time),
    },
];

/// A running process.
pub(crate) struct Process {
    pub pid: i64,
    pub name: String,
    pub cmdline: String,
    pub uid: u32,
}

/// Lists the processes, by pid.
pub(crate) fn processes(host: &dyn Look) -> Vec<Process> {
    let names = host.list(Path::new("/proc")).unwrap_or_default();
    let mut found: Vec<Process> = names
        .iter()
        .filter_map(|name| {
            let pid = name.parse().ok()?;
            let folder = Path::new("/proc").join(name);
            // One that ended meanwhile is left out.
            let text = |file: &str| Some(String::from_utf8_lossy(&host.read(&folder.join(file)).ok()?).into_owned());
            let cmdline = text("cmdline")?.trim_end_matches('\0').replace('\0', " ");
            Some(Process {
                pid,
                name: text("comm")?.trim_end().to_owned(),
                cmdline,
                uid: host.stat(&folder).ok()??.uid,
            })
        })
        .collect();
    found.sort_by_key(|p| p.pid);
    found
}

fn pgrep(call: &Call, host: &dyn Look, _: &Data) -> Result<Value, ExecError> {
    let pattern = call.need(0, "pattern")?;
    let full = call.flag(2, "full", false);
    let uid = match call.text(1, "user") {
        None => None,
        Some(name) => {
            Some(host.user(&name)?.ok_or_else(|| call.invalid("user", format!("there is no user {name}")))?.uid)
        }
    };
    let regex = match call.flag(3, "pattern_is_regex", false) {
        true => Some(fancy_regex::Regex::new(&pattern).map_err(|e| call.invalid("pattern", e))?),
        false => None,
    };
    let matches = |text: &str| match &regex {
        Some(regex) => regex.is_match(text).unwrap_or(false),
        None => text.contains(&pattern),
    };
    let pids: Vec<Value> = processes(host)
        .into_iter()
        .filter(|p| uid.is_none_or(|uid| p.uid == uid) && matches(if full { &p.cmdline } else { &p.name }))
        .map(|p| p.pid.into())
        .collect();
    Ok(if pids.is_empty() { Value::Null } else { pids.into() })
}

fn get_pid_list(_: &Call, host: &dyn Look, _: &Data) -> Result<Value, ExecError> {
    Ok(processes(host).into_iter().map(|p| p.pid.into()).collect::<Vec<Value>>().into())
}

fn num_cpus(_: &Call, _: &dyn Look, _: &Data) -> Result<Value, ExecError> {
    Ok(std::thread::available_parallelism().map_or(1, usize::from).into())
}

fn line(host: &dyn Look, file: &str, name: &str) -> Result<i64, ExecError> {
    let text = String::from_utf8_lossy(&host.read(Path::new(file))?).into_owned();
    let value = text.lines().find_map(|l| l.strip_prefix(name)?.split_whitespace().next()?.parse().ok());
    value.ok_or_else(|| ExecError::failed(format!("{file} has no {name}")))
}

fn total_physical_memory(_: &Call, host: &dyn Look, _: &Data) -> Result<Value, ExecError> {
    Ok((line(host, "/proc/meminfo", "MemTotal:")? * 1024).into())
}

fn boot_time(call: &Call, host: &dyn Look, _: &Data) -> Result<Value, ExecError> {
    let at = line(host, "/proc/stat", "btime")?;
    match call.text(0, "time_format") {
        Some(format) => {
            let zone = crate::grains::clock::zone(host, at);
            Ok(crate::grains::clock::strftime(&format, at, &zone).into())
        }
        None => Ok(at.into()),
    }
}
