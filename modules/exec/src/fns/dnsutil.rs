//! `dnsutil.*`: names and addresses, as the machine itself looks them up.

use crate::ask;
use corpus_core::host::{Command, Look};
use corpus_core::{Call, Data, ExecDef, ExecError, ExecFn, Map, Value};
use std::net::IpAddr;

/// The functions of this module.
pub const FNS: &[ExecDef] = &[
    ExecDef {
        name: "dnsutil.A",
        args: "(host)",
        doc: "Returns the IPv4 addresses of a name.",
        run: ExecFn::Read(|call, look, _| lookup(call, look, "ahostsv4")),
    },
    ExecDef {
        name: "dnsutil.AAAA",
        args: "(host)",
        doc: "Returns the IPv6 addresses of a name.",
        run: ExecFn::Read(|call, look, _| lookup(call, look, "ahostsv6")),
    },
    ExecDef {
        name: "dnsutil.check_ip",
        args: "(ip_addr)",
        doc: "Tells whether a text is an address.",
        run: ExecFn::Data(check_ip),
    },
    ExecDef {
        name: "dnsutil.hosts_append",
        args: "(hostsfile='/etc/hosts', ip_addr=None, entries=None)",
        doc: "Not built: `hosts.add_host` does it.",
        run: ExecFn::Data(append),
    },
    ExecDef {
        name: "dnsutil.parse_hosts",
        args: "(hostsfile='/etc/hosts', hosts=None)",
        doc: "Returns the names of each address of a hosts file.",
        run: ExecFn::Read(parse),
    },
];

fn lookup(call: &Call, look: &dyn Look, table: &str) -> Result<Value, ExecError> {
    let host = call.need(0, "host")?;
    let output = look.query(&Command::new(["getent", table, &host]))?;
    let mut found: Vec<String> = vec![];
    for line in output.stdout_text().lines() {
        let Some(ip) = line.split_whitespace().next().map(str::to_owned) else { continue };
        // getent maps IPv4 addresses into IPv6 where a name has no other.
        if !(found.contains(&ip) || table == "ahostsv6" && ip.starts_with("::ffff:")) {
            found.push(ip);
        }
    }
    Ok(found.into())
}

fn check_ip(call: &Call, _: &Data) -> Result<Value, ExecError> {
    let text = call.need(0, "ip_addr")?;
    Ok(text.split('/').next().unwrap_or(&text).parse::<IpAddr>().is_ok().into())
}

fn append(_: &Call, _: &Data) -> Result<Value, ExecError> {
    Err(ExecError::failed("dnsutil.hosts_append is not built; use hosts.add_host, or the state host.present"))
}

fn parse(call: &Call, look: &dyn Look, _: &Data) -> Result<Value, ExecError> {
    let text = match call.text(1, "hosts") {
        Some(text) => text,
        None => {
            let path = call.text(0, "hostsfile").unwrap_or_else(|| "/etc/hosts".into());
            ask::text(look, path)?.unwrap_or_default()
        }
    };
    let mut all = Map::new();
    for (ip, names) in crate::hosts::Hosts::parse(&text).entries() {
        let mut known = all.get(ip).and_then(Value::as_list).unwrap_or_default().to_vec();
        known.extend(names.iter().map(Value::from));
        all.insert(ip, known);
    }
    Ok(all.into())
}
