//! Debian's `/etc/network/interfaces`: what an interface has there, and the same with other words. What is said of other
//! interfaces stays as it was written, comments included.

pub mod bond;

use corpus_core::{Map, Value, python};

/// What the files say of one interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stanza {
    pub auto: bool,
    pub hotplug: bool,
    /// Family, method and options.
    pub families: Vec<(String, String, Vec<String>)>,
}

/// The words that begin a part of the file.
const STARTS: [&str; 8] =
    ["auto", "allow-", "iface", "mapping", "source", "source-directory", "no-auto-down", "no-scripts"];

fn starts(line: &str) -> bool {
    let word = line.split_whitespace().next().unwrap_or_default();
    STARTS.iter().any(|start| word == *start || (start.ends_with('-') && word.starts_with(start)))
}

impl Stanza {
    /// Reads what a file says of an interface; none if it does not name it.
    pub fn read(text: &str, name: &str) -> Option<Self> {
        let (mut stanza, mut found, mut inside) = (Self::default(), false, false);
        for line in text.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words.as_slice() {
                [] => {}
                [word, ..] if word.starts_with('#') => {}
                ["iface", interface, family, method, ..] => {
                    inside = *interface == name;
                    if inside {
                        found = true;
                        stanza.families.push(((*family).to_owned(), (*method).to_owned(), vec![]));
                    }
                }
                ["auto" | "allow-auto", names @ ..] => {
                    inside = false;
                    stanza.auto |= names.contains(&name);
                }
                ["allow-hotplug", names @ ..] => {
                    inside = false;
                    stanza.hotplug |= names.contains(&name);
                }
                _ if starts(line) => inside = false,
                [..] if inside => {
                    if let Some((_, _, options)) = stanza.families.last_mut() {
                        options.push(words.join(" "));
                    }
                }
                _ => {}
            }
        }
        found.then_some(stanza)
    }

    /// Tells whether both say the same, in whatever order and spelling.
    pub fn is(&self, other: &Self) -> bool {
        self.plain() == other.plain()
    }

    fn plain(&self) -> Self {
        let mut plain = self.clone();
        for (_, _, options) in &mut plain.families {
            for option in options.iter_mut() {
                let (key, value) = option.split_once(' ').unwrap_or((option, ""));
                *option = format!("{} {}", key.replace('_', "-"), value.trim()).trim().to_owned();
            }
            // Commands of one kind keep their order.
            options.sort_by_key(|option| option.split(' ').next().unwrap_or_default().to_owned());
        }
        plain.families.sort();
        plain
    }

    /// Writes it as Salt does.
    pub fn text(&self, name: &str) -> String {
        let mut text = String::new();
        if self.auto {
            text += &format!("auto {name}\n");
        }
        if self.hotplug {
            text += &format!("allow-hotplug {name}\n");
        }
        for (family, method, options) in &self.families {
            text += &format!("iface {name} {family} {method}\n");
            text.extend(options.iter().map(|option| format!("    {option}\n")));
        }
        text
    }

    /// Puts it into a file, in the place of what that said of the interface.
    pub fn put(&self, text: &str, name: &str) -> String {
        let (mut out, mut inside, mut done) = (String::new(), false, false);
        for line in text.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            let comment = words.first().is_none_or(|word| word.starts_with('#'));
            if starts(line) {
                inside = words.first() == Some(&"iface") && words.get(1) == Some(&name);
            }
            let named = matches!(words.first(), Some(&"auto" | &"allow-auto" | &"allow-hotplug"));
            if named && words[1..].contains(&name) {
                let others: Vec<&str> = words[1..].iter().copied().filter(|other| *other != name).collect();
                if !others.is_empty() {
                    out += &format!("{} {}\n", words[0], others.join(" "));
                }
            } else if inside && !comment {
                if !std::mem::replace(&mut done, true) {
                    out += &self.text(name);
                }
            } else {
                out += &format!("{line}\n");
            }
        }
        if !done {
            out += &self.text(name);
        }
        out
    }
}

/// The options of an interface in Salt's order.
const OPTIONS: &str = "autoconf privext dhcp hwaddress vlan_raw_device address addresses netmask broadcast metric gateway \
    pointopoint scope hostname media leasehours leasetime vendor client bootfile server mode endpoint dstaddr local ttl mtu \
    provider unit options master dns_nameservers dns_search wireless_mode wpa_ap_scan wpa_conf wpa_driver wpa_group \
    wpa_key_mgmt wpa_pairwise wpa_proto wpa_psk wpa_roam wpa_ssid accept_ra up_cmds down_cmds pre_up_cmds post_up_cmds \
    pre_down_cmds post_down_cmds";

