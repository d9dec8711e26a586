//! Names and addresses: `fqdn`, `ip4_interfaces`, `dns` and their kin. No name server is ever asked.

use super::netlink::{self, Interface};
use super::{exists, text};
use corpus_core::host::Look;
use corpus_core::value::{Map, Value};
use std::net::IpAddr;

/// Adds the grains of the network.
pub fn add(host: &dyn Look, nodename: &str, grains: &mut Map) {
    let hosts = text(host, "/etc/hosts").unwrap_or_default();
    let fqdn = canonical(&hosts, nodename).unwrap_or_else(|| nodename.to_owned());
    let fqdn = if fqdn.is_empty() { "localhost.localdomain".to_owned() } else { fqdn };
    let (short, domain) = fqdn.split_once('.').unwrap_or((&fqdn, ""));
    grains.insert("localhost", nodename);
    grains.insert("host", short);
    grains.insert("domain", domain);

    // A kernel without netlink (some sandboxes) shows no interface; the rest is still right.
    let interfaces = netlink::interfaces().unwrap_or_default();
    let all = addresses(&interfaces, true);
    let texts = |v6: bool| all.iter().filter(|ip| ip.is_ipv6() == v6).map(ToString::to_string).collect::<Vec<_>>();
    let (ipv4, ipv6) = (texts(false), texts(true));
    let known = known_as(&hosts, &fqdn);
    for (key, v6) in [("fqdn_ip4", false), ("fqdn_ip6", true)] {
        let mut ips: Vec<String> = known.iter().filter(|ip| ip.is_ipv6() == v6).map(ToString::to_string).collect();
        if known.is_empty() {
            // What the system's own resolver says of a name that is in no file: all addresses it has.
            ips =
                addresses(&interfaces, false).iter().filter(|ip| ip.is_ipv6() == v6).map(ToString::to_string).collect();
        }
        grains.insert(key, ips);
    }
    grains.insert("fqdns", reverse(&hosts, &addresses(&interfaces, false)));
    grains.insert("fqdn", fqdn);
    grains.insert("ipv4", ipv4);
    grains.insert("ipv6", ipv6);

    let table =
        |pick: &dyn Fn(&Interface) -> Value| interfaces.iter().map(|i| (i.name.as_str(), pick(i))).collect::<Map>();
    let of = |i: &Interface, v6: bool| {
        ordered(i).into_iter().filter(|ip| ip.is_ipv6() == v6).map(|ip| ip.to_string()).collect::<Vec<_>>()
    };
    grains.insert("ip4_interfaces", table(&|i| of(i, false).into()));
    grains.insert("ip6_interfaces", table(&|i| of(i, true).into()));
    grains.insert("ip_interfaces", table(&|i| [of(i, false), of(i, true)].concat().into()));
    let hwaddrs = interfaces.iter().filter(|i| !i.hwaddr.is_empty()).map(|i| (i.name.as_str(), i.hwaddr.as_str()));
    grains.insert("hwaddr_interfaces", hwaddrs.collect::<Map>());

    let routes = netlink::default_routes().unwrap_or_default();
    for (key, v6) in [("ip4_gw", false), ("ip6_gw", true)] {
        let route = routes.iter().find(|r| r.v6 == v6);
        let gateway = route.and_then(|r| r.gateway).map(|ip| Value::from(ip.to_string()));
        grains.insert(key, gateway.unwrap_or_else(|| route.is_some().into()));
    }
    grains.insert("ip_gw", !routes.is_empty());
    if let Some(dns) = dns(host) {
        grains.insert("dns", dns);
    }
}

/// Returns an interface's addresses, secondary ones last, as Salt lists them.
fn ordered(interface: &Interface) -> Vec<IpAddr> {
    let (mut first, mut second) = (vec![], vec![]);
    for address in &interface.addresses {
        if address.secondary { &mut second } else { &mut first }.push(address.ip);
    }
    first.append(&mut second);
    first
}

/// Returns all addresses in numeric order.
pub fn addresses(interfaces: &[Interface], loopback: bool) -> Vec<IpAddr> {
    let mut all: Vec<IpAddr> = interfaces.iter().flat_map(|i| i.addresses.iter().map(|a| a.ip)).collect();
    all.retain(|ip| loopback || !ip.is_loopback());
    all.sort();
    all.dedup();
    all
}

