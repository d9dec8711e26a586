//! `network.*`: addresses and interfaces, from the kernel. No name server is asked.

use crate::grains::net;
use crate::grains::netlink::{self, Address, Interface};
use corpus_core::value::{Map, Value};
use corpus_core::{Call, Data, ExecDef, ExecError, ExecFn, Look};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The functions of this module.
pub const FNS: &[ExecDef] = &[
    ExecDef {
        name: "network.ip_addrs",
        args: "(interface=None, include_loopback=False, cidr=None, type=None)",
        doc: "Lists IPv4 addresses.",
        run: ExecFn::Read(ip_addrs),
    },
    ExecDef {
        name: "network.ipaddrs",
        args: "(interface=None, include_loopback=False, cidr=None, type=None)",
        doc: "Is `network.ip_addrs`.",
        run: ExecFn::Read(ip_addrs),
    },
    ExecDef {
        name: "network.ip_addrs6",
        args: "(interface=None, include_loopback=False, cidr=None)",
        doc: "Lists IPv6 addresses.",
        run: ExecFn::Read(ip_addrs6),
    },
    ExecDef {
        name: "network.ipaddrs6",
        args: "(interface=None, include_loopback=False, cidr=None)",
        doc: "Is `network.ip_addrs6`.",
        run: ExecFn::Read(ip_addrs6),
    },
    ExecDef { name: "network.interfaces", args: "()", doc: "Describes all interfaces.", run: ExecFn::Read(interfaces) },
    ExecDef {
        name: "network.interface",
        args: "(iface)",
        doc: "Returns an interface's IPv4 addresses.",
        run: ExecFn::Read(interface),
    },
    ExecDef {
        name: "network.interface_ip",
        args: "(iface)",
        doc: "Returns an interface's first IPv4 address.",
        run: ExecFn::Read(interface_ip),
    },
    ExecDef {
        name: "network.hw_addr",
        args: "(iface)",
        doc: "Returns an interface's hardware address.",
        run: ExecFn::Read(hw_addr),
    },
    ExecDef { name: "network.hwaddr", args: "(iface)", doc: "Is `network.hw_addr`.", run: ExecFn::Read(hw_addr) },
    ExecDef {
        name: "network.get_hostname",
        args: "()",
        doc: "Returns the host name.",
        run: ExecFn::Read(get_hostname),
    },
    ExecDef { name: "network.get_fqdn", args: "()", doc: "Returns the full host name.", run: ExecFn::Read(get_fqdn) },
    ExecDef {
        name: "network.subnets",
        args: "(interfaces=None)",
        doc: "Lists the IPv4 networks.",
        run: ExecFn::Read(subnets),
    },
    ExecDef { name: "network.subnets6", args: "()", doc: "Lists the IPv6 networks.", run: ExecFn::Read(subnets6) },
    ExecDef {
        name: "network.in_subnet",
        args: "(cidr)",
        doc: "Tells whether the machine is in a network.",
        run: ExecFn::Read(in_subnet),
    },
    ExecDef {
        name: "network.ip_in_subnet",
        args: "(ip_addr, cidr)",
        doc: "Tells whether an address is in a network.",
        run: ExecFn::Read(ip_in_subnet),
    },
    ExecDef {
        name: "network.calc_net",
        args: "(ip_addr, netmask=None)",
        doc: "Returns an address's network.",
        run: ExecFn::Read(calc_net),
    },
    ExecDef {
        name: "network.is_private",
        args: "(ip_addr)",
        doc: "Tells whether an address is private.",
        run: ExecFn::Read(is_private),
    },
    ExecDef {
        name: "network.is_loopback",
        args: "(ip_addr)",
        doc: "Tells whether an address is the loopback's.",
        run: ExecFn::Read(is_loopback),
    },
    ExecDef {
        name: "network.reverse_ip",
        args: "(ip_addr)",
        doc: "Returns an address's name for reverse look-up.",
        run: ExecFn::Read(reverse_ip),
    },
    ExecDef {
        name: "network.default_route",
        args: "(family=None)",
        doc: "Lists the default routes.",
        run: ExecFn::Read(default_route),
    },
];

