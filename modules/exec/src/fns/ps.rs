//! `ps.*`: processes and memory, from `/proc`.

use corpus_core::value::Value;
use corpus_core::{Call, Data, ExecDef, ExecError, ExecFn, Look, Map};
use rustix::process::{Pid, Signal, kill_process};
use std::path::Path;

/// The functions of this module.
pub const FNS: &[ExecDef] = &[
    ExecDef {
        name: "ps.pgrep",
        args: "(pattern, user=None, full=False, pattern_is_regex=False)",
        doc: "Returns the pids of processes by name.",
        run: ExecFn::Read(pgrep),
    },
    ExecDef {
        name: "ps.pkill",
        args: "(pattern, user=None, signal=15, full=False)",
        doc: "Ends processes by name and returns their pids; those that this run is part of are left alone.",
        run: ExecFn::Write(|call, act, data| {
            let mut kwargs = Map::new();
            kwargs.insert("full", call.flag(3, "full", false));
            kwargs.insert("strangers", true);
            kwargs.insert("user", call.text(1, "user"));
            let ask = Call { fun: "ps.pgrep".into(), args: vec![call.need(0, "pattern")?.into()], kwargs };
            let found = pgrep(&ask, act.as_look(), data)?;
            let signal = signal(call, 2)?;
            for pid in found.as_list().unwrap_or_default().iter().filter_map(Value::as_int) {
                kill(pid, signal);
            }
            Ok(found.as_list().map(|pids| [("killed", Value::from(pids.to_vec()))].into_iter().collect::<Map>()).into())
        }),
    },
    ExecDef {
        name: "ps.kill_pid",
        args: "(pid, signal=15)",
        doc: "Sends a signal to a process; false if there is none.",
        run: ExecFn::Write(|call, _, _| {
            let pid = call.need(0, "pid")?.parse().map_err(|_| call.invalid("pid", "a number"))?;
            Ok(kill(pid, signal(call, 1)?).into())
        }),
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

/// Lists the processes that this one came from, itself included.
fn lineage(host: &dyn Look) -> Vec<i64> {
    let mut all = vec![i64::from(std::process::id())];
    // Before `ppid` stand the pid, the name in brackets, and the state.
    let parent = |pid: i64| -> Option<i64> {
        let stat = host.read(Path::new(&format!("/proc/{pid}/stat"))).ok()?;
        let text = String::from_utf8_lossy(&stat).into_owned();
        text.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
    };
    while let Some(pid) = all.last().and_then(|pid| parent(*pid)).filter(|pid| *pid > 0 && !all.contains(pid)) {
        all.push(pid);
    }
    all
}

fn signal(call: &Call, place: usize) -> Result<Signal, ExecError> {
    let text = call.text(place, "signal").unwrap_or_else(|| "15".into());
    let name = text.trim().to_uppercase();
    let named = match name.trim_start_matches("SIG") {
        "HUP" | "1" => Signal::HUP,
        "INT" | "2" => Signal::INT,
        "QUIT" | "3" => Signal::QUIT,
        "KILL" | "9" => Signal::KILL,
        "USR1" | "10" => Signal::USR1,
        "USR2" | "12" => Signal::USR2,
        "TERM" | "15" => Signal::TERM,
        "CONT" | "18" => Signal::CONT,
        "STOP" | "19" => Signal::STOP,
        _ => return Err(call.invalid("signal", format!("there is no signal `{text}` here"))),
    };
    Ok(named)
}

fn kill(pid: i64, signal: Signal) -> bool {
    let pid = i32::try_from(pid).ok().filter(|pid| *pid > 1).and_then(Pid::from_raw);
    pid.is_some_and(|pid| kill_process(pid, signal).is_ok())
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
    let own = if call.flag(usize::MAX, "strangers", false) { lineage(host) } else { vec![] };
    let pids: Vec<Value> = processes(host)
        .into_iter()
        .filter(|p| !own.contains(&p.pid))
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
