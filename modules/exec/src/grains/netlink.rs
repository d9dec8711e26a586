//! Interfaces, addresses and routes as the kernel tells them over netlink: what `ip` shows, without `ip`.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const RTM_NEWLINK: u16 = 16;
const RTM_GETLINK: u16 = 18;
const RTM_NEWADDR: u16 = 20;
const RTM_GETADDR: u16 = 22;
const RTM_NEWROUTE: u16 = 24;
const RTM_GETROUTE: u16 = 26;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
/// Request, and all of them.
const FLAGS: u16 = 0x1 | 0x300;

/// A network interface.
#[derive(Clone, Debug, Default)]
pub struct Interface {
    pub index: i32,
    pub name: String,
    pub up: bool,
    /// `00:11:22:33:44:55`, or nothing for interfaces without one.
    pub hwaddr: String,
    pub addresses: Vec<Address>,
}

/// An address of an interface.
#[derive(Clone, Debug)]
pub struct Address {
    pub ip: IpAddr,
    pub prefix: u8,
    pub broadcast: Option<Ipv4Addr>,
    /// `eth0:1`; the interface's own name for most.
    pub label: String,
    pub secondary: bool,
    /// `global`, `link`, `host`, `site`.
    pub scope: &'static str,
}

/// A default route.
#[derive(Clone, Debug)]
pub struct DefaultRoute {
    pub v6: bool,
    pub gateway: Option<IpAddr>,
    pub metric: u32,
    pub interface: Option<i32>,
}

/// Lists the interfaces with their addresses, in the kernel's order.
pub fn interfaces() -> io::Result<Vec<Interface>> {
    let mut found = Vec::new();
    dump(RTM_GETLINK, 16, &mut |kind, body| {
        if kind == RTM_NEWLINK
            && let Some(header) = body.get(..16)
        {
            let mut interface = Interface { index: i32_at(header, 4), up: header[8] & 1 == 1, ..Interface::default() };
            attributes(&body[16..], &mut |kind, value| match kind {
                1 => {
                    interface.hwaddr = value.iter().map(|b| format!("{b:02x}")).collect::<Vec<_>>().join(":");
                }
                3 => interface.name = c_text(value),
                _ => {}
            });
            found.push(interface);
        }
    })?;
    dump(RTM_GETADDR, 8, &mut |kind, body| {
        if kind == RTM_NEWADDR
            && let Some(header) = body.get(..8)
            && let Some(interface) = found.iter_mut().find(|i| i.index == i32_at(header, 4))
            && let Some(address) = address(header, &body[8..], &interface.name)
        {
            interface.addresses.push(address);
        }
    })?;
    Ok(found)
}

fn address(header: &[u8], rest: &[u8], name: &str) -> Option<Address> {
    let (mut address, mut local, mut broadcast, mut label) = (None, None, None, None);
    attributes(rest, &mut |kind, value| match kind {
        1 => address = ip(value),
        2 => local = ip(value),
        3 => label = Some(c_text(value)),
        4 => broadcast = ip(value),
        _ => {}
    });
    let scope = match header[3] {
        0 => "global",
        200 => "site",
        253 => "link",
        254 => "host",
        _ => "nowhere",
    };
    Some(Address {
        // On a point-to-point link "address" is the other end.
        ip: local.or(address)?,
        prefix: header[1],
        broadcast: broadcast.and_then(|ip| if let IpAddr::V4(v4) = ip { Some(v4) } else { None }),
        label: label.unwrap_or_else(|| name.to_owned()),
        secondary: header[2] & 1 == 1,
        scope,
    })
}

/// Lists the default routes of the main table, best first.
pub fn default_routes() -> io::Result<Vec<DefaultRoute>> {
    let mut found = Vec::new();
    dump(RTM_GETROUTE, 12, &mut |kind, body| {
        let Some(header) = body.get(..12) else { return };
        // No destination bits, table "main", an ordinary unicast route.
        if kind != RTM_NEWROUTE || header[1] != 0 || header[4] != 254 || header[7] != 1 {
            return;
        }
        let mut route = DefaultRoute { v6: header[0] == 10, gateway: None, metric: 0, interface: None };
        attributes(&body[12..], &mut |kind, value| match kind {
            4 if value.len() >= 4 => route.interface = Some(i32_at(value, 0)),
            5 => route.gateway = ip(value),
            6 if value.len() >= 4 => route.metric = i32_at(value, 0).cast_unsigned(),
            _ => {}
        });
        found.push(route);
    })?;
    found.sort_by_key(|r| r.metric);
    Ok(found)
}

fn i32_at(bytes: &[u8], at: usize) -> i32 {
    bytes.get(at..at + 4).and_then(|b| b.try_into().ok()).map_or(0, i32::from_ne_bytes)
}

fn c_text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes.split(|b| *b == 0).next().unwrap_or_default()).into_owned()
}

fn ip(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = || Some(IpAddr::from(Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?)));
    let v6 = || Some(IpAddr::from(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?)));
    v4().or_else(v6)
}

/// Walks type-length-value records.
fn attributes(mut bytes: &[u8], each: &mut dyn FnMut(u16, &[u8])) {
    while let Some(head) = bytes.get(..4) {
        let length = usize::from(u16::from_ne_bytes([head[0], head[1]]));
        let kind = u16::from_ne_bytes([head[2], head[3]]) & 0x3fff;
        let Some(value) = bytes.get(4..length) else { return };
        each(kind, value);
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
}

/// Asks for a table and hands out its records.
fn dump(question: u16, header: usize, each: &mut dyn FnMut(u16, &[u8])) -> io::Result<()> {
    use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with};
    // No protocol is protocol 0, which is NETLINK_ROUTE.
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
    let length = 16 + header;
    let mut request = vec![0u8; length];
    request[..4].copy_from_slice(&u32::try_from(length).unwrap_or_default().to_ne_bytes());
    request[4..6].copy_from_slice(&question.to_ne_bytes());
    request[6..8].copy_from_slice(&FLAGS.to_ne_bytes());
    request[8..12].copy_from_slice(&1u32.to_ne_bytes());
    send(&socket, &request, SendFlags::empty())?;
    let mut buffer = vec![0u8; 64 * 1024];
    loop {
        let (_, got) = recv(&socket, &mut buffer[..], RecvFlags::empty())?;
        let mut rest = &buffer[..got.min(65536)];
        if rest.is_empty() {
            return Ok(());
        }
        while let Some(head) = rest.get(..16) {
            let length = usize::try_from(i32_at(head, 0)).unwrap_or_default();
            let kind = u16::from_ne_bytes([head[4], head[5]]);
            let Some(body) = rest.get(16..length) else { return Ok(()) };
            match kind {
                NLMSG_DONE => return Ok(()),
                NLMSG_ERROR => return Err(io::Error::from_raw_os_error(-i32_at(body, 0))),
                kind => each(kind, body),
            }
            rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_a_loopback() {
        let interfaces = interfaces().unwrap();
        let lo = interfaces.iter().find(|i| i.name == "lo").unwrap();
        assert_eq!(lo.hwaddr, "00:00:00:00:00:00");
        default_routes().unwrap();
    }

    #[test]
    fn broken_records_end_the_walk() {
        for bytes in [&[][..], &[3, 0], &[0, 0, 1, 0, 9], &[200, 0, 1, 0], &[3, 0, 1, 0]] {
            let mut seen = 0;
            attributes(bytes, &mut |_, _| seen += 1);
            assert_eq!(seen, 0);
        }
    }
}