fn all() -> Result<Vec<Interface>, ExecError> {
    netlink::interfaces().map_err(|e| ExecError::failed(format!("list network interfaces: {e}")))
}

/// A network, `10.0.0.0/8`.
pub(crate) struct Network {
    base: u128,
    prefix: u32,
    bits: u32,
}

fn number(ip: IpAddr) -> (u128, u32) {
    match ip {
        IpAddr::V4(v4) => (u32::from(v4).into(), 32),
        IpAddr::V6(v6) => (v6.into(), 128),
    }
}

impl Network {
    fn of(ip: IpAddr, prefix: u32) -> Self {
        let (value, bits) = number(ip);
        let shift = bits - prefix.min(bits);
        let base = if shift >= 128 { 0 } else { value >> shift << shift };
        Self { base, prefix: prefix.min(bits), bits }
    }

    fn contains(&self, ip: IpAddr) -> bool {
        let (value, bits) = number(ip);
        bits == self.bits && Self::of(ip, self.prefix).base == self.base && (value >> (bits - 1)) <= 1
    }

    fn text(&self) -> String {
        let ip: IpAddr = match u32::try_from(self.base) {
            Ok(small) if self.bits == 32 => Ipv4Addr::from(small).into(),
            _ => Ipv6Addr::from(self.base).into(),
        };
        format!("{ip}/{}", self.prefix)
    }
}

/// Reads `10.0.0.0/8`, `10.0.0.0/255.0.0.0` or a bare address.
fn network(call: &Call, name: &str, text: &str) -> Result<Network, ExecError> {
    let (ip, rest) = text.split_once('/').map_or((text, None), |(ip, rest)| (ip, Some(rest)));
    let ip: IpAddr = ip.trim().parse().map_err(|_| call.invalid(name, format!("`{text}` is not a network")))?;
    let bits = number(ip).1;
    let prefix = match rest {
        None => Some(bits),
        Some(mask) if mask.contains('.') => {
            let mask = mask.parse::<Ipv4Addr>().ok().map(u32::from);
            mask.filter(|m| m.leading_ones() + m.trailing_zeros() >= 32).map(u32::leading_ones)
        }
        Some(digits) => digits.parse().ok().filter(|p| *p <= bits),
    };
    let prefix = prefix.ok_or_else(|| call.invalid(name, format!("`{text}` has no valid prefix")))?;
    Ok(Network::of(ip, prefix))
}

fn address(call: &Call) -> Result<IpAddr, ExecError> {
    let text = call.need(0, "ip_addr")?;
    text.parse().map_err(|_| call.invalid("ip_addr", format!("`{text}` is not an address")))
}

fn list(call: &Call, v6: bool) -> Result<Value, ExecError> {
    let mut interfaces = all()?;
    if let Some(wanted) = call.arg(0, "interface").filter(|v| !v.is_null()) {
        let wanted = wanted.as_list().unwrap_or(std::slice::from_ref(wanted));
        interfaces.retain(|i| wanted.iter().any(|w| w.as_str() == Some(&i.name)));
    }
    let mut ips = net::addresses(&interfaces, call.flag(1, "include_loopback", false));
    ips.retain(|ip| ip.is_ipv6() == v6);
    if let Some(cidr) = call.text(2, "cidr") {
        let network = network(call, "cidr", &cidr)?;
        ips.retain(|ip| network.contains(*ip));
    }
    if let Some(kind) = call.text(3, "type") {
        ips.retain(|ip| private(*ip) == (kind == "private"));
    }
    Ok(ips.iter().map(ToString::to_string).collect::<Vec<_>>().into())
}

fn ip_addrs(call: &Call, _: &dyn Look, _: &Data) -> Result<Value, ExecError> {
    list(call, false)
}

