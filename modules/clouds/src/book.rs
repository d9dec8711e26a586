//! The address and port book: which address, MAC and host ports each guest of a node has. What was given once stays given
//! until the guest is destroyed; a second look gives the same again.

use crate::spec::{GuestSpec, Node, Port, Protocol};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

/// The prefix of MAC addresses that the original gave.
const MAC: &str = "00:16:3e";

/// What a guest has been given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allocation {
    #[serde(default)]
    pub ip: Option<Ipv4Addr>,
    /// The length of the network's prefix.
    #[serde(default)]
    pub prefix: u8,
    #[serde(default)]
    pub gateway: Option<Ipv4Addr>,
    #[serde(default)]
    pub mac: Option<String>,
    /// The ports by name.
    #[serde(default)]
    pub ports: BTreeMap<String, Given>,
}

/// A port of the node that leads to a guest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Given {
    pub host: u16,
    pub port: u16,
    pub count: u16,
    pub protocols: Vec<Protocol>,
    /// Somebody said which one.
    #[serde(default)]
    pub said: bool,
}

impl Given {
    fn numbers(&self) -> std::ops::RangeInclusive<u32> {
        u32::from(self.host)..=u32::from(self.host) + u32::from(self.count.max(1)) - 1
    }

    fn meets(&self, other: &Self) -> bool {
        self.protocols.iter().any(|protocol| other.protocols.contains(protocol))
            && self.numbers().start() <= other.numbers().end()
            && other.numbers().start() <= self.numbers().end()
    }
}

/// A network from which addresses are given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    pub address: Ipv4Addr,
    pub prefix: u8,
    pub gateway: Ipv4Addr,
}

impl Network {
    /// Reads `10.5.0.0/16`, with the gateway that is said or else the first address.
    pub fn parse(text: &str, gateway: Option<&str>) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no network; write it as `10.5.0.0/16`");
        let (address, prefix) = text.split_once('/').ok_or_else(wrong)?;
        let address: Ipv4Addr = address.parse().map_err(|_| wrong())?;
        let prefix: u8 = prefix.parse().ok().filter(|prefix| (8..=29).contains(prefix)).ok_or_else(wrong)?;
        let base = Ipv4Addr::from(u32::from(address) & mask(prefix));
        let gateway = match gateway {
            None => Ipv4Addr::from(u32::from(base) + 1),
            Some(text) => text.parse().map_err(|_| format!("`{text}` is no address of a gateway"))?,
        };
        let network = Self { address: base, prefix, gateway };
        if !network.contains(gateway) {
            return Err(format!("the gateway {gateway} is not in {base}/{prefix}"));
        }
        Ok(network)
    }

    /// Tells whether an address is in it.
    pub fn contains(&self, ip: Ipv4Addr) -> bool {
        u32::from(ip) & mask(self.prefix) == u32::from(self.address)
    }

    /// The original: neither the first two nor the last two, nor any that ends in .0 or .255.
    fn usable(&self) -> impl Iterator<Item = Ipv4Addr> {
        let first = u32::from(self.address);
        let last = first | !mask(self.prefix);
        let gateway = self.gateway;
        (first + 2..=last - 2)
            .map(Ipv4Addr::from)
            .filter(move |ip| ![0, 255].contains(&ip.octets()[3]) && *ip != gateway)
    }
}

fn mask(prefix: u8) -> u32 {
    u32::MAX << (32 - u32::from(prefix))
}

/// All that was given, node by node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Book {
    pub nodes: BTreeMap<String, BTreeMap<String, Allocation>>,
}

impl Book {
    /// Returns what a guest has, if it has anything.
    pub fn of(&self, node: &str, guest: &str) -> Option<&Allocation> {
        self.nodes.get(node)?.get(guest)
    }

    /// Gives a guest what it asks for, or what it already has; conflicts name both sides.
    pub fn give(
        &mut self,
        node: &Node,
        want: &GuestSpec,
        network: Option<&Network>,
        said: Said<'_>,
        random: &mut dyn FnMut() -> [u8; 3],
    ) -> Result<Allocation, String> {
        let had = self.of(&node.id, &want.id).cloned().unwrap_or_default();
        let mut now = Allocation::default();
        if let Some(network) = network {
            now.ip = Some(self.address(node, want, network, &had, said.ip)?);
            (now.prefix, now.gateway) = (network.prefix, Some(network.gateway));
            now.mac = Some(self.mac(want, &had, said.mac, random)?);
        }
        for port in &want.ports {
            let given = self.port(node, want, port, &had, &now)?;
            now.ports.insert(port.name.clone(), given);
        }
        self.nodes.entry(node.id.clone()).or_default().insert(want.id.clone(), now.clone());
        Ok(now)
    }

    /// Takes back what a guest had.
    pub fn release(&mut self, node: &str, guest: &str) {
        if let Some(guests) = self.nodes.get_mut(node) {
            guests.remove(guest);
            if guests.is_empty() {
                self.nodes.remove(node);
            }
        }
    }