/// Those that only one family has, unless they are said with `ipv6` in front.
const OF_IPV4: [&str; 8] = ["address", "addresses", "gateway", "proto", "netmask", "broadcast", "metric", "hostname"];

const BRIDGE: &str = "ageing bridgeprio fd gcint hello hw maxage maxwait pathcost portprio ports stp waitport";

fn own(key: &str) -> String {
    match key {
        "ipaddr" | "addr" => "address".into(),
        "ipaddrs" | "ipaddresses" => "addresses".into(),
        "hwaddr" => "hwaddress".into(),
        "dns" => "dns_nameservers".into(),
        "search" => "dns_search".into(),
        key => key.replace('-', "_"),
    }
}

/// Writes the lines of an option.
fn lines(key: &str, value: &Value) -> Vec<String> {
    let word = match key {
        "addresses" => "address".to_owned(),
        "master" => "bond-master".into(),
        "accept_ra" => key.into(),
        _ => key.strip_suffix("_cmds").unwrap_or(key).replace('_', "-"),
    };
    match value {
        Value::List(items) if key.starts_with("dns_") => {
            vec![format!("{word} {}", items.iter().map(python::str).collect::<Vec<_>>().join(" "))]
        }
        Value::List(items) => items.iter().map(|item| format!("{word} {}", python::str(item))).collect(),
        value if !value.truthy() => vec![],
        one => vec![format!("{word} {}", python::str(one))],
    }
}

