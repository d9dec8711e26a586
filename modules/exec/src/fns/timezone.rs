//! `timezone.*`: where this machine's clock is.

use crate::grains::clock;
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
];

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
    let wanted = call.need(0, "timezone")?;
    if clock::zone_name(host).is_some_and(|name| name == wanted) {
        return Ok(true.into());
    }
    // Two names may lead to the same zone.
    let there = Path::new("/usr/share/zoneinfo").join(wanted.trim_start_matches('/'));
    let here = host.read(Path::new("/etc/localtime"));
    match (here, host.read(&there)) {
        (Ok(here), Ok(there)) => Ok((here == there).into()),
        (_, Err(_)) => Err(ExecError::failed(format!("Can't find a zone file for timezone: {wanted}"))),
        (Err(_), _) => Ok(false.into()),
    }
}
