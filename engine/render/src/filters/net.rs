//! Salt's filters on IP addresses and networks.

use crate::args::Args;
use crate::eval::Vm;
use crate::fail::R;
use crate::value::Val;
use std::net::IpAddr;

pub fn call(_vm: &mut Vm, name: &str, value: &Val, args: &Args) -> R<Option<Val>> {
    let is = |v4: bool, v6: bool| match value.as_str().map(str::parse::<IpAddr>) {
        Some(Ok(ip)) => ip.is_ipv4() && v4 || ip.is_ipv6() && v6,
        _ => false,
    };
    Ok(Some(match name {
        "is_ip" => Val::Bool(is(true, true)),
        "is_ipv4" => Val::Bool(is(true, false)),
        "is_ipv6" => Val::Bool(is(false, true)),
        "ipaddr" | "ipv4" | "ipv6" | "ip_host" | "network_hosts" | "network_size" => {
            let options = args.text(0, "options")?;
            let one = |v: &Val| v.as_str().and_then(|s| address(name, s, options.as_deref()));
            match value {
                Val::List(_) | Val::Tuple(_) => {
                    Val::list(value.iterate().unwrap_or_default().iter().filter_map(one).collect())
                }
                single => one(single).unwrap_or(Val::None),
            }
        }
        "ipwrap" => {
            let wrap = |v: &Val| match v.as_str() {
                Some(s) if s.parse::<std::net::Ipv6Addr>().is_ok() => Val::str(format!("[{s}]")),
                _ => v.clone(),
            };
            match value {
                Val::List(_) | Val::Tuple(_) => {
                    Val::list(value.iterate().unwrap_or_default().iter().map(wrap).collect())
                }
                single => wrap(single),
            }
        }
        _ => return Ok(None),
    }))
}

fn bits(ip: IpAddr) -> (u128, u32) {
    match ip {
        IpAddr::V4(ip) => (u32::from(ip).into(), 32),
        IpAddr::V6(ip) => (ip.into(), 128),
    }
}

fn ip(value: u128, width: u32) -> IpAddr {
    if width == 32 { IpAddr::V4((value as u32).into()) } else { IpAddr::V6(value.into()) }
}

fn address(filter: &str, text: &str, options: Option<&str>) -> Option<Val> {
    let (host, prefix) = text.split_once('/').map_or((text, None), |(h, p)| (h, Some(p)));
    let found: IpAddr = host.parse().ok()?;
    let (value, width) = bits(found);
    let prefix: u32 = match prefix {
        Some(p) => p.parse().ok().filter(|p| *p <= width)?,
        None => width,
    };
    let mask = if prefix == 0 {
        0
    } else {
        !0u128 << (width - prefix) & if width == 32 { u32::MAX.into() } else { u128::MAX }
    };
    let size = if width - prefix >= 128 { u128::MAX } else { 1u128 << (width - prefix) };
    let (first, last) = (value & mask, (value & mask) + (size - 1));
    let hosts = || {
        let (from, to) = if size > 2 { (first + 1, last - u128::from(width == 32)) } else { (first, last) };
        let count = (to - from + 1).min(65_536);
        Val::list((0..count).map(|i| Val::str(ip(from + i, width).to_string())).collect())
    };
    match filter {
        "ipv4" if width != 32 => return None,
        "ipv6" if width != 128 => return None,
        "network_size" => return i64::try_from(size).ok().map(Val::Int),
        "network_hosts" => return Some(hosts()),
        "ip_host" => return Some(Val::str(format!("{found}/{prefix}"))),
        _ => {}
    }
    let v4 = match found {
        IpAddr::V4(ip) => Some(ip),
        IpAddr::V6(_) => None,
    };
    let private = match found {
        IpAddr::V4(ip) => ip.is_private() || ip.is_loopback() || ip.is_link_local(),
        IpAddr::V6(ip) => {
            ip.is_loopback() || ip.segments()[0] & 0xfe00 == 0xfc00 || ip.segments()[0] & 0xffc0 == 0xfe80
        }
    };
    for option in options.unwrap_or_default().split(',').map(str::trim).filter(|o| !o.is_empty()) {
        let keep = match option {
            "private" => private,
            "global" | "public" => !private && !found.is_loopback() && !found.is_multicast(),
            "loopback" => found.is_loopback(),
            "multicast" => found.is_multicast(),
            "unspecified" => found.is_unspecified(),
            "link-local" => match found {
                IpAddr::V4(ip) => ip.is_link_local(),
                IpAddr::V6(ip) => ip.segments()[0] & 0xffc0 == 0xfe80,
            },
            "reserved" => v4.is_some_and(|ip| ip.octets()[0] >= 240),
            "net" if first != value => false,
            "net" => return Some(Val::str(format!("{}/{prefix}", ip(first, width)))),
            "network" => return Some(Val::str(ip(first, width).to_string())),
            "broadcast" => return Some(Val::str(ip(last, width).to_string())),
            "netmask" => return Some(Val::str(ip(mask, width).to_string())),
            "prefix" | "subnet" => return Some(Val::Int(prefix.into())),
            "host" => return Some(Val::str(format!("{found}/{prefix}"))),
            "size" => return i64::try_from(size).ok().map(Val::Int),
            _ => true,
        };
        if !keep {
            return None;
        }
    }
    Some(Val::str(if text.contains('/') { format!("{found}/{prefix}") } else { found.to_string() }))
}