fn host_lines(hosts: &str) -> impl Iterator<Item = (IpAddr, Vec<&str>)> {
    hosts.lines().filter_map(|line| {
        let mut words = line.split('#').next()?.split_whitespace();
        Some((words.next()?.parse().ok()?, words.collect()))
    })
}

/// Returns the name that `/etc/hosts` puts first on the line of a host name.
pub fn canonical(hosts: &str, name: &str) -> Option<String> {
    let (_, names) = host_lines(hosts).find(|(_, names)| names.contains(&name))?;
    names.first().map(|n| (*n).to_owned())
}

fn known_as(hosts: &str, name: &str) -> Vec<IpAddr> {
    let mut ips: Vec<IpAddr> = host_lines(hosts).filter(|(_, names)| names.contains(&name)).map(|(ip, _)| ip).collect();
    ips.dedup();
    ips
}

fn reverse(hosts: &str, ips: &[IpAddr]) -> Vec<String> {
    let mut names: Vec<String> = host_lines(hosts)
        .filter(|(ip, _)| ips.contains(ip))
        .filter_map(|(_, names)| names.first().map(|n| (*n).to_owned()))
        .collect();
    names.sort();
    names.dedup();
    names
}

/// Reads the resolver's configuration.
fn dns(host: &dyn Look) -> Option<Map> {
    let path = "/run/systemd/resolve/resolv.conf";
    let path = if exists(host, path) { path } else { "/etc/resolv.conf" };
    Some(resolv(&text(host, path)?))
}

fn resolv(content: &str) -> Map {
    let (mut servers, mut sortlist, mut search, mut options) = (vec![], vec![], vec![], vec![]);
    let mut domain = "";
    for line in content.lines() {
        let line = line.split(['#', ';']).next().unwrap_or_default();
        let mut words = line.split_whitespace();
        let word = words.next().unwrap_or_default();
        let rest: Vec<&str> = words.collect();
        match word {
            "nameserver" => servers.extend(rest.first().copied()),
            "domain" => domain = rest.first().copied().unwrap_or_default(),
            "search" => search = rest,
            "sortlist" => sortlist = rest,
            "options" => options.extend(rest),
            _ => {}
        }
    }
    // An address may carry the interface that it is reached through.
    let is_v6 = |s: &&&str| s.contains(':');
    let v6: Vec<&str> = servers.iter().filter(is_v6).copied().collect();
    let v4: Vec<&str> = servers.iter().filter(|s| !is_v6(s)).copied().collect();
    let mut dns = Map::new();
    dns.insert("nameservers", servers);
    dns.insert("ip4_nameservers", v4);
    dns.insert("ip6_nameservers", v6);
    dns.insert("sortlist", sortlist);
    dns.insert("domain", domain);
    dns.insert("search", search);
    dns.insert("options", options);
    dns
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_hosts() {
        let hosts =
            "127.0.0.1 localhost\n127.0.1.1 web1.example.com web1 # me\n::1 localhost ip6-localhost\n10.0.0.5 db\n";
        for (name, expected) in [("web1", Some("web1.example.com")), ("localhost", Some("localhost")), ("me", None)] {
            assert_eq!(canonical(hosts, name).as_deref(), expected, "{name}");
        }
        assert_eq!(known_as(hosts, "localhost").len(), 2);
        assert_eq!(reverse(hosts, &["10.0.0.5".parse().unwrap()]), ["db"]);
    }

    #[test]
    fn reads_resolv_conf() {
        let seen =
            resolv("# c\nnameserver 10.0.0.1\nnameserver fe80::1%eth0\nsearch a.b c.d\noptions ndots:2 rotate\n");
        let expected = "{'nameservers': ['10.0.0.1', 'fe80::1%eth0'], 'ip4_nameservers': ['10.0.0.1'], \
                        'ip6_nameservers': ['fe80::1%eth0'], 'sortlist': [], 'domain': '', 'search': ['a.b', 'c.d'], \
                        'options': ['ndots:2', 'rotate']}";
        assert_eq!(corpus_core::python::repr(&seen.into()), expected);
    }
}
