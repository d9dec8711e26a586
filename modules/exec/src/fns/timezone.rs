//! `timezone.*`: where this machine's clock is.

use crate::grains::clock;
use corpus_core::host::{Command, HostResult};
use corpus_core::plan::{Attrs, Content, Effect};
use corpus_core::value::Value;
use corpus_core::{Call, Data, ExecDef, ExecError, ExecFn, Look};
use std::path::Path;

/// The functions of this module.
pub const FNS: &[ExecDef] = &[
    ExecDef {
        name: "timezone.get_zone",
        args: "()",
        doc: "Returns the zone's name, `Europe/Paris`.",
        run: ExecFn::Read(get_zone),
    },
    ExecDef {
        name: "timezone.get_zonecode",
        args: "()",
        doc: "Returns the zone's letters, `CET`.",
        run: ExecFn::Read(get_zonecode),
    },
    ExecDef {
        name: "timezone.get_offset",
        args: "()",
        doc: "Returns the distance from UTC, `+0100`.",
        run: ExecFn::Read(get_offset),
    },
    ExecDef {
        name: "timezone.zone_compare",
        args: "(timezone)",
        doc: "Tells whether this is the machine's zone.",
        run: ExecFn::Read(zone_compare),
    },
    ExecDef {
        name: "timezone.list",
        args: "()",
        doc: "Lists the zones that this machine knows.",
        run: ExecFn::Read(|_, host, _| {
            let text = crate::ask::text(host, "/usr/share/zoneinfo/tzdata.zi")?.unwrap_or_default();
            let name = |line: &str| {
                let mut words = line.split(' ');
                match words.next() {
                    Some("Z") => words.next().map(str::to_owned),
                    Some("L") => words.nth(1).map(str::to_owned),
                    _ => None,
                }
            };
            let mut names: Vec<String> = text.lines().filter_map(name).collect();
            names.sort();
            Ok(names.into())
        }),
    },
    ExecDef {
        name: "timezone.get_hwclock",
        args: "()",
        doc: "Tells whether the hardware clock runs in `UTC` or in `localtime`.",
        run: ExecFn::Read(|_, host, _| Ok(if hwclock_is_local(host)? { "localtime" } else { "UTC" }.into())),
    },
    ExecDef {
        name: "timezone.set_hwclock",
        args: "(clock)",
        doc: "Says whether the hardware clock runs in `UTC` or in `localtime`.",
        run: ExecFn::Write(|call, act, _| {
            crate::ask::must(act, set_clock(act.as_look(), &call.need(0, "clock")?))?;
            Ok(true.into())
        }),
    },
    ExecDef {
        name: "timezone.set_zone",
        args: "(timezone)",
        doc: "Puts the machine into a time zone.",
        run: ExecFn::Write(|call, act, _| {
            let name = call.need(0, "timezone")?;
            same_zone(act.as_look(), &name)?;
            let target = Path::new("/usr/share/zoneinfo").join(&name);
            act.perform(&Effect::Symlink { path: "/etc/localtime".into(), target, attrs: Attrs::default() })?;
            if crate::ask::exists(act.as_look(), "/etc/timezone") {
                let content = Content::Bytes(format!("{name}\n").into());
                let attrs = Attrs::default();
                act.perform(&Effect::WriteFile { path: "/etc/timezone".into(), content, attrs, backup: None })?;
            }
            Ok(true.into())
        }),
    },
];

/// Tells whether the hardware clock runs in local time.
pub fn hwclock_is_local(look: &dyn Look) -> HostResult<bool> {
    let text = crate::ask::text(look, "/etc/adjtime")?.unwrap_or_default();
    Ok(text.lines().nth(2).is_some_and(|line| line.trim() == "LOCAL"))
}

/// Returns what sets the hardware clock to UTC or to local time.
pub fn set_clock(look: &dyn Look, clock: &str) -> Command {
    let local = clock.eq_ignore_ascii_case("localtime");
    if crate::ask::is_dir(look, "/run/systemd/system") {
        Command::new(["timedatectl", "set-local-rtc", if local { "true" } else { "false" }])
    } else {
        Command::new(["hwclock", "--systohc", if local { "--localtime" } else { "--utc" }])
    }
}

fn get_zone(_: &Call, host: &dyn Look, _: &Data) -> Result<Value, ExecError> {
    let unknown = || ExecError::failed("Unable to get timezone: neither /etc/localtime nor /etc/timezone names it");
    clock::zone_name(host).map(Value::from).ok_or_else(unknown)
}

fn now(host: &dyn Look, format: &str) -> Value {
    let now = clock::now();
    clock::strftime(format, now, &clock::zone(host, now)).into()
}

fn get_zonecode(_: &Call, host: &dyn Look, _: &Data) -> Result<Value, ExecError> {
    Ok(now(host, "%Z"))
}

fn get_offset(_: &Call, host: &dyn Look, _: &Data) -> Result<Value, ExecError> {
    Ok(now(host, "%z"))
}

fn zone_compare(call: &Call, host: &dyn Look, _: &Data) -> Result<Value, ExecError> {
    Ok(same_zone(host, &call.need(0, "timezone")?)?.into())
}

/// Tells whether the machine is in a zone, be it by another name.
pub fn same_zone(host: &dyn Look, wanted: &str) -> Result<bool, ExecError> {
    if clock::zone_name(host).is_some_and(|name| name == wanted) {
        return Ok(true);
    }
    // Two names may lead to the same zone.
    let there = Path::new("/usr/share/zoneinfo").join(wanted.trim_start_matches('/'));
    let here = host.read(Path::new("/etc/localtime"));
    match (here, host.read(&there)) {
        (Ok(here), Ok(there)) => Ok(here == there),
        (_, Err(_)) => Err(ExecError::failed(format!("Can't find a zone file for timezone: {wanted}"))),
        (Err(_), _) => Ok(false),
    }
}