/// Makes what a declaration wants; also names the words that mean nothing.
pub fn wanted(name: &str, kind: &str, enabled: bool, given: &Map) -> Result<(Stanza, Vec<String>), String> {
    let known: Vec<&str> = OPTIONS.split_whitespace().collect();
    let bridge: Vec<&str> = BRIDGE.split_whitespace().collect();
    let mut families = [("inet", Map::new()), ("inet6", Map::new())];
    let mut bridging: Vec<(String, String)> = Vec::new();
    let mut unknown = Vec::new();
    let (mut four, mut six) = (false, false);
    for (key, value) in given {
        let key = python::str(key);
        let (only, bare) = match (key.strip_prefix("ipv4"), key.strip_prefix("ipv6")) {
            (Some(rest), _) => (Some(0), rest),
            (_, Some(rest)) => (Some(1), rest),
            _ => (None, key.as_str()),
        };
        let word = own(bare);
        if matches!(
            key.as_str(),
            "enable_ipv4" | "enable_ipv6" | "hotplug" | "noifupdown" | "filename" | "slave" | "vlan"
        ) {
            continue;
        }
        if (kind == "bond" && bond::BOND.contains(&bare)) || (kind == "pppoe" && bond::PPPOE.contains(&bare)) {
            continue;
        }
        if kind == "bridge" && bridge.contains(&bare) {
            let text = match value {
                Value::Bool(on) => if *on { "on" } else { "off" }.to_owned(),
                Value::List(items) => items.iter().map(python::str).collect::<Vec<_>>().join(" "),
                one => python::str(one),
            };
            bridging.push((bare.to_owned(), text));
            continue;
        }
        if word != "proto" && !known.contains(&word.as_str()) {
            unknown.push(key);
            continue;
        }
        let four_only = OF_IPV4.contains(&word.as_str());
        four |= only == Some(0) || (only.is_none() && four_only);
        six |= only == Some(1);
        for (i, (_, options)) in families.iter_mut().enumerate() {
            let said_for_it = only == Some(i);
            if said_for_it || (only.is_none() && !(four_only && i == 1) && !options.contains(word.as_str())) {
                options.insert(word.as_str(), value.clone());
            }
        }
    }
    if kind == "slave" {
        if !given.contains("master") {
            return Err("master is a required setting for slave interfaces".into());
        }
        four = true;
        families[0].1.insert("proto", "manual");
    }
    if kind == "bridge" && bridging.iter().all(|(key, _)| key != "ports") {
        return Err("ports is a required setting for bridge interfaces on Debian or Ubuntu based systems".into());
    }
    bridging.sort();
    let mut own: Vec<String> = bridging.iter().map(|(key, value)| format!("bridge_{key} {value}")).collect();
    if kind == "bond" {
        own = bond::lines(name, given)?;
    }
    let off = |key: &str| given.get(key).is_some_and(|value| !value.truthy());
    let mut stanza =
        Stanza { auto: enabled, hotplug: given.get("hotplug").is_some_and(Value::truthy), families: vec![] };
    let present = [(four || !six) && !off("enable_ipv4"), six && !off("enable_ipv6")];
    for ((family, options), _) in families.iter_mut().zip(present).filter(|(_, present)| *present) {
        let method = options.get("proto").map(python::str).ok_or_else(|| {
            let setting = if *family == "inet" { "proto" } else { "ipv6proto" };
            format!("Invalid option -- Interface: {name}, Option: {setting}, Expected: [static|dhcp|manual|loopback|…]")
        })?;
        if kind == "vlan" {
            let device = name.split('.').next().unwrap_or(name);
            options.insert("vlan_raw_device", device);
        }
        let mut all: Vec<String> =
            known.iter().filter_map(|key| Some(lines(key, options.get(key)?))).flatten().collect();
        all.extend(own.iter().cloned());
        let method = if method == "none" { "manual".to_owned() } else { method };
        stanza.families.push(((*family).to_owned(), method, all));
    }
    Ok((stanza, unknown))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "# mine\nsource /etc/network/interfaces.d/*\n\nauto lo eth9\niface lo inet loopback\n\n# the primary\n\
        allow-hotplug eth0\niface eth0 inet dhcp\n\niface eth9 inet static\n  address 10.0.0.1\n  # a comment\n  up  echo  a\n\n# end\n";

    fn map(json: serde_json::Value) -> Map {
        serde_json::from_value::<Value>(json).unwrap().as_map().cloned().unwrap()
    }

    #[test]
    fn writes_what_salt_writes() {
        let given = map(serde_json::json!({
            "proto": "static", "ipaddr": "10.1.0.7", "netmask": "255.255.255.0", "gateway": "10.1.0.1", "enable_ipv6": true,
            "ipv6proto": "static", "ipv6ipaddr": "2001:db8::3", "ipv6netmask": 64, "dns": ["8.8.8.8", "8.8.4.4"], "mtu": 1400,
            "up_cmds": ["echo up", "echo up2"], "noifupdown": true, "nonsense": 1,
        }));
        let (stanza, unknown) = wanted("eth9", "eth", true, &given).unwrap();
        assert_eq!(unknown, ["nonsense"]);
        let text = "auto eth9\niface eth9 inet static\n    address 10.1.0.7\n    netmask 255.255.255.0\n    gateway 10.1.0.1\n    \
            mtu 1400\n    dns-nameservers 8.8.8.8 8.8.4.4\n    up echo up\n    up echo up2\niface eth9 inet6 static\n    \
            address 2001:db8::3\n    netmask 64\n    mtu 1400\n    dns-nameservers 8.8.8.8 8.8.4.4\n    up echo up\n    up echo up2\n";
        assert_eq!(stanza.text("eth9"), text);
        let vlan = map(serde_json::json!({"proto": "static", "ipaddr": "10.7.0.1", "netmask": 24}));
        let text = "iface eth5.7 inet static\n    vlan-raw-device eth5\n    address 10.7.0.1\n    netmask 24\n";
        assert_eq!(wanted("eth5.7", "vlan", false, &vlan).unwrap().0.text("eth5.7"), text);
        let bridge =
            map(serde_json::json!({"proto": "dhcp", "ports": "eth7 eth6", "stp": false, "enable_ipv6": false}));
        let text = "auto br9\niface br9 inet dhcp\n    bridge_ports eth7 eth6\n    bridge_stp off\n";
        assert_eq!(wanted("br9", "bridge", true, &bridge).unwrap().0.text("br9"), text);
    }

    #[test]
    fn others_stay_as_they_are() {
        let have = Stanza::read(FILE, "eth9").unwrap();
        assert_eq!(have.text("eth9"), "auto eth9\niface eth9 inet static\n    address 10.0.0.1\n    up echo a\n");
        let put = Stanza { auto: false, ..have.clone() }.put(FILE, "eth9");
        assert_eq!(Stanza::read(&put, "eth9").unwrap(), Stanza { auto: false, ..have.clone() });
        for line in ["# mine\nsource", "auto lo\n", "# the primary\nallow-hotplug eth0", "  # a comment\n", "# end\n"] {
            assert!(put.contains(line), "{line}: {put}");
        }
        assert!(Stanza::read(FILE, "eth1").is_none());
        let new = have.put(FILE, "eth1");
        assert!(new.starts_with(FILE) && Stanza::read(&new, "eth1").unwrap().is(&have));
    }
}