    fn others<'a>(&'a self, node: &str, guest: &'a str) -> impl Iterator<Item = (&'a String, &'a Allocation)> {
        self.nodes.get(node).into_iter().flatten().filter(move |(id, _)| id.as_str() != guest)
    }

    fn address(
        &self,
        node: &Node,
        want: &GuestSpec,
        network: &Network,
        had: &Allocation,
        said: Option<Ipv4Addr>,
    ) -> Result<Ipv4Addr, String> {
        let taken: BTreeMap<Ipv4Addr, &String> =
            self.others(&node.id, &want.id).filter_map(|(id, other)| Some((other.ip?, id))).collect();
        if let Some(ip) = said {
            if !network.contains(ip) || ip == network.gateway {
                return Err(format!(
                    "{}: the address {ip} is not one that a guest of {}/{} may have",
                    want.id, network.address, network.prefix
                ));
            }
            if let Some(other) = taken.get(&ip) {
                return Err(format!("{}: the address {ip} of {} belongs to {other}", want.id, node.id));
            }
            return Ok(ip);
        }
        if let Some(ip) = had.ip.filter(|ip| network.contains(*ip) && !taken.contains_key(ip)) {
            return Ok(ip);
        }
        let mut usable = network.usable();
        usable.find(|ip| !taken.contains_key(ip)).ok_or_else(|| {
            format!("{}: no address is left in {}/{} of {}", want.id, network.address, network.prefix, node.id)
        })
    }

    fn mac(
        &self,
        want: &GuestSpec,
        had: &Allocation,
        said: Option<&str>,
        random: &mut dyn FnMut() -> [u8; 3],
    ) -> Result<String, String> {
        // A MAC is one in the whole installation: a guest that moves keeps it.
        let taken: BTreeMap<&str, &String> = self
            .nodes
            .values()
            .flatten()
            .filter(|(id, _)| **id != want.id)
            .filter_map(|(id, other)| Some((other.mac.as_deref()?, id)))
            .collect();
        if let Some(mac) = said {
            let mac = mac.to_ascii_lowercase();
            let parts: Vec<&str> = mac.split(':').collect();
            if parts.len() != 6 || !parts.iter().all(|part| part.len() == 2 && u8::from_str_radix(part, 16).is_ok()) {
                return Err(format!("{}: `{mac}` is no MAC address; write it as `{MAC}:12:34:56`", want.id));
            }
            return match taken.get(mac.as_str()) {
                Some(other) => Err(format!("{}: the MAC address {mac} belongs to {other}", want.id)),
                None => Ok(mac),
            };
        }
        if let Some(mac) = &had.mac {
            return Ok(mac.clone());
        }
        for _ in 0..1000 {
            let [a, b, c] = random();
            let mac = format!("{MAC}:{:02x}:{b:02x}:{c:02x}", a & 0x7f);
            if !taken.contains_key(mac.as_str()) {
                return Ok(mac);
            }
        }
        Err(format!("{}: no free MAC address was found", want.id))
    }

    fn port(
        &self,
        node: &Node,
        want: &GuestSpec,
        port: &Port,
        had: &Allocation,
        now: &Allocation,
    ) -> Result<Given, String> {
        let make = |host: u16, said: bool| Given {
            host,
            port: port.port,
            count: port.count.max(1),
            protocols: port.protocols.clone(),
            said,
        };
        let others: Vec<(String, &Given)> = self
            .others(&node.id, &want.id)
            .flat_map(|(id, other)| other.ports.iter().map(move |(name, given)| (format!("{id}/{name}"), given)))
            .chain(now.ports.iter().map(|(name, given)| (format!("{}/{name}", want.id), given)))
            .collect();
        let meets = |given: &Given| others.iter().find(|(_, other)| other.meets(given));
        if let Some(host) = port.host {
            let given = make(host, true);
            if *given.numbers().end() > u32::from(u16::MAX) {
                return Err(format!("{}/{}: the ports from {host} on leave the range", want.id, port.name));
            }
            return match meets(&given) {
                None => Ok(given),
                Some((other, theirs)) => Err(self.conflict(node, want, port, &given, other, theirs)),
            };
        }
        let excluded: BTreeSet<u32> = node.excluded_ports.iter().map(|port| u32::from(*port)).collect();
        let (first, last) = (u32::from(node.port_range.0), u32::from(node.port_range.1));
        let fits = |given: &Given| {
            let mut numbers = given.numbers();
            numbers.all(|n| n >= first && n <= last && !excluded.contains(&n)) && meets(given).is_none()
        };
        if let Some(before) = had.ports.get(&port.name) {
            let again = make(before.host, false);
            // A port that was said before, and is not any more, stays: people know it.
            if meets(&again).is_none() && (before.said || fits(&again)) {
                return Ok(again);
            }
        }
        (node.port_range.0..=node.port_range.1)
            .map(|host| make(host, false))
            .find(fits)
            .ok_or_else(|| format!("{}/{}: no port is left in {first}-{last} of {}", want.id, port.name, node.id))
    }

    fn conflict(
        &self,
        node: &Node,
        want: &GuestSpec,
        port: &Port,
        given: &Given,
        other: &str,
        theirs: &Given,
    ) -> String {
        let protocol = given.protocols.iter().find(|protocol| theirs.protocols.contains(protocol)).copied();
        let how = if theirs.said { "which says so" } else { "to which it was given" };
        let number = given.numbers().find(|n| theirs.numbers().contains(n)).unwrap_or_default();
        format!(
            "the port {number}/{} of {} is wanted by {}/{} and belongs to {other}, {how}; let one of them have another \
             `hostPort`, or leave it out and one is given",
            protocol.unwrap_or_default().word(),
            node.id,
            want.id,
            port.name
        )
    }
}

/// What the declaration says of address and MAC.
#[derive(Clone, Copy, Debug, Default)]
pub struct Said<'a> {
    pub ip: Option<Ipv4Addr>,
    pub mac: Option<&'a str>,
}

#[cfg(test)]
#[path = "book_tests.rs"]
mod tests;