fn ip_addrs6(call: &Call, _: &dyn Look, _: &Data) -> Result<Value, ExecError> {
    list(call, true)
}

fn netmask(prefix: u8) -> String {
    Ipv4Addr::from(u32::MAX.checked_shl(32 - u32::from(prefix.min(32))).unwrap_or(0)).to_string()
}

fn v4_entry(a: &Address) -> Map {
    let mut entry = Map::new();
    entry.insert("address", a.ip.to_string());
    entry.insert("netmask", netmask(a.prefix));
    entry.insert("broadcast", a.broadcast.map(|b| b.to_string()));
    entry.insert("label", a.label.as_str());
    entry
}

fn describe(i: &Interface) -> Map {
    let mut out = Map::new();
    out.insert("up", i.up);
    let (mut inet, mut inet6, mut secondary) = (Vec::<Value>::new(), Vec::<Value>::new(), Vec::<Value>::new());
    for a in &i.addresses {
        if a.ip.is_ipv6() {
            let entry = [("address", a.ip.to_string()), ("prefixlen", a.prefix.to_string()), ("scope", a.scope.into())];
            inet6.push(entry.into_iter().collect::<Map>().into());
        } else if a.secondary {
            let mut entry: Map = [("type", "inet")].into_iter().collect();
            entry.0.extend(v4_entry(a).0);
            secondary.push(entry.into());
        } else {
            inet.push(v4_entry(a).into());
        }
    }
    for (key, list) in [("inet", inet), ("inet6", inet6), ("secondary", secondary)] {
        if !list.is_empty() {
            out.insert(key, list);
        }
    }
    if !i.hwaddr.is_empty() {
        out.insert("hwaddr", i.hwaddr.as_str());
    }
    out
}

fn interfaces(_: &Call, _: &dyn Look, _: &Data) -> Result<Value, ExecError> {
    Ok(all()?.iter().map(|i| (i.name.as_str(), describe(i))).collect::<Map>().into())
}

fn one(call: &Call) -> Result<Result<Interface, Value>, ExecError> {
    let name = call.need(0, "iface")?;
    let all = all()?;
    let names: Vec<&str> = all.iter().map(|i| i.name.as_str()).collect();
    let sorry = format!("Interface \"{name}\" not in available interfaces: \"{}\"", names.join("\", \""));
    Ok(all.into_iter().find(|i| i.name == name).ok_or_else(|| sorry.into()))
}

fn interface(call: &Call, _: &dyn Look, _: &Data) -> Result<Value, ExecError> {
    Ok(match one(call)? {
        Ok(i) => describe(&i).get("inet").cloned().unwrap_or_else(|| "".into()),
        Err(sorry) => sorry,
    })
}

fn interface_ip(call: &Call, _: &dyn Look, _: &Data) -> Result<Value, ExecError> {
    Ok(match one(call)? {
        Ok(i) => i.addresses.iter().find(|a| a.ip.is_ipv4()).map_or_else(String::new, |a| a.ip.to_string()).into(),
        Err(sorry) => sorry,
    })
}

fn hw_addr(call: &Call, _: &dyn Look, _: &Data) -> Result<Value, ExecError> {
    Ok(match one(call)? {
        Ok(i) => i.hwaddr.into(),
        Err(sorry) => sorry,
    })
}

fn get_hostname(_: &Call, _: &dyn Look, _: &Data) -> Result<Value, ExecError> {
    Ok(rustix::system::uname().nodename().to_string_lossy().into_owned().into())
}

fn get_fqdn(_: &Call, host: &dyn Look, _: &Data) -> Result<Value, ExecError> {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let hosts = host.read(std::path::Path::new("/etc/hosts")).unwrap_or_default();
    Ok(net::canonical(&String::from_utf8_lossy(&hosts), &name).unwrap_or(name).into())
}

fn networks(interfaces: &[Interface], v6: bool) -> Value {
    let addresses = interfaces.iter().flat_map(|i| &i.addresses).filter(|a| a.ip.is_ipv6() == v6);
    let nets = addresses.filter(|a| !a.ip.is_loopback()).map(|a| Network::of(a.ip, a.prefix.into()).text());
    let mut nets: Vec<String> = nets.collect();
    nets.sort();
    nets.dedup();
    nets.into()
}

fn subnets(call: &Call, _: &dyn Look, _: &Data) -> Result<Value, ExecError> {
    let mut interfaces = all()?;
    if let Some(wanted) = call.arg(0, "interfaces").filter(|v| !v.is_null()) {
        let wanted = wanted.as_list().unwrap_or(std::slice::from_ref(wanted));
        interfaces.retain(|i| wanted.iter().any(|w| w.as_str() == Some(&i.name)));
    }
    Ok(networks(&interfaces, false))
}

fn subnets6(_: &Call, _: &dyn Look, _: &Data) -> Result<Value, ExecError> {
    Ok(networks(&all()?, true))
}

fn in_subnet(call: &Call, _: &dyn Look, _: &Data) -> Result<Value, ExecError> {
    let network = network(call, "cidr", &call.need(0, "cidr")?)?;
    Ok(net::addresses(&all()?, true).into_iter().any(|ip| network.contains(ip)).into())
}

fn ip_in_subnet(call: &Call, _: &dyn Look, _: &Data) -> Result<Value, ExecError> {
    let network = network(call, "cidr", &call.need(1, "cidr")?)?;
    Ok(network.contains(address(call)?).into())
}

fn calc_net(call: &Call, _: &dyn Look, _: &Data) -> Result<Value, ExecError> {
    let text = call.need(0, "ip_addr")?;
    let text = call.text(1, "netmask").map_or_else(|| text.clone(), |mask| format!("{text}/{mask}"));
    Ok(network(call, "ip_addr", &text)?.text().into())
}

fn private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => v4.is_private() || v4.is_loopback() || v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}

fn is_private(call: &Call, _: &dyn Look, _: &Data) -> Result<Value, ExecError> {
    Ok(private(address(call)?).into())
}

fn is_loopback(call: &Call, _: &dyn Look, _: &Data) -> Result<Value, ExecError> {
    Ok(address(call)?.is_loopback().into())
}

fn reverse_ip(call: &Call, _: &dyn Look, _: &Data) -> Result<Value, ExecError> {
    Ok(match address(call)? {
        IpAddr::V4(v4) => {
            let [a, b, c, d] = v4.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        IpAddr::V6(v6) => {
            let digits: Vec<String> = format!("{:032x}", u128::from(v6)).chars().rev().map(String::from).collect();
            format!("{}.ip6.arpa", digits.join("."))
        }
    }
    .into())
}

fn default_route(call: &Call, _: &dyn Look, _: &Data) -> Result<Value, ExecError> {
    let family = call.text(0, "family");
    let names = all()?;
    let routes = netlink::default_routes().map_err(|e| ExecError::failed(format!("list routes: {e}")))?;
    let entry = |r: &netlink::DefaultRoute| {
        let interface = names.iter().find(|i| Some(i.index) == r.interface).map(|i| i.name.clone());
        let (family, any) = if r.v6 { ("inet6", "::/0") } else { ("inet", "0.0.0.0") };
        let mut out = Map::new();
        out.insert("addr_family", family);
        out.insert("destination", any);
        out.insert("flags", "UG");
        out.insert("gateway", r.gateway.map(|g| g.to_string()).unwrap_or_default());
        out.insert("interface", interface);
        if !r.v6 {
            out.insert("netmask", "0.0.0.0");
        }
        Value::from(out)
    };
    let wanted = |r: &&netlink::DefaultRoute| family.as_deref().is_none_or(|f| (f == "inet6") == r.v6);
    Ok(routes.iter().filter(wanted).map(entry).collect::<Vec<_>>().into())
}
